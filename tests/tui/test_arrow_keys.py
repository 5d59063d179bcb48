"""The arrows in dialogs that are taller than the terminal: they move the focus, and PgUp and PgDn scroll."""

from pathlib import Path

from textual.widget import Widget

from dgtui.screens.dialog import Dialog
from dgtui.screens.restore import RestoreScreen
from dgtui.screens.widgets.choice import Choice
from tests.support.homes import Home
from tests.tui.driver import Driver, screens
from tests.tui.still_life import still_screens


def field_of(widget: Widget | None) -> str:
    """The id of a widget, or of the setting that it asks for."""
    assert widget is not None
    parents = [node.id for node in widget.ancestors_with_self if node.id is not None]
    return next((name for name in parents if name.startswith("field-")), parents[0])


async def fields_passed(driver: Driver, key: str, count: int) -> list[str]:
    """Where the focus is after each of some presses of a key."""
    passed = []
    for _ in range(count):
        await driver.press(key)
        passed.append(field_of(driver.screen.focused))
    return passed


async def test_the_arrows_go_through_a_form_that_scrolls(home: Home, shop: Path) -> None:
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("n")
        fields = driver.screen.query_one("#fields")
        assert fields.max_scroll_y > 0, "it does not fit"
        assert field_of(driver.screen.focused) == "name"
        assert await fields_passed(driver, "down", 3) == ["type", "field-database", "field-enabled"]
        assert await fields_passed(driver, "up", 2) == ["field-database", "type"]
        await driver.press("pagedown")
        assert fields.scroll_offset.y > 0
        assert field_of(driver.screen.focused) == "type"
        await driver.press("pageup")
        assert fields.scroll_offset.y == 0


async def test_the_arrows_leave_a_list_of_ticks_at_its_ends(home: Home, shop: Path) -> None:
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("3", "n")
        names = await fields_passed(driver, "down", 4)
        assert names[:2] == ["field-datasource", "field-storages"]
        assert names[2] == "field-storages", "two storages, two rows"
        assert names[3] not in ("field-storages", "field-datasource")
        assert (await fields_passed(driver, "up", 3))[::2] == ["field-storages", "field-datasource"]


async def test_the_arrows_go_through_a_restore_dialog_that_scrolls(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("2", "r")
        screen = driver.screen
        assert isinstance(screen, RestoreScreen)
        assert isinstance(screen, Dialog)
        what = driver.widget("#what", Choice)
        what.choose("tables")
        await driver.settle()
        assert screen.scrolled.max_scroll_y > 0, "it does not fit"
        assert await fields_passed(driver, "down", 3) == ["target", "what", "tables"]
        assert await fields_passed(driver, "up", 3) == ["what", "target", "storage"]


async def test_a_dialog_has_a_scrollbar_only_where_there_is_no_room_whatever_size_it_had_before(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press("2", "left", "end", "right", "down", "down", "r")
        box = driver.screen.query_one("#box")
        for width, height, scrolls in (
            (80, 24, True), (120, 40, False), (80, 24, True), (80, 30, False), (60, 20, True), (80, 30, False),
        ):  # fmt: skip
            await driver.pilot.resize_terminal(width, height)
            await driver.settle()
            assert box.show_vertical_scrollbar is scrolls, (width, height)
            assert (box.virtual_size.height > box.size.height) is scrolls
