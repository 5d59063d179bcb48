"""Executions by their ids, many at once, and backup folders by their names, which are times."""

from collections.abc import Sequence

from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.conditions import IS_RESTORABLE
from dgtui.engine.catalog.statements import Sql, any_of
from dgtui.engine.model import Execution


def executions_named(catalog: Catalog, execution_ids: Sequence[str]) -> dict[str, Execution]:
    """Those of these executions that are known, by their ids."""
    wanted = any_of("execution_id", execution_ids)
    found = catalog.select_executions(Sql(wanted.where, wanted.values))
    return {execution.execution_id: execution for execution in found}


def folders_around(catalog: Catalog, job: str, name: str) -> tuple[str, ...]:
    """The names of the job's backup folders next to a name: the last before it and the first after it, or it itself."""
    chosen = f"SELECT folder FROM executions WHERE job = :job AND {IS_RESTORABLE}"
    queries = (
        f"{chosen} AND folder >= :name ORDER BY folder LIMIT 1",
        f"{chosen} AND folder < :name ORDER BY folder DESC LIMIT 1",
    )
    values = {"job": job, "name": name}
    with catalog.transaction() as connection:
        return tuple(str(found) for query in queries if (found := connection.scalar(query, values)) is not None)
