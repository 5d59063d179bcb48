"""All keys that work where one is."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from dgtui.screens.dialog import Dialog
from dgtui.screens.key_order import in_order
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Span


class KeysScreen(Dialog[None]):
    """A table of keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "dismiss", "Close", show=False, id="app.keys"),
    ]
    DEFAULT_CSS = "KeysScreen > #box { height: 100%; } KeysScreen Listing { height: 1fr; }"

    def __init__(self, screen: Screen[object]) -> None:
        """Of the screen that was seen before."""
        super().__init__("Keys")
        self._active = list(in_order(screen, screen.active_bindings).values())
        self._enter = screen.enter_text if isinstance(screen, Dialog) else ""

    def compose_dialog(self) -> ComposeResult:
        """Key, what it does, its name for a keymap."""
        columns = [Column("Key"), Column("What it does", flexible=True), Column("Name in [keys]")]
        yield Listing(columns, id="keys")

    def on_mount(self) -> None:
        """One row for each action that has a name; what has none is for the mouse and the clipboard."""
        keys: dict[tuple[str, str], list[str]] = {}
        texts: dict[tuple[str, str], str] = {}
        for active in self._active:
            binding = active.binding
            if binding.description and binding.id is not None:
                name = (binding.id, binding.description)
                keys.setdefault(name, []).append(self.app.get_key_display(binding))
                texts[name] = binding.tooltip or binding.description
        rows = [Row("enter", ((Span("Enter", "accent"),), (span(self._enter),), ()))] if self._enter else []
        rows += [
            Row(f"{name}", ((Span(" ".join(shown), "accent"),), (span(texts[name]),), (span(name[0], "dim"),)))
            for name, shown in keys.items()
        ]
        self.query_one(Listing).show(rows)
