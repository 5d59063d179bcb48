"""What the README shows can be typed: its configuration is read, its commands and their options exist."""

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from msgspec import Meta
from typer.main import get_group

from dgtui.cli.application import application
from dgtui.cli.outcome import EXIT_HUNG_UP
from dgtui.config import load_config
from dgtui.config.channels import CHANNEL_SETTINGS, ChannelSettings
from dgtui.config.guardian import GuardianSettings
from dgtui.config.jobs import JobSettings
from dgtui.engine import errors
from dgtui.engine.datasources.datasource_settings import DatasourceSettings, ServerSettings
from dgtui.engine.datasources.files_target import FilesSettings
from dgtui.engine.datasources.mysql_parts import MysqlSettings
from dgtui.engine.datasources.postgres_connection import PostgresSettings
from dgtui.engine.datasources.sqlite_file import SqliteSettings
from dgtui.engine.retention_settings import RetentionSettings
from dgtui.engine.storages.base import StorageSettings
from dgtui.engine.storages.local import LocalSettings
from dgtui.screens.forms.specs import quantity_text
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


_KINDS: dict[str, tuple[type[msgspec.Struct], type[msgspec.Struct] | None]] = {
    "`[datasources.NAME]`, of every type": (DatasourceSettings, None),
    "of type `postgres`, `mysql`": (ServerSettings, DatasourceSettings),
    "of type `postgres`": (PostgresSettings, ServerSettings),
    "of type `sqlite`": (SqliteSettings, DatasourceSettings),
    "of type `files`": (FilesSettings, DatasourceSettings),
    "`[storages.NAME]`, of type `local`": (LocalSettings, None),
    "`[jobs.NAME]`": (JobSettings, None),
    "`retention`, of a job or a storage": (RetentionSettings, None),
    "`[guardian]`": (GuardianSettings, None),
    "`[channels.NAME]`, of every type": (ChannelSettings, None),
    **{f"of type `{name}`": (kind, ChannelSettings) for name, kind in CHANNEL_SETTINGS.items()},
}
"""The tables of keys in the README; each tells what the second kind does not have already."""


def _names(kind: type[msgspec.Struct] | None) -> set[str]:
    return set() if kind is None else {field.encode_name for field in msgspec.structs.fields(kind)}


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "needed"
    if field.default in (None, "", ()):
        return "-"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return quantity_text(field.default) or str(field.default)


def _meaning(annotation: Any) -> str:
    notes = getattr(annotation, "__metadata__", ())
    told = next((note.description for note in notes if isinstance(note, Meta) and note.description), "Kind of it")
    choices = [choice for literal in _literals(annotation) for choice in get_args(literal)]
    return told if all(choice in told for choice in choices) else f"{told}: {', '.join(choices)}"


def _literals(annotation: Any) -> list[Any]:
    """The lists of values that are allowed, wherever they stand in an annotation."""
    if get_origin(annotation) is Literal:
        return [annotation]
    return [found for part in get_args(annotation) for found in _literals(part)]


def tables_of_keys() -> str:
    """The tables of all keys of the configuration, as the README has them."""
    lines: list[str] = []
    for title, (kind, base) in _KINDS.items():
        lines += ["", f"| {title} | without it | |", "|---|---|---|"]
        lines += [
            f"| `{field.encode_name}` | {_default(field)} | {_meaning(field.type)} |"
            for field in msgspec.structs.fields(kind)
            if field.encode_name not in _names(base)
        ]
    return "\n".join(lines)


def test_every_key_is_told() -> None:
    assert tables_of_keys() in README
    assert _names(MysqlSettings) == _names(ServerSettings)
    assert _names(StorageSettings) < _names(LocalSettings)


def test_every_exit_code_is_told() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")} | {EXIT_HUNG_UP}
    told = README.partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", told, re.MULTILINE)} == codes
