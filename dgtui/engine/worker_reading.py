"""A worker whose work begins with what the catalogue knows: of the backup that it reads, and where its copies lie."""

import contextlib
from pathlib import Path
from typing import Any

from dgtui.engine.cancellation import Cancellation
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.errors import ConfigError, DataGuardianError
from dgtui.engine.model import Execution
from dgtui.engine.run_files import prune_run_files
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.secrets import observe_secrets
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import know_marker
from dgtui.engine.telling import SecretReads, Teller
from dgtui.engine.worker_base import OrderT, Worker


class ReadingWorker(Worker[OrderT]):
    """Carries out an order about a backup that exists."""

    def __init__(self, state: Path, order: OrderT, run: RunWriter, cancellation: Cancellation) -> None:
        """Open the catalogue. Raises CatalogError."""
        super().__init__(state, order, run, cancellation)
        self._catalog = Catalog(state)
        self._teller = Teller(self._catalog, self._config, self._warn)
        observe_secrets(SecretReads(self._teller))

    def _leave(self) -> None:
        with contextlib.suppress(DataGuardianError):
            prune_run_files(self._catalog, self._paths, kept_seconds=self._config.guardian.run_logs_kept)
        self._catalog.close()

    def _execution(self, execution_id: str) -> Execution:
        execution = self._catalog.execution(execution_id)
        if execution is None:
            raise ConfigError(
                f"The catalogue does not know execution {execution_id}",
                subject=execution_id,
                hint="dgtui scan STORAGE reads what a storage holds",
            )
        return execution

    def _storages_of(self, execution: Execution, chosen: str | None) -> list[Storage[Any]]:
        """The storages of the copies, the one that was asked for, or all of the configuration that have one."""
        names = [copy.storage for copy in execution.copies if copy.path and copy.storage in self._config.storages]
        ordered = [name for name in self._config.storages if name in names]
        if chosen is not None and chosen not in ordered:
            raise ConfigError(
                f"There is no copy of this backup at {chosen}",
                subject=chosen,
                hint=f"It is at {', '.join(ordered) or 'no storage of this configuration'}",
            )
        return [self._storage(name) for name in ([chosen] if chosen is not None else ordered)]

    def _storage(self, name: str) -> Storage[Any]:
        storage = self._config.storage(name)
        with contextlib.suppress(DataGuardianError):
            know_marker(self._catalog, storage)
        return storage

    def _target(self, name: str, execution: Execution | None) -> Datasource[Any]:
        """The datasource to restore into; as patient as the backup's job."""
        target = self._config.datasource(name)
        job = self._config.jobs.get(execution.job) if execution is not None else None
        if job is not None:
            target.idle_timeout = float(job.idle_timeout)
        return target

    def _restore_jobs(self, execution: Execution) -> int | None:
        """How many processes the backup's job wants to load at once."""
        job = self._config.jobs.get(execution.job)
        return job.restore_jobs if job is not None else None
