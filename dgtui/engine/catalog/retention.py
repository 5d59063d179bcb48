"""What retention reads and writes in the catalogue: pins, expiry dates, and how uploads ended."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import get_args

import msgspec

from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.conditions import (
    IS_OF_DATASOURCE_WITH_SAFETY_COPIES,
    IS_RESTORABLE,
    IS_RESTORABLE_UNINDEXED,
    IS_SAFETY_COPY,
)
from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.statements import Sql, among, words
from dgtui.engine.model import RESTORABLE, CopyStatus, Record

_PIECE = 1000


class LastUpload(Record, frozen=True):
    """How the last upload of a job to a storage ended."""

    job_id: str
    storage: str
    sequence: int
    failed_by: str
    """The kind of the error; empty where it arrived."""


class RetentionTable:
    """Pins and expiry dates, and what else retention asks for."""

    def __init__(self, catalog: Database) -> None:
        self._catalog = catalog

    def set_pin(self, connection: Connection, execution_id: str, reason: str | None) -> None:
        """Pin an execution, which then never goes, or with None unpin it, as part of a transaction."""
        changes = "pin = NULL" if reason is None else "pin = :reason, expires_at = NULL"
        values = {"execution_id": execution_id, "reason": reason}
        connection.execute(f"UPDATE executions SET {changes} WHERE execution_id = :execution_id", values)

    def set_expiries(self, expiries: Mapping[str, datetime | None]) -> None:
        """Store when executions go; in pieces, between which others write."""
        statement = """
            UPDATE executions SET expires_at = :moment
            WHERE execution_id = :execution_id AND expires_at IS NOT :moment
        """
        rows = [
            {"execution_id": execution_id, "moment": None if moment is None else time_text(moment)}
            for execution_id, moment in expiries.items()
        ]
        for start in range(0, len(rows), _PIECE):
            with self._catalog.transaction() as connection:
                connection.executemany(statement, rows[start : start + _PIECE])

    def clear_expiries(self, but: Collection[str]) -> None:
        """Forget when backups go, but those of these jobs (by id) and safety copies."""
        kept = among("job_id", but)
        statement = f"""
            UPDATE executions SET expires_at = NULL
            WHERE expires_at IS NOT NULL AND purpose != 'safety' AND NOT ({kept.text})
        """
        with self._catalog.transaction() as connection:
            connection.execute(statement, kept.values)

    def has_safety_copies(self, datasource: str) -> bool:
        """Whether there is a safety copy of a datasource."""
        query = f"SELECT sequence FROM executions WHERE {IS_SAFETY_COPY} AND datasource = :datasource LIMIT 1"
        with self._catalog.transaction() as connection:
            return connection.scalar(query, {"datasource": datasource}) is not None

    def known_folders(self) -> dict[str, frozenset[str]]:
        """The folders of all executions that have one, by the job's id."""
        query = "SELECT job_id, json_group_array(folder) FROM executions WHERE folder IS NOT NULL GROUP BY job_id"
        with self._catalog.transaction() as connection:
            rows = connection.execute(query).fetchall()
        return {job_id: frozenset(msgspec.json.decode(folders, type=list[str])) for job_id, folders in rows}

    def bytes_of_all(self) -> int:
        """What all backups would take at one storage: at none they take more."""
        query = f"SELECT sum(compressed_size_bytes) FROM executions WHERE {IS_RESTORABLE}"
        with self._catalog.transaction() as connection:
            return connection.scalar(query) or 0

    def storages_of_all(self, storages: Collection[str]) -> frozenset[str]:
        """Those of these storages that have as many copies as there are backups: what they take is what all take."""
        backups = f"SELECT count(*) FROM executions WHERE {IS_RESTORABLE}"
        # With each status: so their index is searched.
        copies = f"SELECT count(*) FROM copies WHERE status IN {words(get_args(CopyStatus))} AND storage = :storage"
        with self._catalog.transaction() as connection:
            number = connection.scalar(backups)
            return frozenset(one for one in storages if connection.scalar(copies, {"storage": one}) >= number)

    def bytes_at(self, storages: Collection[str]) -> dict[str, int]:
        """What the backups at each of these storages take together, whatever state their copies are in."""
        wanted = among("copies.storage", storages)
        query = f"""
            SELECT copies.storage, sum(executions.compressed_size_bytes)
            FROM copies JOIN executions ON executions.execution_id = copies.execution_id
            WHERE copies.path != '' AND {wanted.text} AND executions.{IS_RESTORABLE}
            GROUP BY copies.storage
        """
        with self._catalog.transaction() as connection:
            return {storage: size or 0 for storage, size in connection.execute(query, wanted.values)}

    def last_uploads(self, places: Collection[tuple[str, str]]) -> list[LastUpload]:
        """How the last upload of each of these jobs (by id) to this storage ended, as far as there was one."""
        with self._catalog.transaction() as connection:
            found = [_last_upload(connection, storage, job_id) for job_id, storage in places]
        return [one for one in found if one is not None]

    def newest_uploads(self, storages: Collection[str]) -> list[LastUpload]:
        """How the last upload of any job to each of these storages ended, as far as there was one."""
        with self._catalog.transaction() as connection:
            found = [_last_upload(connection, storage) for storage in storages]
        return [one for one in found if one is not None]

    def last_failures(self, job_ids: Collection[str]) -> dict[str, str]:
        """Which of these jobs (by id) failed when they ran last, and the kind of the error."""
        # In the order of their sequences, not by the index of the status.
        query = f"""
            SELECT status, problem FROM executions
            WHERE job_id = :job_id AND purpose = 'backup' AND status || '' IN {words([*RESTORABLE, "failed"])}
            ORDER BY sequence DESC LIMIT 1
        """
        found = {}
        with self._catalog.transaction() as connection:
            for job_id in job_ids:
                last = connection.execute(query, {"job_id": job_id}).fetchone()
                if last is not None and last["status"] == "failed":
                    found[job_id] = _kind(last["problem"])
        return found


