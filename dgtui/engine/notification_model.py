"""Plain data of what is told and written down: notifications, deliveries, audit entries. Times are UTC."""

from datetime import datetime
from typing import Literal

from dgtui.engine.model import Problem, Record

Severity = Literal["info", "warning", "error", "critical"]
NotificationKind = Literal[
    "connection_lost",
    "connection_restored",
    "backup_completed",
    "backup_partial",
    "backup_failed",
    "backup_overdue",
    "backup_unusual",
    "backup_from_future",
    "copy_missing",
    "copy_damaged",
    "restore_completed",
    "restore_failed",
    "rehearsal_completed",
    "rehearsal_failed",
    "storage_unreachable",
    "storage_low",
    "storage_restored",
    "cleanup_completed",
    "cleanup_failed",
    "configuration_wrong",
    "configuration_restored",
    "duty_hangs",
    "duty_fails",
    "duty_restored",
    "catalogue_rebuilt",
    "state_unwritable",
    "state_restored",
]
SubjectKind = Literal["datasource", "job", "storage", "execution", "configuration", "duty", "catalogue"]
"""What a notification is about."""
DeliveryStatus = Literal["waiting", "sending", "sent", "perhaps sent"]

SEVERITIES: dict[NotificationKind, Severity] = {
    "connection_lost": "critical",
    "connection_restored": "info",
    "backup_completed": "info",
    "backup_partial": "warning",
    "backup_failed": "error",
    "backup_overdue": "critical",
    "backup_unusual": "warning",
    "backup_from_future": "warning",
    "copy_missing": "warning",
    "copy_damaged": "error",
    "restore_completed": "info",
    "restore_failed": "error",
    "rehearsal_completed": "info",
    "rehearsal_failed": "error",
    "storage_unreachable": "error",
    "storage_low": "warning",
    "storage_restored": "info",
    "cleanup_completed": "info",
    "cleanup_failed": "warning",
    "configuration_wrong": "error",
    "configuration_restored": "info",
    "duty_hangs": "error",
    "duty_fails": "error",
    "duty_restored": "info",
    "catalogue_rebuilt": "error",
    "state_unwritable": "critical",
    "state_restored": "info",
}
"""How much each kind of notification matters; only a critical one is sent in quiet hours."""
LASTING: frozenset[NotificationKind] = frozenset(
    {
        "connection_lost",
        "backup_overdue",
        "backup_from_future",
        "copy_missing",
        "copy_damaged",
        "storage_unreachable",
        "storage_low",
        "cleanup_failed",
        "configuration_wrong",
        "duty_hangs",
        "duty_fails",
    }
)
"""States that last: one is raised once until it has ended, and people are reminded of it meanwhile."""
ENDS: dict[NotificationKind, frozenset[NotificationKind]] = {
    "connection_restored": frozenset({"connection_lost"}),
    "storage_restored": frozenset({"storage_unreachable", "storage_low"}),
    "backup_completed": frozenset({"backup_failed", "backup_partial", "backup_overdue", "backup_unusual"}),
    "backup_partial": frozenset({"backup_failed", "backup_overdue"}),
    "rehearsal_completed": frozenset({"rehearsal_failed"}),
    "cleanup_completed": frozenset({"cleanup_failed"}),
    "configuration_restored": frozenset({"configuration_wrong"}),
    "duty_restored": frozenset({"duty_fails"}),
}
"""What is over, for the same object, once a notification of this kind is raised."""
ONLY_AS_AN_END: frozenset[NotificationKind] = frozenset(
    {"connection_restored", "storage_restored", "configuration_restored", "duty_restored"}
)
"""Kinds that say nothing where there is nothing that they end."""


class Notification(Record, frozen=True):
    """Something that people are told: what happened, to which object."""

    notification_id: str
    kind: NotificationKind
    severity: Severity
    subject_kind: SubjectKind
    subject: str
    """Name of the object, such as the job's."""
    message: str
    created_at: datetime
    details: tuple[str, ...] = ()
    """Further lines for people."""
    related: tuple[str, ...] = ()
    """Names of other objects that it concerns, such as the job's datasource and storages."""
    group_key: str = ""
    """What is the same for notifications that have one cause, such as the server of many databases."""
    ended_kinds: tuple[NotificationKind, ...] = ()
    """What this one ended: who was told of that is told of this."""
    read_at: datetime | None = None
    ended_at: datetime | None = None
    """Since when what it tells is over; None for what still lasts, and for what never lasted."""
    sequence: int = 0


class Delivery(Record, frozen=True):
    """One message to one channel, with the notifications in it."""

    delivery_id: str
    """Goes with the message, so that a receiver can tell that it got it already."""
    channel: str
    status: DeliveryStatus
    created_at: datetime
    notifications: tuple[str, ...] = ()
    """Ids, the oldest first."""
    attempts: int = 0
    next_try_at: datetime | None = None
    sent_at: datetime | None = None
    problem: Problem | None = None
    """Why the last attempt failed."""
    recipients: tuple[str, ...] = ()
    """Those who are still to get it, where it was sent to the others; empty where nobody has it yet."""


class Actor(Record, frozen=True):
    """Who did something."""

    user: str
    """The system's user; `alice as root` where sudo was used."""
    origin: str = ""
    """Where they came from: the SSH client's address, else empty."""
    program: str = "dgtui"
    """`daemon` where it acted by itself."""


class AuditEntry(Record, frozen=True):
    """One entry of the audit log: who did what, to which object, and how it ended."""

    number: int
    """From 1, without a gap."""
    at: datetime
    actor: Actor
    action: str
    """Such as `backup`, `restore`, `delete`, `change configuration`, `read secret`."""
    object_kind: str
    object_name: str
    outcome: str
    previous: str
    """Hash of the entry before; zeros for the first."""
    hash: str
    details: tuple[str, ...] = ()
