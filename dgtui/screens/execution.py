"""Everything about one backup: facts, copies, restores, its manifest, and how to restore it by hand."""

from typing import TYPE_CHECKING, Any

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import RESTORABLE, Execution
from dgtui.engine.settings import encode_setting
from dgtui.screens.dialog import Dialog
from dgtui.wording.execution_text import Details, execution_lines
from dgtui.wording.words import one_line

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine


def gather_details(engine: "Engine", execution: Execution) -> tuple[Details, str]:
    """All that is known, and the manifest as text; where it cannot be read, why, and nothing where there is none."""
    details = Details.gather(engine, execution)
    if details.execution.status not in RESTORABLE:
        return details, ""
    try:
        manifest: Any = msgspec.to_builtins(engine.manifest(details.execution), enc_hook=encode_setting)
    except DataGuardianError as error:
        return details, error.message
    return details, msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode()


class ExecutionScreen(Dialog[None]):
    """Text to read, and to scroll."""

    AUTO_FOCUS = "#box"
    DEFAULT_CSS = """
    ExecutionScreen > #box { height: 100%; max-width: 120; }
    ExecutionScreen Static { height: auto; }
    """

    def __init__(self, execution: Execution) -> None:
        super().__init__(f"{execution.job} · {execution.execution_id}")
        self._execution = execution

    def compose_dialog(self) -> ComposeResult:
        """One long text."""
        yield Static("Asking the storages", id="text", markup=False)

    def on_mount(self) -> None:
        """The storages are asked in the background."""
        self.query_one("#box").can_focus = True
        self.query_one("#box").focus()
        execution = self._execution
        self.engine_app.ask(
            self,
            f"details {execution.execution_id}",
            lambda engine: gather_details(engine, execution),
            self._show,
            lambda error: self.query_one("#text", Static).update(error.message),
            slow=True,
        )

    def _show(self, found: tuple[Details, str]) -> None:
        details, manifest = found
        lines = execution_lines(details, self.engine_app.look)
        if manifest:
            lines += ["", "Manifest:", "", *(f"  {one_line(line)}" for line in manifest.splitlines())]
        self.query_one("#text", Static).update(Text("\n".join(lines)))
