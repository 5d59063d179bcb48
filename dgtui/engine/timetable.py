"""When a job may run: its schedule, spread by jitter, inside the window in which it may begin. All of it follows from
what is given: there is no clock in here."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo

from dgtui.engine.model import Record
from dgtui.engine.schedules import Schedule, instant_of, parse_schedule

_WINDOW = re.compile(r"\s*([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})\s*")
_TRIES = 500
"""How many due times outside of a window are looked at before there is said to be none inside."""
_INSTANT = timedelta(microseconds=1)


def time_zone(name: str | None) -> tzinfo:
    """The time zone of this name; the system's where there is no name, and UTC where that is not known."""
    import warnings
    import zoneinfo

    if name is not None:
        return zoneinfo.ZoneInfo(name)
    import tzlocal

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tzlocal.reload_localzone()
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            return UTC


class Window(Record, frozen=True):
    """The part of each day in which a job may begin, by the clock on the wall; it may go past midnight.

    It opens once a day and closes once, at the same moments as a schedule has a time of day: where it comes twice, the
    first time. Where the clock leaps over its opening, it opens right after the leap, when the runs that were leapt
    over are due; where it leaps over its closing, it closes as much later, so that it is open no shorter for it. One
    that was leapt over as a whole is open as long as ever after the leap.
    """

    opens: time
    closes: time

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Read `22:00-06:00`; raises ValueError."""
        match = _WINDOW.fullmatch(text)
        numbers = [int(number) for number in match.groups()] if match else []
        if not numbers or max(numbers[0], numbers[2]) > 23 or max(numbers[1], numbers[3]) > 59:
            raise ValueError("expected two times of day, such as '22:00-06:00'")
        window = cls(opens=time(numbers[0], numbers[1]), closes=time(numbers[2], numbers[3]))
        if window.opens == window.closes:
            raise ValueError("expected two different times; without this key it may run at any time")
        return window

    def holds(self, moment: datetime, zone: tzinfo) -> bool:
        """Whether it is open at a moment."""
        return self.end_of(moment, zone) is not None

    def end_of(self, moment: datetime, zone: tzinfo | None) -> datetime | None:
        """When it closes, where it is open at a moment; no zone is the system's."""
        return max((closes for opens, closes in self._around(moment, zone) if opens <= moment < closes), default=None)

    def next_opening(self, moment: datetime, zone: tzinfo) -> datetime:
        """The first opening that comes after a moment."""
        return min(opens for opens, _ in self._around(moment, zone) if opens > moment)

    def last_closing(self, moment: datetime, zone: tzinfo) -> datetime:
        """The last closing that came before a moment."""
        return max(closes for _, closes in self._around(moment, zone) if closes < moment)

    def _around(self, moment: datetime, zone: tzinfo | None) -> Iterator[tuple[datetime, datetime]]:
        """When it opens and closes on the days near a moment; some zones have left out whole days."""
        today = moment.astimezone(zone).date()
        for day in (today + timedelta(days=step) for step in range(-3, 3)):
            last_day = day if self.opens < self.closes else day + timedelta(days=1)
            # Python reads what was leapt over by the clock before the leap, which is as much later.
            closes = datetime.combine(last_day, self.closes, zone).astimezone(UTC)
            opens = instant_of(datetime.combine(day, self.opens), zone)
            # All of it was leapt over, to its very end.
            if closes <= opens:
                closes = opens + (datetime.combine(last_day, self.closes) - datetime.combine(day, self.opens))
            yield opens, closes


class DueRun(Record, frozen=True):
    """A run that the timetable asks for."""

    due_at: datetime
    """Its time by the schedule: what tells it from all others."""
    starts_at: datetime
    """When it is to begin: later than that by the jitter."""


class Timetable:
    """All due runs of one job."""

    def __init__(self, identity: str, schedule: Schedule, zone: tzinfo, *, window: Window | None, jitter: int) -> None:
        """`identity` makes the jitter that of this job; `jitter` is its largest number of seconds."""
        self._identity = identity
        self._schedule = schedule
        self.zone = zone
        self.window = window
        self._jitter = jitter

    @classmethod
    def parse(
        cls, identity: str, schedule: str, zone: str | None, *, window: str | None = None, jitter: int = 0
    ) -> "Timetable":
        """From the texts of a configuration; raises ValueError."""
        known = time_zone(zone)
        opened = Window.parse(window) if window is not None else None
        return cls(identity, parse_schedule(schedule, known), known, window=opened, jitter=jitter)

    def next_after(self, moment: datetime) -> DueRun | None:
        """The first run that is to begin after a moment."""
        if not self._jitter:
            due_at = self._next_due(moment)
            return self._run(due_at) if due_at is not None else None
        # A run that was due before may still be to come, and one due later may begin earlier.
        best: DueRun | None = None
        due_at = self._next_due(moment - timedelta(seconds=self._jitter + 1))
        while due_at is not None and (best is None or due_at < best.starts_at):
            run = self._run(due_at)
            if run.starts_at > moment and (best is None or run.starts_at < best.starts_at):
                best = run
            due_at = self._next_due(due_at)
        return best

    def latest(self, moment: datetime, after: datetime) -> DueRun | None:
        """The last due run that was to begin by a moment, among those due later than `after`."""
        due_at = self._last_due(moment)
        while due_at is not None and due_at > after:
            run = self._run(due_at)
            if run.starts_at <= moment:
                return run
            due_at = self._last_due(due_at - _INSTANT)
        return None

    def starts_at(self, due_at: datetime) -> datetime:
        """When the run of a due time is to begin."""
        return self._run(due_at).starts_at

    def may_start(self, moment: datetime) -> bool:
        """Whether a run may begin now."""
        return self.window is None or self.window.holds(moment, self.zone)

    def _next_due(self, moment: datetime) -> datetime | None:
        for _ in range(_TRIES):
            due_at = self._schedule.next_after(moment)
            if due_at is None or self.may_start(due_at):
                return due_at
            assert self.window is not None
            moment = self.window.next_opening(due_at, self.zone) - _INSTANT
        return None

    def _last_due(self, moment: datetime) -> datetime | None:
        for _ in range(_TRIES):
            due_at = self._schedule.last_until(moment)
            if due_at is None or self.may_start(due_at):
                return due_at
            assert self.window is not None
            # At its closing itself, nothing may begin any more.
            moment = self.window.last_closing(due_at + _INSTANT, self.zone) - _INSTANT
        return None

    def _run(self, due_at: datetime) -> DueRun:
        starts_at = due_at + timedelta(seconds=self._delay(due_at))
        # Jitter that leads out of the window would have to wait for the next one.
        return DueRun(due_at=due_at, starts_at=starts_at if self.may_start(starts_at) else due_at)

    def _delay(self, due_at: datetime) -> int:
        if not self._jitter:
            return 0
        text = f"{self._identity} {due_at.astimezone(UTC).isoformat()}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % (self._jitter + 1)
