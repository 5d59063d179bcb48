"""Which copy of a backup is meant: one of them, or all."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button

from dgtui.engine.model import Execution
from dgtui.screens.dialog import Dialog
from dgtui.screens.engine_app import EngineApp
from dgtui.screens.marks import copy_mark
from dgtui.screens.restore_offer import in_order
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Span


class CopyChoiceScreen(Dialog[str]):
    """Gives the name of a storage, or an empty text for all."""

    DEFAULT_CSS = "CopyChoiceScreen Listing { height: auto; max-height: 12; }"

    def __init__(self, title: str, execution: Execution, *, every: str) -> None:
        super().__init__(title)
        self._execution = execution
        self._every = every

    def compose_dialog(self) -> ComposeResult:
        """The copies."""
        listing = Listing([Column("Copy"), Column("State"), Column("Lies in", flexible=True)], id="copies")
        copies = [copy for copy in self._execution.copies if copy.path]
        listing.styles.height = len(copies) + 2
        yield listing
        with Horizontal(classes="buttons"):
            yield Button("Cancel", id="no", compact=True)

    def on_mount(self) -> None:
        """All of them first."""
        rows = [Row("", ((Span(self._every, "strong"),), (), ()))]
        for copy in in_order(self.engine_app.config, self._execution.copies):
            if copy.path:
                mark = copy_mark(copy.status, self.engine_app.look, word=True)
                rows.append(Row(copy.storage, ((span(copy.storage),), (mark,), (span(copy.path, "dim"),))))
        self.query_one(Listing).show(rows)

    def on_listing_opened(self, message: Listing.Opened) -> None:
        """Chosen."""
        self.dismiss(message.key)

    def on_button_pressed(self) -> None:
        """Not now."""
        self.dismiss(None)


def ask_validate(app: EngineApp, one: Execution) -> None:
    """Ask which copy of a backup to read to its last byte, and do it."""

    def chosen(choice: str | None) -> None:
        if choice is not None:
            app.start(lambda engine: engine.start_validate(one, storage=choice or None), f"check {one.job}")

    app.push_screen(CopyChoiceScreen("Validate which copy?", one, every="all copies"), chosen)
