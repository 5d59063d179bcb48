"""Backup folders by their names, which are times."""

import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.model import RESTORABLE


def folders_around(catalog: Catalog, job: str, name: str) -> tuple[str, ...]:
    """The names of the job's backup folders next to a name: the last before it and the first after it, or it itself."""
    columns = tables.executions.c
    chosen = sa.select(columns.folder).where(columns.job == job, columns.status.in_(sorted(RESTORABLE)))
    queries = (
        chosen.where(columns.folder >= name).order_by(columns.folder).limit(1),
        chosen.where(columns.folder < name).order_by(columns.folder.desc()).limit(1),
    )
    with catalog.transaction() as connection:
        return tuple(str(found) for query in queries if (found := connection.scalar(query)) is not None)
