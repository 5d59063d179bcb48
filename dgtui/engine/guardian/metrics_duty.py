"""The duty that writes the metrics where Prometheus' textfile collector finds them."""

from datetime import datetime, timedelta
from pathlib import Path

from dgtui.engine.figures import Figures
from dgtui.engine.guardian.duty import DutyContext

_EVERY = timedelta(minutes=1)


class MetricsDuty:
    """Writes the file that `metrics_file` of the `[guardian]` table names."""

    name = "metrics"
    limit = timedelta(minutes=10)

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._written_at: datetime | None = None
        self._written: str | None = None

    def next_due(self, now: datetime) -> datetime | None:
        """A minute after the last time; at once where the file is another one, or the clock was set back."""
        path = self._context.config.guardian.metrics_file
        if path is None:
            return None
        if self._written_at is None or self._written != path or self._written_at > now:
            return now
        return self._written_at + _EVERY

    def run(self, now: datetime) -> None:
        """Write it. Raises StorageError."""
        path = self._context.config.guardian.metrics_file
        if path is None:
            return
        figures = Figures(self._context.config, self._context.catalog, clock=self._context.clock)
        figures.write_metrics(Path(path), daemon_running=True)
        self._written_at, self._written = now, path
