"""Backups of runs whose worker died, for which a storage could not be asked when that was recorded."""

from datetime import datetime

from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.database import time_text
from dgtui.engine.catalog.statements import Sql, text_containing
from dgtui.engine.model import INTERRUPTED, Execution

_OF_DEAD_RUN = text_containing("executions.problem", f'"kind":"{INTERRUPTED}"')


def unsettled_backups(catalog: Catalog) -> list[Execution]:
    """Those for which a storage could still not be asked."""
    # By the execution, of which there are few, and not by that state, in which all copies at a storage may be.
    unsettled = f"""
        WHERE executions.status IN ('interrupted', 'partial') AND {_OF_DEAD_RUN.text}
        AND EXISTS (
            SELECT 1 FROM copies
            WHERE copies.execution_id = executions.execution_id AND copies.status || '' = 'unreachable'
        )
    """
    return catalog.select_executions(Sql(unsettled, _OF_DEAD_RUN.values))


def answered_since(catalog: Catalog, storage: str, moment: datetime) -> bool:
    """Whether any copy was found at a storage after a moment."""
    query = """
        SELECT 1 FROM copies
        WHERE status = 'available' AND storage = :storage AND checked_at > :moment
        LIMIT 1
    """
    with catalog.transaction() as connection:
        return connection.scalar(query, {"storage": storage, "moment": time_text(moment)}) is not None


def complete_if_everywhere(catalog: Catalog, execution: Execution) -> bool:
    """Record that a backup of a dead run is complete, where each of its storages turned out to hold it."""
    if execution.status != "partial" or execution.problem is None or execution.problem.kind != INTERRUPTED:
        return False
    statement = """
        UPDATE executions SET status = 'completed', problem = NULL
        WHERE execution_id = :execution_id AND status = 'partial'
        AND NOT EXISTS (SELECT 1 FROM copies WHERE execution_id = :execution_id AND status != 'available')
    """
    with catalog.transaction() as connection:
        return connection.execute(statement, {"execution_id": execution.execution_id}).rowcount > 0
