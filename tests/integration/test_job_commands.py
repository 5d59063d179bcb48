"""What a job runs before and after its backup, and how often it is tried."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine import starting
from dgtui.engine.backup_records import BackupRecords
from dgtui.engine.cancellation import CANCEL
from dgtui.engine.child import Child
from dgtui.engine.errors import BackupCreationError, DatabaseConnectionError, DataGuardianError
from dgtui.engine.messages import PhaseMessage
from dgtui.engine.patience import with_retries
from dgtui.engine.run_follower import RunFollower
from dgtui.engine.run_writer import LOG_BYTES_AT_MOST
from tests.integration.test_faults_processes import worker_pid
from tests.support.forking import forked
from tests.support.homes import Home, wait_until
from tests.support.ports import free_port


@pytest.fixture
def files(home: Home) -> Home:
    """A home whose job backs up a small folder."""
    source = home.folder / "source"
    source.mkdir()
    source.joinpath("a.txt").write_text("content")
    return home


def script(home: Home, name: str, text: str) -> str:
    path = home.folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def configure(home: Home, **keys: object) -> None:
    job = "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{home.folder}/source"\n', job=job)


def is_running(pid: int) -> bool:
    """Whether a process is at work; one that has ended may wait for long until it is collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_command_that_fails_is_heard_of_where_whoever_started_us_ignores_how_children_end(files: Home) -> None:
    configure(files, before=[script(files, "before.sh", "exit 3")])
    done = subprocess.run(
        ["env", "--ignore-signal=CHLD", sys.executable, "-m", "dgtui", "--run-job", "nightly"],
        env=files.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "before.sh" in done.stderr
    assert [one.status for one in files.engine().executions()] == ["failed"]


def test_both_run_and_are_told(files: Home) -> None:
    before = script(files, "before.sh", 'echo "quiet on set: $1"; echo "to stderr" >&2; date > $0.done')
    after = script(files, "after.sh", f'env | grep ^DGTUI_ > "{files.folder}/after.env"')
    configure(files, before=[before, "a b; $(touch x)"], after=[after])
    engine = files.engine()
    run_id = engine.start_job("nightly")
    snapshot = files.finish(engine, run_id)
    assert snapshot.status == "completed"
    lines = {(line.origin, line.text) for line in snapshot.log}
    assert {("before", "quiet on set: a b; $(touch x)"), ("before", "to stderr")} <= lines
    environment = dict(line.split("=", 1) for line in (files.folder / "after.env").read_text().splitlines())
    assert environment["DGTUI_STATUS"] == "completed"
    assert engine.paths.unrecorded_runs() == []
    assert environment["DGTUI_EXECUTION_ID"] == run_id
    assert (environment["DGTUI_JOB"], environment["DGTUI_DATASOURCE"]) == ("nightly", "shop")


def test_a_failing_before_ends_the_run_and_after_is_run_all_the_same(files: Home) -> None:
    before = script(files, "before.sh", "echo cannot lock the shop; exit 7")
    after = script(files, "after.sh", f'echo "$DGTUI_STATUS: $DGTUI_ERROR" > "{files.folder}/after.out"')
    configure(files, before=[before], after=[after])
    execution = files.back_up()
    assert execution.status == "failed"
    assert execution.problem is not None
    assert "`before` failed with exit code 7" in execution.problem.message
    assert execution.problem.detail == ("cannot lock the shop",)
    assert files.litter() == []
    assert (files.folder / "after.out").read_text() == f"failed: {execution.problem.message}\n"


def test_a_failing_after_is_a_warning(files: Home) -> None:
    configure(files, after=[script(files, "after.sh", "exit 1")])
    execution = files.back_up()
    assert execution.status == "completed"
    assert any("`after` failed with exit code 1" in warning for warning in execution.warnings)
    outcome = files.dgtui("run", "nightly")
    assert outcome.exit_code == 0
    assert "`after` failed" in outcome.errors


def test_a_backup_whose_worker_is_killed_while_after_runs_is_told_of_once(files: Home) -> None:
    started = files.folder / "started"
    configure(files, after=[script(files, "after.sh", f'touch "{started}"; exec sleep 600')])
    engine = files.engine()
    run_id = engine.start_job("nightly")
    wait_until(started.exists, "the program after")
    assert files.dgtui("list", "--json").json()[0]["status"] == "completed"
    assert files.dgtui("notifications", "--json").json() == []
    os.kill(worker_pid(engine, run_id), signal.SIGKILL)
    wait_until(lambda: not engine.paths.is_alive(run_id), "the worker's end")
    listed = files.dgtui("list", "--json")
    assert "is whole. The worker ended without notice while the program of `after` ran" in listed.errors
    assert [row["status"] for row in listed.json()] == ["completed"]
    assert files.dgtui("list", "--json").errors == ""
    (told,) = files.dgtui("notifications", "--json").json()
    assert told["kind"] == "backup_completed"
    assert any("`after` ran" in line for line in told["details"])
    audit = files.dgtui("audit", "--json").json()
    assert [(entry["action"], entry["outcome"]) for entry in audit if entry["action"] == "backup"] == [
        ("backup", "completed")
    ]
    assert engine.paths.unrecorded_runs() == []


@pytest.mark.parametrize("how", ["slow", "missing", "not executable"])
def test_a_before_that_does_not_come_to_an_end(files: Home, how: str) -> None:
    before = script(files, "before.sh", "sleep 600 & sleep 600")
    if how == "missing":
        before += ".gone"
    elif how == "not executable":
        Path(before).chmod(0o644)
    configure(files, before=[before], before_timeout=1)
    execution = files.back_up()
    assert execution.status == "failed"
    assert execution.problem is not None
    expected = {
        "slow": "took longer than 1 s and was ended",
        "missing": f"cannot be run: {before} does not exist",
        "not executable": f"cannot be run: {before} may not be executed",
    }
    assert expected[how] in execution.problem.message


def test_a_before_that_says_one_letter_a_line_does_not_fill_the_disk_of_the_state(files: Home) -> None:
    configure(files, before=[script(files, "before.sh", "yes | head -c 400000")])
    engine = files.engine()
    run_id = engine.start_job("nightly")
    snapshot = files.finish(engine, run_id)
    assert snapshot.status == "completed"
    log = engine.paths.messages(run_id)
    assert log.stat().st_size < LOG_BYTES_AT_MOST + 100_000
    assert "The log is full; further lines are not kept" in log.read_text()


def test_a_run_is_cancelled_while_before_runs(files: Home) -> None:
    started = files.folder / "started"
    configure(files, before=[script(files, "before.sh", f'echo $$ > "{started}"; exec sleep 600')])
    engine = files.engine()
    run_id = engine.start_job("nightly")
    wait_until(lambda: started.exists() and started.read_text().endswith("\n"), "the program before")
    engine.cancel(run_id)
    assert files.finish(engine, run_id).status == "cancelled"
    assert not is_running(int(started.read_text()))


def test_a_run_is_cancelled_while_before_is_started(files: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program itself has started goes with it."""
    started = files.folder / "started"
    configure(files, before=[script(files, "before.sh", f'sleep 600 & echo $! > "{started}"; wait')])

    def prepare() -> None:
        starting_a_child = Child.__init__

        def cancelled(child: Child, *arguments: Any, **options: Any) -> None:
            starting_a_child(child, *arguments, **options)
            wait_until(lambda: started.exists() and started.read_text().endswith("\n"), "the program before")
            os.kill(os.getpid(), CANCEL)

        setattr(Child, "__init__", cancelled)  # noqa: B010  # in the forked process alone

    engine = files.engine(fork_workers=True)
    with monkeypatch.context() as patched:
        patched.setattr(starting, "fork_worker", forked(prepare))
        run_id = engine.start_job("nightly")
    assert files.finish(engine, run_id).status == "cancelled"
    assert not is_running(int(started.read_text()))


def test_a_run_that_is_cancelled_while_the_catalogue_is_opened_runs_nothing(
    files: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is interrupted then; the cancelling is heeded right after."""
    started = files.folder / "started"
    configure(files, before=[script(files, "before.sh", f'touch "{started}"')])

    def prepare() -> None:
        opening = BackupRecords.__init__

        def cancelled(records: BackupRecords, *arguments: Any) -> None:
            os.kill(os.getpid(), CANCEL)
            opening(records, *arguments)

        setattr(BackupRecords, "__init__", cancelled)  # noqa: B010  # in the forked process alone

    engine = files.engine(fork_workers=True)
    with monkeypatch.context() as patched:
        patched.setattr(starting, "fork_worker", forked(prepare))
        run_id = engine.start_job("nightly")
    assert files.finish(engine, run_id).status == "cancelled"
    assert not started.exists()


def test_what_before_leaves_running_stays(files: Home) -> None:
    pid_file = files.folder / "tunnel.pid"
    before = script(files, "before.sh", f'setsid sleep 600 > /dev/null 2>&1 < /dev/null & echo $! > "{pid_file}"')
    configure(files, before=[before])
    assert files.back_up().status == "completed"
    os.kill(int(pid_file.read_text()), signal.SIGKILL)


def test_an_unreachable_server_is_tried_again(home: Home) -> None:
    datasource = f'[datasources.shop]\ntype = "postgres"\ndatabase = "shop"\nport = {free_port()}\n'
    home.configure(datasource, job="retries = 1")
    engine = home.engine()
    run_id = engine.start_job("nightly")
    snapshot = home.finish(engine, run_id)
    assert snapshot.status == "failed", snapshot.problem
    assert [line.text for line in snapshot.log if "Try 2 begins in 5 s" in line.text]
    said = RunFollower(engine.paths, run_id).poll()
    assert [message.phase for message in said if isinstance(message, PhaseMessage)] == ["connect", "wait", "connect"]
    assert not [line.text for line in snapshot.log if "Try 3" in line.text]


@pytest.mark.parametrize(
    ("error", "failures", "retries", "waits"),
    [
        (DatabaseConnectionError("gone"), 2, None, [5, 10]),
        (DatabaseConnectionError("gone"), 9, None, [5, 10]),
        (DatabaseConnectionError("gone"), 9, 4, [5, 10, 20, 40]),
        (DatabaseConnectionError("gone"), 9, 0, []),
        (BackupCreationError("wrong"), 9, 4, []),
    ],
)
def test_waits_grow_and_only_what_may_pass_is_tried_again(
    error: DataGuardianError, failures: int, retries: int | None, waits: list[float]
) -> None:
    waited: list[float] = []

    def attempt() -> str:
        if len(waited) < failures:
            raise error
        return "done"

    with pytest.raises(type(error)) if failures > len(waits) else contextlib.nullcontext():
        with_retries(attempt, retries=retries, wait=waited.append, tell=lambda *_: None)
    assert waited == waits
