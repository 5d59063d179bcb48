"""The files of a configuration: where they are, and what each one holds."""

import os
import re
import shlex
import stat
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from dgtui.config.lines import KeyPath, key_lines
from dgtui.config.mistakes import Mistake, show_key, show_path
from dgtui.engine.errors import ConfigError

SYSTEM_CONFIG = Path("/etc/dgtui/config.toml")
SYSTEM_STATE = Path("/var/lib/dgtui")
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_SAID_BETTER = {
    "Cannot overwrite a value": "this key stands here a second time",
    "Invalid initial character for a key part": "no key begins like this; an inline table { } stands on one line",
    "Invalid value": "this is no value; text stands in quotes",
}
_SECOND_TABLE = re.compile(r"Cannot declare \((.*)\) twice")


class Source(NamedTuple):
    """The bytes of a file, and the mode that it had."""

    path: Path
    mode: int
    data: bytes


class ConfigFile(NamedTuple):
    """What a file says."""

    path: Path
    tables: dict[str, Any]
    lines: dict[KeyPath, int]
    mode: int

    @property
    def readable_by_others(self) -> bool:
        """Whether it is no place for a secret."""
        return bool(self.mode & 0o077)

    def line(self, key: KeyPath) -> int:
        """The line of a key, or of the nearest table around it."""
        return next((self.lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in self.lines), 1)

    def mistake(self, key: KeyPath, text: str) -> Mistake:
        """Something that is wrong with a key of this file."""
        return Mistake(file=self.path, line=self.line(key), key=show_key(key), text=text)


def expand(path: str | Path, folder: Path | None = None) -> Path:
    """A path in its absolute form, with `~` as a shell reads it; a relative one begins in `folder`."""
    expanded = Path(os.path.expanduser(path))  # noqa: PTH111  # pathlib raises where it does not know a user
    return expanded if expanded.is_absolute() else (folder or Path.cwd()) / expanded


def home_folder() -> Path:
    """The user's home folder; raises ConfigError where there is none."""
    try:
        return Path.home()
    except RuntimeError:
        raise ConfigError(
            "the user has no home folder", hint="Set HOME, or DGTUI_CONFIG and DGTUI_STATE, to where the files are"
        ) from None


def config_path() -> Path:
    """The main file: `$DGTUI_CONFIG`, else `~/.config/dgtui/config.toml`, for root `/etc/dgtui/config.toml`."""
    if named := os.environ.get("DGTUI_CONFIG"):
        return expand(named)
    if os.geteuid() == 0 and SYSTEM_CONFIG.exists():
        return SYSTEM_CONFIG
    of_home = home_folder() / ".config/dgtui/config.toml"
    return SYSTEM_CONFIG if os.geteuid() == 0 and not of_home.exists() else of_home


def state_folder() -> Path:
    """Where catalogue, runs and locks lie: `$DGTUI_STATE`, else `~/.local/state/dgtui`, for root `/var/lib/dgtui`."""
    if named := os.environ.get("DGTUI_STATE"):
        return expand(named)
    return SYSTEM_STATE if os.geteuid() == 0 else home_folder() / ".local/state/dgtui"


class FoundFiles(NamedTuple):
    """The files of a configuration."""

    main: Path | None
    """None where there is none and none was named."""
    others: tuple[Path, ...]


def find_files(path: Path | None) -> FoundFiles:
    """The main file and `conf.d/*.toml` beside it; raises ConfigError where that folder cannot be read."""
    main = expand(path) if path is not None else config_path()
    named = path is not None or bool(os.environ.get("DGTUI_CONFIG"))
    folder = main.parent / "conf.d"
    try:
        # Editors put their own files (`.#name.toml`) beside the one that is being written.
        others = sorted(file for file in folder.iterdir() if file.suffix == ".toml" and not file.name.startswith("."))
    except OSError as error:
        # Of a link that leads nowhere, or a file in its place, all that is configured there is missing.
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not os.path.lexists(folder):
            return FoundFiles(main if named or os.path.lexists(main) else None, ())
        shown = show_path(folder)
        hint = f"Is it a folder, and may our user read it? See: ls -ld {shlex.quote(shown)}"
        raise ConfigError(f"{shown}: {error.strerror}", subject=shown, hint=hint) from None
    return FoundFiles(main if named or os.path.lexists(main) else None, tuple(others))


def read_source(path: Path) -> Source | Mistake:
    """Read one file, or tell why it cannot be read."""
    try:
        with path.open("rb") as file:
            return Source(path=path, mode=os.fstat(file.fileno()).st_mode, data=file.read())
    except OSError as error:
        return Mistake(file=path, line=None, key="", text=f"cannot be read: {error.strerror}")


def parse_source(source: Source) -> ConfigFile | Mistake:
    """What a file says, or what is wrong with it."""
    if stat.S_ISREG(source.mode) and source.mode & stat.S_IWOTH:
        command = f"chmod o-w {shlex.quote(show_path(source.path))}"
        text = f"anybody can change it, and with it what is run: {command}"
        return Mistake(file=source.path, line=None, key="", text=text)
    return _parse(source.path, stat.S_IMODE(source.mode), source.data)


def _parse(path: Path, mode: int, data: bytes) -> ConfigFile | Mistake:
    if b"\0" in data:
        line = _line_at(data, data.index(b"\0"))
        return Mistake(file=path, line=line, key="", text="this is not a text file")
    try:
        # Some editors of Windows begin a file with a byte order mark.
        text = data.decode("utf-8-sig")
        tables = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = _line_at(data, error.start)
        return Mistake(file=path, line=line, key="", text="the text is not in UTF-8; save the file in this encoding")
    except RecursionError:
        return Mistake(file=path, line=None, key="", text="lists or tables are nested too deeply")
    except ValueError as error:
        return _syntax_mistake(path, data, str(error))
    return ConfigFile(path, tables, key_lines(text), mode)


def _line_at(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _syntax_mistake(path: Path, data: bytes, message: str) -> Mistake:
    place = _PLACE.search(message)
    text = _PLACE.sub("", message)
    text = _SECOND_TABLE.sub(r"this table stands here a second time: \1", _SAID_BETTER.get(text, text))
    line = None
    if place is not None:
        line = int(place[1]) if place[1] else _line_at(data.rstrip(), len(data))
    return Mistake(file=path, line=line, key="", text=f"not valid TOML: {text}")
