"""Delivers what is due, whoever calls: the daemon's duty, a worker at the end of its run, or `dgtui notify --deliver`.

No message is sent twice because a process died: what it was sending stands in the catalogue before the receiver can
have it, and is then never sent again but shown as perhaps sent. Where the process lives and the receiver refuses,
hangs or answers with an error, the message is kept and tried again, for ever, with growing waits; every attempt
carries the same id (`Message-ID`, `Idempotency-Key`), for the rare receiver that took it and failed to say so.
"""

import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from dgtui.config import Config
from dgtui.config.channels import ChannelSettings
from dgtui.engine.catalog import Database
from dgtui.engine.catalog.deliveries import Deliveries
from dgtui.engine.catalog.delivery_items import DeliveryItems, Item
from dgtui.engine.errors import CatalogError, DataGuardianError, DeliveryError, JobBusy
from dgtui.engine.locks import take_lock
from dgtui.engine.memory import out_of_memory
from dgtui.engine.messages import now
from dgtui.engine.model import Problem, Record
from dgtui.engine.notification_model import Delivery, Notification
from dgtui.engine.notify.channels import send
from dgtui.engine.notify.message import Taken, compose
from dgtui.engine.notify.reminding import Reminding
from dgtui.engine.notify.rules import (
    LONGEST_WAIT,
    after_quiet_hours,
    at_least,
    channels_for,
    due_at,
    is_collected,
    wait_after,
)
from dgtui.engine.problems import problem_of
from dgtui.engine.threads import Thread

LOCK_NAME = "notify.lock"
_RECORDING_PAUSES = (1.0, 2.0, 5.0, 10.0)
"""How long to wait before each further try to record what became of a message."""


class DeliveryReport(Record, frozen=True):
    """What one round of deliveries came to."""

    sent: int = 0
    failed: int = 0
    perhaps_sent: int = 0
    """Found as left behind by a process that died while it was sending."""
    busy: bool = False
    """Another process delivers just now: nothing was done here."""
    problems: tuple[str, ...] = ()
    """Why, by channel."""
    next_item_at: datetime | None = None
    """When something becomes due that waits for its group, its digest or the end of quiet hours."""


class Courier:
    """One round of deliveries after the other."""

    def __init__(
        self, catalog: Database, config: Config, *, gathers: bool = True, clock: Callable[[], datetime] = now
    ) -> None:
        """`gathers`: whether others of the same cause are waited for, which is for those who come by again soon."""
        self._catalog = catalog
        self._gathers = gathers
        self._config = config
        self._clock = clock
        self._deliveries = Deliveries(catalog)
        self._items = DeliveryItems(catalog)
        self._next_item_at: datetime | None = None

    def has_news(self) -> bool:
        """Whether there is anything that `deliver` would act on at once, quickly told. Raises CatalogError."""
        enabled = [name for name, settings in self._config.channels.items() if settings.enabled]
        return self._deliveries.are_due(enabled, at=self._clock())

    def deliver(self, *, seconds: float = 600.0) -> DeliveryReport:
        """Send what is due, beginning nothing any more after so many seconds. Raises CatalogError, StorageError."""
        try:
            lock = take_lock(
                self._catalog.path.parent / "locks" / LOCK_NAME, purpose="delivering notifications", patience_seconds=0
            )
        except JobBusy:
            return DeliveryReport(busy=True)
        with lock:
            perhaps = self._deliveries.recover(at=self._clock())
            self._items.route(self._channels_for, at=self._clock())
            Reminding(self._catalog, self._config, self._clock()).remind()
            self._make_deliveries()
            rounds = self._send_all(seconds)
        return DeliveryReport(
            sent=sum(one.sent for one in rounds),
            failed=sum(one.failed for one in rounds),
            perhaps_sent=perhaps,
            problems=tuple(f"{one.channel}: {one.problem}" for one in rounds if one.problem),
            next_item_at=self._next_item_at,
        )

    def _channels_for(self, notification: Notification) -> list[str]:
        return channels_for(notification, self._config, self._clock())

    def _make_deliveries(self) -> None:
        """Put items that are due into messages, with all that belong to them."""
        by_channel: dict[str, list[Item]] = {}
        for item in self._items.waiting():
            by_channel.setdefault(item.channel, []).append(item)
        for channel, items in by_channel.items():
            settings = self._config.channels.get(channel)
            if settings is not None and settings.enabled:
                self._make_deliveries_of(channel, settings, items)

    def _make_deliveries_of(self, channel: str, settings: ChannelSettings, items: list[Item]) -> None:
        at = self._clock()
        groups: dict[str, list[Item]] = {}
        for item in items:
            groups.setdefault(_group_of(item, settings), []).append(item)
        for key, members in groups.items():
            due_at = min(due_of(self._deliveries, item, settings, at, gathers=self._gathers) for item in members)
            if due_at > at:
                self._next_item_at = min(due_at, self._next_item_at or due_at)
            else:
                delivery = Delivery(
                    delivery_id=str(uuid.uuid4()), channel=channel, status="waiting", created_at=at, next_try_at=at
                )
                self._deliveries.add(delivery, [item.item for item in members], group_key=key)

    def _send_all(self, seconds: float) -> "list[_Round]":
        """Send what is due, each channel in a thread of its own: a frozen receiver delays no other."""
        waiting: dict[str, list[Delivery]] = {}
        for delivery in self._deliveries.of_status("waiting"):
            waiting.setdefault(delivery.channel, []).append(delivery)
        end = time.monotonic() + seconds
        rounds = [
            _Round(self._catalog, self._clock, name, settings, waiting[name], end)
            for name, settings in self._config.channels.items()
            if settings.enabled and name in waiting
        ]
        for one in [one for one in rounds if one.begins()]:
            one.join()
        for one in rounds:
            if one.fault is not None:
                raise one.fault
        return rounds


