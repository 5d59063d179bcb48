"""The copy that a restore reads: the first that is good to its last byte.

The bytes of a good copy are those of the manifest, by SHA-256, and were read to their end by the archive's own reader
before that manifest was written. Where the archive is loaded beside the target, that loading is the second such
reading, so only what is loaded into the target itself is read through once more before.

Where it is loaded into a database of its own, which nobody else uses, its bytes are compared on that very way: the
database is thrown away where they turn out to be others, and the target is not touched before all of them were read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from dgtui.engine.archive import StoredArchive
from dgtui.engine.errors import Cancelled, DataGuardianError, StorageError, ValidationError
from dgtui.engine.manifest import Manifest
from dgtui.engine.messages import StorageMessage, StorageState, now
from dgtui.engine.model import Copy, CopyStatus, Problem
from dgtui.engine.problems import problem_of
from dgtui.engine.restore_load import archive_progress
from dgtui.engine.restore_task import RestoreTask
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import folder_of, read_known_manifest, status_by
from dgtui.engine.verify import archive_check_of

CopyCheck = Literal["read first", "compared first", "compared on the way"]
"""How a copy is known to be good: it is read to its end by the archive's own reader before it is loaded, as what goes
into the target itself has to be; its bytes are compared before, which is enough where nothing is lost when it cannot be
loaded; or they are compared while it is loaded, where that touches nothing else either.
"""


@dataclass
class GoodCopy:
    """A copy that was read to its end and is good, or whose bytes are compared while it is loaded."""

    storage: Storage[Any]
    archive: StoredArchive
    manifest: Manifest
    confirmed: bool = False
    """Whether it was told that all of it was read and is good."""


class CopyChoice:
    """Tries the copies of a backup in order."""

    def __init__(self, task: RestoreTask) -> None:
        self._task = task
        self.found: list[Copy] = []
        """The states that copies were found in on the way, for the catalogue."""
        self._last: DataGuardianError = StorageError(
            "No storage of the configuration holds this backup", subject=task.execution.execution_id
        )

    def good_copies(self, check: CopyCheck) -> Iterator[GoodCopy]:
        """The copies that can be read to their end, one after the other; the caller closes each archive.

        Those that cannot are reported and left out; where none is left, raises what was wrong with the last one.
        Of one that is compared on the way, `confirm` is called before anything is done with what was loaded.
        """
        for storage in self._in_order():
            try:
                copy = self._open(storage)
                self._read(copy, check)
            except (ValidationError, StorageError) as error:
                self.leave_out(storage, error)
                continue
            if check != "compared on the way":
                self.confirm(copy)
            yield copy
            # It turned bad while it was loaded.
            self._task.run.phase("validate")
        raise self._last

    def _in_order(self) -> list[Storage[Any]]:
        """The storages as they were chosen, but last those whose copy was found damaged before: it may be mended."""
        damaged = {copy.storage for copy in self._task.execution.copies if copy.status == "corrupt"}
        return sorted(self._task.storages, key=lambda storage: storage.name in damaged)

    def _open(self, storage: Storage[Any]) -> GoodCopy:
        task = self._task
        manifest, _ = read_known_manifest(storage, task.execution)
        self._tell(storage, "checking", manifest.compressed_size_bytes)
        archive = StoredArchive(storage, folder_of(task.execution), manifest, task.scratch, task.cancellation.event)
        return GoodCopy(storage, archive, manifest)

    def _read(self, copy: GoodCopy, check: CopyCheck) -> None:
        """Read it to its end; where it is compared on the way, only what the loading will not read."""
        task, archive = self._task, copy.archive
        try:
            if check == "compared on the way":
                archive.check_files()
            elif check == "compared first":
                archive.check_stored()
            else:
                with archive_progress(task.run, archive):
                    archive.check(archive_check_of(copy.manifest, task.scratch))
        except BaseException:
            archive.close()
            raise

    def confirm(self, copy: GoodCopy) -> None:
        """Tell once that a copy is good, when all of it was read; what its loading left unread is read now.

        Raises as the reading of it does.
        """
        if copy.confirmed:
            return
        if not copy.archive.read_whole:
            copy.archive.check_stored()
        copy.confirmed = True
        self._tell(copy.storage, "done", copy.manifest.compressed_size_bytes)
        self._task.run.log(f"Restoring from {copy.storage.name}: every byte was read and is good")
        self._note(copy.storage, "available")

    def verdict(self, copy: GoodCopy, error: DataGuardianError) -> DataGuardianError | None:
        """What is wrong with a copy that could not be restored; None where it is good, and `error` another matter.

        Its own reader says so, unless the very bytes in use were compared and the error does not speak of bytes.
        """
        if isinstance(error, Cancelled):
            return None
        if copy.archive.failure is not None:
            return copy.archive.failure
        if copy.archive.read_whole and not isinstance(error, ValidationError | StorageError):
            return None
        try:
            copy.archive.check(archive_check_of(copy.manifest, self._task.scratch))
        except (ValidationError, StorageError) as damage:
            return damage
        return None

    def leave_out(self, storage: Storage[Any], error: DataGuardianError) -> None:
        """Go on without this copy, and say so."""
        self._last = error
        present = storage.copy_status(folder_of(self._task.execution))
        self._note(storage, present if present != "available" else status_by(error), error)
        self._tell(storage, "left out", problem=problem_of(error))
        self._task.run.log(f"{storage.name}: {error.message}", level="warning")

    def _tell(self, storage: Storage[Any], state: StorageState, size: int = 0, problem: Problem | None = None) -> None:
        self._task.run.storage(StorageMessage(name=storage.name, state=state, bytes=size, way="from", problem=problem))

    def _note(self, storage: Storage[Any], status: CopyStatus, error: DataGuardianError | None = None) -> None:
        self.found.append(
            Copy(
                storage=storage.name,
                status=status,
                path=storage.path(folder_of(self._task.execution)),
                checked_at=now(),
                problem=problem_of(error) if error is not None else None,
            )
        )
