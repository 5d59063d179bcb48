"""Workers and commands that begin as copies of an interpreter which has the program loaded, instead of loading it anew.

Each is a process of its own all the same. A test of the start itself is marked as `started`, and gets none of it.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from dgtui.engine import starting
from dgtui.engine.runs import RunPaths
from dgtui.engine.spawning import spawn_worker
from tests.support.homes import Home
from tests.support.warm_program import LONGEST_ORDER

_READ_LATE = ("DGTUI_", "MYSQL", "PATH", "PG", "PYTEST_CURRENT_TEST")
"""What the environment may hold otherwise than when the interpreter began: nothing of a start depends on it."""
_BLOCK = 1 << 16


class WarmInterpreter:
    """One that is kept for the copies, and begun with the first of them."""

    def __init__(self) -> None:
        self._whole_environment = dict(os.environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._orders, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def _start(self) -> None:
        with self._theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.warm_program", str(self._theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(self._theirs.fileno(),),
                cwd=Path(__file__).parents[2],
                env=self._whole_environment,
            )

    def close(self) -> None:
        """No more copies; those that run go on."""
        self._orders.close()
        self._theirs.close()
        if self._process is not None:
            self._process.wait()

    def fits(self, environment: dict[str, str]) -> bool:
        """Whether a program in this environment would begin as this interpreter did."""
        return _early(environment) == _early(self._whole_environment)

    def worker(self, paths: RunPaths, run_id: str, locks: tuple[int, ...], faults: int) -> int:
        """Start a worker in the present environment; its pid."""
        environment = dict(os.environ)
        if not self.fits(environment):
            return spawn_worker(paths, run_id, locks, faults)
        order = {"command": None, "worker": [str(paths.state), run_id], "folder": "/", "environment": environment}
        with self._ordered(order, (faults, *locks)) as told:
            return int(told.readline())

    def command(
        self, arguments: tuple[str, ...], environment: dict[str, str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Run a command in that environment; its exit code, output and errors. Raises TimeoutError, once it is dead."""
        with contextlib.ExitStack() as opened:
            output, their_output = _pipe(opened)
            errors, their_errors = _pipe(opened)
            nothing = opened.enter_context(Path(os.devnull).open("rb"))
            order = {"command": arguments, "folder": str(Path.cwd()), "environment": environment}
            theirs = (nothing, their_output, their_errors)
            told = opened.enter_context(self._ordered(order, tuple(stream.fileno() for stream in theirs)))
            for stream in theirs:
                stream.close()
            pid = int(told.readline())
            try:
                read = _read_all(output, errors, time.monotonic() + timeout)
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise
            return int(told.readline()), *read

    @contextlib.contextmanager
    def _ordered(self, order: dict[str, Any], descriptors: tuple[int, ...]) -> Iterator[BinaryIO]:
        """Hand over an order; what is told of the copy."""
        if self._process is None:
            self._start()
        ours, theirs = socket.socketpair()
        umask = os.umask(0o077)
        os.umask(umask)
        packet = json.dumps({**order, "umask": umask}).encode()
        assert len(packet) < LONGEST_ORDER
        with ours, theirs:
            socket.send_fds(self._orders, [packet], [theirs.fileno(), *descriptors])
            theirs.close()
            with ours.makefile("rb") as told:
                yield told


def _pipe(opened: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
    reading, writing = os.pipe()
    return opened.enter_context(os.fdopen(reading, "rb", 0)), opened.enter_context(os.fdopen(writing, "wb", 0))


def _read_all(output: BinaryIO, errors: BinaryIO, deadline: float) -> tuple[bytes, bytes]:
    read = {output: bytearray(), errors: bytearray()}
    with selectors.DefaultSelector() as waiting:
        for stream in read:
            waiting.register(stream, selectors.EVENT_READ, stream)
        while waiting.get_map():
            if not (ready := waiting.select(deadline - time.monotonic())):
                raise TimeoutError("the command takes too long")
            for key, _ in ready:
                if block := key.data.read(_BLOCK):
                    read[key.data] += block
                else:
                    waiting.unregister(key.data)
    return bytes(read[output]), bytes(read[errors])


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(_READ_LATE)}


@pytest.fixture(scope="session")
def warm_interpreter() -> Iterator[WarmInterpreter]:
    """The one of this session."""
    made = WarmInterpreter()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _starts(request: pytest.FixtureRequest, warm_interpreter: WarmInterpreter) -> Iterator[None]:
    """Begin workers and commands as copies, unless the test is marked as `started`."""
    with pytest.MonkeyPatch.context() as patched:
        if request.node.get_closest_marker("started") is None:
            patched.setattr(starting, "spawn_worker", warm_interpreter.worker)
            patched.setattr(Home, "warm", warm_interpreter)
        yield
