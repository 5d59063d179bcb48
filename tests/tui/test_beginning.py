"""The screens begin under each version of Python, whatever way its tasks begin, and say what is not there."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from dgtui.app import DataGuardianApp
from dgtui.config import Config
from dgtui.config.store import load_or_empty
from dgtui.engine.facade import Engine
from dgtui.screens.welcome import WelcomeScreen
from tests.support.homes import Home
from tests.tui.still_life import still_app


def _as_textual_wants_it(loop: asyncio.AbstractEventLoop, work: Any, **about: Any) -> asyncio.Task[Any]:
    return asyncio.Task(work, loop=loop, **about)


async def test_tasks_begin_in_turn(tmp_path: Path) -> None:
    """Where they begin at once, an Input of the first screen looks for it before it stands (see test_pictures too)."""
    asyncio.get_running_loop().set_task_factory(_as_textual_wants_it)
    app = still_app(tmp_path)
    async with app.run_test():
        assert asyncio.get_running_loop().get_task_factory() is None
    app.close_engine()


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_configuration_that_is_looked_for_in_vain_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """Whoever mistyped its name, or whose disk is not mounted, read that nothing is configured."""
    monkeypatch.setenv("DGTUI_CONFIG", str(home.config_path))
    if is_there:
        home.config_path.write_text("")
    config = load_or_empty()
    app = DataGuardianApp(config, lambda: Engine(config, home.state))
    async with app.run_test(size=(80, 24)) as pilot:
        while not isinstance(app.screen, WelcomeScreen):
            await pilot.pause(0.02)
        told = " ".join(str(text.content) for text in app.screen.query(Static))
        assert (f"There is no {home.config_path}" in told) != is_there
    app.close_engine()


async def test_a_configuration_that_is_not_there_is_named_in_one_line(home: Home) -> None:
    config = Config(path=home.config_path.with_name("two\nlines.toml"))
    app = DataGuardianApp(config, lambda: Engine(config, home.state))
    async with app.run_test(size=(80, 24)) as pilot:
        while not isinstance(app.screen, WelcomeScreen):
            await pilot.pause(0.02)
        assert "two\\nlines.toml, where" in str(app.screen.query_one(".wrong", Static).content)
    app.close_engine()
