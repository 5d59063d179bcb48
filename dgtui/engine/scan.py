"""Reading a storage into the catalogue, on a machine that may never have seen it."""

import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.catalog import KNOWN_TO_BE_LOST
from dgtui.engine.catalog.naming import executions_named
from dgtui.engine.catalog.order import place_learned
from dgtui.engine.catalog.unsettled import complete_if_everywhere
from dgtui.engine.errors import DataGuardianError, StorageError, ValidationError
from dgtui.engine.manifest import Manifest
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, RESTORABLE, Copy, CopyStatus, Execution, Record
from dgtui.engine.problems import problem_of
from dgtui.engine.storages.base import FolderRef, Leftover, Storage
from dgtui.engine.stored import (
    backup_of_dead_run,
    check_sizes,
    execution_from_manifest,
    folder_of,
    know_marker,
    read_manifest,
    remember_marker,
    status_by,
)

_AT_ONCE = 200
_AT_ONCE_SECONDS = 1.0
_MOST_OBJECTS = 20_000
"""So much of what is in backups is in memory at once."""

FoundT = TypeVar("FoundT")


class DamagedFolder(Record, frozen=True):
    """A folder that looks like a backup and is none, or not a whole one, or that cannot be read."""

    path: str
    reason: str


class ScanReport(Record, frozen=True):
    """What a scan found."""

    storage: str
    known: int
    """Backups that the catalogue knew already."""
    added: int
    """Backups that it learned."""
    gone: int
    """Backups that it knew and that are not there any more."""
    damaged: tuple[DamagedFolder, ...] = ()
    unread: tuple[DamagedFolder, ...] = ()
    """Folders of which nobody can tell what they are, although the storage itself answers."""
    leftovers: tuple[Leftover, ...] = ()


def scan_storage(catalog: Catalog, config: Config, name: str) -> ScanReport:
    """Read every manifest at a storage into the catalogue. Raises ConfigError, StorageError.

    A folder that cannot be read keeps the others from nothing: on a disk that begins to fail they are all there is.
    """
    storage = config.storage(name)
    know_marker(catalog, storage)
    state = storage.examine()
    if state.status != "available":
        raise StorageError(state.message, subject=name, hint=state.hint)
    scan = _Scan(catalog, config, storage)
    refs, unlisted = _as_far_as_readable(storage, storage.backups())
    for some in storage.in_turn(_folders(storage, sorted(refs, key=lambda ref: (ref.folder, ref.job_id)))):
        scan.take(some)
    gone = scan.end()
    remember_marker(catalog, storage)
    leftovers, unfinished = _as_far_as_readable(storage, storage.leftovers())
    unread = {folder.path: folder for folder in (*unlisted, *unfinished, *scan.unread)}
    return ScanReport(
        storage=name,
        known=scan.known,
        added=scan.added,
        gone=gone,
        damaged=tuple(scan.damaged),
        unread=tuple(unread.values()),
        leftovers=tuple(leftovers),
    )


def _as_far_as_readable(storage: Storage[Any], found: Iterator[FoundT]) -> tuple[list[FoundT], list[DamagedFolder]]:
    """What a storage tells, and the folder that it could not tell of; raises StorageError where it is not there."""
    readable: list[FoundT] = []
    try:
        readable.extend(found)
    except StorageError as error:
        _refuse_silent(storage, error)
        return readable, [DamagedFolder(path=error.subject, reason=error.message)]
    return readable, []


def _refuse_silent(storage: Storage[Any], error: StorageError) -> None:
    """Raise an error that is one of the whole storage, and not of a folder in it."""
    if error.subject == storage.root or storage.examine().status != "available":
        raise error


class _Folder(NamedTuple):
    """What a look into a backup's folder tells."""

    ref: FolderRef
    manifest: Manifest | None
    sha256: str
    error: ValidationError | StorageError | None
    """Why there is no manifest that can be read, or which file is not as it says."""


def _folders(storage: Storage[Any], refs: Sequence[FolderRef]) -> Generator[list[_Folder], None, None]:
    """Look into folders, and tell of some at a time. Raises StorageError."""
    # To hand over each one from thread to thread, and to look up each one alone, would cost more than to read it.
    some: list[_Folder] = []
    began, objects = time.monotonic(), 0
    for ref in refs:
        if (folder := _look_into(storage, ref)) is None:
            continue
        some.append(folder)
        objects += len(folder.manifest.objects) if folder.manifest is not None else 0
        if len(some) >= _AT_ONCE or objects > _MOST_OBJECTS or time.monotonic() > began + _AT_ONCE_SECONDS:
            yield some
            some, began, objects = [], time.monotonic(), 0
    yield some


def _look_into(storage: Storage[Any], ref: FolderRef) -> _Folder | None:
    """What a folder tells; None of one that somebody, or a cleanup, has removed since it was listed."""
    manifest, sha256 = None, ""
    try:
        manifest, sha256 = read_manifest(storage, ref)
        check_sizes(storage, ref, manifest)
    except (ValidationError, StorageError) as error:
        if storage.copy_status(ref) == "missing":
            return None
        if isinstance(error, StorageError):
            _refuse_silent(storage, error)
        return _Folder(ref, manifest, sha256, error)
    return _Folder(ref, manifest, sha256, None)


