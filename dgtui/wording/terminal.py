"""What the terminal can show, if there is one."""

import os
import sys
from dataclasses import dataclass
from typing import TextIO

_SMALLEST_WIDTH = 24
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
"""What Python itself writes into LC_CTYPE where it finds the C locale (PEP 538)."""


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
    encoding = (stream.encoding or "").lower().replace("-", "")
    return Look(
        unicode=encoding == "utf8" and not _has_plain_locale(),
        colour=can_redraw(stream) and not os.environ.get("NO_COLOR"),
    )


def _has_plain_locale() -> bool:
    """Whether somebody asked for the C locale: Python takes it for UTF-8, the terminal does not."""
    every, characters = os.environ.get("LC_ALL", ""), os.environ.get("LC_CTYPE", "")
    if characters in _COERCED:
        characters = ""
    return (every or characters or os.environ.get("LANG", "")) in ("C", "POSIX")


def size_of(stream: TextIO) -> tuple[int, int]:
    """Columns and rows; 80 x 24 where they are not known."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return max(columns, _SMALLEST_WIDTH) if columns else 80, rows or 24
