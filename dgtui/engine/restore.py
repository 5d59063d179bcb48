"""A restore: check first, load beside the target, compare, and only then put the new in the old one's place.

design.md, "Restore". The target is not touched before the whole archive has been read, and it is replaced by a swap, so
that a failure at any point leaves it as it was.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dgtui.engine.archive import StoredArchive
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.comparison import Comparison, compare_objects
from dgtui.engine.datasources.base import Datasource, LoadOutcome, TargetState
from dgtui.engine.errors import (
    ConfigError,
    DataGuardianError,
    DiskSpaceError,
    RestoreError,
    StorageError,
    ValidationError,
)
from dgtui.engine.manifest import Manifest
from dgtui.engine.messages import StorageMessage, TotalKind, now
from dgtui.engine.model import Copy, CopyStatus, Execution, Restore
from dgtui.engine.orders import RestoreOrder
from dgtui.engine.problems import problem_of
from dgtui.engine.runs import ProgressSource, RunWriter
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import folder_of, read_known_manifest
from dgtui.engine.verify import archive_check_of

NEW_SUFFIX = "__dgtui_new"
_ERRORS_SHOWN = 10
_PARALLEL_FROM_BYTES = 32 << 20
_JOBS_AT_MOST = 4


class RestoreRun:
    """One restore. `execute` returns its finished record, or raises with the target as it was."""

    def __init__(
        self,
        order: RestoreOrder,
        execution: Execution,
        target: Datasource[Any],
        storages: Sequence[Storage[Any]],
        run: RunWriter,
        cancellation: Cancellation,
        scratch_folder: Path,
    ) -> None:
        """`storages` are those to try, in order."""
        self._order = order
        self._execution = execution
        self._target = target
        self._storages = storages
        self._run = run
        self._cancellation = cancellation
        self._scratch = scratch_folder
        self._record = Restore(
            restore_id=order.run_id,
            execution_id=order.execution_id,
            datasource=order.datasource,
            target=order.database,
            status="running",
            started_at=order.ordered_at,
            reason=order.reason,
            restored_by=order.restored_by,
            origin=order.origin,
        )
        self.found_copies: list[Copy] = []
        """The states that copies were found in on the way, for the catalogue."""

    def execute(self) -> Restore:
        """Check, load beside, compare, swap."""
        self._refuse_other_kinds()
        folder_of(self._execution)
        self._run.phase("validate")
        state = self._look_at_target()
        with self._good_copy() as (archive, manifest):
            self._check_target(archive, manifest, state)
            loaded = self._load(archive, manifest, state)
            try:
                comparison = self._compare(manifest, loaded)
                kept_as = None if loaded == self._order.database else self._put_in_place(loaded, state)
            except DataGuardianError:
                self._remove(loaded, state)
                raise
        self._run.phase("record")
        return msgspec.structs.replace(
            self._record, status="completed", finished_at=now(), kept_as=kept_as, differences=comparison.sentences
        )

    def _refuse_other_kinds(self) -> None:
        if self._execution.datasource_type != self._target.kind:
            raise ConfigError(
                f"A backup of kind {self._execution.datasource_type} cannot be restored into {self._order.datasource}, "
                f"which is {self._target.kind}",
                subject=self._order.datasource,
                hint=f"Choose a datasource of kind {self._execution.datasource_type} with --to",
            )

    # The copy

    @contextlib.contextmanager
    def _good_copy(self) -> Iterator[tuple[StoredArchive, Manifest]]:
        """The first copy that can be read to its end; those before it are reported and left out."""
        last: DataGuardianError = StorageError(
            "No storage of the configuration holds this backup", subject=self._execution.execution_id
        )
        for storage in self._storages:
            try:
                archive, manifest = self._read_to_end(storage)
            except (ValidationError, StorageError) as error:
                last = error
                self._leave_out(storage, error)
                continue
            self._run.storage(StorageMessage(name=storage.name, state="done", bytes=manifest.compressed_size_bytes))
            self._run.log(f"Restoring from {storage.name}: every byte was read and is good")
            self._note_copy(storage, "available")
            self._record = msgspec.structs.replace(self._record, storage=storage.name)
            with contextlib.closing(archive):
                yield archive, manifest
            return
        raise last

    def _read_to_end(self, storage: Storage[Any]) -> tuple[StoredArchive, Manifest]:
        manifest, _ = read_known_manifest(storage, self._execution)
        self._run.storage(StorageMessage(name=storage.name, state="checking", bytes=manifest.compressed_size_bytes))
        archive = StoredArchive(storage, folder_of(self._execution), manifest, self._scratch, self._cancellation.event)
        try:
            with self._progress(archive, "exact"):
                check = archive_check_of(manifest, self._scratch)
                archive.check(check, keep=self._jobs(manifest) > 1)
        except BaseException:
            archive.close()
            raise
        return archive, manifest

    @contextlib.contextmanager
    def _progress(self, archive: StoredArchive, total_kind: TotalKind) -> Iterator[None]:
        """Report how much of the archive was read; where that says nothing of the loading, only the current object."""
        total = archive.total_size_bytes if total_kind == "exact" else None
        self._run.start_progress(lambda: archive.bytes_read, ProgressSource(total=total, total_kind=total_kind))
        try:
            yield
        finally:
            self._run.stop_progress()

    def _leave_out(self, storage: Storage[Any], error: DataGuardianError) -> None:
        present = storage.copy_status(folder_of(self._execution))
        status: CopyStatus = "unreachable" if isinstance(error, StorageError) else "corrupt"
        self._note_copy(storage, present if present != "available" else status, error)
        self._run.storage(StorageMessage(name=storage.name, state="left out", problem=problem_of(error)))
        self._run.log(f"{storage.name}: {error.message}", level="warning")

    def _note_copy(self, storage: Storage[Any], status: CopyStatus, error: DataGuardianError | None = None) -> None:
        self.found_copies.append(
            Copy(
                storage=storage.name,
                status=status,
                path=storage.path(folder_of(self._execution)),
                checked_at=now(),
                problem=problem_of(error) if error is not None else None,
            )
        )

    # The target

    def _look_at_target(self) -> TargetState:
        """Refuse what a look at the target alone forbids, before the long reading begins."""
        order = self._order
        state = self._target.target_state(order.database)
        partly = bool(order.selection.tables) or order.selection.backup_type != "full"
        if not state.empty and not order.overwrite:
            raise RestoreError(
                f"{order.database} holds {len(state.objects)} objects; nothing was changed",
                subject=order.database,
                hint="Restore under another name with --into NAME, or replace it with --overwrite",
            )
        if not state.empty and partly:
            raise RestoreError(
                f"Restoring a part would replace all of {order.database}; nothing was changed",
                subject=order.database,
                hint="Restore the part under another name with --into NAME and copy from there",
            )
        if state.clients:
            people = ", ".join(f"{client.user} ({client.program or client.address})" for client in state.clients[:5])
            self._run.log(f"Connected to {order.database} now, and ended at the swap: {people}", level="warning")
        return state

    def _check_target(self, archive: StoredArchive, manifest: Manifest, state: TargetState) -> None:
        order = self._order
        if state.free_bytes is not None and state.free_bytes < manifest.total_size_bytes:
            raise DiskSpaceError(
                f"{order.database} needs {manifest.total_size_bytes} bytes, {state.free_bytes} are free there",
                subject=order.database,
                hint="Make room, or restore to another place with --into",
            )
        for note in self._target.check_restore(archive, order.database, order.selection):
            self._run.log(note, level="warning")

    def _load(self, archive: StoredArchive, manifest: Manifest, state: TargetState) -> str:
        """Load the archive into a fresh database; its name: beside the target, or the target where it holds nothing."""
        order = self._order
        beside = self._target.beside_name(order.database, NEW_SUFFIX)
        if state.empty and not self._target.swaps_everything:
            beside = order.database
        self._run.phase("create")
        if beside != order.database or not state.exists:
            self._target.drop_target(beside)
            self._target.create_target(beside, like=order.database if state.exists else None)
        self._run.phase("restore")
        self._run.log(f"Loading into {beside}")
        try:
            jobs = self._jobs(manifest)
            with self._progress(archive, "exact" if jobs == 1 else "unknown"):
                outcome = self._target.load(
                    archive, beside, order.selection, self._run, jobs=jobs, scratch_folder=self._scratch
                )
            self._judge(outcome)
        except BaseException:
            self._remove(beside, state)
            raise
        return beside

    def _jobs(self, manifest: Manifest) -> int:
        """How many processes load at once: several are faster where the archive is large and there is room for it."""
        if "parallel_restore" not in self._target.options:
            return 1
        if self._order.jobs is not None:
            return self._order.jobs
        room = shutil.disk_usage(self._scratch).free > 2 * manifest.total_size_bytes
        large = room and manifest.total_size_bytes >= _PARALLEL_FROM_BYTES
        return min(os.cpu_count() or 1, _JOBS_AT_MOST) if large else 1

    def _judge(self, outcome: LoadOutcome) -> None:
        for note in outcome.notes:
            self._run.log(note, level="warning")
        count = outcome.error_count or len(outcome.errors)
        if not count:
            return
        told = [f"{error.message}: {error.statement}".rstrip(": ") for error in outcome.errors[:_ERRORS_SHOWN]]
        for line in told:
            self._run.log(line, level="error")
        raise RestoreError(
            f"{count} errors while loading; {self._order.database} is as it was",
            subject=self._order.database,
            hint="Look at the first error: a missing role, extension or right is the usual reason",
            detail=told,
        )

    def _compare(self, manifest: Manifest, beside: str) -> Comparison:
        self._run.phase("compare")
        comparison = compare_objects(
            manifest.objects, self._target.inventory(beside), self._order.selection, manifest.backup_type
        )
        for sentence in comparison.sentences:
            self._run.log(f"Difference: {sentence}", level="warning")
        if not comparison.whole:
            raise RestoreError(
                f"What was restored is not what was backed up; {self._order.database} is as it was",
                subject=self._order.database,
                hint="Try another copy with --from, or another backup",
                detail=comparison.sentences[:_ERRORS_SHOWN],
            )
        return comparison

    def _put_in_place(self, beside: str, state: TargetState) -> str | None:
        """Swap the new one in; the name under which the old content is kept, where there was any."""
        order = self._order
        self._run.phase("swap")
        self._cancellation.check()
        keep_as = self._target.beside_name(order.database, f"__dgtui_old_{now():%Y%m%d%H%M%S}")
        with self._cancellation.shield():
            self._target.swap(beside, order.database, keep_as, self._run)
            if not state.exists:
                return None
            if state.empty:
                self._target.drop_target(keep_as)
                return None
        self._run.log(f"The former content of {order.database} is kept as {keep_as}")
        return keep_as

    def _remove(self, loaded: str, state: TargetState) -> None:
        """Remove the half-made database; where even that fails, its name is told."""
        with self._cancellation.shield():
            try:
                if loaded == self._order.database and state.exists:
                    self._empty_again(loaded)
                else:
                    self._target.drop_target(loaded)
            except DataGuardianError as error:
                self._run.log(f"{loaded} could not be removed: {error.message}", level="error")

    def _empty_again(self, database: str) -> None:
        """Give back a target that was there and held nothing as it was: with its own properties."""
        pattern = self._target.beside_name(database, NEW_SUFFIX)
        self._target.drop_target(pattern)
        self._target.create_target(pattern, like=database)
        self._target.drop_target(database)
        self._target.create_target(database, like=pattern)
        self._target.drop_target(pattern)
