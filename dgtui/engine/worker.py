"""A worker: runs one operation in a process of its own, and says how it goes through the run's message file.

Started by `Engine` as `python -m dgtui.engine.worker STATE RUN_ID LOCK ...`: the locks are inherited descriptors.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dgtui.config import PRIVATE_PLACE, Config, JobSettings, load_config
from dgtui.engine.backup import Backup, BackupPlan, started_execution
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.catalog import Catalog, open_or_stand_in
from dgtui.engine.catalog.proofs import Proof
from dgtui.engine.cleanup import RoundBackup
from dgtui.engine.errors import Cancelled, ConfigError, DataGuardianError, DiskSpaceError
from dgtui.engine.files import make_private_folder
from dgtui.engine.job_commands import JobCommands
from dgtui.engine.memory import memory_explained
from dgtui.engine.messages import now
from dgtui.engine.model import Execution, ExecutionStatus, Problem, Restore
from dgtui.engine.orders import AnyOrder, BackupOrder, RehearseOrder, RestoreOrder, ValidateOrder, decode_order
from dgtui.engine.patience import with_retries
from dgtui.engine.problems import problem_of
from dgtui.engine.rehearsal import Rehearsal, RehearsalTask
from dgtui.engine.restore import RestoreRun
from dgtui.engine.restore_task import RestoreTask, UndoTask, started_restore
from dgtui.engine.restore_telling import tell_restore
from dgtui.engine.run_files import prune_run_files
from dgtui.engine.runs import RunPaths, RunWriter
from dgtui.engine.safety_copy import safety_settings
from dgtui.engine.secrets import observe_secrets
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import know_marker, remember_marker
from dgtui.engine.telling import SecretReads, Teller
from dgtui.engine.undo import UndoRun, only_removes
from dgtui.engine.undo_check import KeptDamaged
from dgtui.engine.verify import validate_copy


class Worker:
    """Carries out one order."""

    def __init__(self, state: Path, order: AnyOrder, run: RunWriter, cancellation: Cancellation) -> None:
        self._paths = RunPaths(state)
        self._order = order
        self._run = run
        self._cancellation = cancellation
        self._config: Config = load_config(Path(order.config_path) if order.config_path else None)
        self._scratch = self._paths.scratch(order.run_id)
        self._catalog, self._unrecorded = self._open_catalogue(state)
        self._restoring: RestoreRun | UndoRun | None = None
        self._teller = Teller(self._catalog, self._config, lambda text: run.log(text, level="warning"))
        observe_secrets(SecretReads(self._teller))

    def _open_catalogue(self, state: Path) -> tuple[Catalog, bool]:
        """The catalogue, and whether it only stands in for one that cannot be used: a backup does not need it."""
        if not isinstance(self._order, BackupOrder):
            return Catalog(state), False
        catalog, error = open_or_stand_in(state, self._scratch / "catalogue")
        if error is not None:
            self._run.log(f"{error.message}. The backup is made all the same", level="warning")
            self._note_unrecorded()
        return catalog, error is not None

    def _note_unrecorded(self) -> None:
        """Leave word that the catalogue has to learn of this run later."""
        with contextlib.suppress(OSError, DataGuardianError):
            make_private_folder(self._paths.unrecorded)
            (self._paths.unrecorded / self._order.run_id).touch(0o600)

    def execute(self) -> None:
        """Do what the order says; the last message tells how it ended."""
        self._run.status("running")
        make_private_folder(self._scratch)
        try:
            match self._order:
                case BackupOrder():
                    self._backup(self._order)
                case RestoreOrder():
                    self._restore(self._order)
                case ValidateOrder():
                    self._validate(self._order)
                case RehearseOrder():
                    self._rehearse(self._order)
        finally:
            if not self._unrecorded:
                with contextlib.suppress(DataGuardianError):
                    prune_run_files(self._catalog, self._paths, kept_seconds=self._config.guardian.run_logs_kept)
            self._catalog.close()
            self._paths.remove_scratch(self._order.run_id)

    def _say_end(
        self, status: ExecutionStatus, *, problem: Problem | None = None, warnings: tuple[str, ...] = ()
    ) -> None:
        """Say the last message. Whoever hears it finds nothing left in the scratch folder."""
        self._paths.remove_scratch(self._order.run_id)
        self._run.status(status, problem=problem, warnings=warnings)

    def _backup(self, order: BackupOrder) -> None:
        plan = BackupPlan(
            execution_id=order.run_id,
            job_id=order.job_id,
            job_name=order.job_name,
            job=order.job,
            description=order.description,
            scratch_folder=str(self._scratch),
        )
        kind = self._config.require_datasource(order.job.datasource).type
        started = msgspec.structs.replace(started_execution(plan, kind, order.ordered_at), status="running")
        commands = JobCommands(order.job, order.job_name, order.run_id, self._run)
        with self._recording_failure(self._end_backup, started, commands.after):
            self._record_execution(started)
            commands.before()
            storages = [self._storage(name) for name in order.job.storages]
            execution = self._back_up(order, plan, storages)
            with self._cancellation.shield():
                for storage in storages:
                    with contextlib.suppress(DataGuardianError):
                        remember_marker(self._catalog, storage)
                recorded = self._record_execution(execution)
                if trouble := commands.after(execution.status, execution.problem):
                    execution = msgspec.structs.replace(execution, warnings=(*execution.warnings, *trouble))
                    self._record_execution(execution)
                self._tell_backup(execution)
                warnings = execution.warnings
                if recorded and not self._unrecorded:
                    warnings = (*warnings, *self._retention().clean_up(order))
                else:
                    unsaid = "The backup is whole, but could not be recorded in the catalogue: it is taken up later"
                    warnings = (*warnings, unsaid)
                self._say_end(execution.status, problem=execution.problem, warnings=warnings)

    def _back_up(self, order: BackupOrder, plan: BackupPlan, storages: Sequence[Storage[Any]]) -> Execution:
        """Make the backup, more than once where the error is one that may pass.

        Where all storages are full it is tried once more after retention has made room.
        """

        def attempt() -> Execution:
            datasource = self._config.datasource(plan.job.datasource)
            return Backup(plan, datasource, storages, self._run, self._cancellation).execute()

        def attempt_with_room() -> Execution:
            try:
                return attempt()
            except DiskSpaceError as error:
                if not self._retention().make_room(order):
                    raise
                self._run.log(f"{error.message}. Retention made room; it is tried once more", level="warning")
            self._cancellation.check()
            return attempt()

        def tell(error: DataGuardianError, seconds: float, number: int) -> None:
            self._run.log(f"{error.message.rstrip('.')}. Try {number} begins in {seconds:.0f} s", level="warning")

        return with_retries(attempt_with_room, retries=plan.job.retries, wait=self._cancellation.wait, tell=tell)

    def _retention(self) -> RoundBackup:
        return RoundBackup(self._catalog, self._config, self._paths, self._run, self._cancellation)

    def _restore(self, order: RestoreOrder) -> None:
        def record(failed: Restore) -> None:
            # What the restore came to know on its way is part of its record, however it ends.
            known = self._restoring.record if self._restoring is not None else failed
            ended = msgspec.structs.replace(
                known, status=failed.status, finished_at=failed.finished_at, problem=failed.problem
            )
            self._catalog.save_restore(ended)
            self._tell_restore(ended)

        started = started_restore(order)
        with self._recording_failure(record, started):
            self._catalog.save_restore(started)
            ended = self._put_back(order) if order.kept_as is not None or only_removes(order) else self._load(order)
            with self._cancellation.shield():
                warnings = ended.differences
                try:
                    self._catalog.save_restore(ended)
                except DataGuardianError as error:
                    warnings += (f"The restored content is in place, but could not be recorded: {error.message}",)
                self._tell_restore(ended)
                self._say_end("completed", warnings=warnings)

    def _put_back(self, order: RestoreOrder) -> Restore:
        """Undo a restore by what it kept; where that is damaged, by the safety backup."""
        self._restoring = run = UndoRun(self._undo_task(order))
        try:
            return self._in_place(run)
        except KeptDamaged as error:
            if not order.execution_id or order.part is not None:
                raise
            instead = f"{error.message}. So the safety backup {order.execution_id[:8]} is restored"
            self._run.log(instead, level="warning")
            ended = self._load(msgspec.structs.replace(order, kept_as=None, safety=True))
            return msgspec.structs.replace(ended, differences=(instead, *ended.differences))

    def _load(self, order: RestoreOrder) -> Restore:
        self._restoring = run = RestoreRun(self._restore_task(order))
        try:
            return self._in_place(run)
        finally:
            with self._cancellation.shield():
                for copy in run.found_copies:
                    self._catalog.save_copy(order.execution_id, copy)

    def _in_place(self, run: RestoreRun | UndoRun) -> Restore:
        """The finished record of a restore, also where the new content came to its place and what follows failed."""
        try:
            return run.execute()
        except DataGuardianError as error:
            if not run.record.in_place:
                raise
            trouble = f"The restored content is in place; what had to be done after that failed: {error.message}"
            self._run.log(trouble, level="error")
            return msgspec.structs.replace(
                run.record, status="completed", finished_at=now(), differences=(*run.record.differences, trouble)
            )

    def _restore_task(self, order: RestoreOrder) -> RestoreTask:
        execution = self._execution(order.execution_id)
        safety_job = self._safety_job(order, execution)
        return RestoreTask(
            order=order,
            execution=execution,
            target=self._config.datasource(order.datasource),
            storages=self._storages_of(execution, order.storage),
            processes=order.jobs or self._restore_jobs(execution),
            safety_job=safety_job,
            safety_storages=[self._storage(name) for name in safety_job.storages],
            catalog=self._catalog,
            run=self._run,
            cancellation=self._cancellation,
            scratch=self._scratch,
        )

    def _restore_jobs(self, execution: Execution) -> int | None:
        """How many processes the backup's job wants to load at once."""
        job = self._config.jobs.get(execution.job)
        return job.restore_jobs if job is not None else None

    def _undo_task(self, order: RestoreOrder) -> UndoTask:
        execution = self._catalog.execution(order.execution_id) if order.execution_id else None
        safety_job = self._safety_job(order, execution)
        return UndoTask(
            order=order,
            saved=execution,
            storages=self._storages_of(execution, None) if execution is not None else (),
            target=self._config.datasource(order.datasource),
            safety_job=safety_job,
            safety_storages=[self._storage(name) for name in safety_job.storages],
            catalog=self._catalog,
            run=self._run,
            cancellation=self._cancellation,
            scratch=self._scratch,
        )

    def _safety_job(self, order: RestoreOrder, execution: Execution | None) -> JobSettings:
        """How a safety backup is made: as the backup's job makes its own, else to where that backup lies."""
        base = self._config.jobs.get(execution.job) if execution is not None else None
        if order.safety_to is not None:
            names = [order.safety_to]
        elif base is not None:
            names = list(base.storages)
        else:
            copies = execution.copies if execution is not None else ()
            holding = {copy.storage for copy in copies if copy.path}
            names = [name for name in self._config.storages if name in holding]
        if order.safety and not names:
            raise ConfigError(
                "No storage is known for the safety backup",
                subject=order.database,
                hint="Choose one with --safety-to STORAGE",
            )
        return safety_settings(order.datasource, base, names)

    def _validate(self, order: ValidateOrder) -> None:
        with self._recording_failure(lambda _ended: None, None):
            execution = self._execution(order.execution_id)
            self._run.phase("validate")
            problems, copies = [], []
            for storage in self._storages_of(execution, order.storage):
                copy = validate_copy(storage, execution, self._scratch, self._cancellation.event)
                self._catalog.save_copy(execution.execution_id, copy)
                copies.append(copy)
                verdict = copy.problem.message if copy.problem else "every byte was read and is good"
                self._run.log(f"{storage.name}: {copy.status}, {verdict}")
                if copy.problem is not None:
                    problems.append(copy.problem)
            self._teller.copies_checked(execution, copies)
            self._teller.deliver()
            if problems:
                damage = next((problem for problem in problems if problem.kind == "ValidationError"), problems[0])
                self._say_end("failed", problem=damage)
            else:
                self._say_end("completed")

    def _rehearse(self, order: RehearseOrder) -> None:
        rehearsal = Rehearsal(order, self._catalog, self._run)

        def end(proof: Proof) -> None:
            rehearsal.end(proof)
            self._teller.deliver()

        with self._recording_failure(end, rehearsal.proof):
            rehearsal.begin()
            execution = self._execution(order.execution_id)
            place = order.place if order.place not in (None, PRIVATE_PLACE) else order.datasource
            task = RehearsalTask(
                order=order,
                execution=execution,
                target=self._config.datasource(place),
                storages=self._storages_of(execution, order.storage),
                processes=self._restore_jobs(execution),
                catalog=self._catalog,
                run=self._run,
                cancellation=self._cancellation,
                scratch=self._scratch,
            )
            try:
                proof = rehearsal.execute(task)
            finally:
                with self._cancellation.shield():
                    for copy in rehearsal.found_copies:
                        self._catalog.save_copy(order.execution_id, copy)
            with self._cancellation.shield():
                end(proof)
                self._say_end("completed", warnings=proof.differences)

    @contextlib.contextmanager
    def _recording_failure(
        self,
        record: Callable[[Any], object],
        started: Execution | Restore | Proof | None,
        after: Callable[[ExecutionStatus, Problem], tuple[str, ...]] = lambda _status, _problem: (),
    ) -> Iterator[None]:
        """Record a failure of the block as the end of what was started, and say it as the last message.

        `after` is what has to be done between the two; it gives warnings.
        """
        try:
            with memory_explained():
                yield
        except DataGuardianError as error:
            status: ExecutionStatus = "cancelled" if isinstance(error, Cancelled) else "failed"
            with self._cancellation.shield():
                if started is not None:
                    with contextlib.suppress(DataGuardianError):
                        record(
                            msgspec.structs.replace(
                                started, status=status, finished_at=now(), problem=problem_of(error)
                            )
                        )
                warnings = after(status, problem_of(error))
                self._say_end(status, problem=problem_of(error), warnings=warnings)

    def _end_backup(self, execution: Execution) -> bool:
        """Record how the backup ended, and tell those who want to know; False where it could not be recorded."""
        recorded = self._record_execution(execution)
        self._tell_backup(execution)
        return recorded

    def _tell_backup(self, execution: Execution) -> None:
        self._teller.backup_ended(execution)
        self._teller.heartbeat(execution)
        self._teller.deliver()

    def _tell_restore(self, restore: Restore) -> None:
        tell_restore(self._catalog, restore, lambda text: self._run.log(text, level="warning"))
        self._teller.deliver()

    def _record_execution(self, execution: Execution) -> bool:
        """Write the execution to the catalogue; a backup does not fail because that cannot be done."""
        try:
            self._catalog.save_execution(execution)
        except DataGuardianError as error:
            self._run.log(error.message, level="error")
            self._note_unrecorded()
            return False
        return True

    def _execution(self, execution_id: str) -> Execution:
        execution = self._catalog.execution(execution_id)
        if execution is None:
            raise ConfigError(
                f"The catalogue does not know execution {execution_id}",
                subject=execution_id,
                hint="dgtui scan STORAGE reads what a storage holds",
            )
        return execution

    def _storages_of(self, execution: Execution, chosen: str | None) -> list[Storage[Any]]:
        """The storages of the copies, the one that was asked for, or all of the configuration that have one."""
        names = [copy.storage for copy in execution.copies if copy.path and copy.storage in self._config.storages]
        ordered = [name for name in self._config.storages if name in names]
        if chosen is not None and chosen not in ordered:
            raise ConfigError(
                f"There is no copy of this backup at {chosen}",
                subject=chosen,
                hint=f"It is at {', '.join(ordered) or 'no storage of this configuration'}",
            )
        return [self._storage(name) for name in ([chosen] if chosen is not None else ordered)]

    def _storage(self, name: str) -> Storage[Any]:
        storage = self._config.storage(name)
        with contextlib.suppress(DataGuardianError):
            know_marker(self._catalog, storage)
        return storage


def main(arguments: list[str]) -> None:
    """Run the worker of `STATE RUN_ID LOCK ...`."""
    cancellation = Cancellation()
    cancellation.install()
    state, run_id = Path(arguments[0]), arguments[1]
    paths = RunPaths(state)
    run = RunWriter(paths.messages(run_id))
    try:
        order = decode_order(paths.request(run_id).read_bytes())
        Worker(state, order, run, cancellation).execute()
    except DataGuardianError as error:
        run.status("cancelled" if isinstance(error, Cancelled) else "failed", problem=problem_of(error))
    except (OSError, MemoryError) as error:
        run.status("failed", problem=_system_problem(error, run_id))
        raise
    finally:
        run.close()
    # A thread that hangs on a dead disk keeps the process from going away, and with it all that it has open.
    for descriptor in arguments[2:]:
        os.close(int(descriptor))


def _system_problem(error: OSError | MemoryError, run_id: str) -> Problem:
    what = "The worker ran out of memory" if isinstance(error, MemoryError) else f"The system refused: {error}"
    return Problem(
        kind="DataGuardianError",
        message=what,
        subject=run_id,
        hint="Look at free memory, open files (ulimit -n) and the disk of the state folder",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
