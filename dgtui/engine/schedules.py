"""When a schedule is due: cron expressions and words, read in a time zone, right over every change of the clock.

The calendar itself (the star rule of cron for days of the month and of the week, leap days, names) is cronsim's, which
follows Debian's cron. Of the other libraries, APScheduler joins both days by "and" and counts Monday as 0, and croniter
runs a job twice in a repeated hour. cronsim is asked in bare wall clock time, and the instants are found here, since
its own walk through a change assumes whole hours, which Lord Howe Island does not have:

- A time of day (`30 2 * * *`) runs once on each day: where the clock leaps over it, at the moment after the leap;
  where it comes twice, the first time.
- A rhythm (a `*` begins the minute or the hour, `*/15 * * * *`) follows the clock: what is leapt over does not exist,
  what comes twice runs twice.
- `every 6 h` keeps that distance whatever the clock does, counted from midnight of Monday, 1 January 2001.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from dgtui.engine.settings import Duration

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_RHYTHMS = {
    "hourly": "* * *",
    "daily": "* * *",
    "weekly": "* * 0",
    "monthly": "1 * *",
    "yearly": "1 1 *",
    "weekdays": "* * 1-5",
    "weekends": "* * 0,6",
    **{day: f"* * {number}" for number, day in enumerate(_DAYS)},
}
_WORDS = re.compile(r"([a-z]+)(?: at ([0-9]{1,2}):([0-9]{2}))?")
_STEP = re.compile(r"\*/([1-9][0-9]*)")
_ANCHOR = datetime(2001, 1, 1)  # noqa: DTZ001  # wall clock time of whatever zone
_AROUND_A_CHANGE = timedelta(hours=26)
_SECOND = timedelta(seconds=1)


class Schedule(Protocol):
    """Moments at which something is due."""

    def next_after(self, moment: datetime) -> datetime | None:
        """The first due moment that comes after another; None where none comes for decades."""

    def last_until(self, moment: datetime) -> datetime | None:
        """The last due moment that does not come after another."""


def parse_schedule(text: str, zone: tzinfo) -> Schedule:
    """Read five cron fields or words, such as `daily at 03:00`; raises ValueError with what is wrong."""
    words = text.lower().split()
    if words[:1] == ["every"]:
        return IntervalSchedule(int(Duration.parse(" ".join(words[1:]))), zone)
    return CalendarSchedule(cron_expression(text), zone)


def cron_expression(text: str) -> str:
    """Five cron fields for them, or for words that stand for a time of day."""
    line = " ".join(text.lower().split())
    match = _WORDS.fullmatch(line)
    days = _RHYTHMS.get(match[1]) or _RHYTHMS.get(match[1].removesuffix("s")) if match else None
    if match is None or days is None:
        return line
    minute, hour = int(match[3] or 0), int(match[2] or 0)
    return f"{minute} {'*' if match[1] == 'hourly' else hour} {days}"


def schedule_words(text: str) -> str:
    """A schedule as people say it."""
    line = " ".join(text.split())
    if len(line.split()) != 5 or line.lower().startswith("every"):
        return line
    from cronsim import CronSim

    minute, hour, *days = line.split()
    line = " ".join([_without_uneven_step(minute, 60), _without_uneven_step(hour, 24), *days])
    return CronSim(line, datetime(2001, 1, 1)).explain()  # noqa: DTZ001  # the words need no time


def _without_uneven_step(field: str, values: int) -> str:
    """The values themselves for a step that begins anew before it is over: `*/45` are the minutes 0 and 45."""
    match = _STEP.fullmatch(field)
    if match is None or values % int(match[1]) == 0:
        return field
    return ",".join(map(str, range(0, values, int(match[1]))))


def cron_mistake(fields: str) -> str | None:
    """What is wrong with five cron fields whose form is right: a day that no month has, a range that runs backwards."""
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(fields, datetime(2001, 1, 1)))  # noqa: DTZ001  # asked whether there is any such day
    except CronSimError as error:
        return f"{str(error).removeprefix('Bad ').capitalize()}: expected what exists, and ranges from low to high"
    except StopIteration:
        return "expected a day that exists"
    return None


class IntervalSchedule:
    """Due at a fixed distance."""

    def __init__(self, seconds: int, zone: tzinfo) -> None:
        if seconds < 1:
            raise ValueError("expected more than no time at all")
        self._distance = timedelta(seconds=seconds)
        self._anchor = _ANCHOR.replace(tzinfo=zone).astimezone(UTC)

    def next_after(self, moment: datetime) -> datetime | None:
        """The first due moment that comes after another."""
        return self._anchor + self._distance * ((moment - self._anchor) // self._distance + 1)

    def last_until(self, moment: datetime) -> datetime | None:
        """The last due moment that does not come after another."""
        return self._anchor + self._distance * ((moment - self._anchor) // self._distance)


class CalendarSchedule:
    """Due at times of the calendar."""

    def __init__(self, expression: str, zone: tzinfo) -> None:
        if mistake := cron_mistake(expression):
            raise ValueError(mistake)
        self._expression = expression
        self._zone = zone
        minute, hour = expression.split()[:2]
        self._is_rhythm = minute.startswith("*") or hour.startswith("*")

    def next_after(self, moment: datetime) -> datetime | None:
        """The first due moment that comes after another."""
        margin = self._change_near(moment)
        found: datetime | None = None
        for naive in self._naive(self._wall_clock(moment) - margin):
            if found is not None and naive > self._wall_clock(found) + 2 * margin:
                break
            later = [instant for instant in self._instants(naive) if instant > moment]
            found = min([*later, *([found] if found else [])], default=None)
            if found is not None and not margin:
                break
        return found

    def last_until(self, moment: datetime) -> datetime | None:
        """The last due moment that does not come after another."""
        margin = self._change_near(moment)
        found: datetime | None = None
        for naive in self._naive_backwards(self._wall_clock(moment) + margin):
            if found is not None and naive < self._wall_clock(found) - 2 * margin:
                break
            earlier = [instant for instant in self._instants(naive) if instant <= moment]
            found = max([*earlier, *([found] if found else [])], default=None)
            if found is not None and not margin:
                break
        return found

    def _wall_clock(self, moment: datetime) -> datetime:
        return moment.astimezone(self._zone).replace(tzinfo=None)

    def _change_near(self, moment: datetime) -> timedelta:
        """By how much the clock is set near a moment: there the order of wall clock times is not that of instants."""
        before, after = (
            (moment + side).astimezone(self._zone).utcoffset() or timedelta(0)
            for side in (-_AROUND_A_CHANGE, _AROUND_A_CHANGE)
        )
        return abs(after - before)

    def _naive(self, start: datetime) -> Iterator[datetime]:
        """Wall clock times after `start`."""
        from cronsim import CronSim

        return CronSim(self._expression, start)

    def _naive_backwards(self, start: datetime) -> Iterator[datetime]:
        """Wall clock times from `start` on backwards, itself included."""
        from cronsim import CronSim

        return CronSim(self._expression, start.replace(microsecond=0) + _SECOND, reverse=True)

    def _instants(self, naive: datetime) -> tuple[datetime, ...]:
        """The instants at which a wall clock time is due: none, one, or two."""
        if not self._is_rhythm:
            return (instant_of(naive, self._zone),)
        first, second = (naive.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if self._wall_clock(first) != naive:
            return ()
        return (first, second) if second != first else (first,)


def instant_of(naive: datetime, zone: tzinfo | None) -> datetime:
    """When a wall clock time comes: the first time where it comes twice, and after the leap where it is leapt over.

    No zone is the system's.
    """
    while True:
        instant = naive.replace(tzinfo=zone).astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) == naive:
            return instant
        naive = naive.replace(second=0) + timedelta(minutes=1)
