"""What the screens cost: seconds to the first paint, bytes to the terminal, CPU, and how soon a key is answered.

Run it with: python -m tests.bench.ptymeter
"""

import contextlib
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import socket
import sqlite3
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dgtui.config import load_config
from dgtui.engine.facade import Engine
from dgtui.engine.model import Copy, Execution
from dgtui.engine.storages.local_marker import MARKER

DATASOURCES = 50
EXECUTIONS = 5000
"""All of one datasource, so that one list holds them; each of the others has two more."""
STARTS = 7
MEASURE_SECONDS = 8.0
BUDGETS = "first paint 0.6 s; idle 0 B/s; a backup 2048 B/s and 3 % CPU; a key 0.05 s, frozen 0.1 s"
_FROZEN_SERVERS = 6
_TICKS = os.sysconf("SC_CLK_TCK")


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
        """User and system time of the program so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def measure(self, what: str) -> None:
        """Print bytes a second and CPU over some seconds."""
        before = self.cpu_seconds()
        sent = self.read(MEASURE_SECONDS)
        cpu = (self.cpu_seconds() - before) / MEASURE_SECONDS
        print(f"{what:<34} {len(sent) / MEASURE_SECONDS:8.0f} B/s  {cpu * 100:5.1f} % CPU", flush=True)

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
            f"{what:<34} median {statistics.median(waits):3.0f} ms, 95 % {waits[len(waits) * 95 // 100]:3.0f} ms,"
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


@contextlib.contextmanager
def prepared_home() -> Iterator[Path]:
    """Many datasources, thousands of executions, and a job that takes a while."""
    home = Path(tempfile.mkdtemp(prefix="dgtui-bench-"))
    try:
        database = home / "big.db"
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("CREATE TABLE t (b BLOB)")
            connection.executemany("INSERT INTO t VALUES (randomblob(1000000))", [()] * 400)
        path = json.dumps(str(database))
        tables = [f'[datasources.d{n:02}]\ntype = "sqlite"\npath = {path}\n' for n in range(DATASOURCES)]
        tables.append(f'[storages.disk]\ntype = "local"\npath = {json.dumps(str(home / "disk"))}\n')
        tables.append(
            '[jobs.slow]\ndatasource = "d00"\nstorages = ["disk"]\ncompression = "zstd:19"\ncompression_threads = 1\n'
        )
        (home / "config.toml").write_text("\n".join(tables))
        _fill(Engine(load_config(home / "config.toml"), home / "state"))
        yield home
    finally:
        shutil.rmtree(home)


def _fill(engine: Engine) -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    names = [f"d{number % DATASOURCES:02}" for number in range(2 * DATASOURCES)] + ["d01"] * EXECUTIONS
    for number, name in enumerate(names):
        moment = start + timedelta(hours=number)
        identity = f"{number:08x}-0000-4000-8000-000000000000"
        engine.catalog.save_execution(
            Execution(
                execution_id=identity,
                job_id="11111111-0000-4000-8000-000000000000",
                job="slow",
                datasource=name,
                datasource_type="sqlite",
                status="completed",
                backup_type="full",
                started_at=moment,
                finished_at=moment + timedelta(minutes=2),
                total_size_bytes=10**9,
                compressed_size_bytes=10**8,
                folder=moment.strftime("%Y-%m-%d_%H%M%S"),
                copies=(Copy(storage="disk", status="available", path=f"/disk/{identity}"),),
            )
        )
    engine.close()


def main() -> None:
    """Measure and print."""
    print(f"budgets: {BUDGETS}; load {os.getloadavg()[0]:.1f}")
    with prepared_home() as home:
        measure_start(home)
        terminal = Terminal(home)
        terminal.until(b"d05")
        terminal.read(25)
        terminal.measure("idle")
        measure_backup(home, terminal)
        measure_scrolling(terminal)
        terminal.close()
        measure_frozen(home)
    print(f"load {os.getloadavg()[0]:.1f}")


def measure_start(home: Path) -> None:
    """Seconds until the names of the datasources stand."""
    walls, cpus = [], []
    for _ in range(STARTS):
        terminal = Terminal(home)
        walls.append(terminal.until(b"d05"))
        cpus.append(terminal.cpu_seconds())
        terminal.close()
    print(
        f"{'first paint':<34} best {min(walls):.2f} s, median {statistics.median(walls):.2f} s;"
        f" CPU best {min(cpus):.2f} s, median {statistics.median(cpus):.2f} s",
        flush=True,
    )


def measure_backup(home: Path, terminal: Terminal) -> None:
    """Bytes and CPU while a backup runs, first with its panel open, then with a line in the strip."""
    terminal.press(b"b")
    terminal.read(2)
    terminal.press(b"\r")
    terminal.read(3)
    terminal.measure("a backup, its panel open")
    terminal.press(b"h")
    terminal.read(2)
    terminal.measure("a backup, in the strip")
    with contextlib.closing(Engine(load_config(home / "config.toml"), home / "state")) as engine:
        if not engine.running():
            raise SystemExit("the backup ended before it was measured: make it longer")
    _cancel(home)
    terminal.read(5)


def measure_scrolling(terminal: Terminal) -> None:
    """Keys in a list of thousands, while it is loaded and afterwards."""
    terminal.press(b"2")
    terminal.until(b"Backups of")
    terminal.measure_keys("places, while 5000 backups load", [b"1", b"2"] * 10)
    # The last one in the list of datasources that have backups is not the big one.
    terminal.press(b"\x1b[D\x1b[H\x1b[B")
    terminal.measure_keys("the list of datasources, meanwhile", [b"\x1b[A", b"\x1b[B"] * 10)
    terminal.press(b"\x1b[C")
    terminal.read(5)
    terminal.measure_keys("5000 backups, a row", [b"\x1b[B"] * 60)
    terminal.measure_keys("5000 backups, a page", [b"\x1b[6~"] * 60)
    terminal.measure_keys("5000 backups, to the end and back", [b"\x1b[F", b"\x1b[H"] * 10)


def measure_frozen(home: Path) -> None:
    """Keys while servers take connections and say nothing, and a storage never comes back from opening a file."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        silent = "".join(
            f'[datasources.silent{number}]\ntype = "postgres"\nhost = "127.0.0.1"\nport = {port}\ndatabase = "x"\n'
            'username = "x"\ntls = "disable"\nconnect_timeout = 60\ncheck_timeout = 60\n'
            for number in range(_FROZEN_SERVERS)
        )
        with (home / "config.toml").open("a") as config:
            config.write(silent)
        marker = home / "disk" / MARKER
        marker.unlink(missing_ok=True)
        os.mkfifo(marker)
        terminal = Terminal(home)
        terminal.until(b"d05")
        terminal.read(3)
        terminal.measure_keys("frozen: places", [b"4", b"3", b"5", b"1"] * 6)
        terminal.measure_keys("frozen: rows", [b"\x1b[B", b"\x1b[A"] * 15)
        terminal.close()


def _cancel(home: Path) -> None:
    engine = Engine(load_config(home / "config.toml"), home / "state")
    for info in engine.running():
        engine.cancel(info.run_id)
        while engine.paths.is_alive(info.run_id):
            time.sleep(0.1)
    engine.close()


if __name__ == "__main__":
    main()
