"""The message file of a run: on a full disk what matters most is told; a run that waits is no worker that died."""

import errno
import itertools
import os
import re
from pathlib import Path

import pytest

from dgtui.cli.watch import summary
from dgtui.engine import run_writer
from dgtui.engine.messages import LogMessage, StatusMessage, StorageMessage
from dgtui.engine.model import Problem
from dgtui.engine.run_follower import RunFollower, last_status
from dgtui.engine.run_writer import ProgressSource, RunWriter
from dgtui.engine.runs import RunPaths
from dgtui.wording.panel import phase_text
from tests.support.shops import fill_up


@pytest.fixture
def paths(small_mount: Path) -> RunPaths:
    made = RunPaths(small_mount / "state")
    made.make()
    return made


@pytest.mark.root
def test_how_a_run_ended_is_told_on_a_full_disk(paths: RunPaths) -> None:
    run = RunWriter(paths.messages("r1"))
    run.status("running")
    fill_up(paths.state)
    for number in range(5000):
        run.log(f"line {number} ".ljust(100, "x"))
    run.status("failed", problem=Problem(kind="X", message="it broke", detail=("the tool's line " * 20,) * 20))
    run.close()
    ended = last_status(paths, "r1")
    assert ended is not None
    assert ended.problem is not None
    assert (ended.status, ended.problem.message) == ("failed", "it broke")


@pytest.mark.root
def test_half_a_line_spoils_no_other_one(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that sets nothing aside."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr("dgtui.engine.run_writer.set_room_aside", refuse)
    run = RunWriter(paths.messages("r1"))
    run.log("before")
    filler = fill_up(paths.state)
    for number in range(100):
        run.log(f"line {number} ".ljust(100, "x"))
    assert not paths.messages("r1").read_bytes().endswith(b"\n")
    filler.unlink()
    run.log("after")
    run.status("completed")
    run.close()
    messages = RunFollower(paths, "r1").poll()
    told = [message.text for message in messages if isinstance(message, LogMessage)]
    assert (told[0], told[-1]) == ("before", "after")
    assert isinstance(messages[-1], StatusMessage)
    assert all(text == "after" or text == "before" or text.startswith("line") for text in told)


def test_a_run_that_is_just_being_started_is_not_taken_for_one_that_died(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.make()
    run = RunWriter(paths.messages("r1"))
    run.status("queued")
    run.close()
    follower = RunFollower(paths, "r1")
    follower.poll()
    paths.request("r1").write_bytes(b"{}")
    follower.poll()
    starting = follower.snapshot
    paths.lock("r1").touch()
    follower.poll()
    assert (starting.status, follower.snapshot.status) == ("queued", "interrupted")


def test_how_far_the_checking_was_is_not_told_of_the_loading(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.make()
    run = RunWriter(paths.messages("r1"))
    follower = RunFollower(paths, "r1")
    run.status("running")
    run.phase("validate")
    run.start_progress(lambda: 5, ProgressSource(total=5, total_kind="exact"))
    run.stop_progress()
    follower.poll()
    checking = follower.snapshot
    run.phase("restore")
    follower.poll()
    loading = follower.snapshot
    assert [(one.phase, one.progress is None) for one in (checking, loading)] == [
        ("validate", False),
        ("restore", True),
    ]
    run.close()


def test_how_far_a_try_came_is_not_told_of_the_wait_for_the_next_one(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.make()
    run = RunWriter(paths.messages("r1"))
    follower = RunFollower(paths, "r1")
    run.status("running")
    run.phase("dump")
    run.start_progress(lambda: 5, ProgressSource(total=5, total_kind="exact"))
    run.stop_progress()
    run.write(StorageMessage(name="disk", state="writing", bytes=5))
    follower.poll()
    dumping = follower.snapshot
    run.phase("wait")
    follower.poll()
    waiting = follower.snapshot
    assert [(one.progress is None, len(one.storages)) for one in (dumping, waiting)] == [(False, 1), (True, 0)]
    assert phase_text(waiting) == "waiting for the next try"
    run.close()


def test_at_its_end_a_restore_tells_how_much_it_loaded_and_not_how_much_was_saved_before(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.make()
    run = RunWriter(paths.messages("r1"))
    follower = RunFollower(paths, "r1")
    run.status("running")
    run.write(StorageMessage(name="disk", state="done", bytes=3, way="from"))
    run.phase("restore")
    run.start_progress(lambda: 13, ProgressSource())
    run.stop_progress()
    run.phase("dump")
    run.start_progress(lambda: 7, ProgressSource())
    run.stop_progress()
    run.write(StorageMessage(name="nas", state="done", bytes=4))
    run.status("completed")
    run.close()
    follower.poll()
    words = summary("Restore of it", follower.snapshot)
    assert re.fullmatch(r"Restore of it: completed in [\d.]+ s, 13 B, 3 B from disk  \[r1\]", words)


@pytest.mark.parametrize("settled", [True, False])
def test_what_is_left_is_told_once_the_rate_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: bool
) -> None:
    """The first bytes of a restore come slowly: five hours were left of one that took seconds."""
    monkeypatch.setattr(run_writer, "_SETTLED_SECONDS", 0.0 if settled else 1e9)
    paths = RunPaths(tmp_path)
    paths.make()
    run = RunWriter(paths.messages("r1"))
    amounts = itertools.count(1)
    run.start_progress(lambda: next(amounts), ProgressSource(total=10**6, total_kind="exact"))
    run.stop_progress()
    run.close()
    follower = RunFollower(paths, "r1")
    follower.poll()
    progress = follower.snapshot.progress
    assert progress is not None
    assert (progress.rate is not None, progress.seconds_left is not None) == (True, settled)
