"""Looking up what the catalogue knows: executions, restores, and whom a reference of people means."""

from collections.abc import Collection, Iterator

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.listing import Tell
from dgtui.engine.catalog.newest import newest_backup
from dgtui.engine.errors import ConfigError
from dgtui.engine.model import ENDED, Execution, Purpose
from dgtui.engine.references import find_execution, find_restore, find_run
from dgtui.engine.restore_model import Restore
from dgtui.engine.runs import RunPaths


class Lookup:
    """What was done, as far as it is known here."""

    def __init__(self, config: Config, catalog: Catalog, paths: RunPaths) -> None:
        self.config = config
        self.catalog = catalog
        self.paths = paths

    def executions(
        self,
        *,
        job: str | None = None,
        datasource: str | None = None,
        status: str | None = None,
        purpose: Purpose | None = None,
        limit: int | None = None,
    ) -> list[Execution]:
        """Executions with their copies, the newest first."""
        return self.catalog.executions(job=job, datasource=datasource, status=status, purpose=purpose, limit=limit)

    def newest_backup(self, datasource: str, statuses: Collection[str]) -> Execution | None:
        """The backup of a datasource that was begun last of those that stand like this, whatever the clock said."""
        return newest_backup(self.catalog, datasource, statuses)

    def execution_texts(
        self,
        *,
        job: str | None = None,
        datasource: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> Iterator[str]:
        """Executions as JSON objects with commas between, and when each was proven; the newest first, as read."""
        return self.catalog.execution_texts(job=job, datasource=datasource, status=status, limit=limit)

    def listed(
        self,
        tell: Tell,
        *,
        job: str | None = None,
        datasource: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> Iterator[str]:
        """What is told of executions, many at a time, the newest first; of some of them by another process."""
        return self.catalog.listed(tell, job=job, datasource=datasource, status=status, limit=limit)

    def execution_count(
        self, *, job: str | None = None, datasource: str | None = None, status: str | None = None
    ) -> int:
        """How many executions there are."""
        return self.catalog.execution_count(job=job, datasource=datasource, status=status)

    def backup_counts(self) -> dict[str, int]:
        """How many backups each datasource has, also one that is not configured any more."""
        return self.catalog.backup_counts()

    def storage_usage(self) -> dict[str, tuple[int, int]]:
        """Number and bytes of the backups that the catalogue knows at each storage."""
        return self.catalog.storage_usage()

    def execution(self, reference: str) -> Execution:
        """Find one by the first characters of its id, `JOB@latest` or `JOB@2025-02-13_060001`. Raises ConfigError."""
        return find_execution(self.catalog, reference)

    def run_reference(self, reference: str) -> str:
        """The id of a run, by the first characters of its id or as `execution` takes it; `JOB@latest` is the newest.

        Raises ConfigError, also where its log is not kept any more.
        """
        matches = [path.stem for path in self.paths.runs.glob("*.jsonl") if path.stem.startswith(reference)]
        if len(matches) == 1:
            return matches[0]
        found = find_run(self.catalog, reference)
        if found.status in ENDED and not self.paths.messages(found.execution_id).exists():
            raise ConfigError(
                f"Execution {found.execution_id[:8]} ended {found.status}, and its log is not kept here any more",
                subject=found.execution_id,
                hint=f"What is known of it: dgtui show {found.execution_id[:8]}",
            )
        return found.execution_id

    def datasource_of(self, run_id: str) -> str:
        """The datasource that a backup or a restore is about; empty where neither is recorded."""
        found = self.catalog.execution(run_id) or self.catalog.restore(run_id)
        return found.datasource if found is not None else ""

    def restores(self, execution_id: str | None = None, *, limit: int | None = None) -> list[Restore]:
        """Restores, the newest first."""
        return self.catalog.restores(execution_id, limit=limit)

    def restore_count(self) -> int:
        """How many restores there were."""
        return self.catalog.restore_count()

    def restore(self, reference: str) -> Restore:
        """Find a restore by the first characters of its id. Raises ConfigError."""
        return find_restore(self.catalog, reference)
