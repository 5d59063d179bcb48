"""The order of an undo: made for whoever asks for it, and by the daemon where nobody can be asked."""

import uuid
from datetime import datetime

from dgtui.config import Config
from dgtui.engine.notification_model import Actor
from dgtui.engine.orders import RestoreOrder
from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_refusals import swap_needed
from dgtui.engine.undo_choice import UndoChoice


def undo_order(
    config: Config,
    restore: Restore,
    choice: UndoChoice,
    actor: Actor,
    at: datetime,
    *,
    reason: str = "",
    safety: bool | None = None,
    safety_to: str | None = None,
    in_place: bool = False,
) -> RestoreOrder:
    """The order that takes a restore back in the chosen way.

    What is only partly filled may be filled in its own place: that makes nothing worse. Raises ConfigError where there
    is no way, RestoreError where the only one needs `in_place` or the target cannot be asked now.
    """
    if choice.way is None:
        raise choice.refusal
    in_place = in_place or restore.partly_filled
    if choice.obstacle and not in_place:
        raise swap_needed(restore.target, choice.obstacle, choice.grants)
    by_kept = choice.way == "kept"
    return RestoreOrder(
        run_id=str(uuid.uuid4()),
        config_path=str(config.path) if config.path is not None else None,
        config_kept=str(config.kept) if config.kept is not None else None,
        ordered_at=at,
        restored_by=actor.user,
        origin=actor.origin,
        execution_id=choice.execution_id or "",
        datasource=restore.datasource,
        database=restore.target,
        selection=choice.selection,
        part=choice.part,
        overwrite=True,
        safety=(not by_kept or safety_to is not None) if safety is None else safety,
        safety_to=safety_to,
        in_place=in_place,
        reason=reason,
        undo_of=restore.restore_id,
        kept_as=choice.kept_as if by_kept else None,
    )
