"""Notifications, their deliveries and the audit log, as screens and commands ask for them."""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

from dgtui.config import Config
from dgtui.engine.audit import Verdict, verify_audit
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.audit import AuditTable
from dgtui.engine.catalog.deliveries import Deliveries
from dgtui.engine.catalog.delivery_items import DeliveryItems, Item
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.errors import ConfigError
from dgtui.engine.messages import now
from dgtui.engine.model import Record
from dgtui.engine.notification_model import AuditEntry, Delivery, Notification, NotificationKind
from dgtui.engine.notify.channels import send
from dgtui.engine.notify.courier import Courier, DeliveryReport, due_of
from dgtui.engine.notify.message import test_message
from dgtui.engine.notify.rules import channels_for

_NOT_BEGUN = "waits for the next delivery: by a daemon, at the end of a run, or dgtui notify --deliver"
_WAITS = "waits for its group, its digest or the end of quiet hours"


class Undelivered(Record, frozen=True):
    """Something that was not sent for sure: why, and how long already."""

    channel: str
    status: str
    """`held` for what waits for its time, else the delivery's state."""
    titles: tuple[str, ...]
    """The messages of the notifications in it."""
    created_at: datetime
    age_seconds: float
    attempts: int = 0
    next_try_at: datetime | None = None
    reason: str = ""
    delivery_id: str = ""


class Telling(Record, frozen=True):
    """How one channel was told of a notification, or why not yet."""

    channel: str
    status: str
    """`held` for what waits for its time, else the delivery's state."""
    created_at: datetime
    reminder: int = 0
    """0 for the first message about it, then which reminder it is."""
    sent_at: datetime | None = None
    attempts: int = 0
    next_try_at: datetime | None = None
    reason: str = ""


