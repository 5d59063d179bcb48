"""A folder of this machine as a storage: a disk, or a mounted network drive."""

import contextlib
import errno
import os
import threading
import uuid
from collections.abc import Collection, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO, ClassVar

import msgspec

from dgtui.engine.child import printable
from dgtui.engine.errors import StorageError, ValidationError
from dgtui.engine.file_errors import explained
from dgtui.engine.files import make_folder, make_private_folder, open_folder, write_and_forget
from dgtui.engine.model import CopyStatus, VerifyLevel
from dgtui.engine.settings import ByteSize
from dgtui.engine.storages.base import (
    MANIFEST,
    BackupWriter,
    FolderRef,
    ItemT,
    KnownFolders,
    Leftover,
    Orphan,
    Storage,
    StorageSettings,
    StorageState,
)
from dgtui.engine.storages.deadline import answers_within, in_turn, with_deadline
from dgtui.engine.storages.local_log import append_line
from dgtui.engine.storages.local_look import folders_of_job, holds, may_have_manifest, statuses_of_job
from dgtui.engine.storages.local_marker import MARKER, make_marker, read_marker
from dgtui.engine.storages.local_reader import open_for_reading
from dgtui.engine.storages.local_removal import (
    delete_backup,
    end_removal,
    leftovers,
    remove_leftover,
    remove_orphan,
    strangers,
)
from dgtui.engine.storages.local_root import FOLDER_NAME, PLAIN_NAME, UUID_NAME, LocalRoot, check_ref
from dgtui.engine.storages.local_writer import LocalWriter

_ASKED_AT_ONCE = 200
"""So many folders are looked into within the time that a look may take."""
_LARGEST_MANIFEST = 64 << 20
_NO_PLAIN_FILE = frozenset({errno.EINVAL, errno.ELOOP, errno.ENXIO})
_OTHER_COPY = "Restore from another copy; `dgtui validate` tells the state of each"


