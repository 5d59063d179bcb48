"""How much an idle daemon takes: `python -m tests.bench.bench_daemon [SECONDS]`, with 50 jobs that are not due."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_JOBS = 50


def main() -> None:
    """Start a daemon, let it settle, and measure it."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        process = _start(Path(folder))
        try:
            time.sleep(10)
            before, began = _cpu_seconds(process.pid), time.monotonic()
            time.sleep(seconds)
            used = (_cpu_seconds(process.pid) - before) / (time.monotonic() - began)
            print(f"idle CPU {used * 100:.2f} %, resident {_resident_mib(process.pid):.0f} MiB, over {seconds:.0f} s")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    text = f'[storages.disk]\ntype = "local"\npath = "{folder}/disk"\n'
    text += f'[datasources.files]\ntype = "files"\npath = "{folder}"\nenabled = true\n'
    for number in range(_JOBS):
        text += f'[jobs.job{number}]\ndatasource = "files"\nstorages = ["disk"]\nschedule = "0 3 1 1 *"\njitter = 600\n'
    config = folder / "config.toml"
    config.write_text(text)
    config.chmod(0o600)
    environment = {**os.environ, "DGTUI_CONFIG": str(config), "DGTUI_STATE": str(folder / "state")}
    return subprocess.Popen([sys.executable, "-m", "dgtui", "daemon"], env=environment)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mib(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
