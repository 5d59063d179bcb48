"""Reading a storage into the catalogue, on a machine that may never have seen it."""

from typing import Any

import msgspec

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import StorageError, ValidationError
from dgtui.engine.manifest import Manifest
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, RESTORABLE, Copy, CopyStatus, Execution, Record
from dgtui.engine.problems import problem_of
from dgtui.engine.storages.base import FolderRef, Leftover, Storage
from dgtui.engine.stored import (
    check_sizes,
    execution_from_manifest,
    folder_of,
    know_marker,
    read_manifest,
    remember_marker,
    status_by,
)


class DamagedFolder(Record, frozen=True):
    """A folder that looks like a backup and is none, or not a whole one."""

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
    leftovers: tuple[Leftover, ...] = ()


def scan_storage(catalog: Catalog, config: Config, name: str) -> ScanReport:
    """Read every manifest at a storage into the catalogue. Raises ConfigError, StorageError."""
    storage = config.storage(name)
    know_marker(catalog, storage)
    state = storage.examine()
    if state.status != "available":
        raise StorageError(state.message, subject=name, hint=state.hint)
    scan = _Scan(catalog, storage)
    for ref in sorted(storage.backups(), key=lambda ref: (ref.folder, ref.job_id)):
        scan.take(ref)
    gone = scan.end()
    remember_marker(catalog, storage)
    return ScanReport(
        storage=name,
        known=scan.known,
        added=scan.added,
        gone=gone,
        damaged=tuple(scan.damaged),
        leftovers=tuple(storage.leftovers()),
    )


class _Scan:
    """What is found at one storage, folder by folder."""

    def __init__(self, catalog: Catalog, storage: Storage[Any]) -> None:
        self.known = 0
        self.added = 0
        self.damaged: list[DamagedFolder] = []
        self._catalog = catalog
        self._storage = storage
        self._seen: set[str] = set()
        self._unreadable: dict[FolderRef, ValidationError] = {}
        self._copies: dict[str, Copy] = {}
        """What was found of copies that are known, by their executions: written at the end, many at a time."""

    def take(self, ref: FolderRef) -> None:
        """Read one folder. Raises StorageError."""
        try:
            manifest, sha256 = read_manifest(self._storage, ref)
        except ValidationError as error:
            self._refuse(ref, error)
            return
        execution = self._catalog.execution(manifest.execution_id)
        if execution is not None and execution.manifest_sha256 not in (None, sha256):
            changed = ValidationError(
                "The manifest was changed since the backup was made",
                subject=self._storage.path(ref),
                hint="Use another copy; this one cannot be trusted",
            )
            self._refuse(ref, changed)
            return
        self._seen.add(manifest.execution_id)
        self._learn(execution, manifest, sha256, self._copy(ref, execution, manifest))

    def _copy(self, ref: FolderRef, execution: Execution | None, manifest: Manifest) -> Copy:
        try:
            check_sizes(self._storage, ref, manifest)
        except ValidationError as error:
            self._complain(ref, error)
            return self._found(ref, status_by(error), error)
        former = [copy for copy in execution.copies if copy.storage == self._storage.name] if execution else []
        # What a check of bytes found is not taken back by a look at names and sizes.
        return former[0] if former and former[0].status == "corrupt" else self._found(ref, "available")

    def _learn(self, execution: Execution | None, manifest: Manifest, sha256: str, copy: Copy) -> None:
        if execution is None:
            self.added += 1
            self._catalog.save_execution(execution_from_manifest(manifest, sha256, (copy,)))
        elif execution.status in ENDED and execution.status not in RESTORABLE:
            # Its storage could not be asked when its worker was found dead.
            self.added += 1
            others = tuple(other for other in execution.copies if other.storage != copy.storage)
            self._catalog.save_execution(execution_from_manifest(manifest, sha256, (copy, *others)))
        else:
            self.known += 1
            if any(other.storage == copy.storage for other in execution.copies):
                self._copies[execution.execution_id] = copy
            else:
                self._catalog.save_copy(execution.execution_id, copy)

    def end(self) -> int:
        """Mark the copies that the catalogue believes in and the storage does not hold; how many are gone."""
        believed: dict[str, tuple[FolderRef, Copy]] = {}
        for execution in self._catalog.executions():
            for copy in execution.copies:
                if copy.storage != self._storage.name or not copy.path or execution.execution_id in self._seen:
                    continue
                ref = folder_of(execution)
                if error := self._unreadable.get(ref):
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
        return len(gone)

    def _refuse(self, ref: FolderRef, error: ValidationError) -> None:
        self._complain(ref, error)
        self._unreadable[ref] = error

    def _complain(self, ref: FolderRef, error: ValidationError) -> None:
        self.damaged.append(DamagedFolder(path=self._storage.path(ref), reason=error.message))

    def _found(self, ref: FolderRef, status: CopyStatus, error: ValidationError | None = None) -> Copy:
        problem = problem_of(error) if error is not None else None
        path = self._storage.path(ref)
        return Copy(storage=self._storage.name, status=status, path=path, checked_at=now(), problem=problem)

    def _gone(self, copy: Copy) -> Copy:
        error = ValidationError(
            "The backup is not at this storage any more", subject=copy.path, hint="Was it deleted by hand?"
        )
        return msgspec.structs.replace(copy, status="missing", checked_at=now(), problem=problem_of(error))
