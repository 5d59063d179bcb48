"""Everything that was done, for the history."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from dgtui.config import Config
from dgtui.engine.model import ENDED, Execution, Record
from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_traces import left_behind, undone_by
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.restored_text import kept_words, keys_next, way_words
from dgtui.wording.words import short_id, size_text, took_text

if TYPE_CHECKING:
    from dgtui.engine.catalog.proofs import Proof
    from dgtui.engine.facade import Engine

Done: TypeAlias = "Execution | Restore | Proof"
"""A backup, a restore or a rehearsal."""
_MOST_ROWS = 1000


class Past(Record, frozen=True):
    """Everything that was done."""

    executions: tuple[Execution, ...]
    restores: tuple[Restore, ...]
    rehearsals: "tuple[Proof, ...]" = ()
    config: Config = Config()
    """By which the copies of a backup stand in the order in which they are tried."""

    @property
    def everything(self) -> Iterator[Done]:
        """All of it."""
        yield from self.executions
        yield from self.restores
        yield from self.rehearsals


def gather_past(engine: "Engine") -> Past:
    """The newest executions and rehearsals, and all restores."""
    return Past(
        executions=tuple(engine.executions(limit=_MOST_ROWS)),
        restores=tuple(engine.restores()),
        rehearsals=tuple(proof for proof in engine.proofs.newest() if proof.how == "rehearsal"),
        config=engine.config,
    )


def key_of(one: Done) -> str:
    """The id under which it is recorded, and under which its log is found."""
    if isinstance(one, Execution):
        return one.execution_id
    return one.restore_id if isinstance(one, Restore) else one.proof_id


def took_seconds(one: Done) -> float | None:
    """How long it took; None where it is not over, or was done by hand."""
    by_hand = isinstance(one, Restore) and one.by_hand
    return None if one.finished_at is None or by_hand else (one.finished_at - one.started_at).total_seconds()


def run_of(key: str, past: Past) -> str:
    """The run whose log tells of it: a safety backup is made in the run of its restore."""
    return next((one.restore_id for one in past.restores if one.safety_execution_id == key), key)


def _took(one: Done) -> str:
    """Said here because a narrow terminal has no column for it."""
    seconds = took_seconds(one)
    return f"took {took_text(seconds)}" if seconds is not None else ""


def _rehearsal_details(proof: "Proof") -> list[Line]:
    """From which copy, how much came back, how long it took, what differed, and what it left."""
    source = f"from {proof.storage}" if proof.storage else ""
    counted = f"{proof.rows:,} rows" if proof.rows is not None else ""
    who = f"by {proof.ordered_by}" if proof.ordered_by else ""
    left = f"it left {', '.join(proof.leftover.names)}" if proof.status in ENDED and proof.leftover else ""
    first = "  ".join(filter(None, [f"in {proof.place}", source, counted, _took(proof), who]))
    lines = [first, *proof.differences[:1], left]
    return [(Span(" "), span(line)) for line in lines if line]


def _execution_details(one: Execution) -> list[Line]:
    """What it is for, how large, and how long it took: on a narrow terminal there are no columns for that."""
    size = size_text(one.total_size_bytes) if one.total_size_bytes is not None else ""
    return [(span(" " + "  ".join(filter(None, [size, _took(one), one.description]))),)]


def _restore_details(restore: Restore, undone: Restore | None) -> list[Line]:
    """Why and by whom, how long it took, how it came to its place, what is kept, and what can be done."""
    who = f"by {restore.restored_by}" if restore.restored_by else ""
    kept = f"former content kept as {kept_words(restore)}" if kept_words(restore) else ""
    saved = f"safety backup {short_id(restore.safety_execution_id)}" if restore.safety_execution_id else ""
    undo_of = f"undo of {short_id(restore.undo_of)}" if restore.undo_of else ""
    left = f"it left {', '.join(left_behind(restore))}" if restore.status in ENDED and restore.placing else ""
    less_well = (*restore.warnings, *restore.differences)[:1]
    lines = [
        "  ".join(filter(None, [restore.reason, who, _took(restore), undo_of, way_words(restore, undone), *less_well])),
        kept,
        "   ".join(filter(None, [left, saved, *keys_next(restore, undone)])),
    ]
    return [(Span(" "), span(line)) for line in lines if line]


def details_of(one: Done, past: Past) -> list[Line]:
    """What is told of it below the table."""
    if isinstance(one, Execution):
        return _execution_details(one)
    if isinstance(one, Restore):
        return _restore_details(one, undone_by(one, past.restores))
    return _rehearsal_details(one)
