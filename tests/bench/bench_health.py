"""How long a cycle of the health worker takes over 200 datasources of which 10 are frozen, and what it takes.

    python -m tests.bench.bench_health

It asks real PostgreSQL and MariaDB servers, everything at once; what is frozen belongs to a server that is stopped with
SIGSTOP. What the daemon takes that does so every five minutes is measured by `bench_daemon`.
"""

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from dgtui.config import load_config
from dgtui.engine.facade import Engine
from dgtui.engine.health import HealthWorker
from tests.bench.fleet import TIMEOUT_SECONDS, fleet
from tests.support.homes import Home


def main() -> None:
    """Measure two cycles, in a process of its own: the servers of the fleet are children of this one."""
    if len(sys.argv) > 1:
        cycles(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory(prefix="dgbench-") as folder:
        home = Home(Path(folder))
        with fleet(home):
            command = [sys.executable, "-m", "tests.bench.bench_health", folder]
            subprocess.run(command, env=home.environment, check=True)


def cycles(folder: Path) -> None:
    """Check everything twice."""
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


if __name__ == "__main__":
    main()
