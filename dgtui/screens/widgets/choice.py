"""One of several, and yes or no, as signs that need no colour: `(•) automatic   ( ) disk`, `[x] keep`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from dgtui.screens.widgets.details import wrapped_line
from dgtui.screens.widgets.styled import StyledWidget, span
from dgtui.wording.panel import Line, Span
from dgtui.wording.terminal import Look
from dgtui.wording.words import cells


@dataclass(frozen=True)
class Option:
    """Something that can be chosen, or, with `why_not`, cannot."""

    key: str
    label: str
    mark: Line = ()
    why_not: str = ""


class Choice(StyledWidget, can_focus=True):
    """One of several; the arrow keys choose, and of many the first characters of a name."""

    DEFAULT_CSS = """
    Choice { height: auto; width: 1fr; }
    Choice:focus { background: $primary-muted; }
    Choice:focus:ansi { color: ansi_bright_white; }
    Choice:focus:nocolor, Choice:focus:ansi { text-style: underline; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Previous", show=False, id="choice.previous"),
        Binding("right,space", "step(1)", "Next", show=False, id="choice.next"),
        Binding("enter", "app.focus_next", "Next field", show=False, id="choice.done"),
    ]

    @dataclass
    class Changed(Message):
        """Another one is chosen."""

        choice: "Choice"
        key: str

        @property
        def control(self) -> "Choice":
            """The widget."""
            return self.choice

    def __init__(self, options: Sequence[Option], look: Look, *, id: str, key: str = "") -> None:  # noqa: A002
        super().__init__(id=id)
        self._options = list(options)
        self._look = look
        self._key = key or next((option.key for option in options if not option.why_not), "")
        self._typed = ""
        """The characters of a name that were typed one after the other."""

    @property
    def key(self) -> str:
        """What is chosen; empty where nothing can be."""
        return self._key

    @property
    def options(self) -> list[Option]:
        """What there is to choose from."""
        return self._options

    def set_options(self, options: Sequence[Option]) -> None:
        """Other options, or other states of the same; a choice that became impossible goes to the first possible."""
        if list(options) == self._options:
            return
        self._options = list(options)
        possible = [option.key for option in options if not option.why_not]
        if self._key not in possible:
            self._key = possible[0] if possible else ""
            self.post_message(self.Changed(self, self._key))
        self.refresh(layout=True)

    def choose(self, key: str) -> None:
        """Choose one, if it can be chosen."""
        if key != self._key and any(option.key == key and not option.why_not for option in self._options):
            self._key = key
            self.refresh()
            self._show_chosen()
            self.post_message(self.Changed(self, key))

    def _show_chosen(self) -> None:
        """There may be more of them than rows of the terminal: the one that is chosen is to be seen."""
        rows = self._rows(self.size.width)
        place = next((y for y, row in enumerate(rows) if any(option.key == self._key for option, _ in row)), None)
        scrolled = next((one for one in self.ancestors if isinstance(one, Widget) and one.allow_vertical_scroll), None)
        if self.has_focus and self.region and place is not None and scrolled is not None:
            seen = scrolled.content_region
            top = self.content_region.y - seen.y + scrolled.scroll_offset.y + place
            scrolled.scroll_to_region(Region(0, top, seen.width, 1), animate=False, x_axis=False)

    def on_focus(self) -> None:
        """Show what is chosen, once the dialog has come to this field."""
        self._typed = ""
        self.call_after_refresh(self._show_chosen)

    def on_key(self, event: events.Key) -> None:
        """Choose the next one that begins with what is typed."""
        if not event.is_printable or event.character in (None, " "):
            self._typed = ""
            return
        names = [option.key for option in self._options if not option.why_not]
        labels = {option.key: option.label.casefold() for option in self._options}
        for typed in (self._typed + event.character.casefold(), event.character.casefold()):
            begin = names.index(self._key) + (len(typed) == 1) if self._key in names else 0
            found = next((key for key in names[begin:] + names[:begin] if labels[key].startswith(typed)), None)
            if found is not None:
                self._typed = typed
                self.choose(found)
                event.stop()
                return

    def action_step(self, step: int) -> None:
        """The next one that can be chosen."""
        possible = [option.key for option in self._options if not option.why_not]
        if possible:
            place = possible.index(self._key) + step if self._key in possible else 0
            self.choose(possible[place % len(possible)])

    def _pieces(self, option: Option) -> Line:
        dot = self._look.glyph("•", "*")
        sign = "( )" if option.key != self._key else f"({dot})"
        if option.why_not:
            return (Span("(-) ", "dim"), span(option.label, "dim"), *option.mark, span(f": {option.why_not}", "dim"))
        return (Span(f"{sign} "), span(option.label, "strong" if option.key == self._key else ""), *option.mark)

    def _rows(self, width: int) -> list[list[tuple[Option, Line]]]:
        """The options on as many lines as they need."""
        rows: list[list[tuple[Option, Line]]] = [[]]
        used = 0
        for option in self._options:
            pieces = self._pieces(option)
            size = sum(cells(piece.text) for piece in pieces) + 3
            if size - 3 > width:
                rows += [[(option, line)] for line in _wrapped(pieces, width)]
                used = width
                continue
            if rows[-1] and used + size - 3 > width:
                rows.append([])
                used = 0
            rows[-1].append((option, pieces))
            used += size
        return [row for row in rows if row] or [[]]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002  # Textual's
        """As many rows as the options need."""
        return len(self._rows(width))

    def render_line(self, y: int) -> Strip:
        """A row of options."""
        rows = self._rows(self.size.width)
        line: list[Span] = []
        for _, pieces in rows[y] if y < len(rows) else []:
            line += [*pieces, Span("   ")]
        return self.strip_of(line, self.size.width)

    def on_click(self, event: events.Click) -> None:
        """Choose what was clicked."""
        rows, left = self._rows(self.size.width), 0
        for option, pieces in rows[event.y] if event.y < len(rows) else []:
            left += sum(cells(piece.text) for piece in pieces) + 3
            if event.x < left:
                self.choose(option.key)
                return


