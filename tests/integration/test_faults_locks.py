"""Locks that outlive their meaning hold nobody up: pids that belong to others now, and other machines (row 99)."""

import os
import signal
from pathlib import Path

from tests.integration.test_faults_processes import start_and_wait, worker_pid
from tests.support.homes import Home
from tests.support.shops import Shop


def test_lock_files_of_another_life_hold_nobody_up(home: Home) -> None:
    """After a reboot they lie there as they were, and the pids in them belong to other programs, such as this one."""
    (home.folder / "tree").mkdir()
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{home.folder / "tree"}"\n')
    former = home.back_up()
    engine = home.engine()
    locks = [*engine.paths.locks.glob("*.lock"), engine.paths.lock(former.execution_id)]
    assert any(lock.name.startswith("job-") for lock in locks)
    for lock in locks:
        lock.write_text(f"pid {os.getpid()} since 2025-02-13T06:00:00+00:00 for run {former.execution_id[:8]}\n")
    engine.paths.lock(former.execution_id).write_text(str(os.getpid()))
    assert engine.running() == []
    # This process would be the one to end.
    engine.cancel(former.execution_id)
    assert home.back_up().status == "completed"
    assert len(engine.executions()) == 2


def test_another_machine_with_the_same_job_and_storage_is_not_held_up(shop: Shop, tmp_path: Path) -> None:
    """Each has a state folder of its own; what the other is writing is left alone, also once it was killed there."""
    shop.misbehave("stand:60%")
    engine, run_id = start_and_wait(shop, shop.bytes_sent)
    shop.behave()
    other = Home(tmp_path / "other machine")
    other.folder.mkdir()
    other.config_path.write_text(shop.home.config_path.read_text())
    other.config_path.chmod(0o600)
    unfinished = shop.home.litter()
    assert unfinished
    for _ in range(2):
        done = other.dgtui("--run-job", "nightly")
        assert done.exit_code == 0, done
        assert shop.home.litter() == unfinished
    assert other.dgtui("cleanup", "--yes").exit_code == 0
    os.kill(worker_pid(engine, run_id), signal.SIGKILL)
    assert shop.home.finish(engine, run_id).status == "interrupted"
    assert other.dgtui("--run-job", "nightly").exit_code == 0
    assert shop.home.litter() == unfinished
    assert shop.home.back_up().status == "completed"
    assert shop.home.litter() == []
    assert len(shop.folders()) == 4
    assert shop.home.dgtui("scan", "disk", "--json").json()["added"] == 3
