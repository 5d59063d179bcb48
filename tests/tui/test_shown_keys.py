"""Which keys a person is told of: in the footer, in a dialog's frame, and by `?`."""

from pathlib import Path

import pytest
from textual.widgets import Input

from dgtui.screens.dialog import Dialog
from dgtui.screens.engine_app import RunsSampled
from dgtui.screens.keys import KeysScreen
from dgtui.screens.run import RunScreen
from dgtui.screens.welcome import WelcomeScreen
from dgtui.screens.widgets.key_bar import KeyBar
from dgtui.wording.words import cells
from tests.support.homes import Home
from tests.tui.driver import Driver, screens
from tests.tui.still_life import still_run, still_screens


def footer(driver: Driver) -> list[str]:
    """The keys of the footer with their words, as far as they are seen."""
    bar = driver.screen.query_one(KeyBar)
    shown: list[str] = []
    for key in bar.keys:
        if cells(" ".join([*shown, key])) <= driver.screen.size.width:
            shown.append(key)
    assert bar.text.split() == " ".join(bar.keys).split()
    return shown


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
        ("5", ["f Kind", "u Undelivered", "/ Filter", "? Keys", "q Quit"]),
        ("6", ["f Status", "/ Filter", "? Keys", "q Quit"]),
        ("7", ["v Verify", "/ Filter", "? Keys", "q Quit"]),
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


DIALOGS = {
    "form": ("n",),
    "back up": ("b",),
    "delete": ("2", "left", "end", "right", "down", "down", "x", "enter"),
    "restore": ("2", "left", "end", "right", "down", "down", "r"),
    "objects": ("2", "left", "end", "right", "down", "down", "r", "f3"),
    "copies": ("2", "left", "end", "right", "down", "x"),
    "pin": ("2", "left", "end", "right", "down", "p"),
    "execution": ("2", "left", "end", "right", "down", "enter"),
    "log": ("6", "l"),
    "restored": ("6", "down", "enter"),
    "undo": ("6", "down", "u"),
    "drop": ("6", "down", "x"),
    "daemon": ("D",),
    "undelivered": ("5", "u"),
    "notification": ("5", "enter"),
}


@pytest.mark.parametrize("dialog", DIALOGS)
async def test_every_dialog_shows_its_keys_and_the_way_to_all_of_them(tmp_path: Path, dialog: str) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press(*DIALOGS[dialog])
        screen = driver.screen
        assert isinstance(screen, Dialog)
        shown = str(screen.query_one("#box").border_subtitle)
        assert "Esc Close" in shown
        assert ("F1 Keys" if screen.query(Input) else "? Keys") in shown
        for key in ("f1",) if isinstance(screen.focused, Input) else ("f1", "question_mark"):
            await driver.press(key)
            assert isinstance(driver.screen, KeysScreen)
            assert any("dialog.close" in row for row in driver.rows("#keys"))
            await driver.press(key)
            assert driver.screen is screen, "the same key closes it"


async def test_a_narrow_dialog_leaves_out_whole_keys_and_shows_them_again_where_there_is_room(nothing: Home) -> None:
    """How to leave it was cut off, and the way to all keys was not there."""
    async with screens(nothing, size=(60, 20)) as driver:
        await driver.press("escape", "n")
        told = ["^s Save", "^t Test connection", "Esc Close", "F1 Keys"]
        assert str(driver.screen.query_one("#box").border_subtitle).split("  ") == told
        await driver.pilot.resize_terminal(80, 20)
        await driver.settle()
        assert str(driver.screen.query_one("#box").border_subtitle).split("  ") == ["PgUp PgDn Scroll", *told]


@pytest.mark.parametrize(("place", "tested"), [("1", True), ("3", False), ("4", False)])
async def test_only_a_datasource_has_a_connection_to_test(tmp_path: Path, place: str, tested: bool) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press(place, "n")
        shown = str(driver.screen.query_one("#box").border_subtitle)
        assert "^s Save" in shown
        assert ("Test connection" in shown) is tested


async def test_a_question_mark_is_typed_into_a_field(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press("n", "question_mark")
        assert driver.widget("#name", Input).value == "?"


async def test_the_running_panel_tells_its_keys(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        driver.app.post_message(RunsSampled((still_run(),)))
        await driver.settle()
        await driver.press("w")
        assert isinstance(driver.screen, RunScreen)
        assert "? Keys" in driver.text("#panel")
        await driver.press("question_mark")
        assert driver.rows("#keys")[0].startswith("x  Cancel")


async def test_what_cannot_be_done_next_with_a_restore_has_no_key(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press("6", "down", "enter")
        shown = str(driver.screen.query_one("#box").border_subtitle)
        assert "x Drop kept" in shown
        assert "Clean up" not in shown


ENTERS = {
    "form": "Next field",
    "back up": "Press Back up",
    "pin": "Pin it",
    "undo": "Next field",
    "log": "To the lines",
    "delete": "Press Cancel",
}


@pytest.mark.parametrize(("dialog", "does"), ENTERS.items())
async def test_all_keys_tell_what_enter_does_where_the_focus_is(tmp_path: Path, dialog: str, does: str) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press(*DIALOGS[dialog])
        await driver.press("f1")
        assert driver.rows("#keys")[0].split("  ")[:2] == ["Enter", does]


async def test_all_keys_tell_those_that_leave_a_field(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press("n")
        assert isinstance(driver.screen.focused, Input)
        await driver.press("f1")
        named = " ".join(driver.rows("#keys"))
        for name in ("dialog.next", "dialog.previous", "dialog.page_down", "dialog.page_up"):
            assert name in named
