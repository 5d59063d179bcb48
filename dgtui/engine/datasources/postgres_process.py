"""A running pg_restore: how it is called, what it complains of, and how it ended."""

import itertools
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dgtui.engine.child import Child, describe_exit, widen_pipe
from dgtui.engine.datasources.loading import LoadOutcome
from dgtui.engine.datasources.postgres_complaints import Complaints, without_statements
from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_failures import known_failure
from dgtui.engine.datasources.postgres_paths import path_option
from dgtui.engine.datasources.postgres_plan import RestorePlan
from dgtui.engine.datasources.postgres_toc import TocEntry
from dgtui.engine.datasources.postgres_tools import buffered
from dgtui.engine.errors import DatabaseConnectionError, RestoreError, ValidationError
from dgtui.engine.reporting import Reporter

_IDLE_SECONDS = 1800.0
_ARCHIVE_DAMAGED = re.compile(
    r"could not read from input file|unexpected end of file|unexpected block ID|not appear to be a valid archive|"
    r"could not uncompress data|input file is too short"
)

Hear = Callable[[str], None]


@dataclass(frozen=True)
class RestoreCommand:
    """How pg_restore is called to load an archive into a database."""

    access: Access
    database: str
    plan: RestorePlan
    reporter: Reporter
    folder: Path
    """Of this run alone, for what pg_restore is given as files."""
    tables: int
    """How many tables have rows to load."""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """Counts the tables, whichever process loads them."""
    lists: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """Numbers the files with entries."""

    def start(
        self,
        hear: Hear,
        entries: Iterable[TocEntry] | None,
        *,
        file: Path | None = None,
        jobs: int = 1,
        path: str | None = None,
    ) -> "RestoreProcess":
        """Begin to load these entries, all where None, from a file, else from what the process is fed."""
        words = [self.plan.tool.path, "-v", "-w", "-d", self.access.conninfo(self.database), *self.access.tool_role]
        words += [*self.plan.arguments, *self._list_file(entries)]
        if file is None:
            words = [*buffered("-i"), *words]
        else:
            words += [*(["-j", str(jobs)] if jobs > 1 else []), "--", str(file)]
        return RestoreProcess(self, words, hear, path, fed=file is None)

    def _list_file(self, entries: Iterable[TocEntry] | None) -> list[str]:
        if entries is None:
            return []
        path = self.folder / f"restore-{next(self.lists)}.list"
        path.write_text("".join(f"{entry.dump_id};\n" for entry in entries), encoding="ascii")
        return ["-L", str(path)]


class RestoreProcess:
    """One pg_restore under way."""

    def __init__(self, command: RestoreCommand, words: list[str], hear: Hear, path: str | None, *, fed: bool) -> None:
        """`path` is the search path of its session where it is to have one."""
        self._command = command
        self._complaints = Complaints(command.reporter, command.tables, command.numbers)
        self._child = Child(
            words,
            environment=_environment(command.access, path),
            on_line=self._both(hear),
            secrets=command.access.secrets,
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        if fed:
            widen_pipe(self._child.stdin_fd)

    def _both(self, hear: Hear) -> Hear:
        def take(line: str) -> None:
            self._complaints.take(line)
            hear(line)

        return take

    def feed(self, blocks: Iterable[bytes]) -> None:
        """Give it an archive; it may need only the beginning."""
        self._child.feed(blocks, idle_timeout=_IDLE_SECONDS)

    def kill(self) -> None:
        """End it at once, from whichever thread."""
        self._child.process.kill()

    def stop(self) -> None:
        """End it where it still runs, and free what it holds; never raises."""
        self._child.stop()

    def outcome(self) -> LoadOutcome:
        """Wait for its end. Raises where it is no statement that failed."""
        code = self._child.wait()
        complaints = self._complaints
        complaints.close()
        detail = without_statements(self._child.tail)
        told = "\n".join((complaints.text, *detail))
        if code != 0:
            self._raise_known(told, detail)
        if code != 0 and not complaints.count and not complaints.notes:
            raise RestoreError(
                f"pg_restore into {self._command.database} ended with {describe_exit(code)}",
                subject=self._command.database,
                hint="The last lines of pg_restore and the server's log tell why",
                detail=detail,
            )
        return LoadOutcome(errors=tuple(complaints.errors), error_count=complaints.count, notes=tuple(complaints.notes))

    def _raise_known(self, told: str, detail: tuple[str, ...]) -> None:
        if _ARCHIVE_DAMAGED.search(told):
            raise ValidationError(
                f"The archive is damaged: {detail[-1] if detail else ''}",
                subject=self._command.database,
                hint="Try another copy with --from, or another backup",
                detail=detail,
            )
        access = self._command.access
        known = known_failure(told, server=access.server, user=access.user, detail=detail)
        if isinstance(known, DatabaseConnectionError):
            raise known


def _environment(access: Access, path: str | None = None) -> dict[str, str]:
    """The tools' environment; a database whose sessions are read-only by default can be loaded all the same.

    And one whose sessions take NULL in an array for a text. No statement waits for the disk, which takes most of the
    time where there are many objects: the rename that puts the database in its place does, and with it all before. And
    no limit of the role's ends a session that waits while others still load, or for the next bytes of the archive.
    """
    settings = ("default_transaction_read_only=off", "array_nulls=on", "synchronous_commit=off", *access.tool_settings)
    options = " ".join(f"-c {setting}" for setting in settings)
    return {**access.environment(), "PGOPTIONS": options if path is None else f"{options} {path_option(path)}"}
