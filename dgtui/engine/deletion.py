"""Deleting backups by hand."""

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import ConfigError, ValidationError
from dgtui.engine.messages import now
from dgtui.engine.model import RESTORABLE, Execution
from dgtui.engine.stored import folder_of, know_marker


def delete_copies(catalog: Catalog, config: Config, execution: Execution, *, storage: str | None, force: bool) -> int:
    """Delete an execution's copies, or the one at `storage`; the bytes freed.

    Raises ConfigError where it is the last good backup of its job and `force` is not given, StorageError.
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
    if not force and _is_last_good(catalog, execution, storage):
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
                freed += target.delete(folder_of(execution))
            except ValidationError:
                pass  # it is not there: what was wanted
            else:
                target.append_system_log(
                    "cleanup.log",
                    f"{now():%Y-%m-%dT%H:%M:%SZ} {execution.job} {copy.path} deleted by hand",
                )
        catalog.remove_copy(execution.execution_id, copy.storage)
    return freed


def _is_last_good(catalog: Catalog, execution: Execution, storage: str | None) -> bool:
    """Whether after this no whole copy of any backup of the job would be left."""
    if storage is not None and any(copy.status == "available" and copy.storage != storage for copy in execution.copies):
        return False
    return not any(
        other.execution_id != execution.execution_id
        and other.job_id == execution.job_id
        and other.status in RESTORABLE
        and any(copy.status == "available" for copy in other.copies)
        for other in catalog.executions(job=execution.job)
    )
