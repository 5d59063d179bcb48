"""Asks why a backup is to be kept for good."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Input, Static

from dgtui.screens.dialog import Dialog


class PinScreen(Dialog[str]):
    """Gives the reason, empty where none was typed; None where it was left."""

    AUTO_FOCUS = "#reason"

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
