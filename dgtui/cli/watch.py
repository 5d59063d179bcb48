"""Watching a run to its end, and what a signal means meanwhile."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Protocol, Self

from dgtui.cli.outcome import EXIT_HUNG_UP, exit_code_of_run, report_problem
from dgtui.cli.output import say
from dgtui.cli.view import View, choose_view
from dgtui.engine.errors import EXIT_CANCELLED, DataGuardianError
from dgtui.engine.memory import uncollected
from dgtui.wording.problem_text import other_warnings
from dgtui.wording.words import amount_text, one_line, short_id, size_text, took_text

if TYPE_CHECKING:
    from dgtui.engine import Engine
    from dgtui.engine.run_follower import RunFollower, RunSnapshot
    from dgtui.engine.runs import RunInfo

_NEWS_SECONDS = 0.01
_LOOKS_FOR_NEWS = 10
"""How often news are looked for before the whole run is looked at, which costs twenty times as much."""
_OPERATIONS = {"backup": "Backup", "restore": "Restore", "validate": "Validate", "rehearse": "Rehearsal"}


class Runs(Protocol):
    """What watching needs of the engine."""

    def follower(self, run_id: str) -> "RunFollower":
        """Follow a run's messages, from its first one."""

    def run_info(self, run_id: str) -> "RunInfo | None":
        """What a run was asked to do; None where that is not known."""

    def cancel(self, run_id: str) -> bool:
        """Ask a run to stop; False where nothing was there to be asked."""

    def stop(self, run_id: str) -> bool:
        """Pass on that the machine or a service is being stopped; False where nothing was there to be told."""


@contextlib.contextmanager
def open_engine(*, look_only: bool = False, put_back: bool = True) -> "Iterator[Engine]":
    """The engine, with a word on what it put right when it was opened; only to look, that is nothing.

    Without `put_back` a target that is only partly filled is left to the command itself.

    Raises DataGuardianError.
    """
    with uncollected():
        from dgtui.engine.facade import Engine

    with _opened(Engine.open(fork_workers=True, look_only=look_only, read_anyway=True, put_back=put_back)) as engine:
        yield engine


@contextlib.contextmanager
def open_beside_mistakes() -> "Iterator[Engine]":
    """As `open_engine`, for what no wrong configuration may hide: what was recorded, what runs, and how to end it.

    Raises DataGuardianError.
    """
    with uncollected():
        from dgtui.engine.facade import Engine

    with _opened(Engine.open_beside_mistakes(fork_workers=True, read_anyway=True)) as engine:
        yield engine


@contextlib.contextmanager
def _opened(engine: "Engine") -> "Iterator[Engine]":
    try:
        for sentence in engine.reconciled:
            say(f"note: {one_line(sentence)}")
        yield engine
    finally:
        if engine.reconciled:
            # Of a run that died nobody was told yet; whoever reads on the screen does not wait for receivers.
            engine.deliver()
        for warning in engine.warnings:
            say(f"warning: {one_line(warning)}")
        engine.close()


