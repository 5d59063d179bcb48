"""What the daemon takes while it guards 200 datasources, 10 of them frozen: `python -m tests.bench.bench_daemon`.

CPU is that of the daemon and all its threads, and of every child it had, as the kernel's scheduler counts it; not that
of the servers it asks. First over whole cycles of health checks, each of which asks everything once, then, in a daemon
whose next cycle is hours away, over the time in which nothing at all is due.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.fleet import fleet
from tests.support.homes import Home

_CYCLE_SECONDS = 300
_SETTLE_SECONDS = 60
"""Everything is asked for the first time within half a minute, and frozen servers take their time to be given up."""
_SECOND_CYCLE_SECONDS = 450
"""By then everything was asked at its own moment of the interval, and comes back at it from then on."""


def main() -> None:
    """Measure whole cycles, then the idle time between two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=1, help="how many cycles of five minutes are watched")
    parser.add_argument("--seconds", type=int, default=120, help="how long the idle daemon is watched")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dgbench-") as folder:
        if options.cycles:
            show("a whole cycle", Home(Path(folder)), "", _SECOND_CYCLE_SECONDS, _CYCLE_SECONDS * options.cycles)
        if options.seconds:
            home = Path(folder) / "idle"
            home.mkdir()
            show("between two cycles", Home(home), "health_interval = '12 h'", _SETTLE_SECONDS, options.seconds)


def show(what: str, home: Home, guardian: str, settling: int, seconds: int) -> None:
    """Print what a daemon takes over so many seconds, once it has settled."""
    with fleet(home, guardian=guardian), running_daemon(home) as daemon:
        time.sleep(settling)
        before, checks, began = cpu_seconds(daemon.pid), count_checks(home), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        used, done = cpu_seconds(daemon.pid) - before, count_checks(home) - checks
        memory = memory_of(daemon.pid)
    print(
        f"{what}: {used / took * 100:.2f} % of a core over {took:.0f} s with {done} checks; "
        f"memory {memory.now} MiB, at most {memory.peak} MiB",
        flush=True,
    )


@contextmanager
def running_daemon(home: Home) -> "Iterator[subprocess.Popen[bytes]]":
    """A daemon over a configuration, stopped at the end."""
    command = [sys.executable, "-m", "dgtui", "daemon"]
    daemon = subprocess.Popen(command, env=home.environment, stderr=subprocess.DEVNULL)
    try:
        yield daemon
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


@dataclass(frozen=True)
class Memory:
    """Resident memory in MiB."""

    now: int
    peak: int


def cpu_seconds(pid: int) -> float:
    """CPU of a process with all its threads, also those that have ended, and of its children that have.

    `/proc/PID/schedstat` would be that of the main thread alone.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[13]) + int(fields[14])
    return time.clock_gettime(~pid << 3 | 2) + ticks / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> Memory:
    """What a process takes, and took at most."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Memory(*(int(fields[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM")))


def count_checks(home: Home) -> int:
    """How many checks are in the catalogue."""
    script = (
        "import sqlite3,sys; print(sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True)"
        ".execute('SELECT count(*) FROM health_checks').fetchone()[0])"
    )
    command = [sys.executable, "-c", script, str(home.state / "catalog.db")]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
