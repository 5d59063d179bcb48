"""Plain data of the figures. What cannot be told is None, never a guess."""

from datetime import date, datetime
from typing import Literal

from dgtui.engine.model import Record
from dgtui.engine.notification_model import Severity

DayState = Literal["good", "partial", "failed", "missed", "cancelled", "nothing"]
Place = Literal["datasources", "backups", "jobs", "storages", "notifications", "history"]


class Period(Record, frozen=True):
    """The runs of a local day, or of a month."""

    begins: str
    """`2025-02-13`, or `2025-02` for a month."""
    completed: int = 0
    partial: int = 0
    failed: int = 0
    """Failed or interrupted."""
    cancelled: int = 0
    mean_seconds: float | None = None
    """How long the good ones took."""
    mean_size_bytes: int | None = None
    """Before compression, of the good ones."""
    mean_stored_bytes: int | None = None


class RunFigures(Record, frozen=True):
    """The runs of a job, of a datasource, or of all, within a time."""

    name: str
    completed: int
    partial: int
    failed: int
    cancelled: int
    success_rate: float | None
    """The share of those that completed among all that were not cancelled; None where there were none."""
    mean_seconds: float | None
    longest_seconds: float | None
    mean_size_bytes: int | None
    stored_bytes: int
    """What all of them wrote, after compression, to each storage."""
    size_change: float | None
    """The newest period's size compared with the oldest one's: 0.1 for a tenth more; None where there is only one."""
    periods: tuple[Period, ...]


class Outlook(Record, frozen=True):
    """How a storage fills."""

    growth_bytes_per_day: int | None
    """A straight line through the days; None where there are too few of them."""
    days_until_full: float | None
    note: str
    """Why that is not known, or how sure it is; empty where there is nothing to add."""


class StorageFigures(Record, frozen=True):
    """What a storage holds, and how it fills."""

    name: str
    backup_count: int
    backup_bytes: int
    added_bytes: int
    """Of the backups there, what was added within the time."""
    free_bytes: int | None
    total_bytes: int | None
    checked_at: datetime | None
    """When the room was looked at."""
    outlook: Outlook


class ErrorFigures(Record, frozen=True):
    """How often runs failed of one kind of error."""

    kind: str
    count: int
    last_at: datetime


class Stats(Record, frozen=True):
    """All figures of a time."""

    since: datetime
    until: datetime
    days: int
    job: str | None
    """The only job they are of; None for all."""
    all: RunFigures
    jobs: tuple[RunFigures, ...]
    datasources: tuple[RunFigures, ...]
    storages: tuple[StorageFigures, ...]
    errors: tuple[ErrorFigures, ...]


class Day(Record, frozen=True):
    """One job on one local day."""

    day: date
    state: DayState
    good: int = 0
    partial: int = 0
    failed: int = 0
    missed: int = 0
    cancelled: int = 0
    size_bytes: int | None = None
    """Of the last good one."""


class JobCalendar(Record, frozen=True):
    """A job day by day, the oldest first."""

    job: str
    days: tuple[Day, ...]


class Attention(Record, frozen=True):
    """Something that somebody should look at, and where."""

    severity: Severity
    text: str
    place: Place
    name: str = ""
    """The object there; empty for the whole place."""
    hint: str = ""


class Overview(Record, frozen=True):
    """What there is to see at a glance."""

    attention: tuple[Attention, ...]
    calendars: tuple[JobCalendar, ...]
    today: date
