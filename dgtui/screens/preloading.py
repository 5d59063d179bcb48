"""Loading every screen once the first one stands, so that no key waits for a module; and what is wrong in `[keys]`."""

import difflib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from itertools import combinations
from types import ModuleType

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

import dgtui.screens
from dgtui.screens.tab import TABS, TabScreen
from dgtui.screens.widgets.listing import Listing

Keys = dict[str, frozenset[str]]
"""For the name of each action the keys that start it."""


def load_places() -> None:
    """Import those of the places alone; call it in a thread."""
    for place in TABS:
        import_module(f"dgtui.screens.{place}")


def load_screens() -> list[ModuleType]:
    """Import all screens and widgets; call it in a thread."""
    packages = pkgutil.walk_packages(dgtui.screens.__path__, "dgtui.screens.")
    return [import_module(found.name) for found in packages]


def key_mistakes(app: type[App[int]], wanted: Mapping[str, str]) -> list[str]:
    """What is wrong with the keys that somebody wants, one sentence each."""
    kinds = list(_kinds(load_screens()))
    known = set[str]().union(*(_keys_of(kind) for kind in [app, *kinds]))
    mistakes = [_unknown(name, known) for name in wanted if name not in known]
    clashes: dict[tuple[str, str, str], str] = {}
    for kind in kinds:
        if issubclass(kind, Screen):
            clashes |= _clashes(_together(app, kind), wanted)
    return mistakes + [clashes[pair] for pair in sorted(clashes)]


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name!r} is no action" + (f"; is {near[0]!r} meant?" if near else "")


def _kinds(modules: Iterable[ModuleType]) -> Iterator[type[DOMNode]]:
    """Every screen and widget of our own."""
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, DOMNode) and value.__module__ == module.__name__:
                yield value


def _together(app: type[App[int]], screen: type[DOMNode]) -> list[Keys]:
    """The keys that work at the same time: a dialog has only its own, a place those of its tables too."""
    others: list[type[DOMNode]] = [app, Listing] if issubclass(screen, TabScreen) else []
    return [_keys_of(kind) for kind in [screen, *others]]


def _keys_of(kind: type[DOMNode]) -> Keys:
    """The actions of a class and of what it is made from."""
    keys: Keys = {}
    for base in kind.__mro__:
        for one in base.__dict__.get("BINDINGS", ()):
            if isinstance(one, Binding) and one.id is not None and one.id not in keys:
                keys[one.id] = _spelled(one.key)
    return keys


def _spelled(keys: str) -> frozenset[str]:
    """Each key as Textual names it."""
    return frozenset(one.key for one in Binding.make_bindings([Binding(keys, "")]))


def _clashes(together: list[Keys], wanted: Mapping[str, str]) -> dict[tuple[str, str, str], str]:
    """Two actions on one key, where somebody wanted one of them there."""
    keys: Keys = {}
    for some in together:
        keys |= some
    keys |= {name: _spelled(key) for name, key in wanted.items() if name in keys}
    return {
        (key, first, second): f"{key!r} starts {first!r} and {second!r}: only one of them works"
        for first, second in combinations(sorted(keys), 2)
        if first in wanted or second in wanted
        for key in sorted(keys[first] & keys[second])
    }
