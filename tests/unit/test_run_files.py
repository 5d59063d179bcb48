"""Files of runs: what ended long ago goes, what lives, waits or is still to be put right stays."""

import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import ConfigError
from dgtui.engine.late_rows import kept_late_rows
from dgtui.engine.locks import take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import Execution, ExecutionStatus
from dgtui.engine.restore_model import PROTECTED_FOR, LateRows, Placing, Restore
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


def _restore(runs: Runs, status: ExecutionStatus, placing: Placing | None = None) -> tuple[str, Path]:
    """A restore of long ago, and its script with rows that others wrote."""
    restore = Restore(
        restore_id=str(uuid.uuid4()),
        execution_id="e1",
        datasource="crm",
        target="shop",
        status=status,
        started_at=now(),
        placing=placing,
    )
    runs.catalog.save_restore(restore)
    script = runs.paths.late_rows(restore.restore_id)
    script.parent.mkdir(exist_ok=True)
    script.write_text("COPY")
    return restore.restore_id, script


def test_late_rows_are_kept_as_long_as_a_safety_backup_is_protected(runs: Runs) -> None:
    restore_id, script = _restore(runs, "completed")
    [told] = kept_late_rows(LateRows(since="7", path=str(script)))
    until = datetime.fromtimestamp(script.stat().st_mtime, UTC) + PROTECTED_FOR
    assert told.endswith(f"{restore_id}.sql until {until:%Y-%m-%d %H:%M} UTC")
    runs.prune(PROTECTED_FOR.total_seconds() - HOUR)
    assert script.exists()
    runs.prune(PROTECTED_FOR.total_seconds() + HOUR)
    assert not script.exists()


def test_late_rows_of_a_restore_that_is_not_over_stay_whatever_their_age(runs: Runs) -> None:
    """It runs, or nobody knows yet whether the rows were replaced."""
    running, unsettled = (
        _restore(runs, "running"),
        _restore(runs, "interrupted", Placing(beside="shop_new", keep_as="shop_old", mark="8", rows=True)),
    )
    unrecorded = _restore(runs, "completed")
    lock = take_lock(runs.paths.lock(unrecorded[0]), purpose="restore")
    runs.prune(400 * DAY)
    assert [script.exists() for _, script in (running, unsettled, unrecorded)] == [True] * 3
    lock.release()
    runs.prune(401 * DAY)
    assert [script.exists() for _, script in (running, unsettled, unrecorded)] == [True, True, False]


def test_a_script_that_a_restore_is_writing_stays_however_long_it_waits_for_rows(runs: Runs) -> None:
    """It has no name yet, as one that was cut has none."""
    restore_id, script = _restore(runs, "running")
    written = script.with_name(f".{script.name}.0123456789abcdef.tmp")
    script.rename(written)
    os.utime(written, (0, 0))
    lock = take_lock(runs.paths.lock(restore_id), purpose="restore")
    runs.prune()
    assert written.exists()
    lock.release()
    runs.prune(2 * HOUR)
    assert not written.exists()


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
