"""The worker of backups."""

import contextlib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from dgtui.engine.backup import Backup, ordered_plan, started_execution
from dgtui.engine.cancellation import STOPPED_HINT, Cancellation
from dgtui.engine.errors import DataGuardianError, DiskSpaceError, SourceSettled
from dgtui.engine.job_commands import JobCommands
from dgtui.engine.memory import need_room_to_load, uncollected
from dgtui.engine.model import Execution, ExecutionStatus, Problem
from dgtui.engine.orders import BackupOrder
from dgtui.engine.patience import with_retries
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.secrets import observe_secrets
from dgtui.engine.storages.base import Storage
from dgtui.engine.storages.known_markers import known_markers
from dgtui.engine.worker_base import Worker

if TYPE_CHECKING:
    from dgtui.engine.backup_records import BackupRecords


class BackupWorker(Worker[BackupOrder]):
    """Backs up a datasource as its order says.

    The catalogue takes longer to load than a dump tool to start, so it is opened while the tool looks around.
    """

    _stopped: ClassVar[ExecutionStatus] = "interrupted"

    def __init__(self, state: Path, order: BackupOrder, run: RunWriter, cancellation: Cancellation) -> None:
        super().__init__(state, order, run, cancellation)
        self._secrets_read: list[tuple[str, str]] = []
        observe_secrets(lambda subject, place: self._secrets_read.append((subject, place)))
        self._plan = ordered_plan(order, self._scratch)
        self._loading_records = False

    @functools.cached_property
    def _records(self) -> "BackupRecords":
        if self._loading_records:
            raise DataGuardianError("The catalogue could not be loaded", subject=str(self._paths.state))
        need_room_to_load()
        # A module that is left half loaded cannot be loaded again, and the end of the run has to be recorded too. For
        # want of memory it may be left so all the same; then the next start takes up what became of the run.
        self._loading_records = True
        with self._cancellation.shield(), uncollected():
            from dgtui.engine.backup_records import BackupRecords

            self._loading_records = False
            return BackupRecords(
                self._paths, self._config, self._order, self._run, self._cancellation, self._secrets_read
            )

    def _carry_out(self) -> None:
        kind = self._config.require_datasource(self._order.job.datasource).type
        started = msgspec.structs.replace(started_execution(self._plan, kind, self._order.ordered_at), status="running")
        order = self._order
        commands = JobCommands(order.job, order.job_name, order.run_id, self._run, self._cancellation)
        with self._recording_failure(self._record_failure, started, commands.after):
            if self._order.job.before or not self._paths.is_unrecorded(self._order.run_id):
                # `before` may take hours; and whoever announced the run in the catalogue shows from there that it runs.
                with self._cancellation.shield():
                    self._records.began(started)
            # Whoever asked for an end meanwhile does not wait for hours.
            self._cancellation.check()
            commands.before()
            storages = self._storages()
            execution = self._back_up(storages, started)
            with self._cancellation.shield():
                self._records.know(storages)
                if self._order.job.after:
                    self._records.whole_before_after(execution)
                if trouble := commands.after(execution.status, execution.problem):
                    execution = msgspec.structs.replace(execution, warnings=(*execution.warnings, *trouble))
                recorded = self._records.ended(execution)
                warnings = (*execution.warnings, *self._records.after_backup(recorded=recorded))
                self._say_end(execution.status, problem=execution.problem, warnings=warnings)

    def _end_of(self, error: DataGuardianError) -> tuple[ExecutionStatus, Problem]:
        status, problem = super()._end_of(error)
        if status == self._stopped:
            with contextlib.suppress(DataGuardianError):
                problem = msgspec.structs.replace(problem, hint=f"{STOPPED_HINT}; {self._records.next_step()}")
        return status, problem

    def _record_failure(self, failed: Execution) -> None:
        self._records.ended(failed)

    def _storages(self) -> list[Storage[Any]]:
        """The job's storages; each knows the marker it carried last, so that it notices a disk that is not mounted."""
        storages = [self._config.storage(name) for name in self._order.job.storages]
        markers = None if self._has_records else known_markers(self._paths.state)
        for storage in storages:
            with contextlib.suppress(DataGuardianError):
                known = self._records.storage_marker(storage.name) if markers is None else markers.get(storage.name)
                storage.known_id = known
        return storages

    def _back_up(self, storages: Sequence[Storage[Any]], started: Execution) -> Execution:
        """Make the backup, more than once where the error is one that may pass.

        Where all storages are full it is tried once more after retention has made room.
        """

        def begin(database: str) -> None:
            swaps = self._records.swaps_into(database)
            with self._cancellation.shield():
                self._records.began(started)
            self._cancellation.check()
            self._records.refuse_partly_filled(database)
            self._records.refuse_swapping(swaps)

        def attempt() -> Execution:
            self._cancellation.check()
            datasource = self._config.datasource(self._plan.job.datasource)
            backup = Backup(self._plan, datasource, storages, self._run, self._cancellation)
            return backup.execute(while_the_dump_starts=lambda: begin(datasource.database))

        def attempt_settled() -> Execution:
            try:
                return attempt()
            except SourceSettled as error:
                self._warn(error.message)
            return attempt()

        def attempt_with_room() -> Execution:
            try:
                return attempt_settled()
            except DiskSpaceError as error:
                if not self._records.make_room():
                    raise
                self._warn(f"{error.message}. Retention made room; it is tried once more")
            self._cancellation.check()
            return attempt()

        def tell(error: DataGuardianError, seconds: float, number: int) -> None:
            # The end of a long line is cut in a narrow panel: what everybody waits for stands before it.
            self._warn(f"Try {number} begins in {seconds:.0f} s: {error.message}")
            self._run.phase("wait")

        return with_retries(attempt_with_room, retries=self._plan.job.retries, wait=self._cancellation.wait, tell=tell)

    @property
    def _has_records(self) -> bool:
        return "_records" in self.__dict__

    def _leave(self) -> None:
        if self._has_records:
            self._records.close()