class Records:
    """What was told, what is still to be sent, and who did what."""

    def __init__(self, catalog: Catalog, config: Callable[[], Config], *, clock: Callable[[], datetime] = now) -> None:
        self._catalog = catalog
        self._config = config
        self._clock = clock
        self._notifications = Notifications(catalog)

    def notifications(
        self, *, kind: NotificationKind | None = None, unread: bool = False, limit: int | None = None
    ) -> list[Notification]:
        """Notifications, the unread ones first and then the newest."""
        return self._notifications.listed(kind=kind, unread=unread, limit=limit)

    def notification_count(self, *, kind: NotificationKind | None = None, unread: bool = False) -> int:
        """How many of them there are."""
        return self._notifications.count(kind=kind, unread=unread)

    def unread_counts(self) -> dict[str, int]:
        """How many notifications are unread, by kind."""
        return self._notifications.unread_counts()

    def notification(self, reference: str) -> Notification:
        """One notification by the first characters of its id. Raises ConfigError."""
        found = self._notifications.by_prefix(reference) if reference else []
        if len(found) != 1:
            many = "more than one notification" if found else "no notification"
            raise ConfigError(
                f"There is {many} whose id begins with {reference!r}",
                subject=reference,
                hint="dgtui notifications lists them",
            )
        return found[0]

    def mark_read(self, notification_ids: Sequence[str]) -> int:
        """Mark these as read; how many were not before."""
        return self._notifications.mark_read(notification_ids, at=self._clock())

    def mark_all_read(self) -> int:
        """Mark all as read; how many were not before."""
        return self._notifications.mark_read(None, at=self._clock())

    def tellings(self, notification_id: str) -> list[Telling]:
        """Which channels were told of a notification and which are still to be, the oldest first."""
        at, config, deliveries = self._clock(), self._config(), Deliveries(self._catalog)
        return [
            self._waiting(deliveries, item, at, config) if delivery is None else self._telling(item, delivery, config)
            for item, delivery in DeliveryItems(self._catalog).about(notification_id)
        ]

    def _waiting(self, deliveries: Deliveries, item: Item, at: datetime, config: Config) -> Telling:
        settings = config.channels.get(item.channel)
        return Telling(
            channel=item.channel,
            status="held",
            created_at=item.created_at,
            reminder=item.reminder,
            next_try_at=due_of(deliveries, item, settings, at) if settings else None,
            reason=_held(item.channel, config) or _WAITS,
        )

    def _telling(self, item: Item, delivery: Delivery, config: Config) -> Telling:
        return Telling(
            channel=item.channel,
            status=delivery.status,
            created_at=item.created_at,
            reminder=item.reminder,
            sent_at=delivery.sent_at,
            attempts=delivery.attempts,
            next_try_at=delivery.next_try_at,
            reason=self._reason(delivery, config),
        )

    def undelivered(self) -> list[Undelivered]:
        """What was not sent for sure, the oldest first."""
        at = self._clock()
        config = self._config()
        deliveries, items = Deliveries(self._catalog), DeliveryItems(self._catalog)
        found = [self._outstanding(one, items, at, config) for one in deliveries.outstanding()]
        found += [_not_sent(self._waiting(deliveries, item, at, config), item, at) for item in items.waiting()]
        found += [
            Undelivered(
                channel=channel,
                status="held",
                titles=(notification.message,),
                created_at=notification.created_at,
                age_seconds=(at - notification.created_at).total_seconds(),
                reason=_NOT_BEGUN,
            )
            for notification in items.unrouted()
            for channel in channels_for(notification, config, at)
        ]
        return sorted(found, key=lambda one: one.created_at)

    def _outstanding(self, delivery: Delivery, items: DeliveryItems, at: datetime, config: Config) -> Undelivered:
        return Undelivered(
            channel=delivery.channel,
            status=delivery.status,
            titles=tuple(item.notification.message for item in items.of_delivery(delivery.delivery_id)),
            created_at=delivery.created_at,
            age_seconds=(at - delivery.created_at).total_seconds(),
            attempts=delivery.attempts,
            next_try_at=delivery.next_try_at,
            reason=self._reason(delivery, config),
            delivery_id=delivery.delivery_id,
        )

    def _reason(self, delivery: Delivery, config: Config) -> str:
        if delivery.status == "perhaps sent":
            again = f"dgtui notify --again {delivery.delivery_id[:8]}"
            return f"the program ended while the receiver could have had it; it is sent again by: {again}"
        if delivery.status != "sent" and (held := _held(delivery.channel, config)):
            return held
        return delivery.problem.message if delivery.problem is not None else ""

    def deliver(self) -> DeliveryReport:
        """Send what is due, once. Raises CatalogError, StorageError."""
        return Courier(self._catalog, self._config(), clock=self._clock).deliver()

    def send_again(self, reference: str) -> str:
        """Have a message sent at the next delivery that waits or was perhaps sent; its id. Raises ConfigError."""
        deliveries = Deliveries(self._catalog)
        found = [one for one in deliveries.by_prefix(reference) if one.status in ("waiting", "perhaps sent")]
        if not reference or len(found) != 1:
            raise ConfigError(
                f"There is not exactly one undelivered message whose id begins with {reference!r}",
                subject=reference,
                hint="dgtui notify lists them",
            )
        deliveries.wait_again(found[0].delivery_id, at=self._clock())
        return found[0].delivery_id

    def test_channel(self, name: str) -> str:
        """Send a test through a channel now; what was odd about it although it was taken.

        Raises DataGuardianError, which tells the step that failed.
        """
        settings = self._config().channel(name)
        message = test_message(str(uuid.uuid4()), name, at=self._clock())
        return send(name, settings, message, commit=lambda: None, seconds=float(settings.timeout)).odd

    def audit(self, *, since: datetime | None = None, limit: int | None = None) -> list[AuditEntry]:
        """Entries of the audit log, the newest first."""
        return AuditTable(self._catalog).entries(since=since, limit=limit)

    def newest_audit_number(self) -> int:
        """The number of the newest entry of the audit log; 0 without one."""
        last = AuditTable(self._catalog).last()
        return last[0] if last is not None else 0

    def audit_count(self, *, since: datetime | None = None) -> int:
        """How many entries the audit log has."""
        return AuditTable(self._catalog).count(since=since)

    def verify_audit(self) -> Verdict:
        """Look whether the audit log is what was written. Raises CatalogError, JobBusy."""
        return verify_audit(self._catalog)


def _not_sent(waiting: Telling, item: Item, at: datetime) -> Undelivered:
    return Undelivered(
        channel=waiting.channel,
        status=waiting.status,
        titles=(item.notification.message,),
        created_at=waiting.created_at,
        age_seconds=(at - waiting.created_at).total_seconds(),
        next_try_at=waiting.next_try_at,
        reason=waiting.reason,
    )


def _held(channel: str, config: Config) -> str:
    settings = config.channels.get(channel)
    if settings is None:
        return "the channel is not configured any more"
    return "" if settings.enabled else "the channel is not enabled"
