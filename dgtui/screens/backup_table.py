"""The backups of one datasource as rows: thousands take a while to word, so it is done in a thread."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from dgtui.engine.model import RESTORABLE, Copy, Execution, Record
from dgtui.screens.marks import copy_mark, rank
from dgtui.screens.times import age_text, until_text
from dgtui.screens.widgets.rows import Column, Row, measured
from dgtui.wording.panel import Line, Span
from dgtui.wording.states import COPY_MARKS
from dgtui.wording.terminal import Look
from dgtui.wording.words import cells, known_size, time_text, took_text

if TYPE_CHECKING:
    from dgtui.engine.catalog.proofs import Proven
    from dgtui.engine.facade import Engine
    from dgtui.engine.retention import Verdict

_FEW_STORAGES = 2
_LEAST_NAME = 6
"""How much of a storage's name is seen at least where there is room."""
_SHORT_NAMES = 9
"""So much of the names of a few leaves room to say on a narrow terminal how a backup was proven."""
_KINDS = {"full": "full", "schema_only": "schema", "data_only": "data", "incremental": "increment"}


class Overview(Record, frozen=True):
    """Which datasources have backups, and how many."""

    counts: tuple[tuple[str, int], ...] = ()


def gather_overview(engine: "Engine") -> Overview:
    """Count the backups of every datasource."""
    return Overview(counts=tuple(sorted(engine.backup_counts().items())))


class Keeping(Record, frozen=True):
    """What the rules say of the backups of one datasource, by the states of their copies as they were known last."""

    expiries: Mapping[str, datetime | None] = {}
    """When each one goes from its last storage, where that is known."""
    verdicts: Mapping[str, "tuple[Verdict, ...]"] = {}
    """Why each one stays or goes, at each of its storages."""


def gather_keeping(engine: "Engine", datasource: str) -> Keeping:
    """What the rules say now."""
    plan = engine.retention.plan_of_datasource(datasource)
    verdicts: dict[str, tuple[Verdict, ...]] = {}
    for verdict in plan.verdicts:
        verdicts[verdict.execution_id] = (*verdicts.get(verdict.execution_id, ()), verdict)
    return Keeping(expiries=plan.expiries(), verdicts=verdicts)


class Backups(Record, frozen=True):
    """The backups of one datasource, and when some of them were proven."""

    datasource: str = ""
    executions: tuple[Execution, ...] = ()
    proven: Mapping[str, "Proven"] = {}
    keeping: Keeping = Keeping()
    by_id: Mapping[str, Execution] = {}
    at: Mapping[str, Mapping[str, Execution]] = {}
    """For each storage that was written to those that were written; sorted out in the thread that asks."""


def gather_backups(engine: "Engine", datasource: str) -> Backups:
    """The backups of one datasource, the newest first."""
    executions = tuple(one for one in engine.executions(datasource=datasource) if one.status in RESTORABLE)
    by_id = {one.execution_id: one for one in executions}
    proven = {name: proof for name, proof in engine.proofs.proven().items() if name in by_id}
    at: dict[str, dict[str, Execution]] = {}
    for one in executions:
        for copy in one.copies:
            there = at.setdefault(copy.storage, {})
            if copy.path:
                there[one.execution_id] = one
    return Backups(
        datasource=datasource,
        executions=executions,
        proven=proven,
        keeping=gather_keeping(engine, datasource),
        by_id=by_id,
        at=at,
    )


def proof_text(proof: "Proven", moment: datetime) -> str:
    """`restored 2 d ago`."""
    return f"{'restored' if proof.how == 'restore' else 'rehearsed'} {age_text(proof.proven_at, moment)}"


