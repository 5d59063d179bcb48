"""Runs of the timetable that the machine stopped, and which of them are made again."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.due_runs import stopped_before, undecided_runs
from dgtui.engine.guardian.overview import cancel_waiting, job_overviews
from dgtui.engine.model import Execution, ExecutionStatus
from dgtui.engine.reconcile import reconcile
from dgtui.engine.run_follower import RunFollower
from tests.support.statements import plans_of_reading
from tests.unit.timetable_support import Guard, job

DAILY = 'schedule = "daily at 03:00"\ntimezone = "UTC"\ngrace = "2 h"'
DUE = datetime(2025, 1, 2, 3, tzinfo=UTC)


def stopped(folder: Path, keys: str = DAILY) -> Guard:
    """A guard whose one run was stopped by the machine a minute after it began, and which is on again five later."""
    guard = Guard(folder, job(keys))
    guard.status = "running"
    guard.until(DUE)
    assert len(guard.started) == 1
    guard.now += timedelta(minutes=1)
    guard.end(guard.started[0], "interrupted")
    guard.status = "completed"
    guard.now += timedelta(minutes=5)
    guard.restart()
    return guard


def test_a_run_that_the_machine_stopped_is_made_again_once(tmp_path: Path) -> None:
    guard = stopped(tmp_path)
    guard.step()
    first, second = guard.started
    assert stopped_before(guard.catalog, guard.started) == {second: first}
    follower = RunFollower(guard.paths, second)
    follower.poll()
    (told,) = follower.snapshot.log
    assert told.text.endswith(f"by the timetable, and runs again, after the machine stopped it ({first[:8]})")
    (shown,) = job_overviews(guard.config, guard.catalog, guard.now)
    assert shown.again
    for _ in range(3):
        guard.restart()
        guard.step()
    guard.until(DUE + timedelta(hours=20))
    assert len(guard.started) == 2


def test_one_that_is_stopped_once_more_is_left(tmp_path: Path) -> None:
    guard = stopped(tmp_path)
    guard.status = "interrupted"
    guard.step()
    assert len(guard.started) == 2
    for _ in range(5):
        guard.now += timedelta(minutes=5)
        guard.restart()
        guard.step()
    assert len(guard.started) == 2
    guard.until(DUE + timedelta(days=1, minutes=2))
    assert len(guard.started) == 4, "each due time has its own"


def test_a_run_that_was_cut_off_without_a_word_is_one_of_them(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job(DAILY))
    guard.status = "running"
    guard.until(DUE)
    guard.now += timedelta(minutes=10)
    guard.restart()
    guard.status = "completed"
    guard.step()
    assert len(guard.started) == 1, "nobody has recorded yet that it is dead"
    reconcile(guard.catalog, guard.config, guard.paths)
    assert [(one.status, by_itself(one)) for one in guard.catalog.executions()] == [("interrupted", True)]
    guard.end(guard.started[0], "interrupted")  # by the clock of the test
    guard.until(guard.now + timedelta(minutes=3))
    assert len(guard.started) == 2


def by_itself(execution: Execution) -> bool:
    """Whether the hint of a run that was stopped says that it is made again, and not only to start it again."""
    assert execution.problem is not None
    assert execution.problem.hint.endswith("start it again")
    return "makes it again by itself" in execution.problem.hint


def test_who_has_to_start_another_one_is_told(tmp_path: Path) -> None:
    """Of one that a person started, and of one that was made again once; a newer one takes the place of both."""
    guard = stopped(tmp_path)
    guard.status = "running"
    guard.step()
    for name in ("by hand", "and again"):
        begun = msgspec.structs.replace(guard.catalog.executions()[0], execution_id=name, started_at=guard.now)
        guard.catalog.save_execution(begun)
    reconcile(guard.catalog, guard.config, guard.paths)
    ended = {one.execution_id: by_itself(one) for one in guard.catalog.executions() if one.problem is not None}
    assert ended == {guard.started[1]: False, "by hand": False, "and again": False}


def test_a_daemon_that_stays_up_finds_it_too(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job(DAILY))
    guard.status = "running"
    guard.until(DUE + timedelta(minutes=20))
    guard.end(guard.started[0], "interrupted")
    guard.step()
    assert len(guard.started) == 1, "a machine that goes down would stop what begins at once"
    guard.status = "completed"
    guard.until(guard.now + timedelta(minutes=2))
    assert len(guard.started) == 2


@pytest.mark.parametrize("status", ["cancelled", "failed", "partial", "completed"])
def test_one_that_ended_by_itself_or_by_a_person_is_not(tmp_path: Path, status: ExecutionStatus) -> None:
    guard = stopped(tmp_path, DAILY + "\nretries = 5")
    guard.end(guard.started[0], status)
    guard.step()
    guard.until(DUE + timedelta(hours=20))
    assert len(guard.started) == 1


def test_one_that_a_person_takes_from_the_queue_is_not_made_again_after_all(tmp_path: Path) -> None:
    guard = stopped(tmp_path)
    waiting = guard.kill_at_the_start()
    with guard.catalog.transaction() as connection:
        connection.execute("UPDATE due_runs SET state = 'waiting'")
    assert cancel_waiting(guard.catalog, guard.paths, waiting, guard.now)
    guard.restart()
    guard.until(DUE + timedelta(hours=20))
    assert len(guard.started) == 1


def test_a_daemon_that_is_killed_meanwhile_loses_and_doubles_nothing(tmp_path: Path) -> None:
    guard = stopped(tmp_path)
    waiting = guard.kill_at_the_start()
    assert reconcile(guard.catalog, guard.config, guard.paths) == ()
    for _ in range(3):
        guard.restart()
        guard.step()
    assert guard.started[1:] == [waiting]


def test_beyond_its_grace_time_it_is_too_late(tmp_path: Path) -> None:
    guard = stopped(tmp_path)
    guard.now = DUE + timedelta(hours=2, minutes=1)
    guard.step()
    assert len(guard.started) == 1
    assert guard.duty.next_due(guard.now) == DUE + timedelta(days=1), "and nobody looks for it any more"


def test_where_a_person_has_started_the_job_since_it_is_not_made_again(tmp_path: Path) -> None:
    guard = stopped(tmp_path)
    before = guard.catalog.executions()[0]
    by_hand = Execution(
        execution_id="by hand",
        job_id=before.job_id,
        job="nightly",
        datasource="shop",
        datasource_type="files",
        status="completed",
        backup_type="full",
        started_at=guard.now,
    )
    guard.catalog.save_execution(by_hand)
    guard.until(DUE + timedelta(hours=20))
    assert len(guard.started) == 1


def test_a_newer_due_time_takes_its_place(tmp_path: Path) -> None:
    guard = stopped(tmp_path, 'schedule = "0 3,4 * * *"\ntimezone = "UTC"\ngrace = "6 h"')
    guard.now = DUE + timedelta(hours=1)
    guard.step()
    guard.until(DUE + timedelta(hours=20))
    assert len(guard.started) == 2
    assert stopped_before(guard.catalog, guard.started) == {}


def test_a_timetable_that_begins_anew_catches_up_nothing_that_was_stopped(tmp_path: Path) -> None:
    guard = stopped(tmp_path)
    guard.configure(job(DAILY + "\nenabled = false"))
    guard.step()
    guard.now += timedelta(minutes=5)
    guard.configure(job(DAILY))
    guard.until(DUE + timedelta(hours=20))
    assert len(guard.started) == 1


def test_it_waits_for_the_hours_in_which_the_job_may_begin(tmp_path: Path) -> None:
    keys = 'schedule = "daily at 03:00"\ntimezone = "UTC"\nwindow = "02:00-03:05"'
    guard = stopped(tmp_path, keys)
    assert guard.now == DUE + timedelta(minutes=6)
    guard.until(DUE + timedelta(hours=22))
    assert len(guard.started) == 1
    guard.until(DUE + timedelta(hours=23, minutes=2))
    assert len(guard.started) == 2


def test_looking_for_them_does_not_go_through_all_due_times(tmp_path: Path) -> None:
    """There may be a hundred thousand, and they are looked for once a minute."""
    catalog = Catalog(tmp_path)
    with plans_of_reading() as plans:
        undecided_runs(catalog)
    catalog.close()
    assert not {plan for plan in plans if plan.startswith(("SCAN due_runs", "SCAN executions"))}
    searches = [plan for plan in plans if plan.startswith(("SEARCH", "SCAN"))]
    assert any(plan.startswith("SEARCH executions USING INDEX ix_executions_status") for plan in searches)
    assert any(plan.startswith("SEARCH due_runs") and "(execution_id=?)" in plan for plan in searches)


OUTCOMES = st.sampled_from(["completed", "failed", "cancelled", "interrupted", "interrupted", "running"])


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.integers(-30, 60), st.booleans(), OUTCOMES), min_size=5, max_size=25))
@example([(21, False, "interrupted"), (2, True, "interrupted"), (2, True, "interrupted"), (2, True, "interrupted")])
def test_whatever_happens_a_due_time_has_one_run_and_one_more_where_that_was_stopped(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool, ExecutionStatus]]
) -> None:
    guard = Guard(tmp_path_factory.mktemp("guard"), job('schedule = "*/20 * * * *"\ntimezone = "UTC"\ngrace = "1 h"'))
    guard.step()
    for minutes, restart, status in steps:
        guard.now += timedelta(minutes=minutes)
        for one in guard.catalog.executions(status="running"):
            guard.end(one.execution_id, "interrupted")
        guard.status = status
        if restart:
            guard.restart()
        guard.step()
        guard.step()
    assert len(set(guard.started)) == len(guard.started)
    again = stopped_before(guard.catalog, guard.started)
    ended = {one.execution_id: one.status for one in guard.catalog.executions()}
    assert {ended[first] for first in again.values()} <= {"interrupted"}
    assert not set(again) & set(again.values()), "none a third time"
    with guard.catalog.transaction() as connection:
        rows = connection.execute("SELECT due_at, execution_id, stopped_execution_id FROM due_runs").fetchall()
    assert max(Counter(row[0] for row in rows).values(), default=1) == 1
    assert set(guard.started) == {name for row in rows for name in row[1:] if name is not None}
    guard.catalog.close()
