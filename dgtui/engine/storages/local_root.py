"""The root folder of a local storage: whether it is the right one, and the way from it into a backup's folder."""

import contextlib
import os
import re
import shlex
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dgtui.engine.errors import StorageError, ValidationError
from dgtui.engine.file_errors import explained, nearest_folder
from dgtui.engine.files import open_folder
from dgtui.engine.storages.base import FolderRef, KnownFolders, StorageState
from dgtui.engine.storages.local_marker import MARKER, read_marker

UUID_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
FOLDER_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{6}", re.ASCII)
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}", re.ASCII)
"""A name that is a name and nothing else: no path, no option, nothing hidden."""


class NotMounted(Exception):
    """The root is not the folder that it was; carries the error for people."""

    def __init__(self, error: StorageError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True)
class LocalRoot:
    """A root folder, and the id of the marker that it has to carry where it was used before."""

    path: Path
    known_id: str | None

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor of the root, once it is sure to be the right one. Raises StorageError."""
        try:
            root = self._open()
        except NotMounted as problem:
            raise problem.error from None
        try:
            yield root
        finally:
            os.close(root)

    def _open(self) -> int:
        with explained(self.path, "open the folder"):
            try:
                root = open_folder(self.path, follow=True)
            except FileNotFoundError:
                if self.known_id is None:
                    raise
                raise self._not_mounted(None) from None
            try:
                if self.known_id is not None and (found := self._read_marker(root)) != self.known_id:
                    raise self._not_mounted(found)
            except BaseException:
                os.close(root)
                raise
            return root

    def _read_marker(self, root: int) -> str | None:
        try:
            return read_marker(root, self.path)
        except StorageError as error:
            # Without it the storage would be taken for one that is not mounted.
            error.hint = f"Look at {self.path}; where the backups are there and right, write it anew: {self._accept}"
            raise

    @property
    def _accept(self) -> str:
        """The command that makes what lies there the storage that is known."""
        marker = f'{{"storage_id": "{self.known_id}"}}'
        place = shlex.quote(str(self.path))
        return f"mkdir -p {place} && echo {shlex.quote(marker)} > {shlex.quote(str(self.path / MARKER))}"

    def _not_mounted(self, found: str | None) -> NotMounted:
        if found is not None:
            error = StorageError(
                f"Another storage is mounted at {self.path}: its marker says {found}, not {self.known_id}",
                subject=str(self.path),
                hint=f"Mount the right disk, or give this one a name of its own. See: findmnt -T {self.path}",
            )
            return NotMounted(error)
        error = StorageError(
            f"Storage not mounted? {self.path} was used before, and its marker file {MARKER} is not there",
            subject=str(self.path),
            hint=f"Mount the disk. If it is meant to be a new and empty one: {self._accept}",
        )
        return NotMounted(error)

    def state(self, reserve: int) -> StorageState:
        """The root as it is now; raises StorageError where it cannot be asked."""
        try:
            root = self._open()
        except NotMounted as problem:
            return StorageState(status="missing", message=problem.error.message, hint=problem.error.hint)
        except StorageError:
            if self.known_id is not None or self._may_be_there():
                raise
            return self._state_before_first_use(reserve)
        try:
            with explained(self.path, "look at"):
                return self._judged(_with_space(os.fstatvfs(root), reserve), root)
        finally:
            os.close(root)

    def _may_be_there(self) -> bool:
        try:
            return self.path.exists()
        except PermissionError:
            return True

    def _state_before_first_use(self, reserve: int) -> StorageState:
        folder = nearest_folder(self.path)
        with explained(folder, "look at"):
            if not os.access(folder, os.W_OK | os.X_OK):
                return StorageState(
                    status="unreachable",
                    message=f"{self.path} does not exist, and cannot be made in {folder}",
                    hint=f"Make it, for the user who runs dgtui: mkdir -p {shlex.quote(str(self.path))}",
                )
            message = "does not exist yet; the first backup makes it"
            return msgspec.structs.replace(_with_space(os.statvfs(folder), reserve), message=message)

    def _judged(self, state: StorageState, root: int) -> StorageState:
        """The state with what there is to complain of, and what mends it."""
        quoted = shlex.quote(str(self.path))
        if os.fstatvfs(root).f_flag & os.ST_RDONLY:
            return msgspec.structs.replace(
                state,
                message=f"{self.path} is mounted read-only: nothing can be written there",
                hint=f'mount -o remount,rw "$(findmnt -n -o TARGET -T {quoted})"',
                writable=False,
            )
        if not os.access(self.path, os.W_OK | os.X_OK):
            return msgspec.structs.replace(
                state,
                message=f"No right to write to {self.path}",
                hint=self._way_to_write(os.fstat(root)),
                writable=False,
            )
        if stat.S_IMODE(os.fstat(root).st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
            message = f"{self.path} can be written by others than its owner"
            return msgspec.structs.replace(state, message=message, hint=f"chmod go-w {quoted}")
        return state

    def _way_to_write(self, root: os.stat_result) -> str:
        quoted = shlex.quote(str(self.path))
        if os.geteuid() == 0:
            return f"chattr -i {quoted}"
        if root.st_uid == os.geteuid():
            return f"chmod u+rwx {quoted}"
        return f"As root: chown -R {os.geteuid()} {quoted}"

    @contextlib.contextmanager
    def backup(self, ref: FolderRef) -> Iterator[int]:
        """A descriptor of a backup folder, reached without following a link. Raises ValidationError, StorageError."""
        check_ref(ref)
        path = self.path / ref.job_id / ref.folder
        with contextlib.ExitStack() as folders:
            folder = folders.enter_context(self.opened())
            for name in (ref.job_id, ref.folder):
                with explained(path, "open the folder"):
                    try:
                        folder = open_folder(name, folder=folder)
                    except FileNotFoundError:
                        raise ValidationError(
                            f"There is no backup: {path}", subject=str(path), hint="Was it deleted or moved by hand?"
                        ) from None
                    except NotADirectoryError:
                        raise ValidationError(
                            f"A link or a file lies in the place of the backup folder: {path}",
                            subject=str(path),
                            hint=f"Who put it there? See: ls -l {path.parent}",
                        ) from None
                folders.callback(os.close, folder)
            yield folder

    def jobs(self, root: int, listed: KnownFolders | None = None) -> Iterator[tuple[str, int, Collection[str]]]:
        """Name and descriptor of each job's folder, and the names in it; one is open at a time.

        Those in `listed` are not listed again. Raises StorageError, and only at the end where it is some of these
        folders that cannot be opened or listed.
        """
        failed: StorageError | None = None
        for job_id in self.names(root):
            if not UUID_NAME.fullmatch(job_id):
                continue
            with contextlib.ExitStack() as opened:
                try:
                    with explained(self.path / job_id, "open the folder"):
                        job = open_folder(job_id, folder=root)
                    opened.callback(os.close, job)
                    names = listed[job_id] if listed and job_id in listed else self.names(job, job_id)
                except StorageError as error:
                    if not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                        failed = failed or error
                    continue
                yield job_id, job, names
        if failed is not None:
            raise failed

    def names(self, folder: int, job_id: str = "") -> list[str]:
        """The names inside an open folder. Raises StorageError."""
        with explained(self.path / job_id, "list"):
            return os.listdir(folder)


def _with_space(space: os.statvfs_result, reserve: int) -> StorageState:
    return StorageState(
        status="available",
        free_bytes=max(0, space.f_bavail * space.f_frsize - reserve),
        total_bytes=space.f_blocks * space.f_frsize,
        reserved_bytes=reserve,
    )


def check_ref(ref: FolderRef) -> None:
    """Refuse a job or folder name that could lead anywhere else. Raises StorageError."""
    if not (PLAIN_NAME.fullmatch(ref.job_id) and PLAIN_NAME.fullmatch(ref.folder)):
        shown = f"{ref.job_id}/{ref.folder}"[:120]
        raise StorageError(
            f"Not the name of a backup folder: {shown!r}",
            subject=shown,
            hint="A backup lies in STORAGE/JOB-ID/YYYY-MM-DD_HHMMSS",
        )
