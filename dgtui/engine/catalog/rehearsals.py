"""What the daemon remembers of the rehearsals that jobs ask for: up to when their timetables were acted on."""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.database import time_text
from dgtui.engine.catalog.proofs import Proof, claim_proof, proofs
from dgtui.engine.model import RESTORABLE, Execution, Record

_LOOKED_AT = 20

rehearsal_timetables = sa.Table(
    "rehearsal_timetables",
    tables.metadata,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("timetable", sa.String, nullable=False),
    sa.Column("handled_until", sa.String, nullable=False),
)


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
            rows = connection.execute(sa.select(rehearsal_timetables)).mappings().all()
        plain = [{str(name): value for name, value in row.items()} for row in rows]
        return {row["job_id"]: msgspec.convert(row, RehearsalTimetable) for row in plain}

    def save(self, state: RehearsalTimetable) -> None:
        """Follow a job's timetable from a moment on."""
        with self._catalog.transaction() as connection:
            _write(connection, state)

    def forget(self, job_ids: set[str]) -> None:
        """Follow these no more."""
        if job_ids:
            with self._catalog.transaction() as connection:
                chosen = rehearsal_timetables.c.job_id.in_(sorted(job_ids))
                connection.execute(sa.delete(rehearsal_timetables).where(chosen))

    def newest_backup(self, job_id: str) -> Execution | None:
        """The newest backup of a job that has a copy which is not known to be bad."""
        query = _backups_of(job_id).order_by(tables.executions.c.sequence.desc()).limit(_LOOKED_AT)
        for execution in self._catalog.select_executions(query):
            if any(copy.path and copy.status not in ("missing", "corrupt") for copy in execution.copies):
                return execution
        return None

    def backups_since_proof(self, job_id: str) -> int:
        """How many good backups a job has made since the newest one that is proven."""
        columns = tables.executions.c
        with self._catalog.transaction() as connection:
            proven = connection.scalar(
                sa.select(sa.func.max(columns.sequence))
                .join(proofs, proofs.c.execution_id == columns.execution_id)
                .where(columns.job_id == job_id, proofs.c.outcome == "completed")
            )
            later = _backups_of(job_id).where(columns.sequence > (proven or 0)).subquery()
            return connection.scalar(sa.select(sa.func.count()).select_from(later)) or 0

    def claim(self, proof: Proof, claim: str, state: RehearsalTimetable | None) -> bool:
        """Write a rehearsal down as queued, before anything is started; False where this claim was made before."""
        with self._catalog.transaction() as connection:
            claimed = claim_proof(connection, proof, claim)
            if state is not None:
                _write(connection, state)
        return claimed


def _backups_of(job_id: str) -> sa.Select[Any]:
    columns = tables.executions.c
    return sa.select(tables.executions).where(
        columns.job_id == job_id,
        columns.status.in_(sorted(RESTORABLE)),
        columns.purpose == "backup",
        columns.backup_type != "data_only",
    )


def _write(connection: sa.Connection, state: RehearsalTimetable) -> None:
    values = {
        "job_id": state.job_id,
        "timetable": state.timetable,
        "handled_until": time_text(state.handled_until),
    }
    statement = insert(rehearsal_timetables).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["job_id"], set_=values))
