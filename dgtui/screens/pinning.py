"""Keeping a backup for good, with the reason, and leaving it to the rules again."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Input, Static

from dgtui.engine.model import Execution
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.dialog import Dialog
from dgtui.screens.engine_app import EngineApp
from dgtui.wording.words import one_line, time_text

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine


class PinScreen(Dialog[str]):
    """Gives the reason, empty where none was typed; None where it was left."""

    AUTO_FOCUS = "#reason"
    ENTER: ClassVar[dict[str, str]] = {"reason": "Pin it"}

    def __init__(self, what: str) -> None:
        super().__init__("Keep this backup for good?")
        self._what = what

    def compose_dialog(self) -> ComposeResult:
        """What it means, the reason, two buttons."""
        yield Static(f"{self._what} stays until it is unpinned, whatever the rules say.", markup=False)
        yield Static("Why, for those who come later:", classes="hint")
        yield Input(id="reason", placeholder="before the migration", compact=True)
        with Horizontal(classes="buttons"):
            yield Button("Pin", id="pin", compact=True)
            yield Button("Cancel", id="cancel", compact=True)

    def on_input_submitted(self) -> None:
        """Enter pins it."""
        self.dismiss(self.query_one("#reason", Input).value)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of the two."""
        self.dismiss(self.query_one("#reason", Input).value if event.button.id == "pin" else None)


def change_pin(app: EngineApp, one: Execution) -> None:
    """Ask why it is to be pinned, or whether the pin is to go; then do it."""
    what = f"The backup of {one.datasource} from {time_text(one.started_at)}"

    def pin(reason: str | None) -> None:
        if reason is not None:
            _change(app, one, lambda engine: engine.retention.pin(one, reason), "It is kept until it is unpinned")

    def unpin(sure: bool | None) -> None:
        if sure:
            _change(app, one, lambda engine: engine.retention.unpin(one), "The rules decide when it goes")

    if one.pin is None:
        app.push_screen(PinScreen(what), pin)
    else:
        text = [f"{what} is pinned: {one_line(one.pin)}", "Without the pin, the rules decide when it goes."]
        app.push_screen(ConfirmScreen("Unpin?", text, yes="Unpin"), unpin)


def _change(app: EngineApp, one: Execution, change: "Callable[[Engine], None]", text: str) -> None:
    def changed(_: None) -> None:
        app.tell(text)
        app.data_changed()

    app.ask(app, f"pin {one.execution_id}", change, changed)
