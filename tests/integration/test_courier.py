"""Deliveries with a controlled clock and real receivers: grouped, held, reminded, tried again, never sent twice."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from dgtui.config import Config
from dgtui.config.channels import ChannelSettings, EmailSettings, WebhookSettings
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.deliveries import Deliveries
from dgtui.engine.catalog.delivery_items import DeliveryItems
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.datasources.postgres_connection import PostgresSettings
from dgtui.engine.errors import CatalogError, OutOfMemory
from dgtui.engine.memory import out_of_memory
from dgtui.engine.model import Execution, Problem
from dgtui.engine.notification_model import NotificationKind
from dgtui.engine.notify import courier, raise_notification
from dgtui.engine.notify.courier import Courier, DeliveryReport
from dgtui.engine.notify.rules import after_quiet_hours
from dgtui.engine.records import Records
from dgtui.engine.settings import Duration
from dgtui.engine.telling import Teller
from tests.support.homes import PATIENCE_SECONDS, Home, wait_until
from tests.support.receivers import WebServer, closed_port, frozen_server, mail_server, web_server
from tests.support.refusing import refusing

START = datetime(2025, 2, 13, 21, 30, tzinfo=UTC)


class Post:
    """A catalogue, a web server, and a clock that is moved by hand."""

    def __init__(self, catalog: Catalog, web: WebServer) -> None:
        self.catalog = catalog
        self.web = web
        self.now = START
        self.channels: dict[str, ChannelSettings] = {}
        self.set()
        self._seen = 0

    def set(self, name: str = "hook", **keys: object) -> None:
        """Configure a webhook channel."""
        settings = WebhookSettings(url=self.web.url, timezone="UTC", severity="info", timeout=Duration(30))
        self.channels[name] = msgspec.structs.replace(settings, **keys)

    def tell(
        self, kind: NotificationKind, subject: str = "shop", group: str = "", related: tuple[str, ...] = ()
    ) -> None:
        raise_notification(
            self.catalog,
            kind,
            subject_kind="datasource" if kind.startswith("connection") else "job",
            subject=subject,
            message=f"{kind} {subject}",
            group_key=group,
            related=related,
            at=self.now,
        )

    def deliver(self, *, after: timedelta = timedelta()) -> DeliveryReport:
        self.now += after
        datasources: dict[str, Any] = dict.fromkeys([f"shop{number}" for number in range(40)] + ["shop"])
        config = Config(channels=self.channels, datasources=datasources)
        return Courier(self.catalog, config, clock=lambda: self.now).deliver()

    def got(self) -> list[dict[str, Any]]:
        """What the server took since the last call."""
        new = self.web.requests[self._seen :]
        self._seen = len(self.web.requests)
        return [request.json for request in new]

    def subjects(self) -> list[list[str]]:
        """The subjects of each message since the last call."""
        return [[one["subject"] for one in message["notifications"]] for message in self.got()]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    catalog = Catalog(tmp_path)
    with web_server() as web:
        yield Post(catalog, web)
    catalog.close()


MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def test_one_dead_server_with_forty_databases_is_one_message(post: Post) -> None:
    for number in range(40):
        post.tell("connection_lost", f"shop{number}", group="db1:5432")
        post.now += timedelta(milliseconds=500)
    assert post.deliver().sent == 0
    assert post.deliver(after=timedelta(seconds=15)).sent == 1
    (message,) = post.got()
    assert message["title"] == "40 connections lost at db1:5432"
    assert message["severity"] == "critical"
    assert len(message["notifications"]) == 40
    assert post.deliver(after=HOUR).sent == 0


def test_who_comes_late_to_a_group_is_collected_for_the_next_message(post: Post) -> None:
    post.tell("connection_lost", "shop0", group="db1:5432")
    assert post.deliver(after=MINUTE).sent == 1
    for number in range(1, 4):
        post.tell("connection_lost", f"shop{number}", group="db1:5432")
        assert post.deliver(after=MINUTE).sent == 0
    assert post.deliver(after=15 * MINUTE).sent == 1
    assert post.subjects() == [["shop0"], ["shop1", "shop2", "shop3"]]


def test_what_is_worse_than_all_that_a_group_was_told_waits_for_nothing(post: Post) -> None:
    post.tell("backup_failed", "nightly", group="db1:5432")
    assert post.deliver(after=MINUTE).sent == 1
    post.tell("backup_failed", "hourly", group="db1:5432")
    post.tell("connection_lost", "shop0", group="db1:5432")
    assert post.deliver(after=MINUTE).sent == 1
    # What it says of the others goes with it.
    assert post.subjects() == [["nightly"], ["hourly", "shop0"]]
    post.tell("connection_lost", "shop1", group="db1:5432")
    assert post.deliver(after=MINUTE).sent == 0
    assert post.deliver(after=15 * MINUTE).sent == 1


def test_an_end_and_a_new_beginning_wait_for_no_group(post: Post) -> None:
    for number in range(2):
        post.tell("connection_lost", f"shop{number}", group="db1:5432")
    assert post.deliver(after=MINUTE).sent == 1
    for number in range(2):
        post.tell("connection_restored", f"shop{number}", group="db1:5432")
    assert post.deliver(after=MINUTE).sent == 1
    for kind in ("connection_lost", "connection_restored"):
        post.tell(kind, "shop0", group="db1:5432")
        assert post.deliver(after=MINUTE).sent == 1
    assert post.subjects() == [["shop0", "shop1"], ["shop0", "shop1"], ["shop0"], ["shop0"]]


def test_who_comes_back_late_is_collected_for_the_next_message(post: Post) -> None:
    for number in range(3):
        post.tell("connection_lost", f"shop{number}", group="db1:5432")
    assert post.deliver(after=MINUTE).sent == 1
    for number, sent in ((0, 1), (1, 0), (2, 0)):
        post.tell("connection_restored", f"shop{number}", group="db1:5432")
        assert post.deliver(after=MINUTE).sent == sent
    assert post.deliver(after=15 * MINUTE).sent == 1
    assert post.subjects() == [["shop0", "shop1", "shop2"], ["shop0"], ["shop1", "shop2"]]


def test_what_waits_for_its_group_says_until_when(post: Post) -> None:
    post.tell("connection_lost", "shop0", group="db1:5432")
    assert post.deliver(after=MINUTE).sent == 1
    told_at = post.now
    post.tell("connection_lost", "shop1", group="db1:5432")
    assert post.deliver(after=MINUTE).sent == 0
    records = Records(post.catalog, lambda: Config(channels=post.channels), clock=lambda: post.now)
    (waiting,) = records.undelivered()
    assert waiting.next_try_at == told_at + 15 * MINUTE


@pytest.mark.parametrize(
    ("kind", "group"),
    [("DatabaseConnectionError", "db1:5432"), ("AuthenticationError", "db1:5432"), ("ConfigError", "")],
)
def test_only_what_its_server_is_to_blame_for_is_told_with_others_of_it(tmp_path: Path, kind: str, group: str) -> None:
    catalog = Catalog(tmp_path)
    settings = PostgresSettings(type="postgres", host="db1", port=5432, database="shop")
    failed = Execution(
        execution_id="e1",
        job_id="job-id",
        job="nightly",
        datasource="shop",
        datasource_type="postgres",
        status="failed",
        backup_type="full",
        started_at=START,
        problem=Problem(kind=kind, message="no"),
    )
    Teller(catalog, Config(datasources={"shop": settings}), pytest.fail).record_end(failed)
    (told,) = Notifications(catalog).listed()
    assert told.group_key == group
    catalog.close()


def test_rules_by_kind_severity_and_object(post: Post) -> None:
    post.channels.clear()
    post.set("all")
    post.set("grave", severity="error")
    post.set("overdue", kinds=("backup_overdue",))
    post.set("crm", datasources=("crm",), jobs=("weekly",))
    post.set("off", enabled=False)
    post.tell("backup_partial", "nightly")
    post.tell("backup_failed", "nightly", related=("crm",))
    post.tell("backup_overdue", "weekly")
    post.deliver()
    catalog = Deliveries(post.catalog)
    by_channel: dict[str, int] = {}
    for delivery in catalog.of_status("sent"):
        by_channel[delivery.channel] = by_channel.get(delivery.channel, 0) + 1
    assert by_channel == {"all": 3, "grave": 2, "overdue": 1, "crm": 2}


def test_who_was_told_of_a_loss_is_told_of_its_end(post: Post) -> None:
    post.set(severity="critical")
    post.tell("connection_lost")
    post.tell("backup_completed", "nightly")
    post.deliver()
    post.tell("connection_restored")
    post.deliver()
    assert [message["notifications"][0]["kind"] for message in post.got()] == ["connection_lost", "connection_restored"]


def test_quiet_hours_hold_all_but_critical_ones(post: Post) -> None:
    post.set(quiet_hours="22:00-07:00")
    post.tell("backup_failed", "before")
    post.deliver()
    post.now = START + HOUR
    post.tell("backup_failed", "one")
    post.tell("backup_partial", "two")
    post.tell("backup_overdue", "urgent")
    post.deliver()
    assert post.subjects() == [["before"], ["urgent"]]
    post.deliver(after=8 * HOUR)
    assert post.subjects() == []
    post.deliver(after=31 * MINUTE)
    assert post.subjects() == [["one", "two"]]


@pytest.mark.parametrize(
    ("hours", "moment", "until"),
    [
        # 02:30 comes twice: what began the first time does not break off, and what ended does not begin again.
        ("02:30-06:00", "2026-10-25 00:45", "2026-10-25 05:00"),
        ("02:30-06:00", "2026-10-25 01:15", "2026-10-25 05:00"),
        ("22:00-02:30", "2026-10-25 00:15", "2026-10-25 00:30"),
        ("22:00-02:30", "2026-10-25 01:15", None),
        # The clock leaps over it: they are as long as ever, or begin right after the leap.
        ("22:00-02:30", "2026-03-29 01:15", "2026-03-29 01:30"),
        ("02:30-06:00", "2026-03-29 01:01", "2026-03-29 04:00"),
    ],
)  # fmt: skip
def test_quiet_hours_begin_and_end_once_in_a_night(hours: str, moment: str, until: str | None) -> None:
    settings = WebhookSettings(url="http://127.0.0.1/", quiet_hours=hours, timezone="Europe/Berlin")
    at, end = (datetime.fromisoformat(f"{text}+00:00") for text in (moment, until or moment))
    assert after_quiet_hours(at, settings) == end


def test_a_retry_keeps_the_quiet_hours_too(post: Post) -> None:
    post.set(quiet_hours="22:00-07:00")
    post.web.status = 503
    post.tell("backup_failed")
    post.deliver(after=25 * MINUTE)
    post.web.status = 200
    post.deliver(after=10 * MINUTE)
    assert len(post.got()) == 1
    post.now = START + 10 * HOUR
    post.deliver()
    assert post.subjects() == [["shop"]]


def test_a_digest_collects_and_lets_critical_ones_through(post: Post) -> None:
    post.set(digest="daily", digest_at="08:00", timezone="Europe/Zurich")
    post.tell("backup_completed", "one")
    post.now += HOUR
    post.tell("backup_failed", "two")
    post.tell("backup_overdue", "urgent")
    post.deliver()
    assert post.subjects() == [["urgent"]]
    post.now = datetime(2025, 2, 14, 6, 59, tzinfo=UTC)
    post.deliver()
    assert post.subjects() == []
    post.deliver(after=MINUTE)
    (message,) = post.got()
    assert [one["subject"] for one in message["notifications"]] == ["one", "two"]
    assert message["title"] == "1 backup completed, 1 backup failed"


def test_a_digest_counts_what_is_over_apart(post: Post) -> None:
    post.set(digest="daily", digest_at="08:00", timezone="UTC")
    for subject in ("shop", "crm"):
        post.tell("backup_failed", subject)
        post.tell("copy_missing", subject)
    post.tell("backup_completed", "crm")
    post.deliver(after=24 * HOUR)
    (message,) = post.got()
    assert message["title"] == "2 copies missing, 1 backup failed, 1 backup failed (over), 1 backup completed"


def test_what_is_over_before_it_can_be_sent_says_so_in_its_subject(post: Post) -> None:
    post.web.status = 503
    post.tell("connection_lost")
    assert post.deliver().failed == 1
    post.got()
    post.web.status = 200
    post.tell("connection_restored")
    post.deliver(after=HOUR)
    assert [message["title"] for message in post.got()] == ["connection_lost shop (over)", "connection_restored shop"]


def test_the_daily_digest_keeps_its_hour_over_a_change_of_the_clocks(post: Post) -> None:
    post.set(digest="daily", digest_at="08:00", timezone="Europe/Zurich")
    post.now = datetime(2025, 3, 29, 12, tzinfo=UTC)
    post.tell("backup_completed", "one")
    post.now = datetime(2025, 3, 30, 5, 59, tzinfo=UTC)
    post.deliver()
    assert post.subjects() == []
    post.deliver(after=MINUTE)
    assert post.subjects() == [["one"]]


def test_what_lasts_is_said_again_each_day_until_it_is_over(post: Post) -> None:
    post.tell("connection_lost")
    post.deliver()
    for _ in range(7):
        post.deliver(after=3 * HOUR)
    post.deliver(after=179 * MINUTE)
    assert len(post.got()) == 1
    post.deliver(after=MINUTE)
    (reminder,) = post.got()
    assert (reminder["reminder"], reminder["title"]) == (True, "Still: connection_lost shop")
    post.deliver(after=24 * HOUR)
    assert len(post.got()) == 1
    post.tell("connection_restored")
    post.deliver()
    post.deliver(after=72 * HOUR)
    assert [message["reminder"] for message in post.got()] == [False]


def test_nobody_is_reminded_of_what_was_taken_out_of_the_configuration(post: Post) -> None:
    post.tell("connection_lost", "sold")
    post.deliver()
    post.deliver(after=48 * HOUR)
    assert len(post.got()) == 1


def test_a_clock_that_is_set_back_holds_nothing(post: Post) -> None:
    post.tell("backup_failed", "from the future")
    post.deliver(after=timedelta(days=-400))
    assert post.subjects() == [["from the future"]]


@pytest.mark.parametrize(
    ("kind", "quiet_hours", "sent"),
    [
        ("backup_failed", None, ["shop"]),
        ("connection_lost", "00:00-23:59", ["shop"]),
        ("backup_failed", "22:00-07:00", []),
    ],
    ids=["any hour", "critical", "in quiet hours"],
)
def test_a_clock_that_is_set_back_puts_off_no_further_try(
    post: Post, kind: NotificationKind, quiet_hours: str | None, sent: list[str]
) -> None:
    post.now = START + 12 * HOUR
    post.web.status = 503
    post.tell(kind)
    assert post.deliver().failed == 1
    post.got()
    post.web.status = 200
    post.set(quiet_hours=quiet_hours)
    post.deliver(after=-11 * HOUR)
    assert [one for message in post.subjects() for one in message] == sent


def test_a_clock_that_ran_ahead_puts_off_no_reminder(post: Post) -> None:
    post.tell("connection_lost")
    post.deliver()
    post.deliver(after=-HOUR)
    assert [message["reminder"] for message in post.got()] == [False], "set back a little, it repeats nothing"
    post.deliver(after=timedelta(days=-400))
    assert [message["reminder"] for message in post.got()] == [True]
    post.deliver(after=23 * HOUR)
    assert post.got() == []
    post.deliver(after=HOUR)
    assert [message["reminder"] for message in post.got()] == [True]


def test_a_refusing_receiver_gets_it_later_with_the_same_id(post: Post) -> None:
    post.web.status = 500
    post.tell("backup_failed")
    assert post.deliver().failed == 1
    (waiting,) = Deliveries(post.catalog).outstanding()
    assert waiting.problem is not None
    assert waiting.problem.message.startswith("127.0.0.1 answers 500")
    assert waiting.next_try_at == post.now + MINUTE
    assert post.deliver(after=30 * timedelta(seconds=1)).failed == 0
    for wait in (1, 2, 4, 8):
        assert post.deliver(after=wait * MINUTE).failed == 1
    post.web.status = 200
    assert post.deliver(after=16 * MINUTE).sent == 1
    ids = [message["delivery_id"] for message in post.got()]
    assert ids == [waiting.delivery_id] * 6
    assert Deliveries(post.catalog).outstanding() == []


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        ("90", timedelta(seconds=90)),
        ("10", MINUTE),
        ("86400", HOUR),
        ("9" * 400, HOUR),
        ("Wed, 21 Oct 2015 07:28:00 GMT", MINUTE),
        ("Wed, 21 Oct 9999 07:28:00 GMT", HOUR),
        ("soon", MINUTE),
        ("-5", MINUTE),
    ],
)
def test_a_receiver_that_says_when_it_takes_more_is_not_asked_before(post: Post, asked: str, waits: timedelta) -> None:
    """It was asked again after a minute, and might ban whoever does that; but nothing waits more than an hour."""
    post.web.status = 429
    post.web.headers = {"Retry-After": asked}
    for job in ("nightly", "hourly"):
        post.tell("backup_failed", job)
    assert post.deliver().failed == 1
    tries = {one.next_try_at for one in Deliveries(post.catalog).outstanding()}
    assert tries == {post.now + waits}
    post.web.status = 200
    assert post.deliver(after=waits - timedelta(seconds=1)).sent == 0
    assert post.deliver(after=timedelta(seconds=1)).sent == 2


def test_a_dead_receiver_is_asked_once_a_round_and_delays_no_other(post: Post) -> None:
    post.set("dead", url=f"http://127.0.0.1:{closed_port()}/")
    with frozen_server() as port:
        post.set("frozen", url=f"http://127.0.0.1:{port}/", timeout=Duration(1))
        for number in range(5):
            post.tell("backup_failed", f"job-{number}")
        report = post.deliver()
        assert (report.sent, report.failed) == (5, 2)
        assert len(report.problems) == 2
    assert post.subjects() == [[f"job-{number}"] for number in range(5)]
    waiting = Deliveries(post.catalog).outstanding()
    assert [delivery.attempts for delivery in waiting if delivery.channel == "dead"] == [1, 0, 0, 0, 0]
    post.set("dead")
    post.set("frozen")
    report = post.deliver(after=2 * MINUTE)
    assert (report.sent, report.failed) == (10, 0)


def test_a_long_queue_at_a_dead_receiver_costs_no_more_writing_than_a_short_one(post: Post) -> None:
    post.set(url=f"http://127.0.0.1:{closed_port()}/")
    commits = 0

    def count(_: object) -> None:
        nonlocal commits
        commits += 1

    sa.event.listen(sa.Engine, "commit", count)
    try:
        needed = []
        for more in (3, 60):
            for number in range(more):
                post.tell("backup_failed", f"job{number}")
            post.deliver()
            commits = 0
            assert post.deliver(after=2 * MINUTE).failed == 1
            needed.append(commits)
    finally:
        sa.event.remove(sa.Engine, "commit", count)
    assert needed[1] == needed[0]
    assert len(Deliveries(post.catalog).outstanding()) == 63


def test_a_channel_without_memory_to_begin_is_told_and_delays_no_other(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def only_room_for_one(size: int) -> None:
        asked.append(size)
        if len(asked) == 1:
            raise out_of_memory()

    post.set("other")
    post.tell("backup_failed")
    with monkeypatch.context() as patch:
        patch.setattr("dgtui.engine.threads.need_room", only_room_for_one)
        with pytest.raises(OutOfMemory):
            post.deliver()
    assert post.subjects() == [["shop"]], "the round of the other one was waited for"
    assert post.deliver().sent == 1


def test_no_attempt_begins_that_may_not_take_its_time(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off in the middle, the receiver may have taken it, and would get it twice."""
    taking_ten_minutes_each = SimpleNamespace(monotonic=lambda: 598.0 * len(post.web.requests))
    monkeypatch.setattr("dgtui.engine.notify.courier.time", taking_ten_minutes_each)
    for number in range(3):
        post.tell("backup_failed", f"job-{number}")
    for number in range(3):
        report = post.deliver()
        assert (report.sent, report.failed) == (1, 0)
        assert post.subjects() == [[f"job-{number}"]]


