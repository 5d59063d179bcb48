"""What people see of the timetable and the daemon, and what they do with them."""

import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from dgtui.config import Config
from dgtui.config.store import is_ours, read_values, save_object
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.due_runs import queued_runs, stopped_before
from dgtui.engine.check import Finding
from dgtui.engine.errors import ConfigError, DataGuardianError, JobBusy
from dgtui.engine.file_errors import explained
from dgtui.engine.guardian.status import DaemonStatus, daemon_status
from dgtui.engine.guardian.timetable_duty import followed_jobs, timetable_of
from dgtui.engine.guardian.waiting import end_waiting
from dgtui.engine.model import Execution, Problem, Record
from dgtui.engine.runs import RunInfo, RunPaths
from dgtui.engine.schedules import schedule_words
from dgtui.engine.spawning import keep_process

_LARGEST_LOG = 1 << 20
_START_SECONDS = 20.0
_LAST_LINES = 5
_REASON = "error: "


class NextRun(Record, frozen=True):
    """The next run of a job by its timetable."""

    job: str
    due_at: datetime
    starts_at: datetime
    """Later than that by the jitter."""


class JobOverview(Record, frozen=True):
    """A job, its timetable, and how it went last."""

    name: str
    datasource: str
    storages: tuple[str, ...]
    enabled: bool
    followed: bool
    """Whether its timetable is followed: it and its datasource are switched on."""
    schedule: str | None
    schedule_words: str
    """The schedule as people say it; empty where it has none."""
    timezone: str | None
    window: str | None
    """The hours in which the timetable may begin it; None for the whole day."""
    jitter_seconds: int
    next_run: datetime | None
    """When the timetable starts it next; None where it does not."""
    last: Execution | None
    again: bool
    """Whether that one was made again, after the machine had stopped the one before."""
    editable: bool
    """Whether it was made on a screen, so that it can be switched on and off here."""
    file: str
    line: int


def next_runs(config: Config, now: datetime) -> list[NextRun]:
    """The next run of each job whose timetable is followed, the soonest first."""
    found = []
    for name, job in followed_jobs(config).items():
        run = timetable_of(config.job_id(name), job).next_after(now)
        if run is not None:
            found.append(NextRun(job=name, due_at=run.due_at, starts_at=run.starts_at))
    return sorted(found, key=lambda run: run.starts_at)


def job_overviews(config: Config, catalog: Catalog, now: datetime) -> list[JobOverview]:
    """All jobs in the order of the configuration."""
    coming = {run.job: run.starts_at for run in next_runs(config, now)}
    newest = catalog.last_runs(list(config.jobs))
    again = stopped_before(catalog, [last.execution_id for last in newest.values()])
    overviews = []
    for name, job in config.jobs.items():
        last = newest.get(name)
        origin = config.origin("jobs", name)
        overviews.append(
            JobOverview(
                name=name,
                datasource=job.datasource,
                storages=job.storages,
                enabled=job.enabled,
                followed=config.is_followed(name),
                schedule=job.schedule,
                schedule_words=schedule_words(job.schedule) if job.schedule is not None else "",
                timezone=job.timezone,
                window=job.window,
                jitter_seconds=int(job.jitter),
                next_run=coming.get(name),
                last=last,
                again=last is not None and last.execution_id in again,
                editable=is_ours(config, "jobs", name),
                file=str(origin.file),
                line=origin.line,
            )
        )
    return overviews


def unguarded_jobs(config: Config, paths: RunPaths) -> list[Finding]:
    """What is to be said of jobs with a schedule where no daemon runs that would follow it."""
    followed = followed_jobs(config)
    if not followed or daemon_status(paths).running:
        return []
    return [
        Finding(
            area="job",
            subject=", ".join(followed),
            level="warning",
            message="No daemon is running, so that no schedule is followed",
            mend="dgtui daemon --install",
        )
    ]


def switch_job(config: Config, name: str, *, enabled: bool) -> Config:
    """Have a job's timetable followed, or not. Raises ConfigError where a person wrote the job."""
    origin = config.origin("jobs", name)
    if config.job(name).enabled == enabled:
        return config
    if not is_ours(config, "jobs", name):
        raise ConfigError(
            f"{name} was written by a person and is not changed here",
            subject=name,
            hint=f"Write  enabled = {str(enabled).lower()}  into [jobs.{name}], {origin.file}:{origin.line}",
        )
    values = {**read_values(config, "jobs", name), "enabled": enabled}
    return save_object(config, "jobs", name, values, new=False)


def waiting_runs(catalog: Catalog, paths: RunPaths) -> list[RunInfo]:
    """The runs of the timetable that wait for their turn, in its order."""
    return [
        RunInfo(run_id=run.execution_id, operation="backup", title=f"{run.job} · {run.datasource}")
        for run in queued_runs(catalog)
        if not paths.is_alive(run.execution_id)
    ]


def cancel_waiting(catalog: Catalog, paths: RunPaths, run_id: str, now: datetime) -> bool:
    """Take a run that waits for its turn from the queue; False where it does not wait."""
    problem = Problem(kind="Cancelled", message="Cancelled while it waited for its turn", subject=run_id)
    return end_waiting(catalog, paths, run_id, problem, now)


def start_daemon(config: Config, paths: RunPaths) -> DaemonStatus:
    """Start the daemon in the background, where it outlives this program; how it stands once it guards.

    Raises JobBusy where one runs already, DataGuardianError with its last lines where it does not come up.
    """
    if daemon_status(paths).running:
        raise JobBusy("A daemon is already running", subject=str(paths.state), hint="See: dgtui daemon --status")
    process = _spawn(config, paths)
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        status = daemon_status(paths)
        if status.report is not None:
            return status
        time.sleep(0.1)
    raise _not_up(paths, ended=process.poll() is not None)


def _not_up(paths: RunPaths, *, ended: bool) -> DataGuardianError:
    """With the reason that the daemon gave where it ended, which is in the last lines of its log."""
    lines = _log_path(paths).read_text("utf-8", "replace").splitlines()[-_LAST_LINES:]
    reasons = [line.removeprefix(_REASON) for line in lines if line.startswith(_REASON)] if ended else []
    return DataGuardianError(
        f"The daemon did not come up: {reasons[-1]}" if reasons else "The daemon did not come up",
        subject=str(paths.state),
        hint="Start it in the foreground to see more: dgtui daemon",
        detail=tuple(lines),
    )


def _spawn(config: Config, paths: RunPaths) -> "subprocess.Popen[bytes]":
    log_path = _log_path(paths)
    named = {"DGTUI_STATE": str(paths.state.absolute())}
    if config.path is not None:
        named["DGTUI_CONFIG"] = str(config.path)
    ours = {name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
    with explained(log_path, "open"):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        too_large = log_path.exists() and log_path.stat().st_size > _LARGEST_LOG
        log = os.open(log_path, flags | (os.O_TRUNC if too_large else 0), 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "dgtui", "daemon"],
            env={**ours, **named},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(log)
    keep_process(process)
    return process


def _log_path(paths: RunPaths) -> Path:
    return paths.state / "daemon.log"
