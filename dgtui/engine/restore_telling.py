"""What is told of a restore that ended: an entry of the audit log in the name of who ordered it, and a notification.

None of it may break what it tells of: what fails here is said to `warn`, and the work goes on.
"""

from collections.abc import Callable, Sequence

from dgtui.engine.audit import append_audit
from dgtui.engine.catalog import Database
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import ExecutionStatus
from dgtui.engine.notification_model import Actor, NotificationKind
from dgtui.engine.notify import raise_notification
from dgtui.engine.problems import was_stopped
from dgtui.engine.restore_model import Restore

Warn = Callable[[str], None]

_KINDS: dict[ExecutionStatus, NotificationKind] = {
    "completed": "restore_completed",
    "failed": "restore_failed",
    "interrupted": "restore_failed",
}
"""A restore that somebody cancelled is no news to them; one that a signal stopped is."""


def tell_restore(catalog: Database, restore: Restore, warn: Warn) -> None:
    """Tell of a restore that ended, however it did."""
    end = restore.status if restore.problem is None else f"{restore.status}, {restore.problem.message}"
    _tell(catalog, restore, f"{_what(restore)}: {end}", restore.restore_id, warn)


def tell_verdict(catalog: Database, restore: Restore, warn: Warn) -> None:
    """Tell which content is in place after a restore of which that was not known when it ended."""
    message = f"{_what(restore)}: it is known now that {restore.target} {content_of(restore)}"
    _tell(catalog, restore, message, f"{restore.restore_id} settled", warn)


def content_of(restore: Restore) -> str:
    """What is in place after a restore of which that is known; the target's name comes before."""
    if restore.took_effect:
        return "holds the restored content"
    if restore.placing is not None and restore.placing.beside == restore.target:
        return "held nothing before, and may hold a part of the backup now"
    return "is as it was"


def _what(restore: Restore) -> str:
    place = f"{restore.target} ({restore.datasource})"
    if restore.undo_of is not None:
        return f"Undo of restore {restore.undo_of[:8]} in {place}"
    return f"Restore of {restore.execution_id[:8]} into {place}"


def _tell(catalog: Database, restore: Restore, message: str, event: str, warn: Warn) -> None:
    why = (
        *([f"undo of {restore.undo_of}"] if restore.undo_of is not None else []),
        *([f"reason: {restore.reason}"] if restore.reason else []),
        *([restore.problem.message] if restore.problem is not None else []),
    )
    try:
        _write_audit_entry(catalog, restore, why)
    except DataGuardianError as error:
        warn(f"The audit log could not be written: {error.message}")
    kind = "restore_failed" if was_stopped(restore.problem) else _KINDS.get(restore.status)
    if kind is None:
        return
    try:
        raise_notification(
            catalog,
            kind,
            subject_kind="datasource",
            subject=restore.datasource,
            message=message,
            details=_details(restore, why),
            event=event,
        )
    except DataGuardianError as error:
        warn(f"A notification could not be stored: {error.message}")


def _write_audit_entry(catalog: Database, restore: Restore, why: Sequence[str]) -> None:
    backup = [f"execution {restore.execution_id}"] if restore.execution_id else []
    append_audit(
        catalog,
        "restore" if restore.undo_of is None else "undo",
        object_kind="datasource",
        object_name=restore.datasource,
        outcome=restore.status,
        details=(f"restore {restore.restore_id}", *backup, f"into {restore.target}", *why),
        actor=Actor(user=restore.restored_by, origin=restore.origin) if restore.restored_by else None,
    )


def _details(restore: Restore, why: Sequence[str]) -> tuple[str, ...]:
    who = restore.restored_by + (f" from {restore.origin}" if restore.origin else "")
    next_step = [f"Next: {restore.problem.hint}"] if restore.problem is not None and restore.problem.hint else []
    return (
        f"Restore {restore.restore_id}, started by {who or 'nobody known'}",
        *why,
        *next_step,
        *restore.warnings,
        *restore.differences,
    )
