"""The worker of restores and of undoing them."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from dgtui.config import JobSettings
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.errors import ConfigError, DataGuardianError
from dgtui.engine.messages import now
from dgtui.engine.model import Copy, Execution, ExecutionStatus, Problem
from dgtui.engine.orders import RestoreOrder
from dgtui.engine.own_places import own_places
from dgtui.engine.restore import RestoreRun
from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_task import RestoreTask, UndoTask, started_restore
from dgtui.engine.restore_telling import content_of, tell_restore
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.safety_copy import safety_settings
from dgtui.engine.undo import UndoRun, only_removes
from dgtui.engine.undo_check import KeptDamaged
from dgtui.engine.worker_reading import ReadingWorker


class RestoreWorker(ReadingWorker[RestoreOrder]):
    """Restores a backup, or takes a restore back."""

    def __init__(self, state: Path, order: RestoreOrder, run: RunWriter, cancellation: Cancellation) -> None:
        """Open the catalogue. Raises CatalogError."""
        super().__init__(state, order, run, cancellation)
        self._restoring: RestoreRun | UndoRun | None = None

    def _carry_out(self) -> None:
        order = self._order

        def record(failed: Restore) -> None:
            # What the restore came to know on its way is part of its record, however it ends.
            known = self._restoring.record if self._restoring is not None else failed
            ended = msgspec.structs.replace(
                known, status=failed.status, finished_at=failed.finished_at, problem=failed.problem
            )
            if not ended.took_effect and not ended.partly_filled and (ended.placing is None or not ended.placing.mark):
                self._run.log(f"{ended.target} {content_of(ended)}")
            self._catalog.save_restore(ended)
            self._tell_restore(ended)

        started = started_restore(order)
        with self._recording_failure(record, started, lambda _status, _problem: self._warnings()):
            self._catalog.save_restore(started)
            ended = self._put_back(order) if order.kept_as is not None or only_removes(order) else self._load(order)
            with self._cancellation.shield():
                warnings = ended.differences + ended.warnings
                try:
                    self._catalog.save_restore(ended)
                except DataGuardianError as error:
                    warnings += (f"The restored content is in place, but could not be recorded: {error.message}",)
                self._tell_restore(ended)
                self._say_end("completed", warnings=warnings)

    def _warnings(self) -> tuple[str, ...]:
        return self._restoring.record.warnings if self._restoring is not None else ()

    def _end_of(self, error: DataGuardianError) -> tuple[ExecutionStatus, Problem]:
        status, problem = super()._end_of(error)
        if problem.kind == "Cancelled":
            # What a restore keeps is the former content: of that nothing is said here.
            problem = msgspec.structs.replace(problem, hint="Start it again when it suits")
        return status, problem

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
                self._note_copies(order.execution_id, run.found_copies)

    def _note_copies(self, execution_id: str, copies: Sequence[Copy]) -> None:
        try:
            for copy in copies:
                self._catalog.save_copy(execution_id, copy)
        except DataGuardianError as error:
            # What became of the restore is told all the same.
            self._run.log(f"How the copies were found could not be recorded: {error.message}", level="warning")

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
            target=self._target(order.datasource, execution),
            storages=self._storages_of(execution, order.storage),
            processes=order.jobs or self._restore_jobs(execution),
            safety_job=safety_job,
            safety_storages=[self._storage(name) for name in safety_job.storages],
            catalog=self._catalog,
            run=self._run,
            cancellation=self._cancellation,
            scratch=self._scratch,
            late_rows=self._paths.late_rows(order.run_id),
            own_places=tuple(own_places(self._config, self._paths.state)) if order.merge else (),
        )

    def _undo_task(self, order: RestoreOrder) -> UndoTask:
        execution = self._catalog.execution(order.execution_id) if order.execution_id else None
        restored = execution or self._restored_before(order)
        safety_job = self._safety_job(order, restored)
        return UndoTask(
            order=order,
            saved=execution,
            storages=self._storages_of(execution, None) if execution is not None else (),
            target=self._target(order.datasource, restored),
            safety_job=safety_job,
            safety_storages=[self._storage(name) for name in safety_job.storages],
            catalog=self._catalog,
            run=self._run,
            cancellation=self._cancellation,
            scratch=self._scratch,
            late_rows=self._paths.late_rows(order.run_id),
        )

    def _restored_before(self, order: RestoreOrder) -> Execution | None:
        """The backup whose restore is undone: it says where a safety backup goes, where that restore made none."""
        undone = self._catalog.restore(order.undo_of) if order.undo_of is not None else None
        return self._catalog.execution(undone.execution_id) if undone is not None and undone.execution_id else None

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

    def _tell_restore(self, restore: Restore) -> None:
        tell_restore(self._catalog, restore, self._warn)
        self._teller.deliver()
