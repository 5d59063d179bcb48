"""Retention around a backup: after a good one, and before a second try on a disk that was full."""

from dgtui.config import Config
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.catalog import Catalog
from dgtui.engine.cleanup.carrying_out import Cleanup
from dgtui.engine.cleanup.looking import Look, Scope
from dgtui.engine.cleanup.report import CleanupReport
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.orders import BackupOrder
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.runs import RunPaths


class RoundBackup:
    """What retention does for the job of one backup."""

    def __init__(
        self, catalog: Catalog, config: Config, paths: RunPaths, run: RunWriter, cancellation: Cancellation
    ) -> None:
        self._catalog = catalog
        self._config = config
        self._paths = paths
        self._run = run
        self._cancellation = cancellation

    def clean_up(self, order: BackupOrder) -> tuple[str, ...]:
        """Remove what no rule keeps any more, now that there is a newer one; warnings. Never raises."""
        if not self._has_rules(order):
            return ()
        try:
            report = self._carry_out(Scope(jobs=(order.job_name,)))
        except DataGuardianError as error:
            self._run.log(f"Cleanup: {error.message}", level="warning")
            return (f"Old backups were not removed: {error.message}",)
        return tuple(
            f"{failure.path or failure.storage} was not removed: {failure.problem.message}"
            for failure in report.not_removed
        )

    def make_room(self, order: BackupOrder) -> bool:
        """Remove what no rule keeps at the job's storages; whether anything became free. Never raises."""
        try:
            report = self._carry_out(Scope(storages=order.job.storages))
        except DataGuardianError as error:
            self._run.log(f"No room was made: {error.message}", level="warning")
            return False
        return report.freed_bytes > 0

    def _carry_out(self, scope: Scope) -> CleanupReport:
        with self._cancellation.shield():
            cleanup = Cleanup(self._catalog, self._config, self._paths, stop=self._cancellation.event)
            report = cleanup.run(scope, strays=False)
        for one in report.removed:
            self._run.log(f"Retention removed {one.path}: {one.rule.replace('_', ' ')}, {one.bytes:,} bytes freed")
        for failure in report.not_removed:
            self._run.log(f"{failure.path or failure.storage}: {failure.problem.message}", level="warning")
        for note in report.notes:
            self._run.log(note, level="warning")
        return report

    def _has_rules(self, order: BackupOrder) -> bool:
        """Whether anything could go: a manual backup has no job that is configured."""
        job = self._config.jobs.get(order.job_name)
        if job is None or self._config.job_id(order.job_name) != order.job_id:
            return False
        look = Look(self._catalog, self._config, self._paths)
        return any(look.rules_at(job, name) is not None for name in self._config.storages) or look.has_safety_copies(
            job.datasource
        )
