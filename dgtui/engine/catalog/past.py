"""Executions that are over and gone: their last copy was removed, but what they were still counts.

They have a table of their own, and not a mark on their row: no list, no rule of retention and no restore can take for
a backup what does not lie anywhere any more, whatever it forgets to ask for.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database, time_text

past_executions = sa.Table(
    "past_executions",
    tables.metadata,
    sa.Column("execution_id", sa.String, primary_key=True),
    sa.Column("job_id", sa.String, nullable=False),
    sa.Column("job", sa.String, nullable=False),
    sa.Column("datasource", sa.String, nullable=False),
    sa.Column("datasource_type", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("backup_type", sa.String, nullable=False),
    sa.Column("purpose", sa.String, nullable=False),
    sa.Column("started_at", sa.String, nullable=False),
    sa.Column("finished_at", sa.String),
    sa.Column("total_size_bytes", sa.Integer),
    sa.Column("compressed_size_bytes", sa.Integer),
    sa.Column("problem_kind", sa.String),
    sa.Column("removed_at", sa.String, nullable=False),
    sa.Index("past_executions_by_time", "started_at"),
    sa.Index("past_executions_of_job", "job", "started_at"),
)

_SAME = (
    "execution_id",
    "job_id",
    "job",
    "datasource",
    "datasource_type",
    "status",
    "backup_type",
    "purpose",
    "started_at",
    "finished_at",
    "total_size_bytes",
    "compressed_size_bytes",
)


def runs_ever() -> sa.CompoundSelect[tuple[str, ...]]:
    """All executions, those that are gone among them, with the columns that figures are made of."""
    executions = tables.executions.c
    kept = sa.select(
        *(executions[name] for name in _SAME), sa.func.json_extract(executions.problem, "$.kind").label("problem_kind")
    )
    gone = sa.select(*(past_executions.c[name] for name in _SAME), past_executions.c.problem_kind)
    return sa.union_all(kept, gone)


def move_to_past(connection: sa.Connection, execution_id: str, *, at: datetime) -> None:
    """Remove an execution from the catalogue, and keep what it was."""
    executions = tables.executions.c
    row = sa.select(
        *(executions[name] for name in _SAME),
        sa.func.json_extract(executions.problem, "$.kind"),
        sa.literal(time_text(at)),
    ).where(executions.execution_id == execution_id)
    statement = insert(past_executions).from_select([*_SAME, "problem_kind", "removed_at"], row)
    connection.execute(statement.prefix_with("OR REPLACE"))
    connection.execute(sa.delete(tables.copies).where(tables.copies.c.execution_id == execution_id))
    connection.execute(sa.delete(tables.executions).where(executions.execution_id == execution_id))


def bring_back(connection: sa.Connection, execution_id: str) -> None:
    """Forget that an execution was gone: a storage turned out to hold it still."""
    connection.execute(sa.delete(past_executions).where(past_executions.c.execution_id == execution_id))


def gone_executions(database: Database, ids: Iterable[str]) -> frozenset[str]:
    """Which of these executions are gone."""
    wanted = sa.select(sa.func.json_each(msgspec.json.encode(list(ids)).decode()).table_valued("value").c.value)
    query = sa.select(past_executions.c.execution_id).where(past_executions.c.execution_id.in_(wanted))
    with database.transaction() as connection:
        return frozenset(connection.scalars(query))
