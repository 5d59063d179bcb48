"""For terminals without UTF-8: whatever a widget draws, only ASCII is sent."""

import unicodedata

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from dgtui.wording.words import cells

_SIGNS = {
    "…": "~",
    "·": "-",
    "•": "*",
    "–": "-",
    "×": "x",
    "→": ">",
    "←": "<",
    "↑": "^",
    "↓": "v",
    "▌": "|",
    "▔": "-",
    "▁": "_",
    "🔎": "/ ",
}
"""What stands for a sign, in as many columns."""
_BOXES = range(0x2500, 0x2580)
_BLOCKS = range(0x2580, 0x25A0)


class AsciiFilter(LineFilter):
    """Puts an ASCII sign in the place of every other one; the columns stay."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002  # Textual's
        """The same line in ASCII."""
        return [
            piece if piece.text.isascii() else Segment(ascii_text(piece.text), piece.style, piece.control)
            for piece in segments
        ]


def ascii_text(text: str) -> str:
    """A text in ASCII that takes as many columns."""
    return "".join(character if character.isascii() else _sign(character) for character in text)


def _sign(character: str) -> str:
    width = cells(character)
    known = _SIGNS.get(character)
    if known is not None and len(known) == width:
        return known
    if ord(character) in _BLOCKS:
        return " " * width
    if ord(character) in _BOXES:
        return "+" * width
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain if len(plain) == width and plain.isprintable() else "?" * width
