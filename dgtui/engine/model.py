"""Plain data of the engine, and the states that things can be in (design.md, "States").

Times are timezone-aware UTC. Sizes are bytes.
"""

from datetime import datetime
from typing import Literal

import msgspec

ExecutionStatus = Literal["queued", "running", "completed", "partial", "failed", "cancelled", "interrupted"]
CopyStatus = Literal["available", "missing", "unreachable", "unknown", "corrupt"]
BackupType = Literal["full", "schema_only", "data_only", "incremental"]
Purpose = Literal["backup", "safety"]
"""What an execution was made for: as a backup, or to save what a restore was about to replace."""
VerifyLevel = Literal["none", "size", "full"]
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
    "duty_hangs",
    "catalogue_rebuilt",
]
SubjectKind = Literal["datasource", "job", "storage", "execution", "configuration", "duty", "catalogue"]
"""What a notification is about."""
DeliveryStatus = Literal["waiting", "sending", "sent", "perhaps sent"]
Phase = Literal[
    "queued",
    "connect",
    "dump",
    "check",
    "finish",
    "validate",
    "create",
    "restore",
    "compare",
    "swap",
    "remove",
    "record",
]

ENDED: frozenset[str] = frozenset({"completed", "partial", "failed", "cancelled", "interrupted"})
"""The states in which nothing happens any more."""
UNDER_WAY: frozenset[str] = frozenset({"queued", "running"})
"""The other ones."""
RESTORABLE: frozenset[str] = frozenset({"completed", "partial"})
"""The states of a backup that has at least one whole copy."""

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
    "duty_hangs": "error",
    "catalogue_rebuilt": "error",
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
}
"""What is over, for the same object, once a notification of this kind is raised."""
ONLY_AS_AN_END: frozenset[NotificationKind] = frozenset({"connection_restored", "storage_restored"})
"""Kinds that say nothing where there is nothing that they end."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Base of the plain data: immutable, and written as JSON by msgspec."""


class ObjectInfo(Record, frozen=True):
    """A table, a collection or a kind of file inside a database or a backup."""

    name: str
    rows: int | None = None
    bytes: int | None = None
    rows_exact: bool = False
    """Whether `rows` was counted at the very moment of the dump, and not estimated."""


class ToolVersion(Record, frozen=True):
    """A program that was found, and its version."""

    name: str
    path: str
    version: str


class Problem(Record, frozen=True):
    """An error as it is stored and shown: what happened, to which object, and what to do next."""

    kind: str
    message: str
    subject: str = ""
    hint: str = ""
    detail: tuple[str, ...] = ()


class Copy(Record, frozen=True, gc=False):
    """An execution's backup at one storage."""

    # There are hundreds of thousands, none of which can be part of a cycle: the garbage collector leaves them out.

    storage: str
    status: CopyStatus
    path: str
    """Where it lies: for a local storage the absolute path of the backup folder."""
    checked_at: datetime | None = None
    problem: Problem | None = None


class Execution(Record, frozen=True, gc=False):
    """One run of a backup, with all that is known of it."""

    execution_id: str
    job_id: str
    job: str
    datasource: str
    datasource_type: str
    status: ExecutionStatus
    backup_type: BackupType
    started_at: datetime
    finished_at: datetime | None = None
    total_size_bytes: int | None = None
    compressed_size_bytes: int | None = None
    checksum: str | None = None
    folder: str | None = None
    """Name of the backup folder, `YYYY-MM-DD_HHmmss`."""
    manifest_sha256: str | None = None
    description: str = ""
    expires_at: datetime | None = None
    warnings: tuple[str, ...] = ()
    problem: Problem | None = None
    purpose: Purpose = "backup"
    protected_until: datetime | None = None
    """Until when no rule removes it: a safety copy in its time."""
    pin: str | None = None
    """Why somebody wants it kept for good; None where nobody does."""
    copies: tuple[Copy, ...] = ()
    sequence: int = 0
    """The catalogue's own order, which no clock can change."""


class Part(Record, frozen=True):
    """What of its target a restore changed, where that was not all of it; names as the datasource gives them."""

    kind: Literal["objects", "rows"]
    """Whole tables, files or folders, or only the rows of tables."""
    replaced: tuple[str, ...] = ()
    """They were there before, with their former content."""
    added: tuple[str, ...] = ()
    """They were not there before."""
    removed: tuple[str, ...] = ()
    """They were there before and are not any more: an undo took away what a restore had added."""
    complete: bool = True
    """Whether all are named; there may be very many files."""
    everything: bool = False
    """Whether the rows of all tables were replaced, and what goes with all of them."""

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset((*self.replaced, *self.added, *self.removed))


