"""Raising a notification: it is stored here, and delivered by whoever comes by next (`Courier`)."""

from collections.abc import Sequence
from datetime import datetime

from dgtui.engine.catalog import Database
from dgtui.engine.catalog.database import Also
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.child import printable
from dgtui.engine.messages import now
from dgtui.engine.notification_model import SEVERITIES, Notification, NotificationKind, SubjectKind

_MOST_DETAILS = 200
"""What a cleanup removed may be a hundred thousand backups: no mail server takes a message that long."""


def raise_notification(
    catalog: Database,
    kind: NotificationKind,
    *,
    subject_kind: SubjectKind,
    subject: str,
    message: str,
    details: Sequence[str] = (),
    related: Sequence[str] = (),
    group_key: str = "",
    event: str = "",
    at: datetime | None = None,
    also: Also | None = None,
) -> Notification | None:
    """Store what people shall be told; None where they were told already. Raises CatalogError.

    Calling it twice is safe, also after a crash in between: of a state that lasts (`LASTING`) one is stored until it
    has ended, a kind that only ends something (`ONLY_AS_AN_END`) is stored once for it, and of an `event` (such as the
    id of a run) one is stored for ever. `group_key` is what notifications of one cause share, such as a server's
    address; `related` names the other objects that rules may ask for; what `also` writes into the catalogue is there
    once it is told, and not before. No text may hold a secret.
    """
    return Notifications(catalog).add(
        Notification(
            notification_id="",
            kind=kind,
            severity=SEVERITIES[kind],
            subject_kind=subject_kind,
            subject=subject,
            message=printable(message),
            created_at=at or now(),
            details=_shortened(details),
            related=tuple(related),
            group_key=group_key,
        ),
        event=f"{kind} {event}" if event else "",
        also=also,
    )


def end_states(
    catalog: Database,
    kinds: Sequence[NotificationKind],
    *,
    subject_kind: SubjectKind,
    subject: str,
    at: datetime | None = None,
) -> int:
    """Record in silence that lasting states are over, so that nobody is reminded; how many. Raises CatalogError."""
    return Notifications(catalog).end(kinds, subject_kind=subject_kind, subject=subject, at=at or now())


def _shortened(details: Sequence[str]) -> tuple[str, ...]:
    """The first lines, and how many more there were."""
    told = tuple(printable(line) for line in details[:_MOST_DETAILS])
    left = len(details) - len(told)
    return (*told, f"... and {left:,} more") if left else told
