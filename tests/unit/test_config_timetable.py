"""The form of a schedule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgtui.config.timetable import never_due_mistake, schedule_mistake, timezone_mistake, window_mistake


@pytest.mark.parametrize(
    "schedule",
    [
        "0 3 * * *",
        " 59  23 31 12 7 ",
        "*/15 0-6,22 1,15 jan-MAR sun",
        "0 4 L * *",
        "0 4 l,15 feb *",
        "*/59 */23 * * *",
        "hourly",
        "daily at 03:00",
        "Sundays at 04:30",
        "monday at 0:00",
        "weekdays at 23:59",
        "weekly",
        "every 6 h",
        "every 1 h 30 min",
    ],
)
def test_schedules(schedule: str) -> None:
    assert schedule_mistake(schedule) is None


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("", "expected five cron fields"),
        ("0 3 * *", "expected five cron fields"),
        ("0 3 * * * *", "expected five cron fields"),
        ("dayly at 03:00", "expected five cron fields"),
        ("mondays and fridays at 9", "expected five cron fields"),
        ("on the 31st at 02:00", "expected five cron fields"),
        ("02:00 on the 31st day", "expected five cron fields"),
        ("60 3 * * *", "'60' is no minute; expected *, or 0 to 59"),
        ("* 24 * * *", "'24' is no hour"),
        ("* * 0 * *", "'0' is no day of the month"),
        ("* * * foo *", "'foo' is no month"),
        ("* * * * 1-8", "'1-8' is no day of the week"),
        ("*/0 * * * *", "'*/0' is no minute"),
        ("*/90 * * * *", "'*/90' comes to no second minute; a distance such as 90 minutes is written 'every 90 min'"),
        ("0 */36 * * *", "'*/36' comes to no second hour"),
        ("0 0 L-31 * *", "what exists"),
        ("0 0 * L *", "'l' is no month"),
        ("0 0 * * L", "'l' is no day of the week"),
        ("1, * * * *", "'1,' is no minute"),
        ("-1 * * * *", "'-1' is no minute"),
        (f"{'9' * 5000} * * * *", "is no minute"),
        ("daily at 24:00", "expected a time from 00:00 to 23:59"),
        ("daily at 12:60", "expected a time from 00:00 to 23:59"),
        ("every", "after 'every': expected a duration"),
        ("every 6", "after 'every': expected a duration with its unit, such as '90 min', '6 h' or '2 weeks'"),
        ("every 0 h", "expected more than no time at all"),
    ],
)
def test_what_is_no_schedule(schedule: str, expected: str) -> None:
    assert expected in (schedule_mistake(schedule) or "")


@given(st.text() | st.lists(st.text("0123456789*/,-amon", min_size=1), min_size=5, max_size=5).map(" ".join))
def test_any_text_is_a_schedule_or_refused(text: str) -> None:
    assert schedule_mistake(text) != ""


def test_time_zones() -> None:
    assert timezone_mistake("Europe/Zurich") is None
    assert timezone_mistake("UTC") is None
    for name in ("", "Europe", "../x", "/etc/localtime", "a\0b", "x" * 300, "zone.tab", "Mars/Olympus"):
        assert (timezone_mistake(name) or "").startswith("expected a time zone such as 'Europe/Zurich'"), name


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0 0 30 2 *", "Day-of-month: expected what exists"),
        ("0 5-3 * * *", "Hour: expected what exists, and ranges from low to high"),
    ],
)
def test_what_no_calendar_has(schedule: str, expected: str) -> None:
    assert expected in (schedule_mistake(schedule) or "")


def test_a_schedule_that_never_falls_into_its_window() -> None:
    mistake = never_due_mistake("daily at 12:00", None, "22:00-06:00")
    assert mistake is not None
    assert "would never run" in mistake
    assert never_due_mistake("0 0 29 2 *", "Europe/Zurich", "22:00-06:00") is None
    assert never_due_mistake("hourly", None, None) is None
    assert window_mistake("22:00-06:00") is None
    assert "such as '22:00-06:00'" in (window_mistake("late") or "")
