"""What every screen may rely on: an application with an engine, the runs it sees, and questions that block nothing."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from textual.message import Message
from textual.message_pump import MessagePump

from dgtui.config import Config, Table
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.memory import out_of_memory
from dgtui.engine.messages import now
from dgtui.engine.model import Execution, Problem
from dgtui.engine.threads import Thread
from dgtui.screens.asking import Answered, Asking
from dgtui.screens.faults import FaultApp
from dgtui.screens.guard import PULSE_SECONDS, Guard
from dgtui.wording.dialog_words import in_dialog
from dgtui.wording.terminal import Look
from dgtui.wording.words import one_line, size_text

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine
    from dgtui.engine.glance import DatasourceCheck
    from dgtui.engine.scan import ScanReport
    from dgtui.engine.watching import RunWatch, WatchedRun

T = TypeVar("T")

SAMPLE_SECONDS = 0.5
_MOST_ENDED = 50


@dataclass
class RunsSampled(Message):
    """The runs under way look different from before."""

    runs: "tuple[WatchedRun, ...]"


class NoRunFound(Message):
    """The first look found nothing under way."""


@dataclass
class EngineOpened(Message):
    """The engine can be asked."""

    engine: "Engine"


class EngineApp(FaultApp):
    """Holds the engine and what is known of the moment; screens ask it and show."""

    def __init__(
        self,
        config: Config,
        open_engine: "Callable[[], Engine]",
        *,
        look: Look | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """`open_engine` is called in a thread once the first screen stands."""
        super().__init__()
        self._config = config
        self._open_engine = open_engine
        self._engine: Engine | None = None
        self.look = look or Look()
        self.clock = clock
        self.asking = Asking(self, self.show_error)
        self.runs: tuple[WatchedRun, ...] = ()
        """The runs under way."""
        self.knows_runs = False
        """Whether anybody has looked yet."""
        self.guard = Guard(self)
        """How everything stands."""
        self.looks: dict[str, DatasourceCheck] = {}
        """What was found in datasources that somebody looked at more closely."""
        self._ended: dict[str, WatchedRun] = {}
        self._stop_sampling = threading.Event()

    def on_mount(self) -> None:
        """Feel the pulse from now on."""
        self.set_interval(PULSE_SECONDS, self.guard.look_again)

    # The engine

    @property
    def config(self) -> Config:
        """What is configured, as the screens have taken it up: it does not become another one between two lines."""
        return self._config

    @property
    def has_other_config(self) -> bool:
        """Whether a thread has read another one meanwhile."""
        return self._engine is not None and self._engine.config is not self._config

    def take_config(self) -> None:
        """Take up the one that was read last."""
        if self._engine is not None:
            self._config = self._engine.config

    @property
    def engine(self) -> "Engine":
        """The engine; ask `is_ready` first."""
        assert self._engine is not None, "the engine was asked before it was open"
        return self._engine

    @property
    def is_ready(self) -> bool:
        """Whether the engine is open."""
        return self._engine is not None

    def ask(
        self,
        node: MessagePump,
        name: str,
        question: "Callable[[Engine], T]",
        then: Callable[[T], None],
        failed: Callable[[DataGuardianError], None] | None = None,
        *,
        slow: bool = False,
        about: str = "",
    ) -> None:
        """Ask the engine in a thread; `then` gets the answer if `node` is still there; see `Asking.ask`."""
        if self._engine is not None:
            engine = self._engine
            self.asking.ask(node, name, lambda: question(engine), then, failed, slow=slow, about=about)

    def open_engine(self) -> None:
        """Open the engine in a thread; `EngineOpened` follows."""

        self.asking.ask(self, "open", self._open_engine, self.take_engine, self._give_up)

    def take_engine(self, engine: "Engine") -> None:
        """Use this engine from now on."""
        self._engine = engine
        self.take_config()
        self.looks.clear()
        self.runs = ()
        self.knows_runs = False
        self._stop_sampling = threading.Event()
        # Made before anybody can start a run: one may be over before the first look.
        watch = engine.run_watch()
        try:
            Thread(target=self._sample, args=(watch, self._stop_sampling), name="runs", daemon=True).start()
        except RuntimeError:
            self._give_up(out_of_memory())
            return
        self.post_message(EngineOpened(engine))
        self.guard.begin(engine)

    def _give_up(self, error: DataGuardianError) -> None:
        self.exit(error.exit_code, return_code=error.exit_code, message=error_text(error))

    def close_engine(self) -> None:
        """Stop watching and close the catalogue; runs go on."""
        self._stop_sampling.set()
        self.guard.end()
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def on_answered(self, message: Answered) -> None:
        """Hand an answer to the one who asked."""
        self.asking.answered(message)

    # The runs

    def _sample(self, watch: "RunWatch", stop: threading.Event) -> None:
        """Look at the runs twice a second, and post what changed."""
        last: tuple[Any, ...] = ()
        is_first = True
        while not stop.wait(SAMPLE_SECONDS):
            try:
                runs: tuple[Any, ...] = watch.sample()
            except OSError:
                continue  # the state folder is gone; the next question to the engine says so
            if runs != last:
                last = runs
                if not self.post_message(RunsSampled(runs)):
                    return
            elif is_first and not self.post_message(NoRunFound()):
                return
            is_first = False

    def on_no_run_found(self) -> None:
        """Nothing runs, and that is known now."""
        self.knows_runs = True

    def on_runs_sampled(self, message: RunsSampled) -> None:
        """Keep what is under way, tell what ended, and let the screen show it."""
        self.knows_runs = True
        ended = [run for run in message.runs if run.snapshot.ended]
        before = _states(self.runs)
        self.runs = tuple(run for run in message.runs if not run.snapshot.ended)
        for run in ended:
            self._ended[run.info.run_id] = run
            if len(self._ended) > _MOST_ENDED:
                self._ended.pop(next(iter(self._ended)))
        for screen in self.screen_stack:
            show = getattr(screen, "show_runs", None)
            if show is not None:
                show()
        for run in ended:
            self.run_ended(run)
        if not ended and _states(self.runs) != before:
            # One began, here or elsewhere, or waits no more: the tables tell it too.
            self.data_changed()

    def known_run(self, run_id: str) -> "WatchedRun | None":
        """A run under way, or one that ended while the program was open."""
        found = next((run for run in self.runs if run.info.run_id == run_id), None)
        return found or self._ended.get(run_id)

    def run_ended(self, run: "WatchedRun") -> None:
        """A run came to its end."""
        raise NotImplementedError

    # What screens may ask the application for; `dgtui.app` knows the screens that do it.

    def data_changed(self) -> None:
        """What the engine knows is not what the screens show any more."""
        raise NotImplementedError

    def pulse_changed(self) -> None:
        """Something stands differently from before."""
        raise NotImplementedError

    def catalogue_lost(self) -> None:
        """The catalogue went under the open program, and a new one knows nothing yet."""
        raise NotImplementedError

    def config_changed(self, text: str = "") -> None:
        """The configuration is another one; `text` says why."""
        raise NotImplementedError

    def open_place(self, place: str, name: str = "") -> None:
        """Show a place, with the cursor on the object of this name."""
        raise NotImplementedError

    def open_backups(self, datasource: str) -> None:
        """Show the backups of a datasource."""
        raise NotImplementedError

    def back_up(self, datasource: str) -> None:
        """Ask how to back up a datasource, and do it."""
        raise NotImplementedError

    def restore(self, execution: Execution) -> None:
        """Ask how to restore a backup, and do it."""
        raise NotImplementedError

    def edit(self, table: Table, name: str | None, introduction: str = "") -> None:
        """A form for an object of the configuration, for a new one without a name."""
        raise NotImplementedError

    def start(self, begin: "Callable[[Engine], str]", title: str) -> None:
        """Start a run in a thread and show it."""
        raise NotImplementedError

    def watch_run(self, run_id: str) -> None:
        """Show a run."""
        raise NotImplementedError

    def scanned(self, storage: str, report: "ScanReport") -> None:
        """What lies at a storage was read."""
        self.tell(f"{storage}: {report.added} learned, {report.known} known, {report.gone} gone")
        if report.damaged:
            self.tell(f"{storage}: {len(report.damaged)} damaged", hint=f"dgtui scan {storage}", severity="warning")
        if report.unread:
            reason = report.unread[0].reason
            self.tell(f"{storage}: not read: {reason}", hint=f"dgtui scan {storage}", severity="warning")
        self.data_changed()

    def deleted(self, freed: int) -> None:
        """Copies were deleted."""
        self.tell(f"Deleted; {size_text(freed)} are free again" if freed else "Deleted")
        self.data_changed()

    # Telling

    def show_error(self, error: DataGuardianError) -> None:
        """An error as a toast, with its hint."""
        self.tell(error.message, hint=in_dialog(error.hint), severity="error")

    def show_problem(self, title: str, problem: Problem) -> None:
        """A stored error as a toast, with its hint."""
        self.tell(problem.message, hint=in_dialog(problem.hint), title=title, severity="error")

    def tell(self, text: str, *, hint: str = "", title: str = "", severity: Any = "information") -> None:
        """A toast; nothing in it is taken for markup."""
        lines = [*text.splitlines(), *([f"→ {hint}" if self.look.unicode else f"-> {hint}"] if hint else [])]
        self.notify(
            "\n".join(map(one_line, lines)),
            title=one_line(title),
            severity=severity,
            timeout=10 if severity == "error" else 5,
            markup=False,
        )


def _states(runs: "tuple[WatchedRun, ...]") -> set[tuple[str, str]]:
    return {(run.info.run_id, run.snapshot.status) for run in runs}


def error_text(error: DataGuardianError) -> str:
    """An error for a plain terminal."""
    return f"error: {error.message}" + (f"\n  hint: {error.hint}" if error.hint else "")
