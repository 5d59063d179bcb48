"""Deliveries with a controlled clock and real receivers: tried again, delayed by no other one, never sent twice."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from dgtui.config.channels import EmailSettings
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.connection import Connection, Connections
from dgtui.engine.catalog.deliveries import Deliveries
from dgtui.engine.catalog.delivery_items import DeliveryItems
from dgtui.engine.errors import CatalogError, OutOfMemory
from dgtui.engine.memory import out_of_memory
from dgtui.engine.notify import courier, raise_notification
from dgtui.engine.settings import Duration
from tests.support.homes import PATIENCE_SECONDS, Home, wait_until
from tests.support.post import HOUR, MINUTE, START, Post
from tests.support.receivers import closed_port, frozen_server, mail_server, web_server
from tests.support.refusing import refusing
from tests.support.statements import watched


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

    needed = []
    with watched(on_commit=count):
        for more in (3, 60):
            for number in range(more):
                post.tell("backup_failed", f"job{number}")
            post.deliver()
            commits = 0
            assert post.deliver(after=2 * MINUTE).failed == 1
            needed.append(commits)
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


def test_news_of_years_without_a_channel_are_not_too_many_for_the_first_one(
    tmp_path: Path, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_one = Connections._open

    def taking_few_values(connections: Connections) -> Connection:
        connection = open_one(connections)
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 100)
        return connection

    for number in range(101):
        post.tell("backup_failed", f"job-{number}")
    monkeypatch.setattr(Connections, "_open", taking_few_values)
    with contextlib.closing(Catalog(tmp_path)) as catalog:
        assert DeliveryItems(catalog).route(lambda _: ["hook"], at=post.now) == 101
        assert DeliveryItems(catalog).route(lambda _: ["hook"], at=post.now) == 0


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
