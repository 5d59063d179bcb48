"""Health, notifications, the audit log, the daemon and pins on the screens, by keys, over a real engine."""

import os
import signal
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest
from textual.widgets import Button

from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.errors import CatalogError
from dgtui.engine.health_model import Watched
from dgtui.engine.messages import now
from dgtui.engine.notification_model import Notification, Severity
from dgtui.engine.records import Records
from dgtui.engine.telling import Teller
from dgtui.screens.audit import AuditScreen
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.daemon import DaemonScreen
from dgtui.screens.notification import NotificationScreen
from dgtui.screens.pinning import PinScreen
from dgtui.screens.undelivered import UndeliveredScreen
from dgtui.screens.widgets.listing import Listing
from tests.support.homes import Home, wait_until
from tests.support.postgres import PostgresServer
from tests.tui.conftest import sqlite_table
from tests.tui.driver import screens
from tests.tui.still_life import still_screens


async def test_a_stopped_server_becomes_critical_and_its_notification_comes_by_itself(
    home: Home, shop: Path, own_postgres_server: PostgresServer
) -> None:
    server = own_postgres_server
    home.configure(
        sqlite_table("shop", shop)
        + f'[datasources.crm]\ntype = "postgres"\nhost = "127.0.0.1"\nport = {server.port}\ndatabase = "postgres"\n'
        + 'username = "postgres"\ntls = "disable"\n'
    )
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("down")
        assert "● healthy" in driver.rows("#datasources")[1]
        await driver.until(lambda: "tables" in driver.text("#details"), "the closer look")
        assert "PostgreSQL" in driver.text("#details")
        assert "latency, 24 h" in driver.text("#details")
        assert "● 2" in driver.text("#header")
        server.stop()
        await driver.press("c")
        assert "▲ warning" in driver.rows("#datasources")[1]
        await driver.press("c", "c")
        assert "✖ critical" in driver.rows("#datasources")[1]
        assert "×3" in driver.rows("#datasources")[1]
        assert "✖ 1" in driver.text("#header")
        await driver.until(lambda: "5 Notifications (1)" in driver.text("#tabs"), "the notification")
        await driver.press("5")
        row = driver.rows("#notifications")[0]
        assert row.startswith("new  ⚡ critical  connection lost  crm")
        server.start()
        await driver.press("1", "c")
        assert "● healthy" in driver.rows("#datasources")[1]
        await driver.until(lambda: "5 Notifications (2)" in driver.text("#tabs"), "the good news")
        history = driver.app.engine.health.history(Watched(kind="datasource", name="crm"))
        assert [check.good for check in history][:4] == [True, False, False, False]


@pytest.mark.parametrize("told_by", ["restore", "backup"])
async def test_a_server_that_is_just_found_killed_is_not_shown_as_healthy(
    told_by: str, home: Home, own_postgres_server: PostgresServer
) -> None:
    """By a dialog or by a run: its next check would come minutes later."""
    server = own_postgres_server
    home.configure(
        f'[datasources.shop]\ntype = "postgres"\nhost = "127.0.0.1"\nport = {server.port}\ndatabase = "postgres"\n'
        'username = "postgres"\ntls = "disable"\n'
    )
    home.back_up()
    async with screens(home, size=(120, 40)) as driver:
        assert "● healthy" in driver.rows("#datasources")[0]
        server.kill()
        if told_by == "restore":
            await driver.press("r")
            assert "cannot be reached" in driver.text("#preview")
        else:
            await driver.press("b", "enter")
            await driver.watch_to_end()
        await driver.press("escape")
        await driver.until(lambda: "▲ warning" in driver.rows("#datasources")[0], "the doubt")
        server.start()
        await driver.press("r")
        await driver.until(lambda: "exists and is empty" in driver.text("#preview"), "the answer")
        await driver.press("escape")
        await driver.until(lambda: "● healthy" in driver.rows("#datasources")[0], "the trust")


