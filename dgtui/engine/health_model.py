"""Plain data of the health worker: what is watched, how it answered, and what that makes of it."""

from datetime import datetime
from typing import Literal

from dgtui.engine.model import Record
from dgtui.engine.notification_model import NotificationKind

WatchedKind = Literal["datasource", "storage", "job"]
CheckResult = Literal["ok", "timeout", "auth_failed", "unreachable", "error"]
HealthStatus = Literal["healthy", "warning", "critical", "unknown"]

STATUS_ORDER: tuple[HealthStatus, ...] = ("healthy", "unknown", "warning", "critical")
"""From the best to the worst."""


class Watched(Record, frozen=True):
    """One thing that is watched; names are unique within their kind."""

    kind: WatchedKind
    name: str


class Figures(Record, frozen=True):
    """What is known of something besides whether it answers; what does not apply, or cannot be had, is None."""

    product: str = ""
    version: str = ""
    uptime_seconds: int | None = None
    connection_count: int | None = None
    """Connections to it, besides ours."""
    size_bytes: int | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    expected_bytes: int | None = None
    """Of a storage: what the next backups there will take."""
    last_good_at: datetime | None = None
    """Of a job: when its newest good backup began."""


class Concern(Record, frozen=True):
    """Something that is not well although the check itself succeeded."""

    kind: NotificationKind
    message: str
    hint: str = ""
    status: Literal["warning", "critical"] = "warning"
    event: str = ""
    """What it is about where it happens once, such as the id of a backup; empty for a state that lasts."""
    group: str = ""
    """What concerns that have one cause share; empty where each has its own."""

    @property
    def key(self) -> str:
        """What makes it the same concern at the next check."""
        return f"{self.kind} {self.event}".rstrip()


class HealthCheck(Record, frozen=True):
    """One check and what it found."""

    subject: Watched
    checked_at: datetime
    result: CheckResult
    latency_seconds: float | None = None
    """How long the smallest question took; None where it was not answered."""
    message: str = ""
    hint: str = ""
    concerns: tuple[Concern, ...] = ()
    figures: Figures = Figures()
    group: str = ""
    """What checks that fail of one cause share, such as a server's address."""

    @property
    def good(self) -> bool:
        """Whether it answered."""
        return self.result == "ok"


class HealthEvent(Record, frozen=True):
    """Something that people are to be told, or that is over."""

    kind: NotificationKind
    subject: Watched
    at: datetime
    message: str = ""
    details: tuple[str, ...] = ()
    group: str = ""
    event: str = ""
    over: bool = False
    """Whether the state of this kind has ended, which is recorded without a word."""


class HealthState(Record, frozen=True):
    """How something stands after its last check."""

    subject: Watched
    status: HealthStatus = "unknown"
    watched_since: datetime | None = None
    """When it was checked for the first time, or again after it was switched off."""
    since: datetime | None = None
    """Since when it has this status."""
    checked_at: datetime | None = None
    result: CheckResult | None = None
    latency_seconds: float | None = None
    message: str = ""
    """Why it is not healthy."""
    hint: str = ""
    failures: int = 0
    """Failed checks in a row, up to the last one."""
    outage_since: datetime | None = None
    """When the first of them was."""
    told: tuple[str, ...] = ()
    """Keys of what people were told of it, and is not over."""
    figures: Figures = Figures()

    def answered_after(self, moment: datetime | None) -> bool:
        """Whether its last check went well and was made after a moment, whichever where that is not known."""
        return self.result == "ok" and self.checked_at is not None and (moment is None or self.checked_at > moment)


def worst(statuses: "tuple[HealthStatus, ...] | list[HealthStatus]") -> HealthStatus:
    """The worst of several states; `unknown` where there are none."""
    return max(statuses, key=STATUS_ORDER.index, default="unknown")
