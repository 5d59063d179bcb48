"""The whole log of a run, with search."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.widgets import Input

from dgtui.engine.messages import LogMessage
from dgtui.screens.dialog import Dialog
from dgtui.screens.widgets.listing import Column, Listing, Row
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span, log_text

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine

_MOST_LINES = 20_000
_STYLES = {"warning": "warning", "error": "bad"}


def whole_log(engine: "Engine", run_id: str) -> tuple[LogMessage, ...]:
    """All lines of a run's log so far."""
    follower = engine.follower(run_id, log_lines=_MOST_LINES)
    follower.poll()
    return follower.snapshot.log


class LogScreen(Dialog[None]):
    """Lines as they were said; typing searches."""

    AUTO_FOCUS = "#search"
    DEFAULT_CSS = """
    LogScreen > #box { height: 100%; max-width: 100%; }
    LogScreen Listing { height: 1fr; }
    """

    def __init__(self, run_id: str, title: str) -> None:
        super().__init__(f"Log of {title}")
        self._run_id = run_id

    def compose_dialog(self) -> ComposeResult:
        """The search and the lines."""
        yield Input(placeholder="Search", id="search", compact=True)
        yield Listing([Column("Time"), Column("Line", flexible=True)], id="log", empty="Nothing was said yet")

    def on_mount(self) -> None:
        """Read it, and again while it grows."""
        self._read()
        self.set_interval(2, self._read)

    def _read(self) -> None:
        run_id = self._run_id
        self.engine_app.ask(self, f"log {run_id}", lambda engine: whole_log(engine, run_id), self._show)

    def _show(self, log: tuple[LogMessage, ...]) -> None:
        listing = self.query_one(Listing)
        at_end = listing.cursor >= len(listing.rows) - 1
        listing.show([_row(number, entry) for number, entry in enumerate(log)])
        if at_end:
            listing.action_end(1)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search as it is typed."""
        self.query_one(Listing).filter_by(event.value)

    def on_input_submitted(self) -> None:
        """To the lines."""
        self.query_one(Listing).focus()


def _row(number: int, entry: LogMessage) -> Row:
    time: Line = (Span(entry.at.astimezone().strftime("%H:%M:%S"), "dim"),)
    return Row(str(number), (time, (span(log_text(entry), _STYLES.get(entry.level, "")),)), sort=(number,))
