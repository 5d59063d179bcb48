"""When a backup that stays now would go, if backups go on coming."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from itertools import islice, pairwise
from statistics import median

from dgtui.engine.job_backups import JobBackups
from dgtui.engine.retention.calendar import (
    Key,
    Period,
    local_time,
    newest_of_each,
    rule_counts,
    start_after,
)
from dgtui.engine.retention.verdicts import KeepRule
from dgtui.engine.retention_settings import RetentionSettings

NextBackup = Callable[[datetime], datetime | None]
"""The first backup that is expected after a moment; None where nothing tells."""

_FARTHEST_STEPS = 1_000
"""Beyond so many backups to come nobody wants to know the day."""
_RECENT = 21


def expected_by_history(taken: Iterable[datetime]) -> NextBackup:
    """Backups go on coming as they came: with the usual distance between the last ones, from the newest on."""
    moments = sorted(taken)[-_RECENT:]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    step = timedelta(seconds=median(gaps)) if gaps else timedelta(0)

    def next_backup(after: datetime) -> datetime | None:
        if step < timedelta(seconds=1):
            return None
        try:
            return moments[-1] + step * max(1, (after - moments[-1]) // step + 1)
        except OverflowError:
            return None

    return next_backup


@dataclass
class Outlook:
    """What backups to come will do to the backups of one job at one storage."""

    backups: JobBackups
    """Those that stay."""
    rules: RetentionSettings
    zone: tzinfo | None
    next_backup: NextBackup
    now: datetime
    _ends: dict[KeepRule, dict[str, datetime | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        orders = self.backups.orders
        for rule, period, count in rule_counts(self.rules):
            ends = self._ends.setdefault(rule, {})
            of_orders = [
                newest_of_each(ordered.taken, period, count, self.zone, by_time=not number)
                for number, ordered in enumerate(orders)
            ]
            nearest = count - max(map(len, of_orders)) + 1
            # The one that is kept longest has the farthest to go: nothing is worked out beyond what can be told.
            comings = list(self._comings(period, orders[0].taken, count)) if nearest <= _FARTHEST_STEPS else []
            for ordered, kept in zip(orders, of_orders, strict=True):
                for position, place in enumerate(kept):
                    end = self._end(ordered.taken[place], position, period, count, comings)
                    former = ends.get(ordered.execution_ids[place], end)
                    ends[ordered.execution_ids[place]] = None if end is None or former is None else max(end, former)

    def end(self, execution_id: str, kept_by: Sequence[KeepRule]) -> datetime | None:
        """When the last of these rules lets go of a backup; None where that cannot be known."""
        ends = [self._ends[rule].get(execution_id) for rule in kept_by]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    def _end(
        self, taken: datetime, position: int, period: Period | None, count: int, comings: list[datetime]
    ) -> datetime | None:
        if period is not None and position == 0:
            coming = self.next_backup(self.now)
            if coming is not None and self._key(period, coming) == self._key(period, taken):
                return coming
        missing = count - position
        return comings[missing - 1] if len(comings) >= missing else None

    def _comings(self, period: Period | None, by_time: Sequence[datetime], count: int) -> Iterator[datetime]:
        """The backups to come that will take another one's place: all, or the first of each new stretch."""
        seen = {self._key(period, taken) for taken in by_time[-1:]} if period is not None else set()
        yield from islice(self._expected(period, seen), count)

    def _expected(self, period: Period | None, seen: set[Key]) -> Iterator[datetime]:
        moment = self.next_backup(self.now)
        for _ in range(_FARTHEST_STEPS):
            if moment is None:
                return
            if period is None:
                yield moment
                moment = self.next_backup(moment)
                continue
            if (key := self._key(period, moment)) not in seen:
                seen.add(key)
                yield moment
            try:
                start = start_after(period, moment, self.zone)
            except (OverflowError, ValueError):
                return
            moment = self.next_backup(start - timedelta(microseconds=1))

    def _key(self, period: Period, moment: datetime) -> Key:
        return period.key(local_time(moment, self.zone))
