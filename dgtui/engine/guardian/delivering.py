"""The duty that delivers notifications."""

from datetime import datetime, timedelta

from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.notify.courier import Courier

_EVERY = timedelta(seconds=5)


class Delivering:
    """Looks every few seconds for what is to be sent."""

    name = "notifications"

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._last: datetime | None = None

    def next_due(self, now: datetime) -> datetime | None:
        """A few seconds after the last time; at once where the clock was set back."""
        if self._last is None or self._last > now:
            return now
        return self._last + _EVERY

    def run(self, now: datetime) -> None:
        """Deliver what is due, and tell what could not be."""
        self._last = now
        courier = Courier(self._context.catalog, self._context.config, clock=self._context.clock)
        report = courier.deliver()
        for problem in report.problems:
            self._context.log(f"Notifications through {problem}", "warning")
        if report.perhaps_sent:
            self._context.log(f"{report.perhaps_sent} notifications were perhaps sent: dgtui notify", "warning")
