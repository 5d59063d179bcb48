"""Which runs are not over yet, or still have to be put right."""

import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.due_runs import due_runs
from dgtui.engine.catalog.proofs import proofs
from dgtui.engine.model import ENDED


def runs_under_way(database: Database) -> frozenset[str]:
    """The ids of the backups, restores and rehearsals that are recorded as not ended, or wait for their turn."""
    ended = sorted(ENDED)
    queries = (
        sa.select(tables.executions.c.execution_id).where(tables.executions.c.status.not_in(ended)),
        sa.select(tables.restores.c.restore_id).where(tables.restores.c.status.not_in(ended)),
        sa.select(proofs.c.proof_id).where(sa.or_(proofs.c.outcome.not_in(ended), proofs.c.leftover)),
        sa.select(due_runs.c.execution_id).where(due_runs.c.state.in_(["waiting", "starting"])),
    )
    with database.transaction() as connection:
        return frozenset(run_id for query in queries for run_id in connection.scalars(query))
