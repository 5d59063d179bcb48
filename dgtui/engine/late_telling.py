"""Telling of backups whose worker died before it could tell anybody."""

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.model import Execution
from dgtui.engine.run_follower import last_status
from dgtui.engine.runs import RunPaths
from dgtui.engine.telling import Teller, Warn


class LateTeller(Teller):
    """Sends the heartbeats of what it recorded by itself, once no lock is held any more."""

    def __init__(self, catalog: Catalog, config: Config, paths: RunPaths, warn: Warn) -> None:
        super().__init__(catalog, config, warn)
        self._executions = catalog
        self._paths = paths
        self._recorded: list[Execution] = []

    def record_end(self, execution: Execution, *, known: bool = False) -> None:
        """As any other. Raises CatalogError."""
        super().record_end(execution, known=known)
        self._recorded.append(execution)

    def send_heartbeats(self) -> None:
        """Tell a service that watches for silence what the workers did not live to tell it."""
        self.late_heartbeats([execution for execution in self._recorded if self._is_untold(execution)])

    def _is_untold(self, execution: Execution) -> bool:
        """Whether its worker did not say its end, which comes after the heartbeat, and no later run of the job did."""
        if execution.purpose != "backup" or last_status(self._paths, execution.execution_id) is not None:
            return False
        newest = self._executions.last_runs([execution.job], purpose="backup").get(execution.job)
        if newest is None or newest.execution_id == execution.execution_id:
            return True
        # One that a worker recorded nowhere has no place in the order yet.
        return 0 < newest.sequence < execution.sequence
