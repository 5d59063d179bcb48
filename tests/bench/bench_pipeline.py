"""The pipeline against the shell: wall time, CPU time and memory, over interleaved rounds on the same source.

    python tests/bench/bench_pipeline.py                                  # 400 MB that look like a dump
    python tests/bench/bench_pipeline.py -- pg_dump -Fc -Z0 shop           # a real one

The shell packs with `zstd -T2 -3`, and hashes what it stores. Ratios are of medians; CPU time counts the source, the
packing and the hashing, not the server behind the source.
"""

import argparse
import contextlib
import os
import random
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASES = {
    "shell": None,
    "zstd:3": ("zstd:3", 1),
    "zstd:3, two storages": ("zstd:3", 2),
    "zstd:2": ("zstd:2", 1),
    "gzip:6": ("gzip:6", 1),
    "lz4": ("lz4", 1),
    "none": ("none", 1),
}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=400, help="size of the made-up source")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--pipeline", nargs=2, metavar=("COMPRESSION", "FOLDERS"), help=argparse.SUPPRESS)
    parser.add_argument("source", nargs="*", help="command that writes the dump to its output")
    options = parser.parse_args()
    if options.pipeline:
        run_one(options.pipeline[0], options.pipeline[1].split(":"))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare(options.source or ["cat", str(made_up_dump(folder, options.megabytes))], options, folder)


def run_one(compression: str, folders: list[str]) -> None:
    """One pass of the pipeline from standard input, in this process."""
    sys.path.insert(0, str(ROOT))
    from dgtui.engine.pipeline import PipelineCounters, run_pipeline
    from dgtui.engine.settings import Compression
    from tests.support.folder_writer import FolderWriter

    run_pipeline(
        0,
        [FolderWriter(folder, Path(folder)) for folder in folders],
        file_name="backup",
        compression=Compression.parse(compression),
        threads=None,
        max_part_bytes=None,
        tap=None,
        counters=PipelineCounters(),
        cancelled=threading.Event(),
        idle_timeout=600,
    )
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text().splitlines()
        print(next(line.split()[1] for line in status if line.startswith("VmHWM")))


def made_up_dump(folder: Path, megabytes: int) -> Path:
    """A file that packs about as well as a dump of a shop does."""
    source = random.Random(1)
    lines = [
        b"%d\tcustomer %d\t2025-02-%02d 06:00:%02d\t%s\n"
        % (number, source.randrange(10**6), number % 28 + 1, number % 60, source.randbytes(6).hex().encode())
        for number in range(200_000)
    ]
    path = folder / "dump"
    with path.open("wb") as file:
        while file.tell() < megabytes * 1_000_000:
            file.write(b"".join(source.sample(lines, 20_000)))
    return path


def compare(source: list[str], options: argparse.Namespace, folder: Path) -> None:
    """Measure all cases, round by round, and print a table."""
    seconds: dict[str, list[tuple[float, float]]] = {case: [] for case in options.cases}
    stored: dict[str, int] = {}
    peak: dict[str, int] = {}
    for number in range(options.rounds):
        for case in options.cases:
            target = folder / f"{number}-{case}".replace(" ", "-").replace(":", "-")
            target.mkdir()
            wall, cpu, output = measured(command_of(case, source, target))
            seconds[case].append((wall, cpu))
            files = [path for path in target.rglob("*") if path.is_file()]
            stored[case] = sum(path.stat().st_size for path in files)
            peak[case] = max(peak.get(case, 0), int(output or 0) // 1024)
            for path in files:
                path.unlink()
    print("| case | wall s | x shell | CPU s | x shell | stored MB | peak MiB |\n|---|---|---|---|---|---|---|")
    base = seconds.get("shell") or seconds[options.cases[0]]
    for case, measures in seconds.items():
        wall, cpu = (statistics.median(column) for column in zip(*measures, strict=True))
        base_wall, base_cpu = (statistics.median(column) for column in zip(*base, strict=True))
        print(
            f"| {case} | {wall:.2f} | {wall / base_wall:.2f} | {cpu:.2f} | {cpu / base_cpu:.2f} "
            f"| {stored[case] / 1e6:.1f} | {peak[case] or '-'} |"
        )


def command_of(case: str, source: list[str], target: Path) -> str:
    """The shell command line of a case."""
    settings = CASES[case]
    if settings is None:
        return f"{shlex.join(source)} | zstd -q -T2 -3 | tee {shlex.quote(str(target / 'dump.zst'))} | sha256sum >&2"
    compression, storages = settings
    folders = ":".join(str(target / str(number)) for number in range(storages))
    packing = shlex.join([sys.executable, __file__, "--pipeline", compression, folders])
    return f"{shlex.join(source)} | {packing}"


def measured(command: str) -> tuple[float, float, str]:
    """Wall and CPU seconds of a command line, and what it printed."""
    os.sync()
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, done.stdout.strip()


if __name__ == "__main__":
    main()
