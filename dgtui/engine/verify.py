"""Checking what is stored: quick looks at every copy, and reading one to its last byte."""

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dgtui.config import Config
from dgtui.engine.archive import StoredArchive
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.catalog import KNOWN_TO_BE_LOST
from dgtui.engine.catalog.unsettled import complete_if_everywhere
from dgtui.engine.datasources import datasource_adapter
from dgtui.engine.datasources.dumping import ArchiveCheck
from dgtui.engine.errors import CatalogError, DataGuardianError, StorageError, ValidationError
from dgtui.engine.manifest import Manifest
from dgtui.engine.messages import now
from dgtui.engine.model import Copy, CopyStatus, Execution
from dgtui.engine.problems import problem_of
from dgtui.engine.storages.base import RESTORE_TEXT, FolderRef, Storage
from dgtui.engine.storages.local import LocalSettings, LocalStorage
from dgtui.engine.stored import (
    check_sizes,
    folder_of,
    know_marker,
    read_known_manifest,
    read_manifest,
    status_by,
)

_RESTORE_TEXT_BYTES = 1 << 20
_ANSWERS: tuple[CopyStatus, ...] = ("available", "missing")
"""What a storage says of a copy that it can be asked for."""


def live_copies(catalog: Catalog, config: Config, execution: Execution) -> tuple[Copy, ...]:
    """The copies of an execution as they are now at their storages, by their manifests and the sizes of their files.

    The catalogue learns it. What a check of bytes found to be damaged stays so until another one says otherwise.
    """
    copies = tuple(_look_at(catalog, config, execution, copy) for copy in execution.copies)
    # A full disk is no reason not to tell what was found.
    with contextlib.suppress(CatalogError):
        for copy in copies:
            catalog.save_copy(execution.execution_id, copy)
        complete_if_everywhere(catalog, execution)
    return copies


def copies_at(catalog: Catalog, config: Config, storage: str, executions: Sequence[Execution]) -> dict[str, Copy]:
    """The copies of executions at one storage as they are now, by the execution's id; the catalogue learns it.

    Where the storage does not answer, what is known to be missing stays so.
    """
    known = {
        execution.execution_id: (execution, copy)
        for execution in executions
        for copy in execution.copies
        if copy.storage == storage and copy.path
    }
    found = {execution_id: copy for execution_id, (_, copy) in known.items() if _is_judged(copy)}
    asked = {execution_id: one for execution_id, one in known.items() if execution_id not in found}
    statuses = _ask(catalog, config, storage, [execution for execution, _ in asked.values()])
    answers = any(status in _ANSWERS for status in statuses.values())
    changed: dict[str, Copy] = {}
    checked_at = now()
    for execution_id, (_, copy) in asked.items():
        status = statuses[execution_id]
        if status not in _ANSWERS and copy.status in KNOWN_TO_BE_LOST:
            status = copy.status
        found[execution_id] = Copy(storage=storage, status=status, path=copy.path, checked_at=checked_at)
        if status != copy.status:
            changed[execution_id] = found[execution_id]
    with contextlib.suppress(CatalogError):
        if answers:
            catalog.save_copies(changed)
            for execution, _ in known.values():
                complete_if_everywhere(catalog, execution)
        elif changed:
            catalog.save_silence(storage, next(iter(changed.values())).status, checked_at)
    return {execution_id: found[execution_id] for execution_id in known}


def _ask(catalog: Catalog, config: Config, storage: str, executions: Sequence[Execution]) -> dict[str, CopyStatus]:
    """By the execution's id what a storage tells of its copy."""
    if storage not in config.storages:
        return {one.execution_id: "unknown" for one in executions}
    adapter = config.storage(storage)
    know_marker(catalog, adapter)
    places = {one.execution_id: folder_of(one) for one in executions}
    statuses = adapter.copy_statuses(list(places.values()))
    return {execution_id: statuses[place] for execution_id, place in places.items()}


def _look_at(catalog: Catalog, config: Config, execution: Execution, copy: Copy) -> Copy:
    if not copy.path or copy.status == "corrupt":
        return copy
    if copy.storage not in config.storages:
        return _copy(copy.storage, "unknown", copy.path)
    storage = config.storage(copy.storage)
    know_marker(catalog, storage)
    status = storage.copy_status(folder_of(execution))
    if status != "available":
        return _copy(copy.storage, status, copy.path)
    try:
        manifest, _ = read_known_manifest(storage, execution)
        check_sizes(storage, folder_of(execution), manifest)
    except (ValidationError, StorageError) as error:
        # It may have been removed between the two looks: that is no damage.
        gone = storage.copy_status(folder_of(execution)) == "missing"
        return _copy(copy.storage, "missing" if gone else status_by(error), copy.path, None if gone else error)
    return _copy(copy.storage, status, copy.path)


