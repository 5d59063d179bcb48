"""A clock that is set while the daemon sleeps."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.guardian.clock_watch import ClockWatch
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.runner import DutyRunner
from dgtui.engine.runs import RunPaths

START = datetime(2025, 2, 13, 6, tzinfo=UTC)


class _Clock:
    def __init__(self) -> None:
        self.now, self.passed = START, 100.0

    def go_on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.passed += seconds


def test_only_a_leap_of_the_clock_is_noticed_and_each_once() -> None:
    clock = _Clock()
    watch = ClockWatch(lambda: clock.now, lambda: clock.passed)
    clock.go_on(3600)
    assert not watch.changed()
    for leap in (timedelta(hours=1), timedelta(days=-400), timedelta(seconds=5)):
        clock.now += leap
        assert watch.changed()
        clock.go_on(3)
        assert not watch.changed()


class _Hourly:
    name = "hourly"
    limit = timedelta(minutes=1)

    def __init__(self) -> None:
        self.asked, self.done = threading.Event(), threading.Event()

    def next_due(self, now: datetime) -> datetime | None:
        self.asked.set()
        return START + timedelta(hours=1) if now < START + timedelta(hours=2) else None

    def run(self, now: datetime) -> None:
        assert now == START + timedelta(hours=1)
        self.done.set()


def test_whoever_sleeps_is_asked_anew_once_it_is_woken(tmp_path: Path) -> None:
    clock, duty = _Clock(), _Hourly()
    context = DutyContext(Config(), Catalog(tmp_path), RunPaths(tmp_path), clock=lambda: clock.now)
    runner = DutyRunner(duty, context)
    runner.start()
    assert duty.asked.wait(30)
    clock.now += timedelta(hours=1)
    runner.wake()
    assert duty.done.wait(30)
    clock.now += timedelta(hours=1)
    context.stopping.set()
    runner.wake()
    assert runner.join(30)
    context.catalog.close()
