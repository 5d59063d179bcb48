"""`Engine`: the only door that screens and commands use."""

import threading
from datetime import datetime
from pathlib import Path

from dgtui.config import Config, Table, load_config, state_folder
from dgtui.config.kept import load_or_former
from dgtui.config.kinds import ObjectKind, object_kinds
from dgtui.config.store import Values, read_values, remove_object, save_object
from dgtui.engine.aftermath import RestoreAftermath
from dgtui.engine.catalog.due_runs import MissedRun, missed_runs
from dgtui.engine.catalog.proofs import Proofs
from dgtui.engine.check import Finding, examine_everything
from dgtui.engine.cleanup import Retention
from dgtui.engine.config_changes import ConfigChanges
from dgtui.engine.deletion import Forgotten, known_at, refuse_needed
from dgtui.engine.errors import CatalogError, PermissionDenied, StorageError
from dgtui.engine.figures import Figures
from dgtui.engine.file_errors import is_read_only
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
from dgtui.engine.live_look import LiveLook
from dgtui.engine.messages import now
from dgtui.engine.model import Execution
from dgtui.engine.opening import Opening, unwritable
from dgtui.engine.putting_right import put_right, settle_runs
from dgtui.engine.records import Records
from dgtui.engine.removal import Removal
from dgtui.engine.restore_by_hand import mark_restored
from dgtui.engine.restore_model import Restore
from dgtui.engine.run_control import RunControl
from dgtui.engine.run_follower import RunFollower
from dgtui.engine.runs import RunInfo, RunPaths
from dgtui.engine.scan import ScanReport, scan_storage
from dgtui.engine.secrets import observe_secrets
from dgtui.engine.settling import restore_findings
from dgtui.engine.telling import SecretReads, Teller
from dgtui.engine.verify import validate_folder
from dgtui.engine.watching import RunWatch


