"""The whole daemon killed again and again: timetable, health and notifications to real receivers come out right."""

import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dgtui.engine.catalog.deliveries import Deliveries
from dgtui.engine.catalog.delivery_items import DeliveryItems
from dgtui.engine.catalog.due_runs import queued_runs
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.facade import Engine
from dgtui.engine.health_model import Watched
from dgtui.engine.locks import lock_holder
from dgtui.engine.model import ENDED
from dgtui.engine.notification_model import NotificationKind
from dgtui.engine.notify.courier import LOCK_NAME
from tests.support.daemons import RunningDaemon, StartDaemon
from tests.support.homes import Home, wait_until
from tests.support.receivers import MailServer, WebServer, mail_server, web_server

FLAKY = Watched(kind="datasource", name="flaky")
ROUNDS = 6


class Guarded:
    """A home with a job every few seconds, a database that comes and goes, and two receivers."""

    def __init__(self, home: Home, web: WebServer, mail: MailServer) -> None:
        self.home = home
        self.web = web
        self.mail = mail
        self.flaky = home.folder / "flaky.db"
        self.log = home.folder / "runs"
        self.log.touch()
        source = home.folder / "source"
        source.mkdir()
        source.joinpath("a.txt").write_text("content")
        program = home.folder / "note.sh"
        program.write_text(f'#!/bin/sh\necho "$DGTUI_EXECUTION_ID" >> {self.log}\n')
        program.chmod(0o755)
        self._job = f'schedule = "every 5 s"\nbefore = ["{program}"]\n'

    def configure(self, *, enabled: bool) -> None:
        """Let the timetable be followed, or only what waits already."""
        channels = (
            f'[channels.hook]\ntype = "webhook"\nurl = "{self.web.url}"\nseverity = "info"\ntimeout = 60\n'
            f'[channels.mail]\ntype = "email"\nhost = "127.0.0.1"\nport = {self.mail.port}\ntls = "none"\n'
            'severity = "info"\nsender = "a@example.org"\nrecipients = ["b@example.org"]\n'
        )
        self.home.configure(
            f'[datasources.shop]\ntype = "files"\npath = "{self.home.folder}/source"\n'
            f'[datasources.flaky]\ntype = "sqlite"\npath = "{self.flaky}"\n',
            job=f"{self._job}enabled = {str(enabled).lower()}\n",
            more=f"{channels}[guardian]\nhealth_interval = 10\n",
        )

    def ran(self) -> list[str]:
        """The executions whose workers began, once for each beginning."""
        return self.log.read_text().split()

    def told(self, engine: Engine, kind: NotificationKind) -> int:
        """How many notifications of a kind there are."""
        return len(Notifications(engine.catalog).listed(kind=kind))


@pytest.fixture
def guarded(home: Home) -> Iterator[Guarded]:
    with web_server() as web, mail_server() as mail:
        made = Guarded(home, web, mail)
        made.configure(enabled=True)
        yield made


def test_killed_at_any_moment_nothing_is_lost_doubled_or_sent_twice(
    guarded: Guarded, start_daemon: StartDaemon
) -> None:
    engine = guarded.home.engine()
    for _ in range(2):
        engine.health.check_now([FLAKY])
    chance = random.Random(20250213)
    for number in range(ROUNDS):
        daemon = start_daemon()
        if number == 0:
            wait_until(lambda: guarded.told(engine, "connection_lost") == 1, "the third failure")
            with closing(sqlite3.connect(guarded.flaky)) as connection:
                connection.execute("CREATE TABLE t (a)")
        elif number == 1:
            _wait_for_a_message_under_way(guarded, daemon.wait_ready())
        elif number == 2:
            count = len(guarded.ran())
            wait_until(lambda known=count: len(guarded.ran()) > known, "another run")  # type: ignore[misc]
        time.sleep(chance.uniform(0, 2.5))
        daemon.stop(signal.SIGKILL)
        if guarded.web.hold is not None:
            hold, guarded.web.hold = guarded.web.hold, None
            hold.set()
    guarded.configure(enabled=False)
    last = start_daemon()
    last.wait_for(lambda: _is_settled(engine) and guarded.told(engine, "connection_restored") == 1, "all to settle")
    wait_until(lambda: not engine.paths.living(), "the last worker")
    last.wait_for(lambda: _is_settled(engine), "the last messages")
    last.stop()
    _assert_runs(guarded, engine)
    _assert_messages(guarded, engine)
    assert guarded.told(engine, "connection_lost") == guarded.told(engine, "connection_restored") == 1
    assert engine.records.verify_audit().damage == ()


def _wait_for_a_message_under_way(guarded: Guarded, daemon: RunningDaemon) -> None:
    """Until the receiver has a message of the daemon, and not of a worker, and has not said so."""
    lock = guarded.home.state / "locks" / LOCK_NAME
    while True:
        guarded.web.arrived.clear()
        guarded.web.hold = hold = threading.Event()
        daemon.wait_for(guarded.web.arrived.is_set, "a message")
        holder = lock_holder(lock)
        if holder is not None and holder.pid == daemon.process.pid:
            return
        hold.set()


def _is_settled(engine: Engine) -> bool:
    deliveries = Deliveries(engine.catalog)
    return (
        not queued_runs(engine.catalog)
        and all(execution.status in ENDED for execution in engine.executions())
        and not DeliveryItems(engine.catalog).waiting()
        and not deliveries.of_status("waiting")
        and not deliveries.of_status("sending")
        and not deliveries.are_due((), at=engine.executions()[0].started_at)
    )


def _assert_runs(guarded: Guarded, engine: Engine) -> None:
    ran = guarded.ran()
    executions = engine.executions()
    assert Counter(ran) == Counter(execution.execution_id for execution in executions), "each ran once"
    assert {execution.status for execution in executions} == {"completed"}
    assert len(list(Path(engine.executions()[0].copies[0].path).parent.iterdir())) == len(executions)
    with engine.catalog.transaction() as connection:
        rows = connection.execute("select due_at from due_runs group by 1 having count(*) > 1").fetchall()
    assert rows == []
    entries = [one.details[0].split()[1] for one in engine.records.audit() if one.action == "backup"]
    assert Counter(entries) == Counter(ran), "each stands in the audit log once"
    assert guarded.told(engine, "backup_completed") == len(ran)


def _assert_messages(guarded: Guarded, engine: Engine) -> None:
    deliveries = Deliveries(engine.catalog).by_prefix("")
    everything = {one.notification_id for one in Notifications(engine.catalog).listed()}
    for channel, arrived in (
        ("hook", [request.json["delivery_id"] for request in guarded.web.requests]),
        ("mail", [mail["Message-ID"].strip("<>").partition("@")[0] for mail in guarded.mail.mails]),
    ):
        assert len(arrived) == len(set(arrived)), "no message came twice"
        ours = [one for one in deliveries if one.channel == channel]
        sent = {one.delivery_id for one in ours if one.status == "sent"}
        perhaps = {one.delivery_id for one in ours if one.status == "perhaps sent"}
        assert sent | perhaps == {one.delivery_id for one in ours}
        assert sent <= set(arrived) <= sent | perhaps
        routed = Counter(notification for one in ours for notification in one.notifications)
        assert set(routed) == everything, "every notification is part of a message"
        assert set(routed.values()) == {1}, "and of one alone"
    shown = {one.delivery_id for one in engine.records.undelivered()}
    assert shown == {one.delivery_id for one in deliveries if one.status == "perhaps sent"}
    assert any(one.status == "perhaps sent" for one in deliveries), "one was killed on its way"
