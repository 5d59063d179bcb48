"""SQLite's own locks on a database file, taken without SQLite.

They are byte ranges of the file (SQLite's `os_unix.c`). Ours belong to an open descriptor and not to the process:
another open and close of the same file does not lose them.
"""

import contextlib
import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from dgtui.engine.child import printable
from dgtui.engine.errors import BackupCreationError

_PENDING_BYTE = 0x40000000
_SHARED_FIRST = _PENDING_BYTE + 2
_SHARED_SIZE = 510
_FLOCK = "hhqqi"
_POLL_SECONDS = 0.05


def locked(path: Path, busy_seconds: float, holder: str = "") -> BackupCreationError:
    """The error for a source that somebody keeps locked."""
    by = f" by {holder}" if holder else ""
    return BackupCreationError(
        f"database is locked{by}: {path} could not be read within {busy_seconds:.0f} s",
        subject=str(path),
        hint=f"Who holds it? Try: fuser -v {path}. Wait longer with `busy_timeout` of the datasource",
    )


@contextlib.contextmanager
def shared_lock(descriptor: int, path: Path, busy_seconds: float) -> Iterator[None]:
    """Hold SQLite's shared lock on an open database file; raises BackupCreationError where it cannot be had in time.

    It belongs to the descriptor, not to the process: another open and close of the same file does not lose it.
    """
    deadline = time.monotonic() + busy_seconds
    while not _try_shared(descriptor, path):
        if time.monotonic() >= deadline:
            raise locked(path, busy_seconds, _lock_holder(descriptor))
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        _set_lock(descriptor, fcntl.F_UNLCK, _SHARED_FIRST, _SHARED_SIZE)


def try_exclusive(descriptor: int) -> bool:
    """Take SQLite's exclusive lock on a database open for writing, until it is closed; False where others use it."""
    return _set_lock(descriptor, fcntl.F_WRLCK, _PENDING_BYTE, _SHARED_SIZE + 2)


def _try_shared(descriptor: int, path: Path) -> bool:
    try:
        # A writer that waits for its readers holds the pending byte: new readers let it go first.
        if not _set_lock(descriptor, fcntl.F_RDLCK, _PENDING_BYTE, 1):
            return False
        got = _set_lock(descriptor, fcntl.F_RDLCK, _SHARED_FIRST, _SHARED_SIZE)
        _set_lock(descriptor, fcntl.F_UNLCK, _PENDING_BYTE, 1)
    except OSError as error:
        raise BackupCreationError(
            f"{path} cannot be locked: {error.strerror}",
            subject=str(path),
            hint="Its file system keeps no locks, so a consistent copy cannot be made there while it may be in use",
        ) from error
    return got


def _set_lock(descriptor: int, kind: int, start: int, length: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _lock_holder(descriptor: int) -> str:
    asked = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, _PENDING_BYTE, _SHARED_SIZE + 2, 0)
    try:
        process = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)[: struct.calcsize(_FLOCK)])[4]
        name = Path(f"/proc/{process}/comm").read_text(errors="backslashreplace").strip()
    except OSError:
        return ""
    return printable(f"{name} (pid {process})")
