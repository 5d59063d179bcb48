"""What all parts of one restore work with."""

import shlex
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgtui.config import JobSettings
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import Execution
from dgtui.engine.orders import RestoreOrder
from dgtui.engine.restore_model import Restore
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.storages.base import Storage

SHOWN_AT_MOST = 10
"""How many errors or differences are told one by one."""


@dataclass(frozen=True, kw_only=True)
class TargetTask:
    """What is done to a target: what was ordered, and all that it needs."""

    order: RestoreOrder
    target: Datasource[Any]
    safety_storages: Sequence[Storage[Any]]
    """Those that take a safety backup, all of them."""
    safety_job: JobSettings
    """How a safety backup is made."""
    catalog: Catalog
    run: RunWriter
    cancellation: Cancellation
    scratch: Path
    late_rows: Path
    """The script for what others write into it too late for the safety backup."""


@dataclass(frozen=True, kw_only=True)
class RestoreTask(TargetTask):
    """One restore of a backup."""

    execution: Execution
    storages: Sequence[Storage[Any]]
    """Those to read from, in the order in which they are tried."""
    processes: int | None
    """How many load at once; a number that fits where None."""
    own_places: Sequence[tuple[str, Path]] = ()
    """What DataGuardian itself lives by."""


@dataclass(frozen=True, kw_only=True)
class UndoTask(TargetTask):
    """The undo of one restore by what it kept."""

    saved: Execution | None
    """The safety backup of what was kept, where there is one."""
    storages: Sequence[Storage[Any]]
    """Those that hold it."""


def dropped(target: Datasource[Any], name: str, run: RunWriter) -> bool:
    """Drop a database of our own; where that fails, it stays, its name is told, and this is False."""
    try:
        target.drop_target(name)
    except DataGuardianError as error:
        run.log(f"{name} could not be removed: {error.message}", level="error")
        return False
    return True


def started_restore(order: RestoreOrder) -> Restore:
    """The record of a restore that has begun."""
    return Restore(
        restore_id=order.run_id,
        execution_id=order.execution_id,
        datasource=order.datasource,
        target=order.database,
        status="running",
        started_at=order.ordered_at,
        storage=order.storage,
        undo_of=order.undo_of,
        reason=order.reason,
        backup_type=order.selection.backup_type,
        tables=order.selection.tables,
        merged=order.merge,
        restored_by=order.restored_by,
        origin=order.origin,
    )


def put_back_command(execution_id: str, database: str) -> str:
    """The command that restores a safety backup over what is there."""
    return f"dgtui restore {execution_id[:8]} --into {shlex.quote(database)} --overwrite --in-place"


def target_lock_name(target: Datasource[Any], database: str) -> str:
    """Name of the lock that whoever changes this target holds."""
    return f"target-{uuid.uuid5(uuid.NAMESPACE_URL, f'{target.kind}:{target.location}:{database}')}"
