"""The daemon: one process for a state folder that keeps its duties going until it is told to stop.

Its main thread only listens: to signals, to changes of the configuration, and for duties that ended by a fault.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import msgspec

from dgtui import __version__
from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import ConfigError, DataGuardianError, JobBusy, StorageError
from dgtui.engine.guardian.clock_watch import ClockWatch
from dgtui.engine.guardian.config_keeping import ConfigKeeping, first_config
from dgtui.engine.guardian.config_watch import ConfigWatch
from dgtui.engine.guardian.duties import DUTIES
from dgtui.engine.guardian.duty import DutyContext, Level
from dgtui.engine.guardian.duty_watch import DutyWatch
from dgtui.engine.guardian.room import wait_for_room
from dgtui.engine.guardian.runner import DutyRunner, DutyState
from dgtui.engine.guardian.status import DaemonReport, daemon_lock_path, daemon_status, write_report
from dgtui.engine.guardian.systemd import SystemdNotifier
from dgtui.engine.guardian.zone_watch import ZoneWatch
from dgtui.engine.locks import Lock, take_lock
from dgtui.engine.model import Problem
from dgtui.engine.problems import problem_of
from dgtui.engine.runs import RunPaths
from dgtui.engine.secrets import observe_secrets
from dgtui.engine.sizes import counted
from dgtui.engine.telling import SecretReads, Teller
from dgtui.engine.timetable import time_zone

_TICK_SECONDS = 3.0
_STOP_SECONDS = 20.0
_AFTER_FAULT_SECONDS = 60.0
_REPORT_SECONDS = 30.0
"""How old what the daemon tells of its usual work may become; what is out of the ordinary, or new, is told at once."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Daemon:
    """Runs the duties until SIGTERM or SIGINT."""

    def __init__(
        self,
        config_path: Path | None,
        context: DutyContext,
        notifier: SystemdNotifier,
        watch: ConfigWatch,
        place: Lock,
        mistake: ConfigError | None = None,
    ) -> None:
        """`place` is the lock that the only daemon of a state folder holds.

        `watch` knows the files of the configuration as they were read for the context.
        `mistake` is what is wrong with them where it begins with a configuration that was right once.
        """
        self._context = context
        self._notifier = notifier
        self._runners = [DutyRunner(make(context), context) for make in DUTIES]
        self._restart_at: dict[str, float] = {}
        self._watch = watch
        self._place = place
        self._clock_watch = ClockWatch(context.clock)
        self._zone_watch = ZoneWatch()
        self._keeping = ConfigKeeping(context, config_path)
        self._duty_watch = DutyWatch(context)
        self._hanging: tuple[str, ...] = ()
        self._started_at = self._config_read_at = context.clock()
        self._config_problem: Problem | None = None
        self._mistake = mistake
        self._reported: DaemonReport | None = None
        self._reported_at = 0.0
        self._began = time.monotonic()

    def run(self) -> None:
        """Work until told to stop. Raises StorageError where the state folder is not there any more."""
        with _signals() as signals:
            if self._mistake is None:
                self._keeping.taken()
            else:
                self._refuse(self._mistake)
            for runner in self._runners:
                runner.start()
            self._report()
            self._notifier.ready(self._summary())
            while self._place.is_in_place and not self._take_signals(signals(self._tick_seconds())):
                self._notifier.alive()
                if self._watch.changed():
                    self._reload()
                if self._clock_watch.changed():
                    self._wake_all()
                if self._zone_watch.changed():
                    self._take_zone()
                self._revive()
                self._watch_duties()
                self._report()
            self._stop()
            if not self._place.is_in_place:
                raise _gone(self._context.paths.state)

    def _tick_seconds(self) -> float:
        limit = self._notifier.watchdog_seconds
        return _TICK_SECONDS if limit is None else min(_TICK_SECONDS, limit / 3)

    def _take_signals(self, numbers: Sequence[int]) -> bool:
        """Whether one of them says to stop."""
        if signal.SIGHUP in numbers:
            self._watch.take()
            self._reload()
        return signal.SIGTERM in numbers or signal.SIGINT in numbers

    def _reload(self) -> None:
        """Take up the configuration as it is now; a wrong one is told, and the last good one stays."""
        self._notifier.reloading()
        try:
            config = self._keeping.take()
        except ConfigError as error:
            self._refuse(error)
        else:
            self._config_problem = None
            self._config_read_at = self._context.clock()
            self._context.take_config(config)
            self._context.log("The configuration was read again", "info")
            self._keeping.taken()
        self._wake_all()
        self._notifier.ready(self._summary())

    def _refuse(self, error: ConfigError) -> None:
        self._config_problem = problem_of(error)
        first, *more = error.message.splitlines()
        self._context.log(f"The configuration is wrong, the last good one stays in use: {first}", "error")
        for line in more:
            self._context.log(line, "error")
        self._keeping.refused(error)

    def _take_zone(self) -> None:
        self._context.take_zone()
        self._context.log(f"The time zone of the system is {time_zone(None)} now", "info")
        self._wake_all()

    def _wake_all(self) -> None:
        for runner in self._runners:
            runner.wake()

    def _revive(self) -> None:
        """Start a duty again, after a pause, that a fault of the program ended."""
        for runner in self._runners:
            if runner.alive:
                continue
            name = runner.state.name
            if time.monotonic() >= self._restart_at.setdefault(name, time.monotonic() + _AFTER_FAULT_SECONDS):
                del self._restart_at[name]
                runner.start()

    def _watch_duties(self) -> None:
        # The watchdog of systemd is none for this: what hangs below a duty would hang anew after a restart.
        hanging = self._duty_watch.look(self._runners)
        if hanging != self._hanging:
            self._hanging = hanging
            self._notifier.status(self._summary())

    def _report(self) -> None:
        report = DaemonReport(
            pid=os.getpid(),
            started_at=self._started_at,
            version=__version__,
            config_read_at=self._config_read_at,
            config_problem=self._config_problem,
            duties=tuple(runner.state for runner in self._runners),
        )
        # Each writing waits for the disk twice, and duties begin and end every few seconds.
        patience = _REPORT_SECONDS if time.monotonic() > self._began + _REPORT_SECONDS else _TICK_SECONDS
        ordinary = self._reported is not None and _out_of_the_ordinary(report) == _out_of_the_ordinary(self._reported)
        if report == self._reported or (ordinary and time.monotonic() < self._reported_at + patience):
            return
        try:
            write_report(self._context.paths, report)
        except DataGuardianError as error:
            self._context.log(error.message, "error")
        self._reported, self._reported_at = report, time.monotonic()

    def _summary(self) -> str:
        if self._config_problem is not None:
            return "guarding with the last good configuration; the newest one is wrong: dgtui check"
        config = self._context.config
        hanging = f"; does not come to an end: {', '.join(self._hanging)}" if self._hanging else ""
        watched, by_timetable = counted(len(config.datasources), "datasources"), counted(len(config.jobs), "jobs")
        return f"guarding {watched}, {by_timetable}{hanging}"

    def _stop(self) -> None:
        self._notifier.stopping()
        self._context.log("Stopping; backups that run go on by themselves", "info")
        self._context.stopping.set()
        self._wake_all()
        deadline = time.monotonic() + _STOP_SECONDS
        for runner in self._runners:
            if not runner.join(max(deadline - time.monotonic(), 0)):
                self._context.log(f"{runner.state.name} did not come to an end and is left", "warning")


