"""What is shown while nobody has answered yet, and where nothing is configured: nothing that looks like an answer."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dgtui.app import DataGuardianApp
from dgtui.config import load_config
from dgtui.engine.facade import Engine
from dgtui.screens.backup_table import Overview, gather_overview
from dgtui.screens.widgets.listing import Listing
from tests.support.homes import Home
from tests.tui.driver import Driver, screens


@asynccontextmanager
async def unanswered(home: Home) -> AsyncIterator[tuple[Driver, threading.Event]]:
    """The program over a catalogue that answers once the event is set."""
    config, answers = load_config(home.config_path), threading.Event()

    def opened() -> Engine:
        answers.wait()
        return Engine(config, home.state)

    app = DataGuardianApp(config, opened)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        driver = Driver(app, pilot, [])
        try:
            yield driver, answers
        finally:
            answers.set()
            await driver.until(lambda: app.is_ready, "the engine")
    app.close_engine()


async def test_a_job_of_which_nothing_is_known_yet_is_not_said_to_have_never_run(home: Home, shop: Path) -> None:
    async with unanswered(home) as (driver, answers):
        await driver.pilot.press("3")
        await driver.pilot.pause()
        assert driver.rows("#jobs")[0].endswith("by hand  …  …")
        answers.set()
        await driver.settle()
        assert driver.rows("#jobs")[0].endswith("by hand  -  never ran")


async def test_a_storage_of_which_nothing_is_known_yet_is_not_said_to_be_empty(home: Home, shop: Path) -> None:
    async with unanswered(home) as (driver, answers):
        await driver.pilot.press("4")
        await driver.pilot.pause()
        assert driver.rows("#storages")[0].endswith("…  …")
        answers.set()
        await driver.settle()
        assert driver.rows("#storages")[0].endswith("0  0 B")


async def test_backups_that_nobody_has_looked_for_are_not_said_to_be_none(home: Home, shop: Path) -> None:
    async with unanswered(home) as (driver, answers):
        await driver.pilot.press("2")
        await driver.pilot.pause()
        assert driver.widget("#executions", Listing)._nothing == "Looking"
        answers.set()
        await driver.settle()
        assert driver.widget("#executions", Listing)._nothing == "Nothing was backed up yet"


async def test_the_overview_says_where_to_begin_where_nothing_is_configured(home: Home) -> None:
    home.config_path.write_text("")
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("escape", "0")
        drawn = "\n".join(strip.text for strip in driver.screen._compositor.render_strips())
        assert "Nothing is configured yet: 1, then n makes a datasource" in drawn
        assert "No job yet: 3, then n makes one" in drawn
        assert "Nothing needs attention" not in drawn


async def test_where_no_datasource_contains_what_is_looked_for_nobody_says_that_there_are_no_backups(
    home: Home, shop: Path
) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "left", "slash", "x", "y")
        assert driver.rows("#sources") == driver.rows("#executions") == []
        assert driver.widget("#executions", Listing)._nothing == "No datasource is selected"
        await driver.press("escape")
        assert len(driver.rows("#executions")) == 1


async def test_an_answer_for_one_place_is_not_lost_to_another_one(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on its way when somebody goes on to the overview is there when they come back."""
    home.back_up()
    answers = threading.Event()

    def gather(engine: Engine) -> Overview:
        answers.wait()
        return gather_overview(engine)

    monkeypatch.setattr("dgtui.screens.backups.gather_overview", gather)
    async with screens(home) as driver:
        for key in "202":
            await driver.pilot.press(key)
            await driver.pilot.pause()
        answers.set()
        await driver.settle()
        assert driver.rows("#sources") == ["shop  1"]
        assert len(driver.rows("#executions")) == 1