@dataclass(frozen=True)
class BackupTable:
    """What was found of the backups so far, and how to show it."""

    backups: Backups
    storages: tuple[str, ...]
    look: Look
    moment: datetime
    words: bool = True
    """Whether there is room to say `unreachable` beside its glyph."""
    goes: bool = True
    """Whether there is room for a column of when each one goes; else that stands with the proof, where it matters."""
    live: Mapping[str, Mapping[str, Copy]] = field(default_factory=dict)
    """By storage and execution, the copies as they were found just now."""
    silent: frozenset[str] = frozenset()
    """The storages that do not answer just now: what is known of their copies may not be true any more."""

    @property
    def _is_crowded(self) -> bool:
        """Whether the storages leave little room for anything else."""
        names = sum(min(cells(name), _LEAST_NAME) for name in self.storages)
        return not self.words and (len(self.storages) > _FEW_STORAGES or (names > _SHORT_NAMES and not self.goes))

    @property
    def columns(self) -> list[Column]:
        """One for each storage among them."""
        # Where words have no room, a storage's column holds a single sign.
        enough = 4 if self._is_crowded else _LEAST_NAME
        return [
            Column("Taken"),
            Column("Kind", wide_only=self._is_crowded),
            Column("Size", right=True),
            Column("Ratio", right=True, wide_only=True, spared=1),
            Column("Took", right=True, wide_only=True, spared=1),
            *(Column(name, flexible=True, enough=enough, least=enough) for name in self.storages),
            *([Column("Expires", right=True)] if self.goes else []),
            Column("Proven", flexible=True, enough=12),
        ]

    def rows(self) -> list[Row]:
        """One for each backup."""
        return measured(self._row(one, self.backups.proven.get(one.execution_id)) for one in self.backups.executions)

    def copy_of(self, execution: Execution, storage: str) -> Copy | None:
        """A copy as it was found last: by a question just now, else by the catalogue."""
        live = self.live.get(storage, {}).get(execution.execution_id)
        return live or next((copy for copy in execution.copies if copy.storage == storage), None)

    def _row(self, one: Execution, proof: "Proven | None") -> Row:
        took = (one.finished_at - one.started_at).total_seconds() if one.finished_at is not None else 0.0
        size, stored = one.total_size_bytes, one.compressed_size_bytes
        ratio = stored / size if size and stored is not None else None
        return Row(
            key=one.execution_id,
            cells=(
                (Span(time_text(one.started_at)),),
                (Span("safety", "accent") if one.purpose == "safety" else Span(_KINDS[one.backup_type]),),
                (Span(known_size(size)),),
                (Span(f"{ratio:.2f}" if ratio is not None else "-"),),
                (Span(took_text(took)),),
                *(self._copy_cell(one, storage) for storage in self.storages),
                *([self._expiry(one) or (Span("-", "dim"),)] if self.goes else []),
                self._proof(one, proof),
            ),
            sort=(
                one.started_at,
                None,
                size,
                ratio,
                took,
                *(self._copy_rank(one, storage) for storage in self.storages),
                *([self._goes_at(one)] if self.goes else []),
                proof.proven_at if proof is not None else None,
            ),
        )

    def _goes_at(self, one: Execution) -> datetime | None:
        """When it goes from its last storage."""
        return self.backups.keeping.expiries.get(one.execution_id) or one.expires_at

    def _expiry(self, one: Execution) -> Line:
        """That it stays whatever the rules say, or when it goes."""
        if one.pin is not None:
            return (Span("pinned", "accent"),)
        moment = self._goes_at(one)
        if moment is None:
            return ()
        if moment <= self.moment:
            return (Span("expired", "warning"),)
        return (Span(until_text(moment, self.moment)),) if self.goes else ()

    def _copy_cell(self, one: Execution, storage: str) -> Line:
        copy = self.copy_of(one, storage)
        if copy is None:
            return ()
        if not copy.path:
            return (Span("failed", "bad"),)
        if storage in self.silent and one.execution_id not in self.live.get(storage, {}):
            return (Span(COPY_MARKS[copy.status].shown(self.look) + "?" + " no answer yet" * self.words, "dim"),)
        return (copy_mark(copy.status, self.look, word=self.words and copy.status == "unreachable"),)

    def _copy_rank(self, one: Execution, storage: str) -> int | None:
        copy = self.copy_of(one, storage)
        return None if copy is None or not copy.path else rank(COPY_MARKS, copy.status)

    def _proof(self, one: Execution, proof: "Proven | None") -> Line:
        expiry = () if self.goes else self._expiry(one)
        pieces: list[Span] = [*expiry, Span(" ")] if expiry else []
        if proof is not None:
            pieces.append(Span(self._proof_text(proof), "good"))
        return tuple(pieces) or (Span("-", "dim"),)

    def _proof_text(self, proof: "Proven") -> str:
        """How and when, in as many words as there is room for; below the table stand all of them."""
        text = proof_text(proof, self.moment)
        if self._is_crowded:
            _, _, text = text.partition(" ")
        return text if self.goes else text.removesuffix(" ago")
