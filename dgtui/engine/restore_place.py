"""Putting the new content in the old one's place: by a swap, or where that is impossible by an import in place."""

import contextlib
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from dgtui.engine.archive import StoredArchive
from dgtui.engine.datasources.loading import Selection, TargetState
from dgtui.engine.datasources.own_names import LIKE_SUFFIX, NEW_SUFFIX
from dgtui.engine.errors import (
    DatabaseConnectionError,
    DataGuardianError,
    RestoreError,
    StorageError,
    SwapImpossible,
    ValidationError,
)
from dgtui.engine.model import Execution
from dgtui.engine.restore_copy import CopyChoice, GoodCopy
from dgtui.engine.restore_load import compare_with, load_into
from dgtui.engine.restore_model import Placing, Restore
from dgtui.engine.restore_refusals import need_way_back, refuse_kept_inside, safety_needed, swap_needed
from dgtui.engine.restore_report import load_and_compare
from dgtui.engine.restore_swap import Replacement
from dgtui.engine.restore_task import RestoreTask, dropped, put_back_command
from dgtui.engine.safety_copy import SafetyCopy
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import folder_of, read_known_manifest


class NotPutBack(RestoreError):
    """The target is neither as it was nor as it shall be."""


class Placement(Replacement):
    """The last step of a restore. `put_in_place` ends with the new content there, or raises with the old one there."""

    def __init__(self, task: RestoreTask, record: Restore, copies: CopyChoice) -> None:
        super().__init__(task, record)
        self._task = task
        self._copies = copies
        self._emptied = False
        """Whether the target may have lost something, so that it has to be filled by us."""

    def put_in_place(self, beside: str, copy: GoodCopy, state: TargetState) -> None:
        """Swap `beside` in, or where a swap would lose something and that was asked for, import the archive again."""
        task = self._task
        if not state.empty and task.order.safety:
            if not task.target.swaps_everything and task.target.swap_obstacles(task.order.database):
                need_way_back(task.target, task.order.database)
            self.save_former_content()
        elif task.target.lies_in_target(beside):
            raise safety_needed(task.order.database, f"{task.order.database} can only be exchanged within itself")
        try:
            self.swap(beside, state)
        except SwapImpossible as obstacle:
            if not task.order.in_place:
                raise swap_needed(task.order.database, obstacle.message, obstacle.detail) from obstacle
            if not task.order.safety:
                raise safety_needed(task.order.database, obstacle.message) from obstacle
            self._import(beside, copy, obstacle)

    # Import in place

    def _import(self, beside: str, copy: GoodCopy, obstacle: SwapImpossible) -> None:
        task, database = self._task, self._task.order.database
        task.run.log(
            f"{obstacle.message}. So {database} is backed up, emptied and filled in its own place; "
            "whoever reads or writes meanwhile sees a partly filled database",
            level="warning",
        )
        need_way_back(task.target, database)
        refuse_kept_inside(task.target, database)
        safety = self.save_former_content()
        task.run.log(f"The safety backup lies in {safety.path}; put it back with: {self._command(safety)}")
        with self._properties_kept(beside) as like:
            task.cancellation.check()
            with task.cancellation.shield():
                self.announce(placing=Placing(beside=beside, like=like), partly_filled=True)
                self._exchange(like, copy, safety)
                self.note(partly_filled=False, in_place=True)
                self._remove(beside)
        task.run.log(f"The former content of {database} is kept as the backup {safety.execution.execution_id[:8]}")

    def _exchange(self, like: str, copy: GoodCopy, safety: SafetyCopy) -> None:
        """Fill the target anew; whatever goes wrong, its former content is put back."""
        database = self._task.order.database
        try:
            self._import_first_good(like, copy)
        except BaseException as error:
            if not self._emptied:
                self.note_if_possible(partly_filled=False)
                raise
            self._put_back(like, safety, error)
            self.note_if_possible(partly_filled=False)
            if not isinstance(error, DataGuardianError):
                raise
            raise RestoreError(
                f"{database} could not be filled in its own place: {error.message}; its former content was put back",
                subject=database,
                hint=error.hint,
                detail=error.detail,
            ) from error

    def _import_first_good(self, like: str, copy: GoodCopy) -> None:
        """Fill the target from the copy that was checked, or from the next one where that turned bad since."""
        task = self._task
        storages = list(task.storages)
        for storage in storages[storages.index(copy.storage) :]:
            self.note_if_possible(storage=storage.name, report=None)
            try:
                self._refill(like, storage, task.execution, self._load_anew)
            except (ValidationError, StorageError) as error:
                last = error
                self._copies.leave_out(storage, error)
            else:
                return
        raise last

    def _load_anew(self, copy: GoodCopy) -> None:
        load_and_compare(self._task, self._task.order.database, copy, self.hear, loaded=lambda: self._note_filled(True))

    def _note_filled(self, filled: bool) -> None:
        placing = self.record.placing
        if placing is not None and placing.filled != filled:
            self.note_if_possible(placing=msgspec.structs.replace(placing, filled=filled))

    def _load_safety(self, copy: GoodCopy) -> None:
        task, database = self._task, self._task.order.database
        load_into(task, database, copy.archive, copy.manifest, Selection())
        compare_with(task, database, copy.manifest, Selection())

    def _ways_back(self, safety: SafetyCopy) -> str:
        """What brings the former content back, once its cause is mended."""
        order = self._task.order
        if order.undo_of is not None:
            return f"Mend the cause, then run: {self._command(safety)}"
        return (
            "Mend the cause; the next command, screen or daemon that starts then puts it back by itself, as does: "
            f"dgtui undo {order.run_id[:8]}"
        )

    def _command(self, safety: SafetyCopy) -> str:
        return put_back_command(safety.execution.execution_id, self._task.order.database)

    @contextlib.contextmanager
    def _properties_kept(self, beside: str) -> Iterator[str]:
        """An empty database with the target's own properties, which an import may change on its way.

        One that is there already comes from a restore that was interrupted, and holds them from before that.
        """
        target, database = self._task.target, self._task.order.database
        like = target.beside_name(database, LIKE_SUFFIX)
        made = not target.target_state(like).exists
        try:
            if made:
                with self._task.cancellation.shield():
                    self.announce(placing=Placing(beside=beside, like=like))
                    target.create_target(like, like=database)
            yield like
        except BaseException:
            # Where the former content could not be put back, whoever does that later needs it.
            if made and not self.record.partly_filled:
                with self._task.cancellation.shield():
                    self._remove(like)
            raise

    def original(self, state: TargetState) -> str | None:
        """The database whose properties the target is made with, where there is one."""
        target, database = self._task.target, self._task.order.database
        if state.exists:
            return database
        like = target.beside_name(database, LIKE_SUFFIX)
        return like if not target.swaps_everything and target.target_state(like).exists else None

    def remove_leftovers(self) -> None:
        """Remove what an import in place keeps beside the target, also where an interrupted one left it."""
        target, database = self._task.target, self._task.order.database
        if target.swaps_everything:
            return
        like = target.beside_name(database, LIKE_SUFFIX)
        with self._task.cancellation.shield():
            state = target.target_state(like)
            if state.exists and state.empty:
                self._remove(target.beside_name(database, NEW_SUFFIX))
                self._remove(like)

    def _refill(self, like: str, storage: Storage[Any], execution: Execution, load: Callable[[GoodCopy], None]) -> None:
        """Empty the target and load a backup into it; nothing of this is cancelled half-way.

        Raises what is wrong with the stored copy, where that kept it from being loaded.
        """
        task, database = self._task, self._task.order.database
        manifest, _ = read_known_manifest(storage, execution)
        archive = StoredArchive(storage, folder_of(execution), manifest, task.scratch, threading.Event())
        with contextlib.closing(archive):
            next(archive.blocks(), b"")
            task.run.phase("swap")
            self._note_filled(False)
            self._drop(database)
            task.target.create_target(database, like=like)
            copy = GoodCopy(storage, archive, manifest)
            try:
                load(copy)
            except RestoreError as error:
                if (failure := self._copies.verdict(copy, error)) is not None:
                    raise failure from error
                raise

    def _drop(self, database: str) -> None:
        """Drop the target; where that fails before anything of it was lost, it is as it was."""
        target = self._task.target
        before = _names(target.target_state(database))
        once_more, self._emptied = self._emptied, True
        try:
            target.drop_target(database)
        except DataGuardianError as error:
            if once_more or _names(target.target_state(database)) != before:
                raise
            self._emptied = False
            raise RestoreError(
                f"{database} could not be emptied: {error.message}; nothing was changed",
                subject=database,
                hint=error.hint or "Is it in use? Stop the application, then try again",
                detail=error.detail,
            ) from error

    def _put_back(self, like: str, safety: SafetyCopy, cause: BaseException) -> None:
        """Load the safety copy; where even that fails, say where it lies and how it is loaded by hand."""
        task, database = self._task, self._task.order.database
        reason = cause.message if isinstance(cause, DataGuardianError) else type(cause).__name__
        task.run.log(f"{reason}. The former content of {database} is put back", level="error")
        try:
            _with_patience(lambda: self._load_first_good_safety(like, safety))
        except DataGuardianError as error:
            raise NotPutBack(
                f"{database} is only partly filled: {reason}; and its former content could not be put back: "
                f"{error.message}. That content is whole in {safety.path}",
                subject=database,
                hint=self._ways_back(safety),
                detail=(
                    "Or by hand, once the database is dropped and created anew:",
                    f"cd {shlex.quote(safety.path)} && sh -e RESTORE.txt",
                    *error.detail,
                ),
            ) from error
        task.run.log(f"The former content of {database} is back")

    def _load_first_good_safety(self, like: str, safety: SafetyCopy) -> None:
        for number, storage in enumerate(safety.storages, start=1):
            try:
                self._refill(like, storage, safety.execution, self._load_safety)
            except (ValidationError, StorageError) as error:
                if number == len(safety.storages):
                    raise
                self._task.run.log(f"{storage.name}: {error.message}", level="warning")
            else:
                return

    def _remove(self, database: str) -> None:
        """Remove a database of our own; where that fails, its name is told."""
        dropped(self._task.target, database, self._task.run)


def _names(state: TargetState) -> list[str]:
    return sorted(entry.name for entry in state.objects)


def _with_patience(work: Callable[[], None]) -> None:
    """Do the work, again and again while the server cannot be reached: it may just be starting anew."""
    retry = DatabaseConnectionError.retry
    wait = retry.first_wait_seconds
    for _ in range(retry.tries - 1):
        try:
            return work()
        except DatabaseConnectionError:
            time.sleep(wait)
            wait *= 2
    return work()
