"""The mouse does what the keys do: on rows, the strip, choices, ticks and the footer."""

from pathlib import Path

from dgtui.screens.backups import BackupsScreen
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.daemon import DaemonScreen
from dgtui.screens.datasources import DatasourcesScreen
from dgtui.screens.engine_app import RunsSampled
from dgtui.screens.keys import KeysScreen
from dgtui.screens.rehearse import RehearseScreen
from dgtui.screens.widgets.choice import Choice, Tick
from dgtui.screens.widgets.key_bar import KeyBar
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.styled import Lines, plain
from dgtui.screens.widgets.ticks import Ticks
from tests.tui.driver import Driver
from tests.tui.still_life import still_run, still_screens


async def click(driver: Driver, selector: str, x: int, y: int, *, times: int = 1) -> None:
    """Click into a widget."""
    await driver.pilot.click(selector, offset=(x, y), times=times)
    await driver.settle()


async def test_a_click_puts_the_cursor_on_a_row_and_two_open_it(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        listing = driver.widget("#datasources", Listing)
        await click(driver, "#datasources", 5, 2)
        assert listing.key == "crm"
        assert "MariaDB" in driver.text("#details") or "crm" in driver.text("#details")
        await click(driver, "#datasources", 5, 20)
        assert listing.key == "crm", "there is no row"
        await click(driver, "#datasources", 5, 1, times=2)
        assert isinstance(driver.screen, BackupsScreen)
        assert driver.widget("#sources", Listing).key == "shop"
        await click(driver, "#sources", 3, 1)
        assert driver.widget("#sources", Listing).key == "crm"
        assert len(driver.rows("#executions")) == 1
        assert driver.focused == "sources"


async def test_a_click_opens_a_run_of_the_strip(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        driver.app.post_message(RunsSampled((still_run(),)))
        await driver.settle()
        await click(driver, "#strip", 10, 0)
        assert driver.run_screen().run_id == still_run().info.run_id


async def test_a_click_chooses_and_ticks(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press("2", "left", "end", "right", "down", "e")
        assert isinstance(driver.screen, RehearseScreen)
        storages, tick = driver.widget("#storage", Choice), driver.widget("#deep", Tick)
        drawn = storages.render_line(0).text
        await click(driver, "#storage", drawn.index("disk"), 0)
        assert storages.key == "disk"
        await click(driver, "#storage", drawn.index("nas"), 0)
        assert storages.key == "disk", "what is missing there cannot be chosen"
        await click(driver, "#storage", 1, 0)
        assert storages.key == ""
        await click(driver, "#deep", 1, 0)
        assert tick.value
        await click(driver, "#deep", 1, 0)
        assert not tick.value


async def test_two_clicks_tick_a_row(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press("b", "shift+tab", "shift+tab", "right")
        ticks = driver.widget("#storages", Ticks)
        await driver.until(lambda: ticks.display, "the storages")
        before = ticks.ticked
        await click(driver, "#storages", 8, 2, times=2)
        assert set(ticks.ticked) ^ set(before) == {"nas"}


async def test_a_click_on_a_key_of_the_footer_presses_it(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        bar = driver.screen.query_one(KeyBar)
        await driver.pilot.click(bar, offset=(bar.text.index("? Keys") + 3, 0))
        await driver.settle()
        assert isinstance(driver.screen, KeysScreen)


async def test_a_click_on_a_key_in_the_frame_of_a_dialog_presses_it(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press("D")
        for shown, opened in (("? Keys", KeysScreen), ("Esc Close", DaemonScreen)):
            box = driver.screen.query_one("#box").region
            keys = str(driver.screen.query_one("#box").border_subtitle)
            left = box.right - 3 - len(keys) + keys.index(shown)
            await driver.pilot.click(offset=(left + 1, box.bottom - 1))
            await driver.settle()
            assert isinstance(driver.screen, opened)


async def test_a_click_on_a_key_of_the_panel_presses_it(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        driver.app.post_message(RunsSampled((still_run(),)))
        await driver.settle()
        await driver.press("w")
        panel = driver.screen.query_one("#panel", Lines)
        foot = plain(panel.lines[-1])
        for shown, opened in (("? Keys", KeysScreen), ("x Cancel", ConfirmScreen)):
            await driver.pilot.click("#panel", offset=(foot.index(shown) + 2, len(panel.lines) - 1))
            await driver.settle()
            assert isinstance(driver.screen, opened)
            await driver.press("escape")
        await driver.pilot.click("#panel", offset=(foot.index("h Hide"), len(panel.lines) - 1))
        await driver.settle()
        assert isinstance(driver.screen, DatasourcesScreen)
