"""The backups of the catalogue as retention has to know them: all of them, when room has to be made.

SQLite puts them together column by column, of those of a job that are alike.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from operator import lt
from typing import get_args

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.json_pages import literal, texts_of_ranges, texts_of_sequences
from dgtui.engine.job_backups import Backups, JobBackups
from dgtui.engine.model import RESTORABLE, Alike, CopyStatus, Record

_RESTORABLE = tables.executions.c.status.in_(sorted(RESTORABLE))
_PIECE = 5000
PAGE = 4000
"""So many executions are read at once: of few of them a job has too few that are alike."""


class _Group(Record, frozen=True, gc=False, array_like=True):
    """Backups that are alike."""

    kind: Alike
    execution_ids: list[str]
    taken: list[datetime]
    sizes: list[int | None]
    folders: list[str | None]
    sequences: list[int]


_groups = msgspec.json.Decoder(list[_Group])


def all_backups(database: Database, beside: Iterator[None] | None = None) -> Backups:
    """The executions that left a backup.

    Of `beside` a step is done after each page: a helper reads most of them then.
    """
    return _decoded(texts_of_ranges(database, _text_of, _RESTORABLE, size=PAGE), beside)


def backups_of(
    database: Database,
    job_ids: Collection[str],
    *,
    safety_of: Collection[str] | None = None,
    beside: Iterator[None] | None = None,
) -> Backups:
    """The backups of these jobs, and the safety copies of these datasources; None for those of all.

    `beside` is that of `all_backups`.
    """
    columns = tables.executions.c
    chosen = columns.job_id.in_(sorted(job_ids))
    safety = is_safety_copy()
    # Those of all are named as well: else all executions would be looked through.
    of_all = sa.select(columns.datasource).where(is_safety_copy()).distinct()
    safety &= columns.datasource.in_(of_all if safety_of is None else sorted(safety_of))
    if _are_most(database, chosen):
        # Their sequences would have to be sorted into pages first.
        wanted = _RESTORABLE & (chosen | safety)
        return _decoded(texts_of_ranges(database, _text_of, wanted, size=PAGE), beside)
    # By the jobs and the safety copies: almost all executions are restorable.
    restorable = columns.status.op("||")("").in_(sorted(RESTORABLE))
    sequences = sa.select(columns.sequence).where(restorable, sa.or_(chosen, safety)).order_by(columns.sequence)
    return _decoded(texts_of_sequences(database, _text_of, sequences, size=PAGE), beside)


def is_safety_copy() -> sa.ColumnElement[bool]:
    """Whether an execution is a safety copy, in the words that their index is found by."""
    return tables.executions.c.purpose == literal("safety")


def storages_with_copies(database: Database, storages: Iterable[str]) -> list[str]:
    """Those of these storages where anything of a backup was ever stored."""
    columns = tables.copies.c
    # With each status: so their index is searched.
    states = sorted(get_args(CopyStatus))
    with database.transaction() as connection:
        return [
            storage
            for storage in storages
            if connection.scalar(
                sa.select(sa.literal(1)).where(columns.status.in_(states), columns.storage == storage).limit(1)
            )
        ]


def jobs_with_executions(database: Database) -> list[str]:
    """The jobs (by id) that ever ran."""
    with database.transaction() as connection:
        return list(connection.scalars(sa.select(tables.executions.c.job_id).distinct()))


def save_states(database: Database, storage: str, states: Mapping[str, CopyStatus], at: datetime) -> None:
    """Store the states that the copies of executions at a storage were found in, as far as they are known still.

    In pieces, between which others write: however many there are, nobody waits for long.
    """
    by_status: dict[CopyStatus, list[str]] = defaultdict(list)
    for execution_id, status in states.items():
        by_status[status].append(execution_id)
    columns = tables.copies.c
    # One statement for a piece: with one for each of its rows SQLite and its driver would be busy five times as long.
    wanted = sa.select(sa.func.json_each(sa.bindparam("ids")).table_valued("value").c.value)
    statement = sa.update(tables.copies).where(columns.storage == storage, columns.execution_id.in_(wanted))
    for status, ids in by_status.items():
        changed = statement.values(status=status, checked_at=time_text(at), problem=None)
        for start in range(0, len(ids), _PIECE):
            with database.transaction() as connection:
                connection.execute(changed, {"ids": msgspec.json.encode(ids[start : start + _PIECE]).decode()})


def _are_most(database: Database, chosen: sa.ColumnElement[bool]) -> bool:
    """Whether more than half of all executions are chosen."""
    count = sa.select(sa.func.count()).select_from(tables.executions)
    with database.transaction() as connection:
        return (connection.scalar(count.where(chosen)) or 0) * 2 > (connection.scalar(count) or 0)


def _decoded(pages: Iterable[str], beside: Iterator[None] | None) -> Backups:
    groups: dict[str, list[_Group]] = {}
    for page in pages:
        for group in _groups.decode(f"[{page}]"):
            groups.setdefault(group.kind.job_id, []).append(group)
        if beside is not None:
            next(beside, None)
    return Backups([_joined(job_id, of_job) for job_id, of_job in groups.items()])


def _joined(job_id: str, groups: Sequence[_Group]) -> JobBackups:
    kinds: dict[Alike, int] = {}
    kind_of: list[int] = []
    for group in groups:
        kind_of += [kinds.setdefault(group.kind, len(kinds))] * len(group.sequences)
    joined = JobBackups(
        job_id=job_id,
        kinds=tuple(kinds),
        kind_of=kind_of,
        execution_ids=list(chain.from_iterable(group.execution_ids for group in groups)),
        taken=list(chain.from_iterable(group.taken for group in groups)),
        sizes=list(chain.from_iterable(group.sizes for group in groups)),
        folders=list(chain.from_iterable(group.folders for group in groups)),
        sequences=list(chain.from_iterable(group.sequences for group in groups)),
    )
    sequences = joined.sequences
    if all(map(lt, sequences, sequences[1:])):
        return joined
    return joined.at(sorted(range(len(joined)), key=sequences.__getitem__))


def _text_of(chosen: sa.ColumnElement[bool]) -> sa.Select[tuple[str]]:
    """The chosen ones as `_Group`s with commas between; names would have to be read again and again."""
    columns = tables.executions.c
    names = ("execution_id", "started_at", "compressed_size_bytes", "folder", "sequence")
    of_each = (sa.func.json_group_array(columns[name]) for name in names)
    group = sa.func.printf(literal("[%s,%s,%s,%s,%s,%s]"), columns.alike, *of_each).label("text")
    groups = sa.select(group).where(chosen).group_by(columns.alike).subquery()
    return sa.select(sa.func.group_concat(groups.c.text, literal(",\n")))
