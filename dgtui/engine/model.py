"""Plain data of the engine, and the states that things can be in (design.md, "States").

Times are timezone-aware UTC. Sizes are bytes.
"""

import functools
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

ExecutionStatus = Literal["queued", "running", "completed", "partial", "failed", "cancelled", "interrupted"]
CopyStatus = Literal["available", "missing", "unreachable", "unknown", "corrupt"]
BackupType = Literal["full", "schema_only", "data_only", "incremental"]
RestoreType = Literal["full", "schema_only", "data_only"]
"""What of a backup can be restored."""
Purpose = Literal["backup", "safety"]
"""What an execution was made for: as a backup, or to save what a restore was about to replace."""
VerifyLevel = Literal["none", "size", "full"]
Phase = Literal[
    "queued",
    "connect",
    "wait",
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

OWN_FOLDERS = "\x1f"
"""Stands for `<job id>/<folder>` in what tells where many backups lie: no path has it."""
_PLACES = 4096
"""So many combinations of places and states are known at once."""
ENDED: frozenset[str] = frozenset({"completed", "partial", "failed", "cancelled", "interrupted"})
"""The states in which nothing happens any more."""
UNDER_WAY: frozenset[str] = frozenset({"queued", "running"})
"""The other ones."""
RESTORABLE: frozenset[str] = frozenset({"completed", "partial"})
"""The states of a backup that has at least one whole copy."""
INTERRUPTED = "Interrupted"
"""The kind of the problem of what ended because its worker died without notice."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Base of the plain data: immutable, and written as JSON by msgspec."""


class ObjectInfo(Record, frozen=True):
    """A table, a collection or a kind of file inside a database or a backup."""

    name: str
    rows: int | None = None
    bytes: int | None = None
    rows_exact: bool = False
    """Whether `rows` was counted at the very moment of the dump, and not estimated."""


class Share(ObjectInfo, frozen=True, kw_only=True):
    """A part of a table whose rows each loading may divide up among its parts in another way."""

    of: str


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


class Listed(Record, frozen=True, gc=False, array_like=True):
    """An execution as far as a line of a list tells of it."""

    execution_id: str
    started_at: datetime
    total_size_bytes: int | None
    compressed_size_bytes: int | None
    expires_at: datetime | None
    warnings: int
    """How many it ended with."""
    alike: str
    """The rest as the JSON of an `Alike`, the same text where it is the same."""

    @property
    def kind(self) -> "Alike":
        """What it has in common with others."""
        return _alike_of(self.alike)


class KnownCopy(Record, frozen=True, gc=False, array_like=True):
    """A copy as far as retention has to know it: the same for many backups."""

    storage: str
    status: CopyStatus
    judged: bool
    """Whether it was read, and found to be what a look at its folder would not tell."""
    place: str
    """Where it lies, with `OWN_FOLDERS` for those of the backup; empty where it never arrived."""


class Alike(Record, frozen=True, gc=False, array_like=True):
    """What many backups of a job have in common, as far as lists and retention have to know it."""

    job_id: str
    job: str
    datasource: str
    status: ExecutionStatus
    backup_type: BackupType
    purpose: Purpose
    protected_until: datetime | None
    pin: str | None
    where: str
    """Their copies as JSON: of a hundred thousand backups most have them at the same places in the same states."""


class Backup(Record, frozen=True, gc=False):
    """An execution that left a backup, as far as retention has to know it."""

    execution_id: str
    job_id: str
    job: str
    datasource: str
    status: ExecutionStatus
    backup_type: BackupType
    started_at: datetime
    compressed_size_bytes: int | None
    folder: str | None
    purpose: Purpose
    protected_until: datetime | None
    pin: str | None
    sequence: int
    where: str

    @property
    def copies(self) -> tuple[KnownCopy, ...]:
        """Its copies."""
        return copies_of(self.where)

    def path(self, copy: KnownCopy) -> str:
        """Where a copy of it lies."""
        return copy.place.replace(OWN_FOLDERS, f"{self.job_id}/{self.folder}")


@functools.lru_cache(_PLACES)
def _alike_of(text: str) -> Alike:
    return msgspec.json.decode(text, type=Alike)


@functools.lru_cache(_PLACES)
def copies_of(where: str) -> tuple[KnownCopy, ...]:
    """The copies that a text tells of."""
    # SQLite has 0 and 1 for what is not so and what is.
    return msgspec.json.decode(f"[{where}]", type=tuple[KnownCopy, ...], strict=False)


def where_text(copies: Iterable[KnownCopy]) -> str:
    """Copies as the text that tells of them."""
    return msgspec.json.encode(tuple(copies)).decode()[1:-1]
