"""Executions that are over and gone: their last copy was removed, but what they were still counts.

They have a table of their own, and not a mark on their row: no list, no rule of retention and no restore can take for
a backup what does not lie anywhere any more, whatever it forgets to ask for.
"""

from collections.abc import Iterable
from datetime import datetime

from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.statements import any_of

_SAME = (
    "execution_id, job_id, job, datasource, datasource_type, status, backup_type, purpose, started_at, finished_at, "
    "total_size_bytes, compressed_size_bytes"
)
_AS_PAST = f"SELECT {_SAME}, json_extract(problem, '$.kind') AS problem_kind"
RUNS_EVER = f"{_AS_PAST} FROM executions UNION ALL SELECT {_SAME}, problem_kind FROM past_executions"
"""All executions, those that are gone among them, with the columns that figures are made of."""
_MOVE = f"""
    INSERT OR REPLACE INTO past_executions ({_SAME}, problem_kind, removed_at)
    {_AS_PAST}, :removed_at FROM executions WHERE execution_id = :execution_id
"""


def move_to_past(connection: Connection, execution_id: str, *, at: datetime) -> None:
    """Remove an execution from the catalogue, and keep what it was."""
    connection.execute(_MOVE, {"execution_id": execution_id, "removed_at": time_text(at)})
    connection.execute("DELETE FROM copies WHERE execution_id = :execution_id", {"execution_id": execution_id})
    connection.execute("DELETE FROM executions WHERE execution_id = :execution_id", {"execution_id": execution_id})


def bring_back(connection: Connection, execution_id: str) -> None:
    """Forget that an execution was gone: a storage turned out to hold it still."""
    connection.execute("DELETE FROM past_executions WHERE execution_id = :execution_id", {"execution_id": execution_id})


def gone_executions(database: Database, ids: Iterable[str]) -> frozenset[str]:
    """Which of these executions are gone."""
    wanted = any_of("execution_id", ids)
    with database.transaction() as connection:
        query = f"SELECT execution_id FROM past_executions {wanted.where}"
        return frozenset(connection.scalars(query, wanted.values))
