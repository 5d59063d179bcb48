"""Windows in the nights in which the clock is set, of all kinds that any zone has: against a clock on the wall that
is read minute by minute."""

import bisect
import functools
import itertools
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgtui.config.timetable import never_due_mistake
from dgtui.engine.schedules import Schedule, parse_schedule
from dgtui.engine.timetable import Timetable, Window

_MINUTE, _HOUR, _DAY, _WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
_UNTIL_ALL_IS_KNOWN = _DAY
_BEFORE, _AFTER = 40 * _HOUR, 2 * _DAY
_ODD_DAYS = (
    ("Pacific/Apia", date(2011, 12, 30)),  # a whole day left out
    ("America/St_Johns", date(2010, 11, 7)),  # one minute past midnight, back into the day before
    ("America/Caracas", date(2007, 12, 9)),
    ("Asia/Pyongyang", date(2015, 8, 15)),
    ("Asia/Pyongyang", date(2018, 5, 5)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("Africa/Cairo", date(2010, 9, 10)),
)


@functools.cache
def changes() -> tuple[tuple[ZoneInfo, datetime], ...]:
    """Of each kind of change, by its time of day and its size, a zone that has it and the first instant after it."""
    weeks = [datetime(2024, 1, 1, tzinfo=UTC) + step * _WEEK for step in range(2 * 53)]
    found: dict[tuple[time, timedelta], tuple[ZoneInfo, datetime]] = {}
    for name in sorted(zoneinfo.available_timezones()):
        zone = ZoneInfo(name)
        offsets = [week.astimezone(zone).utcoffset() for week in weeks]
        around = [week for week, pair in zip(weeks, itertools.pairwise(offsets), strict=False) if pair[0] != pair[1]]
        for week in (*around, *(datetime.combine(odd, time(), UTC) - 3 * _DAY for of, odd in _ODD_DAYS if of == name)):
            instant = _first_after_change(zone, week)
            time_of_day = (instant - _MINUTE).astimezone(zone).time()
            found.setdefault((time_of_day, _leap(zone, instant)), (zone, instant))
    return tuple(found.values())


def _leap(zone: ZoneInfo, change: datetime) -> timedelta:
    """By how much the clock is set forward."""
    before, after = ((moment.astimezone(zone)).replace(tzinfo=None) for moment in (change - _MINUTE, change))
    return after - before - _MINUTE


def _first_after_change(zone: ZoneInfo, week: datetime) -> datetime:
    def has_changed(minute: int) -> bool:
        return (week + minute * _MINUTE).astimezone(zone).utcoffset() != week.astimezone(zone).utcoffset()

    return week + bisect.bisect_left(range(7 * 1440), 1, key=has_changed) * _MINUTE


def open_minutes(window: Window, zone: ZoneInfo, change: datetime) -> dict[datetime, bool]:
    """Whether it is open at each minute around a change, by the rules alone and with no arithmetic of zones."""
    found: dict[datetime, bool] = {}
    moment = change - _BEFORE - _UNTIL_ALL_IS_KNOWN
    furthest = (moment - _MINUTE).astimezone(zone).replace(tzinfo=None)
    to_close: list[datetime] = []
    """Closings to come, by the clock on the wall."""
    closings: list[datetime] = []
    """Instants at which it closes that were leapt over."""
    while moment < change + _AFTER:
        wall = moment.astimezone(zone).replace(tzinfo=None, fold=0)
        for come in _minutes(furthest, wall):  # none while times come for the second time
            if come.time() == window.opens:
                crosses = window.closes < window.opens
                to_close.append(datetime.combine(come.date() + crosses * _DAY, window.closes))
        leapt = [closing for closing in to_close if closing < wall]
        closings = [closing for closing in closings if closing > moment]
        closings += [closing for at in leapt if (closing := moment - _MINUTE + (at - furthest)) > moment]
        to_close = [closing for closing in to_close if closing > max(furthest, wall)]
        furthest = max(furthest, wall)
        found[moment] = bool(to_close or closings)
        moment += _MINUTE
    return {moment: state for moment, state in found.items() if moment >= change - _BEFORE}


def _minutes(after: datetime, until: datetime) -> Iterator[datetime]:
    while after < until:
        after += _MINUTE
        yield after


def due_times(step: Callable[[datetime], datetime | None], start: datetime, end: datetime) -> list[datetime]:
    """All due moments after `start` to `end`, on the way that `step` goes."""
    found: list[datetime] = []
    moment = step(start)
    while moment is not None and min(start, end) < moment <= max(start, end):
        found.append(moment)
        moment = step(moment)
    return found


_NEAR = st.integers(-48, 48).map(lambda fives: fives * 5) | st.sampled_from([-720, 300, 719])
_SCHEDULES = ("{0} * * *", "*/10 * * * *", "*/7 {1} * * *", "20 * * * *", "every 25 min", "0 */2 * * *")


@given(st.data(), _NEAR, _NEAR, _NEAR)
@settings(deadline=None, max_examples=25)
def test_a_walk_through_the_minutes_finds_the_same_hours_and_runs(
    data: st.DataObject, opens: int, closes: int, due: int
) -> None:
    zone, change = data.draw(st.sampled_from(changes()))
    wall = (change - _MINUTE).astimezone(zone).replace(tzinfo=None) + _MINUTE
    opened, closed, at = ((wall + minutes * _MINUTE).time() for minutes in (opens, closes, due))
    if opened == closed:
        return
    window = Window(opens=opened, closes=closed)
    walked = open_minutes(window, zone, change)
    for moment in walked:
        if abs(moment - change) < 5 * _HOUR or moment.minute % 30 == 0:
            assert window.holds(moment, zone) == walked[moment], moment
    openings = [now for before, now in itertools.pairwise(walked) if walked[now] and not walked[before]]
    closings = [now for before, now in itertools.pairwise(walked) if walked[before] and not walked[now]]
    for before, now in itertools.pairwise(walked):
        if abs(now - change) < 5 * _HOUR and now.minute % 10 == 0 and not walked[before] and not walked[now]:
            assert window.next_opening(before, zone) == next(one for one in openings if one > before)
            assert window.last_closing(now, zone) == max((one for one in closings if one < now), default=None)
    schedule = data.draw(st.sampled_from(_SCHEDULES)).format(f"{at.minute} {at.hour}", at.hour)
    _compare_runs(parse_schedule(schedule, zone), zone, window, change, walked)


def _compare_runs(
    schedule: Schedule, zone: ZoneInfo, window: Window, change: datetime, walked: dict[datetime, bool]
) -> None:
    timetable = Timetable("job", schedule, zone, window=window, jitter=0)
    start, end = change - 8 * _HOUR, change + 8 * _HOUR
    expected = [moment for moment in due_times(schedule.next_after, start, end) if walked[moment]]

    def forwards(moment: datetime) -> datetime | None:
        run = timetable.next_after(moment)
        return run.due_at if run is not None else None

    def backwards(moment: datetime) -> datetime | None:
        run = timetable.latest(moment - timedelta(microseconds=1), start)
        return run.due_at if run is not None else None

    assert due_times(forwards, start, end) == expected
    assert due_times(backwards, end + _MINUTE, start)[::-1] == expected


def test_all_kinds_of_changes_are_known() -> None:
    sizes = {_leap(zone, change) for zone, change in changes()}
    assert {_HOUR, -_HOUR, _HOUR / 2, -_HOUR / 2, 2 * _HOUR, -2 * _HOUR, _DAY} <= sizes


@pytest.mark.parametrize(
    ("zone", "night", "window", "schedule", "expected"),
    [
        # What is leapt over is due right after the leap, and its window is open then.
        ("Europe/Zurich", "2025-03-30", "02:00-02:30", "15 2 * * *", ["03:00+0200"]),
        ("Europe/Zurich", "2025-03-30", "01:00-02:30", "*/30 * * * *",
         ["01:00+0100", "01:30+0100", "03:00+0200"]),
        ("Australia/Lord_Howe", "2025-10-05", "02:10-02:20", "15 2 * * *", ["02:30+1100"]),
        ("America/Havana", "2025-03-09", "00:00-00:45", "30 0 * * *", ["01:00-0400"]),
        ("America/Havana", "2025-03-09", "22:00-00:30", "0 * * * *", ["01:00-0400", "22:00-0400", "23:00-0400"]),
        ("Africa/Casablanca", "2025-04-06", "02:30-04:00", "30 2 * * *", ["03:00+0100"]),
        # What comes twice opens and closes the first time.
        ("Europe/Zurich", "2025-10-26", "02:15-02:45", "*/15 2 * * *", ["02:15+0200", "02:30+0200"]),
        ("Europe/Zurich", "2025-10-26", "02:30-03:15", "*/30 * * * *",
         ["02:30+0200", "02:00+0100", "02:30+0100", "03:00+0100"]),
        ("Europe/Zurich", "2025-10-26", "02:30-02:15", "0 2 * * *", ["02:00+0200"]),
        ("Australia/Lord_Howe", "2025-04-06", "01:45-02:00", "*/15 1 * * *",
         ["01:45+1100", "01:30+1030", "01:45+1030"]),
        ("America/Havana", "2025-11-02", "00:00-01:00", "*/30 0 * * *",
         ["00:00-0400", "00:30-0400", "00:00-0500", "00:30-0500"]),
        ("Africa/Casablanca", "2025-02-23", "02:30-04:00", "0 * * * *", ["02:00+0000", "03:00+0000"]),
    ],
)  # fmt: skip
def test_the_nights_themselves(zone: str, night: str, window: str, schedule: str, expected: list[str]) -> None:
    timetable = Timetable.parse("job", schedule, zone, window=window)
    local = datetime.fromisoformat(night).replace(tzinfo=timetable.zone)
    moment, found = local.astimezone(UTC) - timedelta(microseconds=1), []
    while (run := timetable.next_after(moment)) and run.due_at.astimezone(timetable.zone).date() == local.date():
        moment = run.due_at
        found.append(moment.astimezone(timetable.zone).strftime("%H:%M%z"))
    assert found == expected


@pytest.mark.parametrize("window", ["01:00-02:30", "03:00-04:00"])
def test_a_run_that_only_a_leap_brings_into_its_window_is_as_good_as_never_due(window: str) -> None:
    schedule = "30 2 * * *" if window == "03:00-04:00" else "0 3 * * *"
    assert "would never run" in (never_due_mistake(schedule, "Europe/Zurich", window) or "")
