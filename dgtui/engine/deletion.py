"""Deleting backups by hand, and forgetting storages."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from dgtui.config import Config
from dgtui.engine.audit import append_audit, current_actor
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.forgetting import count_at
from dgtui.engine.catalog.removals import BegunRemoval, RemovalTable
from dgtui.engine.errors import ConfigError, DataGuardianError, JobBusy
from dgtui.engine.model import RESTORABLE, UNDER_WAY, Copy, Execution, Record
from dgtui.engine.removal_records import RemovalRecords
from dgtui.engine.storages.base import FolderRef, Storage
from dgtui.engine.stored import folder_of, know_marker
from dgtui.engine.ways_back import ways_back


def delete_copies(
    catalog: Catalog,
    config: Config,
    execution: Execution,
    *,
    storage: str | None,
    force: bool,
    unwritten: list[BegunRemoval],
) -> int:
    """Delete an execution's copies, or the one at `storage`; the bytes freed.

    What is deleted is deleted, also where it cannot be written down: it is added to `unwritten`.

    Raises ConfigError where it is pinned, the last good backup of its job, or the only way back of a restore, and
    `force` is not given; JobBusy where it is still being made; StorageError.
    """
    _refuse_under_way(execution)
    if execution.status not in RESTORABLE:
        catalog.forget_execution(execution.execution_id)
        return 0
    chosen = [copy for copy in execution.copies if storage in (None, copy.storage)]
    if not chosen:
        raise ConfigError(
            f"Execution {execution.execution_id[:8]} has no copy at {storage}",
            subject=str(storage),
            hint="dgtui show tells where its copies are",
        )
    if not force:
        refuse_needed(catalog, execution, storage=storage)
    return _delete_all(catalog, config, execution, chosen, unwritten)


def refuse_needed(catalog: Catalog, execution: Execution, *, storage: str | None) -> None:
    """Raise ConfigError where nothing could take the place of what is to be deleted, or somebody wants it kept.

    Raises JobBusy where it is still being made.
    """
    _refuse_under_way(execution)
    if execution.status not in RESTORABLE or (storage is not None and _is_available(execution, besides=storage)):
        return
    known = catalog.execution(execution.execution_id)
    if known is not None and known.pin is not None:
        raise ConfigError(
            f"Execution {execution.execution_id[:8]} is pinned: {known.pin}; nothing was deleted",
            subject=execution.execution_id,
            hint=f"First unpin it: dgtui unpin {execution.execution_id[:8]}, or p in the backups",
        )
    restore_id = ways_back(catalog).get(execution.execution_id)
    if restore_id is not None:
        raise ConfigError(
            f"Execution {execution.execution_id[:8]} is the only way back of restore {restore_id[:8]}; "
            "nothing was deleted",
            subject=execution.execution_id,
            hint=f"First put back what was there: dgtui undo {restore_id[:8]}. Or delete it all the same: "
            f"dgtui delete {execution.execution_id[:8]} --force",
        )
    if _is_last_good(catalog, execution):
        raise ConfigError(
            f"Execution {execution.execution_id[:8]} is the last good backup of {execution.job}",
            subject=execution.job,
            hint="Make a newer backup first, or delete it all the same: "
            f"dgtui delete {execution.execution_id[:8]} --force",
        )


def _refuse_under_way(execution: Execution) -> None:
    if execution.status in UNDER_WAY:
        short = execution.execution_id[:8]
        raise JobBusy(
            f"Execution {short} is still {execution.status}; nothing was deleted",
            subject=execution.execution_id,
            hint=f"Wait for its end, or cancel it: dgtui cancel {short}",
        )


def _delete_all(
    catalog: Catalog, config: Config, execution: Execution, chosen: Sequence[Copy], unwritten: list[BegunRemoval]
) -> int:
    # All of them before the first one is touched: half a deletion would not be what was asked for.
    targets = {copy.storage: _storage_of(config, copy) for copy in chosen if copy.path}
    records = RemovalRecords(catalog, config)
    freed = 0
    deleted: list[str] = []
    for number, copy in enumerate(chosen, start=1):
        try:
            if copy.path:
                left = tuple(other.storage for other in chosen[number:] if other.path)
                removal = _begun(execution, copy, left)
                freed += _delete(catalog, records, targets[copy.storage], removal, unwritten)
            else:
                catalog.remove_copy(execution.execution_id, copy.storage)
        except DataGuardianError as error:
            if not deleted:
                raise
            told = f"{error.message}. Already deleted: the copy at {' and '.join(deleted)}"
            raise error.reworded(told) from error
        deleted += [copy.storage] if copy.path else []
    return freed


def _storage_of(config: Config, copy: Copy) -> Storage[Any]:
    if copy.storage not in config.storages:
        raise ConfigError(
            f"There is a copy at {copy.storage}, which is not configured; nothing was deleted",
            subject=copy.storage,
            hint=f"Configure it again, choose another copy, or: dgtui forget-storage {copy.storage}",
        )
    return config.storage(copy.storage)


def _begun(execution: Execution, copy: Copy, left: tuple[str, ...]) -> BegunRemoval:
    by, ref = current_actor(), folder_of(execution)
    return BegunRemoval(
        execution_id=execution.execution_id,
        job_id=ref.job_id,
        job=execution.job,
        storage=copy.storage,
        folder=ref.folder,
        path=copy.path,
        bytes=execution.compressed_size_bytes or 0,
        rule="deleted by hand",
        actor=by.user,
        origin=by.origin,
        program=by.program,
        kind="by hand",
        left=left,
    )


def _delete(
    catalog: Catalog,
    records: RemovalRecords,
    target: Storage[Any],
    removal: BegunRemoval,
    unwritten: list[BegunRemoval],
) -> int:
    know_marker(catalog, target)
    records.table.begin(removal)
    try:
        freed = target.delete(FolderRef(job_id=removal.job_id, folder=removal.folder))
    except DataGuardianError:
        # It may be gone all the same.
        gone = records.settle(removal)
        if gone is None:
            raise
        return gone.bytes
    try:
        records.end(removal, freed)
    except DataGuardianError:
        unwritten.append(removal)
    return freed


def settle_deletion(records: RemovalRecords, unwritten: Sequence[BegunRemoval]) -> None:
    """Write down what could not be when it was deleted. Raises CatalogError, StorageError, JobBusy."""
    keys = {(one.key, one.storage) for one in unwritten}
    for removal in records.table.begun() if keys else ():
        # As far as it came: it may have its line.
        if (removal.key, removal.storage) in keys:
            records.settle(removal)


def tell_cut_deletions(catalog: Catalog, table: RemovalTable) -> None:
    """Tell the audit log of deletions by hand whose process died before it did. Raises CatalogError, StorageError."""
    by_hand = [one for one in table.ended() if one.kind == "by hand"]
    for execution_id in dict.fromkeys(one.execution_id for one in by_hand):
        gone = [one for one in by_hand if one.execution_id == execution_id]
        left = gone[-1].left
        append_audit(
            catalog,
            "delete",
            object_kind="execution",
            object_name=execution_id,
            outcome="partial" if left else "completed",
            details=(
                f"job {gone[-1].job}",
                "written down later: its process was ended before, or could not",
                *(f"deleted at {one.storage}" for one in gone),
                *(f"not deleted at {name}" for name in left),
            ),
            actor=gone[-1].by,
            also=partial(table.forget, told=gone),
        )


class Forgotten(Record, frozen=True):
    """What the catalogue knew of a storage that is not configured."""

    storage: str
    copies: int
    backups: int
    """How many backups lie nowhere else."""


def known_at(catalog: Catalog, config: Config, storage: str) -> Forgotten:
    """What the catalogue knows of a storage that is not configured any more.

    Raises ConfigError where it is configured, and where nothing is known of it.
    """
    if storage in config.storages:
        raise ConfigError(
            f"The storage {storage} is configured; what lies there is not forgotten",
            subject=storage,
            hint=f"Remove [storages.{storage}] from the configuration first; dgtui delete deletes a backup",
        )
    copies, backups = count_at(catalog, storage)
    if not copies:
        raise ConfigError(
            f"The catalogue knows of no copy at {storage}",
            subject=storage,
            hint="dgtui list shows at which storages copies lie",
        )
    return Forgotten(storage=storage, copies=copies, backups=backups)


def _is_available(execution: Execution, *, besides: str) -> bool:
    """Whether another storage holds it too."""
    return any(copy.status == "available" and copy.storage != besides for copy in execution.copies)


def _is_last_good(catalog: Catalog, execution: Execution) -> bool:
    """Whether no other backup of the job has a whole copy."""
    return not any(
        other.execution_id != execution.execution_id
        and other.job_id == execution.job_id
        and other.status in RESTORABLE
        and any(copy.status == "available" for copy in other.copies)
        for other in catalog.executions(job=execution.job)
    )
