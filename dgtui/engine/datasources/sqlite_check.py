"""Whether an SQLite file is whole: its header, its size, SQLite's own integrity check, and what is in it."""

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from dgtui.engine.child import printable
from dgtui.engine.datasources.dumping import ArchiveCheck
from dgtui.engine.datasources.places import shown
from dgtui.engine.datasources.sqlite_snapshot import MAGIC, connect
from dgtui.engine.errors import ValidationError
from dgtui.engine.file_errors import file_error
from dgtui.engine.model import ObjectInfo
from dgtui.engine.threads import Thread

CheckDepth = Literal["full", "quick"]

_HEADER_BYTES = 100
_FINDINGS = 20
_HEADLINE = "*** in database "
"""Stands above what SQLite found in a file, all of it in one row, and says nothing."""
_NO_COLLATION = re.compile(r"no such collation sequence: (.*)", re.DOTALL)
_DISORDER = "not in PRIMARY KEY order"
_PROGRESS_STEPS = 20_000
_TOO_NEW_FORMAT = 3


def damaged(subject: str, findings: Sequence[str]) -> ValidationError:
    """The error for a database that is not whole, with what SQLite found."""
    return ValidationError(
        f"{subject} is damaged: {findings[0] if findings else 'SQLite cannot read it'}",
        subject=subject,
        hint="Use another backup or copy; what is left can be read with: sqlite3 FILE .recover",
        detail=findings,
    )


def integrity_findings(connection: sqlite3.Connection, depth: CheckDepth = "full") -> tuple[str, ...]:
    """What SQLite's integrity check finds, empty when all is well; a `quick` one does not compare indexes with tables.

    A database that needs an extension which is not here (a collation, a function) is checked as far as it goes. Raises
    sqlite3.OperationalError where it was interrupted.
    """
    for pragma in ("integrity_check", "quick_check") if depth == "full" else ("quick_check",):
        try:
            rows = _answers(connection, pragma)
        except sqlite3.DatabaseError as error:
            kind = error.sqlite_errorcode & 0xFF
            if kind == sqlite3.SQLITE_ERROR and pragma == "integrity_check":
                continue
            if kind in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_INTERRUPT):
                raise
            return (printable(str(error)),)
        if rows == ["ok"]:
            return ()
        lines = [line for row in rows for line in row.splitlines() if not line.startswith(_HEADLINE)]
        return tuple(printable(line) for line in (lines or rows)[:_FINDINGS])
    return ()


def _answers(connection: sqlite3.Connection, pragma: str) -> list[str]:
    """The rows of a check. For the quick one a collation that is not here is stood in for: it compares no indexes.

    But the rows of a WITHOUT ROWID table, whose order then tells nothing.
    """
    stood_in = set[str]()
    while True:
        try:
            rows = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}({_FINDINGS})")]
        except sqlite3.DatabaseError as error:
            missing = _NO_COLLATION.fullmatch(str(error))
            if pragma != "quick_check" or missing is None or missing[1] in stood_in:
                raise
            stood_in.add(missing[1])
            connection.create_collation(missing[1], lambda one, other: (one > other) - (one < other))
        else:
            return [row for row in rows if not stood_in or _DISORDER not in row] or ["ok"]


def check_file(path: Path, subject: str) -> None:
    """Check a database file at rest to its last page; raises ValidationError."""
    try:
        with contextlib.closing(connect(path, "immutable=1")) as connection:
            findings = integrity_findings(connection)
    except sqlite3.DatabaseError as error:
        # What needs an extension that is not here cannot be checked, which is no damage.
        needs_more = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_ERROR
        findings = () if needs_more else (printable(str(error)),)
    if findings:
        raise damaged(subject, findings)


def table_names(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The tables that people made: not SQLite's own, nor those behind a virtual table."""
    try:
        rows = connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')"
            " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        ).fetchall()
    except sqlite3.OperationalError:
        rows = []
    if not rows:  # SQLite before 3.37 has no such list.
        rows = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        ).fetchall()
    return tuple(row[0] for row in rows)


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def table_objects(connection: sqlite3.Connection, *, seconds: float | None = None) -> tuple[ObjectInfo, ...]:
    """Every table with its rows, counted as long as `seconds` last; after that guessed from the highest rowid."""
    deadline = None if seconds is None else time.monotonic() + seconds
    objects = []
    with _deadline(connection, deadline):
        for name in table_names(connection):
            rows = _number(connection, f"SELECT count(*) FROM {quoted(name)}")  # noqa: S608  # quoted
            objects.append(ObjectInfo(name=shown_name(name), rows=rows, rows_exact=rows is not None))
    return tuple(
        entry if entry.rows is not None or deadline is None else _guessed(connection, entry) for entry in objects
    )


def _guessed(connection: sqlite3.Connection, entry: ObjectInfo) -> ObjectInfo:
    rows = _number(connection, f"SELECT max(rowid) FROM {quoted(entry.name)}")  # noqa: S608  # quoted
    return ObjectInfo(name=entry.name, rows=rows)


