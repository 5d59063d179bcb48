"""The catalogue: what this machine knows of executions, copies, restores and all that is watched."""

from dgtui.engine.catalog import (  # they bring their tables
    audit,
    config_files,
    deliveries,
    due_runs,
    figures,
    health,
    notifications,
    past,
    proofs,
    rehearsals,
    retention,
)
from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.database import CatalogError, Database
from dgtui.engine.catalog.tables import SCHEMA_VERSION

__all__ = [
    "SCHEMA_VERSION",
    "Catalog",
    "CatalogError",
    "Database",
    "audit",
    "config_files",
    "deliveries",
    "due_runs",
    "figures",
    "health",
    "notifications",
    "past",
    "proofs",
    "rehearsals",
    "retention",
]
