"""Putting right restores that ended without notice: what became of each, which content is in place, what is left."""

import contextlib

import msgspec

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.locks import Lock, take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, INTERRUPTED, Problem
from dgtui.engine.problems import WHY_IT_DIED
from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_task import target_lock_name
from dgtui.engine.restore_telling import Warn, content_of, tell_restore, tell_verdict
from dgtui.engine.restore_traces import cleanup_command, left_behind
from dgtui.engine.run_follower import last_status
from dgtui.engine.runs import RunPaths
from dgtui.engine.settling import not_known, not_settled, settle, settle_and_tell, unsettled, way_to_settle
from dgtui.engine.settling_import import is_filled, newest_into_each_target, settle_import, way_back, ways_on


def end_restore(catalog: Catalog, config: Config, paths: RunPaths, restore: Restore, warn: Warn) -> str:
    """Record and tell how a restore ended whose worker is gone; a sentence for people."""
    paths.remove_scratch(restore.restore_id)
    ended = _as_it_ended(catalog, paths, restore)
    # Before the target is asked, which may take long.
    catalog.save_restore(ended)
    with contextlib.suppress(DataGuardianError):
        if _is_unknown(ended):
            ended = settle_swap(catalog, config, paths, ended)
        elif is_filled(ended):
            ended = _settled_import(catalog, config, paths, ended)
    tell_restore(catalog, ended, warn)
    told = f"The restore into {restore.target} from {restore.started_at:%Y-%m-%d %H:%M} UTC ended {ended.status}"
    if ended.problem is not None:
        told += f". {ended.problem.message}"
        told += f". {ended.problem.hint}" if ended.partly_filled or _is_unknown(ended) else ""
    return told


def settle_swaps(catalog: Catalog, config: Config, paths: RunPaths, just_asked: set[str], warn: Warn) -> list[str]:
    """Find out what restores left that were cut at their swap; what cannot be told now is told the next time."""
    told = []
    for restore in unsettled(catalog):
        if not _is_unknown(restore) or restore.datasource not in config.datasources:
            continue
        if restore.restore_id in just_asked:
            continue
        try:
            settled = settle_swap(catalog, config, paths, restore, warn)
        except DataGuardianError as error:
            content = not_settled(config.datasource(restore.datasource), restore.target, error)
            told.append(
                f"After restore {restore.restore_id[:8]} {content}: {error.message}. "
                f"{way_to_settle(error, cleanup_command(restore))}"
            )
            continue
        name = settled.kept_as or settled.part_kept_as
        kept = f"; what it replaced is kept as {name}" if name else ""
        told.append(f"After restore {settled.restore_id[:8]} {settled.target} {content_of(settled)}{kept}")
    return told


def settle_imports(catalog: Catalog, config: Config, paths: RunPaths, just_asked: set[str], warn: Warn) -> list[str]:
    """Complete the imports in place of which only the comparison is missing, where all of the backup is there."""
    told = []
    for restore in newest_into_each_target(catalog.restores()):
        if restore.status not in ENDED or not is_filled(restore) or restore.datasource not in config.datasources:
            continue
        if restore.restore_id in just_asked:
            continue
        try:
            settled = _settled_import(catalog, config, paths, restore)
        except DataGuardianError as error:
            told.append(
                f"{restore.target} was filled to its end by restore {restore.restore_id[:8]}, which could not be "
                f"compared and tidied up: {error.message}. That is tried again at the next start"
            )
            continue
        if settled.took_effect:
            told.append(f"{settled.target} holds the restored content: its import was complete")
        if settled.took_effect and not restore.took_effect:
            tell_verdict(catalog, settled, warn)
    return told


def remove_from_targets(catalog: Catalog, config: Config, paths: RunPaths) -> None:
    """Remove what interrupted restores left within their targets; where that cannot be done now, it is named."""
    for restore in unsettled(catalog):
        if restore.placing is None or _is_unknown(restore) or restore.datasource not in config.datasources:
            continue
        with contextlib.suppress(DataGuardianError):
            target = config.datasource(restore.datasource)
            if not target.lies_in_target(restore.placing.beside):
                continue
            with _held(paths, target_lock_name(target, restore.target), "cleaning up after a restore"):
                newest = catalog.restore(restore.restore_id)
                if newest is not None and newest.placing == restore.placing:
                    target.drop_target(restore.placing.beside)
                    catalog.save_restore(msgspec.structs.replace(newest, placing=None))


