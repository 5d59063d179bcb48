"""A running pg_dump, and what it says in the words of the engine."""

import os
import re
import subprocess
import threading
from collections.abc import Sequence

from dgtui.engine.child import Child, describe_exit, widen_pipe
from dgtui.engine.datasources.dumping import Dump, DumpOptions, DumpSummary
from dgtui.engine.datasources.extra_arguments import refuse_arguments
from dgtui.engine.datasources.postgres_connection import DUMP_ZONE, Access, break_connection, seen_out
from dgtui.engine.datasources.postgres_failures import known_failure
from dgtui.engine.datasources.postgres_locks import ending, exclusive_holders
from dgtui.engine.datasources.postgres_names import table_pattern
from dgtui.engine.datasources.postgres_queries import (
    Table,
    count_rows,
    object_infos,
    selected,
    tables_of,
)
from dgtui.engine.datasources.postgres_tools import buffered
from dgtui.engine.errors import BackupCreationError, DatabaseConnectionError, DataGuardianError
from dgtui.engine.model import ObjectInfo, ToolVersion
from dgtui.engine.reporting import Reporter
from dgtui.engine.threads import Thread

_TABLE_LINE = re.compile(r'dumping contents of table "(.*)"')
_READING_LINE = re.compile(r"\breading |\bfinding |\bsaving ")
_LOCK_LINE = re.compile(r"canceling statement due to (?:statement|lock) timeout")
_LOG_HINT = "The last lines of pg_dump and the server's log tell why; then try again"
_TIMEOUT_HINT = (
    "A limit of the role or the database ended it before pg_dump could switch it off: ALTER ROLE (DATABASE) ... SET "
    "statement_timeout = 0, or to more"
)
_LOCKED_TABLES = re.compile(r"LOCK TABLE (.*?) IN ACCESS SHARE MODE")
_END_SECONDS = 60.0
_COUNTED_TABLE_BYTES = 16 << 20
_COUNTED_BYTES = 64 << 20
"""Counting reads the tables a second time: a small share of what the dump itself reads."""
_LETTERS = "fFjZdhpUsa"
_OPTIONS = frozenset(
    {"file", "format", "jobs", "compress", "dbname", "host", "port", "username", "schema-only", "data-only", "section"}
)
"""What DataGuardian sets itself; rows or definitions alone are `backup_type`, else they would pass for all of it."""


def dump_arguments(tool: ToolVersion, access: Access, database: str, options: DumpOptions) -> list[str]:
    """The command line of pg_dump; raises ConfigError where the extra arguments would turn it into something else."""
    refuse_arguments(
        "pg_dump", options.extra_arguments, letters=_LETTERS, options=_OPTIONS, besides=frozenset({"schema"})
    )
    arguments = [*buffered("-o"), tool.path, "-Fc", "-Z0", "-v", "-w", "-d", access.conninfo(database)]
    arguments += access.tool_role
    if access.settings.lock_timeout:
        arguments.append(f"--lock-wait-timeout={access.settings.lock_timeout * 1000}")
    if options.backup_type == "schema_only":
        arguments.append("--schema-only")
    elif options.backup_type == "data_only":
        arguments.append("--data-only")
    if options.tables:
        arguments.append("--strict-names")
    arguments += [f"--table={table_pattern(name)}" for name in options.tables]
    arguments += [f"--exclude-table={table_pattern(name)}" for name in options.exclude_tables]
    return [*arguments, *options.extra_arguments]


class Snapshot:
    """A read-only transaction whose view of the database pg_dump shares, in which small tables are counted exactly."""

    def __init__(self, access: Access, database: str, options: DumpOptions) -> None:
        self._options = options
        self._connection = access.open(database)
        self.identifier = ""
        self.objects: tuple[ObjectInfo, ...] = ()
        self._imported = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def open(cls, access: Access, database: str, options: DumpOptions, reporter: Reporter) -> "Snapshot | None":
        """Export a snapshot; None where the server does not allow one, and the dump goes without."""
        import psycopg

        if any(argument.startswith("--snapshot") for argument in options.extra_arguments):
            return None
        try:
            snapshot = cls(access, database, options)
        except DatabaseConnectionError:
            return None
        try:
            if snapshot._room_for_another():
                snapshot._export()
                return snapshot
        except (psycopg.Error, DataGuardianError) as error:
            reporter.log(f"Rows are not counted exactly: {str(error).splitlines()[0]}")
        snapshot.close()
        return None

    def _room_for_another(self) -> bool:
        """Whether pg_dump can connect beside us."""
        row = self._connection.execute(
            """SELECT rolsuper OR (rolconnlimit < 0 OR rolconnlimit >
                      (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user))
                      AND (SELECT datconnlimit < 0 OR datconnlimit > (
                               SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())
                           FROM pg_database WHERE datname = current_database())
               FROM pg_roles WHERE rolname = current_user"""
        ).fetchone()
        return bool(row and row[0])

    def _export(self) -> None:
        self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        self.identifier = self._connection.execute("SELECT pg_export_snapshot()").fetchall()[0][0]

    def start_counting(self) -> None:
        """Count beside the dump, in a thread."""
        self._thread = Thread(target=self._count, name="count rows", daemon=True)
        self._thread.start()

    def imported(self) -> None:
        """pg_dump has the snapshot: from now on it lives on without us."""
        self._imported.set()

    def _count(self) -> None:
        import psycopg

        try:
            # An error inside must not end the outer transaction: pg_dump may not have taken the snapshot yet.
            with self._connection.transaction():
                self._connection.execute("SET LOCAL lock_timeout = '1s'")
                tables = selected(tables_of(self._connection), self._options)
                self.objects = object_infos(tables, {}, at_dump=True)
                exact = count_rows(self._connection, _worth_counting(tables))
                self.objects = object_infos(tables, exact, at_dump=True)
        except (psycopg.Error, OSError):
            # The dump tells what is wrong with the database; the counts are only an addition.
            pass
        self._imported.wait()
        self._connection.close()

    def wait(self) -> None:
        """After the end of the dump: wait for the counts."""
        self._imported.set()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)

    def close(self) -> None:
        """End the transaction, and the counting where it is still going on."""
        self._imported.set()
        if self._thread is not None and self._thread.is_alive():
            break_connection(self._connection)
            self._thread.join(_END_SECONDS)
        if not self._connection.closed:
            with seen_out(self._connection):
                self._connection.close()


