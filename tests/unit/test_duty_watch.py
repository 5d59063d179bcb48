"""A duty that does not come to its end is told of once, and so is that it goes on."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.duty_watch import DutyWatch
from dgtui.engine.guardian.runner import DutyRunner
from dgtui.engine.notification_model import Notification
from dgtui.engine.runs import RunPaths
from tests.support.homes import wait_until


class Stuck:
    """Is due once, and does not come back before it is let go."""

    name = "stuck"

    def __init__(self, limit: timedelta) -> None:
        self.limit = limit
        self.let_go = threading.Event()

    def next_due(self, now: datetime) -> datetime | None:
        return None if self.let_go.is_set() else now

    def run(self, now: datetime) -> None:
        self.let_go.wait()


@pytest.fixture
def context(tmp_path: Path) -> Iterator[DutyContext]:
    paths = RunPaths(tmp_path / "state")
    paths.make()
    catalog = Catalog(paths.state)
    yield DutyContext(Config(), catalog, paths)
    catalog.close()


def test_a_duty_that_hangs_is_told_once_and_that_it_goes_on(context: DutyContext) -> None:
    duties = Stuck(timedelta(0)), Stuck(timedelta(days=1))
    runners = [DutyRunner(duty, context) for duty in duties]
    watch = DutyWatch(context)

    def told() -> list[Notification]:
        return Notifications(context.catalog).listed()

    assert watch.look(runners) == ()
    for runner in runners:
        runner.start()
    wait_until(lambda: all(runner.state.running_since is not None for runner in runners), "both at work")
    wait_until(lambda: runners[0].hangs, "more than no time")
    assert not runners[1].hangs
    for _ in range(3):
        assert watch.look(runners) == ("stuck",)
    (note,) = told()
    assert (note.kind, note.severity, note.subject, note.ended_at) == ("duty_hangs", "error", "stuck", None)
    # A daemon that begins knows nothing of what hung in the one before.
    assert DutyWatch(context).look(runners[1:]) == ()
    assert [one.ended_at is not None for one in told()] == [True]
    for duty in duties:
        duty.let_go.set()
    wait_until(lambda: runners[0].state.last_ended is not None, "the end of it")
    assert watch.look(runners) == ()
    context.stopping.set()
    for runner in runners:
        runner.wake()
        assert runner.join(60)
