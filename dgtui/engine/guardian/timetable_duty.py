"""The duty that follows the timetable: what is due is written down first, and started when there is room for it.

A due time is claimed in the catalogue together with its execution. Whatever moment the daemon is killed at, the next
one finds the claim: as long as the run's worker never said a word and does not live, it was not started, and is
started once. Runs that people start begin at once and are counted; only those of the timetable wait for them.
"""

from datetime import datetime, timedelta

from dgtui.config import Config, JobSettings
from dgtui.engine.catalog.due_runs import (
    QueuedRun,
    TimetableState,
    begin_timetable,
    claim_due_run,
    forget_timetables,
    move_due_run,
    queued_runs,
    record_missed_run,
    save_timetable,
    timetable_states,
)
from dgtui.engine.causes import cause_of_missing
from dgtui.engine.errors import JobBusy
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.places import Places
from dgtui.engine.guardian.queueing import due_text, queued_execution, write_queued
from dgtui.engine.guardian.stopped_runs import StoppedRuns
from dgtui.engine.guardian.waiting import ON_TIME, WaitingRuns, was_missed
from dgtui.engine.health.jobs import good_backups
from dgtui.engine.locks import take_lock
from dgtui.engine.notify import raise_notification
from dgtui.engine.orders import BackupOrder
from dgtui.engine.run_follower import has_begun
from dgtui.engine.spawning import Start, launch, spawn_worker
from dgtui.engine.timetable import DueRun, Timetable

_CLOCK_SET_BACK = timedelta(days=1)
"""Where the clock was set back further than this, what it ran ahead for does not count any more."""
_LOOK_AGAIN = timedelta(seconds=2)


