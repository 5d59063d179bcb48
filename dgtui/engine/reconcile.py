"""Putting right what ended without notice: a worker that was killed, a machine that was switched off.

One rule for a backup whose worker died: where a storage holds it with its manifest, it is whole and is registered;
everywhere else what was written is removed. A storage that cannot be asked is asked again once it answers. A restore
whose worker died is recorded as interrupted.
"""

import contextlib

import msgspec

from dgtui.config import Config
from dgtui.engine.backup import ordered_plan, started_execution
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.audit import AuditTable
from dgtui.engine.catalog.due_runs import queued_runs
from dgtui.engine.catalog.unsettled import unsettled_backups
from dgtui.engine.dead_backups import find_backup, interruption, look_once_more
from dgtui.engine.errors import CatalogError, JobBusy
from dgtui.engine.file_errors import explained
from dgtui.engine.late_telling import LateTeller
from dgtui.engine.locks import take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, Execution
from dgtui.engine.orders import BackupOrder, RehearseOrder, decode_order
from dgtui.engine.rebuild import rebuild_if_new
from dgtui.engine.reconcile_restores import (
    end_restore,
    name_leftovers,
    remove_from_targets,
    settle_imports,
    settle_swaps,
)
from dgtui.engine.rehearsal import settle_rehearsals
from dgtui.engine.restore_model import Restore
from dgtui.engine.run_follower import last_status
from dgtui.engine.runs import RunPaths
from dgtui.engine.telling import Teller

_AFTER_UNKNOWN = "The worker ended without notice while the program of `after` ran: see whether that did its work"


def reconcile(catalog: Catalog, config: Config, paths: RunPaths) -> tuple[str, ...]:
    """Record what became of every run that is recorded as under way and whose worker is gone; sentences for people."""
    unsaid: list[str] = []
    teller = LateTeller(catalog, config, paths, unsaid.append)
    told = [*rebuild_if_new(catalog, config, paths)]
    dead: set[str] = set()
    if any(_dead_runs(catalog, paths)):
        # Several programs may find the same dead run at once; one of them tells of it.
        try:
            with take_lock(paths.locks / "reconcile.lock", purpose="recording ended runs", patience_seconds=2):
                executions, restores = _dead_runs(catalog, paths)
                told += [_end_execution(catalog, config, paths, execution, teller) for execution in executions]
                told += [end_restore(catalog, config, paths, restore, unsaid.append) for restore in restores]
                dead = {restore.restore_id for restore in restores}
        except JobBusy:
            pass
    told += _take_up_unrecorded(catalog, config, paths, teller)
    told += _look_once_more(catalog, config, paths, teller)
    told += settle_swaps(catalog, config, paths, dead, unsaid.append)
    told += settle_imports(catalog, config, paths, dead, unsaid.append)
    told += settle_rehearsals(catalog, config, paths)
    remove_from_targets(catalog, config, paths)
    told += name_leftovers(catalog)
    _remove_scratch(paths)
    teller.send_heartbeats()
    return (*told, *unsaid)


def _dead_runs(catalog: Catalog, paths: RunPaths) -> tuple[list[Execution], list[Restore]]:
    """The backups and restores that are recorded as under way and whose workers are gone."""
    # In this order: whoever writes an execution has noted before that it waits, or which restore it belongs to.
    unfinished = catalog.unfinished()
    queued = {run.execution_id for run in queued_runs(catalog)}
    restores = catalog.restores()
    # A safety copy is made by the worker of its restore.
    runs = {restore.safety_execution_id: restore.restore_id for restore in restores}
    # A worker may have ended well since the rows were read: what it wrote last counts, now that it writes no more.
    executions = [
        newest
        for execution in unfinished
        if execution.execution_id not in queued
        and not paths.is_alive(runs.get(execution.execution_id, execution.execution_id))
        and (newest := catalog.execution(execution.execution_id)) is not None
        and newest.status not in ENDED
    ]
    return executions, [
        newest_restore
        for restore in restores
        if restore.status not in ENDED
        and not paths.is_alive(restore.restore_id)
        and (newest_restore := catalog.restore(restore.restore_id)) is not None
        and newest_restore.status not in ENDED
    ]


