"""Putting back what a target held whose import was cut, at the next start of anything: nobody may be there to ask.

Until then the target holds neither its former content nor the restored one, so that nothing is backed up from it.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from dgtui.config import Config
from dgtui.engine.audit import current_actor
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import BackupCreationError, DataGuardianError, JobBusy
from dgtui.engine.locks import take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED
from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_task import started_restore, target_lock_name
from dgtui.engine.restore_traces import finish_command
from dgtui.engine.runs import RunPaths
from dgtui.engine.settling_import import is_filled, newest_into_each_target, way_back, ways_on
from dgtui.engine.spawning import Start, launch, spawn_worker
from dgtui.engine.undo_choice import undo_choice
from dgtui.engine.undo_order import undo_order
from dgtui.engine.ways_back import partly_filled


def cut_imports(restores: list[Restore]) -> list[Restore]:
    """Those of all restores, from the newest on, that were cut while they filled their target, and nothing since.

    Also where the worker lived on and could not put it back itself. An undo that failed is not tried again and again;
    what was killed before it touched the target changed nothing of that.
    """
    return [
        restore
        for restore in newest_into_each_target(one for one in restores if not _was_cut_before(one))
        if restore.partly_filled
        and not is_filled(restore)
        and (restore.status == "interrupted" or (restore.status == "failed" and restore.undo_of is None))
    ]


def _was_cut_before(restore: Restore) -> bool:
    """Whether a restore was cut before it touched its target."""
    swapping = restore.placing is not None and restore.placing.mark is not None
    return restore.status == "interrupted" and not (restore.partly_filled or restore.took_effect or swapping)


def put_back_cut_imports(catalog: Catalog, config: Config, paths: RunPaths) -> tuple[str, ...]:
    """Start putting back what nobody has begun to put right; sentences for people, also on what is left to them."""
    restores = catalog.restores()
    cut = cut_imports(restores)
    told = _left_to_people(restores, cut)
    for restore in cut:
        if restore.datasource not in config.datasources:
            continue
        short = restore.restore_id[:8]
        try:
            run_id = start_putting_back(catalog, config, paths, restore, now())
        except DataGuardianError as error:
            told.append(
                f"{restore.target} is only partly filled since restore {short} was cut, and its former content cannot "
                f"be put back now: {error.message}. That is tried again at the next start"
            )
            continue
        if run_id is not None:
            told.append(
                f"What {restore.target} held before restore {short}, which was cut, is being put back; "
                f"watch it with: dgtui follow {run_id[:8]}"
            )
    return tuple(told)


def _left_to_people(restores: list[Restore], cut: list[Restore]) -> list[str]:
    """What is partly filled and not put back by itself: that was tried and failed, or somebody took it back."""
    places = {(one.datasource, one.target) for one in restores if one.partly_filled}
    places -= {(one.datasource, one.target) for one in (*cut, *(one for one in restores if one.status not in ENDED))}
    told = []
    for datasource, database in sorted(places):
        restore = partly_filled(restores, datasource, database)
        if restore is not None and not is_filled(restore):
            ways = ways_on(restore, way_back(restores, restore))
            told.append(f"{database} is still only partly filled since restore {restore.restore_id[:8]}: {ways}")
    return told


def start_putting_back(
    catalog: Catalog, config: Config, paths: RunPaths, restore: Restore, at: datetime, start: Start = spawn_worker
) -> str | None:
    """Start the undo of a cut import; its id, None where somebody else is at work there. Raises DataGuardianError.

    What is there by now is backed up first, as with every undo, so that nothing of it is lost either.
    """
    target = config.datasource(restore.datasource)
    # A server that is not there yet would only make the one try fail.
    target.target_state(restore.target)
    back = way_back(catalog.restores(), restore)
    choice = undo_choice(catalog, config, back)
    reason = f"Restore {restore.restore_id[:8]} was cut while it filled {restore.target}"
    order = undo_order(config, back, choice, current_actor(), at, reason=reason)
    try:
        lock = take_lock(
            paths.locks / f"{target_lock_name(target, restore.target)}.lock",
            purpose=f"restore into {restore.target}",
            inheritable=True,
            patience_seconds=0.1,
        )
    except JobBusy:
        return None
    try:
        # Several programs may have found the same cut import at once.
        if restore.restore_id not in {one.restore_id for one in cut_imports(catalog.restores())}:
            return None
        queued = msgspec.structs.replace(started_restore(order), status="queued")
        launch(paths, order, lock, start, lambda: catalog.save_restore(queued))
    finally:
        lock.hand_over()
    return order.run_id


def refuse_partly_filled(restores: Iterable[Restore], datasource: str, database: str) -> None:
    """Raise BackupCreationError where a database is known to hold only a part of what it should."""
    restore = partly_filled(restores, datasource, database)
    if restore is None:
        return
    short = restore.restore_id[:8]
    raise BackupCreationError(
        f"{database} is only partly filled since restore {short} was cut; a backup of it would not be whole",
        subject=datasource,
        hint=f"Its former content is put back at every start of dgtui, where it can be; by hand: dgtui undo {short}. "
        f"Or bring the restore to its end: {finish_command(restore)}. Where somebody has mended it otherwise, say so "
        "with dgtui mark-restored",
    )
