"""The duty that records what became of runs whose worker died without notice, and removes old files of runs."""

from datetime import datetime, timedelta

from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.periodic import Periodic
from dgtui.engine.reconcile import reconcile
from dgtui.engine.run_files import prune_run_files


class Reconciliation(Periodic):
    """Looks once a minute for runs that ended without notice."""

    name = "ended runs"
    limit = timedelta(hours=1)
    every = timedelta(minutes=1)

    def __init__(self, context: DutyContext) -> None:
        super().__init__()
        self._context = context
        self._logged: frozenset[str] = frozenset()

    def run(self, now: datetime) -> None:
        """Record them, and tell of each once; remove what is old."""
        sentences = reconcile(self._context.catalog, self._context.config, self._context.paths)
        for sentence in sentences:
            if sentence not in self._logged:
                self._context.log(sentence, "warning")
        self._logged = frozenset(sentences)
        self._looked_at = now
        kept = self._context.config.guardian.run_logs_kept
        prune_run_files(self._context.catalog, self._context.paths, kept_seconds=kept)
