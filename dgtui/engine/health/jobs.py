"""How a job stands: is its newest backup as young, as large and as complete as it should be?"""

import statistics
from collections.abc import Sequence
from datetime import datetime, timedelta

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.causes import cause_of_end, cause_of_missing, this_machine
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.health_model import Concern, Figures, HealthCheck, Watched
from dgtui.engine.model import RESTORABLE, Copy, Execution
from dgtui.engine.sizes import size_text
from dgtui.engine.stored import folder_of, know_marker
from dgtui.engine.timetable import Timetable

_HISTORY = 11
_LEAST_ALLOWANCE = timedelta(hours=1)
_ENOUGH = 4
_FAR_OFF = 2.0
_LEAST_DIFFERENCE = 1 << 20
_LOOKED_AT = 50
_CLOCK_TOLERANCE = timedelta(minutes=5)
"""Clocks of machines that share a storage differ a little."""


def good_backups(catalog: Catalog, job: str, count: int) -> list[Execution]:
    """The newest backups of a job that can be restored, the newest first."""
    newest = catalog.executions(job=job, limit=_LOOKED_AT)
    good = [row for row in newest if row.status in RESTORABLE and row.purpose == "backup"]
    if not good and len(newest) == _LOOKED_AT:
        for status in sorted(RESTORABLE):
            good += catalog.executions(job=job, status=status, limit=count)
        good.sort(key=lambda row: row.started_at, reverse=True)
    return good[:count]


def ask_job(config: Config, catalog: Catalog, subject: Watched, at: datetime) -> HealthCheck:
    """See how the backups of a job stand."""
    backups = good_backups(catalog, subject.name, _HISTORY)
    newest = backups[0] if backups else None
    concerns = [
        *_overdue(config, catalog, subject, backups, at),
        *_from_future(backups, at),
        *_size(backups),
        *_copies(config, catalog, backups),
    ]
    return HealthCheck(
        subject=subject,
        checked_at=at,
        result="ok",
        concerns=tuple(concerns),
        figures=Figures(
            size_bytes=newest.total_size_bytes if newest else None,
            last_good_at=newest.started_at if newest else None,
        ),
    )


def _overdue(
    config: Config, catalog: Catalog, subject: Watched, backups: Sequence[Execution], at: datetime
) -> list[Concern]:
    """Is there no good backup for longer than the timetable allows, and some time for making one?"""
    name = subject.name
    job = config.jobs[name]
    if job.schedule is None:
        return []
    timetable = Timetable.parse(
        config.job_id(name), job.schedule, job.timezone, window=job.window, jitter=int(job.jitter)
    )
    # One that is dated in the future says nothing of when it was made.
    last_at = next((row.started_at for row in backups if row.started_at <= at), None)
    missed = timetable.latest(at - _allowance(backups), _covered_until(catalog, subject, last_at, at))
    if missed is None:
        return []
    last = f"the last good one is of {last_at:%Y-%m-%d %H:%M} UTC" if last_at is not None else "there never was one"
    return [
        Concern(
            kind="backup_overdue",
            message=f"No good backup since it was due at {missed.due_at:%Y-%m-%d %H:%M} UTC; {last}",
            hint=f"Is the daemon running (dgtui daemon --status)? Look with: dgtui list --job {name} --limit 5",
            status="critical",
            group=_cause_of_overdue(config, catalog, name, missed.due_at),
        )
    ]


def _covered_until(catalog: Catalog, subject: Watched, last_at: datetime | None, at: datetime) -> datetime:
    """Up to when nothing was missed: while a job was switched off, nothing was due."""
    records = HealthRecords(catalog)
    since = records.watched_since(subject, at) or at
    first = records.first_check(subject) or at
    return since if last_at is None or since > max(first, last_at) else last_at


def _cause_of_overdue(config: Config, catalog: Catalog, name: str, due_at: datetime) -> str:
    """What kept the last run since then from being a good one; where there was none, what may have."""
    last = next(
        (row for row in catalog.executions(job=name, purpose="backup", limit=1) if row.started_at >= due_at), None
    )
    cause = cause_of_end(config, last) if last is not None else ""
    return cause or cause_of_missing(config, config.jobs[name].datasource)


def _allowance(backups: Sequence[Execution]) -> timedelta:
    """How long after its time a backup may be there: twice as long as it usually takes, and at least an hour."""
    took = [(row.finished_at - row.started_at).total_seconds() for row in backups if row.finished_at is not None]
    usual = statistics.median(took) if took else 0.0
    return max(_LEAST_ALLOWANCE, timedelta(seconds=2 * usual))


def _from_future(backups: Sequence[Execution], at: datetime) -> list[Concern]:
    """Is the newest one dated in the future?"""
    if not backups or backups[0].started_at - at <= _CLOCK_TOLERANCE:
        return []
    return [
        Concern(
            kind="backup_from_future",
            message=f"The newest backup is from the future, {backups[0].started_at:%Y-%m-%d %H:%M} UTC, and now it is "
            f"{at:%Y-%m-%d %H:%M} UTC: the clock went back, or it was wrong then",
            hint="Is the clock of this machine right? See: timedatectl. No backup is removed because of it",
            group=this_machine(),
        )
    ]


def _size(backups: Sequence[Execution]) -> list[Concern]:
    """Is the newest one far larger or smaller than those before it?"""
    if not backups or backups[0].total_size_bytes is None:
        return []
    newest, size = backups[0], backups[0].total_size_bytes
    before = [
        row.total_size_bytes
        for row in backups[1:]
        if row.total_size_bytes is not None and row.backup_type == newest.backup_type
    ]
    if len(before) < _ENOUGH:
        return []
    usual = statistics.median(before)
    if abs(size - usual) < _LEAST_DIFFERENCE or usual / _FAR_OFF <= size <= usual * _FAR_OFF:
        return []
    way, question = ("smaller", "Is all of it still there?") if size < usual else ("larger", "Is that meant?")
    return [
        Concern(
            kind="backup_unusual",
            message=f"The newest backup is far {way} than usual: {size_text(size)}, usually {size_text(usual)}",
            hint=f"{question} Look with: dgtui show {newest.execution_id[:8]}",
            event=newest.execution_id,
        )
    ]


def _copies(config: Config, catalog: Catalog, backups: Sequence[Execution]) -> list[Concern]:
    """Is the newest one where it was stored?"""
    if not backups:
        return []
    concerns = []
    for copy in backups[0].copies:
        if not copy.path or copy.storage not in config.storages:
            continue
        status = _status_now(config, catalog, backups[0], copy)
        if status in ("missing", "corrupt"):
            concerns.append(
                Concern(
                    kind="copy_missing" if status == "missing" else "copy_damaged",
                    message=f"The copy of the newest backup at {copy.storage} is {status}",
                    hint=f"Look with: dgtui show {backups[0].execution_id[:8]}; a new backup makes a new copy",
                    group=copy.storage,
                )
            )
    return concerns


def _status_now(config: Config, catalog: Catalog, execution: Execution, copy: Copy) -> str:
    if copy.status == "corrupt":
        return copy.status
    try:
        storage = config.storage(copy.storage)
        know_marker(catalog, storage)
        return storage.copy_status(folder_of(execution))
    except DataGuardianError:
        return "unknown"
