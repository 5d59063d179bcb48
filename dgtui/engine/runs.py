"""Runs: where the message file, the lock and the request of each worker lie, and which runs are under way.

Under `<state>/runs/` a run has `<id>.jsonl` (its messages), `<id>.lock` (held by flock as long as the worker lives, so
that a crash frees it) and `<id>.request.json` (what it was asked to do).
"""

import fcntl
import os
import shutil
from pathlib import Path
from typing import Literal

from dgtui.engine.file_errors import explained
from dgtui.engine.files import fsync_folder, make_private_folder
from dgtui.engine.model import Record

Operation = Literal["backup", "restore", "validate", "rehearse"]


class RunPaths:
    """Where the files of runs lie."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.runs = state / "runs"
        self.locks = state / "locks"
        self.kept_rows = state / "late_rows"
        """What others wrote into tables that restores replaced, too late for their safety backups."""
        self.unrecorded = state / "unrecorded"
        """One empty file for each run that the catalogue did not learn of."""

    def messages(self, run_id: str) -> Path:
        """The message file."""
        return self.runs / f"{run_id}.jsonl"

    def lock(self, run_id: str) -> Path:
        """The lock that the living worker holds."""
        return self.runs / f"{run_id}.lock"

    def request(self, run_id: str) -> Path:
        """What the worker was asked to do."""
        return self.runs / f"{run_id}.request.json"

    def faults(self, run_id: str) -> Path:
        """What the worker's own process wrote to stderr: only a fault of the program ever does."""
        return self.runs / f"{run_id}.stderr"

    def scratch(self, run_id: str) -> Path:
        """Folder for the run's temporary files, removed at its end."""
        return self.state / "scratch" / run_id

    def late_rows(self, run_id: str) -> Path:
        """The script that keeps these rows of one restore."""
        return self.kept_rows / f"{run_id}.sql"

    def make(self) -> None:
        """Make the folders, private ones."""
        for folder in (self.state, self.runs, self.locks, self.state / "scratch"):
            make_private_folder(folder)

    def is_alive(self, run_id: str) -> bool:
        """Whether the worker of a run lives: its lock is held."""
        try:
            # To read is enough, and possible where the disk became read-only under a run.
            descriptor = os.open(self.lock(run_id), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def living(self) -> list[str]:
        """The ids of all runs whose worker lives, whoever started it."""
        return sorted(filter(self.is_alive, self.with_locks()))

    def with_locks(self) -> set[str]:
        """The ids of all runs that have a lock, held or not."""
        # By names alone: of runs that ended there may be tens of thousands of other files.
        names = os.listdir(self.runs) if self.runs.is_dir() else []  # noqa: PTH208  # no path each
        return {name.removesuffix(".lock") for name in names if name.endswith(".lock")}

    def unrecorded_runs(self) -> list[str]:
        """The ids of the runs that the catalogue did not learn of."""
        return sorted(path.name for path in self.unrecorded.iterdir()) if self.unrecorded.is_dir() else []

    def is_unrecorded(self, run_id: str) -> bool:
        """Whether the catalogue still has to learn of a run."""
        return (self.unrecorded / run_id).exists()

    def note_unrecorded(self, run_id: str) -> None:
        """Leave word that the catalogue has to learn of a run later. Raises StorageError."""
        make_private_folder(self.unrecorded)
        with explained(self.unrecorded, "write to"):
            (self.unrecorded / run_id).touch(0o600)
        fsync_folder(self.unrecorded)

    def remove_scratch(self, run_id: str) -> None:
        """Remove what a run left in its scratch folder."""
        shutil.rmtree(self.scratch(run_id), ignore_errors=True)


class RunInfo(Record, frozen=True):
    """A run that is under way, whoever started it."""

    run_id: str
    operation: Operation
    title: str
    """What it does, for people: the job's name, or what is restored into what."""
