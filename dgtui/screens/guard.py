"""What is known of the moment while the program is open: health, unread notifications, the daemon, the next run."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dgtui.engine.errors import ERRORS_BY_KIND, ConfigError, DatabaseConnectionError, DataGuardianError
from dgtui.engine.health_model import HealthState, Watched
from dgtui.engine.memory import out_of_memory
from dgtui.engine.model import Problem
from dgtui.engine.threads import Thread

if TYPE_CHECKING:
    from dgtui.config import Config
    from dgtui.engine.facade import Engine
    from dgtui.engine.guardian.config_watch import ConfigWatch
    from dgtui.engine.guardian.overview import NextRun
    from dgtui.screens.engine_app import EngineApp

PULSE_SECONDS = 2.0
_NEXT_RUN_SECONDS = 60
_LEAVE_SECONDS = 2.0


@dataclass(frozen=True)
class Pulse:
    """How everything stood a moment ago."""

    states: Mapping[Watched, HealthState] = field(default_factory=dict)
    unread: int = 0
    audited: int = 0
    """The number of the newest entry of the audit log: whatever somebody did, here or elsewhere, makes another one."""
    daemon: bool | None = None
    """Whether one runs; None while nobody looked."""
    config_problem: Problem | None = None
    """Why the configuration as it lies on the disk is not the one in use."""
    next_run: "NextRun | None" = None
    is_made_anew: bool = False
    """Whether the catalogue was lost, and the new one does not know yet what the storages hold."""

    def state(self, subject: Watched) -> HealthState:
        """How one thing stands."""
        return self.states.get(subject) or HealthState(subject=subject)


class PulseTaker:
    """Asks the engine how everything stands; what is dear to find out is kept for a while."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._files: ConfigWatch | None = None
        self._problem: Problem | None = None
        self._next: NextRun | None = None
        self._next_for: Config | None = None
        self._next_until: datetime | None = None

    def take(self, moment: datetime) -> Pulse:
        """How everything stands. Raises DataGuardianError."""
        self._follow_files()
        engine = self._engine
        status = engine.daemon_status()
        report = status.report
        return Pulse(
            states=engine.health.states(),
            unread=sum(engine.records.unread_counts().values()),
            audited=engine.records.newest_audit_number(),
            daemon=status.running,
            config_problem=self._problem or (report.config_problem if report is not None else None),
            next_run=self._next_run(moment),
            is_made_anew=engine.is_made_anew,
        )

    def _follow_files(self) -> None:
        """Take up what was changed in the files; where that is wrong, keep what there was and say so."""
        from dgtui.engine.guardian.config_watch import ConfigWatch
        from dgtui.engine.problems import problem_of

        if self._files is None:
            self._files = ConfigWatch(self._engine.config.path)
        elif self._files.changed():
            try:
                self._engine.reload()
            except ConfigError as error:
                self._problem = problem_of(error)
            else:
                self._problem = None

    def _next_run(self, moment: datetime) -> "NextRun | None":
        config = self._engine.config
        if config is not self._next_for or self._next_until is None or moment >= self._next_until:
            self._next = next(iter(self._engine.next_runs()), None)
            self._next_for = config
            later = moment + timedelta(seconds=_NEXT_RUN_SECONDS)
            self._next_until = min(later, self._next.starts_at) if self._next is not None else later
        return self._next


