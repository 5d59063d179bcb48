"""Deleting backups by hand, and the line that every removal leaves at its storage."""

import contextlib
from typing import Any

from dgtui.config import Config
from dgtui.engine.audit import current_actor
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import ConfigError, DataGuardianError, ValidationError
from dgtui.engine.messages import now
from dgtui.engine.model import RESTORABLE, Actor, Execution
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import folder_of, know_marker
from dgtui.engine.ways_back import ways_back

CLEANUP_LOG = "cleanup.log"


def delete_copies(catalog: Catalog, config: Config, execution: Execution, *, storage: str | None, force: bool) -> int:
    """Delete an execution's copies, or the one at `storage`; the bytes freed.

    Raises ConfigError where it is the last good backup of its job, or the only way back of a restore, and `force` is
    not given; StorageError.
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
    last_copy = storage is None or not _is_available(execution, besides=storage)
    restore_id = ways_back(catalog).get(execution.execution_id) if last_copy and not force else None
    if restore_id is not None:
        raise ConfigError(
            f"Execution {execution.execution_id[:8]} is the only way back of restore {restore_id[:8]}; "
            "nothing was deleted",
            subject=execution.execution_id,
            hint=f"First put back what was there: dgtui undo {restore_id[:8]}. Or delete it all the same with --force",
        )
    if not force and last_copy and _is_last_good(catalog, execution):
        raise ConfigError(
            f"Execution {execution.execution_id[:8]} is the last good backup of {execution.job}",
            subject=execution.job,
            hint="Make a newer backup first, or delete it all the same with --force",
        )
    freed = 0
    for copy in chosen:
        if copy.path:
            target = config.storage(copy.storage)
            know_marker(catalog, target)
            try:
                bytes_freed = target.delete(folder_of(execution))
            except ValidationError:
                pass  # it is not there: what was wanted
            else:
                freed += bytes_freed
                log_removal(target, execution.job, copy.path, bytes_freed, "deleted by hand", current_actor())
        catalog.remove_copy(execution.execution_id, copy.storage)
    return freed


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
