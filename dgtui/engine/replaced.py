"""What restores have replaced and kept: listed, and dropped when somebody says so or its time is over."""

from datetime import datetime

import msgspec

from dgtui.config import Config
from dgtui.engine.audit import append_audit
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import ConfigError, DataGuardianError
from dgtui.engine.locks import Lock, take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, Record, Restore
from dgtui.engine.restore_task import target_lock_name
from dgtui.engine.runs import RunPaths


class Kept(Record, frozen=True):
    """The former content of a target, kept beside it."""

    restore_id: str
    datasource: str
    target: str
    kept_as: str
    kept_until: datetime | None
    """When it may be dropped by itself; None for never, as with restores of earlier versions."""


def kept_replaced(catalog: Catalog) -> list[Kept]:
    """All that is kept, the newest first."""
    return [
        Kept(
            restore_id=restore.restore_id,
            datasource=restore.datasource,
            target=restore.target,
            kept_as=restore.kept_as,
            kept_until=restore.kept_until,
        )
        for restore in catalog.restores()
        if restore.kept_as is not None and restore.status in ENDED
    ]


def drop_replaced(catalog: Catalog, config: Config, paths: RunPaths, restore_id: str) -> Restore:
    """Drop what a restore has kept; its record. Raises ConfigError, JobBusy, and what the datasource raises."""
    restore = catalog.restore(restore_id)
    if restore is None or restore.kept_as is None:
        raise ConfigError(
            f"Restore {restore_id[:8]} keeps nothing",
            subject=restore_id,
            hint="dgtui drop-replaced --list shows what is kept",
        )
    target = config.datasource(restore.datasource)
    # A restore into the target may be about to swap it in.
    with _held(paths, target_lock_name(target, restore.target), f"drop {restore.kept_as}"):
        target.drop_target(restore.kept_as)
        dropped = msgspec.structs.replace(restore, kept_as=None, kept_until=None, dropped_at=now())
        catalog.save_restore(dropped)
        append_audit(
            catalog,
            "drop replaced",
            object_kind="restore",
            object_name=restore.restore_id,
            outcome="completed",
            details=(f"{restore.kept_as}, the former content of {restore.target} ({restore.datasource})",),
        )
    return dropped


def drop_expired(
    catalog: Catalog, config: Config, paths: RunPaths, moment: datetime
) -> tuple[list[Restore], list[DataGuardianError]]:
    """Drop all whose time is over; the records, and what kept others from being dropped."""
    dropped: list[Restore] = []
    failures: list[DataGuardianError] = []
    for kept in kept_replaced(catalog):
        if kept.kept_until is None or kept.kept_until > moment:
            continue
        try:
            dropped.append(drop_replaced(catalog, config, paths, kept.restore_id))
        except DataGuardianError as error:
            failures.append(error)
    return dropped, failures


def _held(paths: RunPaths, name: str, purpose: str) -> Lock:
    return take_lock(paths.locks / f"{name}.lock", purpose=purpose)
