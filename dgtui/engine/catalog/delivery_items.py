"""Which notification is for which channel: chosen once, and reminded of while what it tells of lasts."""

import sqlite3
from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.deliveries import Deliveries
from dgtui.engine.catalog.notifications import COLUMNS, LASTS, decoded
from dgtui.engine.catalog.statements import Sql
from dgtui.engine.model import Record
from dgtui.engine.notification_model import Delivery, Notification

_TOLD_COLUMNS = ("channel", "reminder", "sent_at")
_UNROUTED = f"SELECT {COLUMNS} FROM notifications WHERE routed_at IS NULL ORDER BY sequence"


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
            found = connection.execute(_UNROUTED).fetchall()
            for row in found:
                for channel in choose(decoded(row)):
                    connection.insert(
                        "delivery_items",
                        {
                            "notification_id": row["notification_id"],
                            "channel": channel,
                            "reminder": 0,
                            "created_at": row["created_at"],
                        },
                    )
                    made += 1
            if found:
                # Nobody adds one meanwhile; named one by one, they may be more than SQLite takes in a statement.
                routed = "UPDATE notifications SET routed_at = :at WHERE routed_at IS NULL"
                connection.execute(routed, {"at": time_text(at)})
        return made

    def unrouted(self) -> list[Notification]:
        """Notifications that nobody has chosen channels for yet, the oldest first."""
        with self._database.transaction() as connection:
            return [decoded(row) for row in connection.execute(_UNROUTED)]

    def told(self) -> list[Told]:
        """What was sent last, by channel, of each state that still lasts; nothing where something still waits."""
        query = f"""
            SELECT {COLUMNS}, newest.channel, newest.reminder, deliveries.sent_at
            FROM notifications
            JOIN (
                SELECT notification_id, channel, max(reminder) AS reminder FROM delivery_items
                WHERE notification_id IN (SELECT notification_id FROM notifications WHERE {LASTS.text})
                GROUP BY notification_id, channel
            ) AS newest ON newest.notification_id = notifications.notification_id
            JOIN delivery_items ON delivery_items.notification_id = newest.notification_id
                AND delivery_items.channel = newest.channel AND delivery_items.reminder = newest.reminder
            JOIN deliveries ON deliveries.delivery_id = delivery_items.delivery_id
            WHERE deliveries.sent_at IS NOT NULL
        """
        with self._database.transaction() as connection:
            return [
                msgspec.convert(
                    {"notification": msgspec.to_builtins(decoded(row)), **{name: row[name] for name in _TOLD_COLUMNS}},
                    Told,
                )
                for row in connection.execute(query)
            ]

    def remind(self, told: Told, *, at: datetime) -> None:
        """Add a reminder of what was told."""
        with self._database.transaction() as connection:
            connection.insert(
                "delivery_items",
                {
                    "notification_id": told.notification.notification_id,
                    "channel": told.channel,
                    "reminder": told.reminder + 1,
                    "created_at": time_text(at),
                },
            )

    def waiting(self) -> list[Item]:
        """Items that are not part of a delivery yet, the oldest first."""
        return [_item(row) for row in self._rows(Sql("delivery_items.delivery_id IS NULL"))]

    def of_delivery(self, delivery_id: str) -> list[Item]:
        """The items of a delivery, the oldest first."""
        condition = Sql("delivery_items.delivery_id = :delivery_id", {"delivery_id": delivery_id})
        return [_item(row) for row in self._rows(condition)]

    def about(self, notification_id: str) -> list[tuple[Item, Delivery | None]]:
        """The items of a notification, each with the delivery it is part of, the oldest first."""
        condition = Sql("delivery_items.notification_id = :notification_id", {"notification_id": notification_id})
        rows = self._rows(condition)
        parts = [row["delivery_id"] for row in rows if row["delivery_id"] is not None]
        known = {one.delivery_id: one for one in Deliveries(self._database).by_ids(parts)}
        return [(_item(row), known.get(row["delivery_id"])) for row in rows]

    def _rows(self, condition: Sql) -> list[sqlite3.Row]:
        query = f"""
            SELECT {COLUMNS}, item, channel, reminder, delivery_id, delivery_items.created_at AS item_created_at
            FROM delivery_items
            JOIN notifications ON notifications.notification_id = delivery_items.notification_id
            WHERE {condition.text} ORDER BY item
        """
        with self._database.transaction() as connection:
            return connection.execute(query, condition.values).fetchall()


def _item(row: sqlite3.Row) -> Item:
    return Item(
        item=row["item"],
        channel=row["channel"],
        created_at=datetime.fromisoformat(row["item_created_at"]),
        reminder=row["reminder"],
        notification=decoded(row),
    )
