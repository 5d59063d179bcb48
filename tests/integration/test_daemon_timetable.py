"""The timetable as real daemons and workers carry it out."""

import signal
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest

from dgtui.engine.catalog.due_runs import queued_runs, timetable_states
from dgtui.engine.facade import Engine
from dgtui.engine.model import ENDED
from tests.support.daemons import StartDaemon
from tests.support.homes import Home, wait_until


@pytest.fixture
def files(home: Home) -> Home:
    """A home with a small folder to back up."""
    source = home.folder / "source"
    source.mkdir()
    source.joinpath("a.txt").write_text("content")
    return home


def configure(home: Home, job: str, more: str = "") -> None:
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{home.folder}/source"\n', job=job, more=more)


def blocker(home: Home) -> Path:
    """A program for `before` that notes its run and waits as long as a file is there."""
    program = home.folder / "block.sh"
    gate = home.folder / "gate"
    gate.touch()
    program.write_text(
        f'#!/bin/sh\necho "$DGTUI_JOB" >> {home.folder}/began\nwhile [ -e {gate} ]; do sleep 0.1; done\n'
    )
    program.chmod(0o755)
    return program


def began(home: Home) -> list[str]:
    path = home.folder / "began"
    return path.read_text().splitlines() if path.exists() else []


def _is_longer(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size > size


def test_killed_again_and_again_no_run_is_lost_or_doubled(files: Home, start_daemon: StartDaemon) -> None:
    log = files.folder / "runs"
    program = files.folder / "note.sh"
    program.write_text(f'#!/bin/sh\necho "$DGTUI_EXECUTION_ID" >> {log}\n')
    program.chmod(0o755)
    before = f'before = ["{program}"]\n'
    configure(files, f'schedule = "every 2 s"\n{before}')
    for _ in range(4):
        daemon = start_daemon().wait_ready()
        daemon.wait_for(partial(_is_longer, log, log.stat().st_size if log.exists() else 0), "another run")
        daemon.stop(signal.SIGKILL)
    # No more are due, as a slow machine might never come to an end between two of them; but what waits is still wanted.
    configure(files, f'schedule = "0 3 1 {(datetime.now(UTC).month + 5) % 12 + 1} *"\n{before}')
    last = start_daemon().wait_ready()
    engine = files.engine()
    wait_until(
        lambda: not queued_runs(engine.catalog)
        and all(execution.status in ENDED for execution in engine.executions()),
        "all runs to end",
    )  # fmt: skip
    last.stop(signal.SIGKILL)
    wait_until(lambda: not engine.paths.living(), "the last worker")
    engine.reconcile()
    executions = {execution.execution_id: execution for execution in engine.executions()}
    ran = log.read_text().split()
    assert len(ran) == len(set(ran)), "no run has a second worker"
    assert set(ran) == set(executions), "what was claimed was run"
    assert {executions[run].status for run in ran} == {"completed"}
    with engine.catalog.transaction() as connection:
        rows = connection.execute("select due_at, count(*) from due_runs group by 1 having count(*) > 1").fetchall()
    assert rows == []


def test_runs_wait_in_order_are_shown_and_can_be_cancelled(files: Home, start_daemon: StartDaemon) -> None:
    block = f'before = ["{blocker(files)}"]\ndatasource = "shop"\nstorages = ["disk"]\nschedule = "every 1 s"\n'
    jobs = "".join(f"[jobs.{name}]\n{block}" for name in ("first", "second"))
    configure(files, "", more=jobs + "[guardian]\nmax_concurrent = 1\n")
    daemon = start_daemon().wait_ready()
    engine = files.engine()
    wait_until(lambda: len(began(files)) == 1 and len(queued_runs(engine.catalog)) >= 1, "one to run and one to wait")
    (running,) = began(files)
    waiting = next(run for run in queued_runs(engine.catalog) if run.job != running)
    shown = files.dgtui("status", "--json").json()
    assert {(run["title"], run["status"]) for run in shown} >= {
        (f"{running} · shop", "running"),
        (f"{waiting.job} · shop", "queued"),
    }
    assert began(files) == [running], "the place is taken"
    wait_until(
        lambda: (
            "queued  It waits for a place: at most 1 backup at once on this machine (max_concurrent of [guardian])"
            in files.dgtui("status", waiting.execution_id).output
        ),
        "what it waits for to be told",
    )
    assert "by hand: it has not ended yet" in files.dgtui("show", waiting.execution_id).output
    # One that a person starts does not wait.
    by_hand = engine.start_job("nightly")
    assert files.finish(engine, by_hand).status == "completed"
    outcome = files.dgtui("cancel", waiting.execution_id)
    assert outcome.exit_code == 0, outcome
    assert engine.execution(waiting.execution_id).status == "cancelled"
    assert "no daemon" not in files.dgtui("status").errors
    wait_until(lambda: bool(queued_runs(engine.catalog)), "the next one to wait")
    daemon.stop()
    assert "no daemon is running, so that nothing that waits begins" in files.dgtui("status").errors
    assert engine.running(), "the end of the daemon touches no backup"
    (files.folder / "gate").unlink()
    wait_until(lambda: not engine.paths.living(), "the end of the run")
    assert waiting.execution_id not in {run.execution_id for run in queued_runs(engine.catalog)}
    run_id = next(run["run_id"] for run in shown if run["status"] == "running")
    assert engine.execution(run_id).status == "completed"


def test_a_run_that_the_machine_stopped_is_made_again_once_it_is_up(files: Home, start_daemon: StartDaemon) -> None:
    configure(files, f'before = ["{blocker(files)}"]\nschedule = "yearly"\ngrace = "400 d"\nretries = 3\n')
    engine = files.engine()
    daemon = start_daemon().wait_ready()
    daemon.wait_for(lambda: bool(timetable_states(engine.catalog)), "the timetable to be followed")
    daemon.stop()
    with engine.catalog.transaction() as connection:
        connection.execute("UPDATE timetables SET handled_until = '2024-06-01T00:00:00.000000Z'")
    daemon = start_daemon().wait_ready()
    daemon.wait_for(lambda: began(files) == ["nightly"], "the run that is caught up")
    (run_id,) = engine.paths.living()
    engine.stop(run_id)
    daemon.stop()
    assert files.finish(engine, run_id).status == "interrupted"
    (files.folder / "gate").unlink()
    stopped = engine.execution(run_id)
    assert stopped.finished_at is not None
    # As if the machine had been off for a while.
    engine.catalog.save_execution(
        msgspec.structs.replace(stopped, finished_at=stopped.finished_at - timedelta(hours=1))
    )
    last = start_daemon().wait_ready()
    last.wait_for(lambda: bool(_good(engine)) and not engine.paths.living(), "the run that is made again")
    outcome = files.dgtui("jobs")
    assert "note: nightly: ran again, after the machine stopped it" in outcome.errors
    last.stop()
    start_daemon().wait_ready().stop()
    assert began(files) == ["nightly"] * 2


def test_a_wrong_configuration_stops_no_backup_also_of_a_daemon_that_begins_then(
    files: Home, start_daemon: StartDaemon
) -> None:
    # Relative to the file that names it: the kept configuration has to find it too.
    (files.folder / "heartbeat").write_text("http://127.0.0.1:1/ping")
    configure(files, 'schedule = "every 1 s"\nheartbeat = { file = "heartbeat" }\nretention = { keep_last = 2 }\n')
    engine = files.engine()
    daemon = start_daemon().wait_ready()
    files.config_path.write_text(files.config_path.read_text().replace("keep_last", "keep_lsat"))
    daemon.wait_for(lambda: "did you mean 'keep_last'?" in daemon.log, "the mistake in the log")
    _wait_for_two_more(engine)
    daemon.stop()
    assert files.dgtui("jobs").exit_code == 2
    second = start_daemon().wait_ready()
    assert "the last good one stays in use" in second.log
    _wait_for_two_more(engine)
    files.config_path.write_text(files.config_path.read_text().replace("keep_lsat", "keep_last"))
    second.wait_for(lambda: "The configuration was read again" in second.log, "it to be taken up")
    second.stop()
    wait_until(lambda: not engine.paths.living(), "the last worker")
    ended = [one for one in engine.executions() if one.status in ENDED]
    assert {one.status for one in ended} == {"completed"}
    assert not any("cannot be read" in warning for one in ended for warning in one.warnings)
    assert len(list((files.state / "config").iterdir())) <= 2


def _wait_for_two_more(engine: Engine) -> None:
    before = {one.execution_id for one in engine.executions()}
    # The first of them may have been started before.
    wait_until(lambda: len(_good(engine) - before) >= 2, "two more backups")


def _good(engine: Engine) -> set[str]:
    return {one.execution_id for one in engine.executions(status="completed")}
