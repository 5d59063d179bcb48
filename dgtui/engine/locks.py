"""Lock files that free themselves: the kernel lets go when the last process that holds one ends, however it ends."""

import contextlib
import fcntl
import os
import re
import stat
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from dgtui.engine.errors import JobBusy, StorageError
from dgtui.engine.file_errors import explained, file_error
from dgtui.engine.files import FILE_MODE, make_private_folder, set_mode, write_all

_HOLDER = re.compile(r"pid (?P<pid>\d{1,10}) since (?P<since>\S+) for (?P<purpose>[^\n]*)")
_LONGEST_TEXT = 4096
_PATIENCE_SECONDS = 0.5
_POLL_SECONDS = 0.02
_LOOKS = 1500
"""So often a lock may be found with nobody but those that only look at it: half a minute."""


@dataclass(frozen=True)
class LockHolder:
    """Who holds a lock, as they wrote it into the file."""

    pid: int | None
    since: datetime | None
    purpose: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return "another process"
        return f"pid {self.pid}" + (f", since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else "")


class Lock:
    """A lock file that this process holds; free it by `release`, or as a context manager."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take over an open descriptor that has the lock; `take_lock` makes these."""
        self.path = path
        self._descriptor: int | None = descriptor

    @property
    def fd(self) -> int:
        """The descriptor that holds the lock, to hand to a child process."""
        assert self._descriptor is not None, "the lock was let go"
        return self._descriptor

    @property
    def is_in_place(self) -> bool:
        """Whether its file lies where others look for it: not where its folder was moved, removed or unmounted."""
        try:
            found = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            # A disk that fails for a moment moves nothing away.
            return True
        return os.path.samestat(found, os.fstat(self.fd))

    def release(self) -> None:
        """Free the lock for everybody, also where a child still has the descriptor; may be called again."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.hand_over()

    def hand_over(self) -> None:
        """Close our descriptor only: the lock stays with the child that inherited it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def sign(self, purpose: str, *, pid: int | None = None) -> None:
        """Write into the file that this process (or `pid`) holds it, since now, and what for. Raises StorageError."""
        words = " ".join(purpose.split())
        text = f"pid {pid or os.getpid()} since {datetime.now(UTC).isoformat(timespec='seconds')} for {words}\n"
        with explained(self.path, "write"):
            os.ftruncate(self.fd, 0)
            os.lseek(self.fd, 0, os.SEEK_SET)
            write_all(self.fd, text.encode("utf-8", "backslashreplace")[:_LONGEST_TEXT])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def take_lock(
    path: Path, *, purpose: str, inheritable: bool = False, patience_seconds: float = _PATIENCE_SECONDS
) -> Lock:
    """Take a lock that no other process holds; with `inheritable`, child processes may get its descriptor.

    It waits for `patience_seconds` where another has it, and longer for those that only look (`lock_holder` has it for
    a moment too). Raises JobBusy, which names the holder, and StorageError.
    """
    make_private_folder(path.parent)
    with explained(path, "open the lock file"):
        descriptor = _open(path, os.O_RDWR | os.O_CREAT)
    try:
        _wait_for(descriptor, path, purpose, patience_seconds)
        os.set_inheritable(descriptor, inheritable)
        lock = Lock(path, descriptor)
        lock.sign(purpose)
    except BaseException:
        os.close(descriptor)
        raise
    return lock


def lock_holder(path: Path) -> LockHolder | None:
    """Who holds the lock now; None where nobody does. Raises StorageError."""
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise file_error(error, path, "read the lock file") from error
    try:
        return None if _take(descriptor, fcntl.LOCK_SH) else _read_holder(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path, flags: int) -> int:
    # O_NONBLOCK: somebody's fifo in our place is not waited for, but refused below.
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, FILE_MODE)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StorageError(f"The lock file {path} is no plain file", subject=str(path), hint=f"See: ls -l {path}")
        if flags & os.O_CREAT:
            set_mode(descriptor, FILE_MODE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _wait_for(descriptor: int, path: Path, purpose: str, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    looked_at = 0
    while not _take(descriptor, fcntl.LOCK_EX):
        # Who may share it has nothing to wait for but others who only look: however long those are stopped.
        if _take(descriptor, fcntl.LOCK_SH):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            looked_at += 1
            if looked_at > _LOOKS:
                raise JobBusy(
                    f"The lock {path} is not free: a process that only looks at it has stopped",
                    subject=str(path),
                    hint=f"See which one, and let it go on: fuser -v {path}",
                )
        elif time.monotonic() >= deadline:
            holder = _read_holder(descriptor)
            raise JobBusy(
                f"Already under way: {holder.purpose or purpose} ({holder})",
                subject=str(path),
                hint="See what it does with: dgtui status",
            )
        time.sleep(_POLL_SECONDS)


def _take(descriptor: int, how: int) -> bool:
    """Take a lock without waiting for it; False where others stand in the way."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_holder(descriptor: int) -> LockHolder:
    match = _HOLDER.match(os.pread(descriptor, _LONGEST_TEXT, 0).decode("utf-8", "replace"))
    if match is None:
        return LockHolder(pid=None, since=None)
    try:
        since = datetime.fromisoformat(match["since"]).astimezone(UTC)
    except ValueError:
        return LockHolder(pid=int(match["pid"]), since=None, purpose=match["purpose"])
    return LockHolder(pid=int(match["pid"]), since=since, purpose=match["purpose"])
