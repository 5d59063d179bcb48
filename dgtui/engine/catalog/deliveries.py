"""The messages that are sent through channels: kept until they were sent, and never claimed twice.

Only one process works on deliveries at a time (the lock is `dgtui.engine.notify.courier`'s), so that what stands as
being sent when the lock is free was left behind by a process that died.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.delivery_tables import deliveries, delivery_items
from dgtui.engine.catalog.notifications import notifications
from dgtui.engine.model import Problem
from dgtui.engine.notification_model import Delivery, Notification, Severity

_OUTSTANDING = ("waiting", "sending", "perhaps sent")


class Deliveries:
    """The messages that are to be sent, that were sent, and that perhaps were."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, delivery: Delivery, items: Sequence[int], *, group_key: str) -> None:
        """Make a delivery of items, by their numbers."""
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
            chosen = sa.update(delivery_items).where(delivery_items.c.item.in_(items))
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

    def sent_but_to(
        self, recipients: Sequence[str], delivery_id: str, problem: Problem, *, at: datetime, next_try_at: datetime
    ) -> None:
        """Record that the receiver took it, but not for these recipients, and when to try again for them."""
        self._change(
            delivery_id,
            status="waiting",
            sent_at=time_text(at),
            next_try_at=time_text(next_try_at),
            problem=_problem_text(problem),
            recipients=msgspec.json.encode(recipients).decode(),
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
        # Where some have it, they stay told.
        sent_at = sa.case((deliveries.c.recipients.is_not(None), deliveries.c.sent_at))
        self._change(delivery_id, status="waiting", next_try_at=time_text(at), sent_at=sent_at)

    def _change(self, delivery_id: str, **values: Any) -> None:
        with self._database.transaction() as connection:
            connection.execute(sa.update(deliveries).where(deliveries.c.delivery_id == delivery_id).values(**values))

    def outstanding(self) -> list[Delivery]:
        """Deliveries that were not sent for sure, the oldest first."""
        return self._selected(deliveries.c.status.in_(_OUTSTANDING))

    def of_status(self, status: str) -> list[Delivery]:
        """Deliveries in this state, the oldest first."""
        return self._selected(deliveries.c.status == status)

    def by_ids(self, delivery_ids: Collection[str]) -> list[Delivery]:
        """Deliveries with these ids, the oldest first."""
        return self._selected(deliveries.c.delivery_id.in_(delivery_ids))

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


def _delivery(row: sa.RowMapping, items: Sequence[str]) -> Delivery:
    values: dict[str, Any] = {name: row[name] for name in Delivery.__struct_fields__ if name != "notifications"}
    if values["problem"] is not None:
        values["problem"] = msgspec.json.decode(values["problem"])
    values["recipients"] = msgspec.json.decode(values["recipients"] or "[]")
    return msgspec.convert({**values, "notifications": list(items)}, Delivery)


def _problem_text(problem: Problem | None) -> str | None:
    return None if problem is None else msgspec.json.encode(problem).decode()
