"""One consistent moment of an SQLite database as a plain file, without a trace at the source.

The bytes are copied while nobody can change them, and the copy is brought to rest by SQLite itself, as after a crash:

- SQLite's own shared lock on the source keeps every writer of a rollback-mode database away (it waits, as it does for
  any reader), and keeps the last user of a WAL-mode database from folding the WAL in and removing it.
- Where `-shm` exists, somebody may be working in WAL mode. There a read transaction pins the WAL: it can grow, but
  what we see of it is neither overwritten nor folded in beyond our moment. Writers are not held up and cannot make
  us start again.
- Where there is no `-shm`, nobody works in WAL mode. There SQLite does not open the source at all: it would leave
  `-wal` and `-shm` beside it, and fail in a read-only folder. If a `-shm` appears meanwhile, it is done again.

File, `-wal` and a left `-journal` together are what a crash would leave, which SQLite recovers from, in the copy.
This takes a fifth of the time of the backup API, which for rollback-mode databases is time that writers wait for.
"""

import contextlib
import errno
import os
import shlex
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from dgtui.engine.datasources.sqlite_locks import locked, shared_lock
from dgtui.engine.errors import BackupCreationError, ConfigError, DataGuardianError, DiskSpaceError, PermissionDenied
from dgtui.engine.file_errors import file_error, nearest_folder

MAGIC = b"SQLite format 3\x00"
SIDE_FILES = ("-wal", "-shm", "-journal")

_PIECE = 32 << 20
_TRIES = 20
_WAL_HEADER = 32
_NO_RANGE_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})

Progress = Callable[[int, int], None]


def side_file(database: Path, ending: str) -> Path:
    """The file that SQLite keeps beside a database."""
    return Path(f"{database}{ending}")


def need_plain_side_files(database: Path) -> None:
    """Raise BackupCreationError where something else lies where SQLite keeps a file of its own.

    To open a pipe waits for a writer, for ever: neither we nor SQLite may try.
    """
    for ending in SIDE_FILES:
        path = side_file(database, ending)
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(path.stat().st_mode):
                raise BackupCreationError(
                    f"{path} is no plain file, so that SQLite cannot open {database}",
                    subject=str(path),
                    hint=f"Move it away. Who made it? See: ls -ld {shlex.quote(str(path))}",
                )


def uri(path: Path, parameters: str) -> str:
    """The address of a database for SQLite; the name is data, whatever it holds."""
    return f"file:{quote(os.fsencode(path))}?{parameters}"


def connect(path: Path, parameters: str, *, busy_seconds: float = 0.0) -> sqlite3.Connection:
    """Open a database that is not to be trusted; threads may share it, one at a time. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        uri(path, parameters), uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def open_source(path: Path) -> int:
    """Open the database file for reading; raises errors that say what is in the way."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise BackupCreationError(
            f"There is no file {path}",
            subject=str(path),
            hint=f"Is its disk mounted? See: findmnt -T {nearest_folder(path)}",
        ) from None
    except PermissionError:
        raise PermissionDenied(
            f"{path} cannot be read", subject=str(path), hint=f"Let our user read it, or run as root. See: ls -l {path}"
        ) from None
    except OSError as error:
        raise file_error(error, path, "open") from error
    try:
        _need_database(descriptor, path)
    except DataGuardianError:
        os.close(descriptor)
        raise
    return descriptor


def _need_database(descriptor: int, path: Path) -> None:
    try:
        header = os.read(descriptor, 100)
    except IsADirectoryError:
        raise ConfigError(
            f"{path} is a folder, not a database file", subject=str(path), hint="Name the file in `path`"
        ) from None
    if not header:
        # The first commit of a database in WAL mode may still be in the -wal alone.
        if _size(side_file(path, "-wal")) <= _WAL_HEADER:
            raise BackupCreationError(
                f"{path} is an empty file: there is no database in it yet",
                subject=str(path),
                hint="Is it the right file? A program that never wrote leaves it empty",
            )
    elif not header.startswith(MAGIC):
        raise BackupCreationError(
            f"{path} is not an SQLite database",
            subject=str(path),
            hint="It does not begin like one. Is it the right file, or is it encrypted?",
        )


def take_snapshot(source: Path, copy: Path, *, busy_seconds: float, progress: Progress) -> None:
    """Write one consistent moment of the database at `source` (a real path) to `copy`, and bring that to rest.

    Raises BackupCreationError, PermissionDenied, DiskSpaceError, and sqlite3.Error where SQLite cannot read it.
    """
    need_plain_side_files(source)
    for _ in range(_TRIES):
        descriptor = open_source(source)
        try:
            with shared_lock(descriptor, source, busy_seconds):
                if _copy_moment(source, descriptor, copy, busy_seconds, progress):
                    break
        finally:
            os.close(descriptor)
    else:
        raise BackupCreationError(
            f"{source} is replaced or opened anew all the time",
            subject=str(source),
            hint=f"Which program does that? Try: fuser -v {source}",
        )
    _bring_to_rest(copy)


