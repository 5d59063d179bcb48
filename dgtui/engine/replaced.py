"""What restores have replaced and kept: listed, and dropped when somebody says so or its time is over."""

from datetime import datetime

import msgspec

from dgtui.config import Config
from dgtui.engine.audit import append_audit
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import ConfigError, DataGuardianError
from dgtui.engine.locks import Lock, take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, RESTORABLE, Execution, Record
from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_task import target_lock_name
from dgtui.engine.restore_traces import kept_name
from dgtui.engine.runs import RunPaths


class Kept(Record, frozen=True):
    """The former content of a target, kept beside it."""

    restore_id: str
    datasource: str
    target: str
    kept_as: str
    kept_until: datetime | None
    """When it may be dropped by itself; None for never, as with restores of earlier versions."""
    only_way_back: bool = False
    """Whether there was a safety backup too and is not any more; then it is not dropped by itself."""


def kept_replaced(catalog: Catalog) -> list[Kept]:
    """All that is kept, the newest first."""
    kept = []
    for restore in catalog.restores():
        name = kept_name(restore)
        if name is not None and restore.status in ENDED:
            alone = restore.safety_execution_id is not None and safety_of(catalog, restore) is None
            kept.append(
                Kept(
                    restore_id=restore.restore_id,
                    datasource=restore.datasource,
                    target=restore.target,
                    kept_as=name,
                    kept_until=restore.kept_until,
                    only_way_back=alone,
                )
            )
    return kept


def safety_of(catalog: Catalog, restore: Restore) -> Execution | None:
    """The safety backup of what a restore replaced, where it can still be restored."""
    found = catalog.execution(restore.safety_execution_id) if restore.safety_execution_id is not None else None
    if found is None or found.status not in RESTORABLE:
        return None
    return found if any(copy.path and copy.status not in ("missing", "corrupt") for copy in found.copies) else None


def drop_replaced(catalog: Catalog, config: Config, paths: RunPaths, restore_id: str) -> Restore:
    """Drop what a restore has kept; its record. Raises ConfigError, JobBusy, and what the datasource raises."""
    restore = catalog.restore(restore_id)
    name = kept_name(restore) if restore is not None else None
    if restore is None or name is None:
        raise ConfigError(
            f"Restore {restore_id[:8]} keeps nothing",
            subject=restore_id,
            hint="dgtui drop-replaced --list shows what is kept",
        )
    target = config.datasource(restore.datasource)
    # A restore into the target may be about to swap it in.
    with _held(paths, target_lock_name(target, restore.target), f"drop {name}"):
        target.drop_target(name)
        dropped = msgspec.structs.replace(restore, kept_as=None, part_kept_as=None, kept_until=None, dropped_at=now())
        catalog.save_restore(dropped)
        append_audit(
            catalog,
            "drop replaced",
            object_kind="restore",
            object_name=restore.restore_id,
            outcome="completed",
            details=(f"{name}, the former content of {restore.target} ({restore.datasource})",),
        )
    return dropped


def drop_expired(
    catalog: Catalog, config: Config, paths: RunPaths, moment: datetime
) -> tuple[list[Restore], list[DataGuardianError]]:
    """Drop all whose time is over, but for the only way back; the records, and what kept others from being dropped."""
    dropped: list[Restore] = []
    failures: list[DataGuardianError] = []
    for kept in kept_replaced(catalog):
        if kept.kept_until is None or kept.kept_until > moment or kept.only_way_back:
            continue
        try:
            dropped.append(drop_replaced(catalog, config, paths, kept.restore_id))
        except DataGuardianError as error:
            failures.append(error)
    return dropped, failures


def _held(paths: RunPaths, name: str, purpose: str) -> Lock:
    return take_lock(paths.locks / f"{name}.lock", purpose=purpose)