class _Scan:
    """What is found at one storage, folder by folder."""

    def __init__(self, catalog: Catalog, config: Config, storage: Storage[Any]) -> None:
        self.known = 0
        self.added = 0
        self.damaged: list[DamagedFolder] = []
        self.unread: list[DamagedFolder] = []
        self._catalog = catalog
        self._config = config
        self._storage = storage
        self._seen: set[str] = set()
        self._new: set[str] = set()
        self._unreadable: dict[FolderRef, ValidationError | StorageError] = {}
        self._copies: dict[str, Copy] = {}
        """What was found of copies that are known, by their executions: written at the end, many at a time."""

    def take(self, some: Sequence[_Folder]) -> None:
        """Learn from some folders."""
        ids = [folder.manifest.execution_id for folder in some if folder.manifest is not None]
        known = executions_named(self._catalog, ids)
        learned = [execution for folder in some if (execution := self._take(folder, known)) is not None]
        # To write each one alone would be to wait for the disk each time.
        self._catalog.save_executions(learned)

    def _take(self, folder: _Folder, known: dict[str, Execution]) -> Execution | None:
        """What the catalogue has to learn of a folder, if anything."""
        ref, manifest = folder.ref, folder.manifest
        if manifest is None:
            if folder.error is not None:
                self._refuse(ref, folder.error)
            return None
        execution = known.get(manifest.execution_id)
        if execution is not None and execution.manifest_sha256 not in (None, folder.sha256):
            changed = ValidationError(
                "The manifest was changed since the backup was made",
                subject=self._storage.path(ref),
                hint="Use another copy; this one cannot be trusted",
            )
            self._refuse(ref, changed)
            return None
        self._seen.add(manifest.execution_id)
        learned = self._learn(ref, execution, manifest, folder.sha256, self._copy(folder, execution))
        if learned is not None:
            known[manifest.execution_id] = learned
        return learned

    def _copy(self, folder: _Folder, execution: Execution | None) -> Copy:
        ref, error = folder.ref, folder.error
        former = [copy for copy in execution.copies if copy.storage == self._storage.name] if execution else []
        if error is not None:
            self._complain(ref, error)
        if isinstance(error, ValidationError):
            return self._found(ref, status_by(error), error)
        # What a check of bytes found is not taken back by a look at names and sizes.
        if former and former[0].status == "corrupt":
            return former[0]
        return self._found(ref, "available" if error is None else status_by(error), error)

    def _learn(
        self, ref: FolderRef, execution: Execution | None, manifest: Manifest, sha256: str, copy: Copy
    ) -> Execution | None:
        """Note a copy; what it is one of, where that was not known."""
        learned = None
        if execution is None:
            learned = execution_from_manifest(manifest, sha256, (copy,))
            self._new.add(manifest.execution_id)
        elif execution.status in ENDED and execution.status not in RESTORABLE:
            # Its storage could not be asked when its worker was found dead.
            others = tuple(other for other in execution.copies if other.storage != copy.storage)
            learned = backup_of_dead_run(self._config, ref, manifest, sha256, (copy, *others))
        elif any(other.storage == copy.storage for other in execution.copies):
            self._copies[execution.execution_id] = copy
        else:
            self._catalog.save_copy(execution.execution_id, copy)
        if learned is None:
            self.known += 1
        else:
            self.added += 1
        return learned

    def end(self) -> int:
        """Mark the copies that the catalogue believes in and the storage does not hold; how many are gone."""
        if self._new:
            place_learned(self._catalog, self._new)
        # What was learned may have been removed since it was read, by somebody who knew it and forgot it then.
        sure = self._seen - self._new
        believed: dict[str, tuple[FolderRef, Copy]] = {}
        partial: list[Execution] = []
        for execution in self._catalog.executions():
            if execution.status == "partial":
                partial.append(execution)
            for copy in execution.copies:
                if copy.storage != self._storage.name or not copy.path or execution.execution_id in sure:
                    continue
                ref = folder_of(execution)
                error = self._unreadable.get(ref)
                if isinstance(error, StorageError) and copy.status in KNOWN_TO_BE_LOST:
                    continue
                if error is not None:
                    self._copies[execution.execution_id] = self._found(ref, status_by(error), error)
                elif copy.status != "missing":
                    believed[execution.execution_id] = ref, copy
        statuses = self._storage.copy_statuses([ref for ref, _ in believed.values()])
        gone = {
            execution_id: self._gone(copy)
            for execution_id, (ref, copy) in believed.items()
            if statuses[ref] == "missing"
        }
        self._catalog.save_copies({**self._copies, **gone})
        for execution in partial:
            complete_if_everywhere(self._catalog, execution)
        return len(gone)

    def _refuse(self, ref: FolderRef, error: ValidationError | StorageError) -> None:
        self._complain(ref, error)
        self._unreadable[ref] = error

    def _complain(self, ref: FolderRef, error: ValidationError | StorageError) -> None:
        told = self.unread if isinstance(error, StorageError) else self.damaged
        told.append(DamagedFolder(path=self._storage.path(ref), reason=error.message))

    def _found(self, ref: FolderRef, status: CopyStatus, error: DataGuardianError | None = None) -> Copy:
        problem = problem_of(error) if error is not None else None
        path = self._storage.path(ref)
        return Copy(storage=self._storage.name, status=status, path=path, checked_at=now(), problem=problem)

    def _gone(self, copy: Copy) -> Copy:
        error = ValidationError(
            "The backup is not at this storage any more", subject=copy.path, hint="Was it deleted by hand?"
        )
        return msgspec.structs.replace(copy, status="missing", checked_at=now(), problem=problem_of(error))
