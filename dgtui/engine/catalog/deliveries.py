"""The messages that are sent through channels: kept until they were sent, and never claimed twice.

Only one process works on deliveries at a time (the lock is `dgtui.engine.notify.courier`'s), so that what stands as
being sent when the lock is free was left behind by a process that died.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.statements import Sql, among, any_of, equal, json_list, text_beginning, words
from dgtui.engine.model import Problem
from dgtui.engine.notification_model import Delivery, Notification, Severity

_OUTSTANDING = ("waiting", "sending", "perhaps sent")
_COLUMNS = ", ".join(name for name in Delivery.__struct_fields__ if name != "notifications")
_OF_GROUP = "deliveries.channel = :channel AND deliveries.group_key = :group_key"


class Deliveries:
    """The messages that are to be sent, that were sent, and that perhaps were."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, delivery: Delivery, items: Sequence[int], *, group_key: str) -> None:
        """Make a delivery of items, by their numbers."""
        with self._database.transaction() as connection:
            connection.insert(
                "deliveries",
                {
                    "delivery_id": delivery.delivery_id,
                    "channel": delivery.channel,
                    "status": delivery.status,
                    "group_key": group_key,
                    "created_at": time_text(delivery.created_at),
                    "attempts": 0,
                    "next_try_at": time_text(delivery.next_try_at or delivery.created_at),
                },
            )
            these = any_of("item", items)
            statement = f"UPDATE delivery_items SET delivery_id = :delivery_id {these.where}"
            connection.execute(statement, {**these.values, "delivery_id": delivery.delivery_id})

    def last_of_group(
        self, channel: str, group_key: str, severities: Collection[Severity], notification: Notification
    ) -> datetime | None:
        """When a message of this group was made last for a channel that a notification is an addition to.

        Such a one told of something of these severities. One that is critical adds to what still lasted then, and the
        end of something adds to an end that nothing else was told of since.
        """
        of_severities = among("notifications.severity", severities)
        values = {**of_severities.values, "channel": channel, "group_key": group_key}
        query = f"""
            SELECT max(deliveries.created_at) FROM deliveries
            JOIN delivery_items ON delivery_items.delivery_id = deliveries.delivery_id
            JOIN notifications ON notifications.notification_id = delivery_items.notification_id
            WHERE {_OF_GROUP} AND {of_severities.text}
        """
        if notification.ended_kinds:
            last = f"SELECT max(created_at) FROM deliveries WHERE {_OF_GROUP}"
            query += f"AND notifications.ended_kinds != '[]' AND deliveries.created_at = ({last})"
        elif notification.severity == "critical":
            query += "AND (notifications.ended_at IS NULL OR notifications.ended_at > :at)"
            values["at"] = time_text(notification.created_at)
        with self._database.transaction() as connection:
            text = connection.scalar(query, values)
        return datetime.fromisoformat(text) if text else None

    def recover(self, *, at: datetime) -> int:
        """Put right what a process that died was sending; how many of them were perhaps sent.

        What was not handed over yet waits again. What was is never sent again.
        """
        with self._database.exclusive() as connection:
            perhaps = connection.execute(
                """
                UPDATE deliveries SET status = 'perhaps sent', sent_at = :at, next_try_at = NULL
                WHERE status = 'sending' AND handed_over_at IS NOT NULL
                """,
                {"at": time_text(at)},
            ).rowcount
            connection.execute(
                "UPDATE deliveries SET status = 'waiting' WHERE status = 'sending' AND handed_over_at IS NULL"
            )
        return perhaps

    def are_due(self, channels: Iterable[str], *, at: datetime) -> bool:
        """Whether there is a notification that nobody has routed, or a message whose time has come; quickly told."""
        of_channels = among("channel", channels)
        query = f"""
            SELECT EXISTS (SELECT * FROM notifications WHERE routed_at IS NULL) OR EXISTS (
                SELECT * FROM deliveries WHERE status = 'waiting' AND {of_channels.text} AND next_try_at <= :at
            )
        """
        with self._database.transaction() as connection:
            return bool(connection.scalar(query, {**of_channels.values, "at": time_text(at)}))

    def claim(self, delivery_id: str) -> bool:
        """Begin to send a delivery; False where it does not wait."""
        statement = """
            UPDATE deliveries SET status = 'sending', attempts = attempts + 1, handed_over_at = NULL
            WHERE delivery_id = :delivery_id AND status = 'waiting'
        """
        with self._database.transaction() as connection:
            return bool(connection.execute(statement, {"delivery_id": delivery_id}).rowcount)

    def hand_over(self, delivery_id: str, *, at: datetime) -> None:
        """Record that the receiver may have it from now on."""
        self._change(delivery_id, "handed_over_at = :at", at=time_text(at))

    def sent(self, delivery_id: str, *, at: datetime, problem: Problem | None = None) -> None:
        """Record that the receiver took it, perhaps with something to tell about."""
        changes = "status = 'sent', sent_at = :at, next_try_at = NULL, problem = :problem"
        self._change(delivery_id, changes, at=time_text(at), problem=_problem_text(problem))

    def sent_but_to(
        self, recipients: Sequence[str], delivery_id: str, problem: Problem, *, at: datetime, next_try_at: datetime
    ) -> None:
        """Record that the receiver took it, but not for these recipients, and when to try again for them."""
        self._change(
            delivery_id,
            """
            status = 'waiting', sent_at = :at, next_try_at = :next_try_at, problem = :problem, recipients = :recipients
            """,
            at=time_text(at),
            next_try_at=time_text(next_try_at),
            problem=_problem_text(problem),
            recipients=json_list(recipients),
        )

    def failed(self, delivery_id: str, problem: Problem, *, next_try_at: datetime) -> None:
        """Record why it was not sent, and when to try again."""
        changes = "status = 'waiting', next_try_at = :next_try_at, problem = :problem"
        self._change(delivery_id, changes, next_try_at=time_text(next_try_at), problem=_problem_text(problem))

    def postpone(self, delivery_ids: Collection[str], *, next_try_at: datetime) -> None:
        """Try these again later; however many they are, the disk is waited for once."""
        if not delivery_ids:
            return
        statement = "UPDATE deliveries SET next_try_at = :next_try_at WHERE delivery_id = :delivery_id"
        until = time_text(next_try_at)
        with self._database.transaction() as connection:
            connection.executemany(statement, [{"delivery_id": one, "next_try_at": until} for one in delivery_ids])

    def wait_again(self, delivery_id: str, *, at: datetime) -> None:
        """Have it sent again, because somebody says so."""
        # Where some have it, they stay told.
        sent_at = "CASE WHEN recipients IS NOT NULL THEN sent_at END"
        changes = f"status = 'waiting', next_try_at = :at, sent_at = {sent_at}"
        self._change(delivery_id, changes, at=time_text(at))

    def _change(self, delivery_id: str, changes: str, **values: str | None) -> None:
        statement = f"UPDATE deliveries SET {changes} WHERE delivery_id = :delivery_id"
        with self._database.transaction() as connection:
            connection.execute(statement, {**values, "delivery_id": delivery_id})

    def outstanding(self) -> list[Delivery]:
        """Deliveries that were not sent for sure, the oldest first."""
        return self._selected(Sql(f"status IN {words(_OUTSTANDING)}"))

    def of_status(self, status: str) -> list[Delivery]:
        """Deliveries in this state, the oldest first."""
        return self._selected(equal(status=status))

    def by_ids(self, delivery_ids: Collection[str]) -> list[Delivery]:
        """Deliveries with these ids, the oldest first."""
        return self._selected(any_of("delivery_id", delivery_ids))

    def by_prefix(self, prefix: str) -> list[Delivery]:
        """Deliveries whose id begins with these characters."""
        return self._selected(text_beginning("delivery_id", prefix))

    def _selected(self, condition: Sql) -> list[Delivery]:
        query = f"SELECT {_COLUMNS} FROM deliveries {condition.where} ORDER BY sequence"
        items: dict[str, list[str]] = {}
        with self._database.transaction() as connection:
            rows = connection.execute(query, condition.values).fetchall()
            these = any_of("delivery_id", (row["delivery_id"] for row in rows))
            parts = f"SELECT delivery_id, notification_id FROM delivery_items {these.where} ORDER BY item"
            for delivery_id, notification_id in connection.execute(parts, these.values):
                items.setdefault(delivery_id, []).append(notification_id)
        return [_delivery(row, items.get(row["delivery_id"], [])) for row in rows]


def _delivery(row: sqlite3.Row, items: Sequence[str]) -> Delivery:
    values: dict[str, Any] = dict(row)
    if values["problem"] is not None:
        values["problem"] = msgspec.json.decode(values["problem"])
    values["recipients"] = msgspec.json.decode(values["recipients"] or "[]")
    return msgspec.convert({**values, "notifications": list(items)}, Delivery)


def _problem_text(problem: Problem | None) -> str | None:
    return None if problem is None else msgspec.json.encode(problem).decode()
