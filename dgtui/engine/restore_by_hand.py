"""Recording a restore that somebody did without this program."""

import contextlib
import uuid
from datetime import UTC, datetime
from functools import partial

from dgtui.config import Config
from dgtui.engine.audit import HeadNotWritten, append_audit, current_actor
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.writing import write_restore
from dgtui.engine.errors import ConfigError
from dgtui.engine.messages import now
from dgtui.engine.model import RESTORABLE, Execution
from dgtui.engine.notification_model import Actor
from dgtui.engine.notify import raise_notification
from dgtui.engine.restore_model import Restore


def mark_restored(
    catalog: Catalog, config: Config, execution: Execution, *, reason: str, at: datetime | None = None
) -> Restore:
    """Add it to the restores, to the audit log and to the notifications. Raises ConfigError.

    Nobody compared what came back, so that it is no proof of the backup.
    """
    moment = at or now()
    _check(execution, reason, moment)
    actor = current_actor()
    restore = _restore_by_hand(config, execution, actor, reason.strip(), moment)
    catalog.need_writable()
    # Then the entry is there, and so is what it tells of: others are told all the same.
    with contextlib.suppress(HeadNotWritten):
        append_audit(
            catalog,
            "mark restored",
            object_kind="execution",
            object_name=execution.execution_id,
            outcome="done",
            details=(
                f"job {execution.job}",
                f"into {restore.target}",
                f"at {moment:%Y-%m-%d %H:%M:%S} UTC",
                restore.reason,
            ),
            actor=actor,
            # Together: whoever reads that it failed does it once more.
            also=partial(write_restore, restore=restore),
        )
    raise_notification(
        catalog,
        "restore_completed",
        subject_kind="datasource",
        subject=execution.datasource,
        message=f"{actor.user} restored {execution.execution_id[:8]} of {execution.job} into {restore.target} by hand",
        details=(restore.reason,),
        related=(execution.job,),
        event=restore.restore_id,
    )
    return restore


def _restore_by_hand(config: Config, execution: Execution, actor: Actor, reason: str, moment: datetime) -> Restore:
    settings = config.datasources.get(execution.datasource)
    return Restore(
        restore_id=str(uuid.uuid4()),
        execution_id=execution.execution_id,
        datasource=execution.datasource,
        target=settings.source if settings is not None else execution.datasource,
        status="completed",
        started_at=moment,
        finished_at=moment,
        reason=reason,
        restored_by=actor.user,
        origin=actor.origin,
        by_hand=True,
    )


def moment_of(text: str) -> datetime:
    """A time as people write it, by the local clock where it names no zone. Raises ConfigError."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{text!r} is no time such as 2025-02-13T06:00",
            subject=text,
            hint="With a zone where it is not that of this machine: 2025-02-13T06:00+01:00",
        ) from None


def _check(execution: Execution, reason: str, moment: datetime) -> None:
    short = execution.execution_id[:8]
    if execution.status not in RESTORABLE:
        raise ConfigError(
            f"Execution {short} ended {execution.status} and left no backup",
            subject=execution.execution_id,
            hint="Choose another one: dgtui list --status completed",
        )
    if not reason.strip():
        raise ConfigError("A reason is needed", subject=execution.execution_id, hint='--reason "why it was restored"')
    if moment > now():
        raise ConfigError("A restore in the future cannot be recorded", subject=str(moment), hint="Correct --at")
    if moment < execution.started_at:
        raise ConfigError(
            f"At {moment:%Y-%m-%d %H:%M:%S} UTC the backup {short} was not made yet",
            subject=execution.execution_id,
            hint="Correct --at, or name an earlier backup",
        )
