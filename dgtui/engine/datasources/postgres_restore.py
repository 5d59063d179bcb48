"""A running pg_restore: by pipe or in parallel from a file."""

import contextlib
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from dgtui.engine.child import Child, describe_exit, widen_pipe
from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import LoadError, LoadOutcome
from dgtui.engine.datasources.postgres_complaints import LONGEST_STATEMENT, Complaints, without_statements
from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_copy_watch import CopyWatch
from dgtui.engine.datasources.postgres_counting import loaded_rows
from dgtui.engine.datasources.postgres_creation import create_database
from dgtui.engine.datasources.postgres_databases import drop_database
from dgtui.engine.datasources.postgres_failures import known_failure
from dgtui.engine.datasources.postgres_inner_options import (
    blank_inner_options,
    has_inner_options,
    without_inner_options,
)
from dgtui.engine.datasources.postgres_load_hints import load_hint
from dgtui.engine.datasources.postgres_paths import misses_path, path_option, users_path, with_path_of_session
from dgtui.engine.datasources.postgres_places import tell_places
from dgtui.engine.datasources.postgres_plan import RestorePlan
from dgtui.engine.datasources.postgres_properties import properties
from dgtui.engine.datasources.postgres_silence_watch import SilenceWatch
from dgtui.engine.datasources.postgres_toc import Toc, definition_bytes
from dgtui.engine.datasources.postgres_tools import buffered
from dgtui.engine.errors import DatabaseConnectionError, RestoreError, ValidationError
from dgtui.engine.reporting import Reporter

_IDLE_SECONDS = 1800.0
_ARCHIVE_DAMAGED = re.compile(
    r"could not read from input file|unexpected end of file|unexpected block ID|not appear to be a valid archive|"
    r"could not uncompress data|input file is too short"
)


def _both(one: Callable[[str], None], other: Callable[[str], None]) -> Callable[[str], None]:
    def hear(line: str) -> None:
        one(line)
        other(line)

    return hear


def _environment(access: Access, path: str | None = None) -> dict[str, str]:
    """The tools' environment; a database whose sessions are read-only by default can be loaded all the same.

    And one whose sessions take NULL in an array for a text. No statement waits for the disk, which takes most of the
    time where there are many objects: the rename that puts the database in its place does, and with it all before. And
    no limit of the role's ends a session that waits while others still load, or for the next bytes of the archive.
    """
    settings = ("default_transaction_read_only=off", "array_nulls=on", "synchronous_commit=off", *access.tool_settings)
    options = " ".join(f"-c {setting}" for setting in settings)
    return {**access.environment(), "PGOPTIONS": options if path is None else f"{options} {path_option(path)}"}


