"""The whole log of a run, with search."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.widgets import Input

from dgtui.engine.messages import LogMessage
from dgtui.screens.dialog import Dialog
from dgtui.screens.widgets.listing import Column, Listing, Row, measured
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span, log_text

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine
    from dgtui.engine.runs import RunFollower

_MOST_LINES = 20_000
_STYLES = {"warning": "warning", "error": "bad"}


class GrowingLog:
    """A run's log as rows; each look adds only what was said since the last one."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._follower: RunFollower | None = None
        self._count = 0
        self._rows: list[Row] = []

    def read(self, engine: "Engine") -> list[Row]:
        """All lines so far. Call it from one thread at a time."""
        if self._follower is None:
            self._follower = engine.follower(self._run_id, log_lines=_MOST_LINES)
        self._follower.poll()
        snapshot = self._follower.snapshot
        said = snapshot.log_count - self._count
        fresh = snapshot.log[-said:] if said > 0 else ()
        first, self._count = snapshot.log_count - len(fresh), snapshot.log_count
        self._rows += measured([_row(number, entry) for number, entry in enumerate(fresh, start=first)])
        return list(self._rows)


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
        self._growing = GrowingLog(run_id)

    def compose_dialog(self) -> ComposeResult:
        """The search and the lines."""
        yield Input(placeholder="Search", id="search", compact=True)
        yield Listing([Column("Time"), Column("Line", flexible=True)], id="log", empty="Nothing was said yet")

    def on_mount(self) -> None:
        """Read it, and again while it grows."""
        self._read()
        self.set_interval(2, self._read)

    def _read(self) -> None:
        self.engine_app.ask(self, f"log {self._run_id}", self._growing.read, self._show)

    def _show(self, rows: list[Row]) -> None:
        listing = self.query_one(Listing)
        at_end = listing.cursor >= len(listing.rows) - 1
        listing.show(rows)
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
