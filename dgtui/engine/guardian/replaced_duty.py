"""The duty that drops what restores have replaced and kept, once its time is over."""

from datetime import datetime, timedelta

from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.replaced import drop_expired

_EVERY = timedelta(hours=1)


class ReplacedDuty:
    """Looks once an hour; how long something is kept is `keep_replaced` of its datasource."""

    name = "replaced databases"
    limit = timedelta(hours=2)

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._last: datetime | None = None

    def next_due(self, now: datetime) -> datetime | None:
        """An hour after the last time; at once where the clock was set back."""
        if self._last is None or self._last > now:
            return now
        return self._last + _EVERY

    def run(self, now: datetime) -> None:
        """Drop what nobody will undo to any more, and tell of it and of what could not be dropped."""
        context = self._context
        dropped, failures = drop_expired(context.catalog, context.config, context.paths, now)
        self._last = now
        for restore in dropped:
            context.log(f"Dropped the former content of {restore.target} ({restore.datasource}): its time was over")
        for failure in failures:
            context.log(failure.message, "warning")
