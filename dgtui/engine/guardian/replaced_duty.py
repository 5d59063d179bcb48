"""The duty that drops what restores have replaced and kept, once its time is over."""

from datetime import datetime, timedelta

from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.periodic import Periodic
from dgtui.engine.replaced import drop_expired


class ReplacedDuty(Periodic):
    """Looks once an hour; how long something is kept is `keep_replaced` of its datasource."""

    name = "replaced databases"
    limit = timedelta(hours=2)
    every = timedelta(hours=1)

    def __init__(self, context: DutyContext) -> None:
        super().__init__()
        self._context = context

    def run(self, now: datetime) -> None:
        """Drop what nobody will undo to any more, and tell of it and of what could not be dropped."""
        context = self._context
        dropped, failures = drop_expired(context.catalog, context.config, context.paths, now)
        self._looked_at = now
        for restore in dropped:
            context.log(f"Dropped the former content of {restore.target} ({restore.datasource}): its time was over")
        for failure in failures:
            context.log(failure.message, "warning")
