"""When jobs are due: years of it, over every change of the clock, with no clock but the one that is given."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from dgtui.engine.schedules import CalendarSchedule, Schedule, parse_schedule, schedule_words
from dgtui.engine.timetable import Timetable, Window

ZURICH, NEW_YORK, LORD_HOWE = (ZoneInfo(name) for name in ("Europe/Zurich", "America/New_York", "Australia/Lord_Howe"))
CHANGES = {
    # The clock leaps forward, and is set back; local times of day around both.
    ZURICH: (datetime(2025, 3, 30, tzinfo=ZURICH), datetime(2025, 10, 26, tzinfo=ZURICH)),
    NEW_YORK: (datetime(2025, 3, 9, tzinfo=NEW_YORK), datetime(2025, 11, 2, tzinfo=NEW_YORK)),
    LORD_HOWE: (datetime(2025, 10, 5, tzinfo=LORD_HOWE), datetime(2025, 4, 6, tzinfo=LORD_HOWE)),
}


def all_between(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    """All due moments from the one after `start` to `end`."""
    found = []
    moment = schedule.next_after(start)
    while moment is not None and moment <= end:
        found.append(moment)
        moment = schedule.next_after(moment)
    return found


def on_day(schedule: str, zone: ZoneInfo, day: datetime) -> list[str]:
    """The due moments of a local day, as the clock on the wall shows them."""
    start = day.astimezone(UTC) - timedelta(seconds=1)
    end = (day + timedelta(days=1)).astimezone(UTC) - timedelta(seconds=1)
    return [
        moment.astimezone(zone).strftime("%H:%M%z")
        for moment in all_between(parse_schedule(schedule, zone), start, end)
    ]


@pytest.mark.parametrize(
    ("schedule", "zone", "leap", "repeated"),
    [
        ("30 2 * * *", ZURICH, ["03:00+0200"], ["02:30+0200"]),
        ("daily at 02:30", NEW_YORK, ["03:00-0400"], ["02:30-0500"]),
        ("daily at 01:30", NEW_YORK, ["01:30-0500"], ["01:30-0400"]),
        ("15 2 * * *", LORD_HOWE, ["02:30+1100"], ["02:15+1030"]),
        ("45 1 * * *", LORD_HOWE, ["01:45+1030"], ["01:45+1100"]),
        # Two times that were leapt over, and one right after the leap, are one moment.
        ("0,30 2,3 * * *", ZURICH,
         ["03:00+0200", "03:30+0200"],
         ["02:00+0200", "02:30+0200", "03:00+0100", "03:30+0100"]),
        # A rhythm follows the clock.
        ("*/30 2 * * *", ZURICH, [], ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"]),
        ("*/30 1-2 * * *", LORD_HOWE,
         ["01:00+1030", "01:30+1030", "02:30+1100"],
         ["01:00+1100", "01:30+1100", "01:30+1030", "02:00+1030", "02:30+1030"]),
    ],
)  # fmt: skip
def test_changes_of_the_clock(schedule: str, zone: ZoneInfo, leap: list[str], repeated: list[str]) -> None:
    forward, back = CHANGES[zone]
    assert on_day(schedule, zone, forward) == leap
    assert on_day(schedule, zone, back) == repeated


@pytest.mark.parametrize("zone", CHANGES)
def test_hourly_is_every_hour_of_a_day_with_any_number_of_hours(zone: ZoneInfo) -> None:
    forward, back = CHANGES[zone]
    hours = {ZURICH: (23, 25), NEW_YORK: (23, 25), LORD_HOWE: (23, 24)}[zone]
    assert (len(on_day("hourly", zone, forward)), len(on_day("hourly", zone, back))) == hours


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("clock", ["00:00", "01:45", "02:15", "02:30", "03:00", "23:59"])
def test_ten_years_of_a_daily_run_have_one_on_each_day(zone: ZoneInfo, clock: str) -> None:
    start = datetime(2020, 1, 1, tzinfo=zone).astimezone(UTC) - timedelta(seconds=1)
    end = datetime(2030, 1, 1, tzinfo=zone).astimezone(UTC) - timedelta(seconds=1)
    due = all_between(parse_schedule(f"daily at {clock}", zone), start, end)
    days = [moment.astimezone(zone).date() for moment in due]
    assert len(days) == len(set(days)) == (days[-1] - days[0]).days + 1 == 3653
    shifted = [moment for moment in due if moment.astimezone(zone).strftime("%H:%M") != clock]
    assert len(shifted) <= 10, "at most one leap a year"


def test_every_six_hours_keeps_its_distance() -> None:
    due = all_between(
        parse_schedule("every 6 h", ZURICH), datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert {later - earlier for earlier, later in itertools.pairwise(due)} == {timedelta(hours=6)}
    assert due[0].astimezone(ZURICH).hour == 6, "counted from midnight of the zone's winter"


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0 0 29 2 *", ["2024-02-29 00:00", "2028-02-29 00:00", "2032-02-29 00:00"]),
        ("0 4 L * *", ["2024-01-31 04:00", "2024-02-29 04:00", "2024-03-31 04:00"]),
        ("monthly at 04:00", ["2024-02-01 04:00", "2024-03-01 04:00", "2024-04-01 04:00"]),
        ("0 3 31 * *", ["2024-01-31 03:00", "2024-03-31 03:00", "2024-05-31 03:00"]),
        # Both days given: either of them. One of them a star: only the other.
        ("0 0 13 * fri", ["2024-01-05 00:00", "2024-01-12 00:00", "2024-01-13 00:00"]),
        ("0 0 */31 * fri", ["2024-03-01 00:00", "2024-11-01 00:00", "2025-08-01 00:00"]),
        ("0 0 * * 7", ["2024-01-07 00:00", "2024-01-14 00:00", "2024-01-21 00:00"]),
        ("Sundays at 04:30", ["2024-01-07 04:30", "2024-01-14 04:30", "2024-01-21 04:30"]),
        ("weekly", ["2024-01-07 00:00", "2024-01-14 00:00", "2024-01-21 00:00"]),
        ("weekdays at 1:05", ["2024-01-02 01:05", "2024-01-03 01:05", "2024-01-04 01:05"]),
        ("weekends", ["2024-01-06 00:00", "2024-01-07 00:00", "2024-01-13 00:00"]),
        ("yearly at 12:00", ["2025-01-01 12:00", "2026-01-01 12:00", "2027-01-01 12:00"]),
        ("hourly", ["2024-01-01 13:00", "2024-01-01 14:00", "2024-01-01 15:00"]),
    ],
)  # fmt: skip
def test_what_schedules_mean(schedule: str, expected: list[str]) -> None:
    parsed = parse_schedule(schedule, UTC)
    moment: datetime | None = datetime(2024, 1, 1, 12, 0, 30, tzinfo=UTC)
    found = []
    for _ in expected:
        assert moment is not None
        moment = parsed.next_after(moment)
        assert moment is not None
        found.append(moment.strftime("%Y-%m-%d %H:%M"))
    assert found == expected


_FIELD = st.sampled_from(["*/2", "*/7", "0", "30", "15,45", "0-10", "5-59/9"])
_HOUR = st.sampled_from(["*", "*/2", "0", "1", "2", "1-3", "2,3", "23"])
_DAY = st.sampled_from(["*", "*/2", "5,6,26", "1-15"])


@settings(deadline=None, max_examples=12)
@given(
    _FIELD, _HOUR, _DAY, st.sampled_from(["*", "0", "0,3", "1-5"]), st.sampled_from([*CHANGES]), st.booleans(),
    st.integers(-6, 6),
)  # fmt: skip
def test_a_walk_through_the_minutes_finds_the_same(
    minute: str, hour: str, day: str, weekday: str, zone: ZoneInfo, back: bool, hours: int
) -> None:
    """Against the plainest reading: each minute in turn, by what the clock on the wall shows."""
    expression = f"{minute} {hour} {day} * {weekday}"
    schedule = CalendarSchedule(expression, zone)
    change = CHANGES[zone][back].astimezone(UTC)
    start = change + timedelta(hours=hours - 8)
    end = start + timedelta(hours=16)
    walked = _walk(expression, zone, start, end)
    assert all_between(schedule, start, end) == walked
    assert _back(schedule, start, end) == walked


def _back(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    found: list[datetime] = []
    moment = schedule.last_until(end)
    while moment is not None and moment > start:
        found.insert(0, moment)
        moment = schedule.last_until(moment - timedelta(microseconds=1))
    return found


def _walk(expression: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    rhythm = any(field.startswith("*") for field in expression.split()[:2])
    moment = start.replace(second=0, microsecond=0) - timedelta(hours=6)
    matching = set(_wall_times(expression, moment, end))
    found: list[datetime] = []
    seen: set[datetime] = set()
    former = (moment - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None)
    while moment <= end:
        wall = moment.astimezone(zone).replace(tzinfo=None, fold=0)
        leapt = {former + timedelta(minutes=step) for step in range(1, int((wall - former).total_seconds() // 60))}
        due = wall in matching and (rhythm or wall not in seen)
        due = due or (not rhythm and bool(leapt & matching))
        seen.add(wall)
        if due and moment > start:
            found.append(moment)
        former, moment = wall, moment + timedelta(minutes=1)
    return found


def _wall_times(expression: str, start: datetime, end: datetime) -> Iterator[datetime]:
    first, last = (moment.replace(tzinfo=None) for moment in (start - timedelta(days=1), end + timedelta(days=1)))
    return itertools.takewhile(lambda wall: wall <= last, CronSim(expression, first))


def test_a_window_takes_what_falls_into_it() -> None:
    night = Timetable.parse("job", "every 4 h", "Europe/Zurich", window="22:00-06:00")
    moment, found = datetime(2025, 1, 1, 12, tzinfo=UTC), []
    for _ in range(4):
        run = night.next_after(moment)
        assert run is not None
        assert run.starts_at == run.due_at
        moment = run.due_at
        found.append(moment.astimezone(ZURICH).strftime("%d %H:%M"))
    assert found == ["02 00:00", "02 04:00", "03 00:00", "03 04:00"]
    latest = night.latest(datetime(2025, 1, 2, 15, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
    assert latest is not None
    assert latest.due_at.astimezone(ZURICH).strftime("%d %H:%M") == "02 04:00"


@given(
    st.sampled_from(["0 * * * *", "*/30 * * * *", "every 6 h", "every 1 h 20 min", "0 6,22 * * *"]),
    st.sampled_from(["22:00-06:00", "06:00-22:00", "00:00-06:00", "18:00-00:00", "05:30-06:00"]),
    st.integers(0, 3 * 1440),
)
@settings(deadline=None, max_examples=60)
def test_the_last_run_before_a_moment_lies_in_a_window_that_may_have_closed_since(
    schedule: str, window: str, minutes: int
) -> None:
    timetable = Timetable.parse("job", schedule, "Europe/Zurich", window=window)
    start = datetime(2025, 1, 1, tzinfo=UTC)
    moment = start + timedelta(days=3, minutes=minutes)
    inside = [due for due in all_between(parse_schedule(schedule, ZURICH), start, moment) if timetable.may_start(due)]
    latest = timetable.latest(moment, start)
    assert (latest.due_at if latest is not None else None) == max(inside, default=None)


def test_the_hours_of_a_window() -> None:
    night, day = Window.parse("22:00-06:00"), Window.parse(" 9:00 - 17:30 ")
    assert [night.holds(datetime(2025, 1, 1, hour, tzinfo=UTC), UTC) for hour in (21, 22, 23, 0, 5, 6)] == [
        False, True, True, True, True, False,
    ]  # fmt: skip
    assert [day.holds(datetime(2025, 1, 1, hour, tzinfo=UTC), UTC) for hour in (8, 9, 17, 18)] == [
        False, True, True, False,
    ]  # fmt: skip
    for wrong in ("", "22:00", "24:00-06:00", "22:60-06:00", "06:00-06:00", "22-06"):
        with pytest.raises(ValueError, match="expected"):
            Window.parse(wrong)


@given(st.integers(0, 3600), st.text(max_size=5), st.integers(0, 400 * 86400))
@settings(deadline=None, max_examples=12)
def test_jitter_delays_each_run_once_and_by_the_same_amount(jitter: int, identity: str, offset: int) -> None:
    timetable = Timetable.parse(identity, "every 20 min", "UTC", jitter=jitter)
    start = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=offset)
    moment, runs = start, []
    while moment < start + timedelta(hours=2):
        run = timetable.next_after(moment)
        assert run is not None
        assert timedelta(0) <= run.starts_at - run.due_at <= timedelta(seconds=jitter)
        assert run.starts_at > moment
        runs.append(run)
        moment = run.starts_at
    due = sorted(run.due_at for run in runs)
    assert len(set(due)) == len(due)
    if jitter < 20 * 60:
        assert {later - earlier for earlier, later in itertools.pairwise(due)} <= {timedelta(minutes=20)}
    assert runs == sorted(runs, key=lambda run: run.starts_at)
    last = timetable.latest(runs[-1].starts_at, start - timedelta(days=1))
    assert last is not None
    assert last.starts_at <= runs[-1].starts_at


@pytest.mark.parametrize("window", ["02:00-03:00", "02:15-03:00", "02:10-02:50"])
def test_a_window_in_the_hour_that_is_leapt_over_opens_after_it(window: str) -> None:
    """Otherwise the night in which the clock leaps had no backup."""
    timetable = Timetable.parse("job", "daily at 02:30", "Europe/Zurich", window=window, jitter=600)
    leap = datetime(2025, 3, 30, 1, tzinfo=UTC)
    run = timetable.next_after(leap - timedelta(hours=12))
    assert run is not None
    assert (run.due_at, timetable.may_start(run.starts_at)) == (leap, True)
    assert not timetable.may_start(leap - timedelta(minutes=1))
    assert not timetable.may_start(leap + timedelta(hours=1))


def test_jitter_never_leads_out_of_the_window() -> None:
    timetable = Timetable.parse("job", "*/10 * * * *", "UTC", window="05:00-06:00", jitter=3600)
    moment = datetime(2025, 1, 1, tzinfo=UTC)
    for _ in range(200):
        run = timetable.next_after(moment)
        assert run is not None
        assert timetable.may_start(run.starts_at)
        moment = run.starts_at


def test_words() -> None:
    assert schedule_words("0 3 * * *") == "At 03:00 every day"
    assert schedule_words("*/15 * * * *") == "Every 15th minute of every hour"
    assert schedule_words("*/45 * * * *") == "At minutes 0 and 45 of every hour"
    assert schedule_words("30 */7 * * 1") == "At 00:30, 07:30, 14:30, and 21:30 on Monday"
    assert schedule_words("daily  at 03:00") == "daily at 03:00"
    assert schedule_words("every 1 h 30 min") == "every 1 h 30 min"