class TimetableDuty:
    """Claims due runs and starts them in order."""

    name = "timetable"
    limit = timedelta(minutes=10)

    def __init__(self, context: DutyContext, start: Start = spawn_worker) -> None:
        self._context = context
        self._start_worker = start
        self._states: dict[str, TimetableState] | None = None
        self._parsed: dict[str, tuple[str, Timetable]] = {}
        self._coming: dict[str, tuple[TimetableState, datetime, datetime | None]] = {}
        self._zones_taken = context.zones_taken
        self._look_again: datetime | None = None
        self._stopped = StoppedRuns(context)
        self._waiting = WaitingRuns(context)
        self._took_over = False

    def next_due(self, now: datetime) -> datetime | None:
        """When the next run begins; soon where one waits for a place."""
        states = self._states
        if states is None:
            return now
        self._follow_zone()
        config = self._context.config
        followed = followed_jobs(config)
        if set(states) - {config.job_id(name) for name in followed}:
            return now
        times = [self._next_of(config.job_id(name), job, states, now) for name, job in followed.items()]
        if self._look_again is not None and self._look_again > now + _LOOK_AGAIN:
            self._look_again = now
        looks = (self._look_again, self._stopped.next_look(now))
        return min((time for time in [*times, *looks] if time is not None), default=None)

    def _follow_zone(self) -> None:
        """Read the timetables anew where the system's time zone is another one by now."""
        if self._zones_taken != self._context.zones_taken:
            self._zones_taken = self._context.zones_taken
            self._parsed.clear()
            self._coming.clear()

    def _next_of(
        self, job_id: str, job: JobSettings, states: dict[str, TimetableState], now: datetime
    ) -> datetime | None:
        text, timetable = self._timetable(job_id, job)
        state = states.get(job_id)
        if state is None or _outdated(state, text, now):
            return now
        # Asked every few seconds: between the moment it was found at and the next run, nothing can have become due.
        known = self._coming.get(job_id)
        if known is not None and known[0] == state and known[1] <= now and (known[2] is None or now < known[2]):
            return known[2]
        if timetable.latest(now, state.handled_until) is not None:
            return now
        coming = timetable.next_after(max(now, state.handled_until))
        self._coming[job_id] = (state, now, coming.starts_at if coming is not None else None)
        return self._coming[job_id][2]

    def run(self, now: datetime) -> None:
        """Claim what is due, and start what there is room for."""
        config = self._context.config
        # Where it fails in between, the rest is to be done at the next try, and not at the next due time.
        self._look_again = now
        if self._states is None:
            self._states = dict(timetable_states(self._context.catalog))
        self._follow_zone()
        followed = followed_jobs(config)
        self._forget(set(self._states) - {config.job_id(name) for name in followed})
        waiting = {run.job_id for run in queued_runs(self._context.catalog)}
        for name, job in followed.items():
            job_id = config.job_id(name)
            # While a run waits, this is asked every few seconds.
            due = self._next_of(job_id, job, self._states, now)
            if due is not None and due <= now:
                self._follow(name, job_id, job, now, already_waits=job_id in waiting)
        if not self._took_over:
            self._end_missed(followed, now)
            self._took_over = True
        self._make_again(config, followed, now)
        self._start_waiting(config, now)

    def _forget(self, job_ids: set[str]) -> None:
        """A job that is switched off, or gone, begins anew when it comes back: nothing of the past is caught up."""
        forget_timetables(self._context.catalog, job_ids)
        for job_id in job_ids:
            assert self._states is not None
            del self._states[job_id]

    def _timetable(self, job_id: str, job: JobSettings) -> tuple[str, Timetable]:
        text, timetable = self._parsed.get(job_id, ("", None))
        wanted = f"{job.schedule} | {job.timezone} | {job.window} | {int(job.jitter)}"
        if timetable is None or text != wanted:
            timetable = timetable_of(job_id, job)
            self._parsed[job_id] = (wanted, timetable)
        return wanted, timetable

    def _follow(self, name: str, job_id: str, job: JobSettings, now: datetime, *, already_waits: bool) -> None:
        assert self._states is not None
        text, timetable = self._timetable(job_id, job)
        state = self._states.get(job_id)
        if state is None or _outdated(state, text, now):
            begun = TimetableState(timetable=text, handled_until=now)
            # Once it is written down, or a daemon that starts later would begin anew and catch up nothing.
            begin_timetable(self._context.catalog, job_id, begun, ahead=now + _CLOCK_SET_BACK)
            self._states[job_id] = begun
            return
        due = timetable.latest(now, state.handled_until)
        if due is None:
            return
        handled = TimetableState(timetable=text, handled_until=due.due_at)
        if already_waits:
            # The run that waits is a backup of a later moment than this due time: one is enough for both.
            save_timetable(self._context.catalog, job_id, handled)
        elif now - due.starts_at > max(timedelta(seconds=job.grace), ON_TIME):
            self._miss(name, job, due, now, handled)
        else:
            self._claim(name, job, due, now, handled)
        self._states[job_id] = handled

    def _miss(self, name: str, job: JobSettings, due: DueRun, now: datetime, handled: TimetableState) -> None:
        self._tell_missed(name, job, due, now)
        execution = queued_execution(self._context.config, name, job, now)
        if record_missed_run(self._context.catalog, execution, due.due_at, now, handled):
            text = f"{name}: the run of {due_text(due.due_at)} was missed, and it is too late for it"
            self._context.log(text, "warning")

    def _tell_missed(self, name: str, job: JobSettings, due: DueRun, now: datetime) -> None:
        """Before it is recorded, so that a kill in between loses nothing: told twice, it is stored once."""
        newest = good_backups(self._context.catalog, name, 1)
        if newest and newest[0].started_at >= due.due_at:
            return  # somebody has made one by hand
        raise_notification(
            self._context.catalog,
            "backup_overdue",
            subject_kind="job",
            subject=name,
            message=f"{name}: the run of {due_text(due.due_at)} was missed, and it is too late for it",
            details=(f"No daemon followed the timetable at that time, or not within `grace`. Now: dgtui run {name}",),
            related=(job.datasource, *job.storages),
            group_key=cause_of_missing(self._context.config, job.datasource),
            at=now,
        )

    def _claim(self, name: str, job: JobSettings, due: DueRun, now: datetime, handled: TimetableState) -> None:
        execution = queued_execution(self._context.config, name, job, now)
        late = " and is caught up" if now - due.starts_at > ON_TIME else ""
        reason = f"It was due at {due_text(due.due_at)} by the timetable{late}"
        messages = write_queued(self._context.paths, execution, reason)
        if not claim_due_run(self._context.catalog, execution, due.due_at, now, handled):
            messages.unlink(missing_ok=True)

    def _make_again(self, config: Config, followed: dict[str, JobSettings], now: datetime) -> None:
        """What the machine stopped, and nothing newer has taken the place of."""
        assert self._states is not None
        undecided = self._stopped.undecided()
        for name, job in followed.items() if undecided else ():
            job_id = config.job_id(name)
            if (run := undecided.get(job_id)) is not None:
                self._stopped.make_again(run, name, job, self._timetable(job_id, job)[1], self._states[job_id], now)

    def _start_waiting(self, config: Config, now: datetime) -> None:
        queue = [run for run in queued_runs(self._context.catalog) if not self._has_begun(run)]
        places = Places.look(self._context.catalog, self._context.paths, config, queue) if queue else None
        if queue:
            self._stopped.expect(now)
        left = [run for run in queue if places is not None and not self._take_turn(run, config, places, now)]
        self._waiting.keep(left, now)
        self._look_again = self._context.clock() + _LOOK_AGAIN if left else None

    def _has_begun(self, run: QueuedRun) -> bool:
        """Whether a former daemon started it and was killed before it could write that down."""
        begun = has_begun(self._context.paths, run.execution_id)
        if begun:
            move_due_run(self._context.catalog, run.execution_id, old=("waiting", "starting"), new="started")
        return begun

    def _take_turn(self, run: QueuedRun, config: Config, places: Places, now: datetime) -> bool:
        """Start it where there is room now; whether it does not wait any more."""
        if (unwanted := _unwanted(run, config)) is not None:
            self._waiting.end(run, unwanted, "Nothing is to be done, unless that was a mistake", now)
            return True
        job = config.jobs[run.job]
        if (obstacle := self._closed(run, job, now) or places.obstacle(job.datasource)) is not None:
            self._waiting.tell(run, obstacle)
            return False
        if run.state == "waiting" and not move_due_run(
            self._context.catalog, run.execution_id, old=("waiting",), new="starting"
        ):
            return True  # somebody has just cancelled it
        try:
            self._launch(run, config, job)
        except JobBusy:
            move_due_run(self._context.catalog, run.execution_id, old=("starting",), new="waiting")
            self._waiting.tell(run, "another run of this job, which is under way")
            return False
        places.take(job.datasource)
        move_due_run(self._context.catalog, run.execution_id, old=("starting",), new="started")
        self._context.log(f"{run.job}: started {run.execution_id[:8]}, due at {due_text(run.due_at)}")
        return True

    def _closed(self, run: QueuedRun, job: JobSettings, now: datetime) -> str | None:
        """The hours that a run has to wait for; None where it may begin now."""
        if self._timetable(run.job_id, job)[1].may_start(now):
            return None
        return f"the hours in which it may begin: {job.window}" + f" {job.timezone}" * bool(job.timezone)

    def _launch(self, run: QueuedRun, config: Config, job: JobSettings) -> None:
        paths = self._context.paths
        order = BackupOrder(
            run_id=run.execution_id,
            config_path=str(config.path) if config.path is not None else None,
            config_kept=str(config.kept) if config.kept is not None else None,
            ordered_at=self._context.clock(),
            job_id=run.job_id,
            job_name=run.job,
            job=job,
            description=job.description,
        )
        lock = take_lock(
            paths.locks / f"job-{run.job_id}.lock", purpose=f"job {run.job}", inheritable=True, patience_seconds=0.1
        )
        try:
            launch(paths, order, lock, self._start_worker)
        finally:
            lock.hand_over()

    def _end_missed(self, followed: dict[str, JobSettings], now: datetime) -> None:
        """End the runs that a former daemon left waiting, and that are too late by now."""
        assert self._states is not None
        by_id = {self._context.config.job_id(name): (name, job) for name, job in followed.items()}
        for run in queued_runs(self._context.catalog):
            if run.job_id not in by_id or self._has_begun(run):
                continue
            name, job = by_id[run.job_id]
            timetable = self._timetable(run.job_id, job)[1]
            covered = max(run.due_at, self._states[run.job_id].handled_until)
            if was_missed(self._context.paths, run, job, timetable, covered, now):
                self._tell_missed(name, job, DueRun(due_at=covered, starts_at=timetable.starts_at(covered)), now)
                why = f"No daemon was there to start the run of {due_text(covered)}, and now it is too late for it"
                self._waiting.end(run, why, f"Now: dgtui run {name}", now, state="missed")


def followed_jobs(config: Config) -> dict[str, JobSettings]:
    """The jobs whose timetable is followed: those with a schedule, switched on like their datasource."""
    return {name: job for name, job in config.jobs.items() if job.schedule is not None and config.is_followed(name)}


def _unwanted(run: QueuedRun, config: Config) -> str | None:
    """Why a run that waits is not wanted any more; None where it is."""
    if run.job not in config.jobs or config.job_id(run.job) != run.job_id:
        return f"The job {run.job} was removed from the configuration while its run waited"
    if run.job not in followed_jobs(config):
        return f"The timetable of {run.job} was switched off while its run waited"
    return None


def timetable_of(job_id: str, job: JobSettings) -> Timetable:
    """The timetable of a job that has a schedule; the configuration has checked it."""
    assert job.schedule is not None
    return Timetable.parse(job_id, job.schedule, job.timezone, window=job.window, jitter=int(job.jitter))


def _outdated(state: TimetableState, text: str, now: datetime) -> bool:
    return state.timetable != text or state.handled_until > now + _CLOCK_SET_BACK