def _wrapped(pieces: Line, width: int) -> list[Line]:
    """An option on several lines below each other, beside its sign: names may differ in their ends alone."""
    sign, *rest = pieces
    indent = cells(sign.text)
    first, *others = wrapped_line(tuple(rest), max(width - indent, 1))
    return [(sign, *first), *((Span(" " * indent), *line) for line in others)]


class Tick(StyledWidget, can_focus=True):
    """Yes or no."""

    DEFAULT_CSS = """
    Tick { height: 1; width: 1fr; }
    Tick:focus { background: $primary-muted; }
    Tick:focus:ansi { color: ansi_bright_white; }
    Tick:focus:nocolor, Tick:focus:ansi { text-style: underline; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("space,enter", "change", "Change", show=False, id="tick.toggle")]

    @dataclass
    class Changed(Message):
        """It was changed."""

        tick: "Tick"
        value: bool

        @property
        def control(self) -> "Tick":
            """The widget."""
            return self.tick

    def __init__(self, label: str, *, value: bool, id: str) -> None:  # noqa: A002  # as in Textual
        super().__init__(id=id)
        self._label = label
        self._why_not = ""
        self._value = value

    @property
    def value(self) -> bool:
        """Whether it is ticked; what cannot work is not."""
        return self._value and not self._why_not

    @property
    def why_not(self) -> str:
        """Why it cannot be ticked; empty where it can."""
        return self._why_not

    def put(self, *, value: bool) -> None:
        """Tick it, or take the tick away."""
        if value != self._value:
            self._value = value
            self.refresh()
            self.post_message(self.Changed(self, self.value))

    def allow(self, why_not: str = "") -> None:
        """Let it be ticked, or say why that cannot work."""
        if why_not != self._why_not:
            self._why_not = why_not
            self.can_focus = not why_not
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The sign and the label."""
        sign = "[-] " if self._why_not else "[x] " if self._value else "[ ] "
        reason = f": {self._why_not}" if self._why_not else ""
        style = "dim" if self._why_not else ""
        line = (Span(sign, style), span(self._label + reason, style))
        return self.strip_of(line if y == 0 else (), self.size.width)

    def action_change(self) -> None:
        """Change it."""
        if self._why_not:
            return
        self.put(value=not self._value)

    def on_click(self) -> None:
        """Change it."""
        self.action_change()
