"""The hours, days, weeks, months and years of a time zone, and which backups are the newest of each."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from dgtui.engine.model import Record
from dgtui.engine.retention.verdicts import KeepRule
from dgtui.engine.retention_settings import RetentionSettings

_DIFFERENCE = timedelta(days=2)
"""More than local time is ever ahead of UTC or behind it, and more than a clock was ever put back."""
Key = tuple[int, ...]
"""Names an hour, a day, ... of a time zone; equal for two moments within the same one."""


class Period(Record, frozen=True):
    """A kind of stretch of the calendar."""

    rule: KeepRule
    key: Callable[[datetime], Key]
    """Of a local time."""
    next_day: Callable[[date], date] | None
    """The day at whose start the one after that of a day begins; None for hours, which the clock does not count."""
    first_day: Callable[[date], date] | None = None
    """The first day of that of a day; None where there are too few backups in one for it to matter."""


def _hour(local: datetime) -> Key:
    # The hour that comes twice at the end of daylight saving is two hours, told apart by their offsets.
    offset = local.utcoffset() or timedelta(0)
    return (local.year, local.month, local.day, local.hour, int(offset.total_seconds()))


def _week(local: datetime) -> Key:
    year, week, _ = local.isocalendar()
    return (year, week)


_PERIODS = (
    Period(rule="hourly", key=_hour, next_day=None),
    Period(
        rule="daily",
        key=lambda local: (local.year, local.month, local.day),
        next_day=lambda day: day + timedelta(days=1),
    ),
    Period(
        rule="weekly",
        key=_week,
        next_day=lambda day: day + timedelta(days=8 - day.isoweekday()),
        first_day=lambda day: day - timedelta(days=day.isoweekday() - 1),
    ),
    Period(
        rule="monthly",
        key=lambda local: (local.year, local.month),
        next_day=lambda day: date(day.year + day.month // 12, day.month % 12 + 1, 1),
        first_day=lambda day: date(day.year, day.month, 1),
    ),
    Period(
        rule="yearly",
        key=lambda local: (local.year,),
        next_day=lambda day: date(day.year + 1, 1, 1),
        first_day=lambda day: date(day.year, 1, 1),
    ),
)


def local_time(moment: datetime, zone: tzinfo | None) -> datetime:
    """A moment in a time zone; the system's where it is None."""
    return moment.astimezone(zone)


def start_after(period: Period, moment: datetime, zone: tzinfo | None) -> datetime:
    """When the stretch after the one of `moment` begins. Raises OverflowError, ValueError beyond the calendar."""
    local = local_time(moment, zone)
    if period.next_day is None:
        begun = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return moment + timedelta(hours=1) - begun
    midnight = datetime.combine(period.next_day(local.date()), time())
    return (midnight.replace(tzinfo=zone) if zone is not None else midnight.astimezone()).astimezone(UTC)


def rule_counts(rules: RetentionSettings) -> Iterator[tuple[KeepRule, Period | None, int]]:
    """The `keep_...` rules that are given: its stretch of the calendar (None for `keep_last`), its number."""
    if rules.keep_last is not None:
        yield "last", None, rules.keep_last
    for period in _PERIODS:
        count: int | None = getattr(rules, f"keep_{period.rule}")
        if count is not None:
            yield period.rule, period, count


def newest_of_each(
    taken: Sequence[datetime], period: Period | None, count: int, zone: tzinfo | None, *, by_time: bool
) -> list[int]:
    """Of times with the newest last, the places of the newest of each of the last `count` stretches that have one.

    The newest comes first. `by_time` where they are in their own order: not each of a month is looked at then.
    """
    if period is None:
        return list(range(len(taken) - 1, max(len(taken) - 1 - count, -1), -1))
    found: dict[Key, int] = {}
    place = len(taken)
    while place:
        place -= 1
        local = local_time(taken[place], zone)
        key = period.key(local)
        if key not in found:
            if len(found) == count:
                break
            found[key] = place
            if period.first_day is not None and by_time:
                begun = datetime.combine(period.first_day(local.date()), time(), UTC)
                place = bisect_right(taken, begun + _DIFFERENCE, 0, place)
    return list(found.values())
