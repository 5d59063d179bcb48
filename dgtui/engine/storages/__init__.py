"""The registry of the kinds of storage: adding one is one file and one line here."""

from importlib import import_module
from typing import Any

from dgtui.engine.storages.base import Storage

_ADAPTERS: dict[str, tuple[str, str]] = {
    "local": ("dgtui.engine.storages.local", "LocalStorage"),
}

STORAGE_TYPES = tuple(_ADAPTERS)


def storage_adapter(kind: str) -> type[Storage[Any]]:
    """The adapter of a kind, loaded when it is first asked for; raises KeyError where there is none."""
    module, name = _ADAPTERS[kind]
    adapter: type[Storage[Any]] = getattr(import_module(module), name)
    return adapter
