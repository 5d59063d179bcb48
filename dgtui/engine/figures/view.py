"""The figures, as commands, screens and the daemon ask for them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.database import is_without_room
from dgtui.engine.catalog.figures import (
    error_sums,
    first_runs,
    lost_copies,
    run_moments,
    run_sums,
    space_samples,
    storage_sums,
    waiting_deliveries,
)
from dgtui.engine.catalog.forgetting import copies_elsewhere
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.cut_writes import remove_cut_writes
from dgtui.engine.figures import attention
from dgtui.engine.figures.calendar import NextDue, job_calendar, last_days, missed_times
from dgtui.engine.figures.exposition import exposition
from dgtui.engine.figures.filling import outlook
from dgtui.engine.figures.metrics import metric_families
from dgtui.engine.figures.model import ErrorFigures, JobCalendar, Overview, Stats, StorageFigures
from dgtui.engine.figures.runs import grouped, run_figures
from dgtui.engine.files import write_durably
from dgtui.engine.health_age import state_at
from dgtui.engine.health_model import HealthState, Watched
from dgtui.engine.messages import now
from dgtui.engine.timetable import Timetable

_RECENT = timedelta(days=30)
"""How far back it is looked for how a storage fills."""
_MOST_DAYS_SHOWN = 92
_METRICS_MODE = 0o644
"""The textfile collector runs as another user, and there is nothing in it that others may not see."""


class Figures:
    """Success, duration, size, room, and what needs attention."""

    def __init__(self, config: Config, catalog: Catalog, *, clock: Callable[[], datetime] = now) -> None:
        self._config = config
        self._catalog = catalog
        self._clock = clock

    def stats(self, *, days: int = 30, job: str | None = None) -> Stats:
        """The figures of the last days, of one job or of all; by month where there are many days."""
        until = self._clock()
        since = until - timedelta(days=days)
        sums = run_sums(self._catalog, since, until, job=job, months=days > _MOST_DAYS_SHOWN)
        return Stats(
            since=since,
            until=until,
            days=days,
            job=job,
            all=run_figures("", sums),
            jobs=grouped(sums, lambda one: one.job),
            datasources=grouped(sums, lambda one: one.datasource),
            storages=self._storages(since, job=job),
            errors=tuple(
                ErrorFigures(kind=one.kind, count=one.times, last_at=one.last_at)
                for one in error_sums(self._catalog, since, until, job=job)
            ),
        )

    def _storages(self, since: datetime, *, job: str | None = None) -> tuple[StorageFigures, ...]:
        wanted = (
            self._config.jobs[job].storages
            if job is not None and job in self._config.jobs
            else tuple(self._config.storages)
        )
        sums = storage_sums(self._catalog, wanted, since, job=job)
        states = HealthRecords(self._catalog).states("storage")
        recent = self._clock() - _RECENT
        found = []
        for name in wanted:
            subject = Watched(kind="storage", name=name)
            state = states.get(subject, HealthState(subject=subject))
            found.append(
                StorageFigures(
                    name=name,
                    backup_count=sums[name].times,
                    backup_bytes=sums[name].size_bytes,
                    added_bytes=sums[name].added_bytes,
                    free_bytes=state.figures.disk_free_bytes,
                    total_bytes=state.figures.disk_total_bytes,
                    checked_at=state.checked_at,
                    outlook=outlook(space_samples(self._catalog, name, recent)),
                )
            )
        return tuple(found)

    def overview(self, *, days: int = 30, daemon_running: bool) -> Overview:
        """What needs attention, and the last days of each job."""
        end = self._clock()
        storages = self._storages(end - timedelta(days=days))
        known = HealthRecords(self._catalog).states()
        states = {
            subject: state_at(self._config, state, end) for subject, state in known.items() if self._is_watched(subject)
        }
        place = self._catalog.path
        found = [
            *attention.of_daemon(self._config, running=daemon_running),
            *attention.of_health(states),
            *attention.of_unchecked(states, full=place.parent if is_without_room(place) else None),
            *attention.of_last_runs(self._catalog.last_runs_gone_wrong(list(self._config.jobs))),
            *attention.of_storages(storages, states),
            *attention.of_copies(lost_copies(self._catalog)),
            *attention.of_forgotten(copies_elsewhere(self._catalog, self._config.storages)),
            *attention.of_deliveries(waiting_deliveries(self._catalog, before=end - attention.UNDELIVERED_AFTER), end),
        ]
        return Overview(
            attention=attention.in_order(found),
            calendars=self.calendars(days=days),
            today=end.astimezone().date(),
        )

    def _is_watched(self, subject: Watched) -> bool:
        if subject.kind == "storage":
            return subject.name in self._config.storages
        if subject.kind == "job":
            return subject.name in self._config.jobs and self._config.is_followed(subject.name)
        return subject.name in self._config.datasources and self._config.datasources[subject.name].enabled

    def calendars(self, *, days: int = 30) -> tuple[JobCalendar, ...]:
        """The last days of each configured job; what was missed follows from its timetable as it is now."""
        end = self._clock()
        shown = last_days(end, days)
        begin = end - timedelta(days=days)
        runs = run_moments(self._catalog, begin - timedelta(days=1))
        first = self._known_since(end)
        # Most jobs have the timetable of some other one, and to find a due time is dear.
        shared = cache(_walk)
        found = []
        for name, job in self._config.jobs.items():
            own = [run for run in runs if run.job == name]
            missed: list[datetime] = []
            # Before its first run or check a job may not have been there at all.
            if job.schedule is not None and self._config.is_followed(name) and name in first:
                jitter = int(job.jitter)
                identity = self._config.job_id(name) if jitter else ""
                next_due = shared(identity, job.schedule, job.timezone, job.window, jitter)
                starts = [run.started_at for run in own]
                missed = list(missed_times(next_due, starts, max(begin, first[name]), end))
            found.append(job_calendar(name, shown, own, missed))
        return tuple(found)

    def _known_since(self, at: datetime) -> dict[str, datetime]:
        """Since when each job is known to be there: its first run, and of one that never ran its first check."""
        known = first_runs(self._catalog, list(self._config.jobs))
        records = HealthRecords(self._catalog)
        for name in self._config.jobs.keys() - known.keys():
            if (checked := records.watched_since(Watched(kind="job", name=name), at)) is not None:
                known[name] = checked
        return known

    def metrics(self, *, daemon_running: bool) -> str:
        """Everything in the text form of Prometheus."""
        return exposition(metric_families(self._config, self._catalog, self._clock(), daemon_running=daemon_running))

    def write_metrics(self, path: Path, *, daemon_running: bool) -> None:
        """Put the metrics in place at one stroke, for the textfile collector. Raises StorageError."""
        text = self.metrics(daemon_running=daemon_running)
        write_durably(path, text.encode(), mode=_METRICS_MODE)
        remove_cut_writes(path.parent, of=path.name)


def _walk(identity: str, schedule: str, zone: str | None, window: str | None, jitter: int) -> NextDue:
    """The due runs of a timetable; each is found once, whoever asks for it."""
    return cache(Timetable.parse(identity, schedule, zone, window=window, jitter=jitter).next_after)
