"""The whole log of a run to its end, with search."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.widgets import Input

from dgtui.engine.messages import LogMessage
from dgtui.screens.dialog import Dialog
from dgtui.screens.text import TextScreen
from dgtui.screens.widgets.details import Details
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row, measured
from dgtui.screens.widgets.styled import plain, span
from dgtui.wording.dialog_words import in_dialog
from dgtui.wording.panel import Line, Span, log_text
from dgtui.wording.problem_text import other_warnings
from dgtui.wording.states import EXECUTION_MARKS
from dgtui.wording.terminal import Look

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine
    from dgtui.engine.run_follower import RunFollower, RunSnapshot

_MOST_LINES = 20_000
_STYLES = {"warning": "warning", "error": "bad"}


class GrowingLog:
    """A run's log as rows; each look adds only what was said since the last one."""

    def __init__(self, run_id: str, look: Look) -> None:
        self._run_id = run_id
        self._look = look
        self._follower: RunFollower | None = None
        self._count = 0
        self._rows: list[Row] = []

    def read(self, engine: "Engine") -> list[Row]:
        """All lines so far. Call it from one thread at a time."""
        if not _is_filled(engine.paths.messages(self._run_id)):
            return []  # cleared away with its backup, or a restore that somebody did by hand
        if self._follower is None:
            self._follower = engine.follower(self._run_id, log_lines=_MOST_LINES)
        self._follower.poll()
        snapshot = self._follower.snapshot
        said = snapshot.log_count - self._count
        fresh = snapshot.log[-said:] if said > 0 else ()
        first, self._count = snapshot.log_count - len(fresh), snapshot.log_count
        self._rows += measured([_row(number, entry) for number, entry in enumerate(fresh, start=first)])
        return [*self._rows, *measured(list(_end_rows(snapshot, self._look)))]


def _is_filled(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except OSError:
        return False


class LogScreen(Dialog[None]):
    """Lines as they were said; typing searches, and the selected one is seen whole."""

    AUTO_FOCUS = "#search"
    ENTER: ClassVar[dict[str, str]] = {"search": "To the lines"}
    DEFAULT_CSS = """
    LogScreen > #box { height: 100%; max-width: 100%; }
    LogScreen Listing { height: 1fr; }
    LogScreen Details { height: 5; margin-top: 1; }
    """

    def __init__(self, run_id: str, title: str) -> None:
        super().__init__(f"Log of {title}")
        self._run_id = run_id
        self._growing: GrowingLog | None = None

    def compose_dialog(self) -> ComposeResult:
        """The search, the lines, and the selected one."""
        yield Input(placeholder="Search", id="search", compact=True)
        yield Listing([Column("Time"), Column("Line", flexible=True)], id="log", empty="There is no log, or not yet")
        yield Details(self.engine_app.look, id="selected")

    def on_mount(self) -> None:
        """Read it, and again while it grows."""
        self._read()
        self.set_interval(2, self._read)

    def _read(self) -> None:
        if self._growing is None:
            self._growing = GrowingLog(self._run_id, self.engine_app.look)
        self.engine_app.ask(self, f"log {self._run_id}", self._growing.read, self._show)

    def _show(self, rows: list[Row]) -> None:
        listing = self.query_one(Listing)
        at_end = listing.cursor >= len(listing.rows) - 1
        listing.show(rows)
        if at_end:
            listing.action_end(1)
        self._show_selected()

    @property
    def _selected(self) -> Row | None:
        listing = self.query_one(Listing)
        return listing.rows[listing.cursor] if listing.cursor < len(listing.rows) else None

    def on_listing_moved(self) -> None:
        """Show the line to its end."""
        self._show_selected()

    def _show_selected(self) -> None:
        row = self._selected
        self.query_one(Details).show([row.cells[1]] if row is not None else [])

    def on_listing_opened(self) -> None:
        """The line alone, to read and to scroll however long it is."""
        row = self._selected
        if row is not None:
            self.app.push_screen(TextScreen(plain(row.cells[0]), [(span(plain(row.cells[1])),)]))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search as it is typed."""
        self.query_one(Listing).filter_by(event.value)

    def on_input_submitted(self) -> None:
        """To the lines."""
        self.query_one(Listing).focus()


def _row(number: int, entry: LogMessage) -> Row:
    line = span(log_text(entry), _STYLES.get(entry.level, ""))
    return Row(str(number), (_time(entry.at), (line,)), sort=(number,))


def _time(moment: datetime | None) -> Line:
    return (Span(moment.astimezone().strftime("%H:%M:%S"), "dim"),) if moment is not None else ()


def _end_rows(snapshot: "RunSnapshot", look: Look) -> Iterator[Row]:
    """How it ended, and where it failed why, and what to do next."""
    if not snapshot.ended:
        return
    problem, style = snapshot.problem, EXECUTION_MARKS[snapshot.status].style
    lines = [span(f"warning: {warning}", "warning") for warning in other_warnings(snapshot.warnings, problem)]
    lines.append(span(snapshot.status if problem is None else f"{snapshot.status}: {problem.message}", style))
    if problem is not None and problem.hint:
        lines.append(span(f"{look.glyph('→', '->')} {in_dialog(problem.hint)}"))
    for number, line in enumerate(lines, start=snapshot.log_count):
        yield Row(f"end {number}", (_time(snapshot.ended_at), (line,)), sort=(number,))