def test_one_message_that_is_refused_blocks_no_other(post: Post) -> None:
    post.web.status = 400
    post.tell("backup_failed", "bad")
    for _ in range(8):
        post.deliver(after=HOUR)
    post.tell("backup_failed", "good")
    post.deliver()
    post.web.status = 200
    post.got()
    post.deliver(after=2 * MINUTE)
    assert post.subjects() == [["good"]]
    post.deliver(after=HOUR)
    assert post.subjects() == [["bad"]]


def test_old_news_that_nobody_ever_delivered_is_not_sent(post: Post) -> None:
    post.tell("backup_failed", "old")
    post.now += timedelta(days=8)
    post.tell("backup_failed", "new")
    post.deliver()
    assert post.subjects() == [["new"]]


def test_news_of_years_without_a_channel_are_not_too_many_for_the_first_one(tmp_path: Path, post: Post) -> None:
    def take_few_values(connection: sqlite3.Connection, _: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 100)

    for number in range(101):
        post.tell("backup_failed", f"job-{number}")
    sa.event.listen(sa.Engine, "connect", take_few_values)
    try:
        with contextlib.closing(Catalog(tmp_path)) as catalog:
            assert DeliveryItems(catalog).route(lambda _: ["hook"], at=post.now) == 101
            assert DeliveryItems(catalog).route(lambda _: ["hook"], at=post.now) == 0
    finally:
        sa.event.remove(sa.Engine, "connect", take_few_values)


