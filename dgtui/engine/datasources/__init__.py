"""The registry of the kinds of datasource: adding one is one file and one line here."""

from importlib import import_module
from typing import Any

from dgtui.engine.datasources.base import Datasource

_ADAPTERS: dict[str, tuple[str, str]] = {
    "postgres": ("dgtui.engine.datasources.postgres", "PostgresDatasource"),
    "mysql": ("dgtui.engine.datasources.mysql", "MysqlDatasource"),
    "sqlite": ("dgtui.engine.datasources.sqlite", "SqliteDatasource"),
    "files": ("dgtui.engine.datasources.files", "FilesDatasource"),
}

DATASOURCE_TYPES = tuple(_ADAPTERS)


def datasource_adapter(kind: str) -> type[Datasource[Any]]:
    """The adapter of a kind, loaded when it is first asked for; raises KeyError where there is none."""
    module, name = _ADAPTERS[kind]
    adapter: type[Datasource[Any]] = getattr(import_module(module), name)
    return adapter
