"""The safety backup: an ordinary backup of a restore's target as it is now, made right before it is replaced."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from dgtui.config import JobSettings
from dgtui.config.model import job_id
from dgtui.engine.backup import Backup, BackupPlan, started_execution
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.errors import (
    BackupCreationError,
    Cancelled,
    DataGuardianError,
    RestoreError,
    SourceChanged,
    StorageError,
)
from dgtui.engine.messages import now
from dgtui.engine.model import Execution
from dgtui.engine.problems import problem_of
from dgtui.engine.restore_model import PROTECTED_FOR, Restore
from dgtui.engine.restore_task import TargetTask
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import folder_of, remember_marker

_AS_THE_JOB = ("compression", "compression_threads", "max_file_size_mb", "verify", "idle_timeout")
"""What a safety backup takes over from the job of the backup that is restored."""


@dataclass(frozen=True)
class SafetyCopy:
    """A whole safety backup, and the storages that hold it, at least one."""

    execution: Execution
    storages: Sequence[Storage[Any]]

    @property
    def path(self) -> str:
        """Its folder at the first of them."""
        return self.storages[0].path(folder_of(self.execution))


def safety_job_name(datasource: Datasource[Any], database: str) -> str:
    """The job of the safety backups of one database, so that `JOB@latest` is never the state of another one."""
    name = f"safety-{datasource.name}"
    return name if database == datasource.database else f"{name}:{database}"


def safety_settings(datasource: str, base: JobSettings | None, storages: Sequence[str]) -> JobSettings:
    """How a safety backup is made: as `base` makes its own, but always of everything, and without its programs."""
    whole = JobSettings(datasource=datasource, storages=tuple(storages))
    if base is None:
        return whole
    return msgspec.structs.replace(whole, **{name: getattr(base, name) for name in _AS_THE_JOB})


def take_safety_copy(task: TargetTask, record: Restore) -> SafetyCopy:
    """Back up the target; the catalogue knows the backup from its beginning.

    `record` already names the backup's id. Raises RestoreError and Cancelled; no backup is left then.
    """
    assert record.safety_execution_id is not None, "the record names the safety backup before it is begun"
    source = task.target.for_database(task.order.database)
    plan = _plan(task, record.safety_execution_id)
    started = msgspec.structs.replace(started_execution(plan, source.kind, now()), status="running")
    names = ", ".join(storage.name for storage in task.safety_storages)
    task.run.log(f"Taking a safety backup of {task.order.database} to {names}: {started.execution_id[:8]}")
    try:
        task.catalog.save_execution(started)
        return _back_up(task, source, plan)
    except DataGuardianError as error:
        with task.cancellation.shield():
            ended = msgspec.structs.replace(
                started,
                status="cancelled" if isinstance(error, Cancelled) else "failed",
                finished_at=now(),
                problem=problem_of(error),
            )
            try:
                task.catalog.save_execution(ended)
            except DataGuardianError as trouble:
                task.run.log(f"The end of the safety backup could not be recorded: {trouble.message}", level="warning")
        if isinstance(error, Cancelled):
            raise
        raise RestoreError(
            f"The safety backup of {task.order.database} failed: {error.message.rstrip('.')}; nothing was changed",
            subject=error.subject or task.order.database,
            hint=". ".join(filter(None, (error.hint, _way_on(error)))),
            detail=error.detail,
        ) from error


def _way_on(error: DataGuardianError) -> str:
    """What can be done instead where a safety backup failed."""
    if isinstance(error, StorageError):
        return "Another storage takes it with --safety-to STORAGE"
    if isinstance(error, BackupCreationError) and not isinstance(error, SourceChanged):
        return "Where what is there now is not worth a backup, go on with --no-safety"
    return ""


def partial_safety(execution: Execution) -> tuple[str, ...]:
    """What to warn of where a safety backup is not at all of its storages."""
    if execution.status != "partial":
        return ()
    short = execution.execution_id[:8]
    return tuple(
        f"The safety backup {short} is not at {copy.storage}: {copy.problem.message if copy.problem else 'it failed'}"
        for copy in execution.copies
        if not copy.path
    )


def _back_up(task: TargetTask, source: Datasource[Any], plan: BackupPlan) -> SafetyCopy:
    execution = Backup(plan, source, task.safety_storages, task.run, task.cancellation).execute()
    holding = {copy.storage for copy in execution.copies if copy.path}
    whole = [storage for storage in task.safety_storages if storage.name in holding]
    with task.cancellation.shield():
        for storage in whole:
            remember_marker(task.catalog, storage)
        task.catalog.save_execution(execution)
    return SafetyCopy(execution, whole)


def _plan(task: TargetTask, execution_id: str) -> BackupPlan:
    order = task.order
    name = safety_job_name(task.target, order.database)
    cause = f"undo {order.run_id[:8]} of {order.undo_of[:8]}" if order.undo_of else f"restore {order.run_id[:8]}"
    of = f" of {order.execution_id[:8]}" if order.execution_id and not order.undo_of else ""
    return BackupPlan(
        execution_id=execution_id,
        job_id=job_id(name, None),
        job_name=name,
        job=task.safety_job,
        description=f"Safety backup of {order.database} before {cause}{of}",
        scratch_folder=str(task.scratch),
        purpose="safety",
        protected_until=now() + PROTECTED_FOR,
    )


def new_safety_id() -> str:
    """The id of a safety backup to come."""
    return str(uuid.uuid4())