def table_bytes(connection: sqlite3.Connection, *, seconds: float) -> dict[str, int]:
    """Bytes of every table with its indexes, where that can be had in time; else empty."""
    with _deadline(connection, time.monotonic() + seconds):
        try:
            rows = connection.execute(
                "SELECT m.tbl_name, sum(d.pgsize) FROM dbstat d JOIN sqlite_master m ON m.name = d.name"
                " WHERE d.aggregate GROUP BY m.tbl_name"
            ).fetchall()
        except sqlite3.DatabaseError:
            return {}
    return {shown_name(name): int(size) for name, size in rows if isinstance(name, str)}


def shown_name(name: str) -> str:
    """The name of a table as text that can be stored."""
    return name if name.isprintable() else shown(name.encode("utf-8", "surrogateescape"))


def _number(connection: sqlite3.Connection, statement: str) -> int | None:
    try:
        row = connection.execute(statement).fetchone()
    except (sqlite3.DatabaseError, UnicodeEncodeError):
        return None  # too late, a module that is not here, a WITHOUT ROWID table, or a name that is no text
    return int(row[0]) if row and isinstance(row[0], int) else None


@contextlib.contextmanager
def _deadline(connection: sqlite3.Connection, deadline: float | None) -> Iterator[None]:
    if deadline is not None:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


class CopyCheck:
    """Checks a copy and counts its rows in a thread, while its bytes are already on their way."""

    def __init__(self, copy: Path, depth: CheckDepth, count_seconds: float) -> None:
        self._depth: CheckDepth = depth
        self._count_seconds = count_seconds
        self._connection = connect(copy, "immutable=1")
        self._stopped = False
        self.findings: tuple[str, ...] = ()
        self.objects: tuple[ObjectInfo, ...] = ()
        self.warnings: tuple[str, ...] = ()
        self._thread = Thread(target=self._check, name="integrity check", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end of the check."""
        self._thread.join()

    def stop(self) -> None:
        """End the check now; never raises."""
        self._stopped = True
        while self._thread.is_alive():
            # Again and again: an interrupt between two statements is lost.
            self._connection.interrupt()
            self._thread.join(0.05)
        self._connection.close()

    def _check(self) -> None:
        try:
            self.findings = integrity_findings(self._connection, self._depth)
            if not self.findings and not self._stopped:
                self.objects = table_objects(self._connection, seconds=self._count_seconds)
        except sqlite3.DatabaseError as error:
            self.warnings = (f"The integrity of the copy could not be checked: {printable(str(error))}",)


class HeaderCheck(ArchiveCheck):
    """Compares a database file's own header with the number of bytes that came."""

    def __init__(self) -> None:
        self._header = b""
        self._size = 0

    def feed(self, block: bytes) -> None:
        """Take the next block."""
        if len(self._header) < _HEADER_BYTES:
            self._header = (self._header + block[:_HEADER_BYTES])[:_HEADER_BYTES]
            if not self._header.startswith(MAGIC[: len(self._header)]):
                raise _not_whole("it does not begin like an SQLite database")
        self._size += len(block)

    def finish(self) -> None:
        """Compare header and size."""
        if len(self._header) < _HEADER_BYTES:
            raise _not_whole(f"it ends after {self._size} bytes")
        page_size = int.from_bytes(self._header[16:18], "big")
        page_size = 65536 if page_size == 1 else page_size
        if page_size < 512 or page_size & (page_size - 1):
            raise _not_whole(f"its page size is {page_size}")
        if max(self._header[18], self._header[19]) >= _TOO_NEW_FORMAT:
            raise _not_whole("its file format is of a newer SQLite")
        pages = int.from_bytes(self._header[28:32], "big")
        # Writers before SQLite 3.7 leave the number of pages as it was; then only whole pages can be asked for.
        pages_known = pages > 0 and self._header[24:28] == self._header[92:96]
        expected = pages * page_size if pages_known else self._size - self._size % page_size
        if self._size != expected:
            raise _not_whole(f"it has {self._size} bytes, its header tells of {pages} pages of {page_size}")

    def stop(self) -> None:
        """Nothing is held."""


class ThoroughCheck(ArchiveCheck):
    """Writes the bytes to a scratch file and lets SQLite check that to its last page."""

    def __init__(self, scratch_folder: Path) -> None:
        self._header = HeaderCheck()
        self._path = scratch_folder / f"check-{os.getpid()}-{id(self):x}.db"
        self._descriptor: int | None = None
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise file_error(error, self._path, "write") from error

    def feed(self, block: bytes) -> None:
        """Take the next block."""
        self._header.feed(block)
        assert self._descriptor is not None
        view = memoryview(block)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise file_error(error, self._path, "write") from error

    def finish(self) -> None:
        """Check header, size and every page."""
        self._header.finish()
        check_file(self._path, "The archive")

    def stop(self) -> None:
        """Remove the scratch file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def _not_whole(what: str) -> ValidationError:
    return ValidationError(
        f"The archive is no whole SQLite database: {what}",
        subject="archive",
        hint="Use another copy or an older backup",
    )
