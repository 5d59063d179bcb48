"""The arrows in dialogs that are taller than the terminal: they move the focus, and PgUp and PgDn scroll."""

from pathlib import Path

from textual.widget import Widget

from dgtui.screens.dialog import Dialog
from dgtui.screens.restore import RestoreScreen
from dgtui.screens.widgets.choice import Choice
from tests.support.homes import Home
from tests.tui.conftest import sqlite_table
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


async def test_what_is_chosen_of_many_is_seen_and_found_by_its_name(home: Home, shop: Path) -> None:
    """It was chosen below the end of the terminal, where nobody saw it."""
    names = [f"{kind}-{number:03}" for kind in ("crm", "shop") for number in range(100)]
    home.configure("".join(sqlite_table(name, shop) for name in ("shop", *names)))
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("3", "n", "down")
        field = driver.widget("#field-datasource Choice", Choice)
        assert driver.screen.focused is field

        def chosen_is_seen() -> bool:
            seen = driver.screen.query_one("#fields").content_region
            lines = {y: field.render_line(y).text for y in range(field.size.height)}
            return all(seen.y <= field.region.y + y < seen.bottom for y, line in lines.items() if "(•)" in line)

        await driver.press("right", *["left"] * 3)
        assert field.key == "shop-098"
        assert chosen_is_seen()
        await driver.type("crm-05")
        assert field.key == "crm-050"
        assert chosen_is_seen()
        await driver.type("2")
        assert field.key == "crm-052"
        await driver.type("s")
        assert field.key == "shop-000", "nothing goes on like that: it begins anew"
        await driver.press("right", "c")
        assert field.key == "crm-000"
        assert chosen_is_seen()
        await driver.type("?")
        assert field.key == "crm-000"
