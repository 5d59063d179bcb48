"""A question with a yes and a no, where it matters with a word to type."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Input, Static

from dgtui.screens.dialog import Dialog


class ConfirmScreen(Dialog[bool]):
    """Gives True where somebody said yes."""

    AUTO_FOCUS = "#word, #no"
    ENTER: ClassVar[dict[str, str]] = {"word": "Confirm it, once the word stands there"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "Yes", show=False, id="confirm.yes"),
        Binding("n", "dismiss(False)", "No", show=False, id="confirm.no"),
        Binding("left,up", "app.focus_previous", "Previous", show=False, id="dialog.previous"),
        Binding("right,down", "app.focus_next", "Next", show=False, id="dialog.next"),
    ]

    def __init__(self, title: str, text: Sequence[str], *, yes: str, no: str = "Cancel", word: str = "") -> None:
        """With `word`, it has to be typed before yes can be said."""
        super().__init__(title)
        self._text = text
        self._yes = yes
        self._no = no
        self._word = word

    def compose_dialog(self) -> ComposeResult:
        """Text, perhaps the word, and two buttons."""
        for line in self._text:
            yield Static(line, markup=False)
        if self._word:
            yield Static(f"Type  {self._word}  to confirm", markup=False, classes="hint")
            yield Input(id="word", compact=True)
        with Horizontal(classes="buttons"):
            yield Button(self._yes, id="yes", variant="error", compact=True, disabled=bool(self._word))
            yield Button(self._no, id="no", compact=True)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Only the very word opens the button."""
        self.query_one("#yes", Button).disabled = event.value.strip() != self._word

    def on_input_submitted(self) -> None:
        """Enter says yes once the word stands."""
        self.action_yes()

    def action_yes(self) -> None:
        """Say yes, if the word allows it."""
        if not self.query_one("#yes", Button).disabled:
            self.dismiss(True)
        else:
            self.ask_for_word(self._word)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of the two."""
        self.dismiss(event.button.id == "yes")
