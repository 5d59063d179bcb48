"""What every removal leaves behind: a line at its storage and an audit entry, each once, also after a kill."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from dgtui.config import Config
from dgtui.engine.audit import append_audit
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.removals import BegunRemoval, RemovalTable
from dgtui.engine.errors import DataGuardianError, StorageError
from dgtui.engine.messages import now
from dgtui.engine.storages.base import FolderRef, Leftover, Storage
from dgtui.engine.stored import know_marker

CLEANUP_LOG = "cleanup.log"


class RemovalRecords:
    """Writes down removals step by step: where a process dies between two steps, the next one goes on from there."""

    def __init__(self, catalog: Catalog, config: Config, *, clock: Callable[[], datetime] = now) -> None:
        self.table = RemovalTable(catalog)
        self._catalog = catalog
        self._config = config
        self._clock = clock

    def end(self, removal: BegunRemoval, freed: int, *, resumed: bool = False) -> BegunRemoval:
        """Write down that it is gone; it as it was written down. Raises CatalogError, StorageError, JobBusy.

        `resumed` where another process may have come some way already.
        """
        gone = removal
        if not gone.line:
            gone = msgspec.structs.replace(removal, bytes=freed)
            gone = msgspec.structs.replace(gone, line=_line(gone, self._clock()))
            self.table.save(gone)
        if gone.storage in self._config.storages:
            # A disk that is so full that this cannot be written must not keep anything from being freed.
            try:
                self._storage(gone).append_system_log(CLEANUP_LOG, gone.line, once=resumed)
            except DataGuardianError:
                gone = msgspec.structs.replace(gone, unwritten=True)
        if gone.kind == "by hand":
            self.table.end_now(gone)
        else:
            self._audit(gone)
        return gone

    def write_owed(self) -> None:
        """Write the lines that their storages could not take when something was removed. Raises CatalogError."""
        refusing: set[str] = set()
        for removal in self.table.unwritten():
            if removal.storage in refusing:
                continue
            if removal.storage in self._config.storages:
                try:
                    self._storage(removal).append_system_log(CLEANUP_LOG, removal.line, once=True)
                except DataGuardianError:
                    refusing.add(removal.storage)
                    continue
            self.table.settle_line(removal)

    def settle(self, removal: BegunRemoval) -> BegunRemoval | None:
        """Find out whether a removal that broke off took place, and end it or take it back; it, where it did.

        Where the storage cannot tell, it stays begun. Raises CatalogError, StorageError, JobBusy.
        """
        if removal.line:
            return self.end(removal, removal.bytes, resumed=True)
        if removal.storage not in self._config.storages:
            self.table.take_back(removal, "unknown")
            return None
        try:
            if self._is_gone(removal):
                return self.end(removal, removal.bytes, resumed=True)
        except StorageError:
            self.table.leave_in_doubt(removal)
            raise
        return None

    def _is_gone(self, removal: BegunRemoval) -> bool:
        """Whether it is, with all that was left of it. Raises StorageError where that cannot be told or done."""
        storage = self._storage(removal)
        if removal.kind == "leftover":
            rest = Leftover(path=removal.path, execution_id="", bytes=removal.bytes, changed_at=self._clock())
            storage.remove_leftover(rest)
            return True
        ref = FolderRef(job_id=removal.job_id, folder=removal.folder)
        status = storage.copy_status(ref)
        if status == "missing":
            storage.end_removal(ref)
            return True
        if status == "available":
            self.table.take_back(removal)
        else:
            self.table.leave_in_doubt(removal)
        return False

    def _storage(self, removal: BegunRemoval) -> Storage[Any]:
        storage = self._config.storage(removal.storage)
        know_marker(self._catalog, storage)
        return storage

    def _audit(self, gone: BegunRemoval) -> None:
        append_audit(
            self._catalog,
            "retention",
            object_kind="execution" if gone.execution_id else "storage",
            object_name=gone.execution_id or gone.storage,
            outcome="removed",
            details=(f"{gone.storage}: {gone.path}", f"{gone.bytes} bytes", gone.rule),
            actor=gone.by,
            at=self._clock(),
            also=partial(self.table.end, removal=gone),
        )


def _line(removal: BegunRemoval, at: datetime) -> str:
    """When, of which job, which folder, how much, why, by whom."""
    by = removal.by
    who = by.user + f" from {by.origin}" * bool(by.origin) + " (daemon)" * (by.program == "daemon")
    job = removal.job or "-"
    return f"{at:%Y-%m-%dT%H:%M:%SZ} {job} {removal.path} {removal.bytes} bytes: {removal.rule}, by {who}"