def outcome_for(post: Post, recipient: str) -> str:
    """How it ended for a recipient who was put off at first, by what stands in the catalogue."""
    (delivery,) = Deliveries(post.catalog).by_prefix("")
    assert delivery.recipients == (recipient,)
    assert delivery.sent_at is not None
    return f"{delivery.status}: {delivery.problem.message if delivery.problem else ''}"


@pytest.mark.parametrize("end", ["taken", "refused", "not configured any more"])
def test_a_recipient_who_is_put_off_gets_it_later_and_the_others_get_it_once(post: Post, end: str) -> None:
    with mail_server() as mail:
        settings = EmailSettings(
            host="127.0.0.1",
            port=mail.port,
            tls="none",
            sender="watcher@example.org",
            recipients=("dba@example.org", "gone@example.org", "ops@example.org"),
            severity="info",
        )
        post.channels = {"mail": settings}
        mail.refused_recipients, mail.put_off_recipients = {"gone@example.org"}, {"ops@example.org"}
        post.tell("backup_failed")
        first = post.deliver()
        assert (first.sent, first.failed) == (1, 0)
        (problem,) = first.problems
        assert "Refused recipients: gone@example.org: 550 no such mailbox" in problem
        assert "Put off: ops@example.org: 450 come again later" in problem
        assert mail.envelopes == [["dba@example.org"]]
        for minutes in (1, 2, 4):
            assert post.deliver(after=(minutes - 0.5) * MINUTE).problems == ()
            report = post.deliver(after=MINUTE / 2)
            assert (report.sent, report.failed) == (0, 1)
            assert "after it took it for the others: ops@example.org: 450 come again later" in report.problems[0]
        mail.put_off_recipients = set()
        if end == "refused":
            mail.refused_recipients = {"ops@example.org"}
        elif end == "not configured any more":
            post.channels["mail"] = msgspec.structs.replace(settings, recipients=("dba@example.org",))
        post.deliver(after=8 * MINUTE)
        got = [["dba@example.org"], ["ops@example.org"]] if end == "taken" else [["dba@example.org"]]
        assert mail.envelopes == got
        assert post.deliver(after=24 * HOUR).sent == 0
        assert mail.envelopes == got
        assert len({one["Message-ID"] for one in mail.mails}) == 1
        assert (
            outcome_for(post, "ops@example.org")
            == {
                "taken": "sent: ",
                "refused": "sent: Refused recipients: ops@example.org: 550 no such mailbox",
                "not configured any more": "sent: No recipients any more: ops@example.org",
            }[end]
        )


