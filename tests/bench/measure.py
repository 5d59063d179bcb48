"""Measuring commands against each other: interleaved rounds, wall and CPU time, ratios of medians."""

import compileall
import ctypes
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dgtui

_PR_SET_CHILD_SUBREAPER = 36
_SETTLE_SECONDS = 0.3
"""How long a server may take to collect the processes that served the case."""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """One run of one case."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Case:
    """A command to measure; `before` runs unmeasured each time."""

    name: str
    command: Sequence[str]
    before: Callable[[], None] | None = None


def compile_program() -> None:
    """Write the bytecode of the program, as an installation has it; an environment may forbid it to each process."""
    compileall.compile_dir(str(Path(dgtui.__file__).parent), quiet=1)


def shell(name: str, text: str, before: Callable[[], None] | None = None) -> Case:
    """A case that is a shell pipeline; a failure anywhere in it fails the case."""
    return Case(name, ["bash", "-o", "pipefail", "-c", text], before)


def process_cpu(pid: int) -> float:
    """CPU seconds of a server: its own and those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[index]) for index in (11, 12, 13, 14)) / _TICKS


def measure(
    cases: Sequence[Case], rounds: int, *, servers: Sequence[int] = (), environment: Mapping[str, str] | None = None
) -> dict[str, list[Sample]]:
    """Run all cases once a round, in turn; also what a case left to itself (a worker) counts, as we wait for it."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    samples: dict[str, list[Sample]] = {case.name: [] for case in cases}
    for number in range(rounds + 1):
        for case in cases:
            sample = _run(case, servers, environment)
            if number:  # the first round warms the caches
                samples[case.name].append(sample)
                print(f"round {number}: {case.name}: {sample.wall:.2f} s, CPU {sample.cpu:.2f} s", flush=True)
    return samples


def _run(case: Case, servers: Sequence[int], environment: Mapping[str, str] | None) -> Sample:
    if case.before is not None:
        case.before()
    cpu_before = _children_cpu() + sum(map(process_cpu, servers))
    started = time.monotonic()
    done = subprocess.run(case.command, env={**os.environ, **(environment or {})}, capture_output=True, check=False)
    wall = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"{case.name}: exit {done.returncode}\n{done.stderr.decode('utf-8', 'replace')}")
    _reap(servers)
    time.sleep(_SETTLE_SECONDS)
    return Sample(wall, _children_cpu() + sum(map(process_cpu, servers)) - cpu_before)


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _reap(servers: Sequence[int]) -> None:
    """Wait for everything that outlived its parent, such as a process substitution of the shell."""
    while pids := [pid for pid in _children() if pid not in servers]:
        os.waitpid(pids[0], 0)


def _children() -> list[int]:
    return [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


def table(samples: Mapping[str, Sequence[Sample]], base: str) -> str:
    """The result in Markdown: medians, and the ratios of the medians to those of the base case."""
    lines = ["| case | wall s | CPU s | x wall | x CPU |", "|---|---|---|---|---|"]
    base_wall, base_cpu = _medians(samples[base])
    for name, runs in samples.items():
        wall, cpu = _medians(runs)
        lines.append(f"| {name} | {wall:.2f} | {cpu:.2f} | {wall / base_wall:.2f} | {cpu / base_cpu:.2f} |")
    return "\n".join(lines)


def _medians(runs: Sequence[Sample]) -> tuple[float, float]:
    return statistics.median(run.wall for run in runs), statistics.median(run.cpu for run in runs)
