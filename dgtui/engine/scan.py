"""Reading a storage into the catalogue, on a machine that may never have seen it."""

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import DataGuardianError, StorageError, ValidationError
from dgtui.engine.messages import now
from dgtui.engine.model import Copy, Record
from dgtui.engine.problems import problem_of
from dgtui.engine.storages.base import Leftover
from dgtui.engine.stored import execution_from_manifest, know_marker, read_manifest, remember_marker


class DamagedFolder(Record, frozen=True):
    """A folder that looks like a backup and is none."""

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
    known = added = 0
    damaged: list[DamagedFolder] = []
    seen: set[str] = set()
    for ref in sorted(storage.backups(), key=lambda ref: (ref.folder, ref.job_id)):
        try:
            manifest, sha256 = read_manifest(storage, ref)
        except ValidationError as error:
            damaged.append(DamagedFolder(path=storage.path(ref), reason=error.message))
            continue
        copy = Copy(storage=name, status="available", path=storage.path(ref), checked_at=now())
        seen.add(manifest.execution_id)
        if (execution := catalog.execution(manifest.execution_id)) is None:
            added += 1
            catalog.save_execution(execution_from_manifest(manifest, sha256, (copy,)))
        elif execution.manifest_sha256 not in (None, sha256):
            damaged.append(DamagedFolder(path=copy.path, reason="the manifest was changed since the backup was made"))
        else:
            known += 1
            catalog.save_copy(execution.execution_id, copy)
    remember_marker(catalog, storage)
    return ScanReport(
        storage=name,
        known=known,
        added=added,
        gone=_mark_gone(catalog, name, seen),
        damaged=tuple(damaged),
        leftovers=tuple(storage.leftovers()),
    )


def _mark_gone(catalog: Catalog, storage: str, seen: set[str]) -> int:
    """Mark the copies that the catalogue believed in and the storage does not hold."""
    gone = 0
    for execution in catalog.executions():
        for copy in execution.copies:
            if copy.storage != storage or execution.execution_id in seen or copy.status != "available":
                continue
            error: DataGuardianError = ValidationError(
                "The backup is not at this storage any more", subject=copy.path, hint="Was it deleted by hand?"
            )
            catalog.save_copy(
                execution.execution_id,
                Copy(storage=storage, status="missing", path=copy.path, checked_at=now(), problem=problem_of(error)),
            )
            gone += 1
    return gone
