"""The last days by job: what ran, how it ended, and what should have run and did not."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise

from dgtui.engine.catalog.figures import RunMoment
from dgtui.engine.figures.model import Day, DayState, JobCalendar
from dgtui.engine.model import RESTORABLE
from dgtui.engine.timetable import DueRun

NextDue = Callable[[datetime], DueRun | None]
"""The first run of a timetable after a moment."""
_ALLOWANCE = timedelta(hours=1)
"""How late a run may begin before its time counts as missed."""
_EARLY = timedelta(minutes=1)
_MOST_DUE = 400
"""How many missed times are looked for in one gap: a job that runs every minute would have thousands."""
_BY_DAY: dict[str, str] = {
    "completed": "good",
    "partial": "partial",
    "failed": "failed",
    "interrupted": "failed",
    "cancelled": "cancelled",
}
_WORST_FIRST: tuple[DayState, ...] = ("failed", "missed", "partial", "good", "cancelled")


def job_calendar(job: str, days: Sequence[date], runs: Sequence[RunMoment], missed: Sequence[datetime]) -> JobCalendar:
    """A job's days, from its runs and its missed times, oldest first; a day is what the worst of it was."""
    counts: dict[date, Counter[str]] = {day: Counter() for day in days}
    sizes: dict[date, int | None] = {}
    for run in runs:
        day = run.started_at.astimezone().date()
        if day in counts and run.status in _BY_DAY:
            counts[day][_BY_DAY[run.status]] += 1
            if run.status in RESTORABLE and run.size_bytes is not None:
                sizes[day] = run.size_bytes
    for moment in missed:
        day = moment.astimezone().date()
        if day in counts:
            counts[day]["missed"] += 1
    return JobCalendar(job=job, days=tuple(_day(day, counts[day], sizes.get(day)) for day in days))


def _day(day: date, counts: Mapping[str, int], size: int | None) -> Day:
    state: DayState = next((state for state in _WORST_FIRST if counts.get(state)), "nothing")
    return Day(
        day=day,
        state=state,
        good=counts.get("good", 0),
        partial=counts.get("partial", 0),
        failed=counts.get("failed", 0),
        missed=counts.get("missed", 0),
        cancelled=counts.get("cancelled", 0),
        size_bytes=size,
    )


def last_days(end: datetime, count: int) -> tuple[date, ...]:
    """The last local days, today the last of them."""
    today = end.astimezone().date()
    return tuple(today - timedelta(days=back) for back in range(count - 1, -1, -1))


def missed_times(next_due: NextDue, starts: Sequence[datetime], since: datetime, end: datetime) -> Iterator[datetime]:
    """The due times after `since` that no run began at or after, before the next due time came.

    `starts` are the beginnings of the job's runs, in order. Only gaps that are longer than the timetable's shortest
    distance are looked into: a job that runs every five minutes as it should costs nothing.
    """
    last = end - _ALLOWANCE
    shortest = _shortest_distance(next_due, since)
    moment = since
    for start in [*starts[bisect_left(starts, since) :], end]:
        if shortest is None:
            return
        if start - moment > shortest * 1.5 or start == end or moment == since:
            due = list(_due_between(next_due, moment + _EARLY, last if start == end else start + _EARLY))
            # The later run is the answer to the last time before it.
            yield from due if start == end else due[:-1]
        moment = start


def _due_between(next_due: NextDue, after: datetime, until: datetime) -> Iterator[datetime]:
    moment = after
    for _ in range(_MOST_DUE):
        due = next_due(moment)
        if due is None or due.starts_at > until:
            return
        yield due.starts_at
        moment = due.starts_at


def _shortest_distance(next_due: NextDue, since: datetime) -> timedelta | None:
    """Of the next few due times; None where nothing is ever due."""
    moments: list[datetime] = []
    moment = since
    for _ in range(6):
        due = next_due(moment)
        if due is None:
            break
        moments.append(due.starts_at)
        moment = due.starts_at
    if not moments:
        return None
    distances = [later - earlier for earlier, later in pairwise(moments)]
    return min(distances, default=timedelta(days=1))
