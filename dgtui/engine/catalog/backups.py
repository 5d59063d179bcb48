"""The backups of the catalogue as retention has to know them: all of them, when room has to be made."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import get_args

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.json_pages import json_pages, json_ranges, literal
from dgtui.engine.model import OWN_FOLDERS, RESTORABLE, Backup, CopyStatus

_RESTORABLE = tables.executions.c.status.in_(sorted(RESTORABLE))
_PIECE = 5000
_backups = msgspec.json.Decoder(list[Backup])


def all_backups(database: Database, beside: Iterator[None] | None = None) -> list[Backup]:
    """The executions that left a backup, in the order of the catalogue.

    Of `beside` a step is done after each page: a helper reads most of them then.
    """
    return _decoded(json_ranges(database, _text(), _RESTORABLE, ours=_ours(beside)), beside)


def backups_of(
    database: Database,
    job_ids: Collection[str],
    *,
    safety_of: Collection[str] | None = None,
    beside: Iterator[None] | None = None,
) -> list[Backup]:
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
        return _decoded(json_ranges(database, _text(), _RESTORABLE & (chosen | safety), ours=_ours(beside)), beside)
    # By the jobs and the safety copies: almost all executions are restorable.
    restorable = columns.status.op("||")("").in_(sorted(RESTORABLE))
    sequence = columns.sequence
    wanted = sa.select(sequence).where(restorable, sa.or_(chosen, safety)).order_by(sequence)
    return _decoded(json_pages(database, wanted, _text(), ours=_ours(beside)), beside)


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


def _ours(beside: Iterator[None] | None) -> int:
    return 2 if beside is None else 3


def _decoded(pages: Iterable[str], beside: Iterator[None] | None) -> list[Backup]:
    found: list[Backup] = []
    for page in pages:
        found += _backups.decode(f"[{page}]")
        if beside is not None:
            next(beside, None)
    return found


def _text() -> sa.ColumnElement[str]:
    """A backup as an array, as its type says: names would have to be read a hundred thousand times."""
    own = (tables.executions.c[name] for name in Backup.__struct_fields__ if name != "where")
    return sa.func.json_array(*own, _where_text())


def _where_text() -> sa.ColumnElement[str]:
    """The copies of an execution as the JSON of their `KnownCopy`, as a text within the text."""
    executions, copies = tables.executions.c, tables.copies.c
    judged = (copies.status == "corrupt") | ((copies.status == "unknown") & copies.problem.is_not(None))
    own_folders = executions.job_id + literal("/") + executions.folder
    copy = sa.func.json_array(
        copies.storage,
        copies.status,
        sa.func.json(sa.case((judged, literal("true")), else_=literal("false"))),
        sa.func.coalesce(sa.func.replace(copies.path, own_folders, literal(OWN_FOLDERS)), copies.path),
    )
    text = sa.select(sa.func.json_group_array(copy)).where(copies.execution_id == executions.execution_id)
    return text.scalar_subquery().op("||")(literal(""))