class Guard:
    """Keeps the pulse, and the health too where no daemon does; the screens show what it knows."""

    def __init__(self, app: "EngineApp") -> None:
        self._app = app
        self.pulse = Pulse()
        self._taker: PulseTaker | None = None
        self._checking: dict[Watched, datetime] = {}
        self._stop = threading.Event()
        self._keeper: threading.Thread | None = None
        self._told = ""

    # Beginning and end

    def begin(self, engine: "Engine") -> None:
        """Watch this engine from now on."""
        self.pulse = Pulse()
        self._checking = {}
        self._stop = threading.Event()
        self._taker = PulseTaker(engine)
        self.look()

    def end(self) -> None:
        """Watch no more; a check that is under way is left to itself."""
        self._stop.set()
        self._taker = None
        if self._keeper is not None:
            self._keeper.join(_LEAVE_SECONDS)
            self._keeper = None

    def _begin_keeping(self) -> None:
        """What is old is checked at once, and from then on what is due; a daemon does both where one runs."""
        app, old = self._app, [] if self.pulse.daemon else self._old()
        if not old:
            self._keep()
            return
        self._checking.update(dict.fromkeys(old, app.clock()))
        app.ask(app, "first checks", lambda engine: engine.health.check_now(old, self._stop), self._first, self._failed)

    def _old(self) -> list[Watched]:
        return self._app.engine.health.overdue() if self._app.is_ready else []

    def _first(self, states: Sequence[HealthState]) -> None:
        self.learn(states)
        self.look()
        self._keep()

    def _failed(self, error: DataGuardianError) -> None:
        self._checking.clear()
        self._trouble(error)
        self._keep()

    def _keep(self) -> None:
        if self._taker is None or self._keeper is not None:
            return
        arguments = (self._app.engine, self._stop)
        keeper = Thread(target=self._stand_in, args=arguments, name="health", daemon=True)
        try:
            keeper.start()
        except RuntimeError:
            self._trouble(out_of_memory())
        else:
            self._keeper = keeper

    def _stand_in(self, engine: "Engine", stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                engine.keep_health(stop)
            except DataGuardianError as error:
                self._trouble(error)
            stop.wait(_NEXT_RUN_SECONDS)

    # Looking

    def look(self) -> None:
        """Ask how everything stands."""
        taker, app = self._taker, self._app
        if taker is not None:
            app.ask(app, "pulse", lambda _: taker.take(app.clock()), self._take, self._trouble)

    def look_again(self) -> None:
        """The same, unless an answer is on its way: where each takes a while, none would ever be the newest."""
        if not self._app.asking.is_asked("pulse"):
            self.look()

    def _take(self, pulse: Pulse) -> None:
        former = self._set(pulse)
        self._told = ""
        # What died was recorded after its end was seen, here or by somebody else; with it there is something to read.
        told = pulse.unread > former.unread or pulse.audited != former.audited
        if (told and former.daemon is not None) or self._app.has_other_config:
            self._app.data_changed()
        done = [one for one, since in self._checking.items() if (pulse.state(one).checked_at or since) > since]
        for subject in done:
            del self._checking[subject]
        if pulse.is_made_anew and not former.is_made_anew:
            self._app.catalogue_lost()
        if former.daemon is None:
            self._begin_keeping()
        if pulse.config_problem not in (None, former.config_problem):
            self._app.show_problem("The configuration on the disk is wrong", pulse.config_problem)
        if pulse != former or done:
            self._app.pulse_changed()

    def _set(self, pulse: Pulse) -> Pulse:
        """Keep how everything stands now, and ask a storage that came or went for its copies; what was known before.

        Until then they are shown as they were before.
        """
        former, self.pulse = self.pulse, pulse
        storages = [one for one in pulse.states if one.kind == "storage"]
        came = any(former.state(one).failures and pulse.state(one).result == "ok" for one in storages)
        if came or any(former.state(one).result == "ok" and pulse.state(one).failures for one in storages):
            self._app.data_changed()
        return former

    def _trouble(self, error: DataGuardianError) -> None:
        """Say it once, not every few seconds."""
        if error.message != self._told:
            self._told = error.message
            self._app.show_error(error)

    # Checking

    def is_checking(self, subject: Watched) -> bool:
        """Whether it is being asked just now."""
        return subject in self._checking

    @property
    def checks(self) -> frozenset[Watched]:
        """All that is being asked just now."""
        return frozenset(self._checking)

    def check_new(self) -> None:
        """Ask the datasources that were never asked: who has just made one wants to see whether it answers."""
        if self._keeper is None:
            return
        for name, settings in self._app.config.datasources.items():
            subject = Watched(kind="datasource", name=name)
            if settings.enabled and subject not in self._checking and self.pulse.state(subject).checked_at is None:
                self.check(subject)

    def hear(self, datasource: str, kind: str = "") -> None:
        """Ask one anew of which its last check says otherwise: it just answered, or failed with this kind of error."""
        subject, settings = Watched(kind="datasource", name=datasource), self._app.config.datasources.get(datasource)
        if settings is None or not settings.enabled or self.is_checking(subject):
            return
        healthy = self.pulse.state(subject).status == "healthy"
        unreached = issubclass(ERRORS_BY_KIND.get(kind, DataGuardianError), DatabaseConnectionError)
        if unreached if healthy else not kind:
            self.check(subject)

    def check(self, subject: Watched) -> None:
        """Ask one thing now, also into its history."""
        app = self._app
        if not app.is_ready:
            return
        self._checking[subject] = app.clock()

        def failed(error: DataGuardianError) -> None:
            self._checking.pop(subject, None)
            app.show_error(error)
            app.pulse_changed()

        app.ask(
            app,
            f"check {subject.kind} {subject.name}",
            lambda engine: engine.health.check_now([subject], self._stop),
            self._checked,
            failed,
            slow=True,
        )
        app.pulse_changed()

    def _checked(self, states: Sequence[HealthState]) -> None:
        self.learn(states)
        self.look()

    def learn(self, states: Sequence[HealthState]) -> None:
        """Take up what was found just now."""
        for state in states:
            self._checking.pop(state.subject, None)
        self._set(replace(self.pulse, states={**self.pulse.states, **{state.subject: state for state in states}}))
        self._app.pulse_changed()
