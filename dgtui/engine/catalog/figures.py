"""What the catalogue is asked for figures: everything is summed up by SQLite, and nothing is loaded whole."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import starmap
from typing import NamedTuple

from dgtui.engine.catalog.conditions import IS_RESTORABLE
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.newest import last_ids, last_past_ids
from dgtui.engine.catalog.past import RUNS_EVER
from dgtui.engine.catalog.statements import Sql, all_of, among, equal, words
from dgtui.engine.model import ENDED

_TABLES = ("executions", "past_executions")
"""Of the runs that are kept, and of those that are gone."""


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


class NewestRun(NamedTuple):
    """The run of a job that was its last; its times are texts that sort by time."""

    job: str
    status: str
    started_at: str
    finished_at: str | None
    total_size_bytes: int | None
    compressed_size_bytes: int | None


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
    chosen = _ended_backups(since, until, job)
    day_or_month = "%Y-%m" if months else "%Y-%m-%d"
    # What is summed up of each run is reckoned here once for all the sums.
    each = " UNION ALL ".join(
        f"""
        SELECT job, datasource, strftime('{day_or_month}', started_at, 'localtime') AS period, status,
               (julianday(finished_at) - julianday(started_at)) * 86400.0 AS seconds,
               total_size_bytes, compressed_size_bytes
        FROM {table} WHERE {chosen.text}
        """
        for table in _TABLES
    )
    query = f"""
        SELECT job, datasource, period, status, count(*), sum(seconds), max(seconds), sum(total_size_bytes),
               sum(compressed_size_bytes), count(total_size_bytes), count(seconds)
        FROM ({each})
        GROUP BY job, datasource, period, status
        ORDER BY period
    """
    with database.transaction() as connection:
        return [RunSum(*row) for row in connection.execute(query, chosen.values)]


def error_sums(database: Database, since: datetime, until: datetime, *, job: str | None) -> list[ErrorSum]:
    """By kind of error how often a run failed, the most frequent first."""
    chosen = _ended_backups(since, until, job)
    query = f"""
        SELECT coalesce(problem_kind, status) AS kind, count(*) AS times, max(started_at)
        FROM ({RUNS_EVER})
        WHERE {chosen.text} AND status IN ('failed', 'interrupted', 'partial')
        GROUP BY kind
        ORDER BY times DESC, kind
    """
    with database.transaction() as connection:
        found = connection.execute(query, chosen.values)
        return [ErrorSum(kind, count, _moment(last)) for kind, count, last in found]


def run_moments(database: Database, since: datetime) -> list[RunMoment]:
    """Every backup that began since a moment, in that order, those that are still running among them."""
    query = f"""
        SELECT job, started_at, status, total_size_bytes
        FROM ({RUNS_EVER})
        WHERE started_at >= :since AND purpose = 'backup'
        ORDER BY started_at
    """
    with database.transaction() as connection:
        found = connection.execute(query, {"since": time_text(since)})
        return [RunMoment(job, _moment(at), status, size) for job, at, status, size in found]


def first_runs(database: Database, jobs: Sequence[str]) -> dict[str, datetime]:
    """When each of these jobs ran for the first time, as far as that is known."""
    found = {}
    with database.transaction() as connection:
        for job in jobs:
            moments = [
                connection.scalar(f"SELECT min(started_at) FROM {table} WHERE job = :job", {"job": job})
                for table in _TABLES
            ]
            known = [_moment(text) for text in moments if text is not None]
            if known:
                found[job] = min(known)
    return found


def newest_runs(database: Database, jobs: Sequence[str], statuses: Sequence[str]) -> dict[str, NewestRun]:
    """Of each of these jobs the newest backup that ended like this, one that is gone by now too."""
    chosen = all_of(Sql("purpose = 'backup'"), among("status", statuses))
    found: dict[str, NewestRun] = {}
    with database.transaction() as connection:
        for table, newest_ids in zip(_TABLES, (last_ids, last_past_ids), strict=True):
            ids = newest_ids(jobs, chosen)
            query = f"SELECT {', '.join(NewestRun._fields)} FROM {table} WHERE execution_id IN ({ids.text})"
            for run in starmap(NewestRun, connection.execute(query, ids.values)):
                other = found.get(run.job)
                if other is None or run.started_at > other.started_at:
                    found[run.job] = run
    return found


def storage_sums(
    database: Database, storages: Sequence[str], since: datetime, *, job: str | None
) -> dict[str, StorageSum]:
    """What each of these storages holds, and what was made since a moment, of one job or of all."""
    if not storages:
        return {}
    recent = all_of(Sql("started_at >= :since", {"since": time_text(since)}), equal(job=job))
    names = {f"storage_{number}": name for number, name in enumerate(storages)}
    # All sums of all storages at once: to group by storage, SQLite would sort every copy.
    sums = ", ".join(
        f"""
        count(*) FILTER (WHERE storage = :{name} AND copies.status != 'missing'),
        sum(compressed_size_bytes) FILTER (WHERE storage = :{name} AND copies.status != 'missing'),
        sum(compressed_size_bytes) FILTER (WHERE storage = :{name} AND {recent.text})
        """
        for name in names
    )
    query = f"""
        SELECT {sums}
        FROM copies JOIN executions ON executions.execution_id = copies.execution_id
        WHERE path != '' AND executions.{IS_RESTORABLE}
    """
    with database.transaction() as connection:
        found = iter(connection.execute(query, {**recent.values, **names}).fetchone())
    return {name: StorageSum(next(found), next(found) or 0, next(found) or 0) for name in storages}


def space_samples(database: Database, storage: str, since: datetime) -> list[SpaceSample]:
    """How much room a storage had, the least of each day, the oldest first."""
    free = "json_extract(figures, '$.disk_free_bytes')"
    total = "json_extract(figures, '$.disk_total_bytes')"
    # Columns beside a single min() are those of its row, which SQLite promises.
    query = f"""
        SELECT checked_at, min({free}), {total}
        FROM health_checks
        WHERE subject_kind = 'storage' AND subject = :storage AND checked_at >= :since
          AND {free} IS NOT NULL AND {total} IS NOT NULL
        GROUP BY substr(checked_at, 1, 10)
        ORDER BY checked_at
    """
    with database.transaction() as connection:
        found = connection.execute(query, {"storage": storage, "since": time_text(since)})
        return [SpaceSample(_moment(at), int(left), int(whole)) for at, left, whole in found]


def copy_counts(database: Database) -> dict[tuple[str, str], int]:
    """How many copies each storage holds, by their state."""
    query = "SELECT storage, status, count(*) FROM copies GROUP BY status, storage"
    with database.transaction() as connection:
        return {(storage, status): count for storage, status, count in connection.execute(query)}


def lost_copies(database: Database) -> dict[tuple[str, str], int]:
    """By datasource and storage, how many copies are missing or damaged."""
    query = """
        SELECT datasource, storage, count(*)
        FROM copies JOIN executions ON executions.execution_id = copies.execution_id
        WHERE copies.status IN ('missing', 'corrupt') AND path != ''
        GROUP BY datasource, storage
    """
    with database.transaction() as connection:
        return {(datasource, storage): count for datasource, storage, count in connection.execute(query)}


def waiting_deliveries(database: Database, *, before: datetime) -> Waiting:
    """How many messages wait for longer than since a moment, or were perhaps not sent."""
    late = {"late": time_text(before)}
    unsent = """
        SELECT count(*), min(created_at) FROM deliveries
        WHERE status IN ('waiting', 'sending', 'perhaps sent') AND created_at < :late
    """
    no_part = "SELECT count(*), min(created_at) FROM delivery_items WHERE delivery_id IS NULL AND created_at < :late"
    with database.transaction() as connection:
        count, since = connection.execute(unsent, late).fetchone()
        more, since_items = connection.execute(no_part, late).fetchone()
    known = [_moment(text) for text in (since, since_items) if text is not None]
    return Waiting(times=count + more, since=min(known, default=None))


def _ended_backups(since: datetime, until: datetime, job: str | None) -> Sql:
    ended = f"started_at >= :since AND started_at < :until AND purpose = 'backup' AND status IN {words(ENDED)}"
    return all_of(Sql(ended, {"since": time_text(since), "until": time_text(until)}), equal(job=job))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