class PartChange(Record, frozen=True):
    """A part of a target that is exchanged."""

    database: str
    """The database, file or folder that holds it."""
    beside: str
    """Where the new one lies."""
    keep_as: str
    """Where the former one is kept, by those kinds that keep it."""
    tables: tuple[str, ...] = ()
    """What is exchanged; the new one has all of it."""
    merge: bool = False
    """Whether it is everything that lies beside."""
    remove: tuple[str, ...] = ()
    """What is taken away besides."""
    back: bool = False
    """Whether `beside` is what another change has kept, and all of that change is taken back."""


class Placing(Record, frozen=True):
    """What a restore has laid beside its target, so that whoever finds it interrupted can put it right."""

    beside: str
    """The database, file or folder that the archive is loaded into: the target itself where it held nothing."""
    like: str | None = None
    """The empty database that keeps the target's own properties during an import in place."""
    keep_as: str | None = None
    """The name that the former content is about to get; None before the swap."""
    mark: str | None = None
    """What tells the new content from the old one, whatever their names are; None before the swap."""
    existed: bool = True
    """Whether the target was there before."""
    disposable: bool = True
    """Whether `beside` may be removed; a kept former content that is being put back may not."""
    change: PartChange | None = None
    """What is exchanged, where that is only a part of the target."""
    rows: bool = False
    """Whether rows alone are replaced."""
    filled: bool = False
    """Whether an import in place was loaded to its end, so that only the comparison is missing."""


ObjectOutcome = Literal["restored", "missing", "other rows", "other content", "failed"]
"""How one object came out of a restore; `failed` where a statement about it did."""
ContentVerdict = Literal["not compared", "equal", "different"]


class ObjectReport(Record, frozen=True):
    """One table, file or folder after a restore."""

    name: str
    outcome: ObjectOutcome
    rows_expected: int | None = None
    rows_found: int | None = None
    rows_exact: bool = False
    """Whether both numbers were counted, and not estimated."""
    content: ContentVerdict = "not compared"
    """Whether the checksum of what was restored is that of what the backup holds."""


class FailedStatement(Record, frozen=True):
    """A statement or file that failed to load."""

    message: str
    statement: str = ""


class RestoreReport(Record, frozen=True):
    """What a restore brought back, object by object."""

    objects: tuple[ObjectReport, ...] = ()
    failures: tuple[FailedStatement, ...] = ()
    """The first ones."""
    failure_count: int = 0
    deep: bool = False
    """Whether the content was compared by checksums."""


class Restore(Record, frozen=True):
    """One restore: who, when, why, from which copy, into what, and how it ended."""

    restore_id: str
    execution_id: str
    datasource: str
    """The datasource that was restored into."""
    target: str
    """The database, file or folder that was restored into."""
    status: ExecutionStatus
    started_at: datetime
    finished_at: datetime | None = None
    storage: str | None = None
    reason: str = ""
    restored_by: str = ""
    origin: str = ""
    """Where the person came from: the SSH client's address, else empty."""
    kept_as: str | None = None
    """Name under which the target's former content still lies, where it was replaced."""
    kept_until: datetime | None = None
    """When what was kept may be dropped by itself."""
    dropped_at: datetime | None = None
    """When what was kept was dropped."""
    safety_execution_id: str | None = None
    """The backup of the target's former content, made right before it was replaced."""
    undo_of: str | None = None
    """The restore that this one took back."""
    in_place: bool = False
    """Whether the new content is in place, whole and compared; what follows is only tidying up."""
    partly_filled: bool = False
    """Whether the target was left neither as it was nor as it should be."""
    placing: Placing | None = None
    """What still lies beside the target; None once nothing of the kind does."""
    backup_type: BackupType = "full"
    """What was restored: everything, the schema or the data."""
    tables: tuple[str, ...] = ()
    """The tables, files or folders that were chosen; empty for all."""
    by_hand: bool = False
    """Whether somebody did it without this program, and told of it."""
    merged: bool = False
    """Whether files were restored over what was there, which kept its other files."""
    part_kept_as: str | None = None
    """Name under which the tables, files or folders lie that were replaced, where only a part was."""
    part: Part | None = None
    """What was changed, where that was not the whole target; from the moment when it may have been."""
    report: RestoreReport | None = None
    """What came back, object by object; None where it did not come to a comparison."""
    differences: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    problem: Problem | None = None

    @property
    def took_effect(self) -> bool:
        """Whether the new content came to its place, whatever became of the tidying up after that."""
        return self.status == "completed" or self.in_place

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it has not ended."""
        return None if self.finished_at is None else (self.finished_at - self.started_at).total_seconds()


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