def test_people_are_reminded_of_what_lasts_while_one_recipient_is_put_off(post: Post) -> None:
    with mail_server() as mail:
        post.channels = {
            "mail": EmailSettings(
                host="127.0.0.1",
                port=mail.port,
                tls="none",
                sender="watcher@example.org",
                recipients=("dba@example.org", "full@example.org"),
            )
        }
        mail.put_off_recipients = {"full@example.org"}
        post.tell("connection_lost")
        post.deliver()
        (waiting,) = Deliveries(post.catalog).outstanding()
        Deliveries(post.catalog).wait_again(waiting.delivery_id, at=post.now)
        post.deliver()
        post.deliver(after=25 * HOUR)
        post.deliver(after=2 * MINUTE)
    assert mail.envelopes == [["dba@example.org"], ["dba@example.org"]]
    assert mail.mails[1]["Subject"].endswith("Still: connection_lost shop")


_DAEMON = """
import sys
import threading
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import CatalogError
from dgtui.config import load_config
from dgtui.engine.notify.courier import Courier
from pathlib import Path
print(Courier(Catalog(Path(sys.argv[1])), load_config(Path(sys.argv[2]))).deliver())
"""


@pytest.mark.parametrize("moment", ["before it has it", "while it has it"])
def test_a_kill_in_the_middle_sends_nothing_twice_and_loses_nothing_unsaid(home: Home, moment: str) -> None:
    home.state.mkdir(mode=0o700)
    catalog = Catalog(home.state)
    raise_notification(catalog, "backup_failed", subject_kind="job", subject="nightly", message="it failed")
    with web_server() as web, frozen_server() as frozen, mail_server() as mail:
        if moment == "while it has it":
            # The server takes the message and is slow to say so.
            web.hold = threading.Event()
            channel = f'type = "webhook"\nurl = "{web.url}"\ntimeout = 120'
        else:
            # The server answers the connection and never greets: nothing was handed over.
            channel = (
                f'type = "email"\nhost = "127.0.0.1"\nport = {frozen}\ntls = "none"\ntimeout = 120\n'
                'sender = "a@example.org"\nrecipients = ["b@example.org"]'
            )
        home.config_path.write_text(f"[channels.ops]\n{channel}\n")
        home.config_path.chmod(0o600)
        courier = subprocess.Popen([sys.executable, "-c", _DAEMON, str(home.state), str(home.config_path)])
        if moment == "while it has it":
            assert web.arrived.wait(PATIENCE_SECONDS)
        else:
            wait_until(lambda: bool(Deliveries(catalog).of_status("sending")), "the attempt")
        os.kill(courier.pid, signal.SIGKILL)
        courier.wait()
        if web.hold is not None:
            web.hold.set()
        text = home.config_path.read_text().replace(f"port = {frozen}", f"port = {mail.port}")
        home.config_path.write_text(text)
        for _ in range(3):
            done = subprocess.run(
                [sys.executable, "-c", _DAEMON, str(home.state), str(home.config_path)], check=True, capture_output=True
            )
            assert b"busy=False" in done.stdout
        assert len(web.requests) + len(mail.mails) == 1
        statuses = [delivery.status for delivery in Deliveries(catalog).by_prefix("")]
    catalog.close()
    assert statuses == (["perhaps sent"] if moment == "while it has it" else ["sent"])


