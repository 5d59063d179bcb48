"""The program on a terminal of its own: what it sends, how soon it answers, and what CPU it takes."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

MEASURE_SECONDS = 8.0
MEASUREMENTS = 3
_PROCESS_CLOCK = 2
"""The clock of what the scheduler gave to a process, as the kernel numbers it beside the inverted process id."""


class Terminal:
    """The program on a terminal of 100 x 30."""

    def __init__(self, home: Path) -> None:
        self.started = time.monotonic()
        self.pid, self._controller = pty.fork()
        if self.pid == 0:
            os.environ.update(
                DGTUI_CONFIG=str(home / "config.toml"),
                DGTUI_STATE=str(home / "state"),
                TERM="xterm-256color",
                COLORTERM="truecolor",
                LANG="C.UTF-8",
            )
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
            os.execv(sys.executable, [sys.executable, "-m", "dgtui"])
        fcntl.ioctl(self._controller, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))

    def read(self, seconds: float) -> bytes:
        """Everything that is sent in a span of time."""
        deadline, sent = time.monotonic() + seconds, b""
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._controller], [], [], left)[0]:
                with contextlib.suppress(OSError):
                    sent += os.read(self._controller, 1 << 20)
        return sent

    def until(self, text: bytes, seconds: float = 60.0) -> float:
        """Seconds since the start when a text was sent."""
        deadline, sent = time.monotonic() + seconds, b""
        while text not in sent:
            if time.monotonic() > deadline:
                raise SystemExit(f"{text!r} never came")
            sent += self.read(0.005)
        return time.monotonic() - self.started

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._controller, keys)

    def cpu_seconds(self) -> float:
        """User and system time of the program so far, of all its threads: to the nanosecond, not by the tick."""
        return time.clock_gettime((~self.pid << 3) | _PROCESS_CLOCK)

    def measure(self, what: str) -> None:
        """Print bytes a second and CPU over some seconds, several times."""
        sent, cpus = [], []
        for _ in range(MEASUREMENTS):
            before = self.cpu_seconds()
            sent.append(len(self.read(MEASURE_SECONDS)) / MEASURE_SECONDS)
            cpus.append((self.cpu_seconds() - before) / MEASURE_SECONDS * 100)
        print(
            f"{what:<36} median {statistics.median(sent):5.0f} B/s, most {max(sent):5.0f} B/s;"
            f" median {statistics.median(cpus):3.1f} % CPU, most {max(cpus):3.1f} %",
            flush=True,
        )

    def answer(self, keys: bytes) -> tuple[float, int]:
        """Press keys; seconds until the first byte of the answer, and how many bytes came until it was quiet again."""
        started = time.monotonic()
        self.press(keys)
        if not select.select([self._controller], [], [], 5)[0]:
            raise SystemExit(f"{keys!r} was not answered")
        waited = time.monotonic() - started
        sent = 0
        while select.select([self._controller], [], [], 0.03)[0]:
            sent += len(os.read(self._controller, 1 << 20))
        return waited, sent

    def measure_keys(self, what: str, keys: Sequence[bytes]) -> None:
        """Print how soon keys are answered, one after the other."""
        before = self.cpu_seconds()
        answers = [self.answer(key) for key in keys]
        cpu = (self.cpu_seconds() - before) / len(keys)
        waits = sorted(waited * 1000 for waited, _ in answers)
        sent = sum(count for _, count in answers) / len(keys)
        print(
            f"{what:<36} median {statistics.median(waits):3.0f} ms, 95 % {waits[len(waits) * 95 // 100]:3.0f} ms,"
            f" worst {waits[-1]:3.0f} ms, {sent:5.0f} B and {cpu * 1000:.0f} ms of CPU a key",
            flush=True,
        )

    def close(self) -> None:
        """End the program."""
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        # A program whose terminal nobody reads waits for ever to write to it.
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            self.read(0.02)
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                print("the program did not end", flush=True)
        os.close(self._controller)
