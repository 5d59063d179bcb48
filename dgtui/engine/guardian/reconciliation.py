"""The duty that records what became of runs whose worker died without notice."""

from datetime import datetime, timedelta

from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.reconcile import reconcile

_EVERY = timedelta(minutes=1)


class Reconciliation:
    """Looks once a minute for runs that ended without notice."""

    name = "ended runs"

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._last: datetime | None = None

    def next_due(self, now: datetime) -> datetime | None:
        """A minute after the last time; at once where the clock was set back."""
        if self._last is None or self._last > now:
            return now
        return self._last + _EVERY

    def run(self, now: datetime) -> None:
        """Record them, and tell of each."""
        for sentence in reconcile(self._context.catalog, self._context.config, self._context.paths):
            self._context.log(sentence, "warning")
        self._last = now
