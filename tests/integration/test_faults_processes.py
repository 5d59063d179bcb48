"""Killed, cancelled, hung up: what runs leave behind (reliability rows 1, 3, 5 to 7, 10 to 13, 98)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dgtui.engine import starting
from dgtui.engine.cancellation import CANCEL
from dgtui.engine.catalog.database import time_text
from dgtui.engine.facade import Engine
from dgtui.engine.model import Execution
from tests.support.forking import forked
from tests.support.gates import GatedTool
from tests.support.homes import PATIENCE_SECONDS, Home, wait_until
from tests.support.postgres import PostgresServer
from tests.support.shops import Shop


def start_and_wait(shop: Shop, bytes_given: Callable[[], int | None]) -> tuple[Engine, str]:
    """Start the job and wait until its worker has taken so many bytes of the dump, once they are known."""
    engine = shop.home.engine()
    run_id = engine.start_job("nightly")
    follower = engine.follower(run_id)

    def far_enough() -> bool:
        follower.poll()
        progress, wanted = follower.snapshot.progress, bytes_given()
        assert not follower.snapshot.ended, follower.snapshot.problem
        return progress is not None and wanted is not None and progress.done >= wanted

    wait_until(far_enough, "the middle of the dump")
    return engine, run_id


def start_up_to(gate: GatedTool, shop: Shop) -> tuple[Engine, str]:
    """Start the job and wait until the dump stands at the gate."""
    engine = shop.home.engine()
    run_id = engine.start_job("nightly")
    gate.wait()
    return engine, run_id


def worker_pid(engine: Engine, run_id: str) -> int:
    """The pid of a run's worker."""
    return int(engine.paths.lock(run_id).read_text())


