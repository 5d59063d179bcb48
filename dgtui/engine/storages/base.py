"""What a kind of storage has to be able to do.

A storage holds `<job id>/<folder>/` with the parts of a backup and its manifest (design.md, "On disk"). A backup exists
there when, and only when, its manifest stands in the folder under its final name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, BinaryIO, ClassVar, Generic, TypeVar

import msgspec

from dgtui.engine.model import CopyStatus, Record, VerifyLevel
from dgtui.engine.retention_settings import RetentionSettings, retention_mistake

MANIFEST = "manifest.json"
RESTORE_TEXT = "RESTORE.txt"
KnownFolders = Mapping[str, Collection[str]]
"""By the ids of jobs the names of folders that are left out."""


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys every `[storages.NAME]` table may have."""

    rules: ClassVar[Mapping[str, Callable[[Any], str | None]]] = {"retention": retention_mistake}

    type: Annotated[str, msgspec.Meta(description="Kind of the storage")]
    description: Annotated[str, msgspec.Meta(description="What it is, in your own words")] = ""
    retention: Annotated[
        RetentionSettings | None,
        msgspec.Meta(description="Which backups are kept here; each rule stands in the place of the job's own"),
    ] = None

    @property
    def place(self) -> object:
        """What two storages have in common that are the same place."""
        return msgspec.structs.replace(self, description="", retention=None)


class FolderRef(Record, frozen=True):
    """A backup folder at a storage: `<job id>/<folder>`."""

    job_id: str
    folder: str


class StorageState(Record, frozen=True):
    """A storage as it is now."""

    status: CopyStatus
    """`available`, `unreachable` (it cannot be asked), `missing` (not mounted: its marker file is gone)."""
    free_bytes: int | None = None
    """Besides what is reserved."""
    total_bytes: int | None = None
    reserved_bytes: int = 0
    message: str = ""
    hint: str = ""
    """The command or the step that mends what `message` complains of; empty where it complains of nothing."""
    writable: bool = True
    """Whether anything can be written there, as far as a look tells."""


class Leftover(Record, frozen=True):
    """An unfinished folder of a run that ended badly, or what is left of a backup that was being removed."""

    path: str
    execution_id: str
    bytes: int
    changed_at: datetime
    """When anything in it was last written."""


class Orphan(Record, frozen=True):
    """A folder with the name of a backup and without a manifest: no backup, whoever made it."""

    ref: FolderRef
    path: str
    bytes: int
    changed_at: datetime
    """When anything in it was last written."""


class BackupWriter(ABC):
    """Writes one backup at one storage; nothing of it can be seen as a backup before `commit`.

    All methods raise StorageError (DiskSpaceError where it is full), and may wait for ever where the storage does not
    answer. One thread at a time calls them, and any thread `abort`.
    """

    storage: str
    """Name of the storage."""
    unfinished: str = ""
    """Where the backup lies until it is published, for people."""

    @abstractmethod
    def open_part(self, file_name: str) -> None:
        """Begin another file."""

    @abstractmethod
    def write(self, block: bytes) -> None:
        """Add bytes to the open file."""

    @abstractmethod
    def close_part(self) -> None:
        """End the open file and make it durable."""

    @abstractmethod
    def rename_part(self, file_name: str, new_name: str) -> None:
        """Give a closed file of this unpublished backup another name: the first part, once a second one begins."""

    @abstractmethod
    def read_back(self, file_name: str) -> BinaryIO:
        """Open what was written, to check it; past the page cache where the system allows."""

    @abstractmethod
    def stored_size(self, file_name: str) -> int:
        """Size of a written file as the storage reports it."""

    @abstractmethod
    def commit(self, texts: dict[str, bytes], manifest: bytes) -> str:
        """Write the small files, the manifest last, and publish the folder; its final path.

        A failure leaves no backup.
        """

    @abstractmethod
    def abort(self) -> None:
        """Remove what was written; never raises, may be called after a failure and again.

        A step that is under way is waited for, and a `commit` that ends afterwards publishes nothing.
        """


SettingsT = TypeVar("SettingsT", bound=StorageSettings)
ItemT = TypeVar("ItemT")


