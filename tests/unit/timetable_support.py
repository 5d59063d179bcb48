"""A timetable duty with a clock that the test turns and workers that only are noted down."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dgtui.config import load_config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.due_runs import queued_runs
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.timetable_duty import TimetableDuty
from dgtui.engine.guardian.waiting import note_seen
from dgtui.engine.model import ExecutionStatus
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.runs import RunPaths
from tests.unit.config_support import DATASOURCE, STORAGE, write_config

START = datetime(2025, 1, 1, 12, tzinfo=UTC)


class Guard:
    """A timetable duty over a folder of its own; its workers say that they ran and are gone at once."""

    def __init__(self, folder: Path, jobs: str, *, silent: bool = False) -> None:
        self.folder = folder
        self.paths = RunPaths(folder / "state")
        self.paths.make()
        self.now = START
        self.silent = silent
        self.status: ExecutionStatus = "failed"
        """How its runs end; `running` ones do not."""
        self.started: list[str] = []
        self.configure(jobs)
        self.catalog = Catalog(self.paths.state)
        self.restart()

    def configure(self, jobs: str, *, datasource: str = DATASOURCE) -> None:
        """Another configuration, which the duty takes up."""
        self.config = load_config(write_config(self.folder, STORAGE + datasource + jobs))
        if hasattr(self, "context"):
            self.context.take_config(self.config)

    def restart(self) -> None:
        """As after a kill -9: a new duty that knows what lies on the disk alone."""
        self.context = DutyContext(self.config, self.catalog, self.paths, clock=lambda: self.now)
        self.duty = TimetableDuty(self.context, start=self._start)

    def kill_at_the_start(self, *, begun: bool = False) -> str:
        """Let it be killed as it starts the one run that waits, before its worker began or after; the run's id."""

        def start(paths: RunPaths, run_id: str, locks: tuple[int, ...], faults: int) -> int:
            if begun:
                self._start(paths, run_id, locks, faults)
            raise KeyboardInterrupt

        self.duty = TimetableDuty(self.context, start=start)
        with pytest.raises(KeyboardInterrupt):
            self.duty.run(self.now)
        (waiting,) = queued_runs(self.catalog)
        note_seen(self.paths, waiting.execution_id, self.now)  # by the clock of the test, as all else
        return waiting.execution_id

    def _start(self, paths: RunPaths, run_id: str, _locks: tuple[int, ...], _faults: int) -> int:
        self.started.append(run_id)
        if not self.silent:
            run = RunWriter(paths.messages(run_id))
            run.status("running")
            if self.status != "running":
                run.status(self.status)
            run.close()
            self.end(run_id, self.status)
        return 1

    def end(self, run_id: str, status: ExecutionStatus) -> None:
        """Record how a run ended, or that it runs, as its worker would."""
        execution = self.catalog.execution(run_id)
        assert execution is not None
        ended_at = None if status == "running" else self.now
        self.catalog.save_execution(msgspec.structs.replace(execution, status=status, finished_at=ended_at))

    def step(self) -> None:
        """Let the duty run if it is due."""
        due = self.duty.next_due(self.now)
        if due is not None and due <= self.now:
            self.duty.run(self.now)

    def until(self, end: datetime) -> None:
        """Turn the clock on, from one due moment to the next."""
        while self.now < end:
            self.step()
            due = self.duty.next_due(self.now)
            self.now = min(end, max(due, self.now + timedelta(seconds=1))) if due is not None else end
        self.step()

    @property
    def due_times(self) -> list[datetime]:
        """When the runs that were started were ordered."""
        known = {execution.execution_id: execution for execution in self.catalog.executions()}
        return [known[run_id].started_at for run_id in self.started]


JOB = '[jobs.{name}]\ndatasource = "shop"\nstorages = ["disk"]\n{keys}\n'


def job(keys: str, name: str = "nightly") -> str:
    return JOB.format(name=name, keys=keys)
