"""Removing what retention lets go, one copy after another: an interruption at any moment leaves no half backup."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from dgtui.config import Config
from dgtui.engine.audit import HeadNotWritten, current_actor
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.removals import BegunRemoval
from dgtui.engine.catalog.retention import RetentionTable
from dgtui.engine.cleanup.looking import Look, Scope
from dgtui.engine.cleanup.report import CleanupReport, NotRemoved, Removed
from dgtui.engine.cleanup.strays import Stray, Strays
from dgtui.engine.cleanup.telling import tell_failures, tell_removed
from dgtui.engine.deletion import tell_cut_deletions
from dgtui.engine.errors import DataGuardianError, JobBusy, StorageError, ValidationError
from dgtui.engine.locks import take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import Copy, CopyStatus, Execution
from dgtui.engine.notification_model import Actor
from dgtui.engine.problems import problem_of
from dgtui.engine.removal_records import RemovalRecords
from dgtui.engine.retention import Verdict
from dgtui.engine.runs import RunPaths
from dgtui.engine.sizes import size_text
from dgtui.engine.storages.base import FolderRef, KnownFolders, Storage
from dgtui.engine.stored import folder_of, know_marker, read_known_manifest, status_by

PATIENCE_SECONDS = 30.0
"""How long a cleanup, or a deletion by hand, waits for another one."""
_NAMED_AT_MOST = 3


class Cleanup:
    """Decides and removes; preview and removal go by the same decision."""

    def __init__(
        self,
        catalog: Catalog,
        config: Config,
        paths: RunPaths,
        *,
        actor: Actor | None = None,
        clock: Callable[[], datetime] = now,
        stop: threading.Event | None = None,
        needs: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        """`stop` ends it between two removals."""
        self._catalog = catalog
        self._config = config
        self._paths = paths
        self._actor = actor or current_actor()
        self._clock = clock
        self._stop = stop or threading.Event()
        self._table = RetentionTable(catalog)
        self._records = RemovalRecords(catalog, config, clock=clock)
        self._look = Look(catalog, config, paths, needs=needs)
        self._removed: list[Removed] = []
        self._not_removed: list[NotRemoved] = []
        self._notes: list[str] = []

    def preview(self, scope: Scope, *, strays: bool) -> CleanupReport:
        """What `run` would do now; removes nothing. Raises ConfigError, CatalogError."""
        scope.check(self._config)
        plan = self._look.plan(scope, now=self._clock(), live=True)
        # What the storages said of their folders before the decision is told once more: nothing is removed by it.
        found = [stray for _, stray in self._strays(scope, self._look.names)] if strays else []
        return CleanupReport(plan=plan, not_removed=tuple(self._not_removed), strays=tuple(found))

    def run(self, scope: Scope, *, strays: bool) -> CleanupReport:
        """Remove what goes, and with `strays` what broken runs left. Raises ConfigError, CatalogError, JobBusy."""
        scope.check(self._config)
        with take_lock(self._paths.locks / "cleanup.lock", purpose="cleanup", patience_seconds=PATIENCE_SECONDS):
            self._finish_begun()
            plan = self._look.plan(scope, now=self._clock(), live=True)
            self._table.set_expiries(plan.expiries())
            if scope.jobs is None:
                self._table.clear_expiries(self._look.ruled_jobs())
            with self._saying_what_is_gone():
                for verdict in plan.removals:
                    if scope.allows(verdict.storage) and not self._stop.is_set():
                        self._remove(verdict)
                left = self._remove_strays(scope) if strays else []
            # Still locked: what was not told yet is told by one process.
            self._tell()
            self._write_down(self._records.write_owed)
        # What was not tried, since it was stopped before, may fail as it did.
        everywhere = scope.jobs is None and not (self._stop.is_set() and plan.removals)
        for storage in filter(scope.allows, self._config.storages):
            self._write_down(partial(self._tell_failures, storage, everywhere=everywhere))
        return CleanupReport(
            plan=plan,
            removed=tuple(self._removed),
            not_removed=tuple(self._not_removed),
            strays=tuple(left),
            notes=tuple(self._notes),
        )

    # One copy

    def _remove(self, verdict: Verdict) -> None:
        if verdict.execution_id in self._look.in_use():
            return
        execution = self._catalog.execution(verdict.execution_id)
        if execution is None:
            return
        storage = self._config.storage(verdict.storage)
        know_marker(self._catalog, storage)
        ref = FolderRef(job_id=verdict.job_id, folder=verdict.folder)
        if self._is_hollow(verdict, storage, ref):
            return
        try:
            # Whether it is the very backup that was judged, and no other one in its place.
            read_known_manifest(storage, execution)
            self._need_certainty(execution, verdict.storage)
        except DataGuardianError as error:
            self._fail(verdict, error)
            if isinstance(error, ValidationError):
                self._mark_damaged(verdict, error)
            return
        self._carry_out(
            self._begun(
                execution_id=verdict.execution_id,
                job_id=verdict.job_id,
                job=verdict.job,
                storage=verdict.storage,
                folder=verdict.folder,
                path=verdict.path,
                bytes=verdict.bytes,
                rule=verdict.removed_by or "",
            ),
            lambda: storage.delete(ref),
        )

    def _begun(self, **fields: Any) -> BegunRemoval:
        by = self._actor
        return BegunRemoval(**fields, actor=by.user, origin=by.origin, program=by.program)

    def _carry_out(self, removal: BegunRemoval, remove: Callable[[], int]) -> bool:
        """Whether it is gone, with all that is written down of it."""
        self._records.table.begin(removal)
        try:
            freed = remove()
        except DataGuardianError as error:
            # It may be gone all the same.
            if self._settle(removal):
                return True
            self._fail(removal, error)
            return False
        self._removed.append(_removed(removal, freed))
        self._write_down(lambda: self._records.end(removal, freed))
        return True

    def _is_hollow(self, verdict: Verdict, storage: Storage[Any], ref: FolderRef) -> bool:
        """Whether there is but a folder of its name; the catalogue learns that the backup is gone."""
        if storage.copy_status(ref) != "missing":
            return False
        copy = Copy(storage=verdict.storage, status="missing", path=verdict.path, checked_at=self._clock())
        self._catalog.save_copy(verdict.execution_id, copy)
        return True

    def _need_certainty(self, execution: Execution, storage: str) -> None:
        """Raise StorageError where a copy elsewhere cannot be looked into, which its name alone did not tell."""
        for copy in execution.copies:
            if copy.storage == storage or not copy.path or copy.status == "missing":
                continue
            # The decision has brought the catalogue up to date: what it knows to be in doubt is.
            status: CopyStatus = copy.status if copy.storage in self._config.storages else "unknown"
            if status == "available":
                other = self._config.storage(copy.storage)
                know_marker(self._catalog, other)
                status = other.copy_status(folder_of(execution))
            if status not in ("available", "missing"):
                raise StorageError(
                    f"It stays, since its copy at {copy.storage} is in doubt",
                    subject=copy.path,
                    hint=f"See what is wrong there: dgtui validate {execution.execution_id[:8]}",
                )

    def _fail(self, what: Verdict | BegunRemoval, error: DataGuardianError) -> None:
        self._not_removed.append(
            NotRemoved(storage=what.storage, path=what.path, job=what.job, problem=problem_of(error))
        )

    def _mark_damaged(self, verdict: Verdict, error: ValidationError) -> None:
        self._catalog.save_copy(
            verdict.execution_id,
            Copy(
                storage=verdict.storage,
                status=status_by(error),
                path=verdict.path,
                checked_at=self._clock(),
                problem=problem_of(error),
            ),
        )

    def finish_interrupted(self) -> tuple[Removed, ...]:
        """End, or take back, removals whose process died, and tell of them; nothing while a cleanup is under way."""
        if self._records.table.is_empty():
            return ()
        try:
            with take_lock(self._paths.locks / "cleanup.lock", purpose="cleanup", patience_seconds=0):
                self._finish_begun()
                self._tell()
        except JobBusy:
            return ()
        return tuple(self._removed)

    def _finish_begun(self) -> None:
        """End, or take back, the removals that were interrupted."""
        for removal in self._records.table.begun():
            self._settle(removal)
        self._write_down(lambda: tell_cut_deletions(self._catalog, self._records.table))

    def _settle(self, removal: BegunRemoval) -> bool:
        """Whether a removal that broke off took place; where that cannot be told yet, it stays begun."""
        try:
            gone = self._records.settle(removal)
        except HeadNotWritten as error:
            self._note(error)
            gone = removal
        except DataGuardianError as error:
            self._note(error)
            return False
        if gone is not None:
            self._removed.append(_removed(gone, gone.bytes))
        return gone is not None

    # What broken runs left

    def _strays(
        self, scope: Scope, names: Mapping[str, KnownFolders] = MappingProxyType({})
    ) -> list[tuple[Strays, Stray]]:
        """`names` are those that storages were asked for already."""
        found: list[tuple[Strays, Stray]] = []
        known = self._table.known_folders()
        for name in self._config.storages:
            if not scope.allows(name):
                continue
            try:
                strays = Strays(self._catalog, self._config, self._paths, name, known=known, names=names.get(name))
            except DataGuardianError as error:
                self._not_removed.append(NotRemoved(storage=name, path="", problem=problem_of(error)))
                continue
            found += [(strays, stray) for stray in strays.found]
            if strays.unread is not None:
                self._not_removed.append(NotRemoved(storage=name, path="", problem=problem_of(strays.unread)))
        return found

    def _remove_strays(self, scope: Scope) -> list[Stray]:
        left: list[Stray] = []
        for strays, stray in self._strays(scope):
            if not stray.may_go(self._clock()) or self._stop.is_set():
                left.append(stray)
                continue
            ref = strays.ref(stray)
            removal = self._begun(
                execution_id="",
                job="",
                storage=stray.storage,
                path=stray.path,
                bytes=stray.bytes,
                rule=stray.kind,
                kind=stray.kind,
                job_id=ref.job_id,
                folder=ref.folder,
            )
            if not self._carry_out(removal, partial(strays.remove, stray)):
                left.append(stray)
        return left

    # What is told of it

    def _tell(self) -> None:
        self._write_down(lambda: tell_removed(self._catalog, self._config, self._records.table, self._clock()))

    def _tell_failures(self, storage: str, *, everywhere: bool) -> None:
        failed = [one for one in self._not_removed if one.storage == storage]
        tell_failures(self._catalog, self._config, storage, failed, self._clock(), everywhere=everywhere)

    @contextlib.contextmanager
    def _saying_what_is_gone(self) -> Iterator[None]:
        """What ends it early names what it had removed: whoever reads that it failed would think that all is there."""
        try:
            yield
        except DataGuardianError as error:
            if not self._removed:
                raise
            freed = size_text(sum(one.bytes for one in self._removed))
            gone = ", ".join(one.path for one in self._removed[:_NAMED_AT_MOST])
            more = " and others" if len(self._removed) > _NAMED_AT_MOST else ""
            told = f"{error.message}. Already removed: {len(self._removed)}, {freed} freed: {gone}{more}"
            raise error.reworded(told) from error

    def _write_down(self, write: Callable[[], object]) -> None:
        """What was removed is removed, also where it cannot be written down."""
        try:
            write()
        except DataGuardianError as error:
            self._note(error)

    def _note(self, error: DataGuardianError) -> None:
        if error.message not in self._notes:
            self._notes.append(error.message)


def _removed(removal: BegunRemoval, freed: int) -> Removed:
    return Removed(
        storage=removal.storage,
        job=removal.job,
        path=removal.path,
        bytes=freed,
        rule=removal.rule,
        execution_id=removal.execution_id or None,
    )
