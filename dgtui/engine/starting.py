"""Starting runs: the order that each worker gets, the locks it is born with, and the row that announces it."""

import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from dgtui.config import Config, JobSettings
from dgtui.engine.audit import current_actor
from dgtui.engine.backup import ordered_plan, started_execution
from dgtui.engine.backup_start import BackupStart, start_lock
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.launch import fork_worker
from dgtui.engine.locks import Lock
from dgtui.engine.lookup import Lookup
from dgtui.engine.messages import now
from dgtui.engine.model import Execution
from dgtui.engine.orders import AnyOrder, BackupOrder, RestoreOrder, ValidateOrder
from dgtui.engine.own_places import refuse_own_places
from dgtui.engine.rehearsal import rehearse_order
from dgtui.engine.restore_refusals import refuse_deep
from dgtui.engine.restore_task import started_restore, target_lock_name
from dgtui.engine.runs import RunPaths
from dgtui.engine.spawning import Start, launch, spawn_worker


class RunStarter(Lookup):
    """Starts backups, restores, checks and rehearsals."""

    def __init__(self, config: Config, catalog: Catalog, paths: RunPaths, *, fork_workers: bool = False) -> None:
        """`fork_workers` is for programs without threads: their workers start faster."""
        super().__init__(config, catalog, paths)
        self._fork_workers = fork_workers

    def start_job(self, name: str, *, description: str = "") -> str:
        """Start the backup of a configured job; its execution id. Raises ConfigError, JobBusy."""
        return self._backup_start().job(name, description=description)

    def start_backup(self, job: JobSettings, *, description: str = "") -> str:
        """Start a backup that no configured job describes; its execution id. Raises ConfigError, JobBusy."""
        return self._backup_start().manual(job, description=description)

    def _backup_start(self) -> BackupStart:
        def announce(order: BackupOrder) -> None:
            plan = ordered_plan(order, self.paths.scratch(order.run_id))
            kind = self.config.require_datasource(order.job.datasource).type
            self.catalog.save_execution(started_execution(plan, kind, order.ordered_at))
            self._ready_to_fork()

        return BackupStart(self.config, self.paths, self._start_worker, announce)

    def start_restore(
        self,
        execution: Execution,
        *,
        storage: str | None = None,
        datasource: str | None = None,
        database: str | None = None,
        selection: Selection | None = None,
        overwrite: bool = False,
        name_as: str | None = None,
        without_missing_roles: bool = True,
        merge: bool = False,
        deep: bool = False,
        jobs: int | None = None,
        reason: str = "",
        safety: bool = True,
        safety_to: str | None = None,
        in_place: bool = False,
    ) -> str:
        """Start a restore; its id. Raises ConfigError, JobBusy where the target is being restored already.

        A target that holds data is backed up first, to `safety_to` or the storages of the backup's job; without
        `safety` its former content is only kept beside it, where a swap is possible. With `name_as` the one chosen
        table gets that name, and nothing is replaced. What cannot be swapped is left alone, or with `in_place` filled
        in its own place, where a worker that is killed leaves it partly filled until the next start.
        """
        target = datasource or execution.datasource
        if deep:
            refuse_deep(execution, selection or Selection())
        if safety_to is not None:
            self.config.require_storage(safety_to)
        adapter, chosen = self.config.datasource(target), selection or Selection()
        place = database or adapter.database
        refuse_own_places(self.config, self.paths.state, adapter, place, chosen, merge=merge)
        return self._start_restore(
            RestoreOrder(
                **self._ordered(),
                execution_id=execution.execution_id,
                storage=storage,
                datasource=target,
                database=place,
                selection=chosen,
                overwrite=overwrite,
                name_as=name_as,
                without_missing_roles=without_missing_roles,
                merge=merge,
                deep=deep,
                safety=safety,
                safety_to=safety_to,
                in_place=in_place,
                jobs=jobs,
                reason=reason,
            )
        )

    def _ordered(self) -> dict[str, Any]:
        """Which run, when, by whom, from where."""
        actor = current_actor()
        return {
            "run_id": str(uuid.uuid4()),
            "config_path": self._config_path(),
            "ordered_at": now(),
            "restored_by": actor.user,
            "origin": actor.origin,
        }

    def _start_restore(self, order: RestoreOrder) -> str:
        adapter = self.config.datasource(order.datasource)
        name = target_lock_name(adapter, order.database)
        with start_lock(self.paths, name, f"restore into {order.database}") as target_lock:
            queued = msgspec.structs.replace(started_restore(order), status="queued")
            self._launch(order, target_lock, lambda: self.catalog.save_restore(queued))
        return order.run_id

    def start_validate(self, execution: Execution, *, storage: str | None = None) -> str:
        """Start a check of an execution's copies to their last byte; the run's id."""
        order = ValidateOrder(
            run_id=str(uuid.uuid4()),
            config_path=self._config_path(),
            ordered_at=now(),
            execution_id=execution.execution_id,
            storage=storage,
        )
        self._launch(order)
        return order.run_id

    def start_rehearsal(
        self, execution: Execution, *, storage: str | None = None, place: str | None = None, deep: bool = False
    ) -> str:
        """Start a restore for a try into a throw-away database; the run's id. Raises ConfigError, JobBusy.

        `place` is the name of a datasource or `private`; the job's place, else where the backup comes from, if empty.
        """
        order = rehearse_order(self.config, execution, current_actor(), now(), storage=storage, place=place, deep=deep)
        with start_lock(self.paths, f"rehearse-{order.job_id}", f"rehearsal of {order.job}") as lock:
            self._launch(order, lock)
        return order.run_id

    def _launch(self, order: AnyOrder, lock: Lock | None = None, announce: Callable[[], None] | None = None) -> None:
        """Start a worker; `announce` records the run once it holds its lock, so that it never looks like a dead one."""

        def record() -> None:
            if announce is not None:
                announce()
            self._ready_to_fork()

        launch(self.paths, order, lock, self._start_worker, record)

    @property
    def _start_worker(self) -> Start:
        return fork_worker if self._fork_workers else spawn_worker

    def _ready_to_fork(self) -> None:
        if self._fork_workers:
            self.catalog.close()

    def _config_path(self) -> str | None:
        return str(self.config.path) if self.config.path is not None else None
