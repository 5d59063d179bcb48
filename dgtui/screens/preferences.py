"""How a person wants the screens: `screens.toml` beside the configuration, with a theme, the signs and other keys."""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from dgtui.config.mistakes import show_path
from dgtui.engine.errors import ConfigError


class Preferences(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of `screens.toml`."""

    theme: str | None = None
    """`dataguardian-dark`, `dataguardian-light`, `ansi-dark`, `ansi-light`, or another one of the palette."""
    signs: Literal["unicode", "ascii"] | None = None
    """What the terminal can show, where its locale does not tell the truth."""
    keys: dict[str, str] = {}
    """For the name of an action, as `?` shows it, the key that starts it, such as `"datasource.back_up" = "f5"`."""


def load_preferences(folder: Path) -> Preferences:
    """Read `screens.toml`, where there is one. Raises ConfigError."""
    path = folder / "screens.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8-sig")), Preferences)
    except FileNotFoundError:
        return Preferences()
    except (OSError, ValueError) as error:
        # msgspec's and tomllib's errors are ValueErrors as well.
        raise ConfigError(
            f"{show_path(path)}: {error}",
            subject=show_path(path),
            hint='It may hold: theme = "ansi-dark", signs = "ascii", and [keys] with "datasource.back_up" = "f5"',
        ) from None