class Storage(ABC, Generic[SettingsT]):
    """One configured storage, seen through its kind's adapter.

    No method waits for ever: a storage that does not answer is a StorageError.
    """

    kind: ClassVar[str]
    settings_type: ClassVar[type[StorageSettings]]
    default_verify: ClassVar[VerifyLevel]
    """What `verify` means for a job that does not say: `full` or `size`."""
    known_id: str | None = None
    """Id of the marker it carried when it was last used, set by whoever remembers it; None before its first use."""

    def __init__(self, name: str, settings: SettingsT) -> None:
        self.name = name
        self.settings = settings

    @property
    @abstractmethod
    def root(self) -> str:
        """Where it is, for people."""

    @abstractmethod
    def marker_id(self) -> str | None:
        """The id of the marker that it carries now; None where it carries none. Raises StorageError."""

    @abstractmethod
    def examine(self) -> StorageState:
        """Look, without changing anything, whether it can be used; never raises."""

    @abstractmethod
    def try_writing(self) -> None:
        """Write a little and leave nothing of it, not even after a crash; nothing where it was never used yet.

        Raises StorageError (DiskSpaceError where it is full).
        """

    @abstractmethod
    def prepare(self) -> None:
        """Make it ready for writing: the root folder and its marker on first use.

        Raises StorageError where it was used before and its marker is gone (not mounted), or it cannot be written.
        """

    @abstractmethod
    def folder_exists(self, ref: FolderRef) -> bool:
        """Whether the name is taken. Raises StorageError."""

    @abstractmethod
    def begin(self, ref: FolderRef, execution_id: str) -> BackupWriter:
        """Start writing a backup. Raises StorageError."""

    @abstractmethod
    def backups(self) -> Iterator[FolderRef]:
        """All folders with a manifest, and those that cannot be looked into, in no order.

        Raises StorageError, and only at the end where it is some of the folders that cannot be listed.
        """

    @abstractmethod
    def read_manifest(self, ref: FolderRef) -> bytes:
        """The manifest as stored, at most 64 MiB of it. Raises StorageError; ValidationError where there is none."""

    @abstractmethod
    def open_file(self, ref: FolderRef, file_name: str) -> BinaryIO:
        """Open a file of a backup, following no link. Raises StorageError, ValidationError where it is missing."""

    @abstractmethod
    def file_size(self, ref: FolderRef, file_name: str) -> int:
        """Size of a file of a backup. Raises StorageError, ValidationError where it is missing or no plain file."""

    @abstractmethod
    def copy_status(self, ref: FolderRef) -> CopyStatus:
        """Whether the backup is there: `available`, `missing`, or `unreachable` (cannot be told); never raises."""

    @abstractmethod
    def folders(self, job_ids: Collection[str]) -> dict[str, frozenset[str] | None]:
        """The names in the folders of these jobs, whatever they are; None of a job that cannot be told of.

        Never raises; once it does not answer, the rest is not asked any more, and left out.
        """

    def copy_statuses(self, refs: Sequence[FolderRef]) -> dict[FolderRef, CopyStatus]:
        """Like `copy_status`, of many; once nothing can be told of one, the rest is not asked any more."""
        found: dict[FolderRef, CopyStatus] = dict.fromkeys(refs, "unreachable")
        for ref in refs:
            found[ref] = self.copy_status(ref)
            if found[ref] == "unreachable":
                break
        return found

    def in_turn(self, looks: Generator[ItemT, None, None]) -> Iterator[ItemT]:
        """What a generator gives that looks at much here; each item may take as long as one look.

        Raises what it raises, and StorageError.
        """
        return looks

    @abstractmethod
    def path(self, ref: FolderRef) -> str:
        """Where a backup lies, for people and for RESTORE.txt."""

    @abstractmethod
    def delete(self, ref: FolderRef) -> int:
        """Remove a backup, its manifest first; the bytes freed. Raises StorageError."""

    @abstractmethod
    def leftovers(self) -> Iterator[Leftover]:
        """Unfinished folders. Raises StorageError."""

    @abstractmethod
    def remove_leftover(self, leftover: Leftover) -> None:
        """Remove an unfinished folder. Raises StorageError."""

    @abstractmethod
    def strangers(
        self, known: KnownFolders, names: KnownFolders | None = None
    ) -> Iterator[Leftover | Orphan | FolderRef]:
        """What is unfinished, without a manifest, or a backup, but the known folders.

        `names` are those of `folders` that were asked for already: what came since to the folders of these jobs is not
        among it. Raises StorageError, and only at the end where it is some of the folders that cannot be looked into.
        """

    @abstractmethod
    def remove_orphan(self, orphan: Orphan) -> None:
        """Remove a folder that still has no manifest. Raises StorageError, also where it has one by now."""

    @abstractmethod
    def end_removal(self, ref: FolderRef) -> None:
        """Remove what a removal of a backup or orphan that was interrupted left of it. Raises StorageError.

        What still is a backup, or is one again, is left alone; that raises StorageError too.
        """

    @abstractmethod
    def append_system_log(self, name: str, line: str, *, once: bool = False) -> None:
        """Add a line to `_system/<name>`, with `once` only where that line is not in it. Raises StorageError."""
