"""Storages that are not configured any more: what is known to lie there, and how to forget it."""

from collections.abc import Collection

import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.past import move_to_past
from dgtui.engine.messages import now

_PIECE = 500


def copies_elsewhere(database: Database, storages: Collection[str]) -> dict[str, int]:
    """How many copies are known to lie, or perhaps lie, at other storages than these."""
    columns = tables.copies.c
    query = (
        sa.select(columns.storage, sa.func.count())
        .where(columns.storage.not_in(sorted(storages)), columns.path != "", columns.status != "missing")
        .group_by(columns.storage)
    )
    with database.transaction() as connection:
        return {str(storage): int(count) for storage, count in connection.execute(query)}


def count_at(database: Database, storage: str) -> tuple[int, int]:
    """How many copies are known at a storage, and how many executions have no copy anywhere else."""
    columns = tables.copies.c
    copies = sa.select(sa.func.count()).select_from(tables.copies)
    alone = sa.select(sa.func.count()).select_from(_only_at(storage).subquery())
    with database.transaction() as connection:
        known = connection.scalar(copies.where(columns.storage == storage, columns.path != ""))
        return known or 0, connection.scalar(alone) or 0


def forget_storage(database: Database, storage: str) -> None:
    """Forget a storage and all copies there; executions that lie nowhere else count among the past ones."""
    while _forget_some(database, storage):
        pass
    with database.transaction() as connection:
        connection.execute(sa.delete(tables.copies).where(tables.copies.c.storage == storage))
        connection.execute(sa.delete(tables.storages).where(tables.storages.c.name == storage))


def _forget_some(database: Database, storage: str) -> bool:
    """Move some executions to the past, so that nobody waits for long; whether there may be more."""
    with database.transaction() as connection:
        ids = list(connection.scalars(_only_at(storage).limit(_PIECE)))
        for execution_id in ids:
            move_to_past(connection, execution_id, at=now())
    return bool(ids)


def _only_at(storage: str) -> sa.Select[str]:
    """The executions that lie at a storage and nowhere else."""
    here, elsewhere = tables.copies.alias(), tables.copies.alias()
    others = sa.exists().where(
        elsewhere.c.execution_id == here.c.execution_id, elsewhere.c.storage != storage, elsewhere.c.path != ""
    )
    return sa.select(here.c.execution_id).where(here.c.storage == storage, here.c.path != "", ~others)