class Signals:
    """Counts the signals that ask a command to stop, instead of dying of them."""

    def __init__(self) -> None:
        self.asked = 0
        """How often somebody pressed Ctrl+C or sent SIGTERM."""
        self.stopping = False
        """Whether the first of them was SIGTERM: a machine that goes down, or a service manager."""
        self.hung_up = False
        self._former = contextlib.ExitStack()

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Whoever started us with a signal ignored (nohup, a shell's background job) wants it ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._former.callback(signal.signal, number, signal.signal(number, self._take))
        return self

    def __exit__(self, *_: object) -> None:
        self._former.close()

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self.hung_up = True
        else:
            self.stopping = self.stopping or (number == signal.SIGTERM and not self.asked)
            self.asked += 1


class Watch:
    """One run that is watched to its end, or until somebody has seen enough."""

    def __init__(self, runs: Runs, run_id: str, view: View, *, may_cancel: bool) -> None:
        self._runs = runs
        self._run_id = run_id
        self._view = view
        self._may_cancel = may_cancel
        self._noted = False
        self._cancelled = False
        self._follower = runs.follower(run_id)

    @property
    def snapshot(self) -> "RunSnapshot":
        """The run as it was seen last."""
        return self._follower.snapshot

    def to_the_end(self, signals: Signals) -> int | None:
        """Show it; an exit code where the watching ended before the run."""
        while True:
            messages = self._follower.poll()
            self._view.update(messages, self.snapshot)
            if self.snapshot.ended:
                return None
            if signals.hung_up:
                return EXIT_HUNG_UP
            if signals.asked > (1 if self._may_cancel else 0):
                self._view.close()
                say(f"Not watched any more; the run goes on: dgtui follow {short_id(self._run_id)}")
                return EXIT_CANCELLED
            self._pass_on(signals)
            self._wait_for_news(signals)

    def _wait_for_news(self, signals: Signals) -> None:
        asked = signals.asked
        for _ in range(_LOOKS_FOR_NEWS):
            time.sleep(_NEWS_SECONDS)
            if self._follower.has_news() or signals.asked != asked or signals.hung_up:
                return

    def _pass_on(self, signals: Signals) -> None:
        if not signals.asked or self._cancelled:
            return
        if not self._noted:
            word = "stopping" if signals.stopping else "cancelling"
            self._view.note(f"{word}… (once more leaves it to itself)")
            self._noted = True
        self._cancelled = (self._runs.stop if signals.stopping else self._runs.cancel)(self._run_id)


def start_and_watch(runs: Runs, start: Callable[[], str], *, as_json: bool = False) -> int:
    """Start a run, which `start` does, and show it until it ends; the exit code.

    Ctrl+C cancels the run, SIGTERM stops it, and a second one leaves it to itself; so from before it is there, or it
    would go on unseen where we die of one. A terminal that goes away never stops a run.
    """
    with Signals() as signals:
        return _shown(runs, start(), signals, as_json=as_json, may_cancel=True)


def _record_death() -> None:
    """Record that a worker died, and tell of it: where a timer starts runs, nobody else may come by for a day."""
    try:
        with open_engine(put_back=False):
            pass
    except DataGuardianError as error:
        say(f"warning: It could not be recorded: {one_line(error.message)}")


def watch(runs: Runs, run_id: str, *, as_json: bool = False) -> int:
    """Show a run until it ends; the exit code. Ctrl+C and SIGTERM end the watching."""
    with Signals() as signals:
        return _shown(runs, run_id, signals, as_json=as_json, may_cancel=False)


def _shown(runs: Runs, run_id: str, signals: Signals, *, as_json: bool, may_cancel: bool) -> int:
    info = runs.run_info(run_id)
    title = f"{_OPERATIONS[info.operation]} {info.title}" if info is not None else f"Run {short_id(run_id)}"
    keys = "Ctrl+C cancels" if may_cancel else "Ctrl+C stops watching, the run goes on"
    with contextlib.closing(choose_view(title, as_json=as_json, keys=keys)) as view:
        watched = Watch(runs, run_id, view, may_cancel=may_cancel)
        stopped = watched.to_the_end(signals)
    if stopped is not None:
        return stopped
    conclude(title, watched.snapshot)
    if watched.snapshot.died and may_cancel:
        _record_death()
    return exit_code_of_run(watched.snapshot)


def conclude(title: str, snapshot: "RunSnapshot") -> None:
    """Say in a line how a run ended, with what it warned of and what went wrong."""
    for warning in other_warnings(snapshot.warnings, snapshot.problem):
        say(f"warning: {one_line(warning)}")
    if snapshot.problem is not None:
        report_problem(snapshot.problem, label="warning" if snapshot.status == "partial" else "error")
    say(summary(title, snapshot))


def summary(title: str, snapshot: "RunSnapshot") -> str:
    """`Backup shop-nightly · shop: completed in 0:02:10, 3.4 GB, 1.2 GB at disk, nas  [1a2b3c4d]`."""
    words = f"{one_line(title)}: {snapshot.status}"
    if snapshot.started_at is not None and snapshot.ended_at is not None:
        words += f" in {took_text((snapshot.ended_at - snapshot.started_at).total_seconds())}"
    if snapshot.progress is not None:
        words += f", {amount_text(snapshot.progress.done, snapshot.progress.unit)}"
    done = [storage for storage in snapshot.sources or snapshot.storages if storage.state == "done"]
    if done:
        way = "from" if snapshot.sources else "at"
        words += f", {size_text(done[0].bytes)} {way} {', '.join(one_line(storage.name) for storage in done)}"
    return f"{words}  [{short_id(snapshot.run_id)}]"
