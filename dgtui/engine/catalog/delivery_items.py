"""Which notification is for which channel: chosen once, and reminded of while what it tells of lasts."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.deliveries import Deliveries
from dgtui.engine.catalog.delivery_tables import deliveries, delivery_items
from dgtui.engine.catalog.notifications import decoded, notifications
from dgtui.engine.model import Record
from dgtui.engine.notification_model import LASTING, Delivery, Notification


class Item(Record, frozen=True):
    """One notification for one channel."""

    item: int
    channel: str
    created_at: datetime
    notification: Notification
    reminder: int = 0
    """0 for the first message about it, then which reminder it is."""


class Told(Record, frozen=True):
    """When a channel was last told of a state that still lasts."""

    notification: Notification
    channel: str
    reminder: int
    sent_at: datetime


class DeliveryItems:
    """What is to be told through which channel."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def route(self, choose: Callable[[Notification], Iterable[str]], *, at: datetime) -> int:
        """Give every new notification to the channels that `choose` names; how many items that made."""
        made = 0
        with self._database.exclusive() as connection:
            query = sa.select(notifications).where(notifications.c.routed_at.is_(None))
            found = connection.execute(query.order_by(notifications.c.sequence)).mappings().all()
            for row in found:
                for channel in choose(decoded(row)):
                    connection.execute(
                        sa.insert(delivery_items).values(
                            notification_id=row["notification_id"],
                            channel=channel,
                            reminder=0,
                            created_at=row["created_at"],
                        )
                    )
                    made += 1
            if found:
                # Nobody adds one meanwhile; named one by one, they may be more than SQLite takes in a statement.
                routed = sa.update(notifications).where(notifications.c.routed_at.is_(None))
                connection.execute(routed.values(routed_at=time_text(at)))
        return made

    def unrouted(self) -> list[Notification]:
        """Notifications that nobody has chosen channels for yet, the oldest first."""
        query = sa.select(notifications).where(notifications.c.routed_at.is_(None)).order_by(notifications.c.sequence)
        with self._database.transaction() as connection:
            return [decoded(row) for row in connection.execute(query).mappings()]

    def told(self) -> list[Told]:
        """What was sent last, by channel, of each state that still lasts; nothing where something still waits."""
        still_so = (notifications.c.kind.in_(sorted(LASTING)), notifications.c.ended_at.is_(None))
        newest = (
            sa.select(
                delivery_items.c.notification_id,
                delivery_items.c.channel,
                sa.func.max(delivery_items.c.reminder).label("reminder"),
            )
            .where(delivery_items.c.notification_id.in_(sa.select(notifications.c.notification_id).where(*still_so)))
            .group_by(delivery_items.c.notification_id, delivery_items.c.channel)
            .subquery()
        )
        query = (
            sa.select(notifications, newest.c.channel, newest.c.reminder, deliveries.c.sent_at)
            .join(newest, newest.c.notification_id == notifications.c.notification_id)
            .join(
                delivery_items,
                sa.and_(
                    delivery_items.c.notification_id == newest.c.notification_id,
                    delivery_items.c.channel == newest.c.channel,
                    delivery_items.c.reminder == newest.c.reminder,
                ),
            )
            .join(deliveries, deliveries.c.delivery_id == delivery_items.c.delivery_id)
            .where(deliveries.c.sent_at.is_not(None))
        )
        with self._database.transaction() as connection:
            return [
                msgspec.convert(
                    {"notification": msgspec.to_builtins(decoded(row)), **{name: row[name] for name in _TOLD_COLUMNS}},
                    Told,
                )
                for row in connection.execute(query).mappings()
            ]

    def remind(self, told: Told, *, at: datetime) -> None:
        """Add a reminder of what was told."""
        with self._database.transaction() as connection:
            connection.execute(
                sa.insert(delivery_items).values(
                    notification_id=told.notification.notification_id,
                    channel=told.channel,
                    reminder=told.reminder + 1,
                    created_at=time_text(at),
                )
            )

    def waiting(self) -> list[Item]:
        """Items that are not part of a delivery yet, the oldest first."""
        return [_item(row) for row in self._rows(delivery_items.c.delivery_id.is_(None))]

    def of_delivery(self, delivery_id: str) -> list[Item]:
        """The items of a delivery, the oldest first."""
        return [_item(row) for row in self._rows(delivery_items.c.delivery_id == delivery_id)]

    def about(self, notification_id: str) -> list[tuple[Item, Delivery | None]]:
        """The items of a notification, each with the delivery it is part of, the oldest first."""
        rows = self._rows(delivery_items.c.notification_id == notification_id)
        parts = [row["delivery_id"] for row in rows if row["delivery_id"] is not None]
        known = {one.delivery_id: one for one in Deliveries(self._database).by_ids(parts)}
        return [(_item(row), known.get(row["delivery_id"])) for row in rows]

    def _rows(self, condition: sa.ColumnElement[bool]) -> Sequence[sa.RowMapping]:
        query = (
            sa.select(delivery_items, *_prefixed(notifications))
            .join(notifications, notifications.c.notification_id == delivery_items.c.notification_id)
            .where(condition)
            .order_by(delivery_items.c.item)
        )
        with self._database.transaction() as connection:
            return connection.execute(query).mappings().all()


_TOLD_COLUMNS = ("channel", "reminder", "sent_at")


def _prefixed(table: sa.Table) -> list[sa.Label[Any]]:
    """The columns of a notification beside those of an item, some of which have the same name."""
    return [column.label(f"of_{column.name}") for column in table.columns]


class _NotificationRow:
    """The columns of `_prefixed` as a row of their own."""

    def __init__(self, row: sa.RowMapping) -> None:
        self._row = row

    def __getitem__(self, name: str) -> Any:
        return self._row[f"of_{name}"]


def _item(row: sa.RowMapping) -> Item:
    return Item(
        item=row["item"],
        channel=row["channel"],
        created_at=datetime.fromisoformat(row["created_at"]),
        reminder=row["reminder"],
        notification=decoded(_NotificationRow(row)),
    )
