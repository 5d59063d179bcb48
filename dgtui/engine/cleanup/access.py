"""What commands and screens may ask of retention."""

import threading
from collections.abc import Sequence

from dgtui.config import Config
from dgtui.engine.audit import append_audit, current_actor
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.retention import RetentionTable
from dgtui.engine.cleanup.carrying_out import Cleanup
from dgtui.engine.cleanup.looking import Look, Scope
from dgtui.engine.cleanup.report import CleanupReport
from dgtui.engine.cleanup.strays import Stray, find_strays
from dgtui.engine.errors import ConfigError
from dgtui.engine.messages import now
from dgtui.engine.model import RESTORABLE, Execution
from dgtui.engine.retention import RetentionPlan, Verdict
from dgtui.engine.runs import RunPaths


class Retention:
    """Retention as `Engine` offers it."""

    def __init__(self, catalog: Catalog, config: Config, paths: RunPaths) -> None:
        self._catalog = catalog
        self._config = config
        self._paths = paths

    def plan(self, *, jobs: Sequence[str] | None = None, live: bool = False) -> RetentionPlan:
        """What would stay and go now, and why; by the states that are known, with `live` by asking the storages.

        Raises ConfigError where a job is not configured, CatalogError.
        """
        scope = Scope(jobs=None if jobs is None else tuple(jobs), everything=True)
        scope.check(self._config)
        return Look(self._catalog, self._config, self._paths).plan(scope, now=now(), live=live)

    def plan_of_datasource(self, datasource: str) -> RetentionPlan:
        """What of a datasource's backups would stay and go now, and why, by the states that are known.

        Raises CatalogError.
        """
        return Look(self._catalog, self._config, self._paths).plan_of_datasource(datasource, now=now())

    def verdicts(self, execution: Execution) -> tuple[Verdict, ...]:
        """What keeps a backup at each of its storages, by the states that are known. Raises CatalogError."""
        return Look(self._catalog, self._config, self._paths).verdicts_on(execution, now=now())

    def preview(self, scope: Scope, *, strays: bool = True) -> CleanupReport:
        """What `clean_up` would do now; removes nothing. Raises ConfigError, CatalogError."""
        return Cleanup(self._catalog, self._config, self._paths).preview(scope, strays=strays)

    def clean_up(self, scope: Scope, *, strays: bool = True) -> CleanupReport:
        """Remove what no rule keeps, and what broken runs left. Raises ConfigError, CatalogError, JobBusy."""
        return Cleanup(self._catalog, self._config, self._paths).run(scope, strays=strays)

    def bring_up_to_date(self, scope: Scope) -> CleanupReport:
        """All that `clean_up` does besides removing what goes: days of expiry, and what was broken off or is owed.

        Raises ConfigError, CatalogError, JobBusy.
        """
        nothing_more = threading.Event()
        nothing_more.set()
        return Cleanup(self._catalog, self._config, self._paths, stop=nothing_more).run(scope, strays=True)

    def strays(self, storage: str) -> list[Stray]:
        """The folders at a storage that are no backups of the catalogue. Raises ConfigError, StorageError."""
        return find_strays(self._catalog, self._config, self._paths, storage)

    def pin(self, execution: Execution, reason: str = "") -> None:
        """Keep a backup for good; one that is pinned keeps its reason where none is given.

        Raises ConfigError where it left none.
        """
        if execution.status not in RESTORABLE:
            raise ConfigError(
                f"Execution {execution.execution_id[:8]} ended {execution.status} and left no backup",
                subject=execution.execution_id,
                hint="Choose another one: dgtui list --status completed",
            )
        self._set_pin(execution, reason.strip() or execution.pin or f"pinned by {current_actor().user}", "pin")

    def unpin(self, execution: Execution) -> None:
        """Leave a backup to the rules again. Raises ConfigError where it is not pinned."""
        if execution.pin is None:
            raise ConfigError(
                f"Execution {execution.execution_id[:8]} is not pinned",
                subject=execution.execution_id,
                hint="dgtui list shows what is",
            )
        self._set_pin(execution, None, "unpin")

    def _set_pin(self, execution: Execution, reason: str | None, action: str) -> None:
        table = RetentionTable(self._catalog)
        self._catalog.need_writable()
        append_audit(
            self._catalog,
            action,
            object_kind="execution",
            object_name=execution.execution_id,
            outcome="done",
            details=(execution.job, *([reason] if reason else [])),
            # Together: nobody is told that it failed of what was done, and nothing is done that no entry tells.
            also=lambda connection: table.set_pin(connection, execution.execution_id, reason),
        )
