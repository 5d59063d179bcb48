"""Which keys a person is told of: in the footer, in a dialog's frame, and by `?`."""

from pathlib import Path

import pytest
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from dgtui.screens.keys import KeysScreen
from dgtui.screens.welcome import WelcomeScreen
from tests.support.homes import Home
from tests.tui.driver import Driver, screens


def footer(driver: Driver) -> list[str]:
    """The keys of the footer with their words, as far as they are seen."""
    keys = driver.screen.query_one(Footer).query(FooterKey)
    return [f"{key.key_display} {key.description}" for key in keys if key.region.right <= driver.screen.size.width]


@pytest.fixture
def nothing(home: Home) -> Home:
    """A home in which nothing is configured."""
    home.config_path.write_text("")
    return home


@pytest.mark.parametrize(
    ("place", "keys"),
    [
        ("1", ["n New", "/ Filter", "? Keys", "q Quit"]),
        ("2", ["/ Filter", "? Keys", "q Quit"]),
        ("3", ["n New", "/ Filter", "? Keys", "q Quit"]),
        ("4", ["n New", "/ Filter", "? Keys", "q Quit"]),
        ("5", ["f Kind", "u Undelivered", "a Audit log", "/ Filter", "? Keys", "q Quit"]),
        ("6", ["f Status", "/ Filter", "? Keys", "q Quit"]),
        ("0", ["/ Filter", "? Keys", "q Quit"]),
    ],
)
async def test_without_a_row_only_keys_that_do_something_are_shown(nothing: Home, place: str, keys: list[str]) -> None:
    async with screens(nothing, size=(80, 24)) as driver:
        assert isinstance(driver.screen, WelcomeScreen)
        await driver.press("escape", place)
        assert footer(driver) == keys


@pytest.mark.parametrize(
    ("place", "first", "opens"),
    [
        ("1", "b Back up", "Enter Backups"),
        ("2", "r Restore", "Enter Details"),
        ("3", "b Run now", "Enter Backups"),
        ("4", "t Test", None),
        ("6", "f Status", "Enter Details"),
    ],
)
async def test_the_keys_of_the_place_come_first_and_the_last_ones_are_never_cut(
    home: Home, shop: Path, place: str, first: str, opens: str | None
) -> None:
    home.back_up()
    async with screens(home, size=(80, 24)) as driver:
        await driver.press(place)
        keys = footer(driver)
        assert keys[0] == first
        assert opens is None or opens in keys
        assert keys.index("? Keys") == keys.index("q Quit") - 1
        await driver.press("question_mark")
        assert isinstance(driver.screen, KeysScreen)
        rows = driver.rows("#keys")
        assert rows[0].startswith(first[0])
        assert not [row for row in rows if row.split("  ")[-1].strip() == ""], "each has a name for a keymap"


async def test_keys_come_with_the_first_row_and_the_rest_with_the_width(home: Home, shop: Path) -> None:
    async with screens(home, size=(80, 24)) as driver:
        assert "d Delete" not in footer(driver)
        await driver.pilot.resize_terminal(120, 40)
        await driver.settle()
        assert "d Delete" in footer(driver)
        assert "s Sort" in footer(driver)
        await driver.press("slash", *"nothing like this", "enter")
        assert driver.rows("#datasources") == []
        assert footer(driver) == ["n New", "/ Filter", "? Keys", "q Quit"]
        await driver.press("escape")
        assert footer(driver)[0] == "b Back up"
