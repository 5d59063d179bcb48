"""Every run is seen that begins while somebody watches, however short it is."""

import fcntl
import os
from pathlib import Path

import pytest

from dgtui.engine import watching
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.runs import RunInfo, RunPaths
from dgtui.engine.watching import RunWatch


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    """A state folder of its own."""
    made = RunPaths(tmp_path)
    made.make()
    return made


def a_watch(paths: RunPaths) -> RunWatch:
    """Knows of each run what it was asked to do."""
    return RunWatch(paths, lambda run_id: RunInfo(run_id=run_id, operation="backup", title="nightly"))


def run_through(paths: RunPaths, run_id: str) -> None:
    """Leave the files of a run that is over."""
    paths.lock(run_id).touch()
    run = RunWriter(paths.messages(run_id))
    run.status("running")
    run.status("completed")
    run.close()


def seen(watch: RunWatch) -> list[tuple[str, str]]:
    """The runs of the next look, and how they stand."""
    return [(run.info.run_id, run.snapshot.status) for run in watch.sample()]


def test_a_run_that_is_over_before_the_first_look_is_told(paths: RunPaths) -> None:
    watch = a_watch(paths)
    run_through(paths, "r1")
    assert seen(watch) == [("r1", "completed")]
    assert seen(watch) == []


def test_a_run_that_was_over_before_is_not_told(paths: RunPaths) -> None:
    run_through(paths, "r1")
    watch = a_watch(paths)
    assert seen(watch) == []
    run_through(paths, "r2")
    assert seen(watch) == [("r2", "completed")]


def test_a_run_is_told_that_began_while_the_clock_of_the_disk_stood_still(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its panel showed it as queued for ever."""
    monkeypatch.setattr(watching, "_SETTLING_SECONDS", 3600.0)
    watch = a_watch(paths)
    paths.messages("r1").touch()
    assert seen(watch) == []
    looked_at = paths.runs.stat()
    run_through(paths, "r1")
    os.utime(paths.runs, ns=(looked_at.st_atime_ns, looked_at.st_mtime_ns))
    assert seen(watch) == [("r1", "completed")]


def test_a_run_is_told_that_was_over_long_before_anybody_could_look(paths: RunPaths) -> None:
    """As where the program stood still, or the clock was set."""
    watch = a_watch(paths)
    assert seen(watch) == []
    run_through(paths, "r1")
    os.utime(paths.lock("r1"), (1e9, 1e9))
    assert seen(watch) == [("r1", "completed")]


@pytest.mark.parametrize("started", [True, False])
def test_a_worker_that_died_before_its_first_word_is_told(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    """But for a run whose worker could not even be started: whoever wanted it knows."""
    watch = a_watch(paths)
    assert seen(watch) == []
    paths.lock("r1").write_text("4194305" if started else "")
    assert seen(watch) == []
    monkeypatch.setattr(watching, "_SETTLING_SECONDS", 0.0)
    assert seen(watch) == ([("r1", "interrupted")] if started else [])
    assert seen(watch) == []


def test_a_run_that_was_given_up_before_it_had_a_worker_is_not_told(paths: RunPaths) -> None:
    """As where the catalogue was locked for too long: it was said that its worker was killed, perhaps."""
    watch = a_watch(paths)
    assert seen(watch) == []
    with paths.lock("r1").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert seen(watch) == [("r1", "queued")]
    assert seen(watch) == []
    assert seen(watch) == []
