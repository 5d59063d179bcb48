"""Clearing away what an interrupted restore left beside its target."""

import shlex
from typing import Any

import msgspec

from dgtui.config import Config
from dgtui.engine.audit import append_audit
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.own_names import NEW_SUFFIX
from dgtui.engine.errors import EndNotKnown, RestoreError
from dgtui.engine.locks import take_lock
from dgtui.engine.restore_model import Placing, Restore
from dgtui.engine.restore_task import target_lock_name
from dgtui.engine.restore_telling import content_of
from dgtui.engine.runs import RunPaths
from dgtui.engine.settling import forget_leftovers, settle_and_tell
from dgtui.engine.settling_import import way_back, ways_on

_Target = Datasource[Any]


def clean_up(catalog: Catalog, config: Config, paths: RunPaths, restore: Restore) -> tuple[str, ...]:
    """Bring an interrupted restore to a clean end, and remove what it left beside its target; sentences for people.

    Raises DataGuardianError; RestoreError where the target is only partly filled and has to be undone.
    """
    if restore.partly_filled:
        raise RestoreError(
            f"{restore.target} is only partly filled; cleaning up alone does not bring its content back",
            subject=restore.target,
            hint=f"Put back what it held before with: {ways_on(restore, way_back(catalog.restores(), restore))}",
        )
    target = config.datasource(restore.datasource)
    lock = paths.locks / f"{target_lock_name(target, restore.target)}.lock"
    with take_lock(lock, purpose=f"clean up after restore {restore.restore_id[:8]}"):
        unsaid: list[str] = []
        newest = catalog.restore(restore.restore_id) or restore
        try:
            settled = settle_and_tell(catalog, target, newest, unsaid.append)
        except EndNotKnown as error:
            # Nothing will ever tell, and until it is let go nothing else may be restored there.
            catalog.save_restore(msgspec.structs.replace(newest, placing=None))
            return error.message, *_ways_on(newest), *unsaid
        state = content_of(settled)
        if settled.placing is None:
            return (f"{settled.target} {state}; nothing is left beside it", *unsaid)
        removed = _removed(target, settled, settled.placing)
        catalog.save_restore(msgspec.structs.replace(settled, placing=None))
        forget_leftovers(catalog, settled)
        append_audit(
            catalog,
            "clean up restore",
            object_kind="restore",
            object_name=restore.restore_id,
            outcome="completed",
            details=tuple(f"{name} was removed" for name in removed),
        )
    return (f"{settled.target} {state}", *(f"{name} was removed" for name in removed), *unsaid)


def _ways_on(restore: Restore) -> tuple[str, ...]:
    saved = restore.safety_execution_id
    if saved is None:
        return ("What was there before was not saved; restore again where the rows are not as wanted",)
    tables = "".join(f" --table {shlex.quote(name)}" for name in restore.tables)
    command = f"dgtui restore {saved[:8]} --into {shlex.quote(restore.target)} --data-only --overwrite{tables}"
    return (f"The former rows come back with: {command}",)


def _removed(target: _Target, restore: Restore, placing: Placing) -> list[str]:
    if not placing.disposable:
        # Of a failed undo: records of former versions name what is kept as if it had been left behind.
        return []
    own = [name for name in (placing.beside, placing.like) if name is not None]
    if restore.took_effect:
        own = [name for name in own if name != restore.target]
    elif placing.beside == restore.target and placing.existed:
        empty_again(target, restore.target)
        return [f"What was loaded into {restore.target}"]
    names = [name for name in own if target.target_exists(name)]
    for name in names:
        target.drop_target(name)
    return names


def empty_again(target: _Target, database: str) -> None:
    """Give back a target that was there and held nothing as it was: with its own properties.

    Where that was cut before, what the target was like is known by the empty one beside it alone.
    """
    pattern = target.beside_name(database, NEW_SUFFIX)
    if target.target_state(database).exists:
        target.drop_target(pattern)
        target.create_target(pattern, like=database)
        target.drop_target(database)
    elif not target.target_state(pattern).exists:
        return
    target.create_target(database, like=pattern)
    target.drop_target(pattern)
