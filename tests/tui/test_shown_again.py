"""What places show when they are seen again, after something changed that nobody here was told of."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from dgtui.engine.facade import Engine
from dgtui.engine.health_model import Watched
from dgtui.engine.model import Copy, Execution
from tests.support.homes import Home
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
