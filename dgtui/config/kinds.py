"""The kinds of objects that can be configured, from the registries of their adapters."""

import msgspec

from dgtui.config.channels import CHANNEL_SETTINGS
from dgtui.config.jobs import JobSettings
from dgtui.config.model import Table
from dgtui.engine.datasources import DATASOURCE_TYPES, datasource_adapter
from dgtui.engine.datasources.kinds import kind_named
from dgtui.engine.model import Record
from dgtui.engine.storages import STORAGE_TYPES, storage_adapter

KINDS: dict[Table, tuple[str, ...]] = {
    "datasources": DATASOURCE_TYPES,
    "storages": STORAGE_TYPES,
    "channels": tuple(CHANNEL_SETTINGS),
}
"""What `type` may be, where there is one."""


class ObjectKind(Record, frozen=True):
    """A kind of object, for the form that makes one."""

    name: str
    """What `type` calls it; empty where all are of one kind."""
    label: str
    settings: type[msgspec.Struct]
    """What can be set."""


def settings_of(table: Table, kind: str) -> type[msgspec.Struct]:
    """What can be set for a kind that there is."""
    if table == "jobs":
        return JobSettings
    if table == "channels":
        return CHANNEL_SETTINGS[kind]
    return datasource_adapter(kind).settings_type if table == "datasources" else storage_adapter(kind).settings_type


def object_kinds(table: Table) -> tuple[ObjectKind, ...]:
    """All kinds of a table, the usual one first."""
    return tuple(
        ObjectKind(name=name, label=kind_named(name).label, settings=settings_of(table, name))
        for name in KINDS.get(table, ("",))
    )
