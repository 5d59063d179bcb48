"""Facts under each other: a short name, and beside it a text on as many lines as it needs."""

from collections.abc import Iterator, Sequence

from textual.geometry import Size
from textual.strip import Strip

from dgtui.screens.widgets.styled import StyledWidget, span
from dgtui.wording.panel import Line, Span
from dgtui.wording.words import cells, one_line

Fact = tuple[str, str]
"""Name and text; without a name it goes on with the one before."""

_NAME_WIDTH = 9
_WARNED = {"Lost": "warning", "Goes": "warning", "Missing": "warning", "Warning": "warning", "Wrong": "bad"}
"""What people must not overlook."""


class Facts(StyledWidget):
    """Names at the left, texts wrapped beside them."""

    DEFAULT_CSS = """
    Facts { height: auto; width: 1fr; }
    """

    def __init__(self, *, id: str) -> None:  # noqa: A002  # as in Textual
        super().__init__(id=id)
        self.facts: tuple[Fact, ...] = ()

    def show(self, facts: Sequence[Fact]) -> None:
        """Draw these."""
        shown = tuple((one_line(name), one_line(text)) for name, text in facts)
        if shown != self.facts:
            self.facts = shown
            self.refresh(layout=True)

    @property
    def text(self) -> str:
        """What is shown, unwrapped."""
        return "\n".join(f"{name:<{_NAME_WIDTH}}{text}".rstrip() for name, text in self.facts)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002  # Textual's
        """As many rows as the texts need."""
        return len(list(self._rows(width)))

    def render_line(self, y: int) -> Strip:
        """A row of a fact."""
        rows = list(self._rows(self.size.width))
        return self.strip_of(rows[y] if y < len(rows) else (), self.size.width)

    def _rows(self, width: int) -> Iterator[Line]:
        for name, text in self.facts:
            style = _WARNED.get(name, "")
            for number, part in enumerate(wrapped(text, max(width - _NAME_WIDTH, 10))):
                head = name if number == 0 else ""
                yield (Span(f"{head:<{_NAME_WIDTH}}", "dim"), span(part, style))


def wrapped(text: str, width: int) -> list[str]:
    """A text on lines of at most so many columns; a word that is longer than a line is cut."""
    lines, line = [], ""
    for word in text.split(" "):
        candidate = f"{line} {word}" if line else word
        if cells(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        while cells(word) > width:
            cut = next(n for n in range(len(word), 0, -1) if cells(word[:n]) <= width)
            lines.append(word[:cut])
            word = word[cut:]  # noqa: PLW2901  # what is left of it
        line = word
    return [*lines, line]
