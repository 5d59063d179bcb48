"""Putting a restored SQLite file in the place of the current one, with everything that belongs to either."""

import contextlib
import os
import sqlite3
import stat
from pathlib import Path
from typing import Literal, NamedTuple

from dgtui.engine.datasources.places import copy_attributes, copy_ownership, exchange, has_mark, holders, mark_of
from dgtui.engine.datasources.sqlite_locks import try_exclusive
from dgtui.engine.datasources.sqlite_snapshot import MAGIC, SIDE_FILES, connect, need_plain_side_files, side_file
from dgtui.engine.errors import RestoreError
from dgtui.engine.file_errors import explained
from dgtui.engine.files import fsync_folder
from dgtui.engine.reporting import Reporter

_CHANGES_START, _CHANGES_LENGTH = 24, 4


def refuse_open(database: Path) -> None:
    """Raise RestoreError where another process has the database open, and name it.

    Even one that does nothing: after the swap it would go on writing to the old file, and nobody would see it.
    """
    users = holders(database)
    if users:
        names = ", ".join(f"{user.program} of {user.user}" if user.user else user.program for user in users[:5])
        raise RestoreError(
            f"{database} is open elsewhere: {names}",
            subject=str(database),
            hint=f"Stop that program and try again. See: fuser -v {database}",
        )


class FileVersion(NamedTuple):
    """What is another one after every transaction that is written to a database file."""

    device: int
    inode: int
    size: int
    written_ns: int
    changes: bytes
    """SQLite's own counter, in the header: the disk's clock stands still for some milliseconds."""


def version_at_rest(database: Path, reporter: Reporter) -> FileVersion:
    """The version of a database that nobody has open, once all of it is in the one file. Raises RestoreError."""
    _fold_in_wal(database, reporter)
    with explained(database, "read"), database.open("rb") as file:
        return _version(file.fileno())


def _version(descriptor: int) -> FileVersion:
    known = os.fstat(descriptor)
    changes = os.pread(descriptor, _CHANGES_LENGTH, _CHANGES_START)
    return FileVersion(known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, changes)


def swap_database(
    new: Path, current: Path, keep_as: Path, reporter: Reporter, *, copied: FileVersion | None = None
) -> None:
    """Put `new` at `current`, and the old one with its side files at `keep_as`; raises RestoreError.

    Where `new` was made of a copy of that version, what was written since is not replaced: then nothing is changed.
    """
    for path in (keep_as, *(side_file(keep_as, ending) for ending in SIDE_FILES)):
        if os.path.lexists(path):
            raise RestoreError(f"{path} is in the way", subject=str(path), hint=f"Move it away: ls -l {path}")
    _need_whole(new)
    try:
        if current.exists():
            _replace(new, current, keep_as, reporter, copied)
        else:
            clear_orphans(current, reporter)
            new.rename(current)
        fsync_folder(current.parent)
    except OSError as error:
        raise RestoreError(
            f"{new} could not take the place of {current}: {error.strerror}",
            subject=str(current),
            hint=f"The old content is still at {current}, the restored one at {new}",
        ) from error


def settle_database(mark: str, new: Path, current: Path, keep_as: Path) -> Literal["old", "new"]:
    """Which file is at `current`, with what belongs to it, after a swap that was cut; raises RestoreError."""
    try:
        if has_mark(current, mark):
            if new.exists() and not keep_as.exists():
                new.rename(keep_as)
            fsync_folder(current.parent)
            return "new"
        if keep_as.exists() and current.exists() and keep_as.samefile(current):
            keep_as.unlink()
        elif keep_as.exists() and not current.exists():
            keep_as.rename(current)
        for ending in SIDE_FILES:
            if side_file(keep_as, ending).exists() and not keep_as.exists():
                side_file(keep_as, ending).rename(side_file(current, ending))
        fsync_folder(current.parent)
    except OSError as error:
        raise RestoreError(
            f"The swap of {current} cannot be settled: {error.strerror}",
            subject=str(current),
            hint=f"See: ls -l {new} {current} {keep_as}",
        ) from error
    return "old"


