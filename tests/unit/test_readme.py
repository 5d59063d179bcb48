"""What the README shows can be typed: its configuration is read, its commands and their options exist."""

import re
from pathlib import Path

import pytest
from typer.main import get_group

from dgtui.cli.application import application
from dgtui.config import load_config
from dgtui.screens.preferences import load_preferences

README = (Path(__file__).parents[2] / "README.md").read_text()
_TYPED = re.compile(r"^    dgtui (?P<block>[^#\n]*)|`dgtui (?P<words>[^`]+)`", re.MULTILINE)


def commands() -> list[str]:
    """All that is typed after `dgtui`."""
    typed = [match["block"] or match["words"] for match in _TYPED.finditer(README)]
    return sorted({" ".join(words.split()) for words in typed if words})


def blocks(language: str) -> list[str]:
    """The blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("typed", commands())
def test_a_command_exists_with_its_options(typed: str) -> None:
    root = get_group(application())
    name, *words = typed.split()
    command = root if name.startswith("-") else root.commands[name]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word for word in (name, *words) if word.startswith("-")} <= known


def test_the_configuration_is_read(tmp_path: Path) -> None:
    screens, *configuration = blocks("toml")
    (tmp_path / "config.toml").write_text("".join(configuration))
    (tmp_path / "crm.password").write_text("secret\n")
    config = load_config(tmp_path / "config.toml")
    assert {settings.type for settings in config.datasources.values()} == {"postgres", "mysql", "sqlite", "files"}
    (tmp_path / "screens.toml").write_text(screens)
    assert load_preferences(tmp_path).theme == "ansi-dark"