def _worth_counting(tables: Sequence[Table]) -> list[Table]:
    chosen, total = [], 0
    for table in sorted(tables, key=lambda table: table.main_bytes):
        total += table.main_bytes
        if table.main_bytes > _COUNTED_TABLE_BYTES or total > _COUNTED_BYTES:
            break
        chosen.append(table)
    return chosen


class PostgresDump(Dump):
    """pg_dump in custom format, uncompressed, on its standard output."""

    def __init__(
        self, arguments: Sequence[str], access: Access, database: str, reporter: Reporter, *, snapshot: Snapshot | None,
        objects: tuple[ObjectInfo, ...],
    ) -> None:  # fmt: skip
        self._access = access
        self._database = database
        self._reporter = reporter
        self._snapshot = snapshot
        self._objects = objects
        self._number = 0
        self._warnings: list[str] = []
        self._errors: list[str] = []
        self._child = Child(
            arguments,
            # Not by PGOPTIONS, which not every pooler takes. In any other encoding letters may have no equivalent.
            environment={
                **access.environment(),
                "PGTZ": DUMP_ZONE,
                "PGCLIENTENCODING": access.encoding(database),
            },
            on_line=self._take_line,
            secrets=access.secrets,
        )
        widen_pipe(self._child.stdout_fd)
        if snapshot is not None:
            snapshot.start_counting()

    @property
    def fd(self) -> int:
        """File descriptor of pg_dump's output."""
        return self._child.stdout_fd

    def _take_line(self, line: str) -> None:
        text = line.removeprefix("pg_dump: ")
        if self._snapshot is not None and _READING_LINE.search(text):
            self._snapshot.imported()
        match = _TABLE_LINE.search(text)
        if match:
            self._number += 1
            self._reporter.current_object(match[1], number=self._number, count=max(self._number, len(self._objects)))
        if text.startswith("error:"):
            self._errors.append(text)
            self._reporter.log(text, origin="pg_dump", level="error")
        elif text.startswith("warning:"):
            self._warnings.append(text.removeprefix("warning: "))
            self._reporter.log(text, origin="pg_dump", level="warning")
        else:
            self._reporter.log(text, origin="pg_dump")

    def finish(self) -> DumpSummary:
        """Check how pg_dump ended."""
        try:
            if not self._at_end():
                raise BackupCreationError("The dump was not read to its end", subject=self._database)
            code = self._child.wait(_END_SECONDS)
            if code != 0:
                raise self._failure(code)
            objects = self._objects
            if self._snapshot is not None:
                self._snapshot.wait()
                objects = self._snapshot.objects or objects
        except subprocess.TimeoutExpired:
            raise BackupCreationError(
                "pg_dump ended its output, but not itself", subject=self._database, detail=tuple(self._child.tail)
            ) from None
        finally:
            self.stop()
        return DumpSummary(objects=objects, warnings=(*self._errors, *self._warnings))

    def stop(self) -> None:
        """End pg_dump and the snapshot."""
        self._child.stop()
        if self._snapshot is not None:
            self._snapshot.close()

    def _at_end(self) -> bool:
        os.set_blocking(self.fd, False)
        try:
            return not os.read(self.fd, 1)
        except BlockingIOError:
            return False

    def _failure(self, code: int) -> DataGuardianError:
        detail = tuple(self._child.tail)
        text = "\n".join(self._errors) + "\n" + "\n".join(detail)
        if _LOCK_LINE.search(text) and "LOCK TABLE" in text:
            return self._lock_failure(text, detail)
        known = known_failure(
            text,
            server=self._access.server,
            user=self._access.user,
            acting=self._access.acting(self._database),
            detail=detail,
        )
        if known is not None:
            return known
        reason = self._errors[0].removeprefix("error: ") if self._errors else describe_exit(code)
        return BackupCreationError(
            f"pg_dump of {self._database} failed: {reason}"
            if code > 0
            else f"pg_dump of {self._database} was ended by {describe_exit(code)}",
            subject=self._database,
            hint=_TIMEOUT_HINT if _LOCK_LINE.search(text) else _LOG_HINT,
            detail=detail,
        )

    def _lock_failure(self, text: str, detail: tuple[str, ...]) -> BackupCreationError:
        tables = _LOCKED_TABLES.search(text)
        locked = tables[1] if tables else "a table"
        holders = exclusive_holders(self._access, self._database)
        holders = [one for one in holders if one.table in locked] or holders
        told = "; ".join(f"{one.table} is locked by {one.who}" for one in holders)
        return BackupCreationError(
            f"pg_dump waited {self._access.settings.lock_timeout} s in vain for the lock of a table: "
            + (told or f"{locked} was locked by another session"),
            subject=locked,
            hint=ending(holders),
            detail=detail,
        )
