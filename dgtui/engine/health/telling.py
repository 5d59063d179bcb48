"""Events become notifications; telling one twice, after a crash in between, does no harm."""

from collections.abc import Iterable
from datetime import datetime

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.health_model import HealthEvent, Watched
from dgtui.engine.notification_model import LASTING
from dgtui.engine.notify import end_states, raise_notification


def tell_events(catalog: Catalog, config: Config, records: HealthRecords, at: datetime) -> None:
    """Tell what was not told yet. Raises CatalogError, and then it is told the next time."""
    events = records.untold()
    for event in events:
        _tell(catalog, config, event, at)
    if events:
        records.mark_told(events)


def forget(catalog: Catalog, records: HealthRecords, subjects: Iterable[Watched]) -> None:
    """Drop the states of what is not watched any more, and end what was told of it. Raises CatalogError."""
    gone = tuple(subjects)
    for subject in gone:
        end_states(catalog, sorted(LASTING), subject_kind=subject.kind, subject=subject.name)
    records.forget(gone)


def _tell(catalog: Catalog, config: Config, event: HealthEvent, at: datetime) -> None:
    subject = event.subject
    if event.over:
        if event.kind in LASTING:
            end_states(catalog, (event.kind,), subject_kind=subject.kind, subject=subject.name, at=event.at)
        return
    raise_notification(
        catalog,
        event.kind,
        subject_kind=subject.kind,
        subject=subject.name,
        message=event.message,
        details=event.details,
        related=_concerned(config, subject),
        group_key=event.group,
        event=event.event,
        # Not when it was asked: a channel waits from now on for others of the same server.
        at=at,
    )


def _concerned(config: Config, subject: Watched) -> tuple[str, ...]:
    """The other objects that are concerned: of a job what it works with, else the jobs and what they work with."""
    names: list[str] = []
    for name, job in config.jobs.items():
        parts = {"job": (name,), "datasource": (job.datasource,), "storage": job.storages}
        if subject.name in parts[subject.kind]:
            storages = job.storages if subject.kind == "job" else ()
            names += [name, job.datasource, *storages]
    return tuple(dict.fromkeys(name for name in names if name != subject.name))
