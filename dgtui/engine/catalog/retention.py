"""What retention reads and writes in the catalogue: pins, expiry dates, and removals that were begun."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.model import RESTORABLE, Execution, Record

removals = sa.Table(
    "removals",
    tables.metadata,
    sa.Column("execution_id", sa.String, primary_key=True),
    sa.Column("storage", sa.String, primary_key=True),
    sa.Column("record", sa.String, nullable=False),
)


class LastUpload(Record, frozen=True):
    """How the last upload of a job to a storage ended."""

    job_id: str
    storage: str
    sequence: int
    failed_by: str
    """The kind of the error; empty where it arrived."""


class BegunRemoval(Record, frozen=True):
    """A copy that is being removed: what its line in the storage's log will say."""

    execution_id: str
    job_id: str
    job: str
    storage: str
    folder: str
    path: str
    bytes: int
    rule: str
    actor: str


class RetentionTable:
    """Pins, expiry dates and begun removals."""

    def __init__(self, catalog: Database) -> None:
        self._catalog = catalog

    def set_pin(self, execution_id: str, reason: str | None) -> None:
        """Pin an execution, or with None unpin it."""
        self._update(execution_id, {"pin": reason})

    def set_expiries(self, expiries: Mapping[str, datetime | None]) -> None:
        """Store when executions go."""
        with self._catalog.transaction() as connection:
            for execution_id, moment in expiries.items():
                text = None if moment is None else time_text(moment)
                column = tables.executions.c.expires_at
                connection.execute(
                    sa.update(tables.executions)
                    .where(tables.executions.c.execution_id == execution_id, column.is_distinct_from(text))
                    .values(expires_at=text)
                )

    def _update(self, execution_id: str, values: Mapping[str, str | None]) -> None:
        with self._catalog.transaction() as connection:
            connection.execute(
                sa.update(tables.executions).where(tables.executions.c.execution_id == execution_id).values(**values)
            )

    def begin(self, removal: BegunRemoval) -> None:
        """Write down that a copy is being removed; from now on nobody is told that it is there."""
        values = {
            "execution_id": removal.execution_id,
            "storage": removal.storage,
            "record": msgspec.json.encode(removal).decode(),
        }
        statement = insert(removals).values(**values)
        with self._catalog.transaction() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["execution_id", "storage"], set_=values))
            connection.execute(
                sa.update(tables.copies)
                .where(tables.copies.c.execution_id == removal.execution_id, tables.copies.c.storage == removal.storage)
                .values(status="missing")
            )

    def forget(self, removal: BegunRemoval) -> None:
        """The removal is over, or did not take place."""
        with self._catalog.transaction() as connection:
            connection.execute(
                sa.delete(removals).where(
                    removals.c.execution_id == removal.execution_id, removals.c.storage == removal.storage
                )
            )

    def take_back(self, removal: BegunRemoval) -> None:
        """The removal did not take place: the copy is there."""
        with self._catalog.transaction() as connection:
            connection.execute(
                sa.update(tables.copies)
                .where(tables.copies.c.execution_id == removal.execution_id, tables.copies.c.storage == removal.storage)
                .values(status="available")
            )
        self.forget(removal)

    def begun(self) -> list[BegunRemoval]:
        """The removals that were begun and not ended."""
        with self._catalog.transaction() as connection:
            records = connection.scalars(sa.select(removals.c.record)).all()
        return [msgspec.json.decode(record, type=BegunRemoval) for record in records]

    def restored_executions(self) -> frozenset[str]:
        """The executions that were restored, whole and into a database of their own or their own one."""
        query = sa.select(tables.restores.c.execution_id).where(tables.restores.c.status == "completed").distinct()
        with self._catalog.transaction() as connection:
            return frozenset(connection.scalars(query))

    def has_safety_copies(self, datasource: str) -> bool:
        """Whether there is a safety copy of a datasource."""
        columns = tables.executions.c
        query = sa.select(columns.sequence).where(columns.purpose == "safety", columns.datasource == datasource)
        with self._catalog.transaction() as connection:
            return connection.scalar(query.limit(1)) is not None

    def known_folders(self) -> frozenset[tuple[str, str]]:
        """The job's id and the folder of every execution that has one."""
        query = sa.select(tables.executions.c.job_id, tables.executions.c.folder)
        with self._catalog.transaction() as connection:
            return frozenset((str(job), str(folder)) for job, folder in connection.execute(query) if folder)

    def last_uploads(self) -> list[LastUpload]:
        """How the last upload of each job to each storage ended."""
        last = (
            sa.select(tables.copies.c.storage, sa.func.max(tables.executions.c.sequence).label("sequence"))
            .join(tables.executions, tables.copies.c.execution_id == tables.executions.c.execution_id)
            .where(tables.executions.c.status.in_(sorted(RESTORABLE)), tables.executions.c.purpose == "backup")
            .group_by(tables.executions.c.job_id, tables.copies.c.storage)
            .subquery()
        )
        query = (
            sa.select(
                tables.executions.c.job_id,
                last.c.storage,
                last.c.sequence,
                tables.copies.c.path,
                tables.copies.c.problem,
            )
            .select_from(last)
            .join(tables.executions, tables.executions.c.sequence == last.c.sequence)
            .join(
                tables.copies,
                sa.and_(
                    tables.copies.c.execution_id == tables.executions.c.execution_id,
                    tables.copies.c.storage == last.c.storage,
                ),
            )
        )
        with self._catalog.transaction() as connection:
            rows = connection.execute(query).all()
        return [
            LastUpload(
                job_id=job, storage=storage, sequence=number, failed_by="" if path else _kind(problem) or "unknown"
            )
            for job, storage, number, path, problem in rows
        ]

    def last_failures(self) -> dict[str, str]:
        """Jobs (by id) whose last run failed, and the kind of the error."""
        last = (
            sa.select(sa.func.max(tables.executions.c.sequence))
            .where(
                tables.executions.c.purpose == "backup",
                tables.executions.c.status.in_([*sorted(RESTORABLE), "failed"]),
            )
            .group_by(tables.executions.c.job_id)
        )
        query = sa.select(tables.executions.c.job_id, tables.executions.c.problem).where(
            tables.executions.c.sequence.in_(last), tables.executions.c.status == "failed"
        )
        with self._catalog.transaction() as connection:
            return {job_id: _kind(problem) for job_id, problem in connection.execute(query)}


def backups(catalog: Catalog, jobs: Mapping[str, str] | None = None) -> list[Execution]:
    """The executions that left a backup: all, or those of these jobs and the safety copies of their datasources.

    `jobs` has the names of datasources by the ids of jobs.
    """
    columns = tables.executions.c
    query = sa.select(tables.executions).where(columns.status.in_(sorted(RESTORABLE)))
    if jobs is not None:
        safety = sa.and_(columns.purpose == "safety", columns.datasource.in_(sorted(set(jobs.values()))))
        query = query.where(sa.or_(columns.job_id.in_(sorted(jobs)), safety))
    return catalog.select_executions(query.order_by(columns.sequence))


def _kind(problem: str | None) -> str:
    return str(msgspec.json.decode(problem)["kind"]) if problem else ""
