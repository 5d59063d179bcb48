"""The duty that delivers notifications."""

from datetime import datetime, timedelta

from dgtui.config import Config
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.notify.courier import Courier, DeliveryReport
from dgtui.engine.sizes import counted

_EVERY = timedelta(seconds=5)
_WHOLE_ROUND_EVERY = timedelta(minutes=1)
_ROUND_SECONDS = 60.0
"""What is new waits until a round is over: a receiver that takes many messages slowly goes on in the next one."""


class Delivering:
    """Looks every few seconds for what is to be sent, and once a minute for what is to be said again."""

    name = "notifications"
    limit = timedelta(minutes=15)

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._last: datetime | None = None
        self._last_round: datetime | None = None
        self._next_item_at: datetime | None = None
        self._config: Config | None = None

    def next_due(self, now: datetime) -> datetime | None:
        """A few seconds after the last time; at once where the clock was set back."""
        if self._last is None or self._last > now:
            return now
        soonest = self._last + _EVERY
        return soonest if self._next_item_at is None else min(soonest, self._next_item_at)

    def run(self, now: datetime) -> None:
        """Deliver what is due, and tell what could not be."""
        self._last = now
        config = self._context.config
        courier = Courier(self._context.catalog, config, clock=self._context.clock)
        if self._wants_round(now, config) or courier.has_news():
            self._tell(courier.deliver(seconds=_ROUND_SECONDS), now, config)

    def _wants_round(self, now: datetime, config: Config) -> bool:
        if self._last_round is None or config is not self._config:
            return True
        if self._next_item_at is not None and self._next_item_at <= now:
            return True
        return not self._last_round <= now < self._last_round + _WHOLE_ROUND_EVERY

    def _tell(self, report: DeliveryReport, now: datetime, config: Config) -> None:
        # Where another process delivers just now, it is tried again after the usual few seconds.
        self._last_round = None if report.busy else now
        self._config, self._next_item_at = config, report.next_item_at
        for problem in report.problems:
            self._context.log(f"Notifications through {problem}", "warning")
        if report.perhaps_sent:
            count = report.perhaps_sent
            were = f"{counted(count, 'messages')} {'was' if count == 1 else 'were'}"
            self._context.log(f"{were} perhaps sent, see: dgtui notify", "warning")
