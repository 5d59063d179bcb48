"""Looking for the backup of a run whose worker died, at the storages that it wrote to.

A storage that cannot be asked is noted as one with a copy that is unreachable, and asked once more when it answers
again: it may hold the whole backup.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.catalog.unsettled import answered_since, unsettled_backups
from dgtui.engine.errors import DataGuardianError, ValidationError
from dgtui.engine.health_model import HealthState, Watched
from dgtui.engine.made_again import next_step
from dgtui.engine.manifest import Manifest
from dgtui.engine.messages import now
from dgtui.engine.model import INTERRUPTED, Copy, Execution, Problem
from dgtui.engine.orders import BackupOrder, decode_order
from dgtui.engine.problems import WHY_IT_DIED, problem_of
from dgtui.engine.runs import RunPaths
from dgtui.engine.storages.base import FolderRef, Storage
from dgtui.engine.stored import backup_of_dead_run, know_marker, read_manifest, remember_marker
from dgtui.engine.verify import live_copies


class _Found(NamedTuple):
    """Where a backup lies, and what it says of itself."""

    ref: FolderRef
    manifest: Manifest
    sha256: str


def find_backup(
    catalog: Catalog, config: Config, paths: RunPaths, execution: Execution
) -> tuple[Execution | None, tuple[Copy, ...]]:
    """The execution as a whole backup, where a storage holds it, and the copies of those that could not be asked.

    Its leftovers are removed on the way.
    """
    wanted = [name for name in _ordered_storages(paths, execution) or config.storages if name in config.storages]
    return _ask(catalog, config, execution, wanted)


def look_once_more(catalog: Catalog, config: Config) -> list[Execution]:
    """Ask the storages that answer again for the backups of dead runs; those that turned out to be more than known."""
    unsettled = unsettled_backups(catalog)
    states = HealthRecords(catalog).states("storage") if unsettled else {}
    found = []
    for execution in unsettled:
        answering = [
            copy.storage
            for copy in execution.copies
            if copy.status == "unreachable" and copy.storage in config.storages and _answers(catalog, states, copy)
        ]
        if answering and (more := _look_at(catalog, config, execution, answering)) is not None:
            found.append(more)
    return found


def _answers(catalog: Catalog, states: Mapping[Watched, HealthState], copy: Copy) -> bool:
    """Whether a storage is known to have answered since a copy could not be asked for."""
    if copy.checked_at is None:
        return True
    state = states.get(Watched(kind="storage", name=copy.storage))
    if state is not None and state.answered_after(copy.checked_at):
        return True
    return answered_since(catalog, copy.storage, copy.checked_at)


def _look_at(catalog: Catalog, config: Config, execution: Execution, answering: Sequence[str]) -> Execution | None:
    """What one turned out to be, where that is more than was known of it."""
    others = tuple(copy for copy in execution.copies if copy.storage not in answering)
    if execution.status == "partial":
        for name in answering:
            with contextlib.suppress(DataGuardianError):
                _remove_leftovers(config.storage(name), execution)
        live_copies(catalog, config, execution)
        newest = catalog.execution(execution.execution_id)
        return newest if newest is not None and newest.status == "completed" else None
    whole, silent = _ask(catalog, config, execution, answering, others)
    if whole is None:
        missing = tuple(
            Copy(storage=name, status="missing", path="", checked_at=now())
            for name in answering
            if name not in {copy.storage for copy in silent}
        )
        unasked = [copy for copy in (*silent, *others) if copy.status == "unreachable"]
        problem = interruption(catalog, execution, unasked)
        catalog.save_execution(msgspec.structs.replace(execution, problem=problem, copies=(*missing, *silent)))
    return whole


def interruption(catalog: Catalog, execution: Execution, silent: Sequence[Copy]) -> Problem:
    """Why there is no backup of a run whose worker died, and where it may lie all the same. Raises CatalogError."""
    step = next_step(catalog, execution.execution_id)
    removed = f"What it had written was removed; {step}"
    if silent:
        names = ", ".join(copy.storage for copy in silent)
        removed = (
            f"What it may have written could not be looked for at {names}: "
            f"dgtui scan {silent[0].storage}, once that can be read; until then {step}"
        )
    return Problem(
        kind=INTERRUPTED,
        message="The worker ended without notice",
        subject=execution.execution_id,
        hint=f"{WHY_IT_DIED} {removed}",
    )


def _ask(
    catalog: Catalog, config: Config, execution: Execution, storages: Sequence[str], others: tuple[Copy, ...] = ()
) -> tuple[Execution | None, tuple[Copy, ...]]:
    found: _Found | None = None
    copies: list[Copy] = []
    silent: list[Copy] = []
    for name in storages:
        storage = config.storage(name)
        know_marker(catalog, storage)
        try:
            _remove_leftovers(storage, execution)
            here = _backup_at(storage, execution)
        except DataGuardianError as error:
            problem = problem_of(error)
            silent.append(Copy(storage=name, status="unreachable", path="", checked_at=now(), problem=problem))
            continue
        if here is None and execution.purpose == "safety":
            # It is looked for wherever the restore may have sent it: where it is not, it need not be missing.
            continue
        if here is None:
            copies.append(Copy(storage=name, status="missing", path="", checked_at=now()))
        else:
            found = here
            copies.append(Copy(storage=name, status="available", path=storage.path(here.ref), checked_at=now()))
            remember_marker(catalog, storage)
    if found is None:
        return None, tuple(silent)
    return backup_of_dead_run(config, *found, (*copies, *silent, *others)), tuple(silent)


def _remove_leftovers(storage: Storage[Any], execution: Execution) -> None:
    for leftover in storage.leftovers():
        if leftover.execution_id == execution.execution_id:
            storage.remove_leftover(leftover)


def _backup_at(storage: Storage[Any], execution: Execution) -> _Found | None:
    """The backup of an execution at a storage. Raises StorageError."""
    found = None
    for ref in storage.backups():
        if _could_be(ref, execution):
            # A damaged backup beside it must not hide the one that is looked for.
            with contextlib.suppress(ValidationError):
                manifest, sha256 = read_manifest(storage, ref)
                if manifest.execution_id == execution.execution_id:
                    found = _Found(ref, manifest, sha256)
    return found


def _could_be(ref: FolderRef, execution: Execution) -> bool:
    return ref.job_id == execution.job_id and ref.folder >= execution.started_at.strftime("%Y-%m-%d_%H%M%S")


def _ordered_storages(paths: RunPaths, execution: Execution) -> list[str]:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        order = decode_order(paths.request(execution.execution_id).read_bytes())
        if isinstance(order, BackupOrder):
            return list(order.job.storages)
    return []
