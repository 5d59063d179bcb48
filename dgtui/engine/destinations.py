"""The storages that a backup is written to: one that fails or does not answer is left behind, the others go on."""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from dgtui.engine.archive import read_parts
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.errors import DataGuardianError, StorageError, ValidationError
from dgtui.engine.manifest import Chunk, StoredFile
from dgtui.engine.messages import StorageMessage, StorageState, now
from dgtui.engine.model import Copy, VerifyLevel
from dgtui.engine.pipeline import PipelineResult
from dgtui.engine.problems import problem_of
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.storage_waits import AwaitedWriter, StorageWaits
from dgtui.engine.storages.base import BackupWriter, FolderRef, Storage
from dgtui.engine.storages.deadline import side_by_side, with_deadline
from dgtui.engine.threads import Thread

_REMOVAL_SECONDS = 30.0
"""How long a run waits at its end for the removal of what it wrote and did not publish."""

AnswerT = TypeVar("AnswerT")


class Destinations:
    """All storages of one backup, from the look whether they can be used to the published folders.

    `writers` are those that are left, `failures` says why each other one was dropped. Whatever leaves none raises the
    first failure.
    """

    def __init__(
        self, storages: Sequence[Storage[Any]], run: RunWriter, cancellation: Cancellation, *, idle_timeout: float
    ) -> None:
        """`idle_timeout` is how many seconds a storage may be silent."""
        self.writers: list[BackupWriter] = []
        self.failures: dict[str, DataGuardianError] = {}
        self._storages = {storage.name: storage for storage in storages}
        self._run = run
        self._cancellation = cancellation
        self._idle_timeout = idle_timeout
        self._files: list[StoredFile] = []
        self._removals: list[tuple[BackupWriter, threading.Thread]] = []
        self.waits = StorageWaits(run)

    def prepare(self) -> None:
        """Make all storages ready for writing."""
        for storage in self._usable():
            try:
                with self.waits.on(storage.name):
                    storage.prepare()
            except DataGuardianError as error:
                self.drop(storage.name, error, "left out")
        self._need_one(self._usable())

    def free_folder(self, job_id: str, started: datetime) -> FolderRef:
        """The first second from `started` on whose name is taken at no storage; one that cannot tell is left out."""
        moment = started.replace(microsecond=0)
        while True:
            ref = FolderRef(job_id=job_id, folder=moment.astimezone(UTC).strftime("%Y-%m-%d_%H%M%S"))
            if not any(self._is_taken(storage, ref) for storage in self._usable()):
                self._need_one(self._usable())
                return ref
            moment += timedelta(seconds=1)

    def _is_taken(self, storage: Storage[Any], ref: FolderRef) -> bool:
        try:
            with self.waits.on(storage.name):
                return storage.folder_exists(ref)
        except StorageError as error:
            self.drop(storage.name, error, "left out")
            return False

    def begin(self, ref: FolderRef, execution_id: str) -> None:
        """Start writing the folder everywhere."""
        for storage in self._usable():
            try:
                with self.waits.on(storage.name):
                    self.writers.append(AwaitedWriter(storage.begin(ref, execution_id), self.waits))
            except DataGuardianError as error:
                self.drop(storage.name, error, "left out")
        self._need_one(self.writers)

    def drop_failed(self, failures: dict[str, DataGuardianError]) -> None:
        """Go on without those that failed while the dump was written."""
        for name, error in failures.items():
            self.drop(name, error, "failed")
        self._need_one(self.writers)

    def add_file(self, name: str, content: bytes) -> StoredFile:
        """Write a file that belongs to the backup everywhere; `check` checks it with the parts."""
        file = StoredFile(file=name, checksum=f"sha256:{hashlib.sha256(content).hexdigest()}", size_bytes=len(content))
        for writer in list(self.writers):
            try:
                self._answer(writer, partial(_write_file, writer, name, content))
            except StorageError as error:
                self.drop(writer.storage, error, "failed")
        self._files.append(file)
        self._need_one(self.writers)
        return file

    def check(self, result: PipelineResult, verify: VerifyLevel | None) -> None:
        """Read back what each storage holds, all at once, as far as the job, else the storage's kind, wants it."""
        checks: dict[str, Callable[[], None]] = {}
        for writer in self.writers:
            level = verify or self._storages[writer.storage].default_verify
            if level != "none":
                self._say(writer.storage, "checking", result.compressed_size_bytes)
                checks[writer.storage] = partial(self._check_one, writer, result, level)
        for storage, error in side_by_side(checks).items():
            if not isinstance(error, ValidationError | StorageError):
                raise error
            self.drop(storage, error, "failed")
        self._need_one(self.writers)

    def _check_one(self, writer: BackupWriter, result: PipelineResult, level: VerifyLevel) -> None:
        files: tuple[Chunk | StoredFile, ...] = (*result.chunks, *self._files)
        for file in files:
            size = self._answer(writer, partial(writer.stored_size, file.file))
            if size != file.size_bytes:
                raise ValidationError(
                    f"{file.file} has {size} bytes at the storage, {file.size_bytes} were written",
                    subject=writer.storage,
                    hint="Is the storage healthy? Look at its system log",
                )
        if level == "full":
            with self.waits.on(writer.storage):
                self._read_back(writer, files)

    def _read_back(self, writer: BackupWriter, files: Sequence[Chunk | StoredFile]) -> None:
        cancelled = self._cancellation.event
        for _ in read_parts(writer.read_back, files, cancelled=cancelled, idle_timeout=self._idle_timeout):
            self.waits.heard(writer.storage)

    def publish(self, texts: dict[str, bytes], manifest: bytes, size: int) -> list[Copy]:
        """Write the small files and the manifest, and give the folder its final name, at each storage."""
        copies: list[Copy] = []
        with self._cancellation.shield():
            for writer in list(self.writers):
                try:
                    path = self._answer(writer, partial(writer.commit, texts, manifest))
                except DataGuardianError as error:
                    self.drop(writer.storage, error, "failed")
                    continue
                copies.append(Copy(storage=writer.storage, status="available", path=path, checked_at=now()))
                self._say(writer.storage, "done", size)
        if not copies:
            self._cancellation.check()
        self._need_one(copies)
        return copies

    def failed_copies(self) -> list[Copy]:
        """What the storages that were dropped hold: nothing, and why."""
        return [
            Copy(storage=name, status="missing", path="", checked_at=now(), problem=problem_of(error))
            for name, error in self.failures.items()
        ]

    def close(self) -> None:
        """Remove what was written and not published; what a storage that does not answer still holds is told."""
        for writer in self.writers:
            self._give_up(writer)
        deadline = time.monotonic() + _REMOVAL_SECONDS
        for writer, removal in self._removals:
            removal.join(max(0.0, deadline - time.monotonic()))
            if removal.is_alive():
                self._run.log(
                    f"{writer.storage}: what was written could not be removed, the storage does not answer. "
                    f"dgtui cleanup removes it once it does: {writer.unfinished}",
                    level="warning",
                )

    def drop(self, storage: str, error: DataGuardianError, state: StorageState) -> None:
        """Go on without a storage, and say so."""
        self.failures[storage] = error
        for writer in [writer for writer in self.writers if writer.storage == storage]:
            self.writers.remove(writer)
            self._give_up(writer)
        self.waits.forget(storage)
        self.waits.say(StorageMessage(name=storage, state=state, problem=problem_of(error)))
        self._run.log(f"{storage}: {error.message}", level="error")

    def _give_up(self, writer: BackupWriter) -> None:
        # Where the storage hangs, so does the removal: the others do not wait for it.
        removal = Thread(target=writer.abort, name=f"removal at {writer.storage}", daemon=True)
        try:
            removal.start()
        except RuntimeError:
            # A machine without memory for another thread: what was written must not stay for that.
            writer.abort()
        else:
            self._removals.append((writer, removal))

    def _answer(self, writer: BackupWriter, step: Callable[[], AnswerT]) -> AnswerT:
        cancelled = self._cancellation.event
        return with_deadline(step, self._idle_timeout, subject=writer.unfinished or writer.storage, cancelled=cancelled)

    def _usable(self) -> list[Storage[Any]]:
        return [storage for name, storage in self._storages.items() if name not in self.failures]

    def _say(self, storage: str, state: StorageState, size: int) -> None:
        self.waits.say(StorageMessage(name=storage, state=state, bytes=size))

    def _need_one(self, left: Sequence[object]) -> None:
        if not left:
            raise next(iter(self.failures.values()))


def _write_file(writer: BackupWriter, name: str, content: bytes) -> None:
    writer.open_part(name)
    writer.write(content)
    writer.close_part()
