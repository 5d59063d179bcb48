"""`Engine`: the only door that screens and commands use."""

import contextlib
import os
import signal
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from dgtui.config import Config, JobSettings, Table, load_config, state_folder, unknown_options
from dgtui.config.store import Values, read_values, remove_object, save_object
from dgtui.engine.audit import current_actor
from dgtui.engine.backup import BackupPlan, started_execution
from dgtui.engine.catalog import Catalog, CatalogDamaged, open_or_stand_in
from dgtui.engine.catalog.due_runs import MissedRun, missed_runs
from dgtui.engine.catalog.forgetting import forget_storage
from dgtui.engine.catalog.proofs import Proofs
from dgtui.engine.check import Finding, examine_everything
from dgtui.engine.cleanup import Cleanup, Retention
from dgtui.engine.cleanup.looking import Look
from dgtui.engine.config_changes import ConfigChanges
from dgtui.engine.datasources import datasource_adapter
from dgtui.engine.datasources.datasource_settings import DatasourceSettings
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.deletion import Forgotten, delete_copies, known_at
from dgtui.engine.errors import ConfigError, DataGuardianError, JobBusy
from dgtui.engine.figures import Figures
from dgtui.engine.glance import DatasourceCheck, check_datasource, check_settings, manifest_of
from dgtui.engine.guardian.overview import (
    JobOverview,
    NextRun,
    cancel_waiting,
    job_overviews,
    next_runs,
    start_daemon,
    switch_job,
    unguarded_jobs,
    waiting_runs,
)
from dgtui.engine.guardian.stand_in import StandIn
from dgtui.engine.guardian.status import DaemonStatus, daemon_status
from dgtui.engine.health import Health
from dgtui.engine.launch import fork_worker, launch, spawn_worker
from dgtui.engine.locks import Lock, take_lock
from dgtui.engine.manifest import Manifest
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, Copy, Execution, Purpose, Restore
from dgtui.engine.orders import AnyOrder, BackupOrder, RehearseOrder, RestoreOrder, ValidateOrder, decode_order
from dgtui.engine.preview import RestorePreview, preview_restore
from dgtui.engine.reconcile import reconcile
from dgtui.engine.records import Records
from dgtui.engine.references import find_execution, find_restore, find_run
from dgtui.engine.rehearsal import rehearse_order
from dgtui.engine.replaced import Kept, drop_expired, drop_replaced, kept_replaced
from dgtui.engine.restore_by_hand import mark_restored
from dgtui.engine.restore_refusals import refuse_deep
from dgtui.engine.restore_task import started_restore, target_lock_name
from dgtui.engine.runs import RunFollower, RunInfo, RunPaths
from dgtui.engine.scan import ScanReport, scan_storage
from dgtui.engine.secrets import observe_secrets
from dgtui.engine.settling import clean_up, restore_findings, unsettled
from dgtui.engine.storages.base import StorageState
from dgtui.engine.stored import know_marker
from dgtui.engine.telling import SecretReads, Teller
from dgtui.engine.undo import UndoChoice, undo_choice
from dgtui.engine.undo_order import undo_order
from dgtui.engine.verify import copies_at, live_copies, manual_commands, validate_folder
from dgtui.engine.watching import RunWatch


