"""Pieces of text with the name of a style, and a widget that draws lines of them and sends only what changed."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from dgtui.wording.panel import Line, Span
from dgtui.wording.words import cells, one_line

STYLES = ("good", "warning", "bad", "dim", "strong", "accent", "header", "cursor", "tab", "key")
_CUT = "…"
COMPONENTS = frozenset(f"styled--{style}" for style in STYLES)


def span(text: str, style: str = "") -> Span:
    """A piece of text that can do nothing to the terminal, whoever wrote it."""
    return Span(one_line(text), style)


def plain(line: Sequence[Span]) -> str:
    """A line without its styles."""
    return line[0].text if len(line) == 1 else "".join(piece.text for piece in line)


class StyledWidget(Widget):
    """Knows the styles by their names; the theme says how they look."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(COMPONENTS)
    DEFAULT_CSS = """
    StyledWidget {
        .styled--good { color: $text-success; }
        .styled--warning { color: $text-warning; }
        .styled--bad { color: $text-error; }
        .styled--dim { text-style: dim; }
        .styled--strong { text-style: bold; }
        .styled--accent { color: $text-primary; text-style: bold; }
        .styled--header { text-style: bold dim; }
        .styled--cursor { background: $primary-muted; }
        .styled--tab { text-style: reverse; }
        .styled--key { color: $footer-key-foreground; text-style: bold; }
        &:ansi .styled--cursor { color: ansi_bright_white; }
        &:focus .styled--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # as in Textual
        super().__init__(id=id, classes=classes)
        self._styles_by_name: dict[str, Style] = {}

    def notify_style_update(self) -> None:
        """Another theme, or the focus: look the styles up anew."""
        super().notify_style_update()
        self._styles_by_name.clear()

    def style_of(self, name: str) -> Style:
        """The look of a style on this widget's background, kept: to ask Textual costs more than to draw."""
        found = self._styles_by_name.get(name)
        if found is None:
            found = self.rich_style
            if name:
                found += self.get_component_rich_style(f"styled--{name}", partial=True)
            self._styles_by_name[name] = found
        return found

    def strip_of(self, line: Iterable[Span], width: int, over: Style | None = None) -> Strip:
        """A line cut or filled to `width` columns, marked where it was cut; `over` is laid over its styles."""
        base = self.style_of("") if over is None else self.style_of("") + over
        segments = []
        for piece in line:
            style = self.style_of(piece.style)
            segments.append(Segment(piece.text, style if over is None else style + over))
        # Neighbours of one style are sent as one piece: each style costs forty bytes.
        return _marked_where_cut(Strip(segments), width).adjust_cell_length(width, base).simplify()


def _marked_where_cut(strip: Strip, width: int) -> Strip:
    """Blanks may be cut off in silence; more than that has left something out."""
    if strip.cell_length <= width or not width or not strip.crop(width).text.strip():
        return strip
    kept = list(strip.crop(0, width - 1))
    return Strip([*kept, Segment(_CUT, kept[-1].style if kept else None)])


class Lines(StyledWidget):
    """Some lines of text, each on one row."""

    DEFAULT_CSS = """
    Lines { height: auto; width: 1fr; }
    """

    def __init__(self, lines: Sequence[Line] = (), *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # as in Textual
        super().__init__(id=id, classes=classes)
        self.lines: list[Line] = list(lines)

    def show(self, lines: Sequence[Line]) -> None:
        """Draw these lines; only those that changed are sent to the terminal."""
        before, self.lines = self.lines, list(lines)
        if len(before) != len(self.lines):
            self.refresh(layout=True)
            return
        changed = [
            Region(left, number, width, 1)
            for number, (old, new) in enumerate(zip(before, self.lines, strict=True))
            for left, width in [_changed_columns(old, new)]
            if width
        ]
        if changed:
            self.refresh(*changed)

    @property
    def text(self) -> str:
        """What is shown, without styles."""
        return "\n".join(plain(line) for line in self.lines)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002  # Textual's
        """One row for each line."""
        return len(self.lines)

    def render_line(self, y: int) -> Strip:
        """A row of the screen."""
        line = self.lines[y] if y < len(self.lines) else ()
        return self.strip_of(line, self.size.width)


def _changed_columns(old: Line, new: Line) -> tuple[int, int]:
    """From which column on, and over how many, two lines differ; a clock that ticks is worth six bytes, not a line."""
    before, after = characters(old), characters(new)
    if before == after:
        return 0, 0
    same = next((n for n, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), None)
    start = min(len(before), len(after)) if same is None else same
    left = cells("".join(character for character, _ in after[:start]))
    widths = [cells("".join(character for character, _ in line)) for line in (before, after)]
    end = 0
    if widths[0] == widths[1]:
        shortest = min(len(before), len(after)) - start
        while end < shortest and before[-1 - end] == after[-1 - end]:
            end += 1
    tail = cells("".join(character for character, _ in after[len(after) - end :]))
    return left, max(widths) - left - tail


def characters(line: Line) -> list[tuple[str, str]]:
    """Each character with the name of its style."""
    return [(character, piece.style) for piece in line for character in piece.text]