def _is_judged(copy: Copy) -> bool:
    """Whether it was read, and found to be what a look at its folder would not tell."""
    return copy.status == "corrupt" or (copy.status == "unknown" and copy.problem is not None)


def _copy(storage: str, status: CopyStatus, path: str, error: DataGuardianError | None = None) -> Copy:
    problem = problem_of(error) if error is not None else None
    return Copy(storage=storage, status=status, path=path, checked_at=now(), problem=problem)


def validate_copy(
    storage: Storage[Any], execution: Execution, scratch_folder: Path, cancelled: threading.Event
) -> Copy:
    """Read one copy to its last byte: manifest, every part, and the archive by its own reader."""
    path = storage.path(folder_of(execution))
    try:
        manifest, _ = read_known_manifest(storage, execution)
        read_archive(storage, folder_of(execution), manifest, scratch_folder, cancelled)
    except ValidationError as error:
        gone = storage.copy_status(folder_of(execution)) == "missing"
        status: CopyStatus = "missing" if gone else status_by(error)
        return _copy(storage.name, status, path, error)
    except StorageError as error:
        return _copy(storage.name, "unreachable", path, error)
    return _copy(storage.name, "available", path)


def read_archive(
    storage: Storage[Any],
    ref: FolderRef,
    manifest: Manifest,
    scratch_folder: Path,
    cancelled: threading.Event,
) -> None:
    """Read a stored archive to its end, by checksum and by its own reader. Raises ValidationError, StorageError."""
    with contextlib.closing(StoredArchive(storage, ref, manifest, scratch_folder, cancelled)) as archive:
        archive.check(archive_check_of(manifest, scratch_folder))


def archive_check_of(manifest: Manifest, scratch_folder: Path) -> ArchiveCheck:
    """The reader for an archive of the manifest's kind; raises ValidationError where this version has none."""
    try:
        adapter = datasource_adapter(manifest.datasource_type)
    except KeyError:
        raise ValidationError(
            f"The backup is of a kind this version does not know: {manifest.datasource_type}",
            subject=manifest.execution_id,
            hint="Install a newer dgtui",
        ) from None
    return adapter.archive_check(scratch_folder)


def validate_folder(folder: Path, scratch_parent: Path) -> None:
    """Check a backup folder anywhere to its last byte. Raises ValidationError, StorageError."""
    with _folder_storage(folder) as (storage, ref), _scratch(scratch_parent) as scratch:
        manifest, _ = read_manifest(storage, ref)
        read_archive(storage, ref, manifest, scratch, threading.Event())


@contextlib.contextmanager
def _folder_storage(folder: Path) -> Iterator[tuple[Storage[Any], FolderRef]]:
    """A folder `<root>/<job id>/<folder>` seen as a storage of its own."""
    absolute = folder.absolute()
    settings = LocalSettings(type="local", path=str(absolute.parent.parent))
    yield (
        LocalStorage(absolute.parent.parent.name, settings),
        FolderRef(job_id=absolute.parent.name, folder=absolute.name),
    )


@contextlib.contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="validate-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def manual_commands(config: Config, execution: Execution) -> str:
    """RESTORE.txt of the first copy that has it, of copies as they are now. Raises StorageError, ValidationError.

    A storage that did not answer a moment ago is not waited for once more.
    """
    last: DataGuardianError = StorageError(
        "No copy of this backup can be read now", subject=execution.execution_id, hint="dgtui show tells where they are"
    )
    for copy in sorted(execution.copies, key=lambda copy: copy.status != "available"):
        silent = copy.status == "unreachable" and copy.problem is None
        if not copy.path or copy.storage not in config.storages or silent:
            continue
        try:
            with config.storage(copy.storage).open_file(folder_of(execution), RESTORE_TEXT) as file:
                return file.read(_RESTORE_TEXT_BYTES).decode("utf-8", "replace")
        except (StorageError, ValidationError) as error:
            last = error
    raise last
