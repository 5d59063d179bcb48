"""How checks become states and words, when each is due, and which are kept."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.guardian.stand_in import StandIn
from dgtui.engine.guardian.status import daemon_lock_path
from dgtui.engine.guardian.timetable_duty import followed_jobs
from dgtui.engine.health import Health
from dgtui.engine.health.agenda import watched_of
from dgtui.engine.health.judging import judge, slow_limit, span_text
from dgtui.engine.health.timing import due_at
from dgtui.engine.health_model import CheckResult, HealthCheck, HealthEvent, HealthState, Watched
from dgtui.engine.locks import take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import Execution
from tests.support.homes import Home

SHOP = Watched(kind="datasource", name="shop")
START = datetime(2025, 2, 13, 6, 0, tzinfo=UTC)


def check(minutes: float, result: CheckResult = "ok", latency: float | None = 0.01) -> HealthCheck:
    good = result == "ok"
    return HealthCheck(
        subject=SHOP,
        checked_at=START + timedelta(minutes=minutes),
        result=result,
        latency_seconds=latency if good else None,
        message="" if good else "nobody answers",
    )


@given(st.lists(st.booleans(), max_size=40))
def test_states_and_words_follow_from_the_checks_alone(answers: list[bool]) -> None:
    """Whatever the history: three failures in a row are told once, and their end is told once."""
    state, events = HealthState(subject=SHOP), list[HealthEvent]()
    in_a_row, expected = 0, []
    for number, good in enumerate(answers):
        state, new = judge(state, check(number, "ok" if good else "timeout"), None)
        events += new
        lost = in_a_row >= 3
        in_a_row = 0 if good else in_a_row + 1
        if good and lost:
            expected.append("connection_restored")
        if in_a_row == 3:
            expected.append("connection_lost")
        assert state.failures == in_a_row
        assert state.status == ("healthy" if good else "critical" if in_a_row >= 3 else "warning")
    assert [event.kind for event in events] == expected


def test_the_end_of_an_outage_tells_its_length() -> None:
    state, events = HealthState(subject=SHOP), tuple[HealthEvent, ...]()
    for minutes in (0, 5, 10, 15):
        state, events = judge(state, check(minutes, "unreachable"), None)
    assert state.since == START + timedelta(minutes=10)
    state, events = judge(state, check(95), None)
    assert [event.message for event in events] == ["shop answers again after 1 h 35 min"]
    # A clock that was set back makes no outage of less than no time.
    for minutes in (100, 105, 110):
        state, _ = judge(state, check(minutes, "timeout"), None)
    _, events = judge(state, check(20), None)
    assert "after 0 s" in events[0].message


def test_the_end_of_refused_logins_claims_no_silence() -> None:
    state = HealthState(subject=SHOP)
    for minutes in (0, 5, 10):
        state, _ = judge(state, check(minutes, "auth_failed"), None)
    _, events = judge(state, check(15), None)
    assert [(event.message, event.details) for event in events] == [
        (
            "shop can be logged in to again after 15 min",
            ("Its checks failed from 2025-02-13 06:00:00 to 2025-02-13 06:15:00 UTC",),
        )
    ]


@pytest.mark.parametrize(
    ("slow_after", "usual", "limit"),
    [
        (2, [0.01] * 9, 2.0),
        (None, [0.01] * 4, None),
        (None, [0.01] * 5, 0.5),
        (None, [0.3, 0.4, 0.5, 0.4, 9.0], 1.2),
    ],
)
def test_slow_is_what_is_set_or_far_from_usual(slow_after: int | None, usual: list[float], limit: float | None) -> None:
    found = slow_limit(slow_after, usual)
    assert found == pytest.approx(limit) if limit is not None else found is None


def test_a_slow_answer_is_a_warning_and_no_notification() -> None:
    state, events = judge(HealthState(subject=SHOP), check(0, latency=0.84), 0.5)
    assert (state.status, events) == ("warning", ())
    assert "840 ms" in state.message
    assert judge(state, check(5, latency=0.4), 0.5)[0].status == "healthy"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59, "59 s"), (5400, "1 h 30 min"), (200_000, "2 d 7 h")])
def test_spans_have_two_units(seconds: int, text: str) -> None:
    assert span_text(timedelta(seconds=seconds)) == text


def test_checks_are_spread_and_come_back_each_interval() -> None:
    subjects = [Watched(kind="datasource", name=f"d{number}") for number in range(300)]
    first = [due_at(one, 300, last=None, started=START, now=START) for one in subjects]
    assert all(START <= moment <= START + timedelta(seconds=30) for moment in first)
    later = START + timedelta(hours=1)
    rounds = []
    for one, begun in zip(subjects, first, strict=True):
        moment, gaps = begun, []
        for _ in range(3):
            next_one = due_at(one, 300, last=moment, started=START, now=later)
            gaps.append((next_one - moment).total_seconds())
            moment = next_one
        assert 150 <= gaps[0] <= 450
        assert gaps[1:] == pytest.approx([300, 300], abs=0.01)
        rounds.append(int(moment.timestamp() % 300 // 30))
    # Ten pieces of the interval, none empty and none crowded.
    assert all(15 <= rounds.count(piece) <= 50 for piece in range(10))


def test_a_clock_that_was_set_back_puts_nothing_off() -> None:
    ahead = START + timedelta(days=400)
    assert due_at(SHOP, 300, last=ahead, started=START, now=START) <= START + timedelta(minutes=8)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    tmp_path.chmod(0o700)
    return Catalog(tmp_path)


def keep(records: HealthRecords, found: HealthCheck) -> None:
    records.record([(found, lambda former, _: judge(former, found, None))])


def test_old_checks_are_thinned_and_the_edges_of_outages_stay(catalog: Catalog) -> None:
    records = HealthRecords(catalog)
    # Every ten minutes for 36 hours, with an outage from minute 130 to minute 420, and one lone failure at 1000.
    for minutes in range(0, 36 * 60, 10):
        bad = 130 <= minutes <= 420 or minutes == 1000
        keep(records, check(minutes, "timeout" if bad else "ok"))
    assert records.thin(START + timedelta(days=2)) == 0
    removed = records.thin(START + timedelta(days=4))
    left = {int((one.checked_at - START).total_seconds() // 60): one.result for one in records.history()}
    assert removed == 216 - len(left)
    edges = {120: "ok", 130: "timeout", 420: "timeout", 430: "ok", 990: "ok", 1000: "timeout", 1010: "ok"}
    hourly = {hour * 60 for hour in range(36)}
    assert set(left) == hourly | set(edges)
    assert {minute: left[minute] for minute in edges} == edges
    assert records.thin(START + timedelta(days=4)) == 0
    records.thin(START + timedelta(days=40))
    left = {int((one.checked_at - START).total_seconds() // 60): one.result for one in records.history()}
    # One for each of the two days that it touches, and the edges.
    assert {minute: left[minute] for minute in edges} == edges
    assert set(left) - set(edges) == {0, 1080}
    assert records.thin(START + timedelta(days=400)) == len(left)
    assert records.history() == []


def test_what_is_new_is_thinned_once_it_is_old(catalog: Catalog) -> None:
    records = HealthRecords(catalog)
    for day in range(12):
        for minutes in (0, 10, 20):
            keep(records, check(day * 1440 + minutes))
        records.thin(START + timedelta(days=day))
    # Whole days up to two days ago have one check each; the last ones have all three.
    by_day = [
        sum(one.checked_at.date() == (START + timedelta(days=day)).date() for one in records.history())
        for day in range(12)
    ]
    assert by_day == [1] * 9 + [3] * 3


def test_a_state_outlives_a_restart(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    for minutes in (0, 5, 10, 15):
        catalog = Catalog(tmp_path)
        keep(HealthRecords(catalog), check(minutes, "timeout"))
        catalog.close()
    catalog = Catalog(tmp_path)
    records = HealthRecords(catalog)
    assert records.states()[SHOP].failures == 4
    assert [event.kind for event in records.untold()] == ["connection_lost"]
    records.mark_told(records.untold())
    assert records.untold() == []
    catalog.close()


def test_latencies_come_in_equal_pieces(home: Home) -> None:
    home.configure("[datasources.shop]\ntype = 'sqlite'\npath = '/nowhere'\n")
    engine = home.engine()
    records = HealthRecords(engine.catalog)
    for minutes, latency in ((-1500, 9.0), (0, 0.1), (10, 0.3), (65, 0.2), (1439, 0.5)):
        keep(records, check(minutes, latency=latency))
    keep(records, check(125, "timeout"))
    series = Health(engine, clock=lambda: START + timedelta(days=1)).latencies()["shop"]
    assert series == (0.3, 0.2, *[None] * 21, 0.5)


def test_only_one_stands_in_and_none_beside_a_daemon(home: Home, tmp_path: Path) -> None:
    """A lock tells: a second program waits, and a daemon that begins takes over."""
    home.configure(f"[datasources.shop]\ntype = 'files'\npath = '{tmp_path}'\n")
    engine, stopping = home.engine(), threading.Event()
    # Long after its start, so that everything is due.
    clock = iter([START, *[START + timedelta(minutes=1)] * 1000]).__next__
    first, second = StandIn(engine, engine.paths, clock=clock), StandIn(engine, engine.paths)
    first.step(stopping)
    assert len(engine.health.history(SHOP)) == 1
    assert second.step(stopping) > 1
    with take_lock(daemon_lock_path(engine.paths), purpose="daemon"):
        first.step(stopping)
        second.step(stopping)
    assert len(engine.health.history(SHOP)) == 1
    second.step(stopping)
    first.step(stopping)
    first.leave()
    second.leave()


def test_who_stands_in_records_a_run_that_died_meanwhile(home: Home, tmp_path: Path) -> None:
    """Open screens told for ever that it was running."""
    home.configure(f"[datasources.shop]\ntype = 'files'\npath = '{tmp_path}'\n")
    engine, stopping, moment = home.engine(), threading.Event(), START
    settled: list[datetime] = []
    stand_in = StandIn(engine, engine.paths, settle=lambda: settled.append(moment), clock=lambda: moment)
    for seconds in (0, 30, 29, 1, 30):
        moment += timedelta(seconds=seconds)
        stand_in.step(stopping)
    assert settled == [START + timedelta(minutes=1)]
    with take_lock(daemon_lock_path(engine.paths), purpose="daemon"):
        moment += timedelta(hours=1)
        stand_in.step(stopping)
    assert len(settled) == 1


def test_the_engine_records_a_run_that_died_while_the_program_is_open(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.configure(f"[datasources.shop]\ntype = 'files'\npath = '{tmp_path}'\n")
    engine = home.engine()
    dead = Execution(
        execution_id="e1",
        job_id=engine.config.job_id("nightly"),
        job="nightly",
        datasource="shop",
        datasource_type="files",
        status="running",
        backup_type="full",
        started_at=now(),
    )
    engine.catalog.save_execution(dead)
    monkeypatch.setattr(StandIn, "keep", lambda stand_in, _stopping: stand_in._settle())
    engine.keep_health(threading.Event())
    found = engine.catalog.execution("e1")
    assert found is not None
    assert found.status == "interrupted"


@pytest.mark.parametrize("switched_on", [True, False], ids=["on", "off"])
def test_a_job_whose_datasource_is_switched_off_is_not_waited_for(home: Home, switched_on: bool) -> None:
    shop = '[datasources.shop]\ntype = "sqlite"\npath = "/nowhere/shop.db"\n'
    home.configure(f"{shop}enabled = {str(switched_on).lower()}\n", job='schedule = "daily at 03:00"')
    engine = home.engine()
    engine.catalog.save_execution(
        Execution(
            execution_id="e1",
            job_id=engine.config.job_id("nightly"),
            job="nightly",
            datasource="shop",
            datasource_type="sqlite",
            status="completed",
            backup_type="full",
            started_at=now() - timedelta(days=9),
        )
    )
    (days,) = engine.figures.calendars(days=7)
    attention = [one for one in engine.figures.overview(daemon_running=False).attention if "schedule" in one.text]
    waited_for = {
        "watched": Watched(kind="job", name="nightly") in watched_of(engine.config),
        "followed": "nightly" in followed_jobs(engine.config),
        "missed": "missed" in {day.state for day in days.days},
        "missing a daemon": bool(attention),
        "next run": bool(engine.next_runs()),
    }
    assert waited_for == dict.fromkeys(waited_for, switched_on)
