"""The health worker: checks what is due, each in a thread of its own, so that a frozen server delays no other.

Nothing that hangs can be interrupted for certain (a dead network mount keeps whoever touches it), so a check that
takes too long is recorded as such and left behind. While it hangs, no second one of the same thing is started: at
most one thread for each thing is ever left. The threads do not keep the process from ending.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.health import HealthRecords, Judge
from dgtui.engine.errors import CatalogError
from dgtui.engine.health.agenda import Agenda, changed_datasources, watched_of
from dgtui.engine.health.asking import ask_datasource, ask_storage
from dgtui.engine.health.companions import Companions
from dgtui.engine.health.jobs import ask_job
from dgtui.engine.health.judging import judge, slow_limit
from dgtui.engine.health.telling import forget, tell_events
from dgtui.engine.health_age import limit_of
from dgtui.engine.health_model import HealthCheck, HealthEvent, HealthState, Watched
from dgtui.engine.messages import now
from dgtui.engine.threads import Thread

_QUICK_AT_ONCE = 12
"""Checks that may be busy at the same time; more would measure each other."""
_QUICK_SECONDS = 1.0
"""How long a check counts as busy: after that it waits for something, and takes nothing from others."""
_TOGETHER_SECONDS = 0.2
"""How long an answer waits for others to be stored with it: storing waits for the disk each time."""
_GRACE_SECONDS = 1.0
"""How much later than its own limit a check is given up."""
_LONGEST_WAIT_SECONDS = 1.0
_LONGEST_ROUND_SECONDS = 60.0
_THIN_EVERY = timedelta(hours=1)


class Surroundings(Protocol):
    """What the worker works with; the configuration may change at any time."""

    @property
    def config(self) -> Config:
        """The configuration as it is now."""

    @property
    def catalog(self) -> Catalog:
        """The catalogue."""


@dataclass
class _Running:
    """A check under way, or one that was given up and still hangs."""

    subject: Watched
    at: datetime
    started: float
    limit: float
    config: Config
    given_up: bool = False
    thread: threading.Thread | None = None

    @property
    def hangs(self) -> bool:
        """Whether it was given up and keeps its thread all the same."""
        return self.given_up and self.thread is not None and self.thread.is_alive()

    def age(self) -> float:
        return time.monotonic() - self.started

    @property
    def late(self) -> bool:
        return self.age() > self.limit + _GRACE_SECONDS


class HealthWorker:
    """Checks everything that is configured, each thing at its own moment."""

    def __init__(self, surroundings: Surroundings, *, clock: Callable[[], datetime] = now) -> None:
        self._surroundings = surroundings
        self._clock = clock
        self._records = HealthRecords(surroundings.catalog)
        known = self._records.states()
        last = {one: state.checked_at for one, state in known.items() if state.checked_at}
        self._agenda = Agenda(last, clock())
        self._companions = Companions(known.values())
        self._running: dict[Watched, _Running] = {}
        self._answers: queue.SimpleQueue[tuple[_Running, HealthCheck | CatalogError]] = queue.SimpleQueue()
        self._unrecorded: list[tuple[HealthCheck, Config]] = []
        """Answers that the catalogue has not taken yet."""
        self._fault: CatalogError | None = None
        """Why something could not be asked."""
        self._wanted: list[Watched] = []
        self._thinned: datetime | None = None
        self._config = surroundings.config
        # A former process may have left some.
        self._untold = True

    @property
    def busy(self) -> bool:
        """Whether checks are under way or wait for their turn; those that were given up do not count."""
        return bool(self._wanted) or any(not running.given_up for running in self._running.values())

    def next_due(self, moment: datetime) -> datetime | None:
        """When something is to be checked; at once while checks are under way; None where nothing is configured.

        At once too where something could not be recorded, or told, when it was.
        """
        if self.busy or self._unrecorded or self._has_to_tell:
            return moment
        return self._agenda.next_due(self._surroundings.config, moment)

    def want(self, subjects: Iterable[Watched]) -> None:
        """Check these next, whether or not they are due."""
        self._wanted += [subject for subject in subjects if subject not in self._wanted]

    def run(self, stopping: threading.Event) -> None:
        """Check what is due, until nothing is and all answers are there, or for a minute. Raises CatalogError.

        Where so much is watched that something is always under way, the next call goes on with it.
        """
        end = time.monotonic() + _LONGEST_ROUND_SECONDS
        if self._unrecorded:
            # Before anything is asked: while nothing can be recorded, nothing is asked either.
            self._collect(0)
        self._forget_removed()
        self._tell()
        self._want_due()
        while self.busy and not stopping.is_set() and time.monotonic() < end:
            self._start_some()
            self._collect(_LONGEST_WAIT_SECONDS)
            self._want_due()
        self._thin()

    def check(self, subjects: Iterable[Watched], stopping: threading.Event) -> None:
        """Check these now, and the others of a server that is lost or back, and wait for them. Raises CatalogError."""
        self.want(subjects)
        while self.busy and not stopping.is_set():
            self._start_some()
            self._collect(_LONGEST_WAIT_SECONDS)

    def _forget_removed(self) -> None:
        """What is not watched any more has no state, and nobody is reminded of it."""
        removed = self._agenda.removed(self._surroundings.config, self._clock())
        if removed:
            forget(self._surroundings.catalog, self._records, removed)
            self._agenda.forget(removed)

    def _want_due(self) -> None:
        self.want(self._agenda.due(self._surroundings.config, self._clock()))

    @property
    def _has_to_tell(self) -> bool:
        # What is lost together is told together.
        return self._untold and not self._companions.outstanding

    def _tell(self) -> None:
        if self._has_to_tell:
            tell_events(self._surroundings.catalog, self._surroundings.config, self._records, self._clock())
            self._untold = False

    def _busy_ones(self) -> int:
        return sum(not one.given_up and one.age() < _QUICK_SECONDS for one in self._running.values())

    def _follow_config(self) -> set[Watched]:
        """Ask anew what was changed in the configuration, and no more what was removed; both."""
        former, config = self._config, self._surroundings.config
        if config is former:
            return set()
        self._config = config
        gone = set(watched_of(former)).difference(watched_of(config))
        changed = changed_datasources(former, config)
        # What is asked by a configuration that is no more tells nothing.
        for subject in gone | changed:
            if (running := self._running.pop(subject, None)) is not None:
                running.given_up = True
        self._wanted = [subject for subject in self._wanted if subject not in gone]
        self._companions.forget(gone)
        self.want(changed)
        return gone | changed

    def _start_some(self) -> None:
        self._follow_config()
        moment = self._clock()
        # What failed before will hang again: the others are checked while it does.
        self._wanted.sort(key=lambda subject: not self._companions.has_failed(subject))
        while self._wanted and self._busy_ones() < _QUICK_AT_ONCE:
            subject = self._wanted.pop(0)
            former = self._running.get(subject)
            if former is not None and not former.given_up:
                continue
            self._agenda.checked(self._surroundings.config, subject, moment)
            if former is not None and former.hangs:
                self._unrecorded.append((_still_hanging(former, moment), former.config))
                self._record()
            else:
                self._start(subject, moment)

    def _start(self, subject: Watched, moment: datetime) -> None:
        config = self._surroundings.config
        running = _Running(subject, moment, time.monotonic(), limit_of(config, subject), config)
        self._running[subject] = running
        name = f"health of {subject.kind} {subject.name}"
        running.thread = Thread(target=self._ask, args=(running,), name=name, daemon=True)
        running.thread.start()

    def _ask(self, running: _Running) -> None:
        answer: HealthCheck | CatalogError
        try:
            answer = ask(running.config, self._surroundings.catalog, running.subject, running.at)
        except CatalogError as error:
            answer = error
        self._answers.put((running, answer))

    def _collect(self, seconds: float) -> None:
        """Record the answers that are there, waiting for one for a while, and give up what takes too long."""
        self._unrecorded += self._take(seconds)
        if others := self._follow_config():
            self._unrecorded = [(check, config) for check, config in self._unrecorded if check.subject not in others]
        for running in [one for one in self._running.values() if one.late and not one.given_up]:
            running.given_up = True
            self._unrecorded.append((_given_up(running), running.config))
        if self._unrecorded:
            self._record()
        self._tell()
        if (fault := self._fault) is not None:
            self._fault = None
            raise fault

    def _take(self, seconds: float) -> list[tuple[HealthCheck, Config]]:
        """The first answer that comes within `seconds`, and those that are there with it or soon after."""
        answers: list[tuple[HealthCheck, Config]] = []
        with contextlib.suppress(queue.Empty):
            while len(answers) < _QUICK_AT_ONCE:
                running, answer = self._answers.get(timeout=seconds)
                if self._running.get(running.subject) is running:
                    del self._running[running.subject]
                if isinstance(answer, CatalogError):
                    # That says nothing of what was asked, which is asked again.
                    self._fault = answer
                    self.want([] if running.given_up else [running.subject])
                elif not running.given_up:
                    answers.append((answer, running.config))
                    seconds = _TOGETHER_SECONDS if self._busy_ones() else 0
        return answers

    def _record(self) -> None:
        answers = [(check, self._judge_of(check, config)) for check, config in self._unrecorded]
        states = self._records.record(answers)
        self._unrecorded = []
        self.want(self._companions.answered(self._surroundings.config, states))

    def _judge_of(self, check: HealthCheck, config: Config) -> Judge:
        """What makes the next state of a check, and notices whether there is something to tell."""
        settings = config.datasources.get(check.subject.name) if check.subject.kind == "datasource" else None
        slow_after = settings.slow_after if settings is not None else None

        def judged(former: HealthState, latencies: Sequence[float]) -> tuple[HealthState, tuple[HealthEvent, ...]]:
            state, events = judge(former, check, slow_limit(slow_after, latencies))
            self._untold = self._untold or bool(events)
            return state, events

        return judged

    def _thin(self) -> None:
        moment = self._clock()
        if self._thinned is None or not timedelta(0) <= moment - self._thinned < _THIN_EVERY:
            self._records.thin(moment)
            self._thinned = moment


def ask(config: Config, catalog: Catalog, subject: Watched, at: datetime) -> HealthCheck:
    """Check one thing."""
    match subject.kind:
        case "datasource":
            return ask_datasource(config, subject, at)
        case "storage":
            return ask_storage(config, catalog, subject, at)
        case "job":
            return ask_job(config, catalog, subject, at)


def _given_up(running: _Running) -> HealthCheck:
    return HealthCheck(
        subject=running.subject,
        checked_at=running.at,
        result="timeout",
        message=f"The check did not end within {running.limit:g} s",
        hint="Something below it hangs: a network mount, or a command that gives the password?",
    )


def _still_hanging(former: _Running, moment: datetime) -> HealthCheck:
    return HealthCheck(
        subject=former.subject,
        checked_at=moment,
        result="timeout",
        message=f"The check of {former.at:%Y-%m-%d %H:%M:%S} UTC still hangs",
        hint="Something below it hangs: a network mount, or a command that gives the password?",
    )
