"""The safety copy: an ordinary backup of a restore's target as it is now, made before the target is emptied."""

import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from dgtui.config import JobSettings
from dgtui.config.model import job_id
from dgtui.engine.backup import Backup, BackupPlan, started_execution
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.errors import Cancelled, DataGuardianError, PermissionDenied, RestoreError, StorageError
from dgtui.engine.messages import now
from dgtui.engine.model import Execution, Restore
from dgtui.engine.problems import problem_of
from dgtui.engine.restore_task import RestoreTask
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import folder_of, remember_marker


@dataclass(frozen=True)
class SafetyCopy:
    """A whole safety copy, and where it lies."""

    execution: Execution
    storage: Storage[Any]

    @property
    def path(self) -> str:
        """Its folder."""
        return self.storage.path(folder_of(self.execution))


def safety_job_name(datasource: Datasource[Any], database: str) -> str:
    """The job of the safety copies of one database, so that `JOB@latest` is never the state of another one."""
    name = f"safety-{datasource.name}"
    return name if database == datasource.database else f"{name}:{database}"


def take_safety_copy(task: RestoreTask, record: Restore) -> SafetyCopy:
    """Back up the target to the first storage that takes it; the catalogue knows it from its beginning.

    `record` already names the backup's id. Raises RestoreError and Cancelled; no backup is left then.
    """
    assert record.safety_execution_id is not None, "the record names the safety copy before it is begun"
    source = task.target.for_database(task.order.database)
    started = started_execution(_plan(task, record.safety_execution_id, ""), source.kind, now())
    started = msgspec.structs.replace(started, status="running")
    task.run.log(f"Taking a safety copy of {task.order.database}: {started.execution_id[:8]}")
    try:
        task.catalog.save_execution(started)
        return _back_up(task, source, started.execution_id)
    except DataGuardianError as error:
        with task.cancellation.shield():
            ended = msgspec.structs.replace(
                started,
                status="cancelled" if isinstance(error, Cancelled) else "failed",
                finished_at=now(),
                problem=problem_of(error),
            )
            task.catalog.save_execution(ended)
        if isinstance(error, Cancelled):
            raise
        raise RestoreError(
            f"The safety copy of {task.order.database} failed: {error.message}; nothing was changed",
            subject=error.subject or task.order.database,
            hint=error.hint,
            detail=error.detail,
        ) from error


def _back_up(task: RestoreTask, source: Datasource[Any], execution_id: str) -> SafetyCopy:
    last: DataGuardianError = StorageError("No storage of the configuration can take it", subject=task.order.database)
    for storage in task.safety_storages:
        plan = _plan(task, execution_id, storage.name)
        try:
            execution = Backup(plan, source, [storage], task.run, task.cancellation).execute()
        except StorageError as error:
            last = error
            continue
        with task.cancellation.shield():
            remember_marker(task.catalog, storage)
            task.catalog.save_execution(execution)
        return SafetyCopy(execution, storage)
    raise last


def need_all_rights(task: RestoreTask) -> None:
    """Refuse a safety copy that would lack what its user cannot see. Raises PermissionDenied."""
    if missing := task.target.for_database(task.order.database).missing_rights():
        raise PermissionDenied(
            f"A safety copy of {task.order.database} would not be whole: a right is missing; nothing was changed",
            subject=task.order.database,
            hint=missing[0],
            detail=missing,
        )


def _plan(task: RestoreTask, execution_id: str, storage: str) -> BackupPlan:
    order = task.order
    name = safety_job_name(task.target, order.database)
    return BackupPlan(
        execution_id=execution_id,
        job_id=job_id(name, None),
        job_name=name,
        job=JobSettings(datasource=order.datasource, storages=(storage,)),
        description=f"Safety copy of {order.database} before restore {order.run_id[:8]} of {order.execution_id[:8]}",
        scratch_folder=str(task.scratch),
    )


def new_safety_id() -> str:
    """The id of a safety copy to come."""
    return str(uuid.uuid4())
