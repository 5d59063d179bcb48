"""The dump: the command for `mariadb-dump` or `mysqldump`, and what its end says."""

import os
import re
import subprocess
from collections.abc import Sequence

from dgtui.engine.child import Child, describe_exit, widen_pipe
from dgtui.engine.datasources.dumping import Dump, DumpOptions, DumpSummary
from dgtui.engine.datasources.extra_arguments import refuse_arguments
from dgtui.engine.datasources.mysql_connection import Access
from dgtui.engine.datasources.mysql_errors import UNKNOWN_DATABASE, error_code, error_subject
from dgtui.engine.datasources.mysql_lockwatch import LockWatch
from dgtui.engine.datasources.mysql_option_file import open_option_file
from dgtui.engine.datasources.mysql_tools import tool_flavour
from dgtui.engine.errors import BackupCreationError
from dgtui.engine.model import ObjectInfo, Record, ToolVersion
from dgtui.engine.reporting import Reporter
from dgtui.engine.tools import version_numbers

_END_SECONDS = 60.0
_MOST_COMPLAINTS = 20
_TABLE = re.compile(r"-- Retrieving (?:table|sequence) structure for (?:table| )\s*(.*?)\.\.\.$")
_COMPLAINT = re.compile(r"^(?:mariadb-dump|mysqldump|mariadb-dump\.exe): (.*)|.*\b(?i:error|warning)\b.*")
_LETTERS = "rTdtABXhPSup"
_OPTIONS = frozenset(
    {"result-file", "tab", "no-data", "no-create-info", "all-databases", "databases", "xml", "compact", "skip-comments"}
    | {"host", "port", "socket", "user", "password", "defaults-file", "defaults-extra-file", "no-defaults"}
)
"""What DataGuardian sets itself; rows or definitions alone are `backup_type`, else they would pass for all of it."""
_QUOTES = frozenset("'\"\\")
_QUOTE_HINT = (
    "mariadb-dump cannot dump the events of a database with a quote or backslash in its name: rename the database, "
    'or leave the events out with extra_arguments = ["--skip-events"]'
)
_PRECISE = "with transaction-precise history"
_PRECISE_HINT = (
    "mariadb-dump cannot dump the history of a table whose row_start and row_end are numbers of transactions: leave "
    'the table out with exclude_tables, or the history of all tables with extra_arguments = ["--skip-dump-history"]'
)
_LOCK_HINT = "Dump again when the change is done, or set a longer lock_timeout"


class DumpFacts(Record, frozen=True):
    """What of the source decides on the command."""

    object_count: int = 0
    connection: int = 0
    """Number of a connection made before the dump's."""
    versioned: bool = False
    """Whether there are system-versioned tables, whose history has to be asked for."""
    warnings: tuple[str, ...] = ()
    """What is known before of what the dump will not hold as it is."""


def dump_arguments(
    tool: ToolVersion, database: str, options: DumpOptions, facts: DumpFacts, option_file: int
) -> list[str]:
    """The command line; the option file comes first and is the only one that is read.

    Foreign option files could take away the comments by which a whole dump is told from a part. LOCK TABLES is left
    out of the dump, because under it MariaDB cannot load a table whose column takes its default from a sequence.
    """
    refuse_arguments(tool.name, options.extra_arguments, letters=_LETTERS, options=_OPTIONS)
    oracle = tool_flavour(tool) == "mysql"
    arguments = [
        tool.path,
        f"--defaults-file=/dev/fd/{option_file}",
        "--single-transaction",
        "--skip-lock-tables",
        "--skip-add-locks",
        "--quick",
        "--hex-blob",
        "--comments",
        "--tz-utc",
        "--verbose",
        "--no-tablespaces",
        "--max-allowed-packet=1G",
        "--default-character-set=utf8mb4",
    ]
    if oracle:
        arguments += ["--set-gtid-purged=OFF", "--loose-column-statistics=0"]
    if facts.versioned and keeps_history(tool):
        arguments.append("--dump-history")
    arguments += _parts(options)
    arguments += [f"--ignore-table={database}.{table}" for table in options.exclude_tables]
    return [*arguments, *options.extra_arguments, "--", database, *options.tables]


