"""The duty that checks the health of everything that is configured."""

from datetime import datetime, timedelta

from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.health import HealthWorker


class HealthDuty:
    """Checks what is due."""

    name = "health"
    limit = timedelta(minutes=15)

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._worker = HealthWorker(context, clock=context.clock)

    def next_due(self, now: datetime) -> datetime | None:
        """When the next check is."""
        return self._worker.next_due(now)

    def run(self, now: datetime) -> None:  # noqa: ARG002  # checks take time: the worker asks the clock itself
        """Check what is due, and wait for the answers."""
        self._worker.run(self._context.stopping)
