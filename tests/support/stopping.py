"""Workers that die of SIGKILL, or are asked to stop, at their Nth step.

A step is whatever others could see: a phase, a line of the restore's record, a statement that makes, renames or drops
something, a transaction's end, a file or folder that is made, renamed, linked or removed beside the target.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine import starting
from dgtui.engine.catalog import Catalog
from dgtui.engine.facade import Engine
from dgtui.engine.messages import PhaseMessage
from dgtui.engine.restore_model import Restore
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.spawning import Start
from tests.support.forking import forked
from tests.support.homes import Home

_FILE_EVENTS = frozenset({"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"})
_STATEMENTS = ("ALTER DATABASE", "CREATE DATABASE", "DROP DATABASE", "RENAME TABLE")
_SWAP_STATEMENTS = ("ALTER TABLE", "COMMIT", "CREATE TABLE", "DROP", "INSERT INTO", "LOCK TABLES", "UNLOCK TABLES")
"""Steps too, where they are made at a swap: they move what a database holds beside its tables."""


class Stopping:
    """Restores of a home that are stopped at a step; their steps stand in a file."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch, *, sent: signal.Signals = signal.SIGKILL) -> None:
        self._home = home
        self._monkeypatch = monkeypatch
        self._sent = sent
        self._file = home.folder / "steps"

    def at(self, number: int, start: Callable[[Engine], str]) -> Restore:
        """Start a restore that is stopped at that step, 0 for none; its record as the worker left it."""
        self._file.write_text("")
        self._home.close_catalogues()
        engine = self._home.engine(fork_workers=True)
        with self._monkeypatch.context() as patched:
            patched.setattr(starting, "fork_worker", _stopped_at(number, self._file, self._sent))
            run_id = start(engine)
        os.waitpid(int(engine.paths.lock(run_id).read_text()), 0)
        return engine.restore(run_id)

    @property
    def steps(self) -> list[str]:
        """The names of the last run's steps, the first one's number is 1."""
        return [line.partition(" ")[2] for line in self._file.read_text().splitlines()]

    def first(self, step: str) -> int:
        """The number of the first step of a name."""
        return self.steps.index(step) + 1


def _stopped_at(number: int, steps: Path, sent: signal.Signals) -> Start:
    """Starts workers that get a signal before that step; `steps` gets the name of each. No catalogue may be open."""

    return forked(lambda: _watch(_Steps(number, steps, sent)))


class _Steps:
    def __init__(self, number: int, file: Path, sent: signal.Signals) -> None:
        self._number = number
        self._sent = sent
        self._file = file.open("a")
        self._count = 0
        self.phase = ""

    def take(self, name: str) -> None:
        """The next step is about to be made."""
        if self.phase == "phase create" and name.startswith(("os.remove", "DROP")):
            # What an earlier one left is removed first, where it left anything: the numbers shall not depend on it.
            return
        self._count += 1
        self.phase = name if name.startswith("phase ") else self.phase
        self._file.write(f"{self._count} {name}\n")
        self._file.flush()
        if self._count == self._number:
            os.kill(os.getpid(), self._sent)


def _before(owner: Any, method: str, step: Callable[..., str | None], steps: _Steps) -> None:
    real = getattr(owner, method)

    def call(*arguments: Any, **named: Any) -> Any:
        name = step(*arguments)
        if name is not None:
            steps.take(name)
        return real(*arguments, **named)

    setattr(owner, method, call)


def _statement(_cursor: object, query: Any, *_: object) -> str | None:
    text = query if isinstance(query, str) else query.as_string(None) if hasattr(query, "as_string") else ""
    return text[:60] if text.startswith(_STATEMENTS) else None


def _swap_statement(steps: _Steps) -> Callable[..., str | None]:
    def statement(cursor: object, query: Any, *_: object) -> str | None:
        at_swap = steps.phase == "phase swap" and isinstance(query, str) and query.startswith(_SWAP_STATEMENTS)
        return query[:60] if at_swap else _statement(cursor, query)

    return statement


def _watch(steps: _Steps) -> None:
    import psycopg
    import pymysql.cursors

    _before(
        RunWriter, "write", lambda _, said: f"phase {said.phase}" if isinstance(said, PhaseMessage) else None, steps
    )
    _before(Catalog, "save_restore", lambda _, restore: f"record {restore.status}", steps)
    _before(psycopg.Connection, "execute", _statement, steps)
    _before(pymysql.cursors.Cursor, "execute", _swap_statement(steps), steps)
    _before(psycopg.Transaction, "__exit__", lambda *_: "end of a transaction", steps)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        paths = [os.fsdecode(part) for part in arguments if isinstance(part, str | bytes | os.PathLike)]
        if event in _FILE_EVENTS and any("__dgtui" in path for path in paths):
            # What is not there is not removed either.
            if event != "os.remove" or not paths[0].startswith("/") or os.path.lexists(paths[0]):
                steps.take(event)
        elif event == "subprocess.Popen" and steps.phase == "phase swap":
            steps.take(f"run {Path(os.fsdecode(arguments[0])).name}")
        elif event == "ctypes.dlsym" and arguments[1] == "renameat2" and steps.phase == "phase swap":
            steps.take("exchange or rename")

    sys.addaudithook(hook)
