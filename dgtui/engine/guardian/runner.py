"""Runs one duty in a thread of its own, as often as it is due."""

import threading
import time
from datetime import datetime

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.guardian.duty import Duty, DutyContext
from dgtui.engine.model import Problem, Record
from dgtui.engine.problems import problem_of
from dgtui.engine.threads import Thread

_LONGEST_WAIT_SECONDS = 300.0
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0
_FAILS_AFTER = 3


class DutyState(Record, frozen=True):
    """How a duty stands."""

    name: str
    next_due: datetime | None = None
    running_since: datetime | None = None
    """When the run under way began; None where it waits."""
    last_ended: datetime | None = None
    problem: Problem | None = None
    """Why the last run failed; None where it went well."""


class DutyRunner:
    """Keeps one duty going until the daemon stops."""

    def __init__(self, duty: Duty, context: DutyContext) -> None:
        self._duty = duty
        self._context = context
        self._wake = threading.Event()
        self._state = DutyState(name=duty.name)
        self._failures = 0
        self._has_succeeded = False
        self._began: float | None = None
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> DutyState:
        """How it stands now."""
        return self._state

    @property
    def alive(self) -> bool:
        """Whether its thread lives; a fault of the program ends it."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def hangs(self) -> bool:
        """Whether the run under way takes longer than it may."""
        began = self._began
        return began is not None and time.monotonic() - began > self._duty.limit.total_seconds()

    @property
    def works(self) -> bool | None:
        """Whether its last run went well, or it has nothing to do; None as long as that cannot be told."""
        if self._failures >= _FAILS_AFTER:
            return False
        return True if self._has_succeeded and not self._failures else None

    def start(self) -> None:
        """Begin, or begin again after a fault."""
        self._thread = Thread(target=self._serve, name=self._duty.name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Ask the duty anew when it is due: the configuration or the clock is another one."""
        self._wake.set()

    def join(self, seconds: float) -> bool:
        """Wait for the thread's end; whether it came."""
        if self._thread is not None:
            self._thread.join(seconds)
        return not self.alive

    def _serve(self) -> None:
        try:
            while not self._context.stopping.is_set():
                self._step()
        except BaseException as fault:  # noqa: BLE001  # it ends the thread all the same, without its text
            # Only the kind of fault is told, and logged: its text may hold a secret.
            kind = type(fault).__name__
            self._fail(
                Problem(
                    kind=kind,
                    message=f"A fault of dgtui itself: {kind}",
                    subject=self._duty.name,
                    hint="Please report it, with the lines from the daemon's log",
                )
            )
            raise RuntimeError(kind).with_traceback(fault.__traceback__) from None

    def _step(self) -> None:
        moment = self._context.clock()
        try:
            due = self._duty.next_due(moment)
            if due is None:
                # What it failed at is asked of it no more.
                self._succeed(self._state.last_ended)
            if due is None or due > moment:
                self._note(next_due=due)
                self._sleep(_LONGEST_WAIT_SECONDS if due is None else (due - moment).total_seconds())
                return
            self._note(next_due=due, running_since=moment)
            self._began = time.monotonic()
            try:
                self._duty.run(moment)
            finally:
                self._began = None
        except DataGuardianError as error:
            self._fail(problem_of(error))
            self._sleep_after_failure()
        else:
            self._succeed(self._context.clock())

    def _succeed(self, at: datetime | None) -> None:
        self._state = DutyState(name=self._duty.name, last_ended=at)
        self._failures, self._has_succeeded = 0, True

    def _note(self, *, next_due: datetime | None, running_since: datetime | None = None) -> None:
        state = self._state
        self._state = DutyState(
            name=state.name,
            next_due=next_due,
            running_since=running_since,
            last_ended=state.last_ended,
            problem=state.problem,
        )

    def _fail(self, problem: Problem) -> None:
        self._failures += 1
        self._state = DutyState(name=self._duty.name, last_ended=self._context.clock(), problem=problem)
        self._context.log(f"{self._duty.name}: {problem.message}", "error")

    def _sleep(self, seconds: float) -> None:
        self._wake.wait(min(seconds, _LONGEST_WAIT_SECONDS))
        self._wake.clear()

    def _sleep_after_failure(self) -> None:
        # Not `_wake`: what failed is not tried again sooner because something else has happened.
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1), _LONGEST_PAUSE_SECONDS)
        self._context.stopping.wait(pause)
