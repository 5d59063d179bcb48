"""What is said through a channel: one message of one or many notifications."""

import socket
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

from dgtui.engine.catalog.delivery_items import Item
from dgtui.engine.model import Record
from dgtui.engine.notification_model import Notification, NotificationKind, Severity

_MOST_LINES = 200
_OF_MANY = {"hangs": "hang", "fails": "fail"}
_RANKS: dict[Severity, int] = {severity: rank for rank, severity in enumerate(get_args(Severity))}


class Message(Record, frozen=True):
    """What goes out, whatever the channel."""

    delivery_id: str
    """The same at every attempt, so that a receiver can tell that it has the message already."""
    created_at: datetime
    host: str
    severity: Severity
    title: str
    """One line."""
    text: str
    reminder: bool = False
    notifications: tuple[Notification, ...] = ()


class Taken(Record, frozen=True):
    """What a receiver that took a message said to it."""

    odd: str = ""
    """What people should know of all the same."""
    put_off: tuple[str, ...] = ()
    """Recipients who did not get it, and for whom it is to be tried again."""


def compose(delivery_id: str, items: Sequence[Item], *, at: datetime) -> Message:
    """The message of a delivery."""
    notifications = [item.notification for item in items]
    severity = max((one.severity for one in notifications), key=lambda one: _RANKS[one])
    reminder = all(item.reminder for item in items)
    return Message(
        delivery_id=delivery_id,
        created_at=at,
        host=socket.gethostname(),
        severity=severity,
        title=f"{'Still: ' if reminder else ''}{_title(notifications)}",
        text="\n".join(_lines(items)),
        reminder=reminder,
        notifications=tuple(notifications),
    )


def test_message(delivery_id: str, channel: str, *, at: datetime) -> Message:
    """What `notify --test` sends."""
    host = socket.gethostname()
    return Message(
        delivery_id=delivery_id,
        created_at=at,
        host=host,
        severity="info",
        title=f"Test of the channel {channel}",
        text=f"This is a test that somebody asked for on {host}. Notifications arrive through this channel.",
    )


def _title(notifications: Sequence[Notification]) -> str:
    first = notifications[0]
    if len(notifications) == 1:
        return f"{' '.join(first.message.split())}{' (over)' if first.ended_at is not None else ''}"
    counts = Counter((one.kind, one.ended_at is not None) for one in notifications).most_common()
    what = ", ".join(f"{_so_many(kind, count)}{' (over)' if over else ''}" for (kind, over), count in counts)
    groups = {one.group_key for one in notifications}
    return f"{what} at {first.group_key}" if len(groups) == 1 and first.group_key else what


def _so_many(kind: NotificationKind, count: int) -> str:
    """`1 backup failed`, `12 connections lost`, `2 duties hang`."""
    thing, _, what = kind.partition("_")
    if count == 1:
        return f"1 {thing} {what.replace('_', ' ')}"
    things = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{count} {things} {_OF_MANY.get(what, what.replace('_', ' '))}"


def _lines(items: Sequence[Item]) -> list[str]:
    lines = []
    ordered = sorted(items, key=lambda item: (-_RANKS[item.notification.severity], item.notification.sequence))
    for item in ordered[:_MOST_LINES]:
        one = item.notification
        since = f" (since {_time(one.created_at)}, still so)" if item.reminder else ""
        lines.append(f"{_time(one.created_at)}  {one.severity}  {one.message}{since}")
        lines += [f"    {line}" for line in one.details]
        if one.ended_at is not None:
            lines.append(f"    Over since {_time(one.ended_at)}")
    if len(ordered) > _MOST_LINES:
        lines.append(f"... and {len(ordered) - _MOST_LINES} more: dgtui notifications lists all")
    return lines


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
