"""What the timetable starts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dgtui.engine.catalog.due_runs import TimetableState, claim_due_run, missed_runs, queued_runs
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.guardian.waiting import WaitingRuns
from dgtui.engine.locks import take_lock
from dgtui.engine.model import Execution
from dgtui.engine.reconcile import reconcile
from dgtui.engine.run_follower import RunFollower
from dgtui.engine.timetable import DueRun, Timetable
from tests.unit.config_support import DATASOURCE
from tests.unit.timetable_support import START, Guard, job


@pytest.mark.parametrize("start", [datetime(2025, 3, 10, 12, tzinfo=UTC), datetime(2025, 10, 10, 12, tzinfo=UTC)])
def test_a_daily_job_runs_once_on_each_day_also_when_the_clock_changes(tmp_path: Path, start: datetime) -> None:
    guard = Guard(tmp_path, job('schedule = "daily at 02:30"\ntimezone = "Europe/Zurich"'))
    guard.now = start
    guard.until(start + timedelta(days=40))
    assert len(guard.started) == len(set(guard.started)) == 40
    assert missed_runs(guard.catalog, START) == []


def test_what_is_written_down_for_the_worker_holds_no_secret(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "0 * * * *"\nheartbeat = "https://ping.example/t0ken"'))
    guard.step()
    guard.until(START + timedelta(hours=1))
    (run_id,) = guard.started
    assert b"t0ken" not in guard.paths.request(run_id).read_bytes()


def test_a_new_job_catches_up_nothing(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "0 * * * *"'))
    guard.step()
    assert guard.started == []
    guard.until(START + timedelta(hours=1))
    assert len(guard.started) == 1


def test_a_missed_run_is_caught_up_once(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "0 * * * *"\ngrace = "2 h"'))
    guard.until(START + timedelta(hours=1))
    guard.now += timedelta(hours=5, minutes=30)
    guard.restart()
    guard.step()
    guard.step()
    assert len(guard.started) == 2
    assert missed_runs(guard.catalog, START) == []


def test_due_times_of_years_ago_are_forgotten_also_where_none_is_missed(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "0 3 * * *"'))
    guard.until(START + timedelta(days=3))

    def due_times() -> int:
        with guard.catalog.transaction() as connection:
            return int(connection.scalar("SELECT count(*) FROM due_runs"))

    before = due_times()
    assert before >= 2
    state = TimetableState(timetable="other", handled_until=guard.now)
    execution = msgspec.structs.replace(guard.catalog.executions(limit=1)[0], execution_id="later", job_id="other")
    later = guard.now + timedelta(days=900)
    assert claim_due_run(guard.catalog, execution, later, later, state)
    assert due_times() == 1


def test_beyond_its_grace_time_a_run_is_missed(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "daily at 03:00"\ntimezone = "UTC"\ngrace = "2 h"'))
    guard.step()
    guard.now = datetime(2025, 1, 3, 6, tzinfo=UTC)
    guard.restart()
    guard.step()
    guard.step()
    assert guard.started == []
    missed = missed_runs(guard.catalog, START)
    assert [(run.job, run.due_at) for run in missed] == [("nightly", datetime(2025, 1, 3, 3, tzinfo=UTC))]
    (told,) = Notifications(guard.catalog).listed()
    assert (told.kind, told.severity, told.subject) == ("backup_overdue", "critical", "nightly")
    assert "2025-01-03 03:00:00 UTC was missed" in told.message
    assert told.group_key == "127.0.0.1:5432"
    guard.until(datetime(2025, 1, 4, 4, tzinfo=UTC))
    assert len(guard.started) == 1


def test_a_missed_run_is_no_news_where_somebody_made_the_backup_by_hand(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "daily at 03:00"\ntimezone = "UTC"\ngrace = "2 h"'))
    guard.step()
    by_hand = Execution(
        execution_id="e1",
        job_id=guard.config.job_id("nightly"),
        job="nightly",
        datasource="shop",
        datasource_type="files",
        status="completed",
        backup_type="full",
        started_at=datetime(2025, 1, 3, 4, tzinfo=UTC),
    )
    guard.catalog.save_execution(by_hand)
    guard.now = datetime(2025, 1, 3, 6, tzinfo=UTC)
    guard.restart()
    guard.step()
    assert len(missed_runs(guard.catalog, START)) == 1
    assert Notifications(guard.catalog).listed() == []


def test_without_grace_a_run_on_time_is_still_no_missed_one(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "0 * * * *"\ngrace = 0'))
    guard.step()
    guard.now = START + timedelta(hours=1, seconds=40)
    guard.step()
    assert len(guard.started) == 1


@pytest.mark.parametrize("hours", [1, 3, 12, 23])
def test_a_clock_set_back_runs_nothing_twice(tmp_path: Path, hours: int) -> None:
    guard = Guard(tmp_path, job('schedule = "hourly"\ntimezone = "UTC"'))
    guard.until(START + timedelta(hours=5, minutes=10))
    assert len(guard.started) == 5
    guard.now -= timedelta(hours=hours)
    guard.until(START + timedelta(hours=5, minutes=20))
    assert len(guard.started) == 5
    guard.until(START + timedelta(hours=7, minutes=10))
    assert len(guard.started) == 7


def test_a_clock_that_ran_a_year_ahead_stops_no_job(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "hourly"\ntimezone = "UTC"'))
    guard.until(START + timedelta(hours=2, minutes=10))
    guard.now += timedelta(days=365)
    guard.until(guard.now + timedelta(hours=2))
    ahead = len(guard.started)
    guard.now -= timedelta(days=365)
    guard.until(guard.now + timedelta(hours=3))
    assert len(guard.started) == ahead + 3
    assert len(set(guard.due_times)) == len(guard.started)


@pytest.mark.parametrize("grace", ["12 h", "1 m"], ids=["caught up ahead", "missed ahead"])
def test_what_a_clock_ran_ahead_for_is_no_run_of_that_day(tmp_path: Path, grace: str) -> None:
    guard = Guard(tmp_path, job(f'schedule = "daily at 03:00"\ntimezone = "UTC"\ngrace = "{grace}"'))
    guard.until(START + timedelta(hours=1))
    guard.now += timedelta(days=3)
    guard.until(guard.now + timedelta(hours=1))
    ahead = len(guard.started)
    guard.now -= timedelta(days=3)
    guard.until(START + timedelta(days=5))
    assert [moment.day for moment in guard.due_times[ahead:]] == [2, 3, 4, 5, 6]
    assert missed_runs(guard.catalog, START) == []


def test_a_changed_or_disabled_schedule_begins_anew(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "daily at 03:00"\ntimezone = "UTC"'))
    guard.until(START + timedelta(hours=1))
    guard.configure(job('schedule = "daily at 11:00"\ntimezone = "UTC"'))
    guard.step()
    guard.step()
    assert guard.started == [], "11:00 was before the schedule was this one"
    guard.configure(job('schedule = "daily at 11:00"\ntimezone = "UTC"\nenabled = false'))
    guard.until(START + timedelta(days=1))
    assert guard.started == []
    guard.configure(job('schedule = "daily at 11:00"\ntimezone = "UTC"'))
    guard.step()
    guard.step()
    assert guard.started == [], "what was due while it was off is not caught up"
    guard.until(START + timedelta(days=2))
    assert len(guard.started) == 1


def test_a_claim_that_was_never_started_is_started_once(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "hourly"\ntimezone = "UTC"'))
    guard.step()
    guard.now = START + timedelta(hours=1)
    waiting = guard.kill_at_the_start()
    # Nobody else takes it for a run that died.
    assert reconcile(guard.catalog, guard.config, guard.paths) == ()
    guard.now += timedelta(days=3)
    guard.restart()
    guard.step()
    assert guard.started == [waiting], "it covers all that was due since"
    guard.restart()
    guard.step()
    assert guard.started == [waiting]
    assert queued_runs(guard.catalog) == []


def test_one_that_began_is_not_started_again(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "hourly"\ntimezone = "UTC"'))
    guard.step()
    guard.now = START + timedelta(hours=1)
    guard.kill_at_the_start(begun=True)
    guard.restart()
    guard.step()
    assert len(guard.started) == 1
    assert queued_runs(guard.catalog) == []


def test_a_job_that_went_while_its_run_waited(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "hourly"\ntimezone = "UTC"'))
    guard.step()
    guard.now = START + timedelta(hours=1)
    guard.kill_at_the_start()
    guard.configure(job("", "other"))
    guard.restart()
    guard.step()
    (execution,) = guard.catalog.executions()
    assert execution.status == "cancelled"
    assert execution.problem is not None
    assert "was removed" in execution.problem.message


@pytest.mark.parametrize("switched_off", ["job", "datasource", "schedule"])
def test_a_job_that_is_switched_off_while_its_run_waits_does_not_begin(tmp_path: Path, switched_off: str) -> None:
    hourly = 'schedule = "hourly"\ntimezone = "UTC"'
    guard = Guard(tmp_path, job(hourly))
    guard.step()
    guard.now = START + timedelta(hours=1)
    guard.kill_at_the_start()
    datasource = DATASOURCE + "enabled = false\n" * (switched_off == "datasource")
    keys = {"job": f"{hourly}\nenabled = false", "datasource": hourly, "schedule": ""}[switched_off]
    guard.configure(job(keys), datasource=datasource)
    guard.restart()
    guard.step()
    assert guard.started == []
    (execution,) = guard.catalog.executions()
    assert execution.status == "cancelled"
    assert execution.problem is not None
    assert execution.problem.message == "The timetable of nightly was switched off while its run waited"
    guard.configure(job(hourly))
    guard.until(START + timedelta(hours=2))
    assert len(guard.started) == 1, "it begins anew with the next due time"


@pytest.mark.parametrize(("hours", "starts"), [(1, True), (3, False)])
def test_one_that_waited_when_the_machine_went_down_is_caught_up_within_its_grace_time(
    tmp_path: Path, hours: int, starts: bool
) -> None:
    guard = Guard(tmp_path, job('schedule = "daily at 13:00"\ntimezone = "UTC"\ngrace = "2 h"'))
    guard.step()
    guard.now = due_at = START + timedelta(hours=1)
    waiting = guard.kill_at_the_start()
    guard.now += timedelta(hours=hours)
    guard.restart()
    guard.step()
    guard.step()
    assert guard.started == ([waiting] if starts else [])
    assert queued_runs(guard.catalog) == []
    assert [run.due_at for run in missed_runs(guard.catalog, START)] == ([] if starts else [due_at])
    assert [told.kind for told in Notifications(guard.catalog).listed()] == ([] if starts else ["backup_overdue"])
    execution = guard.catalog.execution(waiting)
    assert execution is not None
    assert execution.status == ("failed" if starts else "cancelled"), "as the runs of this test end"
    guard.until(START + timedelta(days=1, hours=2))
    assert len(guard.started) == 1 + starts, "and it goes on"


def test_one_that_waits_for_its_turn_is_not_taken_away_by_a_daemon_that_starts_anew(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "daily at 13:00"\ntimezone = "UTC"\ngrace = 0'))
    with take_lock(guard.paths.locks / f"job-{guard.config.job_id('nightly')}.lock", purpose="a run by hand"):
        guard.step()
        guard.until(START + timedelta(hours=1))
        guard.now = START + timedelta(hours=4)
        guard.step()
        assert guard.started == []
    guard.now += timedelta(seconds=20)
    guard.restart()
    guard.step()
    assert len(guard.started) == 1


def test_what_a_run_waits_for_stands_in_its_log_once(tmp_path: Path) -> None:
    window = 'window = "12:30-13:10"'
    guard = Guard(tmp_path, job(f'schedule = "daily at 13:00"\ntimezone = "UTC"\n{window}'))
    with take_lock(guard.paths.locks / f"job-{guard.config.job_id('nightly')}.lock", purpose="a run by hand"):
        guard.step()
        guard.until(START + timedelta(hours=1))
    guard.now = START + timedelta(hours=2)
    guard.step()
    guard.step()
    (waiting,) = queued_runs(guard.catalog)
    follower = RunFollower(guard.paths, waiting.execution_id)
    follower.poll()
    assert [message.text for message in follower.snapshot.log] == [
        "It was due at 2025-01-01 13:00:00 UTC by the timetable",
        "It waits for another run of this job, which is under way",
        "It waits for the hours in which it may begin: 12:30-13:10 UTC",
    ]
    assert follower.snapshot.status == "queued"


def test_while_a_run_waits_the_timetables_of_all_others_are_not_gone_through_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = "".join(job('schedule = "daily at 20:00"\ntimezone = "UTC"', f"other{number}") for number in range(5))
    guard = Guard(tmp_path, job('schedule = "daily at 13:00"\ntimezone = "UTC"\nwindow = "12:30-13:10"') + others)
    with take_lock(guard.paths.locks / f"job-{guard.config.job_id('nightly')}.lock", purpose="a run by hand"):
        guard.step()
        guard.until(START + timedelta(hours=1))
    asked: list[datetime] = []
    latest = Timetable.latest

    def counted(self: Timetable, moment: datetime, after: datetime) -> DueRun | None:
        asked.append(moment)
        return latest(self, moment, after)

    monkeypatch.setattr(Timetable, "latest", counted)
    guard.now = START + timedelta(hours=2)
    guard.until(START + timedelta(hours=2, minutes=2))
    assert len(queued_runs(guard.catalog)) == 1
    assert len(asked) <= 6 + 1, "each job's once, at most"
    guard.now = START + timedelta(hours=8)
    guard.until(guard.now + timedelta(seconds=30))
    assert len(guard.started) == 5, "and what becomes due meanwhile begins"


def test_the_last_line_of_a_log_tells_what_the_run_waits_for_now(tmp_path: Path) -> None:
    guard = Guard(tmp_path, job('schedule = "hourly"\ntimezone = "UTC"'))
    guard.step()
    guard.now = START + timedelta(hours=1)
    guard.kill_at_the_start()
    (run,) = queued_runs(guard.catalog)
    waiting = WaitingRuns(guard.context)
    for obstacle in ("this", "that", "this", "this"):
        waiting.tell(run, obstacle)
    follower = RunFollower(guard.paths, run.execution_id)
    follower.poll()
    told = [message.text for message in follower.snapshot.log[1:]]
    assert told == ["It waits for this", "It waits for that", "It waits for this"]


@settings(deadline=None, max_examples=8)
@given(st.lists(st.tuples(st.integers(-90, 200), st.booleans()), min_size=5, max_size=25))
@example([(-1, False), (1, False), (0, True), (0, False), (0, False)])
def test_whatever_happens_no_due_time_runs_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool]]
) -> None:
    """The clock jumps about, the daemon is killed and started: each due time has at most one run."""
    guard = Guard(tmp_path_factory.mktemp("guard"), job('schedule = "*/20 * * * *"\ntimezone = "UTC"\ngrace = "1 h"'))
    first = latest = guard.now + timedelta(minutes=steps[0][0])
    for minutes, restart in steps:
        if restart:
            guard.restart()
        guard.now += timedelta(minutes=minutes)
        guard.step()
        guard.step()
        latest = max(latest, guard.now)
    assert len(set(guard.started)) == len(guard.started)
    due_times = [(moment - START) // timedelta(minutes=20) for moment in (first, latest)]
    assert len(guard.started) <= due_times[1] - due_times[0]
    guard.now = latest
    guard.until(latest + timedelta(minutes=25))
    before = len(guard.started)
    guard.until(latest + timedelta(minutes=85))
    assert len(guard.started) == before + 3, "and it goes on"
    guard.catalog.close()
