"""The smallest question to an SQLite file: its first page, read under SQLite's own lock, with no trace left."""

import contextlib
import os
import sqlite3
from pathlib import Path

from dgtui.engine.datasources.answer import HealthAnswer, TimeLimit
from dgtui.engine.datasources.places import disk_space
from dgtui.engine.datasources.sqlite_dump import explain, reading_parameters, size_of
from dgtui.engine.datasources.sqlite_locks import shared_lock
from dgtui.engine.datasources.sqlite_snapshot import connect, open_source, side_file
from dgtui.engine.errors import DatabaseConnectionError, DataGuardianError, ServerTimeout
from dgtui.engine.file_errors import nearest_folder

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def ask_sqlite(source: Path, seconds: float) -> HealthAnswer:
    """Open the file read-only and read its schema's version.

    Raises DatabaseConnectionError where there is no file, ServerTimeout where it stays locked, PermissionDenied.
    """
    limit = TimeLimit(seconds)
    _need_file(source)
    parameters = reading_parameters(source)
    with contextlib.ExitStack() as stack:
        if parameters != "mode=ro":
            descriptor = open_source(source)
            stack.callback(os.close, descriptor)
            _lock(stack, descriptor, source, limit)
        # What a crash left in the -wal can only be seen in a copy; that the file can be read is enough here.
        if parameters != "copy":
            _read(source, parameters, limit)
    latency = limit.elapsed
    free, total = disk_space(source)
    return HealthAnswer(
        latency_seconds=latency,
        product=f"SQLite {sqlite3.sqlite_version}",
        version=sqlite3.sqlite_version,
        size_bytes=size_of(source) + size_of(side_file(source, "-wal")),
        disk_free_bytes=free,
        disk_total_bytes=total,
    )


def _need_file(source: Path) -> None:
    try:
        source.stat()
    except FileNotFoundError:
        raise DatabaseConnectionError(
            f"There is no file {source}",
            subject=str(source),
            hint=f"Is its disk mounted? See: findmnt -T {nearest_folder(source)}",
        ) from None
    except OSError as error:
        raise DatabaseConnectionError(
            f"{source} cannot be reached: {error.strerror}", subject=str(source), hint=f"See: ls -l {source}"
        ) from error


def _lock(stack: contextlib.ExitStack, descriptor: int, source: Path, limit: TimeLimit) -> None:
    """Only while nobody is writing can a file be taken for unchangeable."""
    try:
        stack.enter_context(shared_lock(descriptor, source, limit.left))
    except DataGuardianError as error:
        if limit.elapsed < limit.seconds:
            raise
        raise _locked(error.message, source) from error


def _read(source: Path, parameters: str, limit: TimeLimit) -> None:
    try:
        with contextlib.closing(connect(source, parameters, busy_seconds=limit.left)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.DatabaseError as error:
        explained = explain(error, source, limit.seconds)
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
            raise _locked(explained.message, source) from error
        raise explained from error


def _locked(message: str, source: Path) -> ServerTimeout:
    return ServerTimeout(message, subject=str(source), hint=f"Who holds it? Try: fuser -v {source}")
