"""What the catalogue is asked for figures: everything is summed up by SQLite, and nothing is loaded whole."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.delivery_tables import deliveries, delivery_items
from dgtui.engine.catalog.health_tables import health_checks
from dgtui.engine.catalog.newest import last_ids, last_past_ids
from dgtui.engine.catalog.past import past_executions, runs_ever
from dgtui.engine.model import ENDED, RESTORABLE


class RunSum(NamedTuple):
    """The runs of one job that ended alike within a day or a month."""

    job: str
    datasource: str
    period: str
    """`2025-02-13`, or `2025-02` where months were asked for."""
    status: str
    times: int
    seconds: float | None
    """Of all of them together, as far as they are known."""
    longest_seconds: float | None
    size_bytes: int | None
    stored_bytes: int | None
    sized: int
    """How many of them have a size."""
    timed: int


class RunMoment(NamedTuple):
    """When a run began, and how it ended."""

    job: str
    started_at: datetime
    status: str
    size_bytes: int | None


class ErrorSum(NamedTuple):
    """How often runs failed of one kind of error."""

    kind: str
    times: int
    last_at: datetime


class StorageSum(NamedTuple):
    """The backups at a storage."""

    times: int
    size_bytes: int
    added_bytes: int


class SpaceSample(NamedTuple):
    """How much room a storage had at a moment."""

    at: datetime
    free_bytes: int
    total_bytes: int


class Waiting(NamedTuple):
    """How much was not sent yet, and since when."""

    times: int
    since: datetime | None


def run_sums(database: Database, since: datetime, until: datetime, *, job: str | None, months: bool) -> list[RunSum]:
    """The runs that began in a time and have ended, summed up by job, local day (or month) and outcome."""
    each = sa.union_all(
        *(
            _measured(runs, months=months).where(
                *_ended_backups(runs, since, until), *([runs.c.job == job] if job is not None else [])
            )
            for runs in (tables.executions, past_executions)
        )
    ).subquery()
    kind = (each.c.job, each.c.datasource, each.c.period, each.c.status)
    query = (
        sa.select(
            *kind,
            sa.func.count(),
            sa.func.sum(each.c.seconds),
            sa.func.max(each.c.seconds),
            sa.func.sum(each.c.total_size_bytes),
            sa.func.sum(each.c.compressed_size_bytes),
            sa.func.count(each.c.total_size_bytes),
            sa.func.count(each.c.seconds),
        )
        .group_by(*kind)
        .order_by(each.c.period)
    )
    with database.transaction() as connection:
        return [RunSum(*row) for row in connection.execute(query)]


def _measured(runs: sa.Table, *, months: bool) -> sa.Select[tuple[Any, ...]]:
    """What is summed up of each run, reckoned here once for all the sums."""
    seconds = (sa.func.julianday(runs.c.finished_at) - sa.func.julianday(runs.c.started_at)) * 86400.0
    period = sa.func.strftime("%Y-%m" if months else "%Y-%m-%d", runs.c.started_at, "localtime")
    return sa.select(
        runs.c.job,
        runs.c.datasource,
        period.label("period"),
        runs.c.status,
        seconds.label("seconds"),
        runs.c.total_size_bytes,
        runs.c.compressed_size_bytes,
    )


def error_sums(database: Database, since: datetime, until: datetime, *, job: str | None) -> list[ErrorSum]:
    """By kind of error how often a run failed, the most frequent first."""
    runs = runs_ever().subquery()
    kind = sa.func.coalesce(runs.c.problem_kind, runs.c.status)
    query = (
        sa.select(kind, sa.func.count(), sa.func.max(runs.c.started_at))
        .where(
            *_ended_backups(runs, since, until),
            runs.c.status.in_(["failed", "interrupted", "partial"]),
            *([runs.c.job == job] if job is not None else []),
        )
        .group_by(kind)
        .order_by(sa.func.count().desc(), kind)
    )
    with database.transaction() as connection:
        return [ErrorSum(kind, count, _moment(last)) for kind, count, last in connection.execute(query)]


def run_moments(database: Database, since: datetime) -> list[RunMoment]:
    """Every backup that began since a moment, in that order, those that are still running among them."""
    runs = runs_ever().subquery()
    query = (
        sa.select(runs.c.job, runs.c.started_at, runs.c.status, runs.c.total_size_bytes)
        .where(runs.c.started_at >= time_text(since), runs.c.purpose == "backup")
        .order_by(runs.c.started_at)
    )
    with database.transaction() as connection:
        return [RunMoment(job, _moment(at), status, size) for job, at, status, size in connection.execute(query)]


def first_runs(database: Database, jobs: Sequence[str]) -> dict[str, datetime]:
    """When each of these jobs ran for the first time, as far as that is known."""
    found = {}
    with database.transaction() as connection:
        for job in jobs:
            moments = [
                connection.scalar(sa.select(sa.func.min(table.c.started_at)).where(table.c.job == job))
                for table in (tables.executions, past_executions)
            ]
            known = [_moment(text) for text in moments if text is not None]
            if known:
                found[job] = min(known)
    return found


def newest_runs(database: Database, jobs: Sequence[str], statuses: Sequence[str]) -> dict[str, sa.RowMapping]:
    """Of each of these jobs the newest backup that ended like this, one that is gone by now too."""
    names = ("job", "status", "started_at", "finished_at", "total_size_bytes", "compressed_size_bytes")
    found: dict[str, sa.RowMapping] = {}
    with database.transaction() as connection:
        for table, newest_ids in ((tables.executions, last_ids), (past_executions, last_past_ids)):
            ids = newest_ids(jobs, table.c.purpose == "backup", table.c.status.in_(statuses))
            query = sa.select(*(table.c[name] for name in names)).where(table.c.execution_id.in_(ids))
            for row in connection.execute(query).mappings():
                other = found.get(row["job"])
                if other is None or row["started_at"] > other["started_at"]:
                    found[row["job"]] = row
    return found


def storage_sums(
    database: Database, storages: Sequence[str], since: datetime, *, job: str | None
) -> dict[str, StorageSum]:
    """What each of these storages holds, and what was made since a moment, of one job or of all."""
    if not storages:
        return {}
    copies, executions = tables.copies.c, tables.executions.c
    size = executions.compressed_size_bytes
    held = copies.status != "missing"
    recent = sa.and_(executions.started_at >= time_text(since), *([executions.job == job] if job is not None else []))
    # All sums of all storages at once: to group by storage, SQLite would sort every copy.
    query = (
        sa.select(
            *(
                column
                for at in (copies.storage == name for name in storages)
                for column in (
                    sa.func.count().filter(at, held),
                    sa.func.sum(size).filter(at, held),
                    sa.func.sum(size).filter(at, recent),
                )
            )
        )
        .select_from(tables.copies)
        .join(tables.executions, executions.execution_id == copies.execution_id)
        .where(copies.path != "", executions.status.in_(sorted(RESTORABLE)))
    )
    with database.transaction() as connection:
        sums = iter(connection.execute(query).one())
    return {name: StorageSum(next(sums), next(sums) or 0, next(sums) or 0) for name in storages}


def space_samples(database: Database, storage: str, since: datetime) -> list[SpaceSample]:
    """How much room a storage had, the least of each day, the oldest first."""
    free = sa.func.json_extract(health_checks.c.figures, "$.disk_free_bytes")
    total = sa.func.json_extract(health_checks.c.figures, "$.disk_total_bytes")
    # Columns beside a single min() are those of its row, which SQLite promises.
    query = (
        sa.select(health_checks.c.checked_at, sa.func.min(free), total)
        .where(
            health_checks.c.subject_kind == "storage",
            health_checks.c.subject == storage,
            health_checks.c.checked_at >= time_text(since),
            free.is_not(None),
            total.is_not(None),
        )
        .group_by(sa.func.substr(health_checks.c.checked_at, 1, 10))
        .order_by(health_checks.c.checked_at)
    )
    with database.transaction() as connection:
        return [SpaceSample(_moment(at), int(left), int(whole)) for at, left, whole in connection.execute(query)]


def copy_counts(database: Database) -> dict[tuple[str, str], int]:
    """How many copies each storage holds, by their state."""
    query = sa.select(tables.copies.c.storage, tables.copies.c.status, sa.func.count()).group_by(
        tables.copies.c.status, tables.copies.c.storage
    )
    with database.transaction() as connection:
        return {(storage, status): count for storage, status, count in connection.execute(query)}


def lost_copies(database: Database) -> dict[tuple[str, str], int]:
    """By datasource and storage, how many copies are missing or damaged."""
    query = (
        sa.select(tables.executions.c.datasource, tables.copies.c.storage, sa.func.count())
        .join(tables.executions, tables.executions.c.execution_id == tables.copies.c.execution_id)
        .where(tables.copies.c.status.in_(["missing", "corrupt"]), tables.copies.c.path != "")
        .group_by(tables.executions.c.datasource, tables.copies.c.storage)
    )
    with database.transaction() as connection:
        return {(datasource, storage): count for datasource, storage, count in connection.execute(query)}


def waiting_deliveries(database: Database, *, before: datetime) -> Waiting:
    """How many messages wait for longer than since a moment, or were perhaps not sent."""
    late = time_text(before)
    with database.transaction() as connection:
        count, since = connection.execute(
            sa.select(sa.func.count(), sa.func.min(deliveries.c.created_at)).where(
                deliveries.c.status.in_(["waiting", "sending", "perhaps sent"]), deliveries.c.created_at < late
            )
        ).one()
        more, since_items = connection.execute(
            sa.select(sa.func.count(), sa.func.min(delivery_items.c.created_at)).where(
                delivery_items.c.delivery_id.is_(None), delivery_items.c.created_at < late
            )
        ).one()
    known = [_moment(text) for text in (since, since_items) if text is not None]
    return Waiting(times=count + more, since=min(known, default=None))


def _ended_backups(runs: sa.FromClause, since: datetime, until: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        runs.c.started_at >= time_text(since),
        runs.c.started_at < time_text(until),
        runs.c.purpose == "backup",
        runs.c.status.in_(sorted(ENDED)),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
