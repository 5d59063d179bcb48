"""Backups of runs whose worker died, for which a storage could not be asked when that was recorded."""

from datetime import datetime

import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.database import time_text
from dgtui.engine.model import INTERRUPTED, Execution

_OF_DEAD_RUN = f'"kind":"{INTERRUPTED}"'


def unsettled_backups(catalog: Catalog) -> list[Execution]:
    """Those for which a storage could still not be asked."""
    columns, copies = tables.executions.c, tables.copies.c
    # By the execution, of which there are few, and not by that state, in which all copies at a storage may be.
    unreachable = copies.status.op("||")("") == "unreachable"
    silent = sa.exists().where(copies.execution_id == columns.execution_id, unreachable)
    return catalog.select_executions(
        sa.select(tables.executions).where(
            columns.status.in_(("interrupted", "partial")), columns.problem.contains(_OF_DEAD_RUN), silent
        )
    )


def answered_since(catalog: Catalog, storage: str, moment: datetime) -> bool:
    """Whether any copy was found at a storage after a moment."""
    columns = tables.copies.c
    query = sa.select(sa.literal(1)).where(
        columns.status == "available", columns.storage == storage, columns.checked_at > time_text(moment)
    )
    with catalog.transaction() as connection:
        return connection.scalar(query.limit(1)) is not None


def complete_if_everywhere(catalog: Catalog, execution: Execution) -> bool:
    """Record that a backup of a dead run is complete, where each of its storages turned out to hold it."""
    if execution.status != "partial" or execution.problem is None or execution.problem.kind != INTERRUPTED:
        return False
    columns, copies = tables.executions.c, tables.copies.c
    lacking = sa.exists().where(copies.execution_id == execution.execution_id, copies.status != "available")
    statement = sa.update(tables.executions).where(
        columns.execution_id == execution.execution_id, columns.status == "partial", sa.not_(lacking)
    )
    with catalog.transaction() as connection:
        return connection.execute(statement.values(status="completed", problem=None)).rowcount > 0
