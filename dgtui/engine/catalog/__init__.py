"""The catalogue: what this machine knows of executions, copies, restores and all that is watched."""

from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.stand_in import open_or_stand_in
from dgtui.engine.catalog.tables import SCHEMA_VERSION

__all__ = ["SCHEMA_VERSION", "Catalog", "Database", "open_or_stand_in"]
