"""The history: every execution and every restore, and why something failed."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dgtui.engine.model import RESTORABLE, Execution, Problem, Record, Restore
from dgtui.screens.execution import ExecutionScreen
from dgtui.screens.log import LogScreen
from dgtui.screens.marks import execution_mark
from dgtui.screens.tab import TabScreen
from dgtui.screens.widgets.listing import Column, Listing, Row, measured
from dgtui.screens.widgets.styled import Lines, span
from dgtui.wording.panel import Line, Span
from dgtui.wording.words import known_size, one_line, short_id, time_text, took_text

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine

_COLUMNS = (
    Column("When"),
    Column("What"),
    Column("Of", flexible=True),
    Column("Status"),
    Column("Took", right=True),
    Column("Size", right=True, wide_only=True),
    Column("Where", flexible=True),
)
_MOST_ROWS = 1000
FILTERS: dict[str, frozenset[str] | None] = {
    "all": None,
    "failed": frozenset({"failed", "interrupted", "partial"}),
    "cancelled": frozenset({"cancelled"}),
    "completed": RESTORABLE,
    "running": frozenset({"queued", "running"}),
}


class Past(Record, frozen=True):
    """Everything that was done."""

    executions: tuple[Execution, ...]
    restores: tuple[Restore, ...]


def gather_past(engine: "Engine") -> Past:
    """The newest executions and all restores."""
    return Past(executions=tuple(engine.executions(limit=_MOST_ROWS)), restores=tuple(engine.restores()))


class HistoryScreen(TabScreen):
    """What happened."""

    TAB = "history"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "status", "Status", id="history.status", tooltip="Show only what ended like this"),
        Binding("l", "log", "Log", id="history.log", tooltip="The whole log of the selected one"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._past = Past(executions=(), restores=())
        self._status = "all"

    def compose_content(self) -> ComposeResult:
        """The table, and below it why the selected one failed."""
        yield Listing(_COLUMNS, id="history", empty="Nothing was done yet")
        yield Lines([(), (), ()], id="details")

    def gather(self) -> None:
        """Ask for everything that was done."""
        self.engine_app.ask(self, "history", gather_past, self._take, self.show_failure)

    def _take(self, past: Past) -> None:
        self._past = past
        self._show()

    def _show(self) -> None:
        """Word the rows in a thread: a thousand of them would hold up the keys."""
        wanted, past = FILTERS[self._status], self._past
        empty = "Nothing was done yet" if wanted is None else f"Nothing here is {self._status}; f shows others"
        self.engine_app.asking.ask(
            self, "history rows", lambda: self._rows(past, wanted), lambda rows: self._show_rows(rows, empty)
        )

    def _show_rows(self, rows: list[Row], empty: str) -> None:
        self.query_one("#history", Listing).show(rows, empty=empty)
        self._show_details()

    def _rows(self, past: Past, wanted: frozenset[str] | None) -> list[Row]:
        moments: list[tuple[datetime, Row]] = []
        for one in past.executions:
            if wanted is None or one.status in wanted:
                moments.append((one.started_at, self._execution_row(one)))
        for restore in past.restores:
            if wanted is None or restore.status in wanted:
                moments.append((restore.started_at, self._restore_row(restore)))
        moments.sort(key=lambda entry: entry[0], reverse=True)
        return measured([row for _, row in moments])

    def _execution_row(self, one: Execution) -> Row:
        where = ", ".join(copy.storage for copy in one.copies if copy.path)
        return self._row(one, "backup", (span(one.job),), one.total_size_bytes, where)

    def _restore_row(self, one: Restore) -> Row:
        of: Line = (span(f"{short_id(one.execution_id)} into {one.datasource}"),)
        return self._row(one, "restore", of, None, one.storage or "")

    def _row(self, one: Execution | Restore, what: str, of: Line, size: int | None, where: str) -> Row:
        took = (one.finished_at - one.started_at).total_seconds() if one.finished_at is not None else None
        return Row(
            key=one.execution_id if isinstance(one, Execution) else one.restore_id,
            cells=(
                (Span(time_text(one.started_at)),),
                (Span(what),),
                of,
                (execution_mark(one.status, self.engine_app.look),),
                (Span(took_text(took) if took is not None else "-"),),
                (Span(known_size(size)),),
                (span(where),),
            ),
            sort=(one.started_at, None, None, None, took, size),
        )

    @property
    def selected(self) -> Execution | Restore | None:
        """What is under the cursor."""
        key = self.query_one("#history", Listing).key
        for one in self._past.executions:
            if one.execution_id == key:
                return one
        return next((restore for restore in self._past.restores if restore.restore_id == key), None)

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Tell why it failed."""
        self._show_details()

    def _show_details(self) -> None:
        one = self.selected
        lines: list[Line] = [(), (), ()]
        if one is not None and one.problem is not None:
            lines = self._problem_lines(one.problem)
        elif one is not None:
            note = one.description if isinstance(one, Execution) else _restore_note(one)
            lines[0] = (Span(" "), span(note))
        if self._status != "all":
            lines[2] = (Span(f" Shown: {self._status}", "dim"),)
        self.query_one("#details", Lines).show(lines)

    def _problem_lines(self, problem: Problem) -> list[Line]:
        arrow = self.engine_app.look.glyph("→", "->")
        tail = "  ".join(one_line(line) for line in problem.detail[-2:])
        return [
            (Span(" "), span(problem.message, "bad")),
            (span(f" {arrow} {problem.hint}" if problem.hint else ""),),
            (span(f" {tail}", "dim"),),
        ]

    def action_status(self) -> None:
        """Show only the next kind of end."""
        names = list(FILTERS)
        self._status = names[(names.index(self._status) + 1) % len(names)]
        self._show()

    def on_listing_opened(self) -> None:
        """Everything about a backup; the panel of a restore."""
        if isinstance(self.selected, Execution):
            self.app.push_screen(ExecutionScreen(self.selected))
        elif self.selected is not None:
            self.action_log()

    def action_log(self) -> None:
        """The whole log of the selected one."""
        key = self.query_one("#history", Listing).key
        if key is not None:
            self.app.push_screen(LogScreen(key, short_id(key)))


def _restore_note(restore: Restore) -> str:
    who = f"by {restore.restored_by}" if restore.restored_by else ""
    kept = f"the former content is kept as {restore.kept_as}" if restore.kept_as else ""
    return "  ".join(filter(None, [restore.reason, who, kept, *restore.differences[:1]]))
