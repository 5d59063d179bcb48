"""Recording a restore that somebody did by hand."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Input, Label, Static

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import Execution
from dgtui.engine.restore_model import Restore
from dgtui.screens.dialog import Dialog
from dgtui.wording.words import one_line, time_text

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine


class MarkRestoredScreen(Dialog[Restore]):
    """Gives what was recorded; what is wrong with it is said before it is closed."""

    AUTO_FOCUS = "#reason"
    ENTER: ClassVar[dict[str, str]] = {"reason": "Record it", "at": "Record it"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "Next", show=False, id="dialog.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="dialog.previous"),
    ]
    DEFAULT_CSS = """
    MarkRestoredScreen .row { height: auto; }
    MarkRestoredScreen Label { width: 9; }
    """

    def __init__(self, execution: Execution) -> None:
        super().__init__("Record a restore by hand")
        self._execution = execution

    def compose_dialog(self) -> ComposeResult:
        """What it means, why and when."""
        one = self._execution
        yield Static(
            f"The backup of {one.datasource} from {time_text(one.started_at)} was restored without this program.",
            markup=False,
        )
        yield Static("It goes into the history and the audit log; it is no proof of the backup.", classes="hint")
        with Horizontal(classes="row"):
            yield Label("Reason")
            yield Input(id="reason", placeholder="why, for the record", compact=True)
        with Horizontal(classes="row"):
            yield Label("When")
            yield Input(id="at", placeholder="empty for now, or such as 2025-02-13T06:00", compact=True)
        yield Static("", id="wrong", markup=False, classes="wrong")
        with Horizontal(classes="buttons"):
            yield Button("Record", id="go", variant="primary", compact=True)
            yield Button("Cancel", id="no", compact=True)

    def on_mount(self) -> None:
        """Nothing is wrong yet."""
        self._say("")

    def _say(self, text: str) -> None:
        wrong = self.query_one("#wrong", Static)
        wrong.update(one_line(text))
        wrong.display = bool(text)

    def on_input_submitted(self) -> None:
        """Enter records it."""
        self._record()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Record it, or not."""
        if event.button.id == "go":
            self._record()
        else:
            self.dismiss(None)

    def _record(self) -> None:
        one = self._execution
        reason, at = (self.query_one(f"#{name}", Input).value.strip() for name in ("reason", "at"))

        def record(engine: "Engine") -> Restore:
            from dgtui.engine.restore_by_hand import moment_of

            return engine.mark_restored(one, reason=reason, at=moment_of(at) if at else None)

        self.engine_app.ask(self, f"mark {one.execution_id}", record, self._recorded, self._refused)

    def _recorded(self, restore: Restore) -> None:
        self.engine_app.tell(f"The restore into {restore.target} is recorded")
        self.engine_app.data_changed()
        self.dismiss(restore)

    def _refused(self, error: DataGuardianError) -> None:
        self._say(error.message)
