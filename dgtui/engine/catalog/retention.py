"""What retention reads and writes in the catalogue: pins, expiry dates, and how uploads ended."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import get_args

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.backups import is_safety_copy
from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.model import RESTORABLE, CopyStatus, Record

_PIECE = 1000
_RESTORABLE = tables.executions.c.status.in_(sorted(RESTORABLE))


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

    def set_pin(self, connection: sa.Connection, execution_id: str, reason: str | None) -> None:
        """Pin an execution, which then never goes, or with None unpin it, as part of a transaction."""
        values: dict[str, str | None] = {"pin": reason} if reason is None else {"pin": reason, "expires_at": None}
        connection.execute(
            sa.update(tables.executions).where(tables.executions.c.execution_id == execution_id).values(**values)
        )

    def set_expiries(self, expiries: Mapping[str, datetime | None]) -> None:
        """Store when executions go; in pieces, between which others write."""
        columns = tables.executions.c
        statement = (
            sa.update(tables.executions)
            .where(
                columns.execution_id == sa.bindparam("of_execution"),
                columns.expires_at.is_distinct_from(sa.bindparam("moment")),
            )
            .values(expires_at=sa.bindparam("moment"))
        )
        rows = [
            {"of_execution": execution_id, "moment": None if moment is None else time_text(moment)}
            for execution_id, moment in expiries.items()
        ]
        for start in range(0, len(rows), _PIECE):
            with self._catalog.transaction() as connection:
                connection.execute(statement, rows[start : start + _PIECE])

    def clear_expiries(self, but: Collection[str]) -> None:
        """Forget when backups go, but those of these jobs (by id) and safety copies."""
        columns = tables.executions.c
        with self._catalog.transaction() as connection:
            connection.execute(
                sa.update(tables.executions)
                .where(columns.expires_at.is_not(None), columns.purpose != "safety", columns.job_id.not_in(sorted(but)))
                .values(expires_at=None)
            )

    def has_safety_copies(self, datasource: str) -> bool:
        """Whether there is a safety copy of a datasource."""
        columns = tables.executions.c
        query = sa.select(columns.sequence).where(is_safety_copy(), columns.datasource == datasource)
        with self._catalog.transaction() as connection:
            return connection.scalar(query.limit(1)) is not None

    def known_folders(self) -> dict[str, frozenset[str]]:
        """The folders of all executions that have one, by the job's id."""
        columns = tables.executions.c
        query = sa.select(columns.job_id, sa.func.json_group_array(columns.folder)).where(columns.folder.is_not(None))
        with self._catalog.transaction() as connection:
            rows = connection.execute(query.group_by(columns.job_id)).all()
        return {job_id: frozenset(msgspec.json.decode(folders, type=list[str])) for job_id, folders in rows}

    def bytes_of_all(self) -> int:
        """What all backups would take at one storage: at none they take more."""
        query = sa.select(sa.func.sum(tables.executions.c.compressed_size_bytes)).where(_RESTORABLE)
        with self._catalog.transaction() as connection:
            return connection.scalar(query) or 0

    def storages_of_all(self, storages: Collection[str]) -> frozenset[str]:
        """Those of these storages that have as many copies as there are backups: what they take is what all take."""
        columns = tables.copies.c
        # With each status: so their index is searched.
        states = sorted(get_args(CopyStatus))
        count = sa.select(sa.func.count()).select_from(tables.copies).where(columns.status.in_(states))
        with self._catalog.transaction() as connection:
            number = connection.scalar(sa.select(sa.func.count()).select_from(tables.executions).where(_RESTORABLE))
            counts = {storage: connection.scalar(count.where(columns.storage == storage)) for storage in storages}
        return frozenset(storage for storage, copies in counts.items() if (copies or 0) >= (number or 0))

    def bytes_at(self, storages: Collection[str]) -> dict[str, int]:
        """What the backups at each of these storages take together, whatever state their copies are in."""
        query = (
            sa.select(tables.copies.c.storage, sa.func.sum(tables.executions.c.compressed_size_bytes))
            .join(tables.executions, tables.executions.c.execution_id == tables.copies.c.execution_id)
            .where(tables.copies.c.path != "", tables.copies.c.storage.in_(sorted(storages)), _RESTORABLE)
            .group_by(tables.copies.c.storage)
        )
        with self._catalog.transaction() as connection:
            return {storage: size or 0 for storage, size in connection.execute(query)}

    def last_uploads(self, places: Collection[tuple[str, str]]) -> list[LastUpload]:
        """How the last upload of each of these jobs (by id) to this storage ended, as far as there was one."""
        # Made once: that takes longer than to be answered.
        query = _last_upload_query(tables.executions.c.job_id == sa.bindparam("job_id"))
        with self._catalog.transaction() as connection:
            found = [_last_upload(connection, query, storage, {"job_id": job_id}) for job_id, storage in places]
        return [one for one in found if one is not None]

    def newest_uploads(self, storages: Collection[str]) -> list[LastUpload]:
        """How the last upload of any job to each of these storages ended, as far as there was one."""
        with self._catalog.transaction() as connection:
            found = [_last_upload(connection, _last_upload_query(), storage, {}) for storage in storages]
        return [one for one in found if one is not None]

    def last_failures(self, job_ids: Collection[str]) -> dict[str, str]:
        """Which of these jobs (by id) failed when they ran last, and the kind of the error."""
        columns = tables.executions.c
        query = (
            sa.select(columns.status, columns.problem)
            .where(columns.job_id == sa.bindparam("job_id"), columns.purpose == "backup")
            .where(_in_order(columns.status).in_([*sorted(RESTORABLE), "failed"]))
            .order_by(columns.sequence.desc())
            .limit(1)
        )
        found = {}
        with self._catalog.transaction() as connection:
            for job_id in job_ids:
                last = connection.execute(query, {"job_id": job_id}).one_or_none()
                if last is not None and last.status == "failed":
                    found[job_id] = _kind(last.problem)
        return found


