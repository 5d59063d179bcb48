"""The form of a job's `schedule`, `timezone` and `window`; what they mean is for the timetable to say."""

import re
from datetime import UTC, datetime

from dgtui.config.mistakes import suggestion
from dgtui.engine.schedules import cron_mistake
from dgtui.engine.settings import Duration
from dgtui.engine.timetable import Timetable, Window

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_OF_MONTH, _LAST = "day of the month", "l"
_CRON_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    (_DAY_OF_MONTH, 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, tuple(day[:3] for day in _DAYS)),
)
_CRON_ITEM = re.compile(r"(?:\*|([0-9]{1,4}|[a-z]+)(?:-([0-9]{1,4}|[a-z]+))?)(?:/([0-9]{1,4}))?")
_STEP = re.compile(r"/([0-9]{1,4})")
_WORDS = re.compile(
    rf"hourly|(?:daily|weekly|monthly|yearly|weekdays|weekends|(?:{'|'.join(_DAYS)})s?)"
    r"(?: at ([0-9]{1,2}):([0-9]{2}))?"
)
_COUNT = re.compile(r"every ([0-9]{1,6})(?: backups?)?")
_EXPECTED = (
    "expected five cron fields such as '0 3 * * *', or words such as 'hourly', 'daily at 03:00', 'every 6 h' "
    "or 'sundays at 04:30'"
)


def schedule_mistake(schedule: str) -> str | None:
    """What is wrong with the form of a schedule."""
    words = schedule.lower().split()
    if words[:1] == ["every"]:
        try:
            return None if Duration.parse(" ".join(words[1:])) else "expected more than no time at all after 'every'"
        except ValueError:
            # A number alone, which stands for seconds elsewhere, is none here.
            return "after 'every': expected a duration with its unit, such as '90 min', '6 h' or '2 weeks'"
    if match := _WORDS.fullmatch(" ".join(words)):
        return (
            "expected a time from 00:00 to 23:59" if match[1] and (int(match[1]) > 23 or int(match[2]) > 59) else None
        )
    # A minute and an hour have no names in cron: five words of a sentence are not five fields.
    if len(words) != len(_CRON_FIELDS) or any(map(str.isalpha, "".join(words[:2]))):
        return _EXPECTED
    mistakes = (_field_mistake(text, *field) for text, field in zip(words, _CRON_FIELDS, strict=True))
    return next(filter(None, mistakes), None) or cron_mistake(" ".join(words))


def _field_mistake(text: str, name: str, lowest: int, highest: int, names: tuple[str, ...]) -> str | None:
    known = (*names, _LAST) if name == _DAY_OF_MONTH else names
    if not all(_cron_item_fits(item, lowest, highest, known) for item in text.split(",")):
        last = ", L for the last one" if name == _DAY_OF_MONTH else ""
        return f"'{text}' is no {name}; expected *, or {lowest} to {highest}{last}, also as 1-5, 1,3 or */2"
    # Cron takes it, and means the first one alone.
    if any(int(step) > highest for step in _STEP.findall(text)):
        return f"'{text}' comes to no second {name}; a distance such as 90 minutes is written 'every 90 min'"
    return None


def rehearsal_count(text: str) -> int | None:
    """After how many backups one is rehearsed: 10 of `every 10`; None for a schedule."""
    match = _COUNT.fullmatch(" ".join(text.lower().split()))
    return int(match[1]) if match else None


def rehearse_mistake(text: str) -> str | None:
    """What is wrong with the form of a job's `rehearse`."""
    count = rehearsal_count(text)
    if count is not None:
        return None if count else "expected at least one backup after 'every'"
    mistake = schedule_mistake(text)
    return f"{mistake}; or a number of backups, such as 'every 10'" if mistake else None


def _cron_item_fits(item: str, lowest: int, highest: int, names: tuple[str, ...]) -> bool:
    match = _CRON_ITEM.fullmatch(item)
    if match is None or (match[3] is not None and int(match[3]) == 0):
        return False
    ends = [end for end in (match[1], match[2]) if end is not None]
    return all(lowest <= int(end) <= highest if end.isdecimal() else end in names for end in ends)


def window_mistake(text: str) -> str | None:
    """What is wrong with a window in which a job may begin."""
    try:
        Window.parse(text)
    except ValueError as error:
        return str(error)
    return None


def never_due_mistake(schedule: str | None, zone: str | None, window: str | None) -> str | None:
    """Why a schedule and a window, both right, do not fit together."""
    if schedule is None or window is None:
        return None
    # The one night in which the clock leaps brings runs into a window that they never fall into by the calendar.
    by_calendar = schedule.lower().split()[:1] != ["every"]
    timetable = Timetable.parse("", schedule, "UTC" if by_calendar else zone, window=window)
    if timetable.next_after(datetime(2024, 1, 1, tzinfo=UTC)) is None:
        return f"the schedule '{schedule}' never falls into it, so that the job would never run"
    return None


def timezone_mistake(name: str) -> str | None:
    """What is wrong with the name of a time zone."""
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        if not known:
            return "this system has no time zones; install the package tzdata"
        near = suggestion(name, known)
        return "expected a time zone such as 'Europe/Zurich'" + (near if "did you mean" in near else "")
    return None
