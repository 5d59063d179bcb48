"""Starting backups: what is ordered, under which lock, and how the run is announced before its worker lives.

A command that only starts a backup does not load the catalogue, which takes longer than many a backup: it leaves word
of the run, and the worker records it.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator

from dgtui.config import Config, JobSettings, load_config, state_folder, unknown_options
from dgtui.engine.datasources import datasource_adapter
from dgtui.engine.errors import ConfigError, DiskSpaceError
from dgtui.engine.launch import fork_worker
from dgtui.engine.locks import Lock, take_lock
from dgtui.engine.messages import now
from dgtui.engine.orders import BackupOrder
from dgtui.engine.run_control import RunControl
from dgtui.engine.runs import RunPaths
from dgtui.engine.spawning import Start, launch

Announce = Callable[[BackupOrder], None]
"""Lets others know of a run; called while its lock is held, so that it never looks like a dead one."""


class BackupStart:
    """Starts the workers of backups."""

    def __init__(self, config: Config, paths: RunPaths, start: Start, announce: Announce) -> None:
        self._config = config
        self._paths = paths
        self._start = start
        self._announce = announce

    def job(self, name: str, *, description: str = "") -> str:
        """Start the backup of a configured job; its execution id. Raises ConfigError, JobBusy."""
        job = self._config.job(name)
        return self._launch(name, job, description or job.description)

    def manual(self, job: JobSettings, *, description: str = "") -> str:
        """Start a backup that no configured job describes; its execution id. Raises ConfigError, JobBusy."""
        adapter = datasource_adapter(self._config.require_datasource(job.datasource).type)
        for storage in job.storages:
            self._config.require_storage(storage)
        for option in unknown_options(job, adapter.options).values():
            raise ConfigError(
                f"A {adapter.label} datasource knows no such thing as {option}",
                subject=job.datasource,
                hint=f"Leave out --{option.replace('_', '-')}",
            )
        return self._launch(f"manual-{job.datasource}", job, description)

    def _launch(self, name: str, job: JobSettings, description: str) -> str:
        self._config.require_datasource(job.datasource)
        order = BackupOrder(
            run_id=str(uuid.uuid4()),
            config_path=str(self._config.path) if self._config.path is not None else None,
            ordered_at=now(),
            job_id=self._config.job_id(name),
            job_name=name,
            job=job,
            description=description,
        )
        try:
            with start_lock(self._paths, f"job-{order.job_id}", f"job {name}") as lock:
                launch(self._paths, order, lock, self._start, lambda: self._announce(order))
        except DiskSpaceError as error:
            raise DiskSpaceError(
                f"The disk of the state folder is full, and no run begins without it: {error.message}",
                subject=str(self._paths.state),
                hint=f"Make room there (df -h {self._paths.state}), or let DGTUI_STATE name a folder elsewhere and run "
                "dgtui scan",
            ) from error
        return order.run_id


@contextlib.contextmanager
def start_lock(paths: RunPaths, name: str, purpose: str) -> Iterator[Lock]:
    """Hold a lock while a worker is started; the worker inherits it and holds it to its end. Raises JobBusy."""
    lock = take_lock(paths.locks / f"{name}.lock", purpose=purpose, inheritable=True)
    try:
        yield lock
    finally:
        lock.hand_over()


class BackupDoor(RunControl):
    """What a command needs that only starts a backup and watches it: no catalogue."""

    def __init__(self, config: Config, paths: RunPaths) -> None:
        """Make the state folder. Raises StorageError."""
        super().__init__(paths)
        self.config = config
        paths.make()
        self._start = BackupStart(
            config, paths, fork_worker, announce=lambda order: paths.note_unrecorded(order.run_id)
        )

    @classmethod
    def open(cls) -> "BackupDoor":
        """With the configuration and the state folder that the environment names. Raises ConfigError, StorageError."""
        return cls(load_config(), RunPaths(state_folder()))

    def start_job(self, name: str, *, description: str = "") -> str:
        """Start the backup of a configured job; its execution id. Raises ConfigError, JobBusy."""
        return self._start.job(name, description=description)

    def start_backup(self, job: JobSettings, *, description: str = "") -> str:
        """Start a backup that no configured job describes; its execution id. Raises ConfigError, JobBusy."""
        return self._start.manual(job, description=description)