class _Round(Thread):
    """One channel's due messages, one after the other."""

    def __init__(
        self,
        catalog: Database,
        clock: Callable[[], datetime],
        channel: str,
        settings: ChannelSettings,
        waiting: list[Delivery],
        end: float,
    ) -> None:
        super().__init__(name=f"deliver-{channel}", daemon=True)
        self._deliveries = Deliveries(catalog)
        self._items = DeliveryItems(catalog)
        self._clock = clock
        self.channel = channel
        self._settings = settings
        self._waiting = waiting
        self._end = end
        self._asked_to_wait = 0.0
        self.sent = 0
        self.failed = 0
        self.problem = ""
        self.fault: DataGuardianError | None = None

    def begins(self) -> bool:
        """Begin it, or keep as its fault that there is no room for it."""
        try:
            self.start()
        except RuntimeError:
            self.fault = out_of_memory()
            return False
        return True

    def run(self) -> None:
        try:
            due = [delivery for delivery in self._waiting if self._is_due(delivery)]
            for number, delivery in enumerate(due, start=1):
                # One that was broken off before its time could have been taken, and be sent once more.
                if number > 1 and self._end - time.monotonic() < self._settings.timeout:
                    return
                if not self._attempt(delivery):
                    self._spare(due[number:])
                    return
        except DataGuardianError as error:
            self.fault = error

    def _is_due(self, delivery: Delivery) -> bool:
        at = self._clock()
        wait = (delivery.next_try_at or at) - at
        if wait <= LONGEST_WAIT:
            return wait <= timedelta(0)
        # No wait is longer, but that for the end of quiet hours: the clock was set back.
        return after_quiet_hours(at, self._settings) <= at or _is_critical(
            self._items.of_delivery(delivery.delivery_id)
        )

    def _spare(self, others: list[Delivery]) -> None:
        """Let the other messages wait a little: a dead receiver is asked once, and one bad message blocks no other."""
        ids = [delivery.delivery_id for delivery in others]
        self._deliveries.postpone(ids, next_try_at=self._clock() + wait_after(1, asked_to_wait=self._asked_to_wait))

    def _attempt(self, delivery: Delivery) -> bool:
        items = self._items.of_delivery(delivery.delivery_id)
        if not _is_critical(items) and (until := after_quiet_hours(self._clock(), self._settings)) > self._clock():
            self._deliveries.postpone([delivery.delivery_id], next_try_at=until)
            return True
        if not self._deliveries.claim(delivery.delivery_id):
            return True
        message = compose(delivery.delivery_id, items, at=delivery.created_at)
        try:
            taken = send(
                self.channel,
                self._settings,
                message,
                commit=lambda: self._deliveries.hand_over(delivery.delivery_id, at=self._clock()),
                seconds=self._end - time.monotonic(),
                recipients=delivery.recipients,
            )
        except CatalogError:
            # It was not handed over, and waits again.
            raise
        except DataGuardianError as error:
            self._asked_to_wait = error.asked_to_wait if isinstance(error, DeliveryError) else 0.0
            self._failed(delivery, problem_of(error))
            return False
        except BaseException as fault:  # noqa: BLE001  # it ends the thread all the same, without its text
            # It waits its time too, and shows why: it would be sent for the first time every few seconds.
            # Only the kind of fault is told, and logged: its text may hold the channel's URL, and with it a secret.
            kind = type(fault).__name__
            self._failed(
                delivery,
                Problem(
                    kind=kind,
                    message=f"A fault of dgtui itself: {kind}",
                    subject=self.channel,
                    hint="Please report it, with the lines from the daemon's log",
                ),
            )
            raise RuntimeError(kind).with_traceback(fault.__traceback__) from None
        self._taken(delivery, taken)
        return True

    def _taken(self, delivery: Delivery, taken: Taken) -> None:
        self.sent += 1
        self.problem = taken.odd or self.problem
        problem = Problem(kind="DeliveryError", message=taken.odd, subject=self.channel) if taken.odd else None
        at = self._clock()
        if problem is not None and taken.put_off:
            next_try_at = at + wait_after(delivery.attempts + 1)
            self._record(
                lambda: self._deliveries.sent_but_to(
                    taken.put_off, delivery.delivery_id, problem, at=at, next_try_at=next_try_at
                )
            )
        else:
            self._record(lambda: self._deliveries.sent(delivery.delivery_id, at=at, problem=problem))

    def _failed(self, delivery: Delivery, problem: Problem) -> None:
        self.failed += 1
        self.problem = problem.message
        next_try_at = self._clock() + wait_after(delivery.attempts + 1, asked_to_wait=self._asked_to_wait)
        self._record(lambda: self._deliveries.failed(delivery.delivery_id, problem, next_try_at=next_try_at))

    @staticmethod
    def _record(write: Callable[[], None]) -> None:
        """What became of a message is known here alone: unrecorded, one that was refused passes for perhaps sent."""
        for pause in _RECORDING_PAUSES:
            try:
                return write()
            except CatalogError:
                time.sleep(pause)
        return write()


def _is_critical(items: list[Item]) -> bool:
    return any(item.notification.severity == "critical" for item in items)


def due_of(
    deliveries: Deliveries, item: Item, settings: ChannelSettings, at: datetime, *, gathers: bool = True
) -> datetime:
    """When an item is to be sent, where nothing that belongs to it is sent earlier; `gathers` as of `Courier`."""
    notification, told_at = item.notification, None
    if notification.group_key and gathers:
        # What is worse than all that the group was told, begins anew, or ends, is no addition: it waits for nothing.
        key = _group_of(item, settings)
        told_at = deliveries.last_of_group(item.channel, key, at_least(notification.severity), notification)
    moment = due_at(item, settings, group_told_at=told_at, at=at, gathers=gathers)
    return moment if notification.severity == "critical" else max(moment, after_quiet_hours(at, settings))


def _group_of(item: Item, settings: ChannelSettings) -> str:
    """What items of one message have in common."""
    if is_collected(item, settings):
        return "collection"
    reminder = "reminder " if item.reminder else ""
    if item.notification.group_key:
        return f"{reminder}group {item.notification.group_key}"
    return f"item {item.item}"
