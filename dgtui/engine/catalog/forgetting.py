"""Storages that are not configured any more: what is known to lie there, and how to forget it."""

from collections.abc import Collection

from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.past import move_to_past
from dgtui.engine.catalog.statements import among
from dgtui.engine.messages import now

_PIECE = 500
_ONLY_AT = """
    SELECT here.execution_id FROM copies AS here
    WHERE here.storage = :storage AND here.path != ''
    AND NOT EXISTS (
        SELECT 1 FROM copies AS elsewhere
        WHERE elsewhere.execution_id = here.execution_id AND elsewhere.storage != :storage AND elsewhere.path != ''
    )
"""
"""The executions that lie at a storage and nowhere else."""


def copies_elsewhere(database: Database, storages: Collection[str]) -> dict[str, int]:
    """How many copies are known to lie, or perhaps lie, at other storages than these."""
    these = among("storage", storages)
    query = f"""
        SELECT storage, count(*) FROM copies
        WHERE NOT ({these.text}) AND path != '' AND status != 'missing'
        GROUP BY storage
    """
    with database.transaction() as connection:
        return {str(storage): int(count) for storage, count in connection.execute(query, these.values)}


def count_at(database: Database, storage: str) -> tuple[int, int]:
    """How many copies are known at a storage, and how many executions have no copy anywhere else."""
    values = {"storage": storage}
    with database.transaction() as connection:
        known = connection.scalar("SELECT count(*) FROM copies WHERE storage = :storage AND path != ''", values)
        alone = connection.scalar(f"SELECT count(*) FROM ({_ONLY_AT})", values)
    return int(known), int(alone)


def forget_storage(database: Database, storage: str) -> None:
    """Forget a storage and all copies there; executions that lie nowhere else count among the past ones."""
    while _forget_some(database, storage):
        pass
    with database.transaction() as connection:
        connection.execute("DELETE FROM copies WHERE storage = :storage", {"storage": storage})
        connection.execute("DELETE FROM storages WHERE name = :storage", {"storage": storage})


def _forget_some(database: Database, storage: str) -> bool:
    """Move some executions to the past, so that nobody waits for long; whether there may be more."""
    with database.transaction() as connection:
        ids = connection.scalars(f"{_ONLY_AT} LIMIT {_PIECE}", {"storage": storage})
        for execution_id in ids:
            move_to_past(connection, execution_id, at=now())
    return bool(ids)