def _take_up_unrecorded(catalog: Catalog, config: Config, paths: RunPaths, teller: Teller) -> list[str]:
    """Record the backups that ended before the catalogue knew of them; who was told of one then, is not told again."""
    told = []
    for run_id in paths.unrecorded_runs():
        if paths.is_alive(run_id):
            continue
        # Where it still cannot be written, a later one does it.
        with contextlib.suppress(CatalogError, FileNotFoundError):
            known = catalog.execution(run_id)
            if known is not None and known.status in ENDED:
                told += _tell_late(catalog, paths, known, teller)
            elif (execution := known or _ordered(config, paths, run_id)) is not None:
                ended, sentence = _ended(catalog, config, paths, execution)
                teller.record_end(ended, known=last_status(paths, run_id) is not None)
                told.append(sentence)
            (paths.unrecorded / run_id).unlink()
    return told


def _tell_late(catalog: Catalog, paths: RunPaths, execution: Execution, teller: Teller) -> list[str]:
    """Tell of a backup that was recorded before its program `after` was run, where nobody lived to tell of it."""
    if AuditTable(catalog).tells_of_execution(execution.execution_id):
        return []
    known = last_status(paths, execution.execution_id) is not None
    if not known:
        execution = msgspec.structs.replace(execution, warnings=(*execution.warnings, _AFTER_UNKNOWN))
    teller.record_end(execution, known=known)
    return [] if known else [f"The backup of {execution.job} is whole. {_AFTER_UNKNOWN}"]


def _ordered(config: Config, paths: RunPaths, run_id: str) -> Execution | None:
    """The row of a backup as it was ordered."""
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
        order = decode_order(paths.request(run_id).read_bytes())
        if isinstance(order, BackupOrder) and order.job.datasource in config.datasources:
            kind = config.datasources[order.job.datasource].type
            return started_execution(ordered_plan(order, paths.scratch(run_id)), kind, order.ordered_at)
    return None


def _remove_scratch(paths: RunPaths) -> None:
    """Remove the temporary files of workers that were killed after they had recorded how their run ended."""
    scratch = paths.state / "scratch"
    with explained(scratch, "look into"):
        run_ids = [folder.name for folder in scratch.iterdir()]
    for run_id in run_ids:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            order = decode_order(paths.request(run_id).read_bytes())
            # What is left of a rehearsal may be a server that runs in this folder: that is settled first.
            if not isinstance(order, RehearseOrder) and not paths.is_alive(run_id):
                paths.remove_scratch(run_id)


def _end_execution(catalog: Catalog, config: Config, paths: RunPaths, execution: Execution, teller: Teller) -> str:
    paths.remove_scratch(execution.execution_id)
    ended, sentence = _ended(catalog, config, paths, execution)
    teller.record_end(ended)
    return sentence


def _ended(catalog: Catalog, config: Config, paths: RunPaths, execution: Execution) -> tuple[Execution, str]:
    """What became of a backup, and a sentence for people."""
    adopted, silent = find_backup(catalog, config, paths, execution)
    if adopted is not None:
        return adopted, _found(adopted)
    last = last_status(paths, execution.execution_id)
    if last is not None and last.status not in ("completed", "partial"):
        ended = msgspec.structs.replace(
            execution, status=last.status, problem=last.problem, finished_at=last.at, warnings=last.warnings
        )
    else:
        problem = interruption(catalog, execution, silent)
        ended = msgspec.structs.replace(
            execution, status="interrupted", finished_at=now(), problem=problem, copies=silent
        )
    return ended, f"The backup of {execution.job} from {execution.started_at:%Y-%m-%d %H:%M} UTC ended {ended.status}"


def _found(execution: Execution) -> str:
    return f"A finished backup of {execution.job} was found and registered ({execution.execution_id[:8]})"


def _look_once_more(catalog: Catalog, config: Config, paths: RunPaths, teller: Teller) -> list[str]:
    """Look for the backups of dead runs at the storages that answer again; sentences for people."""
    if not unsettled_backups(catalog):
        return []
    told = []
    with (
        contextlib.suppress(JobBusy),
        take_lock(paths.locks / "reconcile.lock", purpose="looking for backups", patience_seconds=2),
    ):
        for execution in look_once_more(catalog, config):
            teller.record_end(execution)
            told.append(_found(execution))
    return told
