"""The dump of an SQLite file: a copy in the scratch folder, checked while its bytes are on their way."""

import contextlib
import os
import shlex
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dgtui.engine.child import printable
from dgtui.engine.datasources.dumping import Dump, DumpOptions, DumpSummary
from dgtui.engine.datasources.sqlite_check import CheckDepth, CopyCheck
from dgtui.engine.datasources.sqlite_locks import locked
from dgtui.engine.datasources.sqlite_selection import chosen_tables, reduce_database
from dgtui.engine.datasources.sqlite_snapshot import Progress, need_plain_side_files, open_source, side_file
from dgtui.engine.errors import BackupCreationError, DataGuardianError, DiskSpaceError, PermissionDenied
from dgtui.engine.reporting import Reporter

_COUNT_SECONDS = 120.0
_SMALL_ENOUGH_TO_COPY = 256 << 20


class SqliteDump(Dump):
    """A checked copy in the scratch folder, read as a stream."""

    def __init__(self, copy: Path, source: Path, sizes: dict[str, int], depth: CheckDepth) -> None:
        self._copy = copy
        self._source = source
        self._sizes = sizes
        self._descriptor = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
        self._check = CopyCheck(copy, depth, _COUNT_SECONDS)

    @property
    def fd(self) -> int:
        """The copy."""
        return self._descriptor

    def finish(self) -> DumpSummary:
        """Wait for SQLite's word about the copy."""
        self._check.wait()
        findings = self._check.findings
        self.stop()
        if findings:
            raise damaged_source(self._source, findings)
        objects = tuple(
            msgspec.structs.replace(entry, bytes=self._sizes.get(entry.name)) for entry in self._check.objects
        )
        return DumpSummary(objects=objects, warnings=self._check.warnings)

    def stop(self) -> None:
        """End the check and remove the copy."""
        self._check.stop()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        with contextlib.suppress(OSError):
            self._copy.unlink(missing_ok=True)


def copy_progress(source: Path, reporter: Reporter) -> Progress:
    """Says how many bytes are copied, as the object: the bar counts those that are stored, which begin after it."""
    name = printable(source.name)

    def progress(done: int, total: int) -> None:
        reporter.current_object(f"copying {name}: {done:,} of {total:,} bytes")

    return progress


def part_of(copy: Path, options: DumpOptions) -> Path:
    """Leave in a copy only what a job wants; raises BackupCreationError, ConfigError, sqlite3.Error."""
    if options.backup_type == "full" and not options.tables and not options.exclude_tables:
        return copy
    if options.backup_type not in ("full", "schema_only"):
        raise BackupCreationError(
            f"SQLite knows no {options.backup_type} backup", subject=str(copy), hint="Set backup_type = 'full'"
        )
    keep = None
    if options.tables or options.exclude_tables:
        keep = chosen_tables(copy, options.tables, options.exclude_tables)
    part = copy.with_suffix(".part.db")
    reduce_database(copy, part, keep, schema_only=options.backup_type == "schema_only")
    part.replace(copy)
    return copy


def damaged_source(source: Path, findings: Sequence[str]) -> BackupCreationError:
    """The error for a source in which SQLite found damage."""
    return BackupCreationError(
        f"{source} is damaged: {findings[0]}",
        subject=str(source),
        hint="Restore the last good backup, or save what can be read: sqlite3 FILE .recover",
        detail=findings,
    )


def explain(error: sqlite3.DatabaseError, source: Path, busy_seconds: float) -> DataGuardianError:
    """What SQLite says about a source, as our error with the next step."""
    text = printable(str(error))
    code = error.sqlite_errorcode & 0xFF if hasattr(error, "sqlite_errorcode") else 0
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return locked(source, busy_seconds)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged_source(source, (text,))
    if code == sqlite3.SQLITE_FULL:
        return DiskSpaceError(f"No room for a copy of {source}", subject=str(source), hint="See: df -h")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY):
        verb = "write" if code == sqlite3.SQLITE_READONLY else "read"
        return PermissionDenied(
            f"{source} cannot be opened: {text}",
            subject=str(source),
            hint=f"May our user {verb} it and its -wal and -shm? See: ls -l {shlex.quote(str(source))}*",
        )
    return BackupCreationError(
        f"{source} could not be read: {text}",
        subject=str(source),
        hint=f"Try: sqlite3 {shlex.quote(str(source))} 'PRAGMA integrity_check'",
    )


def reading_parameters(source: Path) -> str:
    """How to open a database so that nothing is left beside it: `copy` where only a copy can be looked at."""
    need_plain_side_files(source)
    if os.path.exists(side_file(source, "-shm")):  # noqa: PTH110  # where we may not look, the opening says so
        return "mode=ro"
    if size_of(side_file(source, "-wal")) or _hot_journal(source):
        size = size_of(source) + size_of(side_file(source, "-wal"))
        return "copy" if size <= _SMALL_ENOUGH_TO_COPY else "immutable=1"
    descriptor = open_source(source)
    try:
        wal_mode = os.pread(descriptor, 1, 18) == b"\x02"
    finally:
        os.close(descriptor)
    return "immutable=1" if wal_mode else "mode=ro"


def _hot_journal(source: Path) -> bool:
    try:
        with side_file(source, "-journal").open("rb") as file:
            return file.read(1) not in (b"", b"\x00")
    except OSError:
        return False


def size_of(path: Path) -> int:
    """Size of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
