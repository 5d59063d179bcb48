"""Places are made before they are opened, and opened again without making anything anew."""

from pathlib import Path

import pytest

from dgtui.screens.tab import TABS, TabScreen
from tests.support.homes import Home
from tests.tui.driver import Driver, screens


async def make_places(driver: Driver) -> dict[str, TabScreen]:
    """All of them, as the program makes them while nobody types."""
    driver.app.make_places()
    await driver.until(lambda: set(driver.app._screen_stacks) >= set(TABS), "all places")
    await driver.settle()
    made = {name: stack[0] for name, stack in driver.app._screen_stacks.items()}
    return {name: screen for name, screen in made.items() if isinstance(screen, TabScreen)}


async def test_a_place_that_was_made_before_asks_when_it_is_opened(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        places = await make_places(driver)
        assert driver.screen is places["datasources"]
        assert driver.focused == "datasources"
        assert [name for name, place in places.items() if not place._stale] == ["datasources"]
        for number, name in enumerate(TABS):
            await driver.press(str(number))
            assert driver.screen is places[name]
            assert not places[name]._stale
        await driver.press("2")
        assert len(driver.rows("#executions")) == 1
        assert driver.focused == "executions"


async def test_opening_a_place_reads_no_style_sheet_and_makes_no_widget_anew(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.back_up()
    async with screens(home) as driver:
        read: list[str] = []
        monkeypatch.setattr(driver.app.stylesheet, "reparse", lambda: read.append("anew"))
        await driver.press(*map(str, range(len(TABS))))
        widgets = {name: list(driver.app._screen_stacks[name][0].walk_children()) for name in TABS}
        await driver.press(*map(str, range(len(TABS))))
        assert read == []
        for name in TABS:
            now = list(driver.app._screen_stacks[name][0].walk_children())
            assert [id(one) for one in now] == [id(one) for one in widgets[name]]


async def test_another_theme_and_another_width_reach_places_that_are_not_seen(home: Home, shop: Path) -> None:
    async with screens(home, size=(120, 40)) as driver:
        places = await make_places(driver)
        driver.app.theme = "dataguardian-light"
        await driver.pilot.resize_terminal(80, 24)
        await driver.press("3")
        header = places["jobs"].query_one("#header")
        assert places["jobs"].has_class("-narrow")
        assert header.size.width == 80
        assert header.styles.background.hex.lower() == "#e4e4e4"


async def test_the_legend_of_the_copies_is_whole_on_a_narrow_terminal_too(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("2")
        assert driver.text("#legend").startswith(" ● available  ○ missing  ")
        await driver.pilot.resize_terminal(60, 20)
        await driver.settle()
        legend = driver.text("#legend").rstrip()
        assert legend.endswith("✖ corrupt")
        assert len(legend) <= 60
