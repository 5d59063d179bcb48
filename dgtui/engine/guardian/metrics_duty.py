"""The duty that writes the metrics where Prometheus' textfile collector finds them."""

from datetime import datetime, timedelta
from pathlib import Path

from dgtui.engine.figures import Figures
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.periodic import Periodic


class MetricsDuty(Periodic):
    """Writes the file that `metrics_file` of the `[guardian]` table names."""

    name = "metrics"
    limit = timedelta(minutes=10)
    every = timedelta(minutes=1)

    def __init__(self, context: DutyContext) -> None:
        super().__init__()
        self._context = context
        self._written: str | None = None

    def next_due(self, now: datetime) -> datetime | None:
        """At once where the file is another one; never where none is named."""
        path = self._context.config.guardian.metrics_file
        if path is None:
            return None
        return super().next_due(now) if path == self._written else now

    def run(self, now: datetime) -> None:
        """Write it. Raises StorageError."""
        path = self._context.config.guardian.metrics_file
        if path is None:
            return
        figures = Figures(self._context.config, self._context.catalog, clock=self._context.clock)
        figures.write_metrics(Path(path), daemon_running=True)
        self._looked_at, self._written = now, path
