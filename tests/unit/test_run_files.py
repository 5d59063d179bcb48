"""Files of runs: what ended long ago goes, what lives, waits or is still to be put right stays."""

import os
import time
import uuid
from pathlib import Path

import msgspec
import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import ConfigError
from dgtui.engine.locks import take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import Execution, ExecutionStatus
from dgtui.engine.run_files import prune_run_files
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.runs import RunPaths
from tests.support.homes import Home

HOUR, DAY = 3600.0, 86400.0
KEPT = 90 * DAY


class Runs:
    """A state folder with runs of any age."""

    def __init__(self, state: Path) -> None:
        self.paths = RunPaths(state)
        self.paths.make()
        self.catalog = Catalog(state)

    def add(
        self, age: float, status: ExecutionStatus | None = "completed", *, recorded: str = "", error: str = ""
    ) -> str:
        """A run whose last word was said so many seconds ago; its id. `recorded` is what the catalogue has of it."""
        run_id = str(uuid.uuid4())
        writer = RunWriter(self.paths.messages(run_id))
        writer.status("queued")
        if status is not None:
            writer.status(status)
        writer.close()
        self.paths.request(run_id).write_bytes(b"{}")
        self.paths.faults(run_id).write_text(error)
        self.paths.lock(run_id).touch()
        if recorded:
            self.catalog.save_execution(
                Execution(
                    execution_id=run_id,
                    job_id="job",
                    job="nightly",
                    datasource="shop",
                    datasource_type="sqlite",
                    status=recorded,  # type: ignore[arg-type]  # a state, as the tests write them
                    backup_type="full",
                    started_at=now(),
                )
            )
        self.age(run_id, age)
        return run_id

    def age(self, run_id: str, age: float) -> None:
        """Let all its files be so old."""
        moment = time.time() - age
        for path in self.paths.runs.glob(f"{run_id}*"):
            os.utime(path, (moment, moment))

    def left(self, run_id: str) -> set[str]:
        """What is there of a run."""
        return {path.name.removeprefix(run_id) for path in self.paths.runs.glob(f"{run_id}*")}

    def prune(self, later: float = 0.0) -> int:
        """As if so many seconds had passed."""
        return prune_run_files(self.catalog, self.paths, kept_seconds=KEPT, clock=time.time() + later)


ALL = {".jsonl", ".lock", ".request.json", ".stderr"}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_an_hour_after_its_end_the_log_of_a_run_is_left(runs: Runs) -> None:
    fresh, ended = runs.add(HOUR / 2), runs.add(2 * HOUR)
    faulty = runs.add(2 * HOUR, error="Segmentation fault")
    runs.prune()
    assert (runs.left(fresh), runs.left(ended), runs.left(faulty)) == (ALL, {".jsonl"}, {".jsonl", ".stderr"})
    assert not runs.paths.is_alive(ended)


def test_what_is_not_over_stays_whatever_its_age(runs: Runs) -> None:
    waiting = runs.add(400 * DAY, None, recorded="queued")
    running = runs.add(400 * DAY, None)
    lock = take_lock(runs.paths.lock(running), purpose="run")
    runs.age(running, 400 * DAY)
    unsettled = runs.add(400 * DAY)
    runs.paths.scratch(unsettled).mkdir()
    silent = runs.add(2 * DAY, None)
    runs.prune()
    assert [runs.left(one) for one in (waiting, running, unsettled, silent)] == [ALL] * 4
    lock.release()


def test_a_log_goes_with_its_backup_or_when_it_is_old(runs: Runs) -> None:
    kept, old = runs.add(80 * DAY, recorded="completed"), runs.add(91 * DAY, recorded="completed")
    removed = runs.add(2 * DAY, recorded="completed")
    runs.catalog.forget_execution(removed)
    runs.prune()
    assert (runs.left(kept), runs.left(old), runs.left(removed)) == ({".jsonl"}, set(), set())


def test_it_is_looked_for_once_an_hour(runs: Runs) -> None:
    first = runs.add(2 * HOUR)
    assert runs.prune() == 3
    second = runs.add(2 * HOUR)
    assert runs.prune() == 0
    assert runs.prune(2 * HOUR) == 3
    assert runs.left(first) == runs.left(second) == {".jsonl"}
    # The clock was set back by a year.
    third = runs.add(366 * DAY)
    runs.prune(-365 * DAY)
    assert runs.left(third) == {".jsonl"}


def test_what_was_cut_before_it_had_its_name_goes(runs: Runs) -> None:
    """A worker or a daemon was killed while it wrote: in what is kept of the configuration, a secret may be."""
    state = runs.paths.state
    for folder in ("config", "late_rows"):
        (state / folder).mkdir()
    cut = [
        state / ".audit-head.json.0123456789abcdef.tmp",
        state / "runs/.x.request.json.0123456789abcdef.tmp",
        state / "config/.kept.json.0123456789abcdef.tmp",
        state / "late_rows/.r1.sql.0123456789abcdef.tmp",
    ]
    young, of_others = state / ".daemon.json.0123456789abcdef.tmp", state / ".notes.tmp"
    for path in (*cut, young, of_others):
        path.write_text("")
        if path != young:
            os.utime(path, (0, 0))
    runs.prune()
    assert [path for path in (*cut, young, of_others) if path.exists()] == [young, of_others]


def test_a_run_whose_log_is_gone_is_not_taken_for_one_that_died(home: Home) -> None:
    source = home.folder / "tree"
    source.mkdir()
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n')
    made = home.back_up()
    engine = home.engine()
    assert engine.run_reference(made.execution_id) == made.execution_id
    engine.paths.messages(made.execution_id).unlink()
    with pytest.raises(ConfigError, match="not kept here any more"):
        engine.run_reference(made.execution_id)
    assert msgspec.json.encode(engine.execution(made.execution_id)) == msgspec.json.encode(made)
