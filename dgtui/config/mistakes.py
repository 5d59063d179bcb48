"""What is wrong in a configuration: each mistake with its file, line and key, all of them in one error."""

import difflib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from dgtui.config.lines import KeyPath
from dgtui.engine.child import printable
from dgtui.engine.errors import ConfigError
from dgtui.engine.model import Record

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Mistake(Record, frozen=True):
    """One thing that is wrong, and where."""

    file: Path
    line: int | None
    key: str
    text: str

    def __str__(self) -> str:
        """One line for people, with nothing in it that could steer a terminal."""
        place = show_path(self.file) if self.line is None else f"{show_path(self.file)}:{self.line}"
        line = ": ".join(part for part in (place, self.key, self.text) if part)
        return printable(line).replace("\n", "\\n").replace("\t", "\\t")


def show_path(path: Path) -> str:
    """A path as text that can be printed, whatever bytes it is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def show_key(path: KeyPath) -> str:
    """A key as it is written in TOML, with its tables: `jobs.shop-nightly.storages[1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." * bool(text) + (part if _BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=False))
    return text


def one_of(names: Iterable[str]) -> str:
    """Names as a choice: `'a', 'b' or 'c'`."""
    quoted = [f"'{name}'" for name in names]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]]))


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest right spelling as the end of a sentence, else all that there are."""
    names = list(known)
    by_folded = {candidate.casefold(): candidate for candidate in names}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    if close:
        return f"; did you mean '{by_folded[close[0]]}'?"
    return (
        "; known: " + ", ".join(f"'{known_name}'" for known_name in sorted(names)) if names else "; there is none yet"
    )


def error_of(mistakes: Iterable[Mistake]) -> ConfigError:
    """One error that lists all mistakes, one a line, in the order of the files."""
    ordered = sorted(mistakes, key=lambda mistake: (str(mistake.file), mistake.line or 0))
    return ConfigError(
        "\n".join(dict.fromkeys(map(str, ordered))),
        subject=show_path(ordered[0].file),
        hint="Correct the configuration, then try: dgtui check",
    )