class Engine(RestoreAftermath, LiveLook):
    """Everything the program can do, without a screen."""

    def __init__(
        self,
        config: Config,
        state: Path,
        *,
        fork_workers: bool = False,
        look_only: bool = False,
        read_anyway: bool = False,
        put_back: bool = True,
    ) -> None:
        """Open the catalogue under `state` and record what ended without notice. Raises CatalogError.

        `fork_workers` is for programs without threads: their workers start faster. `look_only` is for those that only
        look: nothing is made in the state folder, and nothing put right; with `read_anyway` those who cannot write
        there look. Without `put_back` what an import left partly filled is left so: for those who are about to put it
        back, or to bring it to its end.
        """
        paths = RunPaths(state)
        self._opening = Opening(state, look_only=look_only, read_anyway=read_anyway)
        super().__init__(config, self._opening.catalog, paths, fork_workers=fork_workers)
        self._control = RunControl(paths)
        self.warnings: list[str] = []
        """What could not be told (to the audit log, ...) although the work itself was done."""
        self._secret_reads = SecretReads(self._teller())
        observe_secrets(self._secret_reads)
        why = unwritable(state)
        self.cannot_record = why
        """Why nothing can be recorded, for people; None where it can."""
        self.reconciled = () if self._opening.only_to_read else self._put_right(put_back=put_back, forgiven=bool(why))
        """What was found and put right at the start, as sentences for people."""
        if why is not None:
            self.warnings.append(why)

    def _put_right(self, *, put_back: bool, forgiven: bool) -> tuple[str, ...]:
        """Put right what ended without notice; `forgiven` where it is known why that may fail."""
        try:
            return put_right(self.catalog, self.config, self.paths, self.warnings.append, put_back=put_back)
        except (CatalogError, StorageError, PermissionDenied) as error:
            if not forgiven and not is_read_only(self.paths.state):
                raise
            self.warnings.append(f"What ended without notice was not recorded: {error.message}. {error.hint}")
            return ()

    @classmethod
    def open(
        cls, *, fork_workers: bool = False, look_only: bool = False, read_anyway: bool = False, put_back: bool = True
    ) -> "Engine":
        """With the configuration and the state folder that the environment names. Raises ConfigError, CatalogError."""
        return cls(
            load_config(),
            state_folder(),
            fork_workers=fork_workers,
            look_only=look_only,
            read_anyway=read_anyway,
            put_back=put_back,
        )

    @classmethod
    def open_beside_mistakes(cls, *, fork_workers: bool = False, read_anyway: bool = False) -> "Engine":
        """As `open`; where the configuration is wrong, only to look, with the one that was right last, and a warning.

        Raises ConfigError where it cannot be told which files it has, CatalogError.
        """
        state = state_folder()
        config, mistake = load_or_former(state)
        engine = cls(config, state, fork_workers=fork_workers, look_only=mistake is not None, read_anyway=read_anyway)
        if mistake is not None:
            mistakes = "; ".join(mistake.message.splitlines())
            engine.warnings.append(f"The configuration is wrong, see dgtui check: {mistakes}")
        return engine

    def reconcile(self, *, put_back: bool = True) -> tuple[str, ...]:
        """Record what became of runs and removals whose process died without notice; sentences for people."""
        # The whole state folder may have gone under us.
        self.paths.make()
        return settle_runs(self.catalog, self.config, self.paths, put_back=put_back)

    @property
    def is_made_anew(self) -> bool:
        """Whether the catalogue was lost, and the new one does not know yet what the storages hold."""
        return not self._opening.only_to_read and self.catalog.made_anew() is not None

    def deliver(self) -> None:
        """Send notifications where no daemon does it, as the end of a run does."""
        self._teller().deliver()

    def _teller(self) -> Teller:
        return Teller(self.catalog, self.config, self.warnings.append)

    def close(self) -> None:
        """Close the catalogue; runs go on."""
        observe_secrets(None)
        self._opening.close()

    # Changing the configuration

    def reload(self) -> None:
        """Read the configuration again; raises ConfigError, and then the former one stays."""
        self.config = load_config(self.config.path)

    def values(self, table: Table, name: str) -> Values:
        """What is written about an object, key by key. Raises ConfigError."""
        return read_values(self.config, table, name)

    def object_kinds(self, table: Table) -> tuple[ObjectKind, ...]:
        """The kinds of objects that a table of the configuration may hold, with what can be set for each."""
        return object_kinds(table)

    def save_object(self, table: Table, name: str, values: Values, *, new: bool, seen: Values | None = None) -> None:
        """Write an object to a file of its own and take it up; not where it does not hold what was `seen` any more.

        Raises ConfigError, StorageError.
        """
        with self._config_changes().ours():
            self.config = save_object(self.config, table, name, values, new=new, seen=seen)
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

    # What was told, and who did what

    @property
    def records(self) -> Records:
        """Notifications, their deliveries, and the audit log."""
        return Records(self.catalog, lambda: self.config)

    @property
    def figures(self) -> Figures:
        """Success, duration, size and room over time, metrics, and what needs attention."""
        return Figures(self.config, self.catalog)

    # What proves backups

    def mark_restored(self, execution: Execution, *, reason: str, at: datetime | None = None) -> Restore:
        """Record a restore that somebody did by hand. Raises ConfigError."""
        return mark_restored(self.catalog, self.config, execution, reason=reason, at=at)

    @property
    def proofs(self) -> Proofs:
        """Which backups were loaded and compared, when and where."""
        return Proofs(self.catalog)

    # Watching and ending runs

    def follower(self, run_id: str, *, log_lines: int = 5) -> RunFollower:
        """Follow a run's messages, from its first one."""
        return self._control.follower(run_id, log_lines=log_lines)

    def running(self) -> list[RunInfo]:
        """What is running now, on this machine with this state folder, whoever started it."""
        return self._control.running()

    def run_info(self, run_id: str) -> RunInfo | None:
        """What a run was asked to do; None where that is not known."""
        return self._control.run_info(run_id)

    def run_watch(self) -> RunWatch:
        """Watch all runs of this machine."""
        return RunWatch(self.paths, self.run_info)

    def cancel(self, run_id: str) -> bool:
        """Ask a run to stop; it says `cancelled` itself once everything is cleaned up.

        False where nothing was there to be asked: it has ended, or its process is not there yet.
        """
        return self.cancel_waiting(run_id) or self._control.cancel(run_id)

    def stop(self, run_id: str) -> bool:
        """Pass on that the machine or a service is being stopped: the run ends, says so, and it is news."""
        return self.cancel_waiting(run_id) or self._control.stop(run_id)

    def waiting(self) -> list[RunInfo]:
        """The runs of the timetable that wait for their turn, in its order."""
        return waiting_runs(self.catalog, self.paths)

    def cancel_waiting(self, run_id: str) -> bool:
        """Take a run that waits for its turn from the queue; False where it does not wait."""
        return cancel_waiting(self.catalog, self.paths, run_id, now())

    # Acting on what is stored

    def validate_folder(self, folder: Path) -> None:
        """Check a backup folder anywhere to its last byte. Raises ValidationError, StorageError."""
        scratch = self.paths.state / "scratch"
        validate_folder(folder, scratch if scratch.is_dir() else self._opening.temporary_folder())

    def refuse_needed(self, execution: Execution, *, storage: str | None = None) -> None:
        """Raise ConfigError where `delete` would refuse because it is pinned, the last good one, or a way back."""
        refuse_needed(self.catalog, execution, storage=storage)

    def delete(self, execution: Execution, *, storage: str | None = None, force: bool = False) -> int:
        """Delete an execution's copies, or the one at `storage`; the bytes freed. Raises DataGuardianError.

        The last good backup of a job, and one that a run is reading, are only deleted with `force`.
        """
        removal = Removal(self.catalog, self.config, self.paths, self._teller())
        return removal.delete(execution, storage=storage, force=force)

    def known_at(self, storage: str) -> Forgotten:
        """What the catalogue knows of a storage that is not configured any more. Raises ConfigError."""
        return known_at(self.catalog, self.config, storage)

    def forget_storage(self, storage: str) -> Forgotten:
        """Forget a storage that is not configured any more, and every copy there; deletes nothing at any storage.

        Raises ConfigError where it is configured, and where nothing is known of it.
        """
        return Removal(self.catalog, self.config, self.paths, self._teller()).forget_storage(storage)

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
        return Health(self._opening.for_checks(self.config))

    def keep_health(self, stopping: threading.Event) -> None:
        """Check what is due, and record runs that died, as long as no daemon does: for a program that stays open."""
        StandIn(self, self.paths, settle=self._record_dead_runs).keep(stopping)

    def _record_dead_runs(self) -> None:
        if not self._opening.only_to_read:
            self.reconcile(put_back=False)

    def check(self) -> list[Finding]:
        """Examine configuration, secrets, tools, rights, storages, channels; changes nothing."""
        return [
            *examine_everything(self.config, self.catalog, self.paths.state),
            *restore_findings(self.catalog),
            *unguarded_jobs(self.config, self.paths),
        ]
