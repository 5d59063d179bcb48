"""What places show when they are seen again, after something changed that nobody here was told of."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from dgtui.engine.facade import Engine
from dgtui.engine.health_model import Watched
from dgtui.engine.messages import now
from dgtui.engine.model import Copy, Execution
from dgtui.wording.words import cells
from tests.support.daemons import StartDaemon
from tests.support.homes import Home
from tests.tui.conftest import sqlite_table
from tests.tui.driver import screens


async def test_copies_are_marked_once_a_check_says_that_their_storage_is_away(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("4", "t", "2")
        assert "⚡" not in driver.rows("#executions")[0]
        home.storage("disk").rename(home.folder / "away")
        driver.app.guard.check(Watched(kind="storage", name="disk"))
        await driver.until(lambda: "⚡" in driver.rows("#executions")[0], "the storage that is away")


@pytest.mark.parametrize("way", ["another place", "a dialog"])
async def test_storages_are_asked_for_their_copies_anew_when_backups_are_shown_again(
    home: Home, shop: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that went, and one that came back, were shown as they were when the place was opened."""
    home.back_up()
    monkeypatch.setattr("dgtui.screens.live_copies._JUST_NOW", timedelta(0))
    keys = ("3", "2") if way == "another place" else ("question_mark", "escape")
    root = home.storage("disk")
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("2")
        assert "⚡" not in driver.rows("#executions")[0]
        away = root.rename(root.with_name("away"))
        await driver.press(*keys)
        assert "⚡" in driver.rows("#executions")[0]
        away.rename(root)
        await driver.press(*keys)
        assert "⚡" not in driver.rows("#executions")[0]
        assert "storages asked just now" in driver.text("#details")


async def test_a_storage_that_was_asked_just_now_is_not_woken_by_coming_back(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.back_up()
    asked: list[str] = []
    copies_at = Engine.copies_at

    def counted(engine: Engine, storage: str, executions: Sequence[Execution]) -> dict[str, Copy]:
        asked.append(storage)
        return copies_at(engine, storage, executions)

    monkeypatch.setattr(Engine, "copies_at", counted)
    monkeypatch.setattr("dgtui.screens.live_copies._JUST_NOW", timedelta(hours=1))
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("2")
        assert sorted(asked) == ["disk", "nas"]
        await driver.press("question_mark", "escape", "3", "2")
        assert sorted(asked) == ["disk", "nas"]


async def test_what_somebody_else_did_by_a_command_is_seen_without_leaving_the_place(home: Home, shop: Path) -> None:
    """A backup that was pinned or deleted elsewhere stood there as before."""
    first, second = home.back_up(), home.back_up()
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("2")
        await driver.until(lambda: len(driver.rows("#executions")) == 2, "both")
        await driver.until(lambda: driver.app.guard.pulse.daemon is not None, "the first look")
        home.dgtui("pin", second.execution_id[:8], "--reason", "before the move")
        await driver.until(lambda: "pinned" in driver.rows("#executions")[0], "the pin")
        home.dgtui("delete", first.execution_id[:8], "--force", "--yes")
        await driver.until(lambda: len(driver.rows("#executions")) == 1, "the end of the first")


async def test_the_overview_tells_that_the_daemon_ended_while_it_is_looked_at(
    home: Home, shop: Path, start_daemon: StartDaemon
) -> None:
    """It said that nothing needs attention below a header that said that no daemon runs."""
    home.configure(sqlite_table("shop", shop), job='schedule = "0 3 * * *"')
    async with screens(home, size=(120, 40)) as driver:
        await driver.until(lambda: driver.app.guard.pulse.daemon is False, "the first look")
        await driver.press("0")
        assert any("No daemon is running" in row for row in driver.rows("#attention"))
        daemon = start_daemon()
        await driver.until(lambda: driver.rows("#attention") == [], "the daemon")
        daemon.stop()
        await driver.until(lambda: driver.rows("#attention") != [], "its end")
        assert "No daemon is running" in driver.rows("#attention")[0]


async def test_the_age_of_what_storages_said_grows_while_it_is_looked_at(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("2")
        assert "storages asked just now" in driver.text("#details")
        later = now() + timedelta(hours=2)
        driver.app.clock = lambda: later
        driver.app.pulse_changed()
        assert "storages asked 2 h ago" in driver.text("#details")


async def test_a_state_folder_that_goes_under_the_open_program_is_told_and_the_backups_are_still_listed(
    home: Home, shop: Path
) -> None:
    """It said that nothing was backed up yet."""
    home.back_up()
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("2")
        await driver.until(lambda: driver.app.guard.pulse.daemon is not None, "the first look")
        home.state.rename(home.folder / "away")
        await driver.until(lambda: any("Rebuilt from the storages" in told for told in driver.toasts), "the word")
        await driver.settle()
        assert "full" in driver.rows("#executions")[0]


async def test_the_curve_of_latencies_ends_where_another_terminal_does(home: Home, shop: Path) -> None:
    """It was broken in two where the terminal became narrower, until the next check."""
    async with screens(home, size=(88, 24)) as driver:
        await driver.until(lambda: "24 h" in driver.text("#details"), "the curve")
        for width in (70, 60):
            await driver.pilot.resize_terminal(width, 24)
            await driver.settle()
            assert "24 h" in driver.text("#details")
            assert max(map(cells, driver.text("#details").splitlines())) == width - 1
