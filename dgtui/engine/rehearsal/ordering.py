"""The order for a rehearsal, checked before anything is started."""

import uuid
from datetime import datetime

from dgtui.config import PRIVATE_PLACE, Config
from dgtui.engine.errors import ConfigError
from dgtui.engine.model import RESTORABLE, Execution
from dgtui.engine.notification_model import Actor
from dgtui.engine.orders import RehearseOrder


def rehearse_order(
    config: Config,
    execution: Execution,
    actor: Actor,
    at: datetime,
    *,
    run_id: str | None = None,
    storage: str | None = None,
    place: str | None = None,
    deep: bool = False,
) -> RehearseOrder:
    """Where no place is given, it is the one of the backup's job. Raises ConfigError."""
    if execution.status not in RESTORABLE:
        raise ConfigError(
            f"Execution {execution.execution_id[:8]} ended {execution.status} and left no backup",
            subject=execution.execution_id,
            hint="Choose another one: dgtui list --status completed",
        )
    if execution.backup_type == "data_only":
        raise ConfigError(
            "A backup of data alone cannot be rehearsed: its tables are not in it",
            subject=execution.execution_id,
            hint="Rehearse a full backup",
        )
    job = config.jobs.get(execution.job)
    chosen = place or (job.rehearse_in if job is not None else None)
    _check_place(config, execution, chosen)
    return RehearseOrder(
        run_id=run_id or str(uuid.uuid4()),
        config_path=str(config.path) if config.path is not None else None,
        config_kept=str(config.kept) if config.kept is not None else None,
        ordered_at=at,
        execution_id=execution.execution_id,
        job_id=execution.job_id,
        job=execution.job,
        datasource=execution.datasource,
        storage=storage,
        place=chosen,
        deep=deep,
        ordered_by=actor.user,
        origin=actor.origin,
    )


def _check_place(config: Config, execution: Execution, place: str | None) -> None:
    if place == PRIVATE_PLACE:
        config.require_datasource(execution.datasource)
        if "private_server" not in config.datasource_options(execution.datasource):
            raise ConfigError(
                f"A backup of kind {execution.datasource_type} cannot be rehearsed on a private server",
                subject=execution.datasource,
                hint="Choose a datasource, or the place that the job names",
            )
        return
    kind = config.require_datasource(place or execution.datasource).type
    if kind != execution.datasource_type:
        raise ConfigError(
            f"A backup of kind {execution.datasource_type} cannot be rehearsed at {place}, which is {kind}",
            subject=place or execution.datasource,
            hint=f"Choose a datasource of kind {execution.datasource_type}",
        )
