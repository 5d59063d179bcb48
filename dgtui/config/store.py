"""Writes the objects that are made on a screen, one file each in `conf.d`; what a person wrote is never changed."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from dgtui.config.files import ConfigFile, config_path
from dgtui.config.load import load_config
from dgtui.config.mistakes import Mistake, show_path
from dgtui.config.model import NAME, NAME_EXPECTED, Config, Table
from dgtui.config.tables import TableReader
from dgtui.engine.errors import ConfigError
from dgtui.engine.file_errors import explained
from dgtui.engine.files import fsync_folder, make_private_folder, write_durably
from dgtui.engine.secrets import HiddenText

Values = Mapping[str, Any]
"""Keys of a table with values as TOML holds them."""

MARK = "# Written by dgtui: change it there, or remove this line and it is yours alone.\n"
_FIRST_CONFIG = "# The configuration of DataGuardian. What is made on its screens lies in conf.d/ beside this file.\n"
SECRETS_FOLDER = "secrets"


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
    """Whether an object was made on a screen, so that its file may be written again.

    It may not where a person has added to it what would be lost: a comment, or another object.
    """
    file = config.origin(table, name).file
    if file != object_file(config, table, name):
        return False
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return text.startswith(MARK) and _holds_only(text, table, name)


def _holds_only(text: str, table: Table, name: str) -> bool:
    import tomllib

    import tomli_w

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    objects = content.get(table)
    if len(content) > 1 or not isinstance(objects, dict) or list(objects) != [name]:
        return False
    # Every other one of this sign begins a comment.
    return text.count("#") == (MARK + tomli_w.dumps(content)).count("#")


def name_mistake(config: Config, table: Table, name: str) -> str | None:
    """What is wrong with the name of a new object."""
    if not NAME.fullmatch(name):
        return NAME_EXPECTED
    known: Mapping[str, object] = getattr(config, table)
    return f"there is already a {table.removesuffix('s')} of this name" if name in known else None


def value_mistakes(
    config: Config, table: Table, name: str, kind: type[msgspec.Struct], values: Values
) -> dict[str, str]:
    """What is wrong with the values of an object, by key; empty where they can be written."""
    file = ConfigFile(object_file(config, table, name), {}, {}, 0o600)
    mistakes: list[Mistake] = []
    TableReader(file, mistakes).read(kind, dict(values), ())
    found: dict[str, str] = {}
    for mistake in mistakes:
        found.setdefault(_key_of(mistake), mistake.text)
    return found


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


def save_object(
    config: Config, table: Table, name: str, values: Values, *, new: bool, seen: Values | None = None
) -> Config:
    """Write an object to its file and read the whole configuration again, which is returned.

    Raises ConfigError where a person wrote the object, it does not hold what was `seen` of it any more, or the
    configuration would not be right, and StorageError where it cannot be written; then nothing is changed.
    """
    file = object_file(config, table, name)
    former = _former(config, table, name, new=new, seen=seen)
    import tomli_w

    secrets = {key: value for key, value in values.items() if isinstance(value, HiddenText)}
    plain = {**values, **{key: {"file": str(secret_file(config, table, name, key))} for key in secrets}}
    with _Changes() as changes:
        _begin_main(config, changes)
        for key, value in secrets.items():
            changes.write(secret_file(config, table, name, key), value.encode() + b"\n")
        changes.write(file, (MARK + tomli_w.dumps({table: {name: plain}})).encode())
        again = load_config(config.path)
    _remove_secrets(config, table, name, former, but=plain)
    return again


def _begin_main(config: Config, changes: "_Changes") -> None:
    """Write the main file where there was none. Raises ConfigError where there was one."""
    main = main_path(config)
    if os.path.lexists(main):
        return
    if any(origin.file == main for origin in config.origins.values()):
        raise ConfigError(
            f"{show_path(main)} was removed by somebody else meanwhile",
            subject=show_path(main),
            hint="Put it back first: what it held would be gone",
        )
    changes.write(main, _FIRST_CONFIG.encode())


def _former(config: Config, table: Table, name: str, *, new: bool, seen: Values | None) -> Values:
    """What is written about an object that may be written anew, and about a new one nothing. Raises ConfigError."""
    file = object_file(config, table, name)
    if new:
        if mistake := name_mistake(config, table, name):
            raise ConfigError(f"{name}: {mistake}", subject=name)
        if os.path.lexists(file):
            raise ConfigError(f"{show_path(file)} is there already", subject=name, hint="Take another name")
        return {}
    if config.origin(table, name).file == file and not os.path.lexists(file):
        raise ConfigError(f"{name} was removed by somebody else meanwhile", subject=name, hint="Make it anew")
    if not is_ours(config, table, name):
        raise ConfigError(
            f"{show_path(file)} was written by a person and is not changed", subject=name, hint="Open it in an editor"
        )
    former = read_values(config, table, name)
    if seen is not None and former != seen:
        hint = "Leave it without saving, and open it again: it shows what holds now"
        raise ConfigError(f"{name} was changed by somebody else meanwhile", subject=name, hint=hint)
    return former


def remove_object(config: Config, table: Table, name: str) -> Config:
    """Remove the file of an object that was made on a screen, and read the configuration again.

    Raises ConfigError where a person wrote it or something still names it; then nothing is changed.
    """
    refuse_removal(config, table, name)
    former = read_values(config, table, name)
    with _Changes() as changes:
        changes.remove(object_file(config, table, name))
        again = load_config(config.path)
    _remove_secrets(config, table, name, former, but={})
    return again


def refuse_removal(config: Config, table: Table, name: str) -> None:
    """Raises ConfigError where a person wrote an object or something still names it."""
    if not is_ours(config, table, name):
        file = config.origin(table, name).file
        raise ConfigError(
            f"{name} was written by a person in {show_path(file)} and is not removed",
            subject=name,
            hint="Open it in an editor",
        )
    users = _users(config, table, name)
    if users:
        raise ConfigError(
            f"{name} is used by {', '.join(users)}", subject=name, hint="Change or delete these jobs first"
        )


def _users(config: Config, table: Table, name: str) -> list[str]:
    """The jobs that need an object; one of another kind may have the same name."""
    if table == "datasources":
        return [job for job, settings in config.jobs.items() if settings.datasource == name]
    return [job for job, settings in config.jobs.items() if table == "storages" and name in settings.storages]


class _Changes:
    """Files that are changed together: as they were where one cannot be written or the configuration is not right."""

    def __init__(self) -> None:
        self._before: list[tuple[Path, bytes | None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None:
            self._undo()

    def write(self, file: Path, content: bytes) -> None:
        """Put a file in place. Raises StorageError."""
        make_private_folder(file.parent)
        self._note(file)
        write_durably(file, content)

    def remove(self, file: Path) -> None:
        """Remove a file. Raises StorageError."""
        self._note(file)
        with explained(file, "remove"):
            file.unlink()
        fsync_folder(file.parent)

    def _undo(self) -> None:
        # What is new goes first: on a full disk it makes the room for what was there.
        for file, _ in (change for change in self._before if change[1] is None):
            with explained(file, "remove"):
                file.unlink(missing_ok=True)
        for file, before in reversed(self._before):
            if before is not None and _content(file) != before:
                write_durably(file, before)

    def _note(self, file: Path) -> None:
        self._before.append((file, _content(file)))


def _content(file: Path) -> bytes | None:
    with explained(file, "read"):
        return file.read_bytes() if os.path.lexists(file) else None


def secret_file(config: Config, table: Table, name: str, key: str) -> Path:
    """Where a secret that is typed on a screen is written, so that the configuration only refers to it."""
    return main_path(config).parent / SECRETS_FOLDER / f"{table.removesuffix('s')}-{name}-{key}"


def _remove_secrets(config: Config, table: Table, name: str, former: Values, *, but: Values) -> None:
    """Remove the secrets that were typed for an object and are not referred to any more."""
    for key, value in former.items():
        file = secret_file(config, table, name, key)
        if value == {"file": str(file)} and but.get(key) != value:
            with explained(file, "remove"):
                file.unlink(missing_ok=True)