def _need_whole(new: Path) -> None:
    if any(side_file(new, ending).exists() for ending in ("-wal", "-journal")):
        raise RestoreError(
            f"{new} is in use, or was not restored to its end",
            subject=str(new),
            hint=f"Who has it open? Try: fuser -v {new}",
        )


def _replace(new: Path, current: Path, keep_as: Path, reporter: Reporter, copied: FileVersion | None) -> None:
    refuse_open(current)
    _fold_in_wal(current, reporter)
    descriptor = _open_to_lock(current)
    try:
        if not try_exclusive(descriptor):
            raise RestoreError(
                f"{current} is in use", subject=str(current), hint=f"Who has it open? Try: fuser -v {current}"
            )
        if copied is not None and _version(descriptor) != copied:
            raise RestoreError(
                f"{current} was written to while rows were loaded; nothing was changed",
                subject=str(current),
                hint="Try again once nobody writes there: the copy that rows go into would take back what was written",
            )
        copy_ownership(os.fstat(descriptor), new)
        copy_attributes(current, new)
        _change_places(new, current, keep_as)
    finally:
        os.close(descriptor)


def _open_to_lock(current: Path) -> int:
    """A descriptor that can be locked for us alone, which one for reading cannot; the file keeps its mode."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(current, flags)
    except PermissionError:
        mode = stat.S_IMODE(current.stat().st_mode)
        current.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)
        try:
            return os.open(current, flags)
        finally:
            current.chmod(mode)


def _fold_in_wal(current: Path, reporter: Reporter) -> None:
    """Bring the old database to rest, so that it is one file; a damaged one keeps its side files.

    After this there is, but for a damaged database, no `-wal` that could fall on the new file.
    """
    need_plain_side_files(current)
    if not any(side_file(current, ending).exists() for ending in SIDE_FILES):
        return
    if not _begins_like_a_database(current):
        # To open it would be too much: SQLite deletes a `-wal` in which it finds no whole transaction.
        reporter.log("The old database cannot be read; its side files are kept with it", level="warning")
        return
    try:
        with contextlib.closing(connect(current, "mode=rw")) as connection:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            reporter.log(f"The old database cannot be read ({error}); its side files are kept with it", level="warning")
            return
        busy = 1
    if busy:
        raise RestoreError(
            f"{current} is in use", subject=str(current), hint=f"Who has it open? Try: fuser -v {current}"
        )


def _begins_like_a_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except PermissionError:
        return False


def _change_places(new: Path, current: Path, keep_as: Path) -> None:
    """At each moment `current` is the old database or the new one.

    Side files that could not be folded in go first, as a second name of the same files: a `-wal` of the old database
    beside the new one would undo the restore without a word.
    """
    sides = [ending for ending in SIDE_FILES if side_file(current, ending).exists()]
    restored = mark_of(new)
    try:
        for ending in sides:
            side_file(current, ending).rename(side_file(keep_as, ending))
        _put(new, current, keep_as)
    except OSError:
        for ending in () if has_mark(current, restored) else sides:
            if side_file(keep_as, ending).exists():
                side_file(keep_as, ending).rename(side_file(current, ending))
        raise


def _put(new: Path, current: Path, keep_as: Path) -> None:
    try:
        os.link(current, keep_as, follow_symlinks=False)
    except OSError:
        # No second names on this file system: the two change places, or the old one moves away first.
        if exchange(new, current):
            try:
                new.rename(keep_as)
            except OSError:
                exchange(new, current)
                raise
            return
        current.rename(keep_as)
        try:
            new.rename(current)
        except OSError:
            keep_as.rename(current)
            raise
        return
    try:
        new.rename(current)
    except OSError:
        keep_as.unlink()
        raise


def clear_orphans(database: Path, reporter: Reporter | None = None) -> None:
    """Move away side files without a database: they would fall on the one that is to be made there."""
    for ending in SIDE_FILES:
        orphan = side_file(database, ending)
        if not os.path.lexists(orphan):
            continue
        number = 1
        while os.path.lexists(f"{orphan}.orphan-{number}"):
            number += 1
        orphan.rename(f"{orphan}.orphan-{number}")
        if reporter is not None:
            reporter.log(f"{orphan} belonged to a database that is gone; it is now {orphan}.orphan-{number}")
