"""The configuration is changed by somebody else while screens show what it held before."""

import contextlib
import json
from pathlib import Path

import pytest

from dgtui.screens.back_up import BackUpScreen
from dgtui.screens.widgets.choice import Choice
from dgtui.screens.widgets.key_bar import KeyBar
from dgtui.screens.widgets.listing import Listing
from tests.support.homes import Home
from tests.tui.conftest import sqlite_table
from tests.tui.driver import Driver, screens


def _change(home: Home, driver: Driver, text: str) -> None:
    """Another configuration, which the engine has read and the screens have not heard of yet."""
    home.config_path.write_text(text)
    driver.app.engine.reload()


def _other(home: Home) -> str:
    """A configuration with none of the objects of before."""
    return (
        sqlite_table("other", home.folder / "other.db")
        + f'[storages.tape]\ntype = "local"\npath = {json.dumps(str(home.storage("tape")))}\n'
        + '[jobs.weekly]\ndatasource = "other"\nstorages = ["tape"]\n'
    )


@pytest.mark.parametrize(
    ("place", "keys"),
    [
        ("1", ("enter", "b", "r", "c", "e", "d", "down", "resize")),
        ("3", ("enter", "b", "space", "e", "d", "down", "resize")),
        ("4", ("enter", "t", "s", "e", "d", "down", "resize")),
    ],
)
async def test_a_key_on_a_row_whose_object_is_gone_ends_nothing(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch, place: str, keys: tuple[str, ...]
) -> None:
    monkeypatch.setenv("EDITOR", "true")
    before = home.config_path.read_text()
    for key in keys:
        home.config_path.write_text(before)
        async with screens(home) as driver:
            monkeypatch.setattr(type(driver.app), "suspend", lambda _: contextlib.nullcontext())
            await driver.press(place)
            _change(home, driver, _other(home))
            if key == "resize":
                await driver.pilot.resize_terminal(80, 24)
                await driver.settle()
            else:
                await driver.press(key)
            assert driver.app.is_running
            assert driver.app.return_code in (0, None), key
            await driver.press("escape")
            driver.app.guard.look()
            await driver.settle()
            names = {row.key for row in driver.app.screen_stack[0].query(Listing).first().rows}
            assert not names & {"shop", "nightly", "disk", "nas"}, key


async def test_a_job_that_is_removed_while_the_dialog_offers_it_is_told_and_ends_nothing(
    home: Home, shop: Path
) -> None:
    async with screens(home) as driver:
        await driver.press("b")
        assert isinstance(driver.screen, BackUpScreen)
        text = home.config_path.read_text()
        _change(home, driver, text[: text.index("[jobs.")])
        driver.app.guard.look()
        await driver.settle()
        driver.widget("#job", Choice).focus()
        await driver.press("right", "left")
        assert driver.widget("#job", Choice).key == "job nightly"
        await driver.press("tab", "enter")
        assert driver.app.is_running
        assert any("nightly" in toast for toast in driver.toasts)


async def test_the_footer_of_backups_tells_whether_their_datasource_can_be_backed_up(home: Home, shop: Path) -> None:
    home.back_up()
    before = home.config_path.read_text()
    async with screens(home) as driver:
        await driver.press("2")
        keys = driver.screen.query_one(KeyBar)
        assert "b Back up" in keys.keys
        for text, can in ((_other(home), False), (before, True)):
            _change(home, driver, text)
            driver.app.guard.look()
            await driver.settle()
            assert ("b Back up" in keys.keys) == can
