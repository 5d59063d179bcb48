"""One rehearsal: from the first good copy into a throw-away database, compared, and all of it removed again."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from dgtui.config import PRIVATE_PLACE, JobSettings
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.proofs import Leftover, Proof, Proofs, counted_rows
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.errors import ConfigError, DataGuardianError, DiskSpaceError, RestoreError
from dgtui.engine.manifest import Manifest
from dgtui.engine.messages import now
from dgtui.engine.model import Copy, Execution
from dgtui.engine.orders import RehearseOrder, RestoreOrder
from dgtui.engine.properties import from_metadata
from dgtui.engine.rehearsal.names import is_own_name, rehearsal_suffix
from dgtui.engine.rehearsal.telling import tell_end
from dgtui.engine.restore_copy import CopyChoice, GoodCopy
from dgtui.engine.restore_model import RestoreReport
from dgtui.engine.restore_report import load_and_compare
from dgtui.engine.restore_task import RestoreTask, dropped
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import folder_of

_LOOK_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class RehearsalTask:
    """What a rehearsal works with."""

    order: RehearseOrder
    execution: Execution
    target: Datasource[Any]
    """The datasource to do it at; for a private server the one whose settings say which programs to use."""
    storages: list[Storage[Any]]
    processes: int | None
    """How many load at once; a number that fits where None."""
    catalog: Catalog
    run: RunWriter
    cancellation: Cancellation
    scratch: Path


def started_proof(order: RehearseOrder, at: datetime) -> Proof:
    """The record of a rehearsal that has begun."""
    return Proof(
        proof_id=order.run_id,
        execution_id=order.execution_id,
        how="rehearsal",
        status="running",
        started_at=at,
        job=order.job,
        job_id=order.job_id,
        datasource=order.datasource,
        storage=order.storage,
        place=order.place or order.datasource,
        ordered_by=order.ordered_by,
        origin=order.origin,
    )


class Rehearsal:
    """Proves a backup. `execute` returns the finished record, or raises; what it made is gone in either case."""

    def __init__(self, order: RehearseOrder, catalog: Catalog, run: RunWriter) -> None:
        self._proofs = Proofs(catalog)
        self._catalog = catalog
        self._run = run
        self.proof = started_proof(order, now())
        self.found_copies: list[Copy] = []
        """The states that copies were found in on the way, for the catalogue."""

    def begin(self) -> None:
        """Write down that it is under way."""
        self._proofs.save(self.proof)

    def end(self, proof: Proof, *, cause: str = "") -> None:
        """Write down how it ended, and tell people, of one `cause` in one message.

        What was learned on the way is part of it.
        """
        self.proof = msgspec.structs.replace(
            self.proof, status=proof.status, finished_at=proof.finished_at, problem=proof.problem
        )
        self._proofs.save(self.proof)
        tell_end(self._catalog, self.proof, self._run, cause=cause)

    def execute(self, task: RehearsalTask) -> Proof:
        """Read, load, compare, remove."""
        execution, target = task.execution, task.target
        if execution.datasource_type != target.kind:
            raise ConfigError(
                f"A backup of kind {execution.datasource_type} cannot be rehearsed at {target.name}, "
                f"which is {target.kind}",
                subject=target.name,
            )
        folder_of(execution)
        task.run.phase("validate")
        restore = _restore_task(task)
        copies = CopyChoice(restore)
        self.found_copies = copies.found
        for copy in copies.good_copies("compared first"):
            with contextlib.closing(copy.archive):
                self._note(storage=copy.storage.name)
                try:
                    return self._prove(task, restore, copy)
                except DataGuardianError as error:
                    failure = copies.verdict(copy, error)
                    if failure is None:
                        raise
                    if error is not failure:
                        task.run.log(error.message, level="warning")
                    copies.leave_out(copy.storage, failure)
        raise AssertionError("good_copies raises where no copy is left")

    def _prove(self, task: RehearsalTask, restore: RestoreTask, copy: GoodCopy) -> Proof:
        began = time.monotonic()
        with self._place(task, copy.manifest) as (target, database):
            order = msgspec.structs.replace(restore.order, database=database)
            restore = dataclasses.replace(restore, target=target, order=order)
            self._check(restore, copy)
            self._create(task, restore, copy.manifest)
            try:
                comparison = load_and_compare(restore, database, copy, self._hear)
                self._note(
                    duration_seconds=time.monotonic() - began,
                    rows=counted_rows(self.proof.report),
                    differences=comparison.sentences,
                )
            finally:
                self._remove(task, target, database)
        task.run.phase("record")
        return msgspec.structs.replace(self.proof, status="completed", finished_at=now())

    # The place

    @contextlib.contextmanager
    def _place(self, task: RehearsalTask, manifest: Manifest) -> Iterator[tuple[Datasource[Any], str]]:
        """The datasource to load at, and the name of the throw-away database there."""
        target, suffix = task.target, rehearsal_suffix(task.order.run_id)
        if task.order.place == PRIVATE_PLACE:
            version = str(manifest.metadata.get("database_version", ""))
            task.run.log(f"Starting a private {target.label} server for a backup of version {version}")

            def made(folders: tuple[str, ...]) -> None:
                self._note(leftover=Leftover(kind=target.kind, folders=folders))

            stack = contextlib.ExitStack()
            private = stack.enter_context(target.private_server(version, manifest.total_size_bytes, task.scratch, made))
            try:
                self._note(place=f"a private {target.label} server")
                yield private, private.beside_name(manifest.database or "backup", suffix)
            finally:
                with task.cancellation.shield():
                    stack.close()
                    self._note(leftover=None)
        elif not target.location and task.order.place is None:
            self._note(place="the scratch folder")
            yield target, str(task.scratch.resolve() / f"rehearsal{suffix}")
        else:
            database = target.beside_name(target.database, suffix)
            self._note(place=f"{database} ({target.name})")
            yield target, database

    def _check(self, task: RestoreTask, copy: GoodCopy) -> None:
        """Refuse what cannot work, before anything is made."""
        target, database = task.target, task.order.database
        state = task.target.target_state(database)
        if state.exists or not is_own_name(database, self.proof.proof_id):
            raise RestoreError(
                f"{database} is there already, and is not ours; nothing was changed",
                subject=database,
                hint="Rehearse again: the next one has another name",
            )
        free = state.free_bytes if state.free_bytes is not None else _room_at(target)
        needed = copy.manifest.total_size_bytes
        if free is not None and free < needed:
            raise DiskSpaceError(
                f"The rehearsal needs {needed} bytes, {free} are free at {target.location or database}",
                subject=target.name,
                hint="Make room, or choose another place; the job's own is its `rehearse_in`",
            )
        notes = target.check_restore(copy.archive, database, task.order.selection)
        recorded = from_metadata(copy.manifest.metadata)
        for note in (*notes, *(target.lacking_properties(recorded) if recorded is not None else ())):
            task.run.log(note, level="warning")

    def _create(self, task: RehearsalTask, restore: RestoreTask, manifest: Manifest) -> None:
        target, database = restore.target, restore.order.database
        task.run.phase("create")
        if self.proof.leftover is None and not Path(database).is_relative_to(task.scratch.resolve()):
            # Written down first: whoever finds us dead knows what there is to remove.
            self._note(leftover=Leftover(datasource=target.name, database=database))
        recorded = from_metadata(manifest.metadata)
        try:
            with task.cancellation.shield():
                if recorded is None:
                    target.create_target(database)
                else:
                    for note in target.create_as_recorded(database, recorded):
                        task.run.log(note, level="warning")
        except BaseException:
            self._remove(task, target, database)
            raise

    def _remove(self, task: RehearsalTask, target: Datasource[Any], database: str) -> None:
        """Remove the throw-away database; where that fails, its name stays in the record, and it is tried again."""
        with task.cancellation.shield():
            task.run.phase("remove")
            leftover = self.proof.leftover
            if dropped(target, database, task.run) and leftover is not None and not leftover.folders:
                self._note(leftover=None)

    def _hear(self, report: RestoreReport) -> None:
        self._note(report=report)

    def _note(self, **changes: Any) -> None:
        """Make a change known to whoever finds the rehearsal, should its worker die now."""
        self.proof = msgspec.structs.replace(self.proof, **changes)
        self._proofs.save(self.proof)


def _room_at(target: Datasource[Any]) -> int | None:
    """Room on the server's disk, where it can be had."""
    try:
        return target.health(_LOOK_SECONDS).disk_free_bytes
    except DataGuardianError:
        return None


def _restore_task(task: RehearsalTask) -> RestoreTask:
    """A rehearsal as the parts of a restore know it; nothing of a target that holds data is ever looked at."""
    order = task.order
    return RestoreTask(
        order=RestoreOrder(
            run_id=order.run_id,
            config_path=order.config_path,
            ordered_at=order.ordered_at,
            execution_id=order.execution_id,
            storage=order.storage,
            datasource=task.target.name,
            database="",
            selection=Selection(acting=False),
            deep=order.deep,
            safety=False,
        ),
        execution=task.execution,
        target=task.target,
        storages=task.storages,
        processes=task.processes,
        safety_job=JobSettings(datasource=task.target.name, storages=()),
        safety_storages=(),
        catalog=task.catalog,
        run=task.run,
        cancellation=task.cancellation,
        scratch=task.scratch,
        late_rows=task.scratch / "late_rows.sql",
    )
