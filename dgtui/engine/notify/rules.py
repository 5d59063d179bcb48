"""Which channel gets which notification, and when: pure decisions over the settings and the clock."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import get_args
from zoneinfo import ZoneInfo

from dgtui.config import Config
from dgtui.config.channels import ChannelSettings
from dgtui.engine.catalog.delivery_items import Item
from dgtui.engine.notification_model import SEVERITIES, Notification, NotificationKind, Severity
from dgtui.engine.timetable import Window

GROUP_PAUSE = timedelta(minutes=15)
"""How long later notifications of a group are collected after a message of it that mattered at least as much."""
UNROUTED_AGE = timedelta(days=7)
"""Older news than this that nobody ever delivered is not sent any more, only listed."""
LONGEST_WAIT = timedelta(hours=1)
_FIRST_WAIT = timedelta(minutes=1)
_RANKS: dict[Severity, int] = {severity: rank for rank, severity in enumerate(get_args(Severity))}


def at_least(severity: Severity) -> tuple[Severity, ...]:
    """The severities that matter at least as much."""
    return tuple(one for one, rank in _RANKS.items() if rank >= _RANKS[severity])


def wants(settings: ChannelSettings, notification: Notification) -> bool:
    """Whether a channel's rules ask for a notification; the end of something, where they ask for that."""
    if not settings.enabled or not _concerns(settings, notification):
        return False
    told: tuple[NotificationKind, ...] = (notification.kind, *notification.ended_kinds)
    return any(
        _RANKS[SEVERITIES[kind]] >= _RANKS[settings.severity] and (not settings.kinds or kind in settings.kinds)
        for kind in told
    )


def channels_for(notification: Notification, config: Config, at: datetime) -> list[str]:
    """The channels that a notification goes to; none where it is too old."""
    if at - notification.created_at > UNROUTED_AGE:
        return []
    return [name for name, settings in config.channels.items() if wants(settings, notification)]


def _concerns(settings: ChannelSettings, notification: Notification) -> bool:
    chosen = {*settings.datasources, *settings.jobs, *settings.storages}
    return not chosen or not chosen.isdisjoint((notification.subject, *notification.related))


def due_at(
    item: Item, settings: ChannelSettings, *, group_told_at: datetime | None, at: datetime, gathers: bool = True
) -> datetime:
    """When an item is to be sent; `group_told_at` is when its group was last told of something as severe.

    `gathers`: whether it waits for others of its group at all.
    """
    # Where the clock was set back, nothing waits for a time that is long past.
    if item.created_at > at:
        return at
    notification = item.notification
    moment = item.created_at
    if notification.group_key and gathers:
        moment += timedelta(seconds=settings.group_wait)
        if group_told_at is not None and group_told_at <= at:
            moment = max(moment, group_told_at + GROUP_PAUSE)
    if notification.severity == "critical":
        return moment
    if settings.digest != "none":
        moment = _next_digest(item.created_at, settings)
    return after_quiet_hours(moment, settings)


def after_quiet_hours(moment: datetime, settings: ChannelSettings) -> datetime:
    """The moment itself, or the end of the quiet hours that it lies in."""
    if settings.quiet_hours is None:
        return moment
    # As the window of a job it begins and ends once a day, also in a night in which the clock is set.
    return Window.parse(settings.quiet_hours).end_of(moment, _zone(settings)) or moment


def is_collected(item: Item, settings: ChannelSettings) -> bool:
    """Whether an item is part of a collection and not a message of its own."""
    if item.notification.severity == "critical":
        return False
    return settings.digest != "none" or after_quiet_hours(item.created_at, settings) > item.created_at


def _next_digest(moment: datetime, settings: ChannelSettings) -> datetime:
    if settings.digest == "hourly":
        return moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    zone = _zone(settings)
    when = time.fromisoformat(settings.digest_at)
    today = moment.astimezone(zone).date()
    return next(digest for days in range(3) if (digest := _moment(today + timedelta(days=days), when, zone)) > moment)


def _zone(settings: ChannelSettings) -> tzinfo | None:
    """The channel's time zone; None is the system's."""
    return ZoneInfo(settings.timezone) if settings.timezone else None


def _moment(day: date, when: time, zone: tzinfo | None) -> datetime:
    local = datetime.combine(day, when, zone)
    # A time without a zone is the system's own.
    return local.astimezone(UTC)


def wait_after(attempts: int, *, asked_to_wait: float = 0.0) -> timedelta:
    """How long to wait before the next attempt: 1 minute, 2, 4, ... or longer where the receiver asked for so many
    seconds, and at most an hour.
    """
    doublings = min(max(attempts - 1, 0), 10)
    asked = timedelta(seconds=min(max(asked_to_wait, 0.0), LONGEST_WAIT.total_seconds()))
    return min(LONGEST_WAIT, max(_FIRST_WAIT * (1 << doublings), asked))
