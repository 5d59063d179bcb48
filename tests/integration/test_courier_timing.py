"""When messages are sent, with a controlled clock and a real receiver: grouped, held, collected, reminded of."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dgtui.config import Config
from dgtui.config.channels import WebhookSettings
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.deliveries import Deliveries
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.datasources.postgres_connection import PostgresSettings
from dgtui.engine.model import Execution, Problem
from dgtui.engine.notification_model import NotificationKind
from dgtui.engine.notify.rules import after_quiet_hours
from dgtui.engine.records import Records
from dgtui.engine.telling import Teller
from tests.support.post import HOUR, MINUTE, START, Post


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
