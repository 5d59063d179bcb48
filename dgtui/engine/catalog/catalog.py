"""The catalogue: executions, copies and restores, in SQLite through SQLAlchemy core.

It is a cache of what the manifests at the storages say, with what only this machine knows beside it: failed runs, the
state each copy was last found in, restores, and which storage carried which marker.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.listing import execution_pages, listed_executions
from dgtui.engine.catalog.newest import last_ids
from dgtui.engine.catalog.past import move_to_past
from dgtui.engine.catalog.rows import columns_of, executions_of
from dgtui.engine.catalog.writing import drop_copy, write_copy, write_execution, write_restore
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, RESTORABLE, UNDER_WAY, Copy, CopyStatus, Execution, Listed, Purpose
from dgtui.engine.restore_model import Restore

KNOWN_TO_BE_LOST: tuple[CopyStatus, ...] = ("missing", "corrupt")
"""States of copies that a storage which does not answer changes nothing of."""
_PIECE = 1000
_NEWEST_FIRST = (tables.executions.c.started_at.desc(), tables.executions.c.sequence.desc())


class Catalog(Database):
    """What is known of backups, their copies and their restores."""

    def save_execution(self, execution: Execution) -> None:
        """Add an execution, or bring its row and its copies up to date."""
        with self.transaction() as connection:
            write_execution(connection, execution)

    def save_executions(self, executions: Sequence[Execution]) -> None:
        """The same of some, together or not at all; nobody else writes meanwhile."""
        with self.transaction() as connection:
            for execution in executions:
                write_execution(connection, execution)

    def save_copy(self, execution_id: str, copy: Copy) -> None:
        """Store the state that a copy was found in."""
        with self.transaction() as connection:
            write_copy(connection, execution_id, copy)

    def save_copies(self, copies: Mapping[str, Copy]) -> None:
        """Store the states that copies of several executions were found in, as far as they are known still.

        In pieces, between which others write: however many there are, nobody waits for long.
        """
        rows = [
            {"of_execution": execution_id, "at_storage": copy.storage, **columns_of(copy)}
            for execution_id, copy in copies.items()
        ]
        statement = (
            sa.update(tables.copies)
            .where(
                tables.copies.c.execution_id == sa.bindparam("of_execution"),
                tables.copies.c.storage == sa.bindparam("at_storage"),
            )
            .values({name: sa.bindparam(name) for name in ("status", "path", "checked_at", "problem")})
        )
        for start in range(0, len(rows), _PIECE):
            with self.transaction() as connection:
                connection.execute(statement, rows[start : start + _PIECE])

    def save_silence(self, storage: str, status: CopyStatus, at: datetime) -> None:
        """Store that a storage tells nothing of its copies now; what is known to be gone or damaged stays so."""
        columns = tables.copies.c
        with self.transaction() as connection:
            connection.execute(
                sa.update(tables.copies)
                .where(
                    columns.storage == storage, columns.path != "", columns.status.not_in([status, *KNOWN_TO_BE_LOST])
                )
                .values(status=status, checked_at=time_text(at), problem=None)
            )

    def remove_copy(self, execution_id: str, storage: str) -> None:
        """Forget a copy that was deleted; an execution that lies nowhere else counts among the past ones."""
        with self.transaction() as connection:
            drop_copy(connection, execution_id, storage)

    def forget_execution(self, execution_id: str) -> None:
        """List an execution and its copies no more; it counts among the past ones."""
        with self.transaction() as connection:
            move_to_past(connection, execution_id, at=now())

    def executions(
        self,
        *,
        job: str | None = None,
        datasource: str | None = None,
        status: str | None = None,
        purpose: Purpose | None = None,
        limit: int | None = None,
    ) -> list[Execution]:
        """Executions with their copies, the newest first."""
        chosen = _chosen(job, datasource, status)
        if purpose is not None:
            chosen.append(tables.executions.c.purpose == purpose)
        query = sa.select(tables.executions).where(*chosen).order_by(*_NEWEST_FIRST)
        return self.select_executions(query.limit(limit))

    def execution_texts(
        self,
        *,
        job: str | None = None,
        datasource: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> Iterator[str]:
        """Executions as JSON objects with commas between, some at a time, the newest first.

        Beside what each is itself they say when and how it was proven last.
        """
        return execution_pages(self, _in_order(_chosen(job, datasource, status), limit))

    def listed(
        self,
        *,
        job: str | None = None,
        datasource: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> Iterator[list[Listed]]:
        """What a line of a list tells of executions, some at a time, the newest first."""
        return listed_executions(self, _in_order(_chosen(job, datasource, status), limit))

    def execution_count(
        self, *, job: str | None = None, datasource: str | None = None, status: str | None = None
    ) -> int:
        """How many there are."""
        query = sa.select(sa.func.count()).select_from(tables.executions).where(*_chosen(job, datasource, status))
        with self.transaction() as connection:
            return connection.scalar(query) or 0

    def backup_counts(self) -> dict[str, int]:
        """How many restorable executions each datasource has."""
        query = sa.select(tables.executions.c.datasource, sa.func.count()).group_by(tables.executions.c.datasource)
        with self.transaction() as connection:
            rows = connection.execute(query.where(tables.executions.c.status.in_(sorted(RESTORABLE)))).all()
        return {str(datasource): int(count) for datasource, count in rows}

    def storage_usage(self) -> dict[str, tuple[int, int]]:
        """Number and bytes of the backups at each storage."""
        query = (
            sa.select(tables.copies.c.storage, sa.func.count(), sa.func.sum(tables.executions.c.compressed_size_bytes))
            .join(tables.executions, tables.executions.c.execution_id == tables.copies.c.execution_id)
            .where(
                tables.copies.c.path != "",
                tables.copies.c.status != "missing",
                tables.executions.c.status.in_(sorted(RESTORABLE)),
            )
            .group_by(tables.copies.c.storage)
        )
        with self.transaction() as connection:
            return {storage: (count, size or 0) for storage, count, size in connection.execute(query)}

    def unfinished(self) -> list[Execution]:
        """Executions that are recorded as not ended."""
        return self.select_executions(
            sa.select(tables.executions).where(tables.executions.c.status.in_(sorted(UNDER_WAY)))
        )

    def execution(self, execution_id: str) -> Execution | None:
        """One execution by its whole id."""
        found = self.select_executions(
            sa.select(tables.executions).where(tables.executions.c.execution_id == execution_id)
        )
        return found[0] if found else None

    def newest_restorable(self, job: str) -> Execution | None:
        """The backup of a job that can be restored and was made last, whatever the clock said."""
        columns = tables.executions.c
        query = sa.select(tables.executions).where(columns.job == job, columns.status.in_(sorted(RESTORABLE)))
        found = self.select_executions(query.order_by(columns.sequence.desc()).limit(1))
        return found[0] if found else None

    def newest_run(self, job: str) -> Execution | None:
        """What a job does now, else what it did last, however that ended."""
        columns = tables.executions.c
        query = sa.select(tables.executions).where(columns.job == job)
        under_way = columns.status.in_(sorted(UNDER_WAY))
        found = self.select_executions(query.order_by(under_way.desc(), columns.sequence.desc()).limit(1))
        return found[0] if found else None

    def last_runs(self, jobs: Sequence[str], *, purpose: Purpose | None = None) -> dict[str, Execution]:
        """Of each of these jobs what it did last or does now, however that ended; see `last_ids`."""
        chosen = [] if purpose is None else [tables.executions.c.purpose == purpose]
        query = sa.select(tables.executions).where(tables.executions.c.execution_id.in_(last_ids(jobs, *chosen)))
        return {run.job: run for run in self.select_executions(query)}

    def last_runs_gone_wrong(self, jobs: Sequence[str]) -> dict[str, Execution]:
        """Of each of these jobs the newest run that has ended, where that was not as it should be."""
        columns = tables.executions.c
        newest = last_ids(jobs, columns.status.in_(sorted(ENDED)), columns.purpose == "backup")
        found = self.select_executions(
            sa.select(tables.executions).where(
                columns.execution_id.in_(newest), columns.status.in_(("failed", "interrupted", "partial"))
            )
        )
        return {run.job: run for run in found}

    def execution_in_folder(self, job: str, folder: str) -> Execution | None:
        """The newest execution of a job whose backup folder has this name."""
        columns = tables.executions.c
        query = sa.select(tables.executions).where(columns.job == job, columns.folder == folder)
        found = self.select_executions(query.order_by(*_NEWEST_FIRST).limit(1))
        return found[0] if found else None

    def executions_by_prefix(self, prefix: str) -> list[Execution]:
        """Executions whose id begins with these characters."""
        query = sa.select(tables.executions).where(tables.executions.c.execution_id.startswith(prefix, autoescape=True))
        return self.select_executions(query.order_by(tables.executions.c.sequence.desc()).limit(10))

    def select_executions(self, query: sa.Select[Any]) -> list[Execution]:
        """The executions that a query of their whole table finds, with their copies."""
        with self.transaction() as connection:
            return executions_of(connection, query)

    def save_restore(self, restore: Restore) -> None:
        """Add a restore, or bring it up to date; one that proves its backup is a proof from then on."""
        with self.transaction() as connection:
            write_restore(connection, restore)

    def restore_count(self) -> int:
        """How many restores there were."""
        with self.transaction() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(tables.restores)) or 0

    def restores(self, execution_id: str | None = None, *, limit: int | None = None) -> list[Restore]:
        """Restores, the newest first."""
        query = sa.select(tables.restores.c.record).order_by(tables.restores.c.sequence.desc()).limit(limit)
        if execution_id is not None:
            query = query.where(tables.restores.c.execution_id == execution_id)
        with self.transaction() as connection:
            return [msgspec.json.decode(record, type=Restore) for record in connection.scalars(query)]

    def restore(self, restore_id: str) -> Restore | None:
        """One restore by its whole id."""
        query = sa.select(tables.restores.c.record).where(tables.restores.c.restore_id == restore_id)
        with self.transaction() as connection:
            record = connection.scalar(query)
        return None if record is None else msgspec.json.decode(record, type=Restore)

    def storage_marker(self, storage: str) -> str | None:
        """The id of the marker that a storage carried when it was last used."""
        with self.transaction() as connection:
            return connection.scalar(sa.select(tables.storages.c.marker_id).where(tables.storages.c.name == storage))

    def save_storage_marker(self, storage: str, marker_id: str) -> None:
        """Remember the marker of a storage."""
        statement = insert(tables.storages).values(name=storage, marker_id=marker_id)
        with self.transaction() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"marker_id": marker_id}))


def _in_order(chosen: list[sa.ColumnElement[bool]], limit: int | None) -> sa.Select[tuple[int]]:
    return sa.select(tables.executions.c.sequence).where(*chosen).order_by(*_NEWEST_FIRST).limit(limit)


def _chosen(job: str | None, datasource: str | None, status: str | None) -> list[sa.ColumnElement[bool]]:
    columns = tables.executions.c
    wanted = ((columns.job, job), (columns.datasource, datasource), (columns.status, status))
    return [column == value for column, value in wanted if value is not None]
