"""The notifications in the catalogue: stored once, ended by what puts an end to them, listed and marked read."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog.database import Also, Database, time_text
from dgtui.engine.catalog.tables import metadata
from dgtui.engine.notification_model import ENDS, LASTING, ONLY_AS_AN_END, Notification, NotificationKind

notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("notification_id", sa.String, nullable=False, unique=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("severity", sa.String, nullable=False),
    sa.Column("subject_kind", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("message", sa.String, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("details", sa.String, nullable=False),
    sa.Column("related", sa.String, nullable=False),
    sa.Column("group_key", sa.String, nullable=False),
    sa.Column("ended_kinds", sa.String, nullable=False),
    sa.Column("read_at", sa.String),
    sa.Column("ended_at", sa.String),
    # What happened once is stored once, however often it is told.
    sa.Column("event", sa.String, unique=True),
    # Set once it is decided which channels get it.
    sa.Column("routed_at", sa.String),
    sa.Index("notifications_of_kind", "kind", "sequence"),
    sa.Index("notifications_unread", "read_at", "sequence"),
    sa.Index("notifications_open", "subject_kind", "subject", "ended_at"),
    sa.Index("notifications_unrouted", "routed_at", "sequence"),
    sqlite_autoincrement=True,
)

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
            if event and connection.scalar(sa.select(notifications.c.sequence).where(notifications.c.event == event)):
                return None
            if notification.kind in LASTING and _open(connection, notification, {notification.kind}):
                return None
            ended = _open(connection, notification, ENDS.get(notification.kind, frozenset()))
            if notification.kind in ONLY_AS_AN_END and not ended:
                return None
            _end(connection, [row.sequence for row in ended], notification.created_at)
            kinds: tuple[NotificationKind, ...] = tuple(sorted({row.kind for row in ended}))
            complete = msgspec.structs.replace(
                notification,
                notification_id=str(uuid.uuid4()),
                ended_kinds=kinds,
                sequence=0,
                # What went wrong together is well again together.
                group_key=notification.group_key or next((row.group_key for row in ended if row.group_key), ""),
            )
            inserted = connection.execute(
                sa.insert(notifications).values(**_columns(complete), event=event or None)
            ).inserted_primary_key
        return msgspec.structs.replace(complete, sequence=int(inserted[0]) if inserted else 0)

    def end(self, kinds: Sequence[NotificationKind], *, subject_kind: str, subject: str, at: datetime) -> int:
        """Record that a state of these kinds is over without a word about it; how many were."""
        with self._database.exclusive() as connection:
            rows = _open_of(connection, subject_kind, subject, kinds)
            _end(connection, [row.sequence for row in rows], at)
        return len(rows)

    def listed(
        self, *, kind: str | None = None, unread: bool = False, lasting: bool = False, limit: int | None = None
    ) -> list[Notification]:
        """Notifications, the unread ones first and then the newest."""
        query = sa.select(notifications).order_by(notifications.c.read_at.is_not(None), notifications.c.sequence.desc())
        if kind is not None:
            query = query.where(notifications.c.kind == kind)
        if unread:
            query = query.where(notifications.c.read_at.is_(None))
        if lasting:
            query = query.where(notifications.c.kind.in_(sorted(LASTING)), notifications.c.ended_at.is_(None))
        with self._database.transaction() as connection:
            return [decoded(row) for row in connection.execute(query.limit(limit)).mappings()]

    def count(self, *, kind: str | None = None, unread: bool = False) -> int:
        """How many of them there are."""
        query = sa.select(sa.func.count()).select_from(notifications)
        if kind is not None:
            query = query.where(notifications.c.kind == kind)
        if unread:
            query = query.where(notifications.c.read_at.is_(None))
        with self._database.transaction() as connection:
            return connection.scalar(query) or 0

    def by_prefix(self, prefix: str) -> list[Notification]:
        """Notifications whose id begins with these characters."""
        query = sa.select(notifications).where(notifications.c.notification_id.startswith(prefix, autoescape=True))
        with self._database.transaction() as connection:
            return [decoded(row) for row in connection.execute(query.limit(10)).mappings()]

    def unread_counts(self) -> dict[str, int]:
        """How many are unread, by kind."""
        query = sa.select(notifications.c.kind, sa.func.count()).where(notifications.c.read_at.is_(None))
        with self._database.transaction() as connection:
            rows = connection.execute(query.group_by(notifications.c.kind)).all()
        return {str(kind): int(count) for kind, count in rows}

    def mark_read(self, notification_ids: Sequence[str] | None, *, at: datetime) -> int:
        """Mark these as read, all where None; how many were not read before."""
        statement = sa.update(notifications).where(notifications.c.read_at.is_(None)).values(read_at=time_text(at))
        if notification_ids is not None:
            statement = statement.where(notifications.c.notification_id.in_(notification_ids))
        with self._database.transaction() as connection:
            return connection.execute(statement).rowcount


class Row(Protocol):
    """The columns of a notification by their names."""

    def __getitem__(self, name: str, /) -> Any: ...


def decoded(row: Row) -> Notification:
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


def _open(
    connection: sa.Connection, notification: Notification, kinds: "frozenset[NotificationKind] | set[NotificationKind]"
) -> Sequence[sa.Row[int, NotificationKind, str]]:
    return _open_of(connection, notification.subject_kind, notification.subject, sorted(kinds))


def _open_of(
    connection: sa.Connection, subject_kind: str, subject: str, kinds: Sequence[str]
) -> Sequence[sa.Row[int, NotificationKind, str]]:
    """What is told of an object and not over yet, the newest first."""
    if not kinds:
        return []
    return connection.execute(
        sa.select(notifications.c.sequence, notifications.c.kind, notifications.c.group_key)
        .where(
            notifications.c.subject_kind == subject_kind,
            notifications.c.subject == subject,
            notifications.c.ended_at.is_(None),
            notifications.c.kind.in_(kinds),
        )
        .order_by(notifications.c.sequence.desc())
    ).all()


def _end(connection: sa.Connection, sequences: Sequence[int], at: datetime) -> None:
    if sequences:
        connection.execute(
            sa.update(notifications).where(notifications.c.sequence.in_(sequences)).values(ended_at=time_text(at))
        )
