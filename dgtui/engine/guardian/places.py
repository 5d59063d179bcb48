"""How many backups may run at once, and how many do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.due_runs import QueuedRun
from dgtui.engine.runs import RunPaths


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

    def free_for(self, datasource: str) -> bool:
        """Whether one more backup of a datasource may run now."""
        if self._taken.total() >= self._config.guardian.max_concurrent:
            return False
        return self._taken[datasource] < self._config.require_datasource(datasource).max_concurrent

    def take(self, datasource: str) -> None:
        """One more runs."""
        self._taken[datasource] += 1
