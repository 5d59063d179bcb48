"""Removing backups and storages by hand, each with the audit entry that tells of it."""

from collections.abc import Sequence
from functools import partial

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.forgetting import forget_storage
from dgtui.engine.catalog.removals import BegunRemoval, RemovalTable
from dgtui.engine.cleanup.carrying_out import PATIENCE_SECONDS
from dgtui.engine.cleanup.looking import Look
from dgtui.engine.deletion import Forgotten, delete_copies, known_at, settle_deletion
from dgtui.engine.errors import DataGuardianError, JobBusy
from dgtui.engine.locks import take_lock
from dgtui.engine.model import Execution
from dgtui.engine.removal_records import RemovalRecords
from dgtui.engine.runs import RunPaths
from dgtui.engine.telling import Teller


class Removal:
    """Deletes what is stored, and forgets what is known."""

    def __init__(self, catalog: Catalog, config: Config, paths: RunPaths, teller: Teller) -> None:
        self._catalog = catalog
        self._config = config
        self._paths = paths
        self._teller = teller

    def delete(self, execution: Execution, *, storage: str | None, force: bool) -> int:
        """Delete an execution's copies, or the one at `storage`; the bytes freed. Raises DataGuardianError.

        The last good backup of a job, and one that a run is reading, are only deleted with `force`; one that is still
        being made never is.
        """
        outcome = "failed"
        unwritten: list[BegunRemoval] = []
        with take_lock(self._paths.locks / "cleanup.lock", purpose="deleting", patience_seconds=PATIENCE_SECONDS):
            # It may have ended, or be read by a restore, since somebody looked at it or while we waited.
            newest = self._catalog.execution(execution.execution_id) or execution
            if not force:
                self._refuse_in_use(newest)
            try:
                freed = delete_copies(
                    self._catalog, self._config, newest, storage=storage, force=force, unwritten=unwritten
                )
                outcome = "completed"
            finally:
                self._write_down(newest, storage, outcome, unwritten)
        return freed

    def _refuse_in_use(self, execution: Execution) -> None:
        if execution.execution_id in Look(self._catalog, self._config, self._paths).in_use():
            raise JobBusy(
                f"Execution {execution.execution_id[:8]} is being read by a run; nothing was deleted",
                subject=execution.execution_id,
                hint="Wait for its end, dgtui status shows it; or delete it all the same: "
                f"dgtui delete {execution.execution_id[:8]} --force",
            )

    def _write_down(
        self, execution: Execution, storage: str | None, outcome: str, unwritten: Sequence[BegunRemoval]
    ) -> None:
        """Where that fails, all of it is left to the next start; why the deletion failed is told all the same."""
        try:
            settle_deletion(RemovalRecords(self._catalog, self._config), unwritten)
            self._tell_deletion(execution, storage, outcome)
        except DataGuardianError as error:
            self._teller.warn(
                f"The deletion could not be written down: {error.message}. It is made up for when dgtui starts next"
            )

    def _tell_deletion(self, execution: Execution, storage: str | None, outcome: str) -> None:
        left = self._catalog.execution(execution.execution_id)
        lying = {copy.storage for copy in left.copies} if left is not None else set()
        gone = [copy.storage for copy in execution.copies if copy.path and copy.storage not in lying]
        table = RemovalTable(self._catalog)
        told = [one for one in table.ended() if one.execution_id == execution.execution_id]
        self._teller.audit(
            "delete",
            object_kind="execution",
            object_name=execution.execution_id,
            outcome="partial" if gone and outcome == "failed" else outcome,
            details=(
                f"job {execution.job}",
                f"at {storage or 'every storage'}",
                *(f"deleted at {name}" for name in gone),
            ),
            also=partial(table.forget, told=told),
        )

    def forget_storage(self, storage: str) -> Forgotten:
        """Forget a storage that is not configured any more, and every copy there; deletes nothing at any storage.

        Raises ConfigError where it is configured, and where nothing is known of it.
        """
        known = known_at(self._catalog, self._config, storage)
        forget_storage(self._catalog, storage)
        self._teller.audit(
            "forget storage",
            object_kind="storage",
            object_name=storage,
            outcome="completed",
            details=(f"{known.copies} copies", f"{known.backups} backups that lie nowhere else"),
        )
        return known
