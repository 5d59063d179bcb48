"""`screens.toml`: a theme and other keys."""

import sys
from pathlib import Path
from typing import Literal

import pytest
from textual.filter import Monochrome

from dgtui.app import DataGuardianApp
from dgtui.config import Config
from dgtui.engine.errors import ConfigError
from dgtui.engine.facade import Engine
from dgtui.screens.preferences import Preferences, load_preferences
from dgtui.screens.preloading import key_mistakes
from tests.tui.driver import Driver


def app_with(preferences: Preferences, tmp_path: Path) -> DataGuardianApp:
    """The program, not started."""
    return DataGuardianApp(Config(), lambda: Engine(Config(), tmp_path), preferences=preferences)


def test_a_theme_and_keys_are_read_and_used(tmp_path: Path) -> None:
    (tmp_path / "screens.toml").write_text('theme = "ansi-dark"\n[keys]\n"datasource.back_up" = "f6"\n')
    preferences = load_preferences(tmp_path)
    assert preferences == Preferences(theme="ansi-dark", keys={"datasource.back_up": "f6"})
    app = app_with(preferences, tmp_path)
    assert app.theme == "ansi-dark"
    assert app._keymap == {"datasource.back_up": "f6"}


@pytest.mark.parametrize(("signs", "unicode"), [("ascii", False), ("unicode", True), (None, True)])
def test_signs_are_those_that_are_wanted(
    signs: Literal["unicode", "ascii"] | None, unicode: bool, tmp_path: Path
) -> None:
    assert app_with(Preferences(signs=signs), tmp_path).look.unicode is unicode


def test_without_the_file_everything_is_as_usual(tmp_path: Path) -> None:
    assert load_preferences(tmp_path) == Preferences()


@pytest.mark.parametrize("theme", ["dataguardian-dark", "dataguardian-light", "ansi-dark", "ansi-light"])
def test_the_named_themes_exist(theme: str, tmp_path: Path) -> None:
    assert app_with(Preferences(theme=theme), tmp_path).theme == theme


@pytest.mark.parametrize("text", ["theme = 3", "colour = 'red'", "theme = ", "[keys]\nx = 1"])
def test_a_mistake_names_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "screens.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"screens\.toml") as caught:
        load_preferences(tmp_path)
    assert "theme" in caught.value.hint


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"datasource.back_upp": "f6"}, "'datasource.back_upp' is no action; is 'datasource.back_up' meant?"),
        ({"nothing like it": "f6"}, "'nothing like it' is no action"),
        ({"datasource.back_up": "r"}, "'r' starts 'datasource.back_up' and 'datasource.restore'"),
        ({"datasource.back_up": "f6,s"}, "'s' starts 'datasource.back_up' and 'list.sort'"),
        ({"job.run": "q"}, "'q' starts 'app.quit' and 'job.run'"),
        ({"audit.verify": "?"}, "'question_mark' starts 'app.keys' and 'audit.verify'"),
    ],
)
def test_a_key_that_would_do_nothing_is_told(keys: dict[str, str], said: str) -> None:
    (mistake,) = key_mistakes(DataGuardianApp, keys)
    assert said in mistake


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"datasource.back_up": "f6"},
        {"datasource.back_up": "r", "datasource.restore": "b"},
        {"backup.restore": "R"},  # in another place than the one that has b
        {"app.keys": "f1,?"},
        {"form.save": "f2"},
    ],
)
def test_keys_that_are_free_or_exchanged_are_right(keys: dict[str, str]) -> None:
    assert key_mistakes(DataGuardianApp, keys) == []


async def test_mistakes_are_told_and_keep_nobody_from_working(tmp_path: Path) -> None:
    app = app_with(Preferences(theme="solarised", keys={"datasource.back_up": "r"}), tmp_path)
    async with app.run_test(notifications=True) as pilot:
        driver = Driver(app, pilot, [])
        await driver.settle()
        assert app.theme == "dataguardian-dark"
        clash, theme = driver.toasts
        assert "'r' starts" in clash
        assert "There is no theme 'solarised'" in theme
        assert "ansi-light" in theme
        assert "dataguardian-light" in theme
    app.close_engine()


async def test_every_screen_is_loaded_before_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "dgtui.screens.daemon", raising=False)
    app = app_with(Preferences(), tmp_path)
    async with app.run_test(notifications=True) as pilot:
        await Driver(app, pilot, []).settle()
        assert "dgtui.screens.daemon" in sys.modules
    app.close_engine()


def test_no_color_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert any(isinstance(one, Monochrome) for one in app_with(Preferences(), tmp_path)._filters)
    monkeypatch.delenv("NO_COLOR")
    assert not any(isinstance(one, Monochrome) for one in app_with(Preferences(), tmp_path)._filters)