class Engine:
    """Everything the program can do, without a screen."""

    def __init__(
        self,
        config: Config,
        state: Path,
        *,
        fork_workers: bool = False,
        look_only: bool = False,
        backup_only: bool = False,
    ) -> None:
        """Open the catalogue under `state` and record what ended without notice. Raises CatalogError.

        `fork_workers` is for programs without threads: their workers start faster. `look_only` is for those that only
        look: nothing is made in the state folder, and nothing put right. `backup_only` is for those that only start a
        backup: where the catalogue cannot be used, they do without it.
        """
        self.config = config
        self._fork_workers = fork_workers
        self.paths = RunPaths(state)
        self._elsewhere = contextlib.ExitStack()
        if not look_only:
            self.paths.make()
        self.warnings: list[str] = []
        """What could not be told (to the audit log, ...) although the work itself was done."""
        if look_only:
            self.catalog = Catalog(self._catalogue_folder(), mend=False)
        elif backup_only:
            self.catalog = self._catalogue_or_none(state)
        else:
            self.catalog = Catalog(state)
        self._secret_reads = SecretReads(self._teller())
        observe_secrets(self._secret_reads)
        self.reconciled = () if look_only or self.catalog.path.parent != state else self._put_right()
        """What was found and put right at the start, as sentences for people."""

    @classmethod
    def open(cls, *, fork_workers: bool = False, look_only: bool = False, backup_only: bool = False) -> "Engine":
        """With the configuration and the state folder that the environment names. Raises ConfigError, CatalogError."""
        return cls(
            load_config(), state_folder(), fork_workers=fork_workers, look_only=look_only, backup_only=backup_only
        )

    def _catalogue_folder(self) -> Path:
        """Where the catalogue lies; where there is none yet, a folder for an empty one that goes when we close."""
        if (self.paths.state / "catalog.db").exists():
            return self.paths.state
        return self._temporary_folder()

    def _temporary_folder(self) -> Path:
        return Path(self._elsewhere.enter_context(tempfile.TemporaryDirectory(prefix="dgtui-")))

    def _catalogue_or_none(self, state: Path) -> Catalog:
        """The catalogue; where it cannot be used, an empty one that goes when we close."""
        catalog, error = open_or_stand_in(state, self._temporary_folder())
        if error is not None:
            self.warnings.append(f"{error.message}. A backup does without it; it is taken up later")
        return catalog

    def _put_right(self) -> tuple[str, ...]:
        self._note_hand_edits()
        try:
            return self.reconcile()
        except CatalogDamaged:
            # It is moved aside now that this is known.
            return self.reconcile()

    def reconcile(self) -> tuple[str, ...]:
        """Record what became of runs and removals whose process died without notice; sentences for people."""
        Cleanup(self.catalog, self.config, self.paths).finish_interrupted()
        return reconcile(self.catalog, self.config, self.paths)

    def _teller(self) -> Teller:
        return Teller(self.catalog, self.config, self.warnings.append)

    def close(self) -> None:
        """Close the catalogue; runs go on."""
        observe_secrets(None)
        self.catalog.close()
        self._elsewhere.close()

    # Changing the configuration

    def reload(self) -> None:
        """Read the configuration again; raises ConfigError, and then the former one stays."""
        self.config = load_config(self.config.path)

    def values(self, table: Table, name: str) -> Values:
        """What is written about an object, key by key. Raises ConfigError."""
        return read_values(self.config, table, name)

    def save_object(self, table: Table, name: str, values: Values, *, new: bool) -> None:
        """Write an object to a file of its own and take it up. Raises ConfigError, StorageError."""
        with self._config_changes().ours():
            self.config = save_object(self.config, table, name, values, new=new)
        action = "add to configuration" if new else "change configuration"
        self._teller().audit(
            action, object_kind=table, object_name=name, outcome="completed", details=(f"keys {', '.join(values)}",)
        )

    def remove_object(self, table: Table, name: str) -> None:
        """Remove an object that was made here. Raises ConfigError where a person wrote it or something needs it."""
        with self._config_changes().ours():
            self.config = remove_object(self.config, table, name)
        self._teller().audit("remove from configuration", object_kind=table, object_name=name, outcome="completed")

    def _config_changes(self) -> ConfigChanges:
        return ConfigChanges(self.catalog, self.config.path)

    def _note_hand_edits(self) -> None:
        try:
            self._config_changes().notice()
        except DataGuardianError as error:
            self.warnings.append(f"Changes of the configuration were not compared: {error.message}")

    # What was told, and who did what

    @property
    def records(self) -> Records:
        """Notifications, their deliveries, and the audit log."""
        return Records(self.catalog, lambda: self.config)

    @property
    def figures(self) -> Figures:
        """Success, duration, size and room over time, metrics, and what needs attention."""
        return Figures(self.config, self.catalog)

    # Starting runs

    def start_job(self, name: str, *, description: str = "") -> str:
        """Start the backup of a configured job; its execution id. Raises ConfigError, JobBusy."""
        job = self.config.job(name)
        return self._start_backup(self.config.job_id(name), name, job, description or job.description)

    def start_backup(self, job: JobSettings, *, description: str = "") -> str:
        """Start a backup that no configured job describes; its execution id. Raises ConfigError, JobBusy."""
        name = f"manual-{job.datasource}"
        adapter = datasource_adapter(self.config.require_datasource(job.datasource).type)
        for storage in job.storages:
            self.config.require_storage(storage)
        for option in unknown_options(job, adapter.options).values():
            raise ConfigError(
                f"{adapter.label} knows no such thing as {option}",
                subject=job.datasource,
                hint=f"Leave out --{option.replace('_', '-')}",
            )
        return self._start_backup(self.config.job_id(name), name, job, description)

    def _start_backup(self, job_id: str, name: str, job: JobSettings, description: str) -> str:
        order = BackupOrder(
            run_id=str(uuid.uuid4()),
            config_path=self._config_path(),
            ordered_at=now(),
            job_id=job_id,
            job_name=name,
            # An order holds no secret; the worker asks the configuration for this one.
            job=msgspec.structs.replace(job, heartbeat=None),
            description=description,
        )
        plan = BackupPlan(
            execution_id=order.run_id,
            job_id=job_id,
            job_name=name,
            job=job,
            description=description,
            scratch_folder=str(self.paths.scratch(order.run_id)),
        )
        kind = self.config.require_datasource(job.datasource).type
        with self._lock(f"job-{job_id}", f"job {name}") as job_lock:
            ordered = started_execution(plan, kind, order.ordered_at)
            self._launch(order, job_lock, lambda: self.catalog.save_execution(ordered))
        return order.run_id

    def start_restore(
        self,
        execution: Execution,
        *,
        storage: str | None = None,
        datasource: str | None = None,
        database: str | None = None,
        selection: Selection | None = None,
        overwrite: bool = False,
        without_missing_roles: bool = True,
        merge: bool = False,
        deep: bool = False,
        jobs: int | None = None,
        reason: str = "",
        safety: bool = True,
        safety_to: str | None = None,
    ) -> str:
        """Start a restore; its id. Raises ConfigError, JobBusy where the target is being restored already.

        A target that holds data is backed up first, to `safety_to` or the storages of the backup's job; without
        `safety` its former content is only kept beside it, where a swap is possible.
        """
        target = datasource or execution.datasource
        if deep:
            refuse_deep(execution, selection or Selection())
        if safety_to is not None:
            self.config.require_storage(safety_to)
        return self._start_restore(
            RestoreOrder(
                **self._ordered(),
                execution_id=execution.execution_id,
                storage=storage,
                datasource=target,
                database=database or self.config.datasource(target).database,
                selection=selection or Selection(),
                overwrite=overwrite,
                without_missing_roles=without_missing_roles,
                merge=merge,
                deep=deep,
                safety=safety,
                safety_to=safety_to,
                jobs=jobs,
                reason=reason,
            )
        )

    def undo_choice(self, restore: Restore) -> UndoChoice:
        """Look whether a restore can be taken back, and how; changes nothing."""
        return undo_choice(self.catalog, self.config, restore)

    def start_undo(
        self, restore: Restore, *, reason: str = "", safety: bool | None = None, safety_to: str | None = None
    ) -> str:
        """Start taking a restore back; the id of that, which is a restore too. Raises ConfigError, JobBusy.

        What is replaced by it is kept like any other; a safety backup is made besides where the way is a restore of
        one, or with `safety`.
        """
        if safety_to is not None:
            self.config.require_storage(safety_to)
        choice, actor = self.undo_choice(restore), current_actor()
        return self._start_restore(
            undo_order(self.config, restore, choice, actor, now(), reason=reason, safety=safety, safety_to=safety_to)
        )

    def _ordered(self) -> dict[str, Any]:
        """Which run, when, by whom, from where."""
        actor = current_actor()
        return {
            "run_id": str(uuid.uuid4()),
            "config_path": self._config_path(),
            "ordered_at": now(),
            "restored_by": actor.user,
            "origin": actor.origin,
        }

    def _start_restore(self, order: RestoreOrder) -> str:
        adapter = self.config.datasource(order.datasource)
        name = target_lock_name(adapter, order.database)
        with self._lock(name, f"restore into {order.database}") as target_lock:
            queued = msgspec.structs.replace(started_restore(order), status="queued")
            self._launch(order, target_lock, lambda: self.catalog.save_restore(queued))
        return order.run_id

    def start_validate(self, execution: Execution, *, storage: str | None = None) -> str:
        """Start a check of an execution's copies to their last byte; the run's id."""
        order = ValidateOrder(
            run_id=str(uuid.uuid4()),
            config_path=self._config_path(),
            ordered_at=now(),
            execution_id=execution.execution_id,
            storage=storage,
        )
        self._launch(order)
        return order.run_id

    def start_rehearsal(
        self, execution: Execution, *, storage: str | None = None, place: str | None = None, deep: bool = False
    ) -> str:
        """Start a restore for a try into a throw-away database; the run's id. Raises ConfigError, JobBusy.

        `place` is the name of a datasource or `private`; the job's place, else where the backup comes from, if empty.
        """
        order = rehearse_order(self.config, execution, current_actor(), now(), storage=storage, place=place, deep=deep)
        with self._lock(f"rehearse-{order.job_id}", f"rehearsal of {order.job}") as lock:
            self._launch(order, lock)
        return order.run_id

    def mark_restored(self, execution: Execution, *, reason: str, at: datetime | None = None) -> Restore:
        """Record a restore that somebody did by hand. Raises ConfigError."""
        return mark_restored(self.catalog, self.config, execution, reason=reason, at=at)

    @property
    def proofs(self) -> Proofs:
        """Which backups were loaded and compared, when and where."""
        return Proofs(self.catalog)

    @contextlib.contextmanager
    def _lock(self, name: str, purpose: str) -> Iterator[Lock]:
        """Hold a lock while a worker is started; the worker inherits it and holds it to its end."""
        lock = take_lock(self.paths.locks / f"{name}.lock", purpose=purpose, inheritable=True)
        try:
            yield lock
        finally:
            lock.hand_over()

    def _launch(self, order: AnyOrder, lock: Lock | None = None, announce: Callable[[], None] | None = None) -> None:
        """Start a worker; `announce` records the run once it holds its lock, so that it never looks like a dead one."""

        def record() -> None:
            if announce is not None:
                announce()
            if self._fork_workers:
                self.catalog.close()

        launch(self.paths, order, lock, fork_worker if self._fork_workers else spawn_worker, record)

    def _config_path(self) -> str | None:
        return str(self.config.path) if self.config.path is not None else None

    # Watching and ending runs

    def follower(self, run_id: str, *, log_lines: int = 5) -> RunFollower:
        """Follow a run's messages, from its first one."""
        return RunFollower(self.paths, run_id, log_lines=log_lines)

    def running(self) -> list[RunInfo]:
        """What is running now, on this machine with this state folder, whoever started it."""
        return [info for run_id in self.paths.living() if (info := self.run_info(run_id)) is not None]

    def run_info(self, run_id: str) -> RunInfo | None:
        """What a run was asked to do; None where that is not known."""
        try:
            order = decode_order(self.paths.request(run_id).read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        match order:
            case BackupOrder():
                return RunInfo(run_id=run_id, operation="backup", title=f"{order.job_name} · {order.job.datasource}")
            case RestoreOrder():
                what = f"undo of {order.undo_of[:8]}" if order.undo_of else order.execution_id[:8]
                return RunInfo(run_id=run_id, operation="restore", title=f"{what} into {order.database}")
            case ValidateOrder():
                return RunInfo(run_id=run_id, operation="validate", title=order.execution_id[:8])
            case RehearseOrder():
                where = f" at {order.place}" if order.place else ""
                return RunInfo(
                    run_id=run_id, operation="rehearse", title=f"{order.job} {order.execution_id[:8]}{where}"
                )

    def run_watch(self) -> RunWatch:
        """Watch all runs of this machine."""
        return RunWatch(self.paths, self.run_info)

    def cancel(self, run_id: str) -> None:
        """Ask a run to stop; it says `cancelled` itself once everything is cleaned up. Does nothing when it ended."""
        if self.cancel_waiting(run_id):
            return
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int(self.paths.lock(run_id).read_text())
            if self.paths.is_alive(run_id):
                os.kill(pid, signal.SIGTERM)

    def waiting(self) -> list[RunInfo]:
        """The runs of the timetable that wait for their turn, in its order."""
        return waiting_runs(self.catalog, self.paths)

    def cancel_waiting(self, run_id: str) -> bool:
        """Take a run that waits for its turn from the queue; False where it does not wait."""
        return cancel_waiting(self.catalog, self.paths, run_id, now())

    # Looking

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

    def execution_texts(
        self, *, job: str | None = None, datasource: str | None = None, status: str | None = None
    ) -> Iterator[tuple[str, str]]:
        """The id of each execution and itself as JSON, the newest first, read as they are asked for."""
        return self.catalog.execution_texts(job=job, datasource=datasource, status=status)

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

    def restores(self, execution_id: str | None = None, *, limit: int | None = None) -> list[Restore]:
        """Restores, the newest first."""
        return self.catalog.restores(execution_id, limit=limit)

    def restore_count(self) -> int:
        """How many restores there were."""
        return self.catalog.restore_count()

    def restore(self, reference: str) -> Restore:
        """Find a restore by the first characters of its id. Raises ConfigError."""
        return find_restore(self.catalog, reference)

    def live_copies(self, execution: Execution) -> tuple[Copy, ...]:
        """The copies of an execution as they are now at their storages; the catalogue learns it."""
        return live_copies(self.catalog, self.config, execution)

    def copies_at(self, storage: str, executions: Sequence[Execution]) -> dict[str, Copy]:
        """The copies of executions at one storage as they are now, by the execution's id; the catalogue learns it."""
        return copies_at(self.catalog, self.config, storage, executions)

    def manifest(self, execution: Execution, *, storage: str | None = None) -> Manifest:
        """What a backup says of itself, from the first copy that can be read. Raises DataGuardianError."""
        return manifest_of(self.config, execution, storage)

    def check_datasource(self, name: str) -> DatasourceCheck:
        """Look how a datasource answers now. Raises ConfigError where there is none of this name."""
        return check_datasource(self.config, name)

    def check_settings(self, name: str, settings: DatasourceSettings) -> DatasourceCheck:
        """Look how a datasource would answer that is not configured yet."""
        return check_settings(name, settings)

    def examine_storage(self, name: str) -> StorageState:
        """Look at a storage, changing nothing. Raises ConfigError where there is none of this name."""
        storage = self.config.storage(name)
        know_marker(self.catalog, storage)
        return storage.examine()

    def manual_commands(self, execution: Execution) -> str:
        """The content of RESTORE.txt: how to restore this backup by hand. Raises StorageError, ValidationError."""
        return manual_commands(self.config, execution)

    def preview_restore(
        self,
        execution: Execution,
        *,
        storage: str | None = None,
        datasource: str | None = None,
        database: str | None = None,
        selection: Selection | None = None,
        merge: bool = False,
        deep: bool = False,
        safety: bool = True,
    ) -> RestorePreview:
        """What a restore would change, and in which way; changes nothing. Raises DataGuardianError."""
        return preview_restore(
            self.config,
            self.catalog,
            execution,
            storage=storage,
            datasource=datasource,
            database=database,
            selection=selection or Selection(),
            merge=merge,
            deep=deep,
            safety=safety,
        )

    # What restores left

    def kept_replaced(self) -> list[Kept]:
        """The former contents that restores have kept beside their targets, the newest first."""
        return kept_replaced(self.catalog)

    def drop_replaced(self, restore: Restore) -> Restore:
        """Drop what a restore has kept; its record. Raises DataGuardianError."""
        return drop_replaced(self.catalog, self.config, self.paths, restore.restore_id)

    def drop_expired_replaced(self) -> tuple[list[Restore], list[DataGuardianError]]:
        """Drop all that was kept and whose time is over; the records, and what kept others from being dropped."""
        return drop_expired(self.catalog, self.config, self.paths, now())

    def unsettled_restores(self) -> list[Restore]:
        """The interrupted restores that left something beside their target, the newest first."""
        return unsettled(self.catalog)

    def cleanup_restore(self, restore: Restore) -> tuple[str, ...]:
        """Bring an interrupted restore to a clean end and remove what it left; sentences for people.

        Raises DataGuardianError.
        """
        return clean_up(self.catalog, self.config, self.paths, restore)

    def finish_restore(self, restore: Restore, *, reason: str = "") -> str:
        """Start to import a backup once more into a target that was left partly filled; the id of that restore.

        What is there now is backed up first, as ever. Raises ConfigError where there is nothing to finish, JobBusy.
        """
        if not restore.partly_filled or not restore.execution_id:
            raise ConfigError(
                f"Restore {restore.restore_id[:8]} has not left {restore.target} partly filled",
                subject=restore.restore_id,
                hint="Leave out --finish, or restore again",
            )
        return self.start_restore(
            self.execution(restore.execution_id),
            datasource=restore.datasource,
            database=restore.target,
            selection=Selection(backup_type=restore.backup_type, tables=restore.tables),  # type: ignore[arg-type]  # what was ordered
            overwrite=True,
            reason=reason or f"Finishes restore {restore.restore_id[:8]}",
        )

    # Acting on what is stored

    def validate_folder(self, folder: Path) -> None:
        """Check a backup folder anywhere to its last byte. Raises ValidationError, StorageError."""
        scratch = self.paths.state / "scratch"
        validate_folder(folder, scratch if scratch.is_dir() else self._temporary_folder())

    def delete(self, execution: Execution, *, storage: str | None = None, force: bool = False) -> int:
        """Delete an execution's copies, or the one at `storage`; the bytes freed. Raises DataGuardianError.

        The last good backup of a job, and one that a run is reading, are only deleted with `force`.
        """
        if not force and execution.execution_id in Look(self.catalog, self.config, self.paths).in_use():
            raise JobBusy(
                f"Execution {execution.execution_id[:8]} is being read by a run; nothing was deleted",
                subject=execution.execution_id,
                hint="Wait for its end, dgtui status shows it; or delete it all the same with --force",
            )
        outcome = "failed"
        try:
            freed = delete_copies(self.catalog, self.config, execution, storage=storage, force=force)
            outcome = "completed"
        finally:
            left = self.catalog.execution(execution.execution_id)
            lying = {copy.storage for copy in left.copies} if left is not None else set()
            gone = [copy.storage for copy in execution.copies if copy.path and copy.storage not in lying]
            self._teller().audit(
                "delete",
                object_kind="execution",
                object_name=execution.execution_id,
                outcome="partial" if gone and outcome == "failed" else outcome,
                details=(
                    f"job {execution.job}",
                    f"at {storage or 'every storage'}",
                    *(f"deleted at {name}" for name in gone),
                ),
            )
        return freed

    def known_at(self, storage: str) -> Forgotten:
        """What the catalogue knows of a storage that is not configured any more. Raises ConfigError."""
        return known_at(self.catalog, self.config, storage)

    def forget_storage(self, storage: str) -> Forgotten:
        """Forget a storage that is not configured any more, and every copy there; deletes nothing at any storage.

        Raises ConfigError where it is configured, and where nothing is known of it.
        """
        known = self.known_at(storage)
        forget_storage(self.catalog, storage)
        self._teller().audit(
            "forget storage",
            object_kind="storage",
            object_name=storage,
            outcome="completed",
            details=(f"{known.copies} copies", f"{known.backups} backups that lie nowhere else"),
        )
        return known

    def scan(self, storage: str) -> ScanReport:
        """Read every manifest at a storage into the catalogue. Raises StorageError."""
        return scan_storage(self.catalog, self.config, storage)

    @property
    def retention(self) -> Retention:
        """Which backups stay and which go, and the removal of the latter."""
        return Retention(self.catalog, self.config, self.paths)

    # The daemon

    def daemon_status(self) -> DaemonStatus:
        """Whether a daemon runs for this state folder, and how it stands. Raises StorageError."""
        return daemon_status(self.paths)

    def start_daemon(self) -> DaemonStatus:
        """Start the daemon in the background. Raises JobBusy where one runs, DataGuardianError where it fails."""
        return start_daemon(self.config, self.paths)

    def next_runs(self) -> list[NextRun]:
        """The next run of each job by its timetable, the soonest first."""
        return next_runs(self.config, now())

    def missed_runs(self, since: datetime) -> list[MissedRun]:
        """The runs that were due since a moment and never came."""
        return missed_runs(self.catalog, since)

    def job_overviews(self) -> list[JobOverview]:
        """All jobs, with their next runs and last results."""
        return job_overviews(self.config, self.catalog, now())

    def switch_job(self, name: str, *, enabled: bool) -> None:
        """Have a job's timetable followed, or not. Raises ConfigError where a person wrote the job."""
        former = self.config
        with self._config_changes().ours():
            self.config = switch_job(former, name, enabled=enabled)
        if self.config is not former:
            action = "enable" if enabled else "disable"
            self._teller().audit(action, object_kind="job", object_name=name, outcome="completed")

    @property
    def health(self) -> Health:
        """How everything that is watched stands, and the worker that asks it."""
        return Health(self)

    def keep_health(self, stopping: threading.Event) -> None:
        """Check what is due, as long as no daemon does, until told to stop: for a program that stays open."""
        StandIn(self, self.paths).keep(stopping)

    def check(self) -> list[Finding]:
        """Examine configuration, secrets, tools, rights, storages, channels; changes nothing."""
        return [
            *examine_everything(self.config, self.catalog, self.paths.state),
            *restore_findings(self.catalog),
            *unguarded_jobs(self.config, self.paths),
        ]