def _last_upload(connection: Connection, storage: str, job_id: str | None = None) -> LastUpload | None:
    """How the last upload of a job, or of any, to a storage ended."""
    # In the order of their sequences, not by the index of the status.
    query = f"""
        SELECT executions.job_id, executions.sequence, copies.path, copies.problem
        FROM executions JOIN copies ON copies.execution_id = executions.execution_id
        WHERE copies.storage = :storage AND executions.purpose = 'backup'
            AND {"TRUE" if job_id is None else "executions.job_id = :job_id"}
            AND executions.{IS_RESTORABLE_UNINDEXED}
        ORDER BY executions.sequence DESC LIMIT 1
    """
    row = connection.execute(query, {"storage": storage, "job_id": job_id}).fetchone()
    if row is None:
        return None
    return LastUpload(
        job_id=row["job_id"],
        storage=storage,
        sequence=row["sequence"],
        failed_by="" if row["path"] else _kind(row["problem"]) or "unknown",
    )


def jobs_of_datasources(catalog: Catalog, datasources: Collection[str] | None = None) -> frozenset[str]:
    """The jobs (by id) with backups of these datasources; of those that have safety copies where none are given."""
    of_safety = Sql(IS_OF_DATASOURCE_WITH_SAFETY_COPIES)
    wanted = of_safety if datasources is None else among("datasource", datasources)
    query = f"""
        SELECT DISTINCT job_id FROM executions
        WHERE {IS_RESTORABLE_UNINDEXED} AND {wanted.text}
    """
    with catalog.transaction() as connection:
        return frozenset(connection.scalars(query, wanted.values))


def _kind(problem: str | None) -> str:
    return str(msgspec.json.decode(problem)["kind"]) if problem else ""
