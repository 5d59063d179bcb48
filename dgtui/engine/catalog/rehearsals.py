"""What the daemon remembers of the rehearsals that jobs ask for: up to when their timetables were acted on."""

from datetime import datetime

import msgspec

from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.conditions import IS_RESTORABLE
from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.database import time_text
from dgtui.engine.catalog.proofs import Proof, claim_proof
from dgtui.engine.catalog.statements import Sql, among
from dgtui.engine.model import Execution, Record

_LOOKED_AT = 20
_BACKUPS_OF_JOB = f"""
    job_id = :job_id AND {IS_RESTORABLE} AND purpose = 'backup' AND backup_type != 'data_only'
"""


class RehearsalTimetable(Record, frozen=True):
    """Up to when a job's timetable of rehearsals was acted on."""

    job_id: str
    timetable: str
    """The text of the schedule that it was."""
    handled_until: datetime


class RehearsalTable:
    """Timetables of rehearsals, and the claims made by them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def states(self) -> dict[str, RehearsalTimetable]:
        """How far each job's timetable was acted on, by the job's id."""
        with self._catalog.transaction() as connection:
            rows = connection.execute("SELECT job_id, timetable, handled_until FROM rehearsal_timetables").fetchall()
        return {row["job_id"]: msgspec.convert(dict(row), RehearsalTimetable) for row in rows}

    def save(self, state: RehearsalTimetable) -> None:
        """Follow a job's timetable from a moment on."""
        with self._catalog.transaction() as connection:
            _write(connection, state)

    def forget(self, job_ids: set[str]) -> None:
        """Follow these no more."""
        if job_ids:
            these = among("job_id", job_ids)
            with self._catalog.transaction() as connection:
                connection.execute(f"DELETE FROM rehearsal_timetables WHERE {these.text}", these.values)

    def newest_backup(self, job_id: str) -> Execution | None:
        """The newest backup of a job that has a copy which is not known to be bad."""
        newest = Sql(f"WHERE {_BACKUPS_OF_JOB} ORDER BY sequence DESC LIMIT {_LOOKED_AT}", {"job_id": job_id})
        for execution in self._catalog.select_executions(newest):
            if any(copy.path and copy.status not in ("missing", "corrupt") for copy in execution.copies):
                return execution
        return None

    def backups_since_proof(self, job_id: str) -> int:
        """How many good backups a job has made since the newest one that is proven."""
        newest_proven = """
            SELECT max(executions.sequence)
            FROM executions JOIN proofs ON proofs.execution_id = executions.execution_id
            WHERE executions.job_id = :job_id AND proofs.outcome = 'completed'
        """
        later = f"SELECT count(*) FROM executions WHERE {_BACKUPS_OF_JOB} AND sequence > :proven"
        with self._catalog.transaction() as connection:
            proven = connection.scalar(newest_proven, {"job_id": job_id}) or 0
            return int(connection.scalar(later, {"job_id": job_id, "proven": proven}))

    def claim(self, proof: Proof, claim: str, state: RehearsalTimetable | None) -> bool:
        """Write a rehearsal down as queued, before anything is started; False where this claim was made before."""
        with self._catalog.transaction() as connection:
            claimed = claim_proof(connection, proof, claim)
            if state is not None:
                _write(connection, state)
        return claimed


def _write(connection: Connection, state: RehearsalTimetable) -> None:
    values = {
        "job_id": state.job_id,
        "timetable": state.timetable,
        "handled_until": time_text(state.handled_until),
    }
    connection.upsert("rehearsal_timetables", values, key="job_id")
