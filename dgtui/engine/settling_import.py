"""An import in place whose worker died: telling whether all of it is there, and the ways on where it is not."""

from collections.abc import Iterable
from typing import Any

import msgspec

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.comparison import Comparison, compare_objects
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.errors import DataGuardianError, StorageError
from dgtui.engine.messages import now
from dgtui.engine.model import Execution
from dgtui.engine.restore_model import Restore, RestoreReport
from dgtui.engine.restore_traces import finish_command
from dgtui.engine.stored import read_known_manifest


def is_filled(restore: Restore) -> bool:
    """Whether an import was loaded to its end, and not all that follows on that was done."""
    return (restore.partly_filled or restore.in_place) and restore.placing is not None and restore.placing.filled


def newest_into_each_target(restores: Iterable[Restore]) -> list[Restore]:
    """Of restores from the newest on, the last one into each target: what lies there and beside it is its own."""
    last: dict[tuple[str, str], Restore] = {}
    for restore in restores:
        last.setdefault((restore.datasource, restore.target), restore)
    return list(last.values())


def settle_import(catalog: Catalog, config: Config, target: Datasource[Any], restore: Restore) -> Restore:
    """Compare what was loaded to its end with the backup; the record, completed and tidied where all of it is there.

    Raises DataGuardianError where that cannot be told now; then the record stays as it was.
    """
    placing = restore.placing
    if placing is None or not is_filled(restore):
        return restore
    done = restore
    if restore.partly_filled:
        comparison = _compared(catalog, config, target, restore)
        if not comparison.whole:
            short = msgspec.structs.replace(restore, placing=msgspec.structs.replace(placing, filled=False))
            catalog.save_restore(short)
            return short
        done = msgspec.structs.replace(
            restore,
            status="completed",
            problem=None,
            finished_at=restore.finished_at or now(),
            in_place=True,
            partly_filled=False,
            report=RestoreReport(objects=comparison.objects),
            differences=comparison.sentences,
        )
        catalog.save_restore(done)
    for name in (placing.beside, placing.like):
        if name is not None:
            target.drop_target(name)
    done = msgspec.structs.replace(done, placing=None)
    catalog.save_restore(done)
    return done


def _compared(catalog: Catalog, config: Config, target: Datasource[Any], restore: Restore) -> Comparison:
    execution = catalog.execution(restore.execution_id)
    last: DataGuardianError = StorageError(
        "No storage of the configuration holds the backup", subject=restore.execution_id
    )
    for name in _places(config, restore, execution):
        assert execution is not None
        try:
            manifest, _ = read_known_manifest(config.storage(name), execution)
        except DataGuardianError as error:
            last = error
            continue
        selection = Selection(backup_type=restore.backup_type, tables=restore.tables)
        return compare_objects(manifest.objects, target.inventory(restore.target), selection, manifest.backup_type)
    raise last


def _places(config: Config, restore: Restore, execution: Execution | None) -> list[str]:
    """The storages that hold the backup, first the one that was restored from."""
    names = [copy.storage for copy in execution.copies if copy.path] if execution is not None else []
    return [name for name in sorted(names, key=lambda name: name != restore.storage) if name in config.storages]


def way_back(restores: Iterable[Restore], restore: Restore) -> Restore:
    """Of the restores, from the newest on, the one whose undo brings back what a partly filled target last held whole.

    Where one that should have mended a partly filled target was cut itself, what it had saved is not whole. Of another
    restore that is not said: somebody may have mended the target by hand before.
    """
    first, reached = restore, False
    for other in restores:
        if (other.datasource, other.target) != (restore.datasource, restore.target):
            continue
        mends = first.undo_of == other.restore_id or first.execution_id == other.execution_id
        if reached and other.partly_filled and mends:
            first = other
        elif reached and other.took_effect:
            break
        reached = reached or other.restore_id == restore.restore_id
    return first


def ways_on(restore: Restore, back: Restore) -> str:
    """What brings a partly filled target back to its former content, and what to the restored one."""
    undo = f"dgtui undo {back.restore_id[:8]} (the next start begins it by itself, where that did not fail yet)"
    return f"{undo}. Or bring the restore to its end with: {finish_command(restore)}"
