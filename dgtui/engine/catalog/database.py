"""The catalogue's file: how it is opened, made, brought up to date, and used by many programs at once."""

import contextlib
import os
import shutil
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from dgtui.engine.catalog.connection import Connection, Connections
from dgtui.engine.catalog.damage import (
    is_suspected,
    move_aside_if_damaged,
    note_suspicion,
    remove_journals,
    tells_of_damage,
)
from dgtui.engine.catalog.schema import bring_up_to_date, refuse_newer, schema_version, version_in
from dgtui.engine.catalog.tables import SCHEMA_VERSION
from dgtui.engine.errors import CatalogDamaged, CatalogError
from dgtui.engine.file_errors import is_read_only
from dgtui.engine.locks import Lock, take_lock

Also = Callable[[Connection], None]
"""What is written in the same transaction: together, or not at all."""
_LOCK_SECONDS = 10
_LITTLE_BYTES = 1 << 20
_UNREAD = "storages_unread"


class Database:
    """Opens the catalogue under a state folder, making it at first use.

    A damaged one is moved aside and made anew; one that was moved or removed under a living process is opened again.
    """

    def __init__(self, state: Path, *, mend: bool = True) -> None:
        """`mend`: whether a damaged one may be moved aside. Raises CatalogError, also where a newer version made it."""
        self.path = state / "catalog.db"
        self._mend = mend
        self._opening = threading.RLock()
        self._file: tuple[int, int] | None = None
        self._connections = Connections(self.path)
        # Who forgets to close it leaves no file open for as long as the process lives.
        weakref.finalize(self, self._connections.close).atexit = False
        self._make_ready()

    def _make_ready(self) -> None:
        moved = self._move_aside() if self._mend and is_suspected(self.path) else None
        try:
            self._open(moved)
        except CatalogDamaged:
            if not self._mend:
                raise
            self._open(self._move_aside())

    def _open(self, moved: Path | None) -> None:
        if not self.path.exists():
            # Whoever moves a damaged one aside holds this lock too: what belongs to it is gone by then.
            with self._lock():
                if not self.path.exists():
                    remove_journals(self.path)
                _make_private(self.path)
        file = _identity(self.path)
        version = self._schema_version()
        if version < SCHEMA_VERSION:
            # Two programs may meet a fresh state folder at once.
            with self._lock():
                version = self._schema_version()
                if version < SCHEMA_VERSION:
                    self._bring_up_to_date(moved)
        refuse_newer(version, self.path)
        # Only now: what is not ready yet, the next one that asks has to make ready, and others wait for it.
        self._file = file

    def _bring_up_to_date(self, moved: Path | None) -> None:
        with self._transaction() as connection:
            if bring_up_to_date(connection):
                connection.insert("meta", {"key": _UNREAD, "value": str(moved or "")})

    def _lock(self) -> Lock:
        path = self.path.with_name("catalog.lock")
        return take_lock(path, purpose="making the catalogue", patience_seconds=_LOCK_SECONDS)

    def _move_aside(self) -> Path | None:
        """Move the catalogue aside where it is damaged indeed; where it lies then."""
        self._connections.close()
        try:
            with self._lock():
                return move_aside_if_damaged(self.path)
        except OSError as error:
            raise CatalogError(
                f"The catalogue is damaged and cannot be moved aside: {error.strerror}",
                subject=str(self.path),
                hint="Move it away by hand; a new one is made from what the storages hold",
            ) from error

    def _follow_file(self) -> None:
        """Open it again where another process has moved or removed the file that we had open."""
        if _identity(self.path) == self._file:
            return
        with self._opening:
            if _identity(self.path) != self._file:
                self._connections.close()
                self._make_ready()

    def _schema_version(self) -> int:
        with self._transaction() as connection:
            return schema_version(connection)

    def made_anew(self) -> str | None:
        """Where the former catalogue lies, empty if there was none; None once the storages were read into this one."""
        with self.transaction() as connection:
            found = connection.scalar("SELECT value FROM meta WHERE key = :key", {"key": _UNREAD})
        return None if found is None else str(found)

    def storages_were_read(self) -> None:
        """Note that a catalogue that was made anew knows what the storages hold."""
        with self.transaction() as connection:
            note_storages_read(connection)

    def close(self) -> None:
        """Close all connections; one that is in use at the end of its transaction."""
        self._connections.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose work is kept together or not at all. Raises CatalogError."""
        self._follow_file()
        with self._transaction() as connection:
            # A newer dgtui may have brought it up to date under a process that goes on.
            refuse_newer(version_in(connection), self.path)
            yield connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._connections.lent() as connection:
                yield connection
                connection.commit()
        except (UnicodeEncodeError, OverflowError) as error:
            raise CatalogError(
                f"The catalogue cannot hold what it is asked for: {error}",
                subject=str(self.path),
                hint="Texts are UTF-8 there, and numbers have at most 64 bits",
            ) from error
        except sqlite3.Error as error:
            if tells_of_damage(error):
                note_suspicion(self.path)
                # The next one that asks looks into it.
                self._file = None
                raise CatalogDamaged(
                    f"The catalogue is damaged: {error}",
                    subject=str(self.path),
                    hint="The next command moves it aside and makes a new one from what the storages hold",
                ) from error
            raise CatalogError(
                f"The catalogue cannot be used: {error}",
                subject=str(self.path),
                hint=_way_out(self.path, error),
            ) from error

    def need_writable(self) -> None:
        """Raise CatalogError where we may not write: it says whose it is, as a lock beside it that fails does not."""
        with self.exclusive():
            pass

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """Like `transaction`, but nobody else writes between its first reading and its end."""
        with self.transaction() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection


def note_storages_read(connection: Connection) -> None:
    """Note that a catalogue that was made anew knows what the storages hold, as part of a transaction."""
    connection.execute("DELETE FROM meta WHERE key = :key", {"key": _UNREAD})


def is_without_room(path: Path) -> bool:
    """Whether the disk of the state folder is full."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(path.parent).free < _LITTLE_BYTES
    return False


def _way_out(path: Path, cause: BaseException | None = None) -> str:
    # What is missing at first is made as it is opened.
    if str(cause).startswith(("no such table", "no such column")):
        return f"Somebody has changed it. Put a copy of it back, or move {path}* aside: dgtui scan makes a new one"
    if is_without_room(path):
        return (
            "The disk of the state folder is full, and no run begins without it. Make room there "
            f"(df -h {path.parent}), or let DGTUI_STATE name a folder elsewhere and run dgtui scan"
        )
    if is_read_only(path):
        return (
            f"The disk of the state folder is mounted read-only (findmnt -T {path.parent}; dmesg tells of errors), and "
            "no run begins without it. Make it writable, or let DGTUI_STATE name a folder elsewhere and run dgtui scan"
        )
    with contextlib.suppress(OSError, KeyError):
        place = path if path.exists() else path.parent
        if os.statvfs(place).f_flag & os.ST_RDONLY:
            return f"It is mounted read-only. See: findmnt -T {place}"
        if not os.access(place, os.R_OK | os.W_OK):
            return f"It belongs to {place.owner()}: do it as that user, or let DGTUI_STATE name a folder of your own"
    return "Is its disk full or read-only, or does another program hold it?"


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_private(path: Path) -> None:
    """Make the file before SQLite does: its journals take over the mode that it has.

    An existing one is never opened here: closing it would free the locks that SQLite holds on it in this process.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise CatalogError(
            f"The catalogue cannot be used: {error.strerror}",
            subject=str(path),
            hint=_way_out(path),
        ) from error


def time_text(moment: datetime) -> str:
    """A time as text that sorts by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
