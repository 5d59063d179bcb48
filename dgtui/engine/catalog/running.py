"""Which runs are not over yet, or still have to be put right."""

from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.statements import words
from dgtui.engine.model import ENDED


def runs_under_way(database: Database) -> frozenset[str]:
    """The ids of the backups, restores and rehearsals that are recorded as not ended, or wait for their turn."""
    ended = words(ENDED)
    queries = (
        f"SELECT execution_id FROM executions WHERE status NOT IN {ended}",
        f"SELECT restore_id FROM restores WHERE status NOT IN {ended}",
        f"SELECT proof_id FROM proofs WHERE outcome NOT IN {ended} OR leftover = 1",
        "SELECT execution_id FROM due_runs WHERE state IN ('waiting', 'starting')",
    )
    with database.transaction() as connection:
        return frozenset(run_id for query in queries for run_id in connection.scalars(query))
