"""How many backups may run at once, and how many do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.due_runs import QueuedRun
from dgtui.engine.runs import RunPaths
from dgtui.engine.sizes import counted


class Places:
    """The places for backups on this machine and at each datasource, and which are taken, whoever took them."""

    def __init__(self, config: Config, taken: Mapping[str, int]) -> None:
        """`taken` is the number of backups under way of each datasource."""
        self._config = config
        self._taken = Counter(taken)

    @classmethod
    def look(cls, catalog: Catalog, paths: RunPaths, config: Config, queue: Sequence[QueuedRun]) -> Self:
        """Count the backups under way, without those that wait."""
        waiting = {run.execution_id for run in queue}
        return cls(
            config,
            Counter(
                execution.datasource
                for execution in catalog.unfinished()
                if execution.execution_id not in waiting and paths.is_alive(execution.execution_id)
            ),
        )

    def obstacle(self, datasource: str) -> str | None:
        """What one more backup of a datasource has to wait for; None where it may run now."""
        here = self._config.guardian.max_concurrent
        if self._taken.total() >= here:
            return f"a place: at most {counted(here, 'backups')} at once on this machine (max_concurrent of [guardian])"
        there = self._config.require_datasource(datasource).max_concurrent
        if self._taken[datasource] >= there:
            return f"a place: at most {counted(there, 'backups')} of {datasource} at once (its max_concurrent)"
        return None

    def take(self, datasource: str) -> None:
        """One more runs."""
        self._taken[datasource] += 1