def name_leftovers(catalog: Catalog) -> list[str]:
    """What restores left beside their targets, however they ended, and the command that removes it."""
    restores = catalog.restores()
    busy = {(restore.datasource, restore.target) for restore in restores if restore.status not in ENDED}
    left = [
        restore
        for restore in restores
        if restore.status in ENDED
        and restore.placing is not None
        and not _is_unknown(restore)
        and not restore.partly_filled
        and not is_filled(restore)
        and (restore.datasource, restore.target) not in busy
    ]
    # What an earlier one left was replaced by the next: it is there once, and is removed by one command.
    newest = {(restore.datasource, left_behind(restore)): restore for restore in reversed(left)}
    return [
        f"{restore.target} {content_of(restore)}. Restore {restore.restore_id[:8]} left "
        f"{', '.join(left_behind(restore))} behind; remove it with: {cleanup_command(restore)}"
        for restore in left
        if newest[restore.datasource, left_behind(restore)] is restore
    ]


def _is_unknown(restore: Restore) -> bool:
    """Whether nobody knows yet which content is in place."""
    return restore.placing is not None and restore.placing.mark is not None


def _as_it_ended(catalog: Catalog, paths: RunPaths, restore: Restore) -> Restore:
    """The record by the worker's last word, or by what it wrote down before it died without one."""
    last = last_status(paths, restore.restore_id)
    if restore.in_place:
        # Only the last word is missing; what an import keeps beside its target may still be there.
        return msgspec.structs.replace(restore, status="completed", finished_at=last.at if last else now())
    if last is not None:
        return msgspec.structs.replace(restore, status=last.status, problem=last.problem, finished_at=last.at)
    problem = _interruption(catalog, restore)
    return msgspec.structs.replace(restore, status="interrupted", problem=problem, finished_at=now())


def _interruption(catalog: Catalog, restore: Restore) -> Problem:
    back = way_back(catalog.restores(), restore)
    if restore.partly_filled and back.safety_execution_id is not None:
        content = f"may be only partly filled. What it held before is the backup {back.safety_execution_id[:8]}"
        content, hint = f"{restore.target} {content}", f"Put it back with: {ways_on(restore, back)}"
    elif _is_unknown(restore):
        content, hint = not_known(restore.target), f"Once it can be reached: {cleanup_command(restore)}"
    else:
        content = f"{restore.target} {content_of(restore)}"
        clean_up = f"Remove what it left with: {cleanup_command(restore)}. " if restore.placing is not None else ""
        hint = f"{clean_up}{WHY_IT_DIED} Start it again when it suits"
    message = f"The worker ended without notice; {content}"
    return Problem(kind=INTERRUPTED, message=message, subject=restore.target, hint=hint)


def settle_swap(
    catalog: Catalog, config: Config, paths: RunPaths, restore: Restore, warn: Warn | None = None
) -> Restore:
    """The record once it is known which content is in place; with `warn` people are told that.

    Raises DataGuardianError where that cannot be told now.
    """
    target = config.datasource(restore.datasource)
    with _held(paths, target_lock_name(target, restore.target), "settling a swap"):
        # Somebody else may have settled it since it was read.
        newest = catalog.restore(restore.restore_id) or restore
        return settle(catalog, target, newest) if warn is None else settle_and_tell(catalog, target, newest, warn)


def _settled_import(catalog: Catalog, config: Config, paths: RunPaths, restore: Restore) -> Restore:
    target = config.datasource(restore.datasource)
    with _held(paths, target_lock_name(target, restore.target), "settling an import"):
        return settle_import(catalog, config, target, catalog.restore(restore.restore_id) or restore)


def _held(paths: RunPaths, name: str, purpose: str) -> Lock:
    return take_lock(paths.locks / f"{name}.lock", purpose=purpose)
