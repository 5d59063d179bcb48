"""Writes the objects that are made on a screen, one file each in `conf.d`; what a person wrote is never changed."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from dgtui.config.files import ConfigFile, config_path
from dgtui.config.load import load_config
from dgtui.config.mistakes import Mistake, show_path
from dgtui.config.model import Config, Table
from dgtui.config.tables import TableReader
from dgtui.engine.errors import ConfigError
from dgtui.engine.files import make_private_folder, write_durably
from dgtui.engine.secrets import HiddenText

Values = Mapping[str, Any]
"""Keys of a table with values as TOML holds them."""

MARK = "# Written by dgtui: change it there, or remove this line and it is yours alone.\n"
_FIRST_CONFIG = "# The configuration of DataGuardian. What is made on its screens lies in conf.d/ beside this file.\n"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_SECRETS_FOLDER = "secrets"


def main_path(config: Config) -> Path:
    """The main file, whether or not it exists yet."""
    return config.path or config_path()


def load_or_empty() -> Config:
    """The configuration; an empty one where the file that is named does not exist yet. Raises ConfigError."""
    path = config_path()
    if os.path.lexists(path):
        return load_config()
    return Config(path=path) if os.environ.get("DGTUI_CONFIG") else load_config()


def object_file(config: Config, table: Table, name: str) -> Path:
    """Where an object that is made on a screen is written: `conf.d/<kind>-<name>.toml`."""
    return main_path(config).parent / "conf.d" / f"{table.removesuffix('s')}-{name}.toml"


def is_ours(config: Config, table: Table, name: str) -> bool:
    """Whether an object was made on a screen, so that its file may be written again."""
    file = config.origin(table, name).file
    return file == object_file(config, table, name) and _has_mark(file)


def _has_mark(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8") as text:
            return text.readline() == MARK
    except (OSError, UnicodeDecodeError):
        return False


def name_mistake(config: Config, table: Table, name: str) -> str | None:
    """What is wrong with the name of a new object."""
    if not _NAME.fullmatch(name):
        return "expected letters, digits, '_', '-' and '.', not beginning with '-' or '.'"
    known: Mapping[str, object] = getattr(config, table)
    return f"there is already a {table.removesuffix('s')} of this name" if name in known else None


def value_mistakes(
    config: Config, table: Table, name: str, kind: type[msgspec.Struct], values: Values
) -> dict[str, str]:
    """What is wrong with the values of an object, by key; empty where they can be written."""
    file = ConfigFile(object_file(config, table, name), {}, {}, 0o600)
    mistakes: list[Mistake] = []
    TableReader(file, mistakes).read(kind, dict(values), ())
    return {_key_of(mistake): mistake.text for mistake in reversed(mistakes)}


def _key_of(mistake: Mistake) -> str:
    missing = re.fullmatch(r"the key '(.+)' is missing", mistake.text)
    return missing[1] if missing and not mistake.key else mistake.key


def decode_values(
    kind: type[msgspec.Struct], config: Config, table: Table, name: str, values: Values
) -> msgspec.Struct:
    """The values as settings. Raises ConfigError where anything in them is wrong."""
    file = ConfigFile(object_file(config, table, name), {}, {}, 0o600)
    mistakes: list[Mistake] = []
    settings = TableReader(file, mistakes).read(kind, dict(values), ())
    if settings is None:
        raise ConfigError("\n".join(f"{mistake.key}: {mistake.text}" for mistake in mistakes), subject=name)
    return settings


def read_values(config: Config, table: Table, name: str) -> dict[str, Any]:
    """What is written about an object, key by key. Raises ConfigError."""
    import tomllib

    file = config.origin(table, name).file
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{show_path(file)} cannot be read: {error}", subject=show_path(file)) from None
    found: dict[str, Any] = content.get(table, {}).get(name, {})
    return found


def save_object(config: Config, table: Table, name: str, values: Values, *, new: bool) -> Config:
    """Write an object to its file and read the whole configuration again, which is returned.

    Raises ConfigError where a person wrote the object or the configuration would not be right; then nothing is changed.
    """
    file = object_file(config, table, name)
    if new and (mistake := name_mistake(config, table, name)):
        raise ConfigError(f"{name}: {mistake}", subject=name)
    if (not new and not is_ours(config, table, name)) or (new and os.path.lexists(file)):
        raise ConfigError(
            f"{show_path(file)} was written by a person and is not changed", subject=name, hint="Open it in an editor"
        )
    import tomli_w

    main = main_path(config)
    make_private_folder(file.parent)
    if not main.exists():
        write_durably(main, _FIRST_CONFIG.encode())
    plain = _with_stored_secrets(file.parent.parent, file.stem, values)
    before = None if new else file.read_bytes()
    write_durably(file, (MARK + tomli_w.dumps({table: {name: plain}})).encode())
    return _read_again(config, file, before)


def remove_object(config: Config, table: Table, name: str) -> Config:
    """Remove the file of an object that was made on a screen, and read the configuration again.

    Raises ConfigError where a person wrote it or something still names it; then nothing is changed.
    """
    if not is_ours(config, table, name):
        file = config.origin(table, name).file
        raise ConfigError(
            f"{name} was written by a person in {show_path(file)} and is not removed",
            subject=name,
            hint="Open it in an editor",
        )
    users = [job for job, settings in config.jobs.items() if name in (settings.datasource, *settings.storages)]
    if table != "jobs" and users:
        raise ConfigError(
            f"{name} is used by {', '.join(users)}", subject=name, hint="Change or delete these jobs first"
        )
    file = object_file(config, table, name)
    before = file.read_bytes()
    file.unlink()
    return _read_again(config, file, before)


def _read_again(config: Config, file: Path, before: bytes | None) -> Config:
    try:
        return load_config(config.path)
    except ConfigError:
        if before is None:
            file.unlink(missing_ok=True)
        else:
            write_durably(file, before)
        raise


def _with_stored_secrets(folder: Path, stem: str, values: Values) -> dict[str, Any]:
    """Put secrets that were typed into files of their own, so that the configuration only refers to them."""
    plain: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, HiddenText):
            file = folder / _SECRETS_FOLDER / f"{stem}-{key}"
            make_private_folder(file.parent)
            write_durably(file, value.encode() + b"\n")
            plain[key] = {"file": str(file)}
        else:
            plain[key] = value
    return plain
