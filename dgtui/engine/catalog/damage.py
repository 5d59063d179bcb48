"""A catalogue that is damaged: noted by whoever meets it, and moved aside by the next one that opens it."""

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_MOVED = ".damaged-"
_BESIDE = ("", "-wal", "-shm")
"""What SQLite has beside the file belongs to it: a new one would be spoilt by the old one's journal."""


def tells_of_damage(error: BaseException | None) -> bool:
    """Whether an error of SQLite says that the file itself is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    # The lowest byte is the kind of error, what lies above says more of it.
    return code is not None and code & 0xFF in _DAMAGES


def note_suspicion(path: Path) -> None:
    """Have the next one that opens the catalogue look whether it is damaged."""
    with contextlib.suppress(OSError):
        os.close(os.open(_suspicion(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def is_suspected(path: Path) -> bool:
    """Whether somebody met damage in the catalogue."""
    return _suspicion(path).exists()


def move_aside_if_damaged(path: Path) -> Path | None:
    """Rename a damaged catalogue, whole as it is; where it lies then, None where it is good. Raises OSError.

    The caller holds the catalogue's lock.
    """
    moved = None
    if path.exists() and _is_damaged(path):
        moved = path.with_name(f"{path.name}{_MOVED}{datetime.now(UTC):%Y-%m-%d_%H%M%S}")
        for ending in _BESIDE:
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + ending).rename(moved.with_name(moved.name + ending))
    _suspicion(path).unlink(missing_ok=True)
    return moved


def was_moved_aside(path: Path) -> bool:
    """Whether a former catalogue was damaged, and lies beside this one."""
    return any(path.parent.glob(f"{path.name}{_MOVED}*"))


def remove_journals(path: Path) -> None:
    """Remove what SQLite had beside a catalogue that is gone: it would take it for the new one's. The lock is held."""
    for ending in filter(None, _BESIDE):
        with contextlib.suppress(OSError):
            path.with_name(path.name + ending).unlink()


def _suspicion(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")


def _is_damaged(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return tells_of_damage(error)
    return bool(found != "ok")
