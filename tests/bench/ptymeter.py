"""What the screens cost: seconds to the first paint, bytes to the terminal, CPU, and how soon a key is answered.

Run it with: python -m tests.bench.ptymeter [start] [early] [quiet] [backup] [scrolling] [frozen]
"""

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dgtui.config import load_config
from dgtui.engine.facade import Engine
from dgtui.engine.model import Copy, Execution
from dgtui.engine.storages.local_marker import MARKER
from tests.bench.terminal import Terminal

DATASOURCES = 50
EXECUTIONS = 5000
"""All of one datasource, so that one list holds them; each of the others has two more."""
STARTS = 7
BUDGETS = "first paint 0.6 s; idle 0 B/s; a backup 2048 B/s and 3 % CPU; a key 0.05 s, frozen 0.1 s"
_FROZEN_SERVERS = 6


@contextlib.contextmanager
def prepared_home() -> Iterator[Path]:
    """Many datasources, thousands of executions, and a job that takes a while."""
    home = Path(tempfile.mkdtemp(prefix="dgtui-bench-"))
    try:
        database = home / "big.db"
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("CREATE TABLE t (b BLOB)")
            connection.executemany("INSERT INTO t VALUES (randomblob(1000000))", [()] * 700)
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
    """Measure and print what is named, or everything."""
    cases: dict[str, Callable[[Path], None]] = {
        "start": measure_start,
        "early": measure_early,
        "quiet": measure_quiet,
        "backup": measure_backup,
        "scrolling": measure_scrolling,
        "frozen": measure_frozen,
    }
    print(f"budgets: {BUDGETS}; load {os.getloadavg()[0]:.1f}")
    with prepared_home() as home:
        for name in sys.argv[1:] or cases:
            cases[name](home)
    print(f"load {os.getloadavg()[0]:.1f}")


@contextlib.contextmanager
def _opened(home: Path, seconds: float = 3.0) -> Iterator[Terminal]:
    """The program, some seconds after its first screen stood."""
    terminal = Terminal(home)
    try:
        terminal.until(b"d05")
        terminal.read(seconds)
        yield terminal
    finally:
        terminal.close()


def measure_start(home: Path) -> None:
    """Seconds until the names of the datasources stand."""
    walls, cpus = [], []
    for _ in range(STARTS):
        terminal = Terminal(home)
        walls.append(terminal.until(b"d05"))
        cpus.append(terminal.cpu_seconds())
        terminal.close()
    print(
        f"{'first paint':<36} best {min(walls):.2f} s, median {statistics.median(walls):.2f} s;"
        f" CPU best {min(cpus):.2f} s, median {statistics.median(cpus):.2f} s",
        flush=True,
    )


def measure_early(home: Path) -> None:
    """Every place, each opened for the first time, by somebody who begins as soon as the names stand."""
    for seconds in (0.0, 0.5, 3.0):
        with _opened(home, seconds) as terminal:
            what = f"places, each for the first time, {seconds:g} s"
            terminal.measure_keys(what, [b"4", b"3", b"5", b"6", b"0", b"2"])


def measure_quiet(home: Path) -> None:
    """Bytes and CPU while nothing happens."""
    with _opened(home, 25) as terminal:
        terminal.measure("idle")


def measure_backup(home: Path) -> None:
    """Bytes and CPU while a backup runs, first with its panel open, then with a line in the strip."""
    with _opened(home) as terminal:
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


def measure_scrolling(home: Path) -> None:
    """Keys in a list of thousands, while it is loaded and afterwards."""
    with _opened(home) as terminal:
        terminal.press(b"2")
        terminal.until(b"d01")
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
        marker.parent.mkdir(exist_ok=True)
        marker.unlink(missing_ok=True)
        os.mkfifo(marker)
        with _opened(home) as terminal:
            terminal.measure_keys("frozen: places", [b"4", b"3", b"5", b"1"] * 6)
            terminal.measure_keys("frozen: rows", [b"\x1b[B", b"\x1b[A"] * 15)


def _cancel(home: Path) -> None:
    engine = Engine(load_config(home / "config.toml"), home / "state")
    for info in engine.running():
        engine.cancel(info.run_id)
        while engine.paths.is_alive(info.run_id):
            time.sleep(0.1)
    engine.close()


if __name__ == "__main__":
    main()
