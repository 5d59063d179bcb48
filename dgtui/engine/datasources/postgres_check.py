"""Whether an archive is whole: `pg_restore` reads it to its end, fed while the archive streams by."""

import os
import select
import subprocess
from collections.abc import Iterable

from dgtui.engine.child import Child, describe_exit, widen_pipe
from dgtui.engine.datasources.dumping import ArchiveCheck
from dgtui.engine.datasources.postgres_toc import MAGIC
from dgtui.engine.datasources.postgres_tools import buffered, newest_tool
from dgtui.engine.errors import IdleTimeout, ToolTooOld, ValidationError
from dgtui.engine.tee import tee

_IDLE_SECONDS = 600.0
_END_SECONDS = 600.0


class PostgresArchiveCheck(ArchiveCheck):
    """Feeds `pg_restore -f -`, which has to understand every byte; what it writes goes nowhere.

    Bytes after the archive's end are no damage: pg_restore never reads them, at a restore neither.
    """

    def __init__(self, more_folders: Iterable[str] = ()) -> None:
        """`more_folders` are searched for pg_restore beside the usual ones."""
        tool = newest_tool("pg_restore", more_folders)
        self._child = Child(
            [*buffered("-i", "-o"), tool.path, "-f", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        self._input = self._child.stdin_fd
        widen_pipe(self._input)
        os.set_blocking(self._input, False)
        self._head = b""
        self._ended = False

    def feed(self, block: bytes) -> None:
        """Hand the block to pg_restore; raises ValidationError where it gave up."""
        if len(self._head) < len(MAGIC):
            self._head += bytes(block[: len(MAGIC)])
            if not MAGIC.startswith(self._head[: len(MAGIC)]):
                raise ValidationError("The dump is no archive of pg_dump in custom format")
        if self._ended:
            return
        try:
            written = os.write(self._input, block)
            if written != len(block):
                self._write_rest(memoryview(block)[written:])
        except BlockingIOError:
            self._feed_waiting(block)
        except BrokenPipeError:
            self._judge()

    def copy_from(self, pipe: int, at_most: int) -> int:
        """Let the system hand pg_restore what waits in a pipe, once its beginning was seen."""
        if self._ended or len(self._head) < len(MAGIC):
            return 0
        return tee(pipe, self._input, at_most)

    def _feed_waiting(self, block: bytes) -> None:
        try:
            self._write_rest(memoryview(block))
        except BrokenPipeError:
            self._judge()

    def _write_rest(self, view: memoryview) -> None:
        while view:
            _, writable, _ = select.select([], [self._input], [], _IDLE_SECONDS)
            if not writable:
                raise IdleTimeout(f"pg_restore took no data for {_IDLE_SECONDS:.0f} s", subject="pg_restore")
            try:
                view = view[os.write(self._input, view) :]
            except BlockingIOError:
                continue

    def finish(self) -> None:
        """Close the input and take pg_restore's verdict."""
        if not self._head:
            self.stop()
            raise ValidationError("The dump is empty", hint="Run the job again; the log of the dump tool tells more")
        self._child.close_stdin()
        self._judge()

    def stop(self) -> None:
        """End pg_restore."""
        self._child.stop()

    def _judge(self) -> None:
        try:
            code = self._child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.stop()
            raise IdleTimeout(f"pg_restore did not end within {_END_SECONDS:.0f} s", subject="pg_restore") from None
        self._ended = True
        self._child.close()
        if code == 0:
            return
        lines = tuple(self._child.tail)
        text = "\n".join(lines)
        if "unsupported version" in text or "not supported by this installation" in text:
            raise ToolTooOld(
                "The installed pg_restore cannot read this archive, which a newer or differently built pg_dump made",
                subject="pg_restore",
                hint="Install the postgresql-client package of the version that made the archive",
                detail=lines,
            )
        reason = lines[-1].removeprefix("pg_restore: error: ") if lines else describe_exit(code)
        raise ValidationError(f"The dump is incomplete or damaged: {reason}", detail=lines)
