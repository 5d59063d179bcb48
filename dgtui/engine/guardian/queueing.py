"""What a run of the timetable is while it waits: an execution, and a message file that says why it is there."""

import contextlib
import uuid
from datetime import datetime
from pathlib import Path

from dgtui.config import Config, JobSettings
from dgtui.engine.backup import BackupPlan, started_execution
from dgtui.engine.file_errors import explained
from dgtui.engine.guardian.waiting import note_seen
from dgtui.engine.model import Execution
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.runs import RunPaths


def queued_execution(config: Config, name: str, job: JobSettings, now: datetime) -> Execution:
    """The execution of a run that a job's timetable asks for."""
    plan = BackupPlan(
        execution_id=str(uuid.uuid4()),
        job_id=config.job_id(name),
        job_name=name,
        job=job,
        description=job.description,
        scratch_folder="",
    )
    return started_execution(plan, config.require_datasource(job.datasource).type, now)


def write_queued(paths: RunPaths, execution: Execution, reason: str) -> Path:
    """Begin the run's messages with why it is there; the file. Raises StorageError."""
    messages = paths.messages(execution.execution_id)
    with explained(messages, "write"), contextlib.closing(RunWriter(messages)) as run:
        run.status("queued")
        run.log(reason)
    note_seen(paths, execution.execution_id, execution.started_at)
    return messages


def due_text(due_at: datetime) -> str:
    """A due time for people."""
    return f"{due_at:%Y-%m-%d %H:%M:%S} UTC"
