"""Which keys are shown where, and in which order: those of the place first, and always the way to all of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from textual.app import App
from textual.binding import ActiveBinding, Binding
from textual.dom import DOMNode
from textual.screen import Screen

from dgtui.wording.terminal import Look
from dgtui.wording.words import cells

Bindings = Mapping[str, ActiveBinding]

OPEN = "list.open"
"""The key that opens a row; what it opens is the place's own."""
_KEPT = ("app.keys", "app.quit")
_SPARED_FIRST = (
    "list.sort",
    "object.delete",
    "backup.mark",
    "history.mark",
    "notification.all_read",
    "backup.pin",
    "backup.delete",
)
"""Left out of a footer that has no room for all, the first one first."""
_NAMES = {
    "enter": "Enter",
    "escape": "Esc",
    "space": "Space",
    "tab": "Tab",
    "backspace": "Backspace",
    "delete": "Del",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
}
_ARROWS = {"up": ("↑", "Up"), "down": ("↓", "Down"), "left": ("←", "Left"), "right": ("→", "Right")}


def key_name(key: str, look: Look) -> str | None:
    """What stands on a key, where Textual has another word or a sign that not every terminal can show."""
    if key in _ARROWS:
        return look.glyph(*_ARROWS[key])
    if key.startswith("f") and key[1:].isdigit():
        return key.upper()
    return _NAMES.get(key)


def in_order(screen: Screen[Any], found: Bindings) -> dict[str, ActiveBinding]:
    """The keys of the place, then those of the program, then those of the focused widget."""
    declared = _declared(type(screen))

    def rank(active: ActiveBinding) -> tuple[int, int]:
        binding = active.binding
        if isinstance(active.node, App):
            return 1, 0
        if active.node is screen or binding.show:
            return 0, declared.get(binding.id or "", len(declared))
        return 2, 0

    return dict(sorted(found.items(), key=lambda entry: rank(entry[1])))


def _declared(screen: type[DOMNode]) -> dict[str, int]:
    """The place of each key's name: what a class adds comes before what it has from another."""
    names: list[str] = []
    for kind in screen.__mro__:
        bindings = kind.__dict__.get("BINDINGS", ())
        names += [one.id for one in bindings if isinstance(one, Binding) and one.id is not None]
        if OPEN not in names:
            names.append(OPEN)
    return {name: place for place, name in reversed(list(enumerate(names)))}


def fitting(found: Bindings, width: int, display: Callable[[Binding], str]) -> dict[str, ActiveBinding]:
    """The same keys, but of those that a footer shows only as many as it has room for."""
    widths: dict[str, int] = {}
    for active in found.values():
        binding = active.binding
        if binding.show:
            widths.setdefault(binding.action, cells(display(binding)) + cells(binding.description) + 2)
    over = sum(widths.values()) - 1 - width
    spared = set()
    for action in _sparable(found.values()):
        if over <= 0:
            break
        spared.add(action)
        over -= widths[action]
    return {key: _hidden(active) if active.binding.action in spared else active for key, active in found.items()}


def _sparable(found: Iterable[ActiveBinding]) -> list[str]:
    """The actions that a footer can do without, the first one first."""
    shown = [one.binding for one in found if one.binding.show and one.binding.id not in _KEPT]
    first = sorted((one for one in shown if one.id in _SPARED_FIRST), key=lambda one: _SPARED_FIRST.index(one.id or ""))
    return list(dict.fromkeys(one.action for one in [*first, *reversed(shown)]))


def _hidden(active: ActiveBinding) -> ActiveBinding:
    return active._replace(binding=replace(active.binding, show=False))
