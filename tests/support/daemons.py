"""Real daemons for tests: started as a process, told on by their log and their notifications."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dgtui.engine.guardian.status import DaemonStatus, daemon_status
from dgtui.engine.runs import RunPaths
from tests.support.homes import PATIENCE_SECONDS, Home, wait_until


class RunningDaemon:
    """A daemon of a test's home, ended with the test."""

    def __init__(self, home: Home, **environment: str) -> None:
        self.home = home
        self.log_path = home.folder / "daemon.log"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dgtui", "daemon"],
                env={**home.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        """What it said so far."""
        return self.log_path.read_text()

    def status(self) -> DaemonStatus:
        """What it tells of itself."""
        return daemon_status(RunPaths(self.home.state))

    def says_config_is_wrong(self) -> bool:
        """Whether it works with the last good configuration, and has told that."""
        report = self.status().report
        return report is not None and report.config_problem is not None

    def wait_ready(self) -> "RunningDaemon":
        """Wait until it guards."""
        wait_until(lambda: self._alive() and self.status().report is not None, "the daemon")
        return self

    def wait_for(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something that the living daemon does."""
        wait_until(lambda: self._alive() and holds(), what)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def _alive(self) -> bool:
        assert self.process.poll() is None, self.log
        return True


class Notifications:
    """The socket that systemd would listen on."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify.socket"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        self.received: list[str] = []

    def take(self) -> list[str]:
        """All that came so far, in order."""
        while True:
            try:
                self.received += self._socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                return self.received

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


StartDaemon = Callable[..., RunningDaemon]


@pytest.fixture
def start_daemon(home: Home) -> Iterator[StartDaemon]:
    """Starts daemons of the home."""
    started: list[RunningDaemon] = []

    def start(**environment: str) -> RunningDaemon:
        daemon = RunningDaemon(home, **environment)
        started.append(daemon)
        return daemon

    yield start
    for daemon in started:
        if daemon.process.poll() is None:
            os.kill(daemon.process.pid, signal.SIGKILL)
            daemon.process.wait(PATIENCE_SECONDS)