def keeps_history(tool: ToolVersion) -> bool:
    """Whether the program can dump the history of system-versioned tables."""
    return tool_flavour(tool) == "mariadb" and version_numbers(tool.version) >= (10, 11)


def _parts(options: DumpOptions) -> list[str]:
    if options.backup_type == "data_only":
        return ["--no-create-info", "--skip-triggers"]
    parts = ["--no-data"] if options.backup_type == "schema_only" else []
    whole = [] if options.tables else ["--routines", "--events"]
    return [*parts, "--triggers", *whole]


class MysqlDump(Dump):
    """A running `mariadb-dump` or `mysqldump`."""

    def __init__(
        self,
        tool: ToolVersion,
        access: Access,
        options: DumpOptions,
        facts: DumpFacts,
        reporter: Reporter,
        objects: Sequence[ObjectInfo],
    ) -> None:
        """Start it."""
        self._access = access
        self._facts = facts
        self._reporter = reporter
        self._objects = tuple(objects)
        self._tool = tool.name
        self._number = 0
        self._complaints: list[str] = []
        self._blocked = ""
        option_file = open_option_file(access, tool_flavour(tool))
        try:
            self._child = Child(
                dump_arguments(tool, access.settings.database, options, facts, option_file),
                on_line=self._hear,
                secrets=[access.password or ""],
                pass_fds=[option_file],
            )
        finally:
            os.close(option_file)
        widen_pipe(self._child.stdout_fd)
        self._watch = LockWatch(access, facts.connection, self._give_up)

    @property
    def fd(self) -> int:
        """The pipe that the tool writes to."""
        return self._child.stdout_fd

    @property
    def pid(self) -> int:
        """Process id of the tool."""
        return self._child.process.pid

    def finish(self) -> DumpSummary:
        """Judge the exit code and what was said; the end mark itself is read by the archive's check."""
        try:
            code = self._child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            raise BackupCreationError(
                f"{self._tool} closed its output but did not end",
                subject=self._access.settings.database,
                hint="It was ended; look at the server's log",
                detail=tuple(self._child.tail),
            ) from None
        finally:
            self.stop()
        if self._blocked:
            raise BackupCreationError(self._blocked, subject=self._access.settings.database, hint=_LOCK_HINT)
        if code != 0:
            self._fail(code)
        complaints = tuple(f"{self._tool}: {line}" for line in self._complaints)
        return DumpSummary(objects=self._objects, warnings=(*self._facts.warnings, *complaints))

    def stop(self) -> None:
        """End the tool."""
        self._watch.end()
        self._child.stop()

    def _give_up(self, reason: str) -> None:
        self._blocked = reason
        self._child.process.kill()  # only the signal: the pipe belongs to whoever reads it

    def _fail(self, code: int) -> None:
        tail = tuple(self._child.tail)
        said = self._complaints[-1] if self._complaints else ""
        number = error_code(said)
        message = f"{self._tool}: {said}" if said else f"{self._tool} failed: {describe_exit(code)}"
        if code < 0:
            message = f"{self._tool} was ended by {describe_exit(code)}" + (f": {said}" if said else "")
        error = self._access.error(number, message, fallback=BackupCreationError, detail=tail)
        if number == UNKNOWN_DATABASE and _QUOTES & set(self._access.settings.database):
            error.hint = _QUOTE_HINT
        if _PRECISE in said:
            error.hint = _PRECISE_HINT
        if not number and not error_subject(said) and not error.hint:
            error.hint = "The last lines of the tool say more; is the server well, and is there enough memory?"
        raise error

    def _hear(self, line: str) -> None:
        if match := _TABLE.match(line):
            self._number += 1
            self._reporter.current_object(match[1], number=self._number, count=self._facts.object_count)
            self._reporter.log(line.removeprefix("-- "), origin=self._tool)
        elif not line.startswith("-- ") and (complaint := _COMPLAINT.match(line)):
            if len(self._complaints) < _MOST_COMPLAINTS:
                self._complaints.append(complaint[1] or line)
            self._reporter.log(line, origin=self._tool, level="warning")
