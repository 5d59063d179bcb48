"""Deleting backups by hand, and the line that every removal leaves at its storage."""

import contextlib
from collections.abc import Sequence
from typing import Any

from dgtui.config import Config
from dgtui.engine.audit import current_actor
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.forgetting import count_at
from dgtui.engine.errors import ConfigError, DataGuardianError, ValidationError
from dgtui.engine.messages import now
from dgtui.engine.model import RESTORABLE, Copy, Execution, Record
from dgtui.engine.notification_model import Actor
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import folder_of, know_marker
from dgtui.engine.ways_back import ways_back

CLEANUP_LOG = "cleanup.log"


def delete_copies(catalog: Catalog, config: Config, execution: Execution, *, storage: str | None, force: bool) -> int:
    """Delete an execution's copies, or the one at `storage`; the bytes freed.

    Raises ConfigError where it is pinned, the last good backup of its job, or the only way back of a restore, and
    `force` is not given; StorageError.
    """
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
    if not force and (storage is None or not _is_available(execution, besides=storage)):
        _refuse_needed(catalog, execution)
    return _delete_all(catalog, config, execution, chosen)


def _refuse_needed(catalog: Catalog, execution: Execution) -> None:
    """Raise ConfigError where nothing could take the place of this backup, or somebody wants it kept."""
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


def _delete_all(catalog: Catalog, config: Config, execution: Execution, chosen: Sequence[Copy]) -> int:
    # All of them before the first one is touched: half a deletion would not be what was asked for.
    targets = {copy.storage: _storage_of(config, copy) for copy in chosen if copy.path}
    freed = 0
    deleted: list[str] = []
    for copy in chosen:
        try:
            if copy.path:
                freed += _delete(catalog, targets[copy.storage], execution, copy)
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


def _delete(catalog: Catalog, target: Storage[Any], execution: Execution, copy: Copy) -> int:
    know_marker(catalog, target)
    try:
        freed = target.delete(folder_of(execution))
    except ValidationError:
        return 0  # it is not there: what was wanted
    log_removal(target, execution.job, copy.path, freed, "deleted by hand", current_actor())
    return freed


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


def log_removal(storage: Storage[Any], job: str, path: str, size: int, rule: str, actor: Actor) -> None:
    """Add a line to `_system/cleanup.log`: when, of which job, which folder, how much, why, by whom.

    A disk that is so full that this cannot be written must not keep anything from being freed: it stays unwritten.
    """
    who = actor.user + f" from {actor.origin}" * bool(actor.origin) + " (daemon)" * (actor.program == "daemon")
    line = f"{now():%Y-%m-%dT%H:%M:%SZ} {job} {path} {size} bytes: {rule}, by {who}"
    with contextlib.suppress(DataGuardianError):
        storage.append_system_log(CLEANUP_LOG, line)


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
