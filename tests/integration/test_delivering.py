"""The daemon's duty that delivers: late for nothing, and idle where there is nothing to send."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from dgtui.config import Config
from dgtui.config.channels import WebhookSettings
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.deliveries import Deliveries
from dgtui.engine.guardian.delivering import Delivering
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.notification_model import NotificationKind
from dgtui.engine.notify import raise_notification
from dgtui.engine.notify.courier import Courier, DeliveryReport
from dgtui.engine.records import Records
from dgtui.engine.runs import RunPaths
from dgtui.engine.settings import Duration
from tests.support.receivers import WebServer, web_server

START = datetime(2025, 2, 13, 21, 30, tzinfo=UTC)


class Daemon:
    """The duty with a clock that is turned from one due moment to the next."""

    def __init__(self, catalog: Catalog, web: WebServer) -> None:
        self.catalog = catalog
        self.web = web
        self.now = START
        self.settings = WebhookSettings(url=web.url, timezone="UTC", severity="info", timeout=Duration(30))
        config = Config(channels={"hook": self.settings})
        self.log: list[str] = []
        self.context = DutyContext(
            config,
            catalog,
            RunPaths(catalog.path.parent),
            clock=lambda: self.now,
            log=lambda text, _level: self.log.append(text),
        )
        self.duty = Delivering(self.context)

    def tell(self, kind: NotificationKind, group: str = "") -> None:
        raise_notification(
            self.catalog,
            kind,
            subject_kind="job",
            subject="nightly",
            message=kind,
            group_key=group,
            at=self.now,
        )

    def until(self, end: datetime) -> list[datetime]:
        """Turn the clock on; when messages arrived meanwhile."""
        arrived: list[datetime] = []
        while True:
            due = self.duty.next_due(self.now)
            assert due is not None
            if due > end:
                self.now = end
                return arrived
            self.now = max(self.now, due)
            before = len(self.web.requests)
            self.duty.run(self.now)
            arrived += [self.now] * (len(self.web.requests) - before)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    catalog = Catalog(tmp_path)
    with web_server() as web:
        yield Daemon(catalog, web)
    catalog.close()


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_news_are_sent_at_the_next_look_and_rounds_are_made_for_nothing_once_a_minute(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[datetime] = []

    class Counted(Courier):
        def deliver(self, *, seconds: float = 600.0) -> DeliveryReport:
            rounds.append(daemon.now)
            return super().deliver(seconds=seconds)

    monkeypatch.setattr("dgtui.engine.guardian.delivering.Courier", Counted)
    assert daemon.until(START + seconds(602)) == []
    assert len(rounds) <= 12
    daemon.tell("backup_failed")
    assert daemon.until(START + seconds(660)) == [START + seconds(605)]


def test_what_waits_for_its_group_is_sent_at_its_moment(daemon: Daemon) -> None:
    daemon.until(START + seconds(2))
    daemon.tell("connection_lost", group="db1:5432")
    assert daemon.until(START + seconds(60)) == [START + seconds(2 + int(daemon.settings.group_wait))]


def test_what_waits_for_the_end_of_quiet_hours_is_sent_then(daemon: Daemon) -> None:
    quiet = msgspec.structs.replace(daemon.settings, quiet_hours="21:00-22:00")
    daemon.context.take_config(Config(channels={"hook": quiet}))
    daemon.tell("backup_failed")
    assert daemon.until(START + seconds(3600)) == [START + seconds(1800)]


def test_a_refused_message_is_tried_again_when_its_time_has_come(daemon: Daemon) -> None:
    daemon.web.status = 500
    daemon.tell("backup_failed")
    arrived = daemon.until(START + seconds(30))
    daemon.web.status = 200
    arrived += daemon.until(START + seconds(120))
    assert arrived == [START, START + seconds(60)]


def test_a_channel_that_is_switched_on_is_used_at_the_next_look(daemon: Daemon) -> None:
    off = msgspec.structs.replace(daemon.settings, enabled=False)
    daemon.tell("backup_failed")
    daemon.until(START)
    daemon.web.status = 500
    daemon.tell("backup_partial")
    daemon.until(START + seconds(5))
    daemon.web.status = 200
    daemon.context.take_config(Config(channels={"hook": off}))
    assert daemon.until(START + seconds(131)) == []
    assert len(Deliveries(daemon.catalog).of_status("waiting")) == 1
    daemon.context.take_config(Config(channels={"hook": daemon.settings}))
    assert daemon.until(START + seconds(140)) == [START + seconds(135)]


def test_what_was_perhaps_sent_is_told_with_the_command_that_sends_it(daemon: Daemon) -> None:
    daemon.web.status = 500
    daemon.tell("backup_failed")
    daemon.until(START)
    deliveries = Deliveries(daemon.catalog)
    (delivery,) = deliveries.outstanding()
    deliveries.claim(delivery.delivery_id)
    deliveries.hand_over(delivery.delivery_id, at=START)
    daemon.until(START + seconds(60))
    assert daemon.log[-1] == "1 message was perhaps sent, see: dgtui notify"
    (shown,) = Records(daemon.catalog, lambda: daemon.context.config).undelivered()
    assert shown.reason.endswith(f"; it is sent again by: dgtui notify --again {delivery.delivery_id[:8]}")


def test_a_slow_receiver_lets_others_have_their_turn(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message for another channel may have come while it took one after the other."""
    taking_a_minute_each = SimpleNamespace(monotonic=lambda: 58.0 * len(daemon.web.requests))
    monkeypatch.setattr("dgtui.engine.notify.courier.time", taking_a_minute_each)
    for _ in range(3):
        daemon.tell("backup_failed")
    assert daemon.until(START + seconds(30)) == [START, START + seconds(5), START + seconds(10)]
