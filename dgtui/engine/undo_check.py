"""Looking whether what a restore kept is still what it replaced, before it is swapped in again."""

from typing import Any

from dgtui.engine.comparison import Comparison, compare_objects
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.loading import Selection, TargetState
from dgtui.engine.errors import DataGuardianError, RestoreError, ValidationError
from dgtui.engine.manifest import Manifest
from dgtui.engine.model import ObjectInfo
from dgtui.engine.restore_task import SHOWN_AT_MOST, UndoTask
from dgtui.engine.stored import read_known_manifest

_COUNTED_BYTES = 256 << 20
"""What was kept is counted row by row up to this size: an undo shall be quick; beyond, the names are compared."""


class KeptDamaged(RestoreError):
    """What was kept cannot be what was there before."""


def check_kept(task: UndoTask, kept_as: str, state: TargetState) -> Comparison | None:
    """Read what was kept, and compare it with the safety backup; None where there is none. Raises KeptDamaged.

    Others may have written after the safety backup was made, so that other rows are no damage; nothing at all is.
    """
    manifest = _manifest_of_saved(task)
    try:
        task.target.check_kept(kept_as)
        found = None if manifest is None else _objects(task.target, kept_as, state)
    except (ValidationError, RestoreError) as error:
        raise _damaged(task, kept_as, error.message, error.detail) from error
    if manifest is None or found is None:
        return None
    comparison = compare_objects(manifest.objects, found, Selection(), manifest.backup_type)
    lost = [
        entry.name
        for entry in comparison.objects
        if entry.outcome == "missing" or (entry.rows_exact and entry.rows_expected and not entry.rows_found)
    ]
    if lost:
        names = [f"{name} is missing or empty" for name in lost[:SHOWN_AT_MOST]]
        raise _damaged(task, kept_as, f"{len(lost)} of {len(comparison.objects)} objects are missing or empty", names)
    return comparison


def _manifest_of_saved(task: UndoTask) -> Manifest | None:
    if task.saved is None or task.order.part is not None:
        return None
    for storage in task.storages:
        try:
            return read_known_manifest(storage, task.saved)[0]
        except DataGuardianError as error:
            task.run.log(f"{storage.name}: {error.message}", level="warning")
    return None


def _objects(target: Datasource[Any], kept_as: str, state: TargetState) -> tuple[ObjectInfo, ...]:
    if state.size_bytes is not None and state.size_bytes > _COUNTED_BYTES:
        return target.for_database(kept_as).probe().objects
    return target.inventory(kept_as)


def _damaged(task: UndoTask, kept_as: str, why: str, detail: tuple[str, ...] | list[str]) -> KeptDamaged:
    return KeptDamaged(
        f"{kept_as} is not what was kept any more: {why}; {task.order.database} is as it was",
        subject=kept_as,
        hint=f"There is no safety backup to take in its place; look at {kept_as} yourself",
        detail=detail,
    )
