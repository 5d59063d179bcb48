"""A DataGuardian of its own for a test: configuration, state and storages in one temporary folder."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from dgtui.config import load_config
from dgtui.engine.facade import Engine
from dgtui.engine.model import Execution
from dgtui.engine.run_follower import RunSnapshot
from dgtui.engine.runs import RunPaths

PATIENCE_SECONDS = 120.0
"""How long a test waits for something that surely comes; it fails then, and never passes because of it."""


def wait_until(holds: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Poll until something holds; fails the test where it does not."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s in vain for: {what}")
        time.sleep(0.02)


def pid_of_worker(paths: RunPaths, run_id: str) -> int:
    """The pid of a run's worker, once whoever starts it has written it down: the worker may be ahead of that."""
    lock = paths.lock(run_id)
    wait_until(lambda: lock.stat().st_size > 0, f"the pid of the worker of run {run_id}")
    return int(lock.read_text())


class Warm(Protocol):
    """Runs commands in an interpreter that has the program loaded already; see `warm.py`."""

    def fits(self, environment: dict[str, str]) -> bool:
        """Whether a program in this environment may run in it."""

    def command(
        self, arguments: tuple[str, ...], environment: dict[str, str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Run a command; its exit code, output and errors."""


class Home:
    """A place where a test configures and runs DataGuardian."""

    warm: Warm | None = None
    """Where commands run, if not each in an interpreter of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config_path = folder / "config.toml"
        self.state = folder / "state"
        self.path_prefix = ""
        self._engines: list[Engine] = []
        self._gated = False

    def storage(self, name: str = "disk") -> Path:
        """Folder of a local storage."""
        return self.folder / name

    def configure(
        self,
        datasources: str,
        *,
        storages: tuple[str, ...] = ("disk",),
        job: str = "",
        more: str = "",
    ) -> None:
        """Write a configuration with one job `nightly` of the datasource `shop` to the storages.

        The job tries nothing twice unless it says so: what fails in a test fails at once.
        """
        job = job if "retries" in job else f"retries = 0\n{job}"
        tables = [datasources]
        tables += [
            f'[storages.{name}]\ntype = "local"\npath = {json.dumps(str(self.storage(name)))}\n' for name in storages
        ]
        tables.append(f'[jobs.nightly]\ndatasource = "shop"\nstorages = {json.dumps(list(storages))}\n{job}\n')
        self.config_path.write_text("\n".join([*tables, more]))
        self.config_path.chmod(0o600)

    @property
    def environment(self) -> dict[str, str]:
        """The environment for a child process of this home."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "MYSQL", "DGTUI_"))
        }
        environment["DGTUI_CONFIG"] = str(self.config_path)
        environment["DGTUI_STATE"] = str(self.state)
        if self.path_prefix:
            environment["PATH"] = f"{self.path_prefix}:{environment['PATH']}"
        return environment

    def engine(self, **choices: bool) -> Engine:
        """A new engine over this home, closed at the end of the test."""
        engine = Engine(load_config(self.config_path), self.state, **choices)
        self._engines.append(engine)
        return engine

    def close(self) -> None:
        """Cancel what still runs, let go and see out what waits behind the gate, and close the engines."""
        for engine in self._engines:
            for info in engine.running():
                engine.cancel(info.run_id)
        for engine in self._engines:
            engine.close()
        if self._gated:
            # The screens and commands start runs too, which no engine here knows of.
            self.open_gate()
            paths = RunPaths(self.state)
            wait_until(lambda: not paths.living(), "the end of the runs behind the gate")

    def close_catalogues(self) -> None:
        """Close what engines have open, as a process has to before it forks; each opens its own again."""
        for engine in self._engines:
            engine.close()

    @property
    def gate(self) -> str:
        """A line for a job: each of its runs waits, once it runs, until `open_gate` or the end of the test."""
        self._gated = True
        waiting = f"until [ -e {shlex.quote(str(self._opened))} ]; do sleep 0.1; done"
        return f'before = ["sh", "-c", {json.dumps(waiting)}]'

    def open_gate(self) -> None:
        """Let the runs behind the gate go on."""
        self._opened.touch()

    def close_gate(self) -> None:
        """Let those that come later wait again."""
        self._opened.unlink()

    @property
    def _opened(self) -> Path:
        return self.folder / "gate-is-open"

    def finish(self, engine: Engine, run_id: str) -> RunSnapshot:
        """Follow a run to its end."""
        follower = engine.follower(run_id, log_lines=200)

        def ended() -> bool:
            follower.poll()
            return follower.snapshot.ended

        wait_until(ended, f"the end of run {run_id}")
        wait_until(lambda: not engine.paths.is_alive(run_id), "the worker's exit")
        return follower.snapshot

    def back_up(self, job: str = "nightly") -> Execution:
        """Run a job to its end; its execution."""
        engine = self.engine()
        run_id = engine.start_job(job)
        snapshot = self.finish(engine, run_id)
        assert snapshot.status != "interrupted", snapshot.problem
        return engine.execution(run_id)

    def dgtui(self, *arguments: str, stdin: str | None = None, timeout: float = PATIENCE_SECONDS) -> "Outcome":
        """Run the program as a user would."""
        if self.warm is not None and stdin is None and self.warm.fits(self.environment):
            code, output, errors = self.warm.command(arguments, self.environment, timeout)
            return Outcome(code, output.decode(errors="surrogateescape"), errors.decode(errors="surrogateescape"))
        completed = subprocess.run(
            [sys.executable, "-m", "dgtui", *arguments],
            env=self.environment,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
            check=False,
        )
        return Outcome(completed.returncode, completed.stdout, completed.stderr)

    def litter(self) -> list[Path]:
        """Everything a finished or failed run must not leave: unfinished folders, temporary files."""
        names = [path for path in self.folder.rglob("*") if path.name.startswith((".partial", ".deleted"))]
        return [*names, *(self.state / "scratch").glob("*")]


class Outcome:
    """How a command ended."""

    def __init__(self, exit_code: int, output: str, errors: str) -> None:
        self.exit_code = exit_code
        self.output = output
        self.errors = errors

    def json(self) -> Any:
        """The output as JSON."""
        return json.loads(self.output)

    def __repr__(self) -> str:
        return f"exit {self.exit_code}\n--- output\n{self.output}\n--- errors\n{self.errors}"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A DataGuardian of its own."""
    made = Home(tmp_path)
    yield made
    made.close()


@pytest.fixture
def tree(home: Home) -> Path:
    """The small folder that is the datasource of a home."""
    folder = home.folder / "tree"
    folder.mkdir()
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{folder}"\n')
    return folder
