"""Which rehearsals the daemon starts and when, with a clock that the test turns and workers that only are noted."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dgtui.config import load_config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.catalog.proofs import Proof, Proofs
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.rehearsal_duty import RehearsalDuty
from dgtui.engine.model import Copy, Execution, ExecutionStatus
from dgtui.engine.orders import RehearseOrder, decode_order
from dgtui.engine.reconcile import reconcile
from dgtui.engine.rehearsal import tell_end
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.runs import RunPaths
from tests.support.refusing import refusing
from tests.unit.config_support import DATASOURCE, STORAGE, write_config

START = datetime(2025, 1, 1, 12, tzinfo=UTC)


class Guard:
    """A duty over a folder of its own; its workers end at once as they are told to."""

    def __init__(self, folder: Path, rehearse: str) -> None:
        job = f'[jobs.nightly]\ndatasource = "shop"\nstorages = ["disk"]\ntimezone = "UTC"\n{rehearse}\n'
        self.config = load_config(write_config(folder, STORAGE + DATASOURCE + job))
        self.paths = RunPaths(folder / "state")
        self.paths.make()
        self.catalog = Catalog(self.paths.state)
        self.proofs = Proofs(self.catalog)
        self.now = START
        self.outcome: ExecutionStatus | None = "completed"
        self.started: list[str] = []
        self.restart()

    def restart(self) -> None:
        """As after a kill -9."""
        context = DutyContext(self.config, self.catalog, self.paths, clock=lambda: self.now)
        self.duty = RehearsalDuty(context, start=self._start)

    def _start(self, paths: RunPaths, run_id: str, _locks: tuple[int, ...], _faults: int) -> int:
        order = decode_order(paths.request(run_id).read_bytes())
        assert isinstance(order, RehearseOrder)
        self.started.append(order.execution_id)
        proof = self.proofs.get(run_id)
        assert proof is not None
        if self.outcome is not None:
            run = RunWriter(paths.messages(run_id))
            run.status("running")
            run.status(self.outcome)
            run.close()
            self.proofs.save(msgspec.structs.replace(proof, status=self.outcome, finished_at=self.now))
        return 1

    def back_up(self, status: ExecutionStatus = "completed") -> Execution:
        """A backup ends now."""
        execution = Execution(
            execution_id=str(uuid.uuid4()),
            job_id=self.config.job_id("nightly"),
            job="nightly",
            datasource="shop",
            datasource_type=self.config.datasources["shop"].type,
            status=status,
            backup_type="full",
            started_at=self.now,
            folder=f"{self.now:%Y-%m-%d_%H%M%S}",
            copies=(Copy(storage="disk", status="available", path="/somewhere"),),
        )
        self.catalog.save_execution(execution)
        return execution

    def until(self, end: datetime) -> None:
        """Turn the clock on, ten minutes at a time."""
        while self.now < end:
            due = self.duty.next_due(self.now)
            if due is not None and due <= self.now:
                self.duty.run(self.now)
            self.now = min(end, self.now + timedelta(minutes=10))
        self.duty.run(self.now)

    @property
    def proof(self) -> Proof:
        """The newest one."""
        return self.proofs.newest()[0]


def test_a_schedule_rehearses_the_newest_good_backup_once_at_its_time(tmp_path: Path) -> None:
    guard = Guard(tmp_path, 'rehearse = "0 5 * * *"')
    guard.back_up()
    guard.until(START + timedelta(hours=1))
    assert guard.started == [], "a new timetable catches up nothing"
    newest = guard.back_up()
    guard.now += timedelta(minutes=1)
    guard.back_up("failed")
    guard.until(START + timedelta(days=3))
    assert guard.started == [newest.execution_id] * 3, "once a day, whatever else there was"


def test_after_so_many_backups_one_is_rehearsed(tmp_path: Path) -> None:
    guard = Guard(tmp_path, 'rehearse = "every 3"')
    made = []
    for number in range(7):
        made.append(guard.back_up().execution_id)
        guard.back_up("failed")
        guard.until(guard.now + timedelta(minutes=5))
        assert guard.started == made[2 : number + 1 : 3]


def test_a_backup_whose_rehearsal_failed_is_not_tried_again_but_the_next_one_is(tmp_path: Path) -> None:
    guard = Guard(tmp_path, 'rehearse = "every 2"')
    guard.outcome = "failed"
    made = [guard.back_up().execution_id for _ in range(2)]
    guard.until(START + timedelta(hours=2))
    assert guard.started == made[1:]
    guard.outcome = "completed"
    made.append(guard.back_up().execution_id)
    guard.until(START + timedelta(hours=4))
    assert guard.started == made[1:]


def test_a_proof_by_hand_starts_the_count_anew(tmp_path: Path) -> None:
    guard = Guard(tmp_path, 'rehearse = "every 2"')
    first = guard.back_up()
    proof = Proof(
        proof_id="r", execution_id=first.execution_id, how="restore", status="completed", started_at=START,
        finished_at=START,
    )  # fmt: skip
    guard.proofs.save(proof)
    guard.back_up()
    guard.until(START + timedelta(minutes=5))
    assert guard.started == []
    newest = guard.back_up()
    guard.until(START + timedelta(minutes=10))
    assert guard.started == [newest.execution_id]


@pytest.mark.parametrize(("grace", "expected"), [("2 d", 1), ("1 h", 0)])
def test_a_missed_one_is_caught_up_once_within_its_grace(tmp_path: Path, grace: str, expected: int) -> None:
    guard = Guard(tmp_path, f'rehearse = "daily at 05:00"\ngrace = "{grace}"')
    guard.back_up()
    guard.until(START + timedelta(hours=1))
    guard.now = START + timedelta(days=1, hours=3)
    guard.restart()
    guard.until(guard.now + timedelta(hours=1))
    assert len(guard.started) == expected


def test_killed_after_the_claim_it_is_started_once_by_the_next(tmp_path: Path) -> None:
    guard = Guard(tmp_path, 'rehearse = "every 1"')
    guard.outcome = None
    execution = guard.back_up()
    guard.duty.run(guard.now)
    assert (guard.started, guard.proof.status) == ([execution.execution_id], "queued")
    assert reconcile(guard.catalog, guard.config, guard.paths) == (), "what waits is not dead"
    guard.restart()
    guard.outcome = "completed"
    guard.until(START + timedelta(minutes=10))
    assert guard.started == [execution.execution_id] * 2, "its worker had not said a word"
    assert [proof.status for proof in guard.proofs.of(execution.execution_id)] == ["completed"]


def test_a_backup_that_is_gone_ends_its_rehearsal_and_is_told(tmp_path: Path) -> None:
    guard = Guard(tmp_path, 'rehearse = "every 1"')
    guard.outcome = None
    execution = guard.back_up()
    guard.duty.run(guard.now)
    guard.catalog.forget_execution(execution.execution_id)
    guard.restart()
    guard.until(START + timedelta(minutes=5))
    assert guard.proof.status == "failed"
    assert guard.proof.problem is not None
    assert "removed" in guard.proof.problem.message


def test_a_rehearsal_that_failed_is_told_also_where_the_audit_log_takes_nothing(tmp_path: Path) -> None:
    proof = Proof(
        proof_id="5d9f7d9a-2f56-4a58-8d24-3f1f2d0a4c77",
        execution_id="0b9f7d9a-2f56-4a58-8d24-3f1f2d0a4c77",
        how="rehearsal",
        status="failed",
        started_at=START,
        job="nightly",
        job_id="6f1c1f0e-5b1e-4a8e-9d5c-0c7f6f3b2a11",
        datasource="shop",
        place="shop",
    )
    catalog = Catalog(tmp_path)
    with refusing(1) as refused:
        tell_end(catalog, proof)
    assert refused.refused == "INSERT INTO audit"
    assert [told.kind for told in Notifications(catalog).listed()] == ["rehearsal_failed"]
    catalog.close()
