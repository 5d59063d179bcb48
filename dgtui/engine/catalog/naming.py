"""Executions by their ids, many at once, and backup folders by their names, which are times."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.model import RESTORABLE, Execution


def executions_named(catalog: Catalog, execution_ids: Sequence[str]) -> dict[str, Execution]:
    """Those of these executions that are known, by their ids."""
    ids = msgspec.json.encode(list(execution_ids)).decode()
    wanted = sa.select(sa.func.json_each(ids).table_valued("value").c.value)
    query = sa.select(tables.executions).where(tables.executions.c.execution_id.in_(wanted))
    return {found.execution_id: found for found in catalog.select_executions(query)}


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
