"""What is to be sent through which channel: kept until it was sent, and never claimed twice.

An item is one notification for one channel; it waits until it becomes part of a delivery, the message that is sent.
Only one process works on deliveries at a time (the lock is `dgtui.engine.notify.courier`'s), so that what stands as
being sent when the lock is free was left behind by a process that died.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.notifications import decoded, notifications
from dgtui.engine.catalog.tables import metadata
from dgtui.engine.model import Problem, Record
from dgtui.engine.notification_model import LASTING, Delivery, Notification, Severity

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("delivery_id", sa.String, nullable=False, unique=True),
    sa.Column("channel", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("group_key", sa.String, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_try_at", sa.String),
    sa.Column("sent_at", sa.String),
    sa.Column("problem", sa.String),
    # Set before the step after which the receiver may have it.
    sa.Column("handed_over_at", sa.String),
    sa.Index("deliveries_of_channel", "channel", "status"),
    sa.Index("deliveries_of_group", "channel", "group_key", "sent_at"),
    sa.Index("deliveries_of_status", "status"),
    sqlite_autoincrement=True,
)
delivery_items = sa.Table(
    "delivery_items",
    metadata,
    sa.Column("item", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("notification_id", sa.String, nullable=False),
    sa.Column("channel", sa.String, nullable=False),
    sa.Column("reminder", sa.Integer, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("delivery_id", sa.String),
    sa.UniqueConstraint("notification_id", "channel", "reminder"),
    sa.Index("delivery_items_waiting", "delivery_id", "channel"),
    sqlite_autoincrement=True,
)
_OUTSTANDING = ("waiting", "sending", "perhaps sent")


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


class Deliveries:
    """The messages that are to be sent, that were sent, and that perhaps were."""

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

    def waiting_items(self) -> list[Item]:
        """Items that are not part of a delivery yet, the oldest first."""
        query = (
            sa.select(delivery_items, *_prefixed(notifications))
            .join(notifications, notifications.c.notification_id == delivery_items.c.notification_id)
            .where(delivery_items.c.delivery_id.is_(None))
            .order_by(delivery_items.c.item)
        )
        with self._database.transaction() as connection:
            return [_item(row) for row in connection.execute(query).mappings()]

    def items_of(self, delivery_id: str) -> list[Item]:
        """The items of a delivery, the oldest first."""
        query = (
            sa.select(delivery_items, *_prefixed(notifications))
            .join(notifications, notifications.c.notification_id == delivery_items.c.notification_id)
            .where(delivery_items.c.delivery_id == delivery_id)
            .order_by(delivery_items.c.item)
        )
        with self._database.transaction() as connection:
            return [_item(row) for row in connection.execute(query).mappings()]

    def items_about(self, notification_id: str) -> list[tuple[Item, Delivery | None]]:
        """The items of a notification, each with the delivery it is part of, the oldest first."""
        query = (
            sa.select(delivery_items, *_prefixed(notifications))
            .join(notifications, notifications.c.notification_id == delivery_items.c.notification_id)
            .where(delivery_items.c.notification_id == notification_id)
            .order_by(delivery_items.c.item)
        )
        with self._database.transaction() as connection:
            rows = connection.execute(query).mappings().all()
        parts = [row["delivery_id"] for row in rows if row["delivery_id"] is not None]
        known = {one.delivery_id: one for one in self._selected(deliveries.c.delivery_id.in_(parts))}
        return [(_item(row), known.get(row["delivery_id"])) for row in rows]

    def add(self, delivery: Delivery, items: Sequence[Item], *, group_key: str) -> None:
        """Make a delivery of items."""
        with self._database.transaction() as connection:
            connection.execute(
                sa.insert(deliveries).values(
                    delivery_id=delivery.delivery_id,
                    channel=delivery.channel,
                    status=delivery.status,
                    group_key=group_key,
                    created_at=time_text(delivery.created_at),
                    attempts=0,
                    next_try_at=time_text(delivery.next_try_at or delivery.created_at),
                )
            )
            chosen = sa.update(delivery_items).where(delivery_items.c.item.in_([item.item for item in items]))
            connection.execute(chosen.values(delivery_id=delivery.delivery_id))

    def last_of_group(
        self, channel: str, group_key: str, severities: Collection[Severity], notification: Notification
    ) -> datetime | None:
        """When a message of this group was made last for a channel that a notification is an addition to.

        Such a one told of something of these severities. One that is critical adds to what still lasted then, and the
        end of something adds to an end that nothing else was told of since.
        """
        told = notifications.c
        of_group = sa.and_(deliveries.c.channel == channel, deliveries.c.group_key == group_key)
        query = sa.select(sa.func.max(deliveries.c.created_at)).where(of_group, told.severity.in_(severities))
        query = query.join(delivery_items, delivery_items.c.delivery_id == deliveries.c.delivery_id)
        query = query.join(notifications, told.notification_id == delivery_items.c.notification_id)
        if notification.ended_kinds:
            last = sa.select(sa.func.max(deliveries.c.created_at)).where(of_group).correlate(None)
            query = query.where(told.ended_kinds != "[]", deliveries.c.created_at == last.scalar_subquery())
        elif notification.severity == "critical":
            query = query.where(sa.or_(told.ended_at.is_(None), told.ended_at > time_text(notification.created_at)))
        with self._database.transaction() as connection:
            text = connection.scalar(query)
        return datetime.fromisoformat(text) if text else None

    def recover(self, *, at: datetime) -> int:
        """Put right what a process that died was sending; how many of them were perhaps sent.

        What was not handed over yet waits again. What was is never sent again.
        """
        sending = sa.update(deliveries).where(deliveries.c.status == "sending")
        with self._database.exclusive() as connection:
            perhaps = connection.execute(
                sending.where(deliveries.c.handed_over_at.is_not(None)).values(
                    status="perhaps sent", sent_at=time_text(at), next_try_at=None
                )
            ).rowcount
            connection.execute(sending.where(deliveries.c.handed_over_at.is_(None)).values(status="waiting"))
        return perhaps

    def are_due(self, channels: Iterable[str], *, at: datetime) -> bool:
        """Whether there is a notification that nobody has routed, or a message whose time has come; quickly told."""
        unrouted = sa.exists().where(notifications.c.routed_at.is_(None))
        due = sa.exists().where(
            deliveries.c.status == "waiting",
            deliveries.c.channel.in_(sorted(channels)),
            deliveries.c.next_try_at <= time_text(at),
        )
        with self._database.transaction() as connection:
            return bool(connection.scalar(sa.select(sa.or_(unrouted, due))))

    def claim(self, delivery_id: str) -> bool:
        """Begin to send a delivery; False where it does not wait."""
        with self._database.transaction() as connection:
            return bool(
                connection.execute(
                    sa.update(deliveries)
                    .where(deliveries.c.delivery_id == delivery_id, deliveries.c.status == "waiting")
                    .values(status="sending", attempts=deliveries.c.attempts + 1, handed_over_at=None)
                ).rowcount
            )

    def hand_over(self, delivery_id: str, *, at: datetime) -> None:
        """Record that the receiver may have it from now on."""
        self._change(delivery_id, handed_over_at=time_text(at))

    def sent(self, delivery_id: str, *, at: datetime, problem: Problem | None = None) -> None:
        """Record that the receiver took it, perhaps with something to tell about."""
        self._change(
            delivery_id, status="sent", sent_at=time_text(at), next_try_at=None, problem=_problem_text(problem)
        )

    def failed(self, delivery_id: str, problem: Problem, *, next_try_at: datetime) -> None:
        """Record why it was not sent, and when to try again."""
        self._change(delivery_id, status="waiting", next_try_at=time_text(next_try_at), problem=_problem_text(problem))

    def postpone(self, delivery_ids: Collection[str], *, next_try_at: datetime) -> None:
        """Try these again later; however many they are, the disk is waited for once."""
        if not delivery_ids:
            return
        statement = sa.update(deliveries).where(deliveries.c.delivery_id == sa.bindparam("of_delivery"))
        with self._database.transaction() as connection:
            connection.execute(
                statement.values(next_try_at=time_text(next_try_at)), [{"of_delivery": one} for one in delivery_ids]
            )

    def wait_again(self, delivery_id: str, *, at: datetime) -> None:
        """Have it sent again, because somebody says so."""
        self._change(delivery_id, status="waiting", next_try_at=time_text(at), sent_at=None)

    def _change(self, delivery_id: str, **values: Any) -> None:
        with self._database.transaction() as connection:
            connection.execute(sa.update(deliveries).where(deliveries.c.delivery_id == delivery_id).values(**values))

    def outstanding(self) -> list[Delivery]:
        """Deliveries that were not sent for sure, the oldest first."""
        return self._selected(deliveries.c.status.in_(_OUTSTANDING))

    def of_status(self, status: str) -> list[Delivery]:
        """Deliveries in this state, the oldest first."""
        return self._selected(deliveries.c.status == status)

    def by_prefix(self, prefix: str) -> list[Delivery]:
        """Deliveries whose id begins with these characters."""
        return self._selected(deliveries.c.delivery_id.startswith(prefix, autoescape=True))

    def _selected(self, condition: sa.ColumnElement[bool]) -> list[Delivery]:
        query = sa.select(deliveries).where(condition).order_by(deliveries.c.sequence)
        with self._database.transaction() as connection:
            rows = connection.execute(query).mappings().all()
            items: dict[str, list[str]] = {}
            for start in range(0, len(rows), 500):
                ids = [row["delivery_id"] for row in rows[start : start + 500]]
                chosen = sa.select(delivery_items).where(delivery_items.c.delivery_id.in_(ids))
                for item in connection.execute(chosen.order_by(delivery_items.c.item)).mappings():
                    items.setdefault(item["delivery_id"], []).append(item["notification_id"])
        return [_delivery(row, items.get(row["delivery_id"], [])) for row in rows]


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


def _delivery(row: sa.RowMapping, items: Sequence[str]) -> Delivery:
    values: dict[str, Any] = {name: row[name] for name in Delivery.__struct_fields__ if name != "notifications"}
    if values["problem"] is not None:
        values["problem"] = msgspec.json.decode(values["problem"])
    return msgspec.convert({**values, "notifications": list(items)}, Delivery)


def _problem_text(problem: Problem | None) -> str | None:
    return None if problem is None else msgspec.json.encode(problem).decode()
