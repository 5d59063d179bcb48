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

from dgtui.engine.catalog.conditions import (
    IS_OF_DATASOURCE_WITH_SAFETY_COPIES,
    IS_RESTORABLE,
    IS_RESTORABLE_UNINDEXED,
    IS_SAFETY_COPY,
)
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.json_pages import texts_of_ranges, texts_of_sequences
from dgtui.engine.catalog.statements import Sql, all_of, among, json_list, words
from dgtui.engine.job_backups import Backups, JobBackups
from dgtui.engine.model import Alike, CopyStatus, Record

_RESTORABLE = Sql(IS_RESTORABLE)
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
    chosen = among("job_id", job_ids)
    wanted = _or_safety_copy(chosen, safety_of)
    if _are_most(database, chosen):
        # Their sequences would have to be sorted into pages first.
        return _decoded(texts_of_ranges(database, _text_of, all_of(_RESTORABLE, wanted), size=PAGE), beside)
    condition = all_of(Sql(IS_RESTORABLE_UNINDEXED), wanted)
    sequences = Sql(f"SELECT sequence FROM executions WHERE {condition.text} ORDER BY sequence", condition.values)
    return _decoded(texts_of_sequences(database, _text_of, sequences, size=PAGE), beside)


def _or_safety_copy(chosen: Sql, safety_of: Collection[str] | None) -> Sql:
    """The chosen ones, and the safety copies of these datasources; None for those of all."""
    # Those of all are named as well: else all executions would be looked through.
    of_all = Sql(IS_OF_DATASOURCE_WITH_SAFETY_COPIES)
    of_these = of_all if safety_of is None else among("datasource", safety_of)
    text = f"{chosen.text} OR ({IS_SAFETY_COPY} AND {of_these.text})"
    return Sql(text, {**chosen.values, **of_these.values})


def storages_with_copies(database: Database, storages: Iterable[str]) -> list[str]:
    """Those of these storages where anything of a backup was ever stored."""
    # With each status: so their index is searched.
    query = f"SELECT 1 FROM copies WHERE status IN {words(get_args(CopyStatus))} AND storage = :storage LIMIT 1"
    with database.transaction() as connection:
        return [storage for storage in storages if connection.scalar(query, {"storage": storage})]


def jobs_with_executions(database: Database) -> list[str]:
    """The jobs (by id) that ever ran."""
    with database.transaction() as connection:
        return connection.scalars("SELECT DISTINCT job_id FROM executions")


def save_states(database: Database, storage: str, states: Mapping[str, CopyStatus], at: datetime) -> None:
    """Store the states that the copies of executions at a storage were found in, as far as they are known still.

    In pieces, between which others write: however many there are, nobody waits for long.
    """
    by_status: dict[CopyStatus, list[str]] = defaultdict(list)
    for execution_id, status in states.items():
        by_status[status].append(execution_id)
    # One statement for a piece: with one for each of its rows SQLite and its driver would be busy five times as long.
    statement = """
        UPDATE copies SET status = :status, checked_at = :at, problem = NULL
        WHERE storage = :storage AND execution_id IN (SELECT value FROM json_each(:ids))
    """
    for status, ids in by_status.items():
        values = {"status": status, "at": time_text(at), "storage": storage}
        for start in range(0, len(ids), _PIECE):
            with database.transaction() as connection:
                connection.execute(statement, {**values, "ids": json_list(ids[start : start + _PIECE])})


def _are_most(database: Database, chosen: Sql) -> bool:
    """Whether more than half of all executions are chosen."""
    count = "SELECT count(*) FROM executions"
    with database.transaction() as connection:
        number = connection.scalar(f"{count} {chosen.where}", chosen.values)
        return bool(number * 2 > connection.scalar(count))


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


def _text_of(chosen: Sql) -> Sql:
    """The chosen ones as `_Group`s with commas between; names would have to be read again and again."""
    names = ("execution_id", "started_at", "compressed_size_bytes", "folder", "sequence")
    of_each = ", ".join(f"json_group_array({name})" for name in names)
    text = f"""
        SELECT group_concat(text, ',\n') FROM (
            SELECT printf('[%s,%s,%s,%s,%s,%s]', alike, {of_each}) AS text
            FROM executions WHERE {chosen.text} GROUP BY alike
        )
    """
    return Sql(text, chosen.values)
