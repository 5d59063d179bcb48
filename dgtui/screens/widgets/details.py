"""Texts on as many lines as they need: in dialogs all of them, below a table as much as there is room for."""

from collections.abc import Sequence

from textual.geometry import Size
from textual.strip import Strip

from dgtui.screens.widgets.styled import Lines, characters, plain, span
from dgtui.wording.panel import Line, Span
from dgtui.wording.terminal import Look
from dgtui.wording.words import cells

_HINT_ROWS = 2
"""What a text leaves of the room for the one after it, such as an error for its hint."""


class Paragraphs(Lines):
    """Texts under each other, each wrapped at its words."""

    def show(self, lines: Sequence[Line]) -> None:
        """Draw these."""
        if list(lines) != self.lines:
            self.lines = list(lines)
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002  # Textual's
        """As many rows as the texts need."""
        return len(self._rows(width))

    def render_line(self, y: int) -> Strip:
        """A row of a text."""
        rows = self._rows(self.size.width)
        return self.strip_of(rows[y] if y < len(rows) else (), self.size.width)

    def _rows(self, width: int) -> list[Line]:
        return [row for line in self.lines for row in wrapped_line(line, width)]


class Details(Paragraphs):
    """What there is to say of the selected row; what there is no room for is marked."""

    DEFAULT_CSS = """
    Details { height: 3; }
    """

    def __init__(self, look: Look, *, id: str) -> None:  # noqa: A002  # as in Textual
        super().__init__(id=id)
        self._mark = look.glyph("…", "...")
        self._important = 0

    def show(self, lines: Sequence[Line], rest: Sequence[Line] = ()) -> None:
        """Draw these; `rest` only where the others leave room."""
        first, second = ([line for line in some if plain(line).strip()] for some in (lines, rest))
        shown = [*first, *second]
        if shown != self.lines or self._important != len(first):
            self.lines, self._important = shown, len(first)
            self.refresh()

    def _rows(self, width: int) -> list[Line]:
        needed = [len(wrapped_line(line, width)) for line in self.lines[: self._important]]
        rows: list[Line] = []
        for number, line in enumerate(self.lines):
            left = self.size.height - len(rows)
            if left <= 0:
                break
            following = needed[number + 1] if number + 1 < len(needed) else 0
            rows += wrapped_line(line, width, most=max(left - min(following, _HINT_ROWS), 1), mark=self._mark)
        return rows


def trouble_lines(message: str, hint: str, style: str, look: Look) -> list[Line]:
    """What is wrong, and what to do about it; nothing where nothing is."""
    if not message:
        return []
    first: Line = (span(f" {message}", style),)
    return [first, (span(f" {look.glyph('→', '->')} {hint}"),)] if hint else [first]


def wrapped_line(line: Line, width: int, *, most: int | None = None, mark: str = "") -> list[Line]:
    """A text on rows of at most so many columns, broken at blanks; `mark` ends it where `most` rows do not do."""
    every = characters(line)
    indent = next((number for number, (character, _) in enumerate(every) if character != " "), 0)
    rows: list[Line] = []
    start = 0
    while True:
        lead = [(" ", "")] * indent if rows else []
        room = max(width - len(lead), 1)
        end = _end_of_row(every, start, room)
        if end < len(every) and most is not None and len(rows) + 1 >= most:
            end = _end_of_row(every, start, max(room - cells(mark), 0), at_blank=False)
            return [*rows, _as_line([*lead, *every[start:end], (mark, "dim")])]
        rows.append(_as_line([*lead, *every[start:end]]))
        start = end
        while start < len(every) and every[start][0] == " ":
            start += 1
        if start >= len(every):
            return rows


def _end_of_row(every: Sequence[tuple[str, str]], start: int, room: int, *, at_blank: bool = True) -> int:
    """Where the row that begins at `start` ends: at a blank, or within a word that is longer than a row."""
    used, blank, end = 0, start, start
    while end < len(every):
        if every[end][0] == " ":
            blank = end
        used += cells(every[end][0])
        if used > room:
            within_first = not any(character != " " for character, _ in every[start:blank])
            return max(end, start + (room > 0)) if within_first or not at_blank else blank
        end += 1
    return end


def _as_line(every: Sequence[tuple[str, str]]) -> Line:
    pieces: list[Span] = []
    for character, style in every:
        if pieces and pieces[-1].style == style:
            pieces[-1] = Span(pieces[-1].text + character, style)
        else:
            pieces.append(Span(character, style))
    return tuple(pieces)
