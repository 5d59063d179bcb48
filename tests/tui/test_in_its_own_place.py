"""A database that its user may not swap, in the dialogs: nothing is filled in its own place unless that is ticked."""

import pytest
from textual.widgets import Button

from dgtui.screens.undo import UndoScreen
from dgtui.screens.widgets.choice import Tick
from tests.support.changing import changing
from tests.support.homes import Home
from tests.tui.driver import Driver, screens


async def tick_and_go(driver: Driver) -> None:
    """What has to be ticked opens the button, and nothing else does."""
    await driver.fill("#confirm", "shop")
    assert driver.widget("#go", Button).disabled
    tick = driver.widget("#in-place", Tick)
    assert tick.region.height == 1
    tick.focus()
    await driver.press("space")
    assert not driver.widget("#go", Button).disabled, driver.text("#preview")
    driver.widget("#go", Button).focus()
    await driver.press("enter")
    panel = await driver.watch_to_end()
    assert panel.snapshot.status == "completed", panel.snapshot.problem


async def test_what_cannot_be_swapped_has_to_be_decided(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("mariadb in its own place", home, request) as source:
        async with screens(home, size=(80, 24)) as driver:
            await driver.press("r")
            for said in (
                "cannot be swapped",
                "foreign keys",
                "GRANT ALTER ON",
                "nothing is done without",
                "or tick No swap",
            ):
                assert said in driver.text("#preview")
            assert "--" not in driver.text("#preview"), "the words of the command"
            await tick_and_go(driver)
            assert source.digest() == source.backed_up
            await driver.press("escape", "6", "down", "u")
            assert isinstance(driver.screen, UndoScreen)
            assert "cannot be swapped" in driver.text("#how")
            await tick_and_go(driver)
            assert source.digest() == source.before


async def test_what_can_be_swapped_is_undone_without_that_question(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("mariadb", home, request) as source:
        source.restore()
        async with screens(home) as driver:
            await driver.press("6", "down", "u")
            assert isinstance(driver.screen, UndoScreen)
            assert not driver.screen.query_one("#in-place-row").display
            await driver.fill("#confirm", "shop")
            assert not driver.widget("#go", Button).disabled
