"""The main path by keyboard: back up, watch, restore from a chosen storage, and the data is the same."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from textual.widgets import Button, Input

from dgtui.engine.model import Execution
from dgtui.screens.back_up import BackUpScreen
from dgtui.screens.engine_app import EngineOpened, RunsSampled
from dgtui.screens.restore import RestoreScreen
from dgtui.screens.run import RunScreen
from dgtui.screens.widgets.choice import Choice
from dgtui.screens.widgets.ticks import Ticks
from tests.support.homes import Home
from tests.tui.conftest import add_rows, orders, sqlite_table
from tests.tui.driver import Driver, screens

pytestmark = pytest.mark.started


async def back_up(driver: Driver) -> Execution:
    """Back up the selected datasource with its job; its execution."""
    await driver.press("b")
    assert isinstance(driver.screen, BackUpScreen)
    assert driver.focused == "go"
    await driver.press("enter")
    panel = await driver.watch_to_end()
    assert panel.snapshot.status == "completed"
    await driver.press("escape")
    return driver.app.engine.execution(panel.run_id)


async def test_a_backup_is_started_watched_and_restored_from_a_chosen_storage(home: Home, shop: Path) -> None:
    before = orders(shop)
    async with screens(home) as driver:
        execution = await back_up(driver)
        assert "just now" in driver.rows("#datasources")[0]
        assert "2 of 2" in driver.rows("#datasources")[0]
        with contextlib.closing(sqlite3.connect(shop)) as connection, connection:
            connection.execute("DROP TABLE orders")

        await driver.press("enter")
        assert driver.focused == "executions"
        assert driver.rows("#executions")[0].count("●") == 2
        await driver.press("r")
        assert isinstance(driver.screen, RestoreScreen)
        assert driver.focused == "storage"
        await driver.press("right", "right")
        assert driver.widget("#storage", Choice).key == "nas"
        await driver.fill("#reason", "bad migration")
        assert driver.widget("#go", Button).disabled
        await driver.fill("#confirm", "shop")
        assert not driver.widget("#go", Button).disabled
        await driver.press("enter")
        panel = await driver.watch_to_end()
        assert panel.snapshot.status == "completed"

        restore = driver.app.engine.restores(execution.execution_id)[0]
        assert (restore.storage, restore.reason, restore.status) == ("nas", "bad migration", "completed")
        await driver.press("escape")
        assert any("restored" in row for row in driver.rows("#executions"))
    assert orders(shop) == before


async def test_the_messages_of_a_run_come_in_order_and_the_end_comes_last(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await back_up(driver)
        seen = [message for message in driver.messages if isinstance(message, EngineOpened | RunsSampled)]
    assert isinstance(seen[0], EngineOpened)
    samples = [message.runs[0].snapshot for message in seen if isinstance(message, RunsSampled) and message.runs]
    assert samples, "no run was sampled"
    assert [snapshot.ended for snapshot in samples].index(True) == len(samples) - 1
    done = [snapshot.progress.done for snapshot in samples if snapshot.progress is not None]
    assert done == sorted(done)


async def test_a_restore_into_a_new_file_leaves_the_shop_alone(home: Home, shop: Path) -> None:
    before = orders(shop)
    home.back_up()
    add_rows(shop, 5)
    async with screens(home) as driver:
        await driver.press("2", "r")
        driver.widget("#target", Choice).focus()
        await driver.press("right")
        assert driver.widget("#target", Choice).key == "new"
        proposed = Path(driver.widget("#name", Input).value)
        assert proposed == shop.with_name("shop-restored.db")
        await driver.until(lambda: "will be made" in driver.text("#preview"), "the preview")
        driver.widget("#go", Button).focus()
        await driver.press("enter")
        assert (await driver.watch_to_end()).snapshot.status == "completed"
    assert orders(proposed) == before
    assert len(orders(shop)) == len(before) + 5


async def test_only_chosen_tables_are_restored(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "r")
        driver.widget("#target", Choice).focus()
        await driver.press("right")
        what = driver.widget("#what", Choice)
        what.focus()
        while what.key != "tables":
            await driver.press("right")
        assert driver.widget("#go", Button).disabled, "nothing is ticked yet"
        rows = driver.rows("#tables")
        assert any("orders" in row and "200" in row for row in rows), rows
        driver.widget("#tables", Ticks).focus()
        await driver.press("end", "space")
        driver.widget("#go", Button).focus()
        await driver.press("enter")
        assert (await driver.watch_to_end()).snapshot.status == "completed"
    restored = shop.with_name("shop-restored.db")
    with contextlib.closing(sqlite3.connect(restored)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"orders"}


async def test_choices_that_cannot_work_say_why(home: Home, shop: Path) -> None:
    execution = home.back_up()
    shutil.rmtree(next(Path(copy.path) for copy in execution.copies if copy.storage == "nas"))
    async with screens(home) as driver:
        await driver.press("2", "r")
        options = {option.key: option.why_not for option in driver.widget("#storage", Choice).options}
        assert options == {"": "", "disk": "", "nas": "missing"}
        targets = {option.key: option.why_not for option in driver.widget("#target", Choice).options}
        assert targets["other"] == "there is no other SQLite datasource"
        what = {option.key: option.why_not for option in driver.widget("#what", Choice).options}
        assert what["full"] == ""
        assert what["schema_only"] == "only into a new or empty one"
        assert (what["data_only"], what["tables"]) == ("", "")
        driver.widget("#target", Choice).focus()
        await driver.press("right")
        what = {option.key: option.why_not for option in driver.widget("#what", Choice).options}
        assert (what["schema_only"], what["data_only"]) == ("", "there are no tables to fill")


async def test_a_backup_goes_to_storages_chosen_ad_hoc(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("b")
        driver.widget("#job", Choice).focus()
        await driver.press("right")
        driver.widget("#storages", Ticks).focus()
        await driver.press("space")
        assert driver.widget("#go", Button).disabled, "no storage is ticked"
        await driver.press("down", "space")
        await driver.fill("#description", "before the migration")
        await driver.press("enter")
        await driver.watch_to_end()
        newest = driver.app.engine.executions(limit=1)[0]
    assert newest.description == "before the migration"
    assert [copy.storage for copy in newest.copies] == ["nas"]


async def test_hiding_the_panel_leaves_the_run_to_the_strip(home: Home, shop: Path) -> None:
    home.configure(sqlite_table("shop", shop), job=home.gate)
    async with screens(home) as driver:
        await driver.press("b", "enter")
        await driver.until(lambda: isinstance(driver.screen, RunScreen), "the panel")
        run_id = driver.run_screen().run_id
        await driver.press("h")
        assert not isinstance(driver.screen, RunScreen)
        home.open_gate()
        await driver.until(lambda: any("completed" in toast for toast in driver.toasts), "the word of its end")
        assert driver.app.engine.execution(run_id).status == "completed"
