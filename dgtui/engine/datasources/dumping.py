"""A dump: what is asked of it, what a look at its source tells, its bytes, and the check that they are whole."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from dgtui.engine.messages import ProgressUnit, TotalKind
from dgtui.engine.model import BackupType, ObjectInfo, Record, ToolVersion
from dgtui.engine.properties import DatabaseProperties


class DumpOptions(Record, frozen=True):
    """What a job wants to have dumped."""

    backup_type: BackupType = "full"
    tables: tuple[str, ...] = ()
    """Only these tables; empty for all."""
    exclude_tables: tuple[str, ...] = ()
    extra_arguments: tuple[str, ...] = ()
    """Further arguments for the dump tool, as the configuration gives them."""
    scratch_folder: str = ""
    """A folder of this run for temporary files (0700), on a disk with room."""
    idle_timeout: int = 600
    """Seconds without any progress after which the tool is ended."""


WHOLE = DumpOptions()
"""All of a database, as nobody wants it otherwise."""


class Client(Record, frozen=True):
    """Somebody who is connected to a database."""

    user: str
    program: str = ""
    address: str = ""
    since: str = ""


class Probe(Record, frozen=True):
    """What a look at the source found."""

    product: str
    """Product and version as people say it: `PostgreSQL 16.1`, `MariaDB 10.11.19`, `SQLite 3.40.1`."""
    version: str
    size_bytes: int | None = None
    objects: tuple[ObjectInfo, ...] = ()
    clients: tuple[Client, ...] = ()
    estimated_dump_bytes: int | None = None
    """Size of the dump before compression, estimated from the database itself."""
    estimate_kind: TotalKind = "unknown"
    progress_unit: ProgressUnit = "bytes"
    tool: ToolVersion | None = None
    """The dump tool that fits."""
    properties: DatabaseProperties | None = None
    """What the server keeps of the database beside its content, where the kind has such things."""
    warnings: tuple[str, ...] = ()


class DumpSummary(Record, frozen=True):
    """What is known once a dump has ended well."""

    objects: tuple[ObjectInfo, ...] = ()
    warnings: tuple[str, ...] = ()
    """What the user should know although the backup is whole (the run ends `completed`, marked)."""


class Dump(ABC):
    """A dump under way."""

    @property
    @abstractmethod
    def fd(self) -> int:
        """File descriptor that gives the bytes of the dump until its end; owned by the dump."""

    @abstractmethod
    def finish(self) -> DumpSummary:
        """Call after the end of the bytes: check exit code and end mark.

        Raises BackupCreationError or a more exact error where the dump is not whole. Closes `fd`.
        """

    @abstractmethod
    def stop(self) -> None:
        """End the tool now and wait for it; may be called at any time, again and again, and never raises."""


class ArchiveCheck(ABC):
    """Reads a whole dump as it streams by and tells whether it is complete.

    This is the kind's own reader (`pg_restore`, the trailer of a MySQL dump, `tar -t`), fed from the live dump when
    it is made, and from the stored parts at `validate` and before a restore.
    """

    @abstractmethod
    def feed(self, block: bytes) -> None:
        """Take the next block of the uncompressed dump; raises ValidationError as soon as it is surely damaged."""

    def copy_from(self, pipe: int, at_most: int) -> int:  # noqa: ARG002  # for those that cannot
        """Take up to so many of the next bytes out of a pipe where they stay for others; how many, without waiting.

        0 where it has to be fed, for now or at all.
        """
        return 0

    @abstractmethod
    def finish(self) -> None:
        """Call after the last block; raises ValidationError where the archive is damaged or incomplete."""

    @abstractmethod
    def stop(self) -> None:
        """Give up; frees what it holds. May be called again and again, and never raises."""


class ArchiveBlocks(Protocol):
    """The uncompressed bytes of a backup, as they stream by."""

    total_size_bytes: int

    @property
    def object_bytes(self) -> Mapping[str, int]:
        """The size that its objects had, as far as it is known."""

    def blocks(self) -> Iterator[bytes]:
        """The bytes in order, read anew at each call, also by several at once.

        Raises ValidationError or StorageError on the way.
        """


class Archive(ArchiveBlocks, Protocol):
    """A stored backup, as a restore reads it."""

    def as_file(self) -> Path:
        """The bytes as a file in the run's scratch folder, made at the first call."""
