"""The keys that work now, on the last line of every place."""

from textual import events
from textual.binding import ActiveBinding
from textual.screen import Screen

from dgtui.screens.widgets.styled import Lines
from dgtui.wording.panel import Span
from dgtui.wording.words import cells

_INDENT = 1
_GAP = 2
"""Blanks between two keys, where there is room for them; else one."""


class KeyBar(Lines):
    """One line for all of them: as a widget for each, as Textual's own footer has, they would be made anew with each
    change, and every change of the place would wait for that."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; background: $panel; color: $footer-foreground; }
    """

    def __init__(self) -> None:
        super().__init__([()])
        self._keys: list[tuple[ActiveBinding, str, str]] = []
        """What is shown: what it starts, the key and the word for it."""
        self._gap = _GAP
        self._asked = False

    def on_mount(self) -> None:
        """Show the keys whenever others work."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_updated)

    def on_unmount(self) -> None:
        """Nobody is left to show them to."""
        self.screen.bindings_updated_signal.unsubscribe(self)

    @property
    def keys(self) -> list[str]:
        """Each key with what it does."""
        return [f"{key} {text}" for _, key, text in self._keys]

    def _bindings_updated(self, screen: Screen[object]) -> None:
        """Several things may change at once: draw them once."""
        if screen is self.screen and not self._asked:
            self._asked = True
            self.call_later(self._draw)

    def _draw(self) -> None:
        self._asked = False
        if not self.is_attached:
            return
        chosen: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show:
                chosen.setdefault(active.binding.action, active)
        display = self.app.get_key_display
        self._keys = [(one, display(one.binding), one.binding.description) for one in chosen.values()]
        needed = _INDENT + sum(cells(f"{key} {text}") + _GAP for _, key, text in self._keys) - _GAP
        self._gap = _GAP if needed <= self.size.width else 1
        pieces: list[Span] = [Span(" " * _INDENT)] if self._gap == _GAP else []
        for active, key, text in self._keys:
            style = ("key", "") if active.enabled else ("dim", "dim")
            pieces += [Span(key, style[0]), Span(f" {text}", style[1]), Span(" " * self._gap)]
        self.show([tuple(pieces)])

    def key_at(self, x: int) -> ActiveBinding | None:
        """What is shown in a column."""
        left = _INDENT if self._gap == _GAP else 0
        for active, key, text in self._keys:
            right = left + cells(f"{key} {text}")
            if left <= x < right:
                return active
            left = right + self._gap
        return None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Tell more of the key under the mouse."""
        active = self.key_at(event.x)
        told = active.tooltip or None if active is not None else None
        if told != self.tooltip:
            self.tooltip = told

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """As if the key was pressed."""
        active = self.key_at(event.x)
        if active is None:
            return
        if active.enabled:
            self.app.simulate_key(active.binding.key)
        else:
            self.app.bell()
