"""A few lines of text, whole, however long they are."""

from collections.abc import Sequence

from textual.app import ComposeResult

from dgtui.screens.dialog import Dialog
from dgtui.screens.widgets.details import Paragraphs
from dgtui.wording.panel import Line


class TextScreen(Dialog[None]):
    """Texts under each other, each on as many rows as it needs."""

    AUTO_FOCUS = "#box"

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__(title)
        self._lines = lines

    def compose_dialog(self) -> ComposeResult:
        """The texts."""
        yield Paragraphs(self._lines, id="text")

    def on_mount(self) -> None:
        """The arrow keys scroll."""
        box = self.query_one("#box")
        box.can_focus = True
        box.focus()
