"""`screens.toml`: a theme and other keys."""

from pathlib import Path

import pytest
from textual.filter import Monochrome

from dgtui.app import DataGuardianApp
from dgtui.config import Config
from dgtui.engine.errors import ConfigError
from dgtui.engine.facade import Engine
from dgtui.screens.preferences import Preferences, load_preferences


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


def test_no_color_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert any(isinstance(one, Monochrome) for one in app_with(Preferences(), tmp_path)._filters)
    monkeypatch.delenv("NO_COLOR")
    assert not any(isinstance(one, Monochrome) for one in app_with(Preferences(), tmp_path)._filters)
