"""Keeping the tables of an SQLite database that are about to be replaced, in a file beside it."""

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from dgtui.engine.child import printable
from dgtui.engine.datasources.places import safe_target
from dgtui.engine.datasources.sqlite_bring import bring_statistics, bring_table
from dgtui.engine.datasources.sqlite_snapshot import SIDE_FILES, connect, side_file, uri
from dgtui.engine.errors import RestoreError
from dgtui.engine.file_errors import explained
from dgtui.engine.files import fsync_folder
from dgtui.engine.reporting import Reporter

_NOT_OF_THE_TABLES = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


def keep_tables(
    live: sqlite3.Connection,
    path: Path,
    names: Sequence[str],
    keep_as: str,
    reporter: Reporter,
    *,
    busy_seconds: float,
) -> bool:
    """Copy these tables of the database of `live`, as they are at one moment, to a new file; whether that was possible.

    What was made with an extension that is not here cannot be taken. Raises RestoreError, StorageError, where there is
    no room for them, and sqlite3.Error where others keep the database locked.
    """
    kept = safe_target(keep_as)
    with explained(kept, "write"):
        os.close(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    try:
        _copy(live, path, names, kept, busy_seconds)
        _make_durable(kept)
    except (sqlite3.DatabaseError, UnicodeEncodeError) as error:
        drop_tables(kept)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_BUSY:
            raise
        if code in _NOT_OF_THE_TABLES:
            raise RestoreError(
                f"The former tables could not be kept in {kept}: {printable(str(error))}; nothing was changed",
                subject=str(kept),
                hint=f"Is there room for them? See: df -h {kept.parent}",
            ) from error
        reporter.log(
            f"The former tables cannot be kept beside {path}: {printable(str(error))}. What others wrote to them after "
            "a safety backup had been begun is kept nowhere",
            level="warning",
        )
        return False
    except BaseException:
        drop_tables(kept)
        raise
    return True


def drop_tables(kept: Path) -> None:
    """Remove what was kept, or half of it. Raises StorageError."""
    with explained(kept, "remove"):
        for ending in ("", *SIDE_FILES):
            side_file(kept, ending).unlink(missing_ok=True)


def _copy(live: sqlite3.Connection, path: Path, names: Sequence[str], kept: Path, busy_seconds: float) -> None:
    encoding = live.execute("PRAGMA main.encoding").fetchone()[0]
    with contextlib.closing(connect(kept, "mode=rw", busy_seconds=busy_seconds)) as connection:
        # Databases that are attached to each other have one encoding.
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        for setting in (
            "journal_mode = MEMORY",
            "synchronous = OFF",
            "foreign_keys = OFF",
            "ignore_check_constraints = ON",
            "trusted_schema = ON",
        ):
            connection.execute(f"PRAGMA {setting}").fetchone()
        connection.execute("ATTACH ? AS beside", (uri(path, "mode=ro"),))
        connection.execute("BEGIN")
        for name in names:
            bring_table(connection, name)
        bring_statistics(connection, names)
        connection.execute("COMMIT")


def _make_durable(kept: Path) -> None:
    with explained(kept, "make durable"):
        descriptor = os.open(kept, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    fsync_folder(kept.parent)