def dump_tools_of(shop: Shop) -> list[str]:
    """The command lines of this shop's dump programs that still run."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = process.joinpath("cmdline").read_text("utf-8", "replace")
            except OSError:
                continue
            if str(shop.home.folder / "tools" / "pg_dump") in command:
                found.append(command)
    return found


@pytest.mark.parametrize("percent", [5, 50, 90])
def test_a_killed_worker_is_found_and_its_litter_removed(shop: Shop, percent: int) -> None:
    shop.misbehave(f"stand:{percent}%")
    engine, run_id = start_and_wait(shop, shop.bytes_sent)
    os.kill(worker_pid(engine, run_id), signal.SIGKILL)
    snapshot = shop.home.finish(engine, run_id)
    assert snapshot.status == "interrupted"
    assert snapshot.problem is not None
    assert "want of memory" in snapshot.problem.hint  # the likeliest killer of all
    wait_until(lambda: not dump_tools_of(shop), "the end of the dump tool, which dies with the worker")
    again = shop.home.engine()
    assert again.reconciled != ()
    execution = again.execution(run_id)
    assert execution.status == "interrupted"
    assert execution.problem is not None
    assert shop.folders() == []
    shop.nothing_left()
    shop.behave()
    assert shop.home.back_up().status == "completed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_of_the_system_stops_a_worker_cleanly_and_is_told(
    shop: Shop, gate: GatedTool, number: signal.Signals
) -> None:
    """A machine that goes down sends one: the backup is not there in the morning, and nobody wanted that."""
    engine, run_id = start_up_to(gate, shop)
    os.kill(worker_pid(engine, run_id), number)
    snapshot = shop.home.finish(engine, run_id)
    assert snapshot.status == "interrupted"
    execution = engine.execution(run_id)
    assert execution.status == "interrupted"
    assert execution.problem is not None
    assert execution.problem.message == f"Stopped by signal {number} ({number.name})"
    assert [(told.kind, told.subject) for told in engine.records.notifications()] == [("backup_failed", "nightly")]
    wait_until(lambda: not dump_tools_of(shop), "the end of the dump tool")
    assert shop.folders() == []
    shop.nothing_left()


@pytest.mark.parametrize("timetable", [True, False])
def test_who_makes_a_stopped_backup_again_is_told(home: Home, timetable: bool) -> None:
    source = home.folder / "files"
    source.mkdir()
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n', job=home.gate)
    engine = home.engine()
    run_id = engine.start_job("nightly")
    follower = engine.follower(run_id)
    wait_until(lambda: bool(follower.poll()) and follower.snapshot.status == "running", "the run")
    if timetable:
        order_by_timetable(engine, run_id)
    os.kill(worker_pid(engine, run_id), signal.SIGTERM)
    problem = home.finish(engine, run_id).problem
    assert problem is not None
    assert ("makes it again by itself" in problem.hint) == timetable, problem.hint
    assert problem.hint.endswith("start it again")


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(("number", "status"), [(CANCEL, "cancelled"), (signal.SIGTERM, "interrupted")])
def test_a_signal_before_the_worker_listens_is_not_taken_for_a_crash(
    home: Home, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, status: str
) -> None:
    """Whoever cancels at once does it before Python has loaded the worker."""
    monkeypatch.setattr(starting, "fork_worker", forked(lambda: os.kill(os.getpid(), number)))
    engine = home.engine(fork_workers=True)
    run_id = engine.start_job("nightly")
    os.waitpid(worker_pid(engine, run_id), 0)
    execution = engine.execution(run_id)
    assert execution.status == status
    assert execution.problem is not None
    assert "want of memory" not in execution.problem.hint
    assert home.litter() == []


def order_by_timetable(engine: Engine, run_id: str) -> None:
    """Have the catalogue say of a run that the timetable asked for it."""
    execution = engine.execution(run_id)
    values = {
        "job_id": execution.job_id,
        "job": execution.job,
        "datasource": execution.datasource,
        "due_at": time_text(execution.started_at),
        "noticed_at": time_text(execution.started_at),
        "state": "started",
        "execution_id": run_id,
    }
    with engine.catalog.transaction() as connection:
        connection.insert("due_runs", values)


def test_a_hang_up_does_not_stop_a_worker(shop: Shop, gate: GatedTool) -> None:
    engine, run_id = start_up_to(gate, shop)
    os.kill(worker_pid(engine, run_id), signal.SIGHUP)
    gate.open()
    assert shop.home.finish(engine, run_id).status == "completed"


def test_a_stopped_worker_goes_on_when_it_is_continued(shop: Shop, gate: GatedTool) -> None:
    engine, run_id = start_up_to(gate, shop)
    pid = worker_pid(engine, run_id)
    os.kill(pid, signal.SIGSTOP)
    assert engine.paths.is_alive(run_id)
    os.kill(pid, signal.SIGCONT)
    gate.open()
    assert shop.home.finish(engine, run_id).status == "completed"


def test_cancel_by_command(shop: Shop) -> None:
    # It never comes to an end by itself, however long the commands take.
    shop.misbehave("hang:60%")
    engine, run_id = start_and_wait(shop, shop.bytes_sent)
    status = shop.home.dgtui("status")
    assert run_id[:8] in status.output + status.errors, status
    outcome = shop.home.dgtui("cancel", run_id)
    assert outcome.exit_code == 0, outcome
    assert shop.home.finish(engine, run_id).status == "cancelled"


def test_two_runs_of_one_job(shop: Shop, gate: GatedTool) -> None:
    engine, run_id = start_up_to(gate, shop)
    os.kill(worker_pid(engine, run_id), signal.SIGSTOP)
    outcome = shop.home.dgtui("--run-job", "nightly")
    os.kill(worker_pid(engine, run_id), signal.SIGCONT)
    gate.open()
    assert outcome.exit_code == 4, outcome
    assert "pid" in outcome.errors
    assert shop.home.finish(engine, run_id).status == "completed"
    assert len(shop.folders()) == 1


def test_a_worker_that_is_suspended_for_longer_than_any_wait(shop: Shop, gate: GatedTool) -> None:
    """It goes on where it stood, or ends by its own clock; the data came meanwhile."""
    shop.job = 'idle_timeout = "3 s"'
    shop.write()
    engine, run_id = start_up_to(gate, shop)
    worker = worker_pid(engine, run_id)
    os.kill(worker, signal.SIGSTOP)
    try:
        gate.open()
        # As long as this is what is tried: a time that is longer than the longest wait.
        time.sleep(3.5)
    finally:
        os.kill(worker, signal.SIGCONT)
    snapshot = shop.home.finish(engine, run_id)
    if snapshot.status == "failed":
        assert snapshot.problem is not None
        assert "No data for 3 s" in snapshot.problem.message
        assert shop.folders() == []
    else:
        assert snapshot.status == "completed", snapshot.problem
        engine.validate_folder(shop.folders()[0])
    shop.nothing_left()


def test_many_starts_at_once_make_one_run(shop: Shop, gate: GatedTool) -> None:
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "dgtui", "--run-job", "nightly"],
            env=shop.home.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(5)
    ]
    # The one that runs stands at the gate, also where another of them is slow to begin.
    wait_until(lambda: sum(command.poll() is not None for command in commands) >= 4, "the end of all but one")
    gate.open()
    assert sorted(command.wait(PATIENCE_SECONDS) for command in commands) == [0, 4, 4, 4, 4]
    assert len(shop.folders()) == 1


def test_sigterm_to_the_command_stops_the_run(shop: Shop, gate: GatedTool) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "dgtui", "--run-job", "nightly"],
        env=shop.home.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    engine = shop.home.engine()
    gate.wait()
    command.terminate()
    _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == 143, errors
    assert engine.executions()[0].status == "interrupted"
    shop.nothing_left()


def test_a_closed_output_changes_nothing(shop: Shop) -> None:
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -m dgtui --run-job nightly --json | head -n 1', sys.executable],
        env=shop.home.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert "Traceback" not in done.stderr
    assert shop.home.engine().executions()[0].status == "completed"


def test_the_environment_of_cron(shop: Shop) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "DGTUI_CONFIG": str(shop.home.config_path),
        "DGTUI_STATE": str(shop.home.state),
    }
    done = subprocess.run(
        [sys.executable, "-m", "dgtui", "--run-job", "nightly"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_few_file_descriptors(shop: Shop) -> None:
    done = subprocess.run(
        ["prlimit", "--nofile=64", sys.executable, "-m", "dgtui", "--run-job", "nightly"],
        env=shop.home.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr


def test_a_whole_backup_of_a_killed_worker_is_registered(shop: Shop) -> None:
    execution = shop.home.back_up()
    forget_the_end(shop.home, execution)
    engine = shop.home.engine()
    assert any("found and registered" in sentence for sentence in engine.reconciled)
    found = engine.execution(execution.execution_id)
    assert (found.status, found.checksum) == ("completed", execution.checksum)


def forget_the_end(home: Home, execution: Execution) -> None:
    """Make the catalogue and the messages as they are when a worker dies right after the commit."""
    engine = home.engine()
    engine.catalog.save_execution(
        Execution(
            execution_id=execution.execution_id,
            job_id=execution.job_id,
            job=execution.job,
            datasource=execution.datasource,
            datasource_type=execution.datasource_type,
            status="running",
            backup_type=execution.backup_type,
            started_at=execution.started_at,
        )
    )
    messages = engine.paths.messages(execution.execution_id)
    lines = messages.read_bytes().splitlines(keepends=True)
    messages.write_bytes(b"".join(lines[:-1]))


@pytest.mark.parametrize("call", ["rename,renameat,renameat2", "fsync,fdatasync"])
def test_killed_at_any_rename_or_fsync(home: Home, call: str) -> None:
    """Kill the worker exactly at its Nth call, for all N: there is a whole backup or none, never a half one."""
    if subprocess.run(["strace", "-o", os.devnull, "true"], check=False, capture_output=True).returncode:
        pytest.skip("strace cannot trace here")
    source = home.folder / "files"
    source.mkdir()
    source.joinpath("a").write_text("content" * 1000)
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n', storages=("disk", "nas"))
    for number in range(1, 200):
        log = home.folder / "strace.log"
        done = subprocess.run(
            ["strace", "-f", "-o", str(log), "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}",
             sys.executable, "-m", "dgtui", "--run-job", "nightly"],
            env=home.environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        engine = home.engine()
        assert [
            execution.status for execution in engine.executions() if execution.status in ("queued", "running")
        ] == []
        for execution in engine.executions():
            if execution.status in ("completed", "partial"):
                assert any(copy.status == "available" for copy in engine.live_copies(execution))
        assert home.litter() == [], number
        engine.close()
        if "killed by SIGKILL" not in log.read_text() and done.returncode == 0:
            break
    else:
        pytest.fail("the run never came to its end")
    assert home.dgtui("validate", "nightly@latest").exit_code == 0


def test_a_server_that_freezes_while_its_rows_stream_ends_the_run(
    home: Home, own_postgres_server: PostgresServer
) -> None:
    server = own_postgres_server
    server.create_database("frozen")
    with server.connect("frozen") as connection:
        # More than every buffer between the server and the storage can hold.
        connection.execute("CREATE TABLE rows AS SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 120000) i")
        connection.execute("ANALYZE")
    shop = Shop(home, server, "frozen")
    shop.job = 'idle_timeout = "5 s"\ncompression = "zstd:19"\ncompression_threads = 1'
    shop.write()
    engine, run_id = start_and_wait(shop, lambda: 1_000_000)
    server.signal_all(signal.SIGSTOP)
    try:
        snapshot = home.finish(engine, run_id)
    finally:
        server.signal_all(signal.SIGCONT)
    assert snapshot.status == "failed"
    assert snapshot.problem is not None
    assert snapshot.problem.hint
    assert "5 s" in snapshot.problem.message or "answer" in snapshot.problem.message, snapshot.problem
    shop.nothing_left()
