"""What is left to do about a backup that the machine stopped: what the timetable asked for is made again by itself."""

from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.due_runs import undecided_runs

_BY_HAND = "start it again"
_BY_ITSELF = "a daemon that runs within the job's grace makes it again by itself; later, start it again"


def next_step(catalog: Catalog, execution_id: str) -> str:
    """The end of a hint, for a backup that is still recorded as under way. Raises CatalogError."""
    by_itself = any(run.execution_id == execution_id for run in undecided_runs(catalog))
    return _BY_ITSELF if by_itself else _BY_HAND
