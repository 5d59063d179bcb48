"""Asking a run to stop, by its files."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.run_control import RunControl
from dgtui.engine.runs import RunPaths

RUN = "5f0c1d2e-0000-4000-8000-000000000001"


@pytest.fixture
def control(tmp_path: Path) -> RunControl:
    paths = RunPaths(tmp_path)
    paths.runs.mkdir(parents=True)
    return RunControl(paths)


@pytest.fixture
def process(control: RunControl) -> Iterator[subprocess.Popen[bytes]]:
    """What holds the run's lock, as its worker does from its first moment."""
    with control.paths.lock(RUN).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(["sleep", "600"], pass_fds=[lock.fileno()]) as process:
            yield process
            process.kill()


def test_a_run_is_reached_from_when_its_process_is_known(control: RunControl, process: subprocess.Popen[bytes]) -> None:
    assert not control.cancel(RUN)
    assert not control.stop(RUN)
    control.paths.lock(RUN).write_text(str(process.pid))
    assert control.cancel(RUN)
    assert process.wait() == -signal.SIGUSR1


def test_nothing_is_sent_to_a_process_that_has_the_number_of_one_that_ended(control: RunControl) -> None:
    control.paths.lock(RUN).write_text(str(os.getpid()))
    assert not control.cancel(RUN)


def test_a_run_that_was_never_there_is_not_reached(control: RunControl) -> None:
    assert not control.stop(RUN)
