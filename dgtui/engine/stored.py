"""What storages say of a backup, compared with what the catalogue knows of it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import DataGuardianError, NewerVersion, ValidationError
from dgtui.engine.manifest import Chunk, Manifest, StoredFile, decode_manifest, manifest_sha256
from dgtui.engine.model import INTERRUPTED, Backup, Copy, CopyStatus, Execution, Problem
from dgtui.engine.problems import WHY_IT_DIED
from dgtui.engine.storages.base import FolderRef, Storage


def folder_of(execution: Execution | Backup) -> FolderRef:
    """Where a backup lies at each of its storages; raises ValidationError for one that never became a backup."""
    if not execution.folder:
        raise ValidationError(
            f"Execution {execution.execution_id[:8]} ended {execution.status} and left no backup",
            subject=execution.execution_id,
            hint="Choose another one: dgtui list --status completed",
        )
    return FolderRef(job_id=execution.job_id, folder=execution.folder)


def read_manifest(storage: Storage[Any], ref: FolderRef) -> tuple[Manifest, str]:
    """The checked manifest of a folder and its SHA-256; raises StorageError, ValidationError.

    A manifest that says it belongs to another job or another folder is refused.
    """
    text = storage.read_manifest(ref)
    manifest = decode_manifest(text)
    if manifest.job_id != ref.job_id or (manifest.folder and manifest.folder != ref.folder):
        raise ValidationError(
            f"The manifest in {storage.path(ref)} belongs to {manifest.job_id}/{manifest.folder}",
            subject=storage.path(ref),
            hint="Was the folder moved or renamed? Put it back under its own job and name",
        )
    return manifest, manifest_sha256(text)


def read_known_manifest(storage: Storage[Any], execution: Execution) -> tuple[Manifest, bool]:
    """The manifest of an execution at a storage, and whether it is the very one the catalogue knows.

    Raises StorageError; ValidationError where it is missing, damaged, of another execution, or was changed.
    """
    ref = folder_of(execution)
    manifest, sha256 = read_manifest(storage, ref)
    if manifest.execution_id != execution.execution_id:
        raise ValidationError(
            f"The manifest in {storage.path(ref)} belongs to execution {manifest.execution_id[:8]}",
            subject=storage.path(ref),
            hint="Was another backup put in its place? dgtui scan reads the storage anew",
        )
    if execution.manifest_sha256 and sha256 != execution.manifest_sha256:
        raise ValidationError(
            f"The manifest in {storage.path(ref)} was changed since the backup was made",
            subject=storage.path(ref),
            hint="Use another copy; this one cannot be trusted",
        )
    return manifest, execution.manifest_sha256 is not None


def check_sizes(storage: Storage[Any], ref: FolderRef, manifest: Manifest) -> None:
    """Look whether all files of a backup are there and as long as they were. Raises ValidationError, StorageError."""
    files: tuple[Chunk | StoredFile, ...] = (*manifest.chunks, *manifest.files)
    for file in files:
        size = storage.file_size(ref, file.file)
        if size != file.size_bytes:
            raise ValidationError(
                f"{file.file} is damaged: expected {file.size_bytes} bytes, found {size}",
                subject=storage.path(ref),
                hint="Restore from another copy; `dgtui validate` tells the state of each",
            )


def status_by(error: DataGuardianError) -> CopyStatus:
    """The state of a copy that could not be read for this reason."""
    if isinstance(error, NewerVersion):
        return "unknown"
    return "corrupt" if isinstance(error, ValidationError) else "unreachable"


def execution_from_manifest(manifest: Manifest, sha256: str, copies: tuple[Copy, ...]) -> Execution:
    """The execution as a manifest alone tells it."""
    return Execution(
        execution_id=manifest.execution_id,
        job_id=manifest.job_id,
        job=manifest.job_name or manifest.job_id,
        datasource=manifest.datasource_name,
        datasource_type=manifest.datasource_type,
        status="partial" if manifest.status == "partial" else "completed",
        backup_type=manifest.backup_type,
        started_at=manifest.created_at,
        finished_at=manifest.created_at + timedelta(seconds=manifest.duration_seconds),
        total_size_bytes=manifest.total_size_bytes,
        compressed_size_bytes=manifest.compressed_size_bytes,
        checksum=manifest.checksum,
        folder=manifest.folder,
        manifest_sha256=sha256,
        description=manifest.description,
        expires_at=manifest.expires_at,
        purpose="safety" if manifest.purpose == "safety" else "backup",
        protected_until=manifest.protected_until,
        warnings=manifest.warnings,
        copies=copies,
    )


def backup_of_dead_run(
    config: Config, ref: FolderRef, manifest: Manifest, sha256: str, copies: tuple[Copy, ...]
) -> Execution:
    """The backup that lies in a folder, of a run whose worker died: where nobody could look, it may lie as well."""
    placed = tuple(
        msgspec.structs.replace(copy, path=config.storage(copy.storage).path(ref))
        if copy.status == "unreachable" and copy.storage in config.storages
        else copy
        for copy in copies
    )
    whole = execution_from_manifest(manifest, sha256, placed)
    silent = [copy.storage for copy in placed if copy.status == "unreachable"]
    if all(copy.status == "available" for copy in placed):
        return whole
    return msgspec.structs.replace(whole, status="partial", problem=_untold(whole, silent) if silent else None)


def _untold(whole: Execution, silent: Sequence[str]) -> Problem:
    return Problem(
        kind=INTERRUPTED,
        message=f"The worker ended without notice; {', '.join(silent)} could not be asked for its backup",
        subject=whole.execution_id,
        hint=f"{WHY_IT_DIED} Look again, once that can be read: dgtui show {whole.execution_id[:8]}",
    )


def know_marker(catalog: Catalog, storage: Storage[Any]) -> None:
    """Tell a storage which marker it carried when it was last used, so that it can notice a missing mount."""
    storage.known_id = catalog.storage_marker(storage.name)


def remember_marker(catalog: Catalog, storage: Storage[Any]) -> None:
    """Keep in the catalogue which marker a storage carries, from its first use on.

    Another one than that is another storage in its place, and never becomes its own by being found there.
    """
    if catalog.storage_marker(storage.name) is None and (marker := storage.marker_id()) is not None:
        catalog.save_storage_marker(storage.name, marker)
        storage.known_id = marker
