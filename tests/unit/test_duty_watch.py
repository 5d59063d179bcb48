"""A duty that does not come to its end, or fails again and again, is told of once, and so is that it goes on."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dgtui.config import Config
from dgtui.config.channels import ChannelSettings, WebhookSettings
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.errors import StorageError
from dgtui.engine.guardian import runner as runner_module
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.duty_watch import DutyWatch
from dgtui.engine.guardian.runner import DutyRunner
from dgtui.engine.notification_model import Notification
from dgtui.engine.runs import RunPaths
from tests.support.homes import wait_until
from tests.support.receivers import web_server
from tests.support.refusing import refusing, refusing_from
from tests.support.shops import fill_up

START = datetime(2025, 1, 1, 12, tzinfo=UTC)


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


@pytest.mark.parametrize("number", [1, 2, 3])
def test_whichever_write_fails_a_duty_that_hangs_is_told_and_that_it_goes_on(context: DutyContext, number: int) -> None:
    """It was never told then, or people were reminded of it for as long as the daemon lived."""
    duty = Stuck(timedelta(0))
    runner, watch = DutyRunner(duty, context), DutyWatch(context)

    def ends() -> list[bool]:
        return [one.ended_at is not None for one in Notifications(context.catalog).listed()]

    runner.start()
    wait_until(lambda: runner.hangs, "more than no time")
    for ended in (False, True):
        with refusing(number) as refused:
            watch.look([runner])
        assert refused.refused
        watch.look([runner])
        assert ends() == [ended], refused.refused
        duty.let_go.set()
        wait_until(lambda: runner.works is True, "the end of it")
    context.stopping.set()
    runner.wake()
    assert runner.join(60)


def test_a_look_waits_for_a_locked_catalogue_once_and_not_for_each_duty(context: DutyContext) -> None:
    """All together kept the daemon from its own work for longer than systemd waits."""
    runners = [DutyRunner(Failing(), context) for _ in range(3)]
    for runner in runners:
        runner._succeed(START)  # they work, and nobody was told yet
    with refusing_from(1) as refused:
        DutyWatch(context).look(runners)
    assert len(refused.seen) == 2, "one of what hangs, one of what works"


class Failing:
    """Fails as long as it is told to; is due all the time where it is `wanted`."""

    name = "failing"
    limit = timedelta(days=1)
    wanted, broken = True, True
    runs = 0

    def next_due(self, now: datetime) -> datetime | None:
        return now if self.wanted else None

    def run(self, now: datetime) -> None:
        self.runs += 1
        if self.broken:
            raise StorageError("Could not write it", subject="a file", hint="Make room")
        time.sleep(0.01)


class Faulty(Failing):
    """Meets a fault of the program itself, whose text holds a secret."""

    secret = "smtp://mailer:s3cret@mail.example"

    def run(self, now: datetime) -> None:
        raise ValueError(self.secret)


def test_a_fault_of_the_program_is_told_by_its_kind_alone(
    context: DutyContext, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    runner = DutyRunner(Faulty(), context)
    runner.start()
    assert runner.join(60)
    problem = runner.state.problem
    assert problem is not None
    assert (problem.kind, problem.message) == ("ValueError", "A fault of dgtui itself: ValueError")
    logged = capfd.readouterr().err
    assert "RuntimeError: ValueError" in logged
    assert "in run" in logged
    assert "s3cret" not in logged + str(problem)


@pytest.mark.parametrize("way", ["mended", "not wanted any more"])
def test_a_duty_that_keeps_failing_is_told_once_and_that_it_is_over(
    context: DutyContext, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(runner_module, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(runner_module, "_LONGEST_PAUSE_SECONDS", 0.01)
    duty = Failing()
    runner = DutyRunner(duty, context)
    watch = DutyWatch(context)

    def kinds() -> list[str]:
        watch.look([runner])
        return [one.kind for one in sorted(Notifications(context.catalog).listed(), key=lambda one: one.sequence)]

    runner.start()
    wait_until(lambda: kinds() == ["duty_fails"], "people are told")
    (note,) = Notifications(context.catalog).listed()
    assert (note.severity, "Could not write it" in note.message) == ("error", True)
    assert note.details[0] == "Next: Make room"
    runs = duty.runs
    wait_until(lambda: duty.runs > runs + 5, "more failures")
    # A daemon that is started anew tells it no second time.
    watch = DutyWatch(context)
    assert kinds() == ["duty_fails"]
    if way == "mended":
        duty.broken = False
    else:
        duty.wanted = False
    wait_until(lambda: kinds() == ["duty_fails", "duty_restored"], "people are told that it is over")
    context.stopping.set()
    runner.wake()
    assert runner.join(60)


def test_a_state_folder_that_is_full_is_told_past_it_and_that_it_is_over(
    small_mount: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(runner_module, "_LONGEST_PAUSE_SECONDS", 0.01)
    paths = RunPaths(small_mount / "state")
    paths.make()
    duty = Failing()
    with closing(Catalog(paths.state)) as catalog, web_server() as web:
        channels: dict[str, ChannelSettings] = {"hook": WebhookSettings(url=web.url, severity="critical")}
        context = DutyContext(Config(channels=channels), catalog, paths)
        runner, watch = DutyRunner(duty, context), DutyWatch(context)

        def titles() -> list[str]:
            watch.look([runner])
            return [request.json["title"] for request in web.requests]

        filler = fill_up(small_mount)
        runner.start()
        wait_until(lambda: len(titles()) == 1, "people are told")
        assert titles()[0].startswith("No backup begins and nothing is written down")
        assert web.requests[0].json["severity"] == "critical"
        filler.unlink()
        wait_until(lambda: len(titles()) == 2, "people are told that it is over")
        assert "goes on" in titles()[1]
        # Why the duty failed was told by that.
        assert Notifications(catalog).listed() == []
        context.stopping.set()
        runner.wake()
        assert runner.join(60)