async def test_notifications_come_live_and_are_marked_read(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("5")
        assert driver.rows("#notifications") == []
        home.back_up()
        await driver.until(lambda: "(1)" in driver.text("#tabs"), "the count")
        await driver.until(lambda: len(driver.rows("#notifications")) == 1, "the notification")
        home.back_up()
        await driver.until(lambda: len(driver.rows("#notifications")) == 2, "the second one")
        await driver.press("enter")
        assert isinstance(driver.screen, NotificationScreen)
        assert "nightly" in driver.text("#told")
        assert driver.screen.query_one("#deliveries")
        await driver.press("escape")
        assert "(1)" in driver.text("#tabs")
        assert driver.rows("#notifications")[0].startswith("new")
        await driver.press("home", "m")
        assert "(" not in driver.text("#tabs")
        assert driver.app.engine.records.unread_counts() == {}
        await driver.press("slash")
        await driver.type("nothing like it")
        assert driver.rows("#notifications") == []
        await driver.press("escape", "f")
        assert "shown: backup completed" in driver.text("#details")


async def test_a_run_that_is_recorded_as_dead_does_not_stay_running_in_history(home: Home, shop: Path) -> None:
    home.configure(sqlite_table("shop", shop))
    ended = home.back_up()
    engine = home.engine()
    running = msgspec.structs.replace(ended, status="running", finished_at=None)
    engine.catalog.save_execution(running)
    async with screens(home, size=(120, 40)) as driver:
        # The screens put it right at their beginning: as if it died later.
        engine.catalog.save_execution(running)
        await driver.press("6")
        await driver.until(lambda: "running" in driver.rows("#history")[0], "the run")
        dead = msgspec.structs.replace(running, status="interrupted", finished_at=now())
        Teller(engine.catalog, engine.config, print).record_end(dead)
        await driver.until(lambda: "interrupted" in driver.rows("#history")[0], "its end")


async def test_notifications_are_sorted_by_how_much_they_matter(home: Home, shop: Path) -> None:
    severities: tuple[Severity, ...] = ("critical", "info", "error", "warning")
    told = Notifications(home.engine().catalog)
    for severity in severities:
        told.add(
            Notification(
                notification_id="",
                kind="backup_completed",
                severity=severity,
                subject_kind="job",
                subject=severity,
                message="for a test",
                created_at=now(),
            )
        )
    async with screens(home) as driver:
        await driver.press("5", "s", "s")
        shown = [row.split()[2] for row in driver.rows("#notifications")]
        assert shown == ["info", "warning", "error", "critical"]


async def test_what_cannot_be_delivered_is_told_with_its_reason(home: Home, shop: Path) -> None:
    channel = '[channels.ops]\ntype = "webhook"\nurl = "http://127.0.0.1:9/"\nseverity = "info"\n'
    home.configure(sqlite_table("shop", shop), more=channel)
    home.back_up()
    home.dgtui("notify", "--deliver")
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("5")
        assert "1 not delivered" in driver.text("#details")
        assert "ops waiting for" in driver.text("#details")
        await driver.press("u")
        assert isinstance(driver.screen, UndeliveredScreen)
        assert "nightly" in driver.rows("#undelivered")[0]
        await driver.press("a")
        assert "sent at the next delivery" in driver.toasts[-1]
        await driver.press("escape", "enter")
        assert isinstance(driver.screen, NotificationScreen)
        assert "ops  waiting" in driver.rows("#deliveries")[0]


async def test_the_audit_log_names_the_secret_that_was_read(home: Home, shop: Path) -> None:
    """At once: the column and the line said `secret secret`, and the first was cut before its name."""
    engine = home.engine()
    key = "datasources.shop.password"
    Teller(engine.catalog, engine.config, pytest.fail).audit(
        "read secret", object_kind="secret", object_name=key, outcome="completed"
    )
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("7")
        assert any(f"read secret  {key}  completed" in row for row in driver.rows("#audit"))
        assert f"read secret {key}, completed" in driver.text("#details")


async def test_the_audit_log_is_shown_and_proven(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("7")
        assert isinstance(driver.screen, AuditScreen)
        assert any("backup  job nightly  completed" in row for row in driver.rows("#audit"))
        driver.widget("#audit", Listing).move_to(str(driver.app.engine.records.audit()[0].number))
        await driver.settle()
        assert "backup job nightly, completed" in driver.text("#details"), "where the columns have no room for it"
        await driver.press("v")
        assert "each as it was written" in driver.text("#details")
        every = len(driver.rows("#audit"))
        await driver.press("slash")
        await driver.type("job nightly")
        assert 0 < len(driver.rows("#audit")) <= every
        await driver.press("escape")
        titles = {command.title for command in driver.app.get_system_commands(driver.app.screen)}
        assert {"Daemon", "Go to Audit", "Go to Notifications"} <= titles


async def test_where_the_audit_log_cannot_be_read_it_is_no_longer_said_to_be(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Records) -> NoReturn:
        raise CatalogError("The catalogue cannot be read")

    monkeypatch.setattr(Records, "verify_audit", fail)
    async with screens(home) as driver:
        await driver.press("7", "v")
        await driver.until(lambda: bool(driver.toasts), "the reason")
        assert "cannot be read" in driver.toasts[-1]
        assert "Reading" not in driver.text("#details")


async def test_a_job_of_the_screens_is_switched_off_by_a_key(home: Home, shop: Path) -> None:
    engine = home.engine()
    engine.save_object("jobs", "own", {"datasource": "shop", "storages": ["disk"], "schedule": "0 3 * * *"}, new=True)
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("3")
        await driver.until(lambda: "03:00" in driver.rows("#jobs")[1], "the next run")
        assert "own" in driver.text("#header") or "schedules wait" in driver.text("#header")
        await driver.press("down", "space")
        assert "off" in driver.rows("#jobs")[1]
        assert not driver.app.engine.config.job("own").enabled
        written = (home.folder / "conf.d" / "job-own.toml").read_text()
        assert "enabled = false" in written
        assert driver.app.engine.records.audit()[0].action == "disable"
        await driver.press("up", "space")
        assert "enabled = false" in driver.toasts[-1], "where it is to be written"


async def test_a_storage_that_is_seen_to_be_gone_is_checked_at_once_and_once(home: Home, shop: Path) -> None:
    disk = Watched(kind="storage", name="disk")
    home.back_up()
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("4")
        assert "● healthy" in driver.rows("#storages")[0]
        root = home.storage("disk")
        away = root.rename(root.with_name("away"))
        driver.app.data_changed()
        await driver.until(lambda: "▲ warning" in driver.rows("#storages")[0], "the health that was seen")
        for _ in range(3):
            driver.app.data_changed()
            await driver.settle()
        history = driver.app.engine.health.history(disk)
        assert [check.good for check in history] == [False, True], "a look is no further failure"
        away.rename(root)
        driver.app.data_changed()
        await driver.until(lambda: "● healthy" in driver.rows("#storages")[0], "the good news")


async def test_copies_are_looked_at_again_once_a_check_says_that_their_storage_is_back(home: Home, shop: Path) -> None:
    """Without that they were shown as unreachable until somebody asked for another look."""
    home.back_up()
    root = home.storage("disk")
    away = root.rename(root.with_name("away"))
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("2")
        await driver.until(lambda: "⚡" in driver.rows("#executions")[0], "the storage that is away")
        away.rename(root)
        driver.app.guard.check(Watched(kind="storage", name="disk"))
        await driver.until(lambda: "⚡" not in driver.rows("#executions")[0], "the copy that is there again")


@pytest.mark.parametrize("seen", ["before", "meanwhile"])
async def test_the_last_backup_tells_of_copies_that_are_back_without_being_opened(
    home: Home, shop: Path, seen: str
) -> None:
    """They stayed unreachable there until somebody opened the backups, or a daemon cleaned up."""
    execution = home.back_up()
    root = home.storage("disk")
    away = root.rename(root.with_name("away"))
    home.engine().live_copies(execution)
    if seen == "before":
        away.rename(root)
    async with screens(home, size=(120, 40)) as driver:
        if seen == "meanwhile":
            await driver.until(lambda: "1 of 2" in driver.rows("#datasources")[0], "the copy that is away")
            away.rename(root)
            driver.app.guard.check(Watched(kind="storage", name="disk"))
        await driver.until(lambda: "2 of 2" in driver.rows("#datasources")[0], "the copy that is there again")


async def test_a_storage_that_went_while_another_place_was_shown_is_not_said_to_be_there(
    home: Home, shop: Path
) -> None:
    home.back_up()
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("4")
        await driver.until(lambda: "● available" in driver.rows("#storages")[0], "the storage that is there")
        await driver.press("3")
        home.storage("disk").rename(home.folder / "away")
        await driver.press("4")
        await driver.until(lambda: "○ missing" in driver.rows("#storages")[0], "the storage that is away")


async def test_storages_tell_their_health_and_the_room_for_the_next_backups(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("4", "t")
        assert "● healthy" in driver.rows("#storages")[0]
        assert "The next backups take about" in driver.text("#details")


async def test_a_job_of_a_datasource_that_is_off_says_why_it_does_not_run(home: Home, shop: Path) -> None:
    off = f"{sqlite_table('shop', shop)}enabled = false\n"
    home.configure(off, storages=("disk", "nas"), job='schedule = "0 3 * * *"')
    async with screens(home) as driver:
        await driver.press("3")
        assert "off" in driver.rows("#jobs")[0]
        assert "unknown" not in driver.rows("#jobs")[0]
        assert "Its datasource shop is switched off: it runs by hand alone" in driver.text("#details")
    assert "datasource off" in home.dgtui("jobs").output
    assert "its datasource shop is switched off" in home.dgtui("enable", "nightly").errors


async def test_a_backup_is_pinned_with_a_reason_and_unpinned(home: Home, shop: Path) -> None:
    execution = home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "p")
        assert isinstance(driver.screen, PinScreen)
        await driver.type("before migration 42")
        await driver.press("enter")
        assert "pinned" in driver.rows("#executions")[0]
        assert "pinned: before migration 42" in driver.text("#details")
        assert driver.app.engine.execution(execution.execution_id).pin == "before migration 42"
        await driver.press("x", "enter")
        assert not isinstance(driver.screen, ConfirmScreen), "nobody is asked about what is refused"
        assert "is pinned: before migration 42; nothing was deleted" in driver.toasts[-1]
        assert len(driver.app.engine.executions()) == 1
        await driver.press("p")
        assert isinstance(driver.screen, ConfirmScreen)
        await driver.press("y")
        assert "pinned" not in driver.rows("#executions")[0]
        assert driver.app.engine.execution(execution.execution_id).pin is None
        await driver.press("p", "enter")
        assert "  pinned by " in driver.text("#details")


async def test_the_daemon_is_started_from_the_screens(home: Home, shop: Path) -> None:
    home.configure(sqlite_table("shop", shop), job='schedule = "0 3 * * *"')
    async with screens(home, size=(120, 40)) as driver:
        await driver.until(lambda: "no daemon" in driver.text("#header"), "the warning")
        await driver.press("D")
        assert isinstance(driver.screen, DaemonScreen)
        await driver.until(lambda: not driver.widget("#start", Button).disabled, "the button")
        assert driver.screen.focused is driver.widget("#start", Button), "that is what one comes for"
        await driver.press("enter")
        assert driver.screen.focused is driver.widget("#close", Button)
        await driver.until(lambda: "running" in driver.text("#status"), "the daemon")
        pid = driver.app.engine.daemon_status().pid
        assert pid is not None
        try:
            await driver.press("escape")
            await driver.until(lambda: "next: nightly" in driver.text("#header"), "the next run")
            home.config_path.write_text(home.config_path.read_text() + "\n[jobs.broken]\nno = 1\n")
            await driver.until(lambda: "configuration on the disk is wrong" in driver.text("#header"), "the mistake")
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not driver.app.engine.daemon_status().running, "the end of the daemon")


async def test_files_that_others_change_are_taken_up(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        assert len(driver.rows("#datasources")) == 1
        more = sqlite_table("second", shop)
        home.config_path.write_text(home.config_path.read_text() + "\n" + more)
        await driver.until(lambda: len(driver.rows("#datasources")) == 2, "the second datasource")


async def test_what_a_check_found_is_told_with_its_age(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        driver.widget("#datasources", Listing).move_to("legacy")
        await driver.settle()
        assert "legacy.db is not there (1 min ago)" in driver.text("#details")