def _copy_moment(source: Path, descriptor: int, copy: Path, busy_seconds: float, progress: Progress) -> bool:
    """Copy the files; whether nothing happened that spoils the copy."""
    for ending in ("", *SIDE_FILES):
        side_file(copy, ending).unlink(missing_ok=True)
    shm = side_file(source, "-shm")
    live = os.path.exists(shm)  # noqa: PTH110  # where we may not look, the opening says so
    with _pinned_wal(source, busy_seconds) if live else contextlib.nullcontext():
        size = os.fstat(descriptor).st_size
        _need_room(copy, size + _size(side_file(source, "-wal")))
        copy_bytes(descriptor, copy, size, progress)
        if not live:
            _copy_side_file(source, copy, "-journal")
        _copy_wal(source, copy)
        return _still_there(source, descriptor) and (live or not shm.exists())


@contextlib.contextmanager
def _pinned_wal(source: Path, busy_seconds: float) -> Iterator[None]:
    with contextlib.closing(connect(source, "mode=ro", busy_seconds=busy_seconds)) as connection:
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise locked(source, busy_seconds) from error
            raise
        yield
        connection.rollback()


def _copy_wal(source: Path, copy: Path) -> None:
    """Copy the WAL, once more where it was begun anew meanwhile: a mixture would bring back older pages."""
    for _ in range(_TRIES):
        before = _head(side_file(source, "-wal"))
        _copy_side_file(source, copy, "-wal")
        if _head(side_file(source, "-wal")) == before == _head(side_file(copy, "-wal")):
            return
    raise BackupCreationError(
        f"The -wal of {source} is begun anew all the time", subject=str(source), hint="Run the backup again"
    )


def _copy_side_file(source: Path, copy: Path, ending: str) -> None:
    target = side_file(copy, ending)
    target.unlink(missing_ok=True)
    try:
        descriptor = os.open(side_file(source, ending), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise file_error(error, side_file(source, ending), "read") from error
    try:
        copy_bytes(descriptor, target, os.fstat(descriptor).st_size, lambda _done, _total: None)
    finally:
        os.close(descriptor)


def copy_bytes(descriptor: int, target: Path, size: int, progress: Progress) -> None:
    """Copy the first `size` bytes of an open file to a new one, in the kernel. Raises StorageError."""
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    step = _copy_range
    try:
        done = 0
        while done < size:
            try:
                count = step(descriptor, out, done, min(_PIECE, size - done))
            except OSError as error:
                if step is _send or error.errno not in _NO_RANGE_COPY:
                    raise
                step = _send
                continue
            if count == 0 and step is _copy_range:
                step = _send
                continue
            if count == 0:
                break
            done += count
            progress(done, size)
    except OSError as error:
        raise file_error(error, target, "write") from error
    finally:
        os.close(out)


def _copy_range(source: int, target: int, offset: int, count: int) -> int:
    return os.copy_file_range(source, target, count, offset, offset)


def _send(source: int, target: int, offset: int, count: int) -> int:
    os.lseek(target, offset, os.SEEK_SET)
    return os.sendfile(target, source, offset, count)


def _need_room(copy: Path, size: int) -> None:
    room = os.statvfs(copy.parent)
    if room.f_bavail * room.f_frsize < size:
        raise DiskSpaceError(
            f"The copy of the database needs {size} bytes, {copy.parent} has {room.f_bavail * room.f_frsize} left",
            subject=str(copy.parent),
            hint=f"Make room there, or set DGTUI_STATE to a disk with room. See: df -h {copy.parent}",
        )


def _still_there(source: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(source.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _bring_to_rest(copy: Path) -> None:
    """Let SQLite fold the WAL in, or roll an unfinished transaction back, so that the copy is one file."""
    if any(_size(side_file(copy, ending)) for ending in ("-wal", "-journal")):
        with contextlib.closing(connect(copy, "mode=rw")) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    for ending in SIDE_FILES:
        if ending != "-shm" and _size(side_file(copy, ending)) and not _is_void(side_file(copy, ending)):
            raise BackupCreationError(
                "The copy could not be brought to rest", subject=str(copy), hint="Run the backup again"
            )
        side_file(copy, ending).unlink(missing_ok=True)
    _cut_to_pages(copy)


def _is_void(journal: Path) -> bool:
    """Whether SQLite passes over a rollback journal, and leaves it where it is.

    One begins with a zero as long as nothing of its transaction is in the database, and again after that has ended
    where journals are kept (PERSIST).
    """
    return journal.name.endswith("-journal") and _head(journal)[:1] == b"\0"


def _cut_to_pages(copy: Path) -> None:
    """Cut what lies behind the last page, which SQLite does not look at, so that the size is pages times page size."""
    with contextlib.closing(connect(copy, "immutable=1")) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        size = pages * connection.execute("PRAGMA page_size").fetchone()[0]
    if 0 < size < copy.stat().st_size:
        os.truncate(copy, size)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_WAL_HEADER)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise file_error(error, path, "read") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
