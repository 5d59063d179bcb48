"""What stands in the catalogue at each moment of a start, and what is left of a worker at the end."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import DataGuardianError, StorageError
from dgtui.engine.restore_model import Restore
from dgtui.engine.worker_backup import BackupWorker
from dgtui.engine.worker_reading import ReadingWorker
from tests.support.homes import Home, wait_until


def test_a_restore_is_recorded_once_it_holds_its_lock(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else whoever looks for ended runs just then would take it for a dead one."""
    source = home.folder / "tree"
    source.mkdir()
    source.joinpath("a.txt").write_text("content")
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n')
    made = home.back_up()
    engine = home.engine()
    told: list[tuple[str, ...]] = []
    save = Catalog.save_restore

    def saved(catalog: Catalog, restore: Restore) -> None:
        save(catalog, restore)
        told.append(engine.reconcile())

    monkeypatch.setattr(Catalog, "save_restore", saved)
    run_id = engine.start_restore(made, overwrite=True, safety=False)
    assert home.finish(engine, run_id).status == "completed"
    assert told == [()]
    assert engine.restore(run_id).status == "completed"


def test_the_lock_of_a_run_is_held_as_soon_as_others_see_it(
    home: Home, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk may take its time for the next file: whoever looks meanwhile would take the run for one that died."""
    engine = home.engine(fork_workers=True)
    usual, living = os.open, []

    def look(path: str, *arguments: int, **names: int) -> int:
        if str(path).endswith(".stderr") and engine.paths.with_locks():
            living.append(engine.paths.living())
        return usual(path, *arguments, **names)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", look)
        run_id = engine.start_job("nightly")
    assert home.finish(engine, run_id).status == "completed"
    assert all(seen == [run_id] for seen in living)


@pytest.mark.parametrize("what", ["backup", "restore"])
def test_who_hears_of_the_end_of_a_run_may_begin_the_next_one(
    home: Home, tree: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Its worker has to tidy up, and may be slow to go away: the next one was refused as already under way."""
    made = home.back_up()
    slow, go = (BackupWorker if what == "backup" else ReadingWorker), home.folder / "go"
    leave = slow._leave

    def leave_late(worker: Any) -> None:
        wait_until(go.exists, "the word to go away")
        leave(worker)

    monkeypatch.setattr(slow, "_leave", leave_late)
    home.close_catalogues()
    engine = home.engine(fork_workers=True)

    def start() -> str:
        return engine.start_job("nightly") if what == "backup" else engine.start_restore(made, overwrite=True)

    first = start()
    follower = engine.follower(first)
    wait_until(lambda: bool(follower.poll()) and follower.snapshot.ended, "the last message")
    assert engine.paths.is_alive(first)
    second = start()
    go.touch()
    assert [home.finish(engine, run_id).status for run_id in (first, second)] == ["completed"] * 2


def test_a_machine_that_gives_no_process_is_an_error_with_a_hint(
    home: Home, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = home.engine(fork_workers=True)

    def refuse() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refuse)
    with pytest.raises(DataGuardianError, match="could not be started: Resource temporarily unavailable") as caught:
        engine.start_job("nightly")
    assert "ulimit -u" in caught.value.hint
    assert [execution.status for execution in home.engine().executions()] == ["interrupted"]


def test_a_machine_that_gives_no_file_is_an_error_with_a_hint(
    home: Home, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = home.engine(fork_workers=True)
    usual = os.open

    def refuse(path: str, *arguments: int, **names: int) -> int:
        if str(path).startswith(str(engine.paths.runs)) and str(path).endswith(".lock"):
            raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))
        return usual(path, *arguments, **names)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match="Could not begin a run in") as caught:
        engine.start_job("nightly")
    assert caught.value.hint == "Too many files are open on this machine"


def test_the_end_of_a_worker_is_collected_when_the_program_ends() -> None:
    program = (
        "import os, subprocess\n"
        "from dgtui.engine.spawning import keep_process\n"
        "worker = subprocess.Popen(['true'])\n"
        "keep_process(worker)\n"
        "os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)\n"
        "del worker\n"
    )
    command = [sys.executable, "-W", "always", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
