"""The rows of an archive as pg_restore writes them out, replayed statement by statement in a transaction of ours.

Only what rows need is ever executed, and nothing is handed to psql: an archive from elsewhere cannot run a command.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dgtui.engine.child import Child, describe_exit, widen_pipe
from dgtui.engine.datasources.dumping import ArchiveBlocks
from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_toc import TocEntry
from dgtui.engine.errors import DataGuardianError, RestoreError
from dgtui.engine.model import ToolVersion
from dgtui.engine.reporting import Reporter
from dgtui.engine.threads import Thread

if TYPE_CHECKING:
    import psycopg

_IDLE_SECONDS = 1800.0
_END_SECONDS = 60.0
_BLOCK_BYTES = 1 << 20
_END_OF_ROWS = b"\\.\n"
_LONGEST_STATEMENT = 1 << 30
_QUOTED = re.compile(rb"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'")
_COPY = re.compile(rb"COPY .* FROM stdin;\s*\Z", re.DOTALL)
_SETVAL = re.compile(rb"SELECT pg_catalog\.setval\(")
_WANTED = re.compile(
    rb"SET (?:client_encoding|standard_conforming_strings|xmloption)\b|INSERT INTO |"
    rb"SELECT pg_catalog\.(?:set_config\('search_path'|lo\w+\(|setval\()"
)
_NO_PATH = re.compile(rb"SELECT pg_catalog\.set_config\('search_path', '', false\);")
_USERS_PATH = b"SELECT set_config('search_path', reset_val, false) FROM pg_settings WHERE name = 'search_path'"
_OF_LARGE_OBJECTS = re.compile(rb"(?:ALTER|COMMENT ON|GRANT [A-Z, ]+ ON|REVOKE [A-Z, ]+ ON) LARGE OBJECT \d+ ")
_LEFT_OUT = re.compile(rb"SET |BEGIN;|COMMIT;")


class RowsOf:
    """A running pg_restore that writes the chosen rows of an archive as SQL; use it in a `with`."""

    def __init__(
        self, access: Access, archive: ArchiveBlocks, tool: ToolVersion, entries: list[TocEntry], scratch_folder: Path
    ) -> None:
        listed = scratch_folder / "rows.list"
        listed.write_text("".join(f"{entry.dump_id};\n" for entry in entries), encoding="ascii")
        self._archive = archive
        self._feed_error: DataGuardianError | None = None
        self._child = Child(
            [tool.path, "--data-only", "--single-transaction", "-L", str(listed), "-f", "-"],
            environment=access.environment(),
            secrets=access.secrets,
            stdin=subprocess.PIPE,
        )
        widen_pipe(self._child.stdin_fd)
        widen_pipe(self._child.stdout_fd)
        self._feeder = Thread(target=self._feed, name="archive to pg_restore", daemon=True)

    def __enter__(self) -> IO[bytes]:
        self._feeder.start()
        assert self._child.process.stdout is not None
        return self._child.process.stdout

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._judge()
        finally:
            self._child.stop()
            self._feeder.join(_END_SECONDS)

    def _feed(self) -> None:
        try:
            self._child.feed(self._archive.blocks(), idle_timeout=_IDLE_SECONDS)
        except DataGuardianError as error:
            self._feed_error = error
        except (OSError, ValueError):
            return  # the pipe was closed under us: whoever closed it knows why

    def _judge(self) -> None:
        code = self._child.wait(_END_SECONDS)
        self._feeder.join(_END_SECONDS)
        if self._feed_error is not None:
            raise self._feed_error
        if code != 0:
            raise RestoreError(
                f"pg_restore ended with {describe_exit(code)} while it wrote out the rows",
                hint="Try another copy with --from, or another backup",
                detail=tuple(self._child.tail),
            )


class Replay:
    """Executes such a script; the sequences are set at the very end."""

    def __init__(self, connection: "psycopg.Connection[Any]", reporter: Reporter, tables: list[str]) -> None:
        self._connection = connection
        self._reporter = reporter
        self._tables = tables
        self._number = 0
        self.current = ""
        """What is executed now, for an error."""
        self.sequences: list[bytes] = []

    def run(self, script: IO[bytes]) -> None:
        """Execute everything but the setting of sequences. Raises psycopg.Error, RestoreError."""
        for statement in _statements(script):
            self.current = statement[:200].decode("utf-8", "replace")
            if _COPY.fullmatch(statement):
                self._copy(statement, script)
            elif _SETVAL.match(statement):
                self.sequences.append(statement)
            elif _NO_PATH.match(statement):
                # The tables are named with their schema; what a check or an index calls may not be.
                self._connection.execute(_USERS_PATH)
            elif _WANTED.match(statement):
                self._connection.execute(statement)
            elif _OF_LARGE_OBJECTS.match(statement):
                self._try(statement)
            elif not _LEFT_OUT.match(statement):
                raise RestoreError(
                    f"The archive holds a statement that rows do not need: {self.current}",
                    hint="Restore everything under another name with --into NAME, and copy from there",
                )

    def set_sequences(self) -> None:
        """Set the sequences."""
        for statement in self.sequences:
            self.current = statement[:200].decode("utf-8", "replace")
            self._connection.execute(statement)

    def _try(self, statement: bytes) -> None:
        """Owner and grants of a large object: a role that is not here is no reason to lose its bytes."""
        import psycopg

        try:
            with self._connection.transaction():
                self._connection.execute(statement)
        except psycopg.Error as error:
            if self._connection.broken:
                raise
            self._reporter.log(f"{self.current.strip()} is left out: {str(error).splitlines()[0]}", level="warning")

    def _copy(self, statement: bytes, script: IO[bytes]) -> None:
        name = self._tables[self._number] if self._number < len(self._tables) else self.current
        self._number += 1
        self._reporter.current_object(name, number=self._number, count=max(self._number, len(self._tables)))
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for block in _rows(script):
                copy.write(block)


def _statements(script: IO[bytes]) -> Iterator[bytes]:
    """The statements of a script, without comments and the commands of psql."""
    held = b""
    for line in iter(script.readline, b""):
        if not held and (line.startswith((b"--", b"\\restrict ", b"\\unrestrict ")) or not line.strip()):
            continue
        held += line
        if len(held) > _LONGEST_STATEMENT:
            raise RestoreError("A statement of the archive is longer than 1 GiB")
        bare = _QUOTED.sub(b"", held)
        if bare.rstrip().endswith(b";") and b'"' not in bare and b"'" not in bare:
            yield held
            held = b""
    if held.strip():
        raise RestoreError("The rows end in the middle of a statement", hint="Try another copy with --from")


def _rows(script: IO[bytes]) -> Iterator[bytes]:
    """The bytes up to the end mark of a COPY, in blocks of whole lines."""
    while True:
        size, lines = 0, list[bytes]()
        while size < _BLOCK_BYTES:
            line = script.readline()
            if line == _END_OF_ROWS:
                yield b"".join(lines)
                return
            if not line:
                raise RestoreError("The rows end in the middle of a table", hint="Try another copy with --from")
            size += len(line)
            lines.append(line)
        yield b"".join(lines)
