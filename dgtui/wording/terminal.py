"""What the terminal can show, if there is one."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

_SMALLEST_WIDTH = 24
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
"""What Python itself writes into LC_CTYPE where it finds the C locale (PEP 538)."""
SIGNS_VARIABLE = "DGTUI_SIGNS"
"""`unicode` or `ascii`, where the locale does not tell the truth about the terminal."""


@dataclass(frozen=True)
class Look:
    """How to draw: which glyphs, and whether in colour."""

    unicode: bool = True
    colour: bool = False

    def glyph(self, unicode_glyph: str, ascii_glyph: str) -> str:
        """The glyph that the terminal can show."""
        return unicode_glyph if self.unicode else ascii_glyph


PLAIN = Look(unicode=False, colour=False)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person sits there."""
    return stream is not None and not stream.closed and stream.isatty()


def can_redraw(stream: TextIO | None) -> bool:
    """Whether lines can be drawn again in place."""
    return is_terminal(stream) and os.environ.get("TERM", "dumb") not in ("", "dumb")


def can_ask() -> bool:
    """Whether a question would reach a person, and the answer us."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def look_of(stream: TextIO | None) -> Look:
    """How to draw on a stream (https://no-color.org is honoured)."""
    if stream is None:
        return PLAIN
    return Look(unicode=_has_unicode(stream), colour=can_redraw(stream) and not os.environ.get("NO_COLOR"))


def _has_unicode(stream: TextIO) -> bool:
    """Whether the terminal takes UTF-8, by `DGTUI_SIGNS`, else by the locale that it gave."""
    wanted = os.environ.get(SIGNS_VARIABLE, "")
    if wanted in ("unicode", "ascii"):
        return wanted == "unicode"
    return _is_utf8(stream.encoding or "") and _locale_has_unicode(_locale())


def _locale() -> str:
    """The locale that was asked for: Python takes the C locale, and none, for UTF-8, but the terminal does not."""
    characters = os.environ.get("LC_CTYPE", "")
    if characters in _COERCED and not _was_given("LC_CTYPE"):
        characters = ""
    return os.environ.get("LC_ALL", "") or characters or os.environ.get("LANG", "")


def _was_given(name: str) -> bool:
    """Whether a variable was there when the program began; where that cannot be seen it counts as given."""
    try:
        given = Path("/proc/self/environ").read_bytes()
    except OSError:
        return True
    return any(one.startswith(f"{name}=".encode()) for one in given.split(b"\0"))


def _locale_has_unicode(locale: str) -> bool:
    if locale in ("", "C", "POSIX"):
        return False
    codeset = locale.partition("@")[0].partition(".")[2] or (locale if _is_utf8(locale) else "")
    # Without one in its name Python knows it, and opened the stream with it.
    return _is_utf8(codeset) if codeset else True


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("-", "") == "utf8"


def size_of(stream: TextIO) -> tuple[int, int]:
    """Columns and rows; 80 x 24 where they are not known."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return max(columns, _SMALLEST_WIDTH) if columns else 80, rows or 24
