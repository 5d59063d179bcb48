"""Proofs: which backups were loaded into a database and compared, in a restore or in a rehearsal of one.

A rehearsal has its row from the moment it is asked for, so that whoever finds it dead knows what it has left where.
"""

from datetime import datetime
from typing import Literal

import msgspec

from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.statements import NO_VALUES, Values, words
from dgtui.engine.model import ENDED, ExecutionStatus, Problem, Record
from dgtui.engine.restore_model import Restore, RestoreReport

ProofWay = Literal["rehearsal", "restore"]


class Leftover(Record, frozen=True):
    """What a rehearsal has made outside of its scratch folder, and has to remove again."""

    datasource: str = ""
    """Where the database is; empty where there is none beside a private server."""
    database: str = ""
    """The throw-away database."""
    kind: str = ""
    """Kind of the private server."""
    folders: tuple[str, ...] = ()
    """The folders of the private server."""
    tried_at: datetime | None = None
    """When it was last tried in vain to remove it after its worker had died."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of it, for people."""
        return (*([self.database] if self.database else []), *self.folders)


class Proof(Record, frozen=True):
    """A backup that was loaded and compared, or the attempt to."""

    proof_id: str
    """Id of the rehearsal or of the restore."""
    execution_id: str
    how: ProofWay
    status: ExecutionStatus
    started_at: datetime
    finished_at: datetime | None = None
    job: str = ""
    job_id: str = ""
    datasource: str = ""
    storage: str | None = None
    """The storage whose copy was read."""
    place: str = ""
    """Where it was loaded, for people."""
    duration_seconds: float | None = None
    """How long reading, loading and comparing took."""
    rows: int | None = None
    """Rows that were counted in what was loaded; None where the kind has no rows or none were counted."""
    ordered_by: str = ""
    origin: str = ""
    leftover: Leftover | None = None
    """What still lies in its place; None once nothing does."""
    report: RestoreReport | None = None
    differences: tuple[str, ...] = ()
    problem: Problem | None = None

    @property
    def proven_at(self) -> datetime | None:
        """When it proved the backup; None where it did not."""
        return self.finished_at if self.status == "completed" else None


class Proven(Record, frozen=True):
    """That a backup is proven."""

    execution_id: str
    how: ProofWay
    proven_at: datetime


def counted_rows(report: RestoreReport | None) -> int | None:
    """All rows that a report found; None where it counted none."""
    found = [entry.rows_found for entry in report.objects if entry.rows_found is not None] if report else []
    return sum(found) if found else None


def proof_of_restore(restore: Restore) -> Proof | None:
    """The proof that a restore is: a completed one of everything that was compared with the manifest.

    An undo that swaps in what was kept has read no copy: it says nothing of the backup that it could have restored.
    """
    was_read = restore.storage is not None
    whole = restore.backup_type == "full" and not restore.tables and not restore.merged
    compared = restore.report is not None and not restore.report.failures
    if restore.status != "completed" or not restore.execution_id or not (was_read and whole and compared):
        return None
    return Proof(
        proof_id=restore.restore_id,
        execution_id=restore.execution_id,
        how="restore",
        status="completed",
        started_at=restore.started_at,
        finished_at=restore.finished_at,
        datasource=restore.datasource,
        storage=restore.storage,
        place=restore.target,
        duration_seconds=restore.seconds,
        rows=counted_rows(restore.report),
        ordered_by=restore.restored_by,
        origin=restore.origin,
        differences=restore.differences,
    )


def write_proof(connection: Connection, proof: Proof) -> None:
    """Add a proof, or bring it up to date, as part of a transaction."""
    connection.upsert("proofs", _columns(proof), key="proof_id")


def claim_proof(connection: Connection, proof: Proof, claim: str) -> bool:
    """Add a rehearsal under a claim that nobody had before; False where somebody had."""
    return connection.insert_new("proofs", {**_columns(proof), "claim": claim})


def _columns(proof: Proof) -> dict[str, object]:
    return {
        "proof_id": proof.proof_id,
        "execution_id": proof.execution_id,
        "how": proof.how,
        "outcome": proof.status,
        "proven_at": None if proof.proven_at is None else time_text(proof.proven_at),
        "storage": proof.storage,
        "place": proof.place,
        "duration_seconds": proof.duration_seconds,
        "rows": proof.rows,
        "leftover": proof.leftover is not None,
        "record": msgspec.json.encode(proof).decode(),
    }


class Proofs:
    """The proofs in a catalogue."""

    def __init__(self, catalog: Database) -> None:
        self._catalog = catalog

    def save(self, proof: Proof) -> None:
        """Add a proof, or bring it up to date."""
        with self._catalog.transaction() as connection:
            write_proof(connection, proof)

    def get(self, proof_id: str) -> Proof | None:
        """One by its whole id."""
        found = self._select("WHERE proof_id = :proof_id", {"proof_id": proof_id})
        return found[0] if found else None

    def of(self, execution_id: str) -> list[Proof]:
        """All attempts to prove one backup, the newest first."""
        chosen = "WHERE execution_id = :execution_id ORDER BY sequence DESC"
        return self._select(chosen, {"execution_id": execution_id})

    def newest(self) -> list[Proof]:
        """The newest attempts, in that order."""
        return self._select("ORDER BY sequence DESC LIMIT 1000")

    def proven(self) -> dict[str, Proven]:
        """When and how each backup was proven last, by its id."""
        query = "SELECT execution_id, how, proven_at FROM proofs WHERE outcome = 'completed' ORDER BY proven_at"
        with self._catalog.transaction() as connection:
            rows = connection.execute(query).fetchall()
        return {
            one: Proven(execution_id=one, how=how, proven_at=datetime.fromisoformat(proven_at))
            for one, how, proven_at in rows
        }

    def proven_executions(self) -> frozenset[str]:
        """The backups that have a proof."""
        with self._catalog.transaction() as connection:
            return frozenset(connection.scalars("SELECT DISTINCT execution_id FROM proofs WHERE outcome = 'completed'"))

    def unfinished(self) -> list[Proof]:
        """Rehearsals that are recorded as not ended, the oldest first."""
        return self._select(f"WHERE outcome NOT IN {words(ENDED)} ORDER BY sequence")

    def with_leftovers(self) -> list[Proof]:
        """Rehearsals that have ended, and left something where they took place."""
        return self._select(f"WHERE leftover = 1 AND outcome IN {words(ENDED)} ORDER BY sequence")

    def _select(self, chosen: str, values: Values = NO_VALUES) -> list[Proof]:
        with self._catalog.transaction() as connection:
            records = connection.scalars(f"SELECT record FROM proofs {chosen}", values)
        return [msgspec.json.decode(record, type=Proof) for record in records]
