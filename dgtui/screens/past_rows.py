"""What was done as rows of the history: a thousand of them take a while to word, so it is done in a thread."""

from datetime import datetime

from dgtui.config import Config
from dgtui.engine.model import Execution
from dgtui.engine.restore_model import Restore
from dgtui.screens.marks import execution_mark, rank
from dgtui.screens.past import Done, Past, key_of, took_seconds
from dgtui.screens.restore_offer import in_order
from dgtui.screens.widgets.rows import Column, Row, measured
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.states import EXECUTION_MARKS
from dgtui.wording.terminal import Look
from dgtui.wording.words import known_size, short_id, time_text, took_text

COLUMNS = (
    Column("When"),
    Column("What"),
    Column("Of", flexible=True, enough=28),
    Column("Status"),
    Column("Took", right=True, wide_only=True),
    Column("Size", right=True, wide_only=True, spared=1),
    Column("Where", flexible=True, enough=9),
)
"""On a narrow terminal it is said below the table how long it took, and how large it is."""

_TO_THE_MINUTE = len("2025-02-13 06:00")


def past_rows(past: Past, wanted: frozenset[str] | None, look: Look, *, narrow: bool = False) -> list[Row]:
    """One for everything that was done, or that ended as wanted, the newest first; `narrow` leaves seconds out."""
    chosen = [one for one in past.everything if wanted is None or one.status in wanted]
    chosen.sort(key=_begin, reverse=True)
    return measured(_row(one, past.config, look, narrow=narrow) for one in chosen)


def _begin(one: Done) -> datetime:
    return one.started_at


def _row(one: Done, config: Config, look: Look, *, narrow: bool) -> Row:
    what, of, size, where = _words(one, config)
    took, when = took_seconds(one), time_text(one.started_at)
    return Row(
        key=key_of(one),
        cells=(
            (Span(when[:_TO_THE_MINUTE] if narrow else when),),
            (Span(what),),
            of,
            (execution_mark(one.status, look),),
            (Span(took_text(took) if took is not None else "-"),),
            (Span(known_size(size)),),
            (span(where),),
        ),
        sort=(one.started_at, None, None, rank(EXECUTION_MARKS, one.status), took, size),
    )


def _words(one: Done, config: Config) -> tuple[str, Line, int | None, str]:
    """What it was, of what, how large, and where."""
    if isinstance(one, Execution):
        where = ", ".join(copy.storage for copy in in_order(config, one.copies) if copy.path)
        return "backup" if one.purpose == "backup" else one.purpose, (span(one.job),), one.total_size_bytes, where
    if isinstance(one, Restore):
        undo = one.undo_of is not None
        source = f"undoes {short_id(one.undo_of or '')}" if undo else f"from {short_id(one.execution_id)}"
        return "undo" if undo else "restore", (span(f"{one.datasource} {source}"),), None, one.storage or ""
    source = f"{one.job or one.datasource} from {short_id(one.execution_id)}"
    return "rehearsal", (span(source),), None, one.place
