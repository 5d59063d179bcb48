"""The duty that rehearses backups as their jobs ask for it: by a schedule, or after so many backups.

As with backups, what is due is written down first, under a claim that can be made once, and started then. A daemon that
is killed in between finds it as queued, and starts it if its worker never said a word.
"""

import uuid
from datetime import datetime, timedelta

from dgtui.config import Config, JobSettings
from dgtui.config.timetable import rehearsal_count
from dgtui.engine.audit import current_actor
from dgtui.engine.catalog.proofs import Proof, Proofs
from dgtui.engine.catalog.rehearsals import RehearsalTable, RehearsalTimetable
from dgtui.engine.errors import ConfigError, JobBusy
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.periodic import Periodic
from dgtui.engine.locks import take_lock
from dgtui.engine.model import Execution
from dgtui.engine.problems import problem_of
from dgtui.engine.rehearsal import rehearse_order, tell_end
from dgtui.engine.run_follower import has_begun
from dgtui.engine.spawning import Start, launch, spawn_worker
from dgtui.engine.timetable import Timetable

_ON_TIME = timedelta(minutes=2)
"""A rehearsal that begins so little later than it should is not one that was missed."""
_CLOCK_SET_BACK = timedelta(days=1)


class RehearsalDuty(Periodic):
    """Claims the rehearsals that are due, and starts one at a time."""

    name = "rehearsals"
    limit = timedelta(minutes=10)
    every = timedelta(minutes=1)

    def __init__(self, context: DutyContext, start: Start = spawn_worker) -> None:
        super().__init__()
        self._context = context
        self._start_worker = start
        self._table = RehearsalTable(context.catalog)
        self._proofs = Proofs(context.catalog)

    def next_due(self, now: datetime) -> datetime | None:
        """A minute after the last look, as long as a job asks for rehearsals."""
        if self._looked_at is not None and not rehearsed_jobs(self._context.config):
            return None
        return super().next_due(now)

    def run(self, now: datetime) -> None:
        """Claim what is due, and start the first of what waits."""
        config, states = self._context.config, self._table.states()
        followed = rehearsed_jobs(config)
        self._table.forget(set(states) - {config.job_id(name) for name in followed})
        for name, job in followed.items():
            job_id = config.job_id(name)
            count = rehearsal_count(job.rehearse or "")
            if count is None:
                self._follow(name, job_id, job, states.get(job_id), now)
            elif self._table.backups_since_proof(job_id) >= count:
                self._claim_newest(name, job_id, job, now)
        self._start_waiting(config, now)
        self._looked_at = now

    def _follow(
        self, name: str, job_id: str, job: JobSettings, state: RehearsalTimetable | None, now: datetime
    ) -> None:
        assert job.rehearse is not None
        text = f"{job.rehearse} | {job.timezone}"
        if state is None or state.timetable != text or state.handled_until > now + _CLOCK_SET_BACK:
            # A new timetable catches up nothing.
            self._table.save(RehearsalTimetable(job_id=job_id, timetable=text, handled_until=now))
            return
        due = Timetable.parse(job_id, job.rehearse, job.timezone).latest(now, state.handled_until)
        if due is None:
            return
        handled = RehearsalTimetable(job_id=job_id, timetable=text, handled_until=due.due_at)
        execution = self._table.newest_backup(job_id)
        if now - due.due_at > max(timedelta(seconds=job.grace), _ON_TIME) or execution is None:
            why = "there is no backup to rehearse" if execution is None else "it was missed, and it is too late for it"
            self._context.log(f"{name}: no rehearsal of {due.due_at:%Y-%m-%d %H:%M} UTC: {why}", "warning")
            self._table.save(handled)
            return
        claim = f"{job_id} at {due.due_at.isoformat()}"
        self._table.claim(self._queued(name, job_id, job, execution, now), claim, handled)

    def _claim_newest(self, name: str, job_id: str, job: JobSettings, now: datetime) -> None:
        """Each backup is tried once by itself: one that failed is not proven, and the next one is tried."""
        execution = self._table.newest_backup(job_id)
        if execution is not None and not any(
            proof.how == "rehearsal" for proof in self._proofs.of(execution.execution_id)
        ):
            claim = f"{job_id} of {execution.execution_id}"
            self._table.claim(self._queued(name, job_id, job, execution, now), claim, None)

    def _queued(self, name: str, job_id: str, job: JobSettings, execution: Execution, now: datetime) -> Proof:
        return Proof(
            proof_id=str(uuid.uuid4()),
            execution_id=execution.execution_id,
            how="rehearsal",
            status="queued",
            started_at=now,
            job=name,
            job_id=job_id,
            datasource=execution.datasource,
            place=job.rehearse_in or execution.datasource,
        )

    # Starting

    def _start_waiting(self, config: Config, now: datetime) -> None:
        paths = self._context.paths
        unfinished = self._proofs.unfinished()
        if any(paths.is_alive(proof.proof_id) for proof in unfinished):
            return
        for proof in unfinished:
            if proof.status == "queued" and not has_begun(paths, proof.proof_id) and self._start(config, proof, now):
                return

    def _start(self, config: Config, proof: Proof, now: datetime) -> bool:
        """Whether it runs now; one that cannot be done any more is ended, one whose job is busy waits on."""
        import msgspec

        paths = self._context.paths
        try:
            execution = self._context.catalog.execution(proof.execution_id)
            if execution is None:
                raise ConfigError("The backup was removed before it could be rehearsed", subject=proof.execution_id)
            order = rehearse_order(config, execution, current_actor(), now, run_id=proof.proof_id)
            lock = take_lock(
                paths.locks / f"rehearse-{order.job_id}.lock",
                purpose=f"rehearsal of {order.job}",
                inheritable=True,
                patience_seconds=0.1,
            )
        except JobBusy:
            return False
        except ConfigError as error:
            ended = msgspec.structs.replace(proof, status="failed", finished_at=now, problem=problem_of(error))
            self._proofs.save(ended)
            tell_end(self._context.catalog, ended)
            self._context.log(f"{proof.job}: no rehearsal: {error.message}", "warning")
            return False
        try:
            launch(paths, order, lock, self._start_worker)
        finally:
            lock.hand_over()
        self._context.log(f"{proof.job}: rehearsing {proof.execution_id[:8]}")
        return True


def rehearsed_jobs(config: Config) -> dict[str, JobSettings]:
    """The jobs that ask for rehearsals, switched on like their datasource."""
    return {name: job for name, job in config.jobs.items() if job.rehearse is not None and config.is_followed(name)}
