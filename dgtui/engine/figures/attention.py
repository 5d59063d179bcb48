"""What somebody should look at, the worst first: each with the place where more is to be seen."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from dgtui.config import Config
from dgtui.engine.catalog.figures import Waiting
from dgtui.engine.figures.model import Attention, Place, StorageFigures
from dgtui.engine.health_model import HealthState, Watched, WatchedKind
from dgtui.engine.model import Execution
from dgtui.engine.notification_model import Severity
from dgtui.engine.sizes import counted

_SOON_FULL_DAYS = 14
_NEARLY_FULL = 0.1
UNDELIVERED_AFTER = timedelta(minutes=10)
"""How long a message may wait before somebody should know."""
_PLACES: dict[WatchedKind, Place] = {"datasource": "datasources", "storage": "storages", "job": "jobs"}
_WORST_FIRST: tuple[Severity, ...] = ("critical", "error", "warning", "info")
_RUN_SEVERITIES: dict[str, Severity] = {"failed": "error", "interrupted": "error", "partial": "warning"}


def in_order(found: Sequence[Attention]) -> tuple[Attention, ...]:
    """The worst first; those that are as bad as each other stay as they are."""
    return tuple(sorted(found, key=lambda one: _WORST_FIRST.index(one.severity)))


def of_health(states: Mapping[Watched, HealthState]) -> list[Attention]:
    """Datasources, storages and jobs that are not well: critical ones, overdue jobs."""
    return [
        Attention(
            severity="critical" if state.status == "critical" else "warning",
            text=f"{subject.kind.capitalize()} {subject.name}: {state.message or state.status}",
            place=_PLACES[subject.kind],
            name=subject.name,
            hint=state.hint,
        )
        for subject, state in states.items()
        if state.status in ("critical", "warning")
    ]


def of_unchecked(states: Mapping[Watched, HealthState], *, full: Path | None = None) -> list[Attention]:
    """What was watched once, and is not any more: how it stands now is not known.

    `full` is the state folder where its disk is full, so that no check can be written down.
    """
    since = [state.checked_at for state in states.values() if state.status == "unknown" and state.checked_at]
    if not since:
        return []
    why = "nobody has checked since" if full is None else "the disk of the state folder is full, no check written since"
    return [
        Attention(
            severity="error",
            text=f"Health of {len(since)} of {len(states)} unknown: {why} {min(since):%Y-%m-%d %H:%M} UTC",
            place="datasources",
            hint="dgtui daemon --status" if full is None else f"df -h {full}",
        )
    ]


def of_last_runs(newest: Mapping[str, Execution]) -> list[Attention]:
    """Jobs whose newest run did not end as it should."""
    found = []
    for job, run in newest.items():
        severity = _RUN_SEVERITIES.get(run.status)
        if severity is not None:
            why = f": {run.problem.message}" if run.problem is not None else ""
            hint = run.problem.hint if run.problem is not None else ""
            found.append(
                Attention(
                    severity=severity,
                    text=f"Last run of {job} {run.status}{why}",
                    place="history",
                    name=run.execution_id,
                    hint=hint,
                )
            )
    return found


def of_storages(storages: Sequence[StorageFigures], states: Mapping[Watched, HealthState]) -> list[Attention]:
    """Storages that are nearly full, or will be soon; those that their health tells of already are left out."""
    found = []
    for storage in storages:
        state = states.get(Watched(kind="storage", name=storage.name))
        days = storage.outlook.days_until_full
        if state is not None and state.status in ("critical", "warning"):
            continue
        if days is not None and days <= _SOON_FULL_DAYS:
            text = f"Storage {storage.name} will be full in about {max(round(days), 1)} days"
        elif (
            storage.total_bytes
            and storage.free_bytes is not None
            and (share := storage.free_bytes / storage.total_bytes) < _NEARLY_FULL
        ):
            text = f"Storage {storage.name} is nearly full: {share:.0%} free"
        else:
            continue
        found.append(Attention(severity="warning", text=text, place="storages", name=storage.name))
    return found


def of_copies(lost: Mapping[tuple[str, str], int]) -> list[Attention]:
    """Copies that are missing or damaged."""
    return [
        Attention(
            severity="warning",
            text=f"{counted(count, 'copies')} of {datasource} missing or damaged at {storage}",
            place="backups",
            name=datasource,
        )
        for (datasource, storage), count in sorted(lost.items())
    ]


def of_forgotten(copies: Mapping[str, int]) -> list[Attention]:
    """Storages that are not configured any more, whose copies keep others from being removed."""
    return [
        Attention(
            severity="warning",
            text=f"{counted(count, 'backups')} kept by copies at {storage}, which is not configured",
            place="storages",
            hint=f"dgtui forget-storage {storage}",
        )
        for storage, count in sorted(copies.items())
    ]


def of_deliveries(waiting: Waiting, now: datetime) -> list[Attention]:
    """Notifications that reached nobody yet."""
    if not waiting.times:
        return []
    minutes = int((now - waiting.since).total_seconds() // 60) if waiting.since is not None else 0
    age = f"{minutes // 60} h" if minutes >= 120 else f"{minutes} min"
    return [
        Attention(
            severity="warning",
            text=f"{counted(waiting.times, 'notifications')} not delivered, oldest {age}",
            place="notifications",
            hint="dgtui notify tells why",
        )
    ]


def of_daemon(config: Config, *, running: bool) -> list[Attention]:
    """Schedules that nobody follows."""
    scheduled = [name for name, job in config.jobs.items() if job.schedule is not None and config.is_followed(name)]
    if running or not scheduled:
        return []
    return [
        Attention(
            severity="error",
            text=f"No daemon is running: nothing starts the {counted(len(scheduled), 'scheduled jobs')}",
            place="jobs",
            hint="dgtui daemon --install",
        )
    ]