def _in_order(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """A column whose index is not used: the rows are wanted by another one, or in its order."""
    return column.op("||")("")


def _last_upload_query(*chosen: sa.ColumnElement[bool]) -> sa.Select[tuple[str, int, str, str | None]]:
    executions, copies = tables.executions.c, tables.copies.c
    query = (
        sa.select(executions.job_id, executions.sequence, copies.path, copies.problem)
        .join(tables.copies, copies.execution_id == executions.execution_id)
        .where(copies.storage == sa.bindparam("storage"), executions.purpose == "backup", *chosen)
        .where(_in_order(executions.status).in_(sorted(RESTORABLE)))
    )
    return query.order_by(executions.sequence.desc()).limit(1)


def _last_upload(
    connection: sa.Connection,
    query: sa.Select[tuple[str, int, str, str | None]],
    storage: str,
    values: Mapping[str, str],
) -> LastUpload | None:
    row = connection.execute(query, {"storage": storage, **values}).one_or_none()
    if row is None:
        return None
    return LastUpload(
        job_id=row.job_id,
        storage=storage,
        sequence=row.sequence,
        failed_by="" if row.path else _kind(row.problem) or "unknown",
    )


def jobs_of_datasources(catalog: Catalog, datasources: Collection[str] | None = None) -> frozenset[str]:
    """The jobs (by id) with backups of these datasources; of those that have safety copies where none are given."""
    columns = tables.executions.c
    wanted = sa.select(columns.datasource).where(is_safety_copy()).distinct()
    names = wanted if datasources is None else sorted(datasources)
    # By the datasource: almost all executions are restorable.
    restorable = _in_order(columns.status).in_(sorted(RESTORABLE))
    query = sa.select(columns.job_id).where(restorable, columns.datasource.in_(names)).distinct()
    with catalog.transaction() as connection:
        return frozenset(connection.scalars(query))


def _kind(problem: str | None) -> str:
    return str(msgspec.json.decode(problem)["kind"]) if problem else ""
