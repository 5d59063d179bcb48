"""The programs that a job runs before and after its backup."""

import contextlib
import subprocess
from collections.abc import Sequence
from typing import IO

from dgtui.config import JobSettings
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.child import Child, describe_exit, printable
from dgtui.engine.errors import BackupCreationError, DataGuardianError, ToolMissing
from dgtui.engine.model import Problem
from dgtui.engine.reporting import Reporter
from dgtui.engine.threads import Thread

_READER_SECONDS = 2.0


class JobCommands:
    """Runs `before` and `after` of one run; their lines go into the run's log."""

    def __init__(
        self, job: JobSettings, job_name: str, execution_id: str, reporter: Reporter, cancellation: Cancellation
    ) -> None:
        self._job = job
        self._reporter = reporter
        self._cancellation = cancellation
        self._begun = False
        self._environment = {
            "DGTUI_JOB": job_name,
            "DGTUI_DATASOURCE": job.datasource,
            "DGTUI_EXECUTION_ID": execution_id,
        }

    def before(self) -> None:
        """Run `before`. Raises BackupCreationError or ToolMissing where it does not succeed."""
        self._begun = True
        self._run("before", self._job.before, int(self._job.before_timeout), {})

    def after(self, status: str, problem: Problem | None) -> tuple[str, ...]:
        """Run `after` with the outcome in its environment; what is to be warned of where it does not succeed.

        It is run however the backup ended, also when `before` failed: it may have to put back what that one changed.
        """
        if not self._begun:
            return ()
        outcome = {"DGTUI_STATUS": status, "DGTUI_ERROR": problem.message if problem is not None else ""}
        try:
            self._run("after", self._job.after, int(self._job.after_timeout), outcome)
        except DataGuardianError as error:
            self._reporter.log(error.message, level="warning")
            return (error.message,)
        return ()

    def _run(self, when: str, command: Sequence[str], timeout: int, outcome: dict[str, str]) -> None:
        if not command:
            return
        self._reporter.log(f"Running {when}: {' '.join(map(printable, command))}")
        environment = {**self._environment, "DGTUI_WHEN": when, **outcome}
        child: Child | None = None
        ended = False
        try:
            # Cancelled while it is started, it would be left running: nobody would hold it yet.
            with self._cancellation.shield():
                child = self._start(when, command, environment)
            tail = self._follow(child, when, timeout)
            ended = True
        finally:
            # What a program that ended well has left running is meant to stay: a tunnel, a mount.
            if child is not None and not ended:
                child.stop()
        if child.process.returncode != 0:
            raise BackupCreationError(
                f"The program of `{when}` failed with {describe_exit(child.process.returncode)}",
                subject=command[0],
                hint="Its lines are in the run's log" + (": nothing was backed up" if when == "before" else ""),
                detail=tail or tuple(child.tail),
            )

    def _start(self, when: str, command: Sequence[str], environment: dict[str, str]) -> Child:
        try:
            return Child(command, environment=environment, on_line=lambda line: self._log(when, line), trusted=True)
        except ToolMissing as error:
            raise ToolMissing(
                f"The program of `{when}` cannot be run: {error.message}",
                subject=command[0],
                hint=f"Correct `{when}` in the job: the whole path of a program that this user may execute",
            ) from None
        except OSError as error:
            raise BackupCreationError(
                f"The program of `{when}` cannot be run: {error.strerror}", subject=command[0]
            ) from None

    def _follow(self, child: Child, when: str, timeout: int) -> tuple[str, ...]:
        """Log what a child says until it ends; its last lines. Raises BackupCreationError where it takes too long."""
        assert child.process.stdout is not None
        reader = Thread(target=self._read, args=(child, child.process.stdout, when), daemon=True)
        reader.start()
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.stop()
            raise BackupCreationError(
                f"The program of `{when}` took longer than {timeout} s and was ended",
                subject=child.name,
                hint=f"If it needs that long, set {when}_timeout in the job",
                detail=tuple(child.tail),
            ) from None
        finally:
            reader.join(_READER_SECONDS)
        return tuple(child.tail)

    def _read(self, child: Child, stream: IO[bytes], when: str) -> None:
        with contextlib.suppress(ValueError, OSError):
            while raw := stream.readline(4096):
                line = printable(raw.decode("utf-8", "backslashreplace").rstrip("\n"))
                if line:
                    child.tail.append(line)
                    self._log(when, line)

    def _log(self, when: str, line: str) -> None:
        self._reporter.log(line, origin=when)
