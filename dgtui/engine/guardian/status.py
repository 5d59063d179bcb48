"""What the daemon tells of itself: a small file in the state folder, true as long as its lock is held."""

import contextlib
from datetime import datetime
from pathlib import Path

import msgspec

from dgtui.engine.catalog.database import is_without_room
from dgtui.engine.files import write_durably
from dgtui.engine.guardian.runner import DutyState
from dgtui.engine.locks import lock_holder
from dgtui.engine.model import Problem, Record
from dgtui.engine.runs import RunPaths


class DaemonReport(Record, frozen=True):
    """What a daemon wrote about itself last."""

    pid: int
    started_at: datetime
    version: str
    config_read_at: datetime
    config_problem: Problem | None = None
    """Why the configuration as it lies there is not the one in use; None where it is."""
    duties: tuple[DutyState, ...] = ()


class DaemonStatus(Record, frozen=True):
    """Whether a daemon runs for a state folder, and how it stands."""

    running: bool
    pid: int | None = None
    since: datetime | None = None
    report: DaemonReport | None = None
    disk_full: bool = False
    """Whether it can write nothing: then what it reported is from before."""


def daemon_lock_path(paths: RunPaths) -> Path:
    """The lock that the one daemon of a state folder holds."""
    return paths.locks / "daemon.lock"


def write_report(paths: RunPaths, report: DaemonReport) -> None:
    """Tell how the daemon stands. Raises StorageError."""
    write_durably(_report_path(paths), msgspec.json.encode(report))


def daemon_status(paths: RunPaths) -> DaemonStatus:
    """Whether a daemon runs, and how it stands. Raises StorageError."""
    holder = lock_holder(daemon_lock_path(paths))
    full = is_without_room(paths.state / "catalog.db")
    if holder is None:
        return DaemonStatus(running=False, disk_full=full)
    report = None
    with contextlib.suppress(OSError, msgspec.DecodeError):
        report = msgspec.json.decode(_report_path(paths).read_bytes(), type=DaemonReport)
    if report is not None and report.pid != holder.pid:
        report = None
    return DaemonStatus(running=True, pid=holder.pid, since=holder.since, report=report, disk_full=full)


def _report_path(paths: RunPaths) -> Path:
    return paths.state / "daemon.json"
