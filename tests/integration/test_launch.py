"""What stands in the catalogue at each moment of a start, and what is left of a worker at the end."""

import subprocess
import sys

import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.model import Restore
from tests.support.homes import Home


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


def test_the_end_of_a_worker_is_collected_when_the_program_ends() -> None:
    program = (
        "import os, subprocess\n"
        "from dgtui.engine.launch import keep_process\n"
        "worker = subprocess.Popen(['true'])\n"
        "keep_process(worker)\n"
        "os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)\n"
        "del worker\n"
    )
    command = [sys.executable, "-W", "always", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
