"""The overview: what needs attention leads to its place, and the calendar is the jobs' last days."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest

from dgtui.app import DataGuardianApp
from dgtui.engine.facade import Engine
from dgtui.engine.figures import Figures
from dgtui.engine.figures.model import Attention, Overview
from dgtui.engine.messages import now
from dgtui.screens.backups import BackupsScreen
from dgtui.screens.tab import TabScreen
from dgtui.screens.widgets.listing import Listing
from dgtui.wording.terminal import Look
from tests.support.homes import Home
from tests.tui.driver import Driver, screens
from tests.tui.still_life import still_app

SIZES = ((80, 24), (120, 40))


def texts(driver: Driver) -> list[str]:
    """The rows of what needs attention."""
    return driver.rows("#attention")


def place_of(app: DataGuardianApp) -> str:
    """Which tab is seen."""
    assert isinstance(app.screen, TabScreen)
    return app.screen.TAB


@pytest.mark.parametrize("size", SIZES)
async def test_the_worst_comes_first_and_everything_fits(tmp_path: Path, size: tuple[int, int]) -> None:
    app = still_app(tmp_path)
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot, [])
        await driver.settle()
        await driver.press("0")
        rows = texts(driver)
        assert "critical" in rows[0]
        assert "legacy" in rows[0]
        assert any("Last run of crm-hourly failed" in row for row in rows)
        assert not any("daemon" in row for row in rows)
        calendar = {row.split()[0]: row for row in driver.rows("#calendar")}
        # Thirty days of glyphs, and as many of the curve.
        marks = calendar["shop-nightly"].split()[1]
        assert len(marks) == 30
        assert {"✔", "✖", "▲", "○"} <= set(marks)
        assert "Is its disk mounted?" in driver.text("#details")
        await driver.press("tab")
        assert "1 failed" in driver.text("#details")
    app.close_engine()


async def test_on_a_narrow_terminal_the_days_are_whole_and_the_curve_goes(tmp_path: Path) -> None:
    app = still_app(tmp_path)
    async with app.run_test(size=(60, 20)) as pilot:
        driver = Driver(app, pilot, [])
        await driver.settle()
        await driver.press("0")
        calendar = driver.widget("#calendar", Listing)
        header, first = (calendar.render_line(y).text for y in range(2))
        assert "30 days, up to" in header
        assert "Size" not in header
        marks = driver.rows("#calendar")[0].split()[1]
        assert marks in first
        assert "…" not in header + first
    app.close_engine()


async def test_enter_leads_to_the_place_of_what_is_wrong(tmp_path: Path) -> None:
    app = still_app(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        driver = Driver(app, pilot, [])
        await driver.settle()
        await driver.press("0", "enter")
        assert place_of(app) == "datasources"
        assert driver.widget("#datasources", Listing).key == "legacy"
        await driver.press("0")
        failed = next(place for place, row in enumerate(texts(driver)) if "Last run of crm" in row)
        await driver.press("home", *["down"] * failed, "enter")
        assert place_of(app) == "history"
        await driver.settle()
        assert (
            driver.widget("#history", Listing).key == app.engine.executions(job="crm-hourly", limit=1)[0].execution_id
        )
        await driver.press("0")
        lost = next(place for place, row in enumerate(texts(driver)) if "missing or damaged" in row)
        await driver.press("home", *["down"] * lost, "enter")
        assert isinstance(app.screen, BackupsScreen)
        await driver.press("0", "tab", "enter")
        assert place_of(app) == "jobs"
        assert driver.widget("#jobs", Listing).key == "shop-nightly"
    app.close_engine()


async def test_the_cursor_stays_on_a_matter_that_another_one_comes_before(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Attention(severity="warning", text="crm waits for 2 h", place="datasources", name="crm")
    old = Attention(severity="warning", text="Nothing of the shop since 2 d", place="jobs", name="nightly")
    older = msgspec.structs.replace(old, text="Nothing of the shop since 3 d")
    worse = Attention(severity="critical", text="The disk is away", place="storages", name="disk")
    shown = [waits, old]

    def gather(_: Engine) -> Overview:
        return Overview(attention=tuple(shown), calendars=(), today=now().date())

    monkeypatch.setattr("dgtui.screens.overview.gather_overview", gather)
    async with screens(home) as driver:
        await driver.press("0", "down")
        shown[:] = [worse, waits, older]
        await driver.press("f5")
        assert len(texts(driver)) == 3
        await driver.press("enter")
        assert place_of(driver.app) == "jobs"


async def test_without_such_glyphs_there_are_letters(home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.configure(home.config_path.read_text().split("[storages")[0], job='schedule = "daily at 03:00"')
    # It was today, also where midnight has passed meanwhile.
    today = home.back_up().started_at + timedelta(milliseconds=1)
    monkeypatch.setattr("dgtui.engine.facade.Figures", partial(Figures, clock=lambda: today))
    async with screens(home, look=Look(unicode=False)) as driver:
        await driver.press("0")
        row = driver.rows("#calendar")[0]
        assert row.split()[1] == "." * 29 + "g"
        assert any("No daemon is running" in text for text in texts(driver))
        assert "g good" in driver.text("#details")
