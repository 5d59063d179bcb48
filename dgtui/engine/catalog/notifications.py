"""The notifications in the catalogue: stored once, ended by what puts an end to them, listed and marked read."""

import sqlite3
import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.database import Also, Database, time_text
from dgtui.engine.catalog.statements import (
    ALL,
    Sql,
    all_of,
    among,
    any_of,
    equal,
    rows_at_most,
    text_beginning,
    words,
)
from dgtui.engine.notification_model import ENDS, LASTING, ONLY_AS_AN_END, Notification, NotificationKind

COLUMNS = ", ".join(f"notifications.{name}" for name in Notification.__struct_fields__)
"""What `decoded` needs."""
LASTS = Sql(f"kind IN {words(LASTING)} AND ended_at IS NULL")
_UNREAD = Sql("read_at IS NULL")
_AS_JSON = ("details", "related", "ended_kinds")


class Notifications:
    """What people are told, and what they have read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, notification: Notification, *, event: str = "", also: Also | None = None) -> Notification | None:
        """Store one, and end what it puts an end to; what is stored, None where there was nothing to tell.

        A state that lasts already, an event that is known, and an end without a beginning are not told again. An end
        belongs to the group of what it ends. What `also` writes is there once that is settled, and not before.
        """
        with self._database.exclusive() as connection:
            if also is not None:
                also(connection)
            if event and _is_known(connection, event):
                return None
            if notification.kind in LASTING and _open(connection, notification, {notification.kind}):
                return None
            ended = _open(connection, notification, ENDS.get(notification.kind, frozenset()))
            if notification.kind in ONLY_AS_AN_END and not ended:
                return None
            _end(connection, [row["sequence"] for row in ended], notification.created_at)
            kinds: tuple[NotificationKind, ...] = tuple(sorted({row["kind"] for row in ended}))
            complete = msgspec.structs.replace(
                notification,
                notification_id=str(uuid.uuid4()),
                ended_kinds=kinds,
                sequence=0,
                # What went wrong together is well again together.
                group_key=notification.group_key or next((row["group_key"] for row in ended if row["group_key"]), ""),
            )
            sequence = connection.insert("notifications", {**_columns(complete), "event": event or None})
        return msgspec.structs.replace(complete, sequence=sequence)

    def end(self, kinds: Sequence[NotificationKind], *, subject_kind: str, subject: str, at: datetime) -> int:
        """Record that a state of these kinds is over without a word about it; how many were."""
        with self._database.exclusive() as connection:
            rows = _open_of(connection, subject_kind, subject, kinds)
            _end(connection, [row["sequence"] for row in rows], at)
        return len(rows)

    def listed(
        self, *, kind: str | None = None, unread: bool = False, lasting: bool = False, limit: int | None = None
    ) -> list[Notification]:
        """Notifications, the unread ones first and then the newest."""
        chosen = _asked(kind, unread=unread, lasting=lasting)
        query = f"""
            SELECT {COLUMNS} FROM notifications {chosen.where}
            ORDER BY read_at IS NOT NULL, sequence DESC LIMIT :limit
        """
        with self._database.transaction() as connection:
            rows = connection.execute(query, {**chosen.values, "limit": rows_at_most(limit)})
            return [decoded(row) for row in rows]

    def count(self, *, kind: str | None = None, unread: bool = False) -> int:
        """How many of them there are."""
        chosen = _asked(kind, unread=unread)
        with self._database.transaction() as connection:
            return int(connection.scalar(f"SELECT count(*) FROM notifications {chosen.where}", chosen.values))

    def by_prefix(self, prefix: str) -> list[Notification]:
        """Notifications whose id begins with these characters."""
        beginning = text_beginning("notification_id", prefix)
        query = f"SELECT {COLUMNS} FROM notifications {beginning.where} LIMIT 10"
        with self._database.transaction() as connection:
            return [decoded(row) for row in connection.execute(query, beginning.values)]

    def unread_counts(self) -> dict[str, int]:
        """How many are unread, by kind."""
        query = "SELECT kind, count(*) FROM notifications WHERE read_at IS NULL GROUP BY kind"
        with self._database.transaction() as connection:
            return {str(kind): int(count) for kind, count in connection.execute(query)}

    def mark_read(self, notification_ids: Sequence[str] | None, *, at: datetime) -> int:
        """Mark these as read, all where None; how many were not read before."""
        chosen = all_of(_UNREAD, ALL if notification_ids is None else any_of("notification_id", notification_ids))
        statement = f"UPDATE notifications SET read_at = :at {chosen.where}"
        with self._database.transaction() as connection:
            return connection.execute(statement, {**chosen.values, "at": time_text(at)}).rowcount


def decoded(row: sqlite3.Row) -> Notification:
    """A row as a notification."""
    values: dict[str, Any] = {name: row[name] for name in Notification.__struct_fields__}
    for name in _AS_JSON:
        values[name] = msgspec.json.decode(values[name])
    return msgspec.convert(values, Notification)


def _columns(notification: Notification) -> dict[str, Any]:
    values = {name: getattr(notification, name) for name in Notification.__struct_fields__ if name != "sequence"}
    for name in _AS_JSON:
        values[name] = msgspec.json.encode(values[name]).decode()
    values["created_at"] = time_text(notification.created_at)
    return values


def _asked(kind: str | None, *, unread: bool, lasting: bool = False) -> Sql:
    return all_of(equal(kind=kind), _UNREAD if unread else ALL, LASTS if lasting else ALL)


def _is_known(connection: Connection, event: str) -> bool:
    query = "SELECT sequence FROM notifications WHERE event = :event"
    return connection.scalar(query, {"event": event}) is not None


def _open(connection: Connection, notification: Notification, kinds: Collection[NotificationKind]) -> list[sqlite3.Row]:
    return _open_of(connection, notification.subject_kind, notification.subject, kinds)


def _open_of(
    connection: Connection, subject_kind: str, subject: str, kinds: Collection[NotificationKind]
) -> list[sqlite3.Row]:
    """What is told of an object and not over yet, the newest first."""
    if not kinds:
        return []
    of_subject = equal(subject_kind=subject_kind, subject=subject)
    chosen = all_of(of_subject, Sql("ended_at IS NULL"), among("kind", kinds))
    query = f"SELECT sequence, kind, group_key FROM notifications {chosen.where} ORDER BY sequence DESC"
    return connection.execute(query, chosen.values).fetchall()


def _end(connection: Connection, sequences: Sequence[int], at: datetime) -> None:
    if sequences:
        these = any_of("sequence", sequences)
        statement = f"UPDATE notifications SET ended_at = :at {these.where}"
        connection.execute(statement, {**these.values, "at": time_text(at)})
