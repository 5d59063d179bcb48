"""What is told to Prometheus. Names of jobs, datasources and storages are in it, and nothing that is secret."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import get_args

import dgtui
from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.figures import copy_counts, newest_runs, waiting_deliveries
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.figures.exposition import Family, Sample
from dgtui.engine.health_age import state_at
from dgtui.engine.health_model import HealthState, HealthStatus, Watched, WatchedKind
from dgtui.engine.model import ENDED, RESTORABLE

_ENDS = ("completed", "partial", "failed", "cancelled", "interrupted")
_HEALTH: tuple[HealthStatus, ...] = get_args(HealthStatus)


def metric_families(config: Config, catalog: Catalog, at: datetime, *, daemon_running: bool) -> Iterator[Family]:
    """Everything that is told, as it is now."""
    yield _one("build_info", "Version of DataGuardian; always 1", 1, {"version": dgtui.__version__})
    yield _one("daemon_up", "Whether the daemon was running when this was written", daemon_running)
    yield _one("written_timestamp_seconds", "When this was written: old where nothing writes it any more", at)
    yield from _jobs(config, catalog)
    states = {
        subject: state_at(config, state, at)
        for subject, state in HealthRecords(catalog).states().items()
        if _is_configured(config, subject)
    }
    yield from _health(states)
    yield from _storages(catalog, states)
    unread = sum(Notifications(catalog).unread_counts().values())
    yield _one("notifications_unread", "Notifications that nobody has read", unread)
    undelivered = waiting_deliveries(catalog, before=at)
    yield _one("notifications_undelivered", "Messages that were not delivered for sure", undelivered.times)


def _is_configured(config: Config, subject: Watched) -> bool:
    named: Mapping[WatchedKind, Mapping[str, object]] = {
        "datasource": config.datasources,
        "storage": config.storages,
        "job": config.jobs,
    }
    return subject.name in named[subject.kind]


def _jobs(config: Config, catalog: Catalog) -> Iterator[Family]:
    success: list[Sample] = []
    ended: list[Sample] = []
    seconds: list[Sample] = []
    sizes: list[Sample] = []
    stored: list[Sample] = []
    statuses: list[Sample] = []
    enabled: list[Sample] = []
    goods = newest_runs(catalog, list(config.jobs), sorted(RESTORABLE))
    lasts = newest_runs(catalog, list(config.jobs), sorted(ENDED))
    for name, job in config.jobs.items():
        # A label `job` would be that of the scrape itself.
        labels = {"job_name": name, "datasource": job.datasource}
        enabled.append(Sample(value=config.is_followed(name), labels=labels))
        good, last = goods.get(name), lasts.get(name)
        if good is not None:
            success.append(_moment(good.finished_at or good.started_at, labels))
            if good.total_size_bytes is not None:
                sizes.append(Sample(value=good.total_size_bytes, labels=labels))
            if good.compressed_size_bytes is not None:
                stored.append(Sample(value=good.compressed_size_bytes, labels=labels))
        if last is not None:
            statuses += [Sample(value=last.status == one, labels={**labels, "status": one}) for one in _ENDS]
            if last.finished_at is not None:
                ended.append(_moment(last.finished_at, labels))
                took = datetime.fromisoformat(last.finished_at) - datetime.fromisoformat(last.started_at)
                seconds.append(Sample(value=took.total_seconds(), labels=labels))
    yield _family("job_enabled", "Whether the job's schedule is followed", enabled)
    yield _family("job_last_success_timestamp_seconds", "End of the newest backup that can be restored", success)
    yield _family("job_last_run_timestamp_seconds", "End of the newest run, however it ended", ended)
    yield _family("job_last_duration_seconds", "How long the newest run took", seconds)
    yield _family("job_last_size_bytes", "Size of the newest good backup before compression", sizes)
    yield _family("job_last_stored_bytes", "Size of the newest good backup as it is stored", stored)
    yield _family("job_last_status", "1 for the state in which the newest run ended, 0 for the others", statuses)


def _health(states: Mapping[Watched, HealthState]) -> Iterator[Family]:
    asked = {subject: state for subject, state in states.items() if subject.kind == "datasource" and state.result}
    up = [Sample(value=one.result == "ok", labels={"datasource": subject.name}) for subject, one in asked.items()]
    latencies = [
        Sample(value=one.latency_seconds, labels={"datasource": subject.name})
        for subject, one in asked.items()
        if one.latency_seconds is not None
    ]
    yield _family("datasource_up", "Whether the datasource answered its last check", up)
    yield _family("datasource_latency_seconds", "How long its smallest question took", latencies)
    health = [
        Sample(value=state.status == one, labels={"kind": subject.kind, "name": subject.name, "status": one})
        for subject, state in states.items()
        for one in _HEALTH
    ]
    yield _family("health_status", "1 for the health of each object, unknown where its last check is too old", health)
    checked = [
        Sample(value=state.checked_at.timestamp(), labels={"kind": subject.kind, "name": subject.name})
        for subject, state in states.items()
        if state.checked_at is not None
    ]
    yield _family("health_checked_timestamp_seconds", "When each object was checked last", checked)
    overdue = [
        Sample(value="backup_overdue" in state.told, labels={"job_name": subject.name})
        for subject, state in states.items()
        if subject.kind == "job" and state.result
    ]
    yield _family("job_overdue", "Whether no good backup was made for longer than the schedule allows", overdue)


def _storages(catalog: Catalog, states: Mapping[Watched, HealthState]) -> Iterator[Family]:
    free: list[Sample] = []
    used: list[Sample] = []
    up: list[Sample] = []
    for subject, state in states.items():
        if subject.kind != "storage" or state.result is None:
            continue
        labels = {"storage": subject.name}
        up.append(Sample(value=state.result == "ok", labels=labels))
        left, whole = state.figures.disk_free_bytes, state.figures.disk_total_bytes
        if left is not None:
            free.append(Sample(value=left, labels=labels))
            used += [Sample(value=whole - left, labels=labels)] if whole is not None else []
    yield _family("storage_up", "Whether the storage could be used at its last check", up)
    yield _family("storage_free_bytes", "Room left at the storage", free)
    yield _family("storage_used_bytes", "Room taken at the storage, by whatever", used)
    usage = catalog.storage_usage()
    held = [Sample(value=size, labels={"storage": name}) for name, (_, size) in sorted(usage.items())]
    yield _family("storage_backup_bytes", "Room taken at the storage by the backups that are known", held)
    copies = [
        Sample(value=count, labels={"storage": storage, "status": status})
        for (storage, status), count in sorted(copy_counts(catalog).items())
    ]
    yield _family("copies", "Copies of backups at each storage by their state", copies)


def _family(name: str, text: str, samples: Sequence[Sample]) -> Family:
    return Family(name=f"dgtui_{name}", help=text, samples=tuple(samples))


def _one(name: str, text: str, value: float | datetime, labels: Mapping[str, str] | None = None) -> Family:
    number = value.timestamp() if isinstance(value, datetime) else float(value)
    return _family(name, text, [Sample(value=number, labels=labels or {})])


def _moment(text: str, labels: Mapping[str, str]) -> Sample:
    return Sample(value=datetime.fromisoformat(text).timestamp(), labels=labels)