def test_a_fault_of_the_program_waits_its_time_and_is_shown(
    post: Post, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It was tried anew every few seconds, and nothing told why nothing came; then it was told with its secret."""
    tries, secret = [], "https://hooks.example/T0-s3cret"

    def fail(*_: object, **__: object) -> str:
        tries.append(post.now)
        raise ValueError(secret)

    monkeypatch.setattr("dgtui.engine.notify.courier.send", fail)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    post.tell("backup_failed")
    assert post.deliver().problems == ("hook: A fault of dgtui itself: ValueError",)
    logged = capfd.readouterr().err
    assert "RuntimeError: ValueError" in logged
    assert "in fail" in logged
    assert "s3cret" not in logged
    post.deliver(after=timedelta(seconds=50))
    assert tries == [START]
    (waiting,) = Deliveries(post.catalog).outstanding()
    assert (waiting.status, waiting.attempts) == ("waiting", 1)
    monkeypatch.undo()
    assert post.deliver(after=timedelta(seconds=20)).sent == 1


@pytest.mark.parametrize("status", [200, 503])
def test_whichever_write_fails_a_message_is_sent_once_and_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """One that was refused was never sent again, and one that was taken was called perhaps sent."""
    monkeypatch.setattr(courier, "_RECORDING_PAUSES", (0.0,))
    for number in count(1):
        (tmp_path / str(number)).mkdir()
        catalog = Catalog(tmp_path / str(number))
        with web_server() as web:
            web.status = status
            post = Post(catalog, web)
            for subject in ("shop", "forum"):
                post.tell("backup_failed", subject)
            with refusing(number) as refused, contextlib.suppress(CatalogError):
                post.deliver()
            if status == 503:
                post.got()
            web.status = 200
            for _ in range(2):
                post.deliver(after=2 * MINUTE)
            taken = [subject for subjects in post.subjects() for subject in subjects]
        assert sorted(taken) == ["forum", "shop"], (number, refused.refused)
        assert {one.status for one in Deliveries(catalog).by_prefix("")} == {"sent"}, (number, refused.refused)
        catalog.close()
        if not refused.refused:
            break
    assert number > 20