def _gone(state: Path) -> StorageError:
    """The error where another daemon could begin at the same place, and neither would know of the other."""
    return StorageError(
        f"The state folder {state} was moved, removed or unmounted",
        subject=str(state),
        hint="Put it back, and start the daemon anew; without it a new one begins there, with what the storages hold",
    )


def _out_of_the_ordinary(report: DaemonReport) -> DaemonReport:
    """A report without what changes all the time."""
    duties = tuple(DutyState(name=duty.name, problem=duty.problem) for duty in report.duties)
    return msgspec.structs.replace(report, duties=duties)


def run_daemon(config_path: Path | None, state: Path, *, log: Callable[[str, Level], None]) -> None:
    """Be the daemon of a state folder until told to stop.

    Raises ConfigError, CatalogError, StorageError, and JobBusy where there is one already.
    """
    # Asked for a reload before the loop listens, it would die of it, and systemd take that for a clean end.
    signal.signal(signal.SIGHUP, _noted)
    paths = RunPaths(state)
    notifier = SystemdNotifier()
    # What is changed from here on, while the catalogue is opened, is not missed.
    watch = ConfigWatch(config_path)
    config, mistake = first_config(config_path, paths, log)
    if wait_for_room(config, state, notifier, log):
        watch.take()
        config, mistake = first_config(config_path, paths, log)
    paths.make()
    with _only_one(paths) as place, contextlib.closing(Catalog(state)) as catalog:
        context = DutyContext(config, catalog, paths, log=log)
        log(f"Guarding {counted(len(config.jobs), 'jobs')}, pid {os.getpid()}, state in {state}", "info")
        observe_secrets(SecretReads(Teller(catalog, config, lambda text: log(text, "warning"))))
        try:
            Daemon(_named(config, config_path), context, notifier, watch, place, mistake).run()
        finally:
            observe_secrets(None)


def _named(config: Config, config_path: Path | None) -> Path | None:
    return config_path if config_path is not None else config.path


def _only_one(paths: RunPaths) -> Lock:
    try:
        return take_lock(daemon_lock_path(paths), purpose="daemon")
    except JobBusy:
        holder = daemon_status(paths)
        raise JobBusy(
            f"A daemon is already running for {paths.state}: pid {holder.pid or 'unknown'}",
            subject=str(paths.state),
            hint="See how it stands with: dgtui daemon --status",
        ) from None


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[float], Sequence[int]]]:
    """A function that waits so many seconds for signals and tells which came."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    former = {number: signal.signal(number, _noted) for number in _SIGNALS}
    former_descriptor = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def wait(seconds: float) -> Sequence[int]:
        ready, _, _ = select.select([reading], [], [], seconds)
        return tuple(os.read(reading, 4096)) if ready else ()

    try:
        yield wait
    finally:
        signal.set_wakeup_fd(former_descriptor)
        for number, handler in former.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The number of the signal is in the pipe already; before there is one, all is read anew anyhow."""
