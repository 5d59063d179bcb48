"""The health worker: a cycle over 200 datasources of which 10 are frozen, the idle daemon, and a catalogue of years.

    python tests/bench/bench_health.py cycle
    python tests/bench/bench_health.py idle --seconds 60
    python tests/bench/bench_health.py commands

`cycle` asks real PostgreSQL and MariaDB servers; the frozen ones belong to a server that is stopped with SIGSTOP.
`commands` fills a catalogue with a million checks and 100 000 executions, and times every command that looks at it.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dgtui.config import load_config  # noqa: E402
from dgtui.engine.catalog import Catalog  # noqa: E402
from dgtui.engine.catalog.database import time_text  # noqa: E402
from dgtui.engine.catalog.health import HealthRecords, health_checks  # noqa: E402
from dgtui.engine.catalog.tables import copies, executions  # noqa: E402
from dgtui.engine.facade import Engine  # noqa: E402
from dgtui.engine.health import HealthWorker  # noqa: E402
from dgtui.engine.messages import now  # noqa: E402
from tests.support.homes import Home  # noqa: E402
from tests.support.mariadb import MariadbServer  # noqa: E402
from tests.support.postgres import running_server  # noqa: E402

DATASOURCES = 200
FROZEN = 10
TIMEOUT_SECONDS = 10
CHECKS = 1_000_000
EXECUTIONS = 100_000
COMMANDS = (
    ("list", "--limit", "50"),
    ("list", "--job", "job7", "--limit", "20"),
    ("show", "job7@latest"),
    ("status",),
    ("health",),
    ("health", "d7"),
    ("health", "d7", "--history"),
    ("health", "--history"),
    ("notifications",),
    ("audit",),
)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cycle", "idle", "commands"))
    parser.add_argument("--seconds", type=int, default=60, help="how long the idle daemon is watched")
    parser.add_argument("--in-child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_child:
        one_cycle(Path(options.in_child))
        return
    with tempfile.TemporaryDirectory(prefix="dgbench-") as folder:
        home = Home(Path(folder))
        if options.what == "commands":
            measure_commands(home)
            return
        with many_datasources(home):
            if options.what == "cycle":
                subprocess.run(
                    [sys.executable, __file__, "cycle", "--in-child", folder], env=home.environment, check=True
                )
            else:
                measure_idle(home, options.seconds)


@contextmanager
def many_datasources(home: Home) -> Iterator[None]:
    """A configuration of 200 datasources on real servers, 10 of them on a frozen one."""
    mariadb = MariadbServer("--max-connections=300")
    mariadb.start()
    with running_server() as postgres, running_server() as frozen:
        database = mariadb.create_database("shop")
        stopped = frozen.processes()
        frozen.signal_all(signal.SIGSTOP)
        tables = []
        for number in range(DATASOURCES):
            name = "shop" if number == 0 else f"d{number}"
            if number >= DATASOURCES - FROZEN or number % 2 == 0:
                port = frozen.port if number >= DATASOURCES - FROZEN else postgres.port
                tables.append(
                    f"[datasources.{name}]\ntype = 'postgres'\nport = {port}\nusername = 'postgres'\n"
                    f"database = 'postgres'\ncheck_timeout = {TIMEOUT_SECONDS}\n"
                )
            else:
                tables.append(mariadb.config(database, name) + f"check_timeout = {TIMEOUT_SECONDS}\n")
        home.configure("\n".join(tables))
        try:
            yield
        finally:
            for process in stopped:
                os.kill(process, signal.SIGCONT)
            mariadb.remove()


def one_cycle(folder: Path) -> None:
    """Check everything once, in a process of its own."""
    engine = Engine(load_config(folder / "config.toml"), folder / "state")
    worker = HealthWorker(engine)
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
    # The first one knows of nothing that hangs; the second begins with it.
    for number in ("first", "second"):
        started, cpu = time.monotonic(), time.process_time()
        worker.check(engine.health.watched(), threading.Event())
        took, used = time.monotonic() - started, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{number} cycle {took:.1f} s (allowed {TIMEOUT_SECONDS + 10}), CPU {used:.2f} s, peak {peak:.0f} MiB")
    print(dict(Counter(f"{state.subject.kind} {state.result}" for state in engine.health.states().values())))
    engine.close()


def measure_idle(home: Home, seconds: int) -> None:
    """CPU and memory of a daemon that has nothing to do but its usual checks."""
    daemon = subprocess.Popen(
        [sys.executable, "-m", "dgtui", "daemon"], env=home.environment, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(60)  # the first round is spread over half a minute
        before, checks = cpu_seconds(daemon.pid), count_checks(home)
        time.sleep(seconds)
        used, done = cpu_seconds(daemon.pid) - before, count_checks(home) - checks
        status = dict(line.split(":", 1) for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines())
        print(
            f"{used / seconds * 100:.2f} % CPU over {seconds} s with {done} checks, "
            f"{used * 1000 / max(done, 1):.1f} ms each"
        )
        print(f"memory now {status['VmRSS'].strip()}, peak {status['VmHWM'].strip()}")
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def cpu_seconds(process: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def count_checks(home: Home) -> int:
    """How many checks are in the catalogue."""
    script = (
        "import sqlite3,sys; print(sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True)"
        ".execute('SELECT count(*) FROM health_checks').fetchone()[0])"
    )
    command = [sys.executable, "-c", script, str(home.state / "catalog.db")]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_commands(home: Home) -> None:
    """Time every command over a catalogue of years."""
    tables = [f"[datasources.d{n}]\ntype = 'sqlite'\npath = '/nowhere/{n}.db'\n" for n in range(1, DATASOURCES)]
    home.configure("\n".join(["[datasources.shop]\ntype = 'sqlite'\npath = '/nowhere/0.db'\n", *tables]))
    print(f"load of the machine {os.getloadavg()[0]:.1f}; a command over an empty catalogue:")
    time_commands(home, COMMANDS[:1])
    catalog = Catalog(home.state)
    started = time.monotonic()
    fill(catalog)
    print(f"filled in {time.monotonic() - started:.0f} s, {catalog.path.stat().st_size / 2**20:.0f} MiB")
    time_commands(home, COMMANDS)
    started = time.monotonic()
    removed, records = 0, HealthRecords(catalog)
    while gone := records.thin(now()):
        removed += gone
    print(f"thinned {removed:,} of {CHECKS:,} checks in {time.monotonic() - started:.1f} s")
    catalog.close()


def time_commands(home: Home, commands: Sequence[tuple[str, ...]]) -> None:
    """Print wall and CPU time of each command, the best of three."""
    for arguments in commands:
        best, used = 1e9, 1e9
        for _ in range(3):
            started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
            done = home.dgtui(*arguments)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            best = min(best, time.monotonic() - started)
            used = min(used, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        print(f"{best:6.2f} s wall {used:6.2f} s CPU  exit {done.exit_code}  dgtui {' '.join(arguments)}", flush=True)


def fill(catalog: Catalog) -> None:
    """A million checks, and 100 000 executions of 50 jobs with two copies each."""
    end = now()
    each = CHECKS // DATASOURCES
    with catalog.transaction() as connection:
        for number in range(DATASOURCES):
            name = "shop" if number == 0 else f"d{number}"
            rows = [
                {
                    "subject_kind": "datasource",
                    "subject": name,
                    "checked_at": time_text(end - timedelta(minutes=5 * place + number / 40)),
                    "result": "ok" if place % 1000 else "timeout",
                    "latency_seconds": 0.01,
                }
                for place in range(each)
            ]
            connection.execute(sa.insert(health_checks), rows)
        for start in range(0, EXECUTIONS, 10_000):
            numbers = range(start, start + 10_000)
            connection.execute(sa.insert(executions), [execution_row(number) for number in numbers])
            copy = {"status": "available", "path": "/var/backups/x"}
            connection.execute(
                sa.insert(copies),
                [{"execution_id": f"e{n:07}", "storage": s, **copy} for n in numbers for s in ("disk", "nas")],
            )


def execution_row(number: int) -> dict[str, object]:
    """One good execution."""
    at = time_text(now() - timedelta(minutes=20 * (EXECUTIONS - number)))
    return {
        "execution_id": f"e{number:07}",
        "job_id": f"j{number % 50}",
        "job": f"job{number % 50}",
        "datasource": f"d{number % 50}",
        "datasource_type": "sqlite",
        "status": "completed",
        "backup_type": "full",
        "started_at": at,
        "finished_at": at,
        "total_size_bytes": 1000,
        "compressed_size_bytes": 500,
        "folder": "2025-02-13_060001",
        "description": "",
        "warnings": "[]",
    }


if __name__ == "__main__":
    main()