class LocalSettings(StorageSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[storages.NAME]` table with `type = "local"`."""

    path: Annotated[str, msgspec.Meta(description="Folder that holds the backups; absolute, or from ~")]
    reserve: Annotated[ByteSize, msgspec.Meta(description="Room that backups leave free on its disk")] = ByteSize(0)

    def __post_init__(self) -> None:
        if "\0" in self.path or not Path(self.path).expanduser().is_absolute():
            raise ValueError("expected an absolute path such as '/var/backups'")

    @property
    def place(self) -> object:
        """The folder, however it is written."""
        return "/" + os.path.normpath(Path(self.path).expanduser()).lstrip("/")


class LocalStorage(Storage[LocalSettings]):
    """Backups in a folder.

    Where `known_id` is given, a root that does not carry this marker is taken for an empty mount point: nothing is
    read from it or written to it.
    """

    kind: ClassVar[str] = "local"
    settings_type: ClassVar[type[StorageSettings]] = LocalSettings
    default_verify: ClassVar[VerifyLevel] = "full"
    answer_seconds: float = 10.0
    """How long a look at the folder may take before it counts as unreachable."""
    prepare_seconds: float = 60.0
    """How long making it ready, opening a file or finding the next folder may take; it waits for the disk."""
    removal_seconds: float = 600.0
    """How long removing a backup may take: some file systems need long for a large file."""

    @property
    def root(self) -> str:
        """The folder."""
        return str(self._root.path)

    @property
    def _root(self) -> LocalRoot:
        return LocalRoot(Path(self.settings.path).expanduser(), self.known_id)

    def marker_id(self) -> str | None:
        """The id in the root's marker file; None where there is none. Raises StorageError."""
        return with_deadline(self._marker_id, self.answer_seconds, subject=self.root)

    def _marker_id(self) -> str | None:
        with explained(self.root, "look at"):
            try:
                root = open_folder(self.root, follow=True)
            except FileNotFoundError:
                return None
            try:
                return read_marker(root, self._root.path)
            finally:
                os.close(root)

    def examine(self) -> StorageState:
        """Look, without changing anything, whether it can be used; never raises."""
        try:
            return with_deadline(
                lambda: self._root.state(self.settings.reserve), self.answer_seconds, subject=self.root
            )
        except StorageError as error:
            return StorageState(status="unreachable", message=error.message, hint=error.hint)

    def try_writing(self) -> None:
        """Write a nameless file to the root; nothing before its first use. Raises StorageError."""
        if self.known_id is not None:
            with_deadline(self._try_writing, self.answer_seconds, subject=self.root)

    def _try_writing(self) -> None:
        with self._root.opened() as root, explained(self.root, "write to"):
            write_and_forget(root)

    def prepare(self) -> None:
        """Make it ready for writing: on first use, and only then, the root folder and its marker are made.

        Raises StorageError where it was used before and its marker is gone (not mounted), or it cannot be written.
        """
        self.known_id = with_deadline(self._prepare, self.prepare_seconds, subject=self.root)

    def _prepare(self) -> str:
        if self.known_id is None:
            make_private_folder(self._root.path)
        with self._root.opened() as root, explained(self.root, "write to"):
            marker = read_marker(root, self._root.path) or make_marker(root, self._root.path)
            # A folder there and away again: modes do not tell of quotas, mount options and immutable folders.
            probe = f"{MARKER}.{uuid.uuid4().hex}.tmp"
            make_folder(probe, root)
            os.rmdir(probe, dir_fd=root)
            return marker

    def path(self, ref: FolderRef) -> str:
        """The absolute path of a backup's folder."""
        return str(self._root.path / ref.job_id / ref.folder)

    def folder_exists(self, ref: FolderRef) -> bool:
        """Whether the name is taken. Raises StorageError."""
        return with_deadline(lambda: self._folder_exists(ref), self.prepare_seconds, subject=self.root)

    def _folder_exists(self, ref: FolderRef) -> bool:
        check_ref(ref)
        with self._root.opened() as root, explained(self.path(ref), "look at"):
            try:
                os.stat(f"{ref.job_id}/{ref.folder}", dir_fd=root, follow_symlinks=False)
            except FileNotFoundError:
                return False
            return True

    def begin(self, ref: FolderRef, execution_id: str) -> BackupWriter:
        """Start writing a backup. Raises StorageError."""
        if not (UUID_NAME.fullmatch(ref.job_id) and FOLDER_NAME.fullmatch(ref.folder)):
            raise StorageError(f"Not the name of a backup: {self.path(ref)[:200]!r}", subject=self.name)
        if not UUID_NAME.fullmatch(execution_id):
            raise StorageError(f"Not the id of an execution: {execution_id[:80]!r}", subject=self.name)
        given_up = threading.Event()

        def begin() -> BackupWriter:
            with self._root.opened() as root, explained(self.path(ref), "create"):
                reserve = self.settings.reserve
                writer = LocalWriter(self.name, self._root.path, os.dup(root), ref, execution_id, reserve)
            if given_up.is_set():
                writer.abort()
            return writer

        try:
            return with_deadline(begin, self.prepare_seconds, subject=self.root)
        except BaseException:
            given_up.set()
            raise

    def backups(self) -> Iterator[FolderRef]:
        """All folders with a manifest, and those that cannot be looked into, in no order. Raises StorageError."""
        # Some at a time: to hand over each one from thread to thread would cost more than to look at it.
        for some in answers_within(self._backups(), self.prepare_seconds, subject=self.root):
            yield from some

    def _backups(self) -> Generator[list[FolderRef], None, None]:
        with self._root.opened() as root:
            for job_id, job, listed in self._root.jobs(root):
                names = [name for name in listed if FOLDER_NAME.fullmatch(name)]
                for start in range(0, len(names), _ASKED_AT_ONCE):
                    refs = [FolderRef(job_id=job_id, folder=name) for name in names[start : start + _ASKED_AT_ONCE]]
                    yield [ref for ref in refs if may_have_manifest(self._root, job, ref)]

    def copy_status(self, ref: FolderRef) -> CopyStatus:
        """Whether the backup is there: `available`, `missing`, or `unreachable` (cannot be told); never raises."""
        try:
            return with_deadline(lambda: self._copy_status(ref), self.answer_seconds, subject=self.root)
        except StorageError:
            return "unreachable"

    def _copy_status(self, ref: FolderRef) -> CopyStatus:
        try:
            with self._root.backup(ref) as folder, explained(self.path(ref), "look into"):
                return "available" if holds(MANIFEST, folder) else "missing"
        except ValidationError:
            return "missing"

    def folders(self, job_ids: Collection[str]) -> dict[str, frozenset[str] | None]:
        """The names in the folders of these jobs; once it does not answer, the rest is not asked."""
        looks = ((job_id, folders_of_job(self._root, job_id)) for job_id in job_ids)
        found: dict[str, frozenset[str] | None] = {}
        with contextlib.suppress(StorageError):
            # One after another, so that those told before it falls silent are known.
            for job_id, names in answers_within(looks, self.answer_seconds, subject=self.root):
                found[job_id] = names
        return found

    def copy_statuses(self, refs: Sequence[FolderRef]) -> dict[FolderRef, CopyStatus]:
        """Like `copy_status`, of many, some of a job at a time; once it does not answer, the rest is not asked."""
        found: dict[FolderRef, CopyStatus] = dict.fromkeys(refs, "unreachable")
        of_jobs: dict[str, list[FolderRef]] = {}
        for ref in refs:
            of_jobs.setdefault(ref.job_id, []).append(ref)
        with contextlib.suppress(StorageError):
            for of_job in of_jobs.values():
                for start in range(0, len(of_job), _ASKED_AT_ONCE):
                    look = partial(statuses_of_job, self._root, of_job[start : start + _ASKED_AT_ONCE])
                    found |= with_deadline(look, self.answer_seconds, subject=self.root)
        return found

    def in_turn(self, looks: Generator[ItemT, None, None]) -> Iterator[ItemT]:
        """What a generator gives that looks at much here. Raises what it raises, and StorageError."""
        return in_turn(looks, self.prepare_seconds, subject=self.root)

    def read_manifest(self, ref: FolderRef) -> bytes:
        """The manifest as stored, at most 64 MiB of it. Raises StorageError; ValidationError where there is none."""
        return with_deadline(lambda: self._read_manifest(ref), self.prepare_seconds, subject=self.root)

    def _read_manifest(self, ref: FolderRef) -> bytes:
        with self._open(ref, MANIFEST) as file, explained(self.path(ref), "read the manifest of"):
            return file.read(_LARGEST_MANIFEST)

    def open_file(self, ref: FolderRef, file_name: str) -> BinaryIO:
        """Open a file of a backup, following no link. Raises StorageError, ValidationError where it is missing."""
        return with_deadline(lambda: self._open(ref, file_name), self.prepare_seconds, subject=self.root)

    def file_size(self, ref: FolderRef, file_name: str) -> int:
        """Size of a file of a backup. Raises StorageError, ValidationError where it is missing or no plain file."""
        with self.open_file(ref, file_name) as file:
            return os.fstat(file.fileno()).st_size

    def _open(self, ref: FolderRef, file_name: str) -> BinaryIO:
        path = Path(self.path(ref)) / printable(file_name[:80])
        if not PLAIN_NAME.fullmatch(file_name):
            raise ValidationError(
                f"Not a name for a file of a backup: {printable(repr(file_name[:80]))}",
                subject=self.path(ref),
                hint=_OTHER_COPY,
            )
        with self._root.backup(ref) as folder, explained(path, "open"):
            try:
                return open_for_reading(file_name, folder)
            except FileNotFoundError:
                what = "no manifest: not a complete backup" if file_name == MANIFEST else f"{file_name} is missing"
                raise ValidationError(f"{self.path(ref)}: {what}", subject=str(path), hint=_OTHER_COPY) from None
            except OSError as error:
                if error.errno not in _NO_PLAIN_FILE:
                    raise
                raise ValidationError(f"{path} is no plain file", subject=str(path), hint=_OTHER_COPY) from error

    def delete(self, ref: FolderRef) -> int:
        """Remove a backup, its manifest first; the bytes freed. Raises StorageError."""
        return with_deadline(lambda: delete_backup(self._root, ref), self.removal_seconds, subject=self.root)

    def leftovers(self) -> Iterator[Leftover]:
        """Unfinished folders. Raises StorageError."""
        return answers_within(leftovers(self._root), self.prepare_seconds, subject=self.root)

    def remove_leftover(self, leftover: Leftover) -> None:
        """Remove an unfinished folder. Raises StorageError."""
        with_deadline(lambda: remove_leftover(self._root, leftover), self.removal_seconds, subject=self.root)

    def strangers(
        self, known: KnownFolders, names: KnownFolders | None = None
    ) -> Iterator[Leftover | Orphan | FolderRef]:
        """What is unfinished, without a manifest, or a backup, but the known folders. Raises StorageError."""
        return answers_within(strangers(self._root, known, names or {}), self.prepare_seconds, subject=self.root)

    def remove_orphan(self, orphan: Orphan) -> None:
        """Remove a folder that still has no manifest. Raises StorageError, also where it has one by now."""
        with_deadline(lambda: remove_orphan(self._root, orphan), self.removal_seconds, subject=self.root)

    def end_removal(self, ref: FolderRef) -> None:
        """Remove what an interrupted removal left. Raises StorageError, also where a backup is there."""
        with_deadline(lambda: end_removal(self._root, ref), self.removal_seconds, subject=self.root)

    def append_system_log(self, name: str, line: str, *, once: bool = False) -> None:
        """Add a line to `_system/<name>`, with `once` only where that line is not in it. Raises StorageError."""
        if not PLAIN_NAME.fullmatch(name):
            raise StorageError(f"Not a name for a log: {name[:80]!r}", subject=self.name)
        text = printable(line).replace("\n", "\\x0a").encode("utf-8", "backslashreplace") + b"\n"
        with_deadline(lambda: append_line(self._root, name, text, once=once), self.prepare_seconds, subject=self.root)