class Loader:
    """Loads one archive into one database."""

    def __init__(
        self,
        access: Access,
        archive: Archive,
        toc: Toc,
        database: str,
        plan: RestorePlan,
        reporter: Reporter,
        folder: Path,
        patience: float,
    ) -> None:
        """A server that answers nothing for `patience` seconds is given up."""
        self.counted: dict[str, int] = {}
        """Rows of the tables, by the server's account of what they took in."""
        self._access = access
        self._archive = archive
        self._database = database
        self._toc = toc
        self._plan = plan
        self._reporter = reporter
        self._patience = patience
        self._arguments = [
            "-v", "-w", "-d", access.conninfo(database), *access.tool_role, *plan.arguments,
            *self._list_file(folder / "restore.list"),
        ]  # fmt: skip
        self._blanks_options = has_inner_options(toc)
        self._entries = plan.entries if plan.entries is not None else toc.entries
        self._tables = sum(entry.kind == "TABLE DATA" for entry in self._entries)

    def _list_file(self, path: Path) -> list[str]:
        if self._plan.entries is None:
            return []
        path.write_text("".join(f"{entry.dump_id};\n" for entry in self._plan.entries), encoding="ascii")
        return ["-L", str(path)]

    def load(self, jobs: int) -> LoadOutcome:
        """In parallel where several jobs are asked for, and once more serially where that failed.

        And once more with the path of the database's users where something was not found without it.
        """
        notes: list[str] = []
        if jobs > 1:
            with self._watching(in_parallel=True) as hear:
                outcome = self._in_parallel(jobs, hear)
            if outcome.error_count and not misses_path(outcome):
                again = "it was done again with one"
                outcome = self._again(outcome, f"The restore with {jobs} processes failed ({{}}); {again}", notes)
        else:
            outcome = self._serially()
        if misses_path(outcome):
            with self._access.connect(self._database) as connection:
                path = users_path(connection, self._entries)
            again = f"It was loaded again with the search path {path}"
            outcome = self._again(
                outcome, f"Something was not found without a search path ({{}}). {again}", notes, path
            )
        outcome = self._with_rows(outcome)
        hint = load_hint(outcome.errors, self._access.acting(self._database))
        return msgspec.structs.replace(outcome, notes=(*notes, *outcome.notes), hint=hint)

    def _again(self, failed: LoadOutcome, told: str, notes: list[str], path: str | None = None) -> LoadOutcome:
        note = told.format(failed.errors[0].message if failed.errors else "unknown reason")
        self._reporter.log(note, level="warning")
        notes.append(note)
        self._empty_database()
        with self._watching(in_parallel=False) as hear:
            return self._serially(hear, path)

    def _empty_database(self) -> None:
        like = properties(self._access, self._database)
        drop_database(self._access, self._database)
        create_database(self._access, self._database, like)

    def _with_rows(self, outcome: LoadOutcome) -> LoadOutcome:
        outcome = outcome if outcome.error_count else self._with_narrowed(outcome)
        self.counted = {} if outcome.error_count else loaded_rows(self._access, self._database, self._entries)
        return outcome

    def _with_narrowed(self, outcome: LoadOutcome) -> LoadOutcome:
        import psycopg

        if not self._plan.narrowed:
            return outcome
        errors: list[LoadError] = []
        with self._access.connect(self._database) as connection:
            texts = [entry for entry in self._toc.entries if entry.kind == "STDSTRINGS"]
            for entry in (*texts, *self._plan.narrowed):
                try:
                    connection.execute(definition_bytes(entry))
                except psycopg.OperationalError:
                    raise
                except psycopg.Error as error:
                    errors.append(LoadError(message=str(error).strip(), statement=entry.definition[:LONGEST_STATEMENT]))
        return LoadOutcome(errors=tuple(errors), error_count=len(errors), notes=outcome.notes)

    @contextlib.contextmanager
    def _watching(self, *, in_parallel: bool) -> Iterator[Callable[[str], None]]:
        watch = CopyWatch(self._access, self._database, self._entries, self._reporter, in_parallel=in_parallel)
        try:
            yield watch.hear
        finally:
            watch.stop()

    def _in_parallel(self, jobs: int, hear: Callable[[str], None]) -> LoadOutcome:
        file = self._archive.as_file()
        tell_places(file, self._toc)
        if self._blanks_options:
            blank_inner_options(file, self._toc)
        complaints = Complaints(self._reporter, self._tables)
        child = Child(
            [self._plan.tool.path, "-j", str(jobs), *self._arguments, "--", str(file)],
            environment=_environment(self._access),
            on_line=_both(complaints.take, hear),
            secrets=self._access.secrets,
            stdout=subprocess.DEVNULL,
        )
        try:
            with self._given_up_if_silent(child):
                return self._outcome(child, complaints)
        finally:
            child.stop()

    def _given_up_if_silent(self, child: Child) -> SilenceWatch:
        return SilenceWatch(self._access, self._database, self._patience, child.process.kill)

    def _serially(self, hear: Callable[[str], None] | None = None, path: str | None = None) -> LoadOutcome:
        complaints = Complaints(self._reporter, self._tables)
        child = Child(
            [*buffered("-i"), self._plan.tool.path, *self._arguments],
            environment=_environment(self._access, path),
            on_line=_both(complaints.take, hear) if hear is not None else complaints.take,
            secrets=self._access.secrets,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        widen_pipe(child.stdin_fd)
        blocks: Iterator[bytes] = self._archive.blocks()
        if self._blanks_options:
            blocks = without_inner_options(blocks, self._toc)
        if path is not None:
            blocks = with_path_of_session(blocks)
        try:
            with self._given_up_if_silent(child):
                child.feed(blocks, idle_timeout=_IDLE_SECONDS)
                # What pg_restore had no need of is read as well: the bytes are known to be good at their end only.
                for _ in blocks:
                    pass
                return self._outcome(child, complaints)
        finally:
            child.stop()

    def _outcome(self, child: Child, complaints: Complaints) -> LoadOutcome:
        code = child.wait()
        complaints.close()
        detail = without_statements(child.tail)
        told = "\n".join((complaints.text, *detail))
        if code != 0:
            self._raise_known(told, detail)
        if code != 0 and not complaints.count and not complaints.notes:
            raise RestoreError(
                f"pg_restore into {self._database} ended with {describe_exit(code)}",
                subject=self._database,
                hint="The last lines of pg_restore and the server's log tell why",
                detail=detail,
            )
        return LoadOutcome(errors=tuple(complaints.errors), error_count=complaints.count, notes=tuple(complaints.notes))

    def _raise_known(self, told: str, detail: tuple[str, ...]) -> None:
        if _ARCHIVE_DAMAGED.search(told):
            raise ValidationError(
                f"The archive is damaged: {detail[-1] if detail else ''}",
                subject=self._database,
                hint="Try another copy with --from, or another backup",
                detail=detail,
            )
        known = known_failure(told, server=self._access.server, user=self._access.user, detail=detail)
        if isinstance(known, DatabaseConnectionError):
            raise known
