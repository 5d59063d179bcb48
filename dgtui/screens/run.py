"""The running panel: a run as it goes, whoever started it."""

from typing import ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from dgtui.engine.run_follower import RunSnapshot
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.engine_app import EngineApp
from dgtui.screens.log import LogScreen
from dgtui.screens.widgets.styled import Lines, plain, span
from dgtui.wording.dialog_words import in_dialog
from dgtui.wording.panel import Panel
from dgtui.wording.problem_text import other_warnings
from dgtui.wording.words import one_line, short_id

_OPERATIONS = {"backup": "Backup", "restore": "Restore", "validate": "Check", "rehearse": "Rehearsal"}
_WIDEST = 120
_KEYS = {"x": "x Cancel", "h": "h Hide, keep running", "l": "l Whole log", "question_mark": "? Keys"}
_ENDED_KEYS = {"escape": "Esc Close", "l": "l Whole log", "question_mark": "? Keys"}
_GAP = " " * 3


class RunScreen(ModalScreen[None]):
    """Shows one run until it is hidden; hiding never stops it."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "cancel", "Cancel", id="run.cancel"),
        Binding("h,escape", "hide", "Hide", id="run.hide"),
        Binding("l", "log", "Whole log", id="run.log"),
        Binding("enter", "done", "Close", show=False, id="run.close"),
        Binding("question_mark,f1", "app.keys", "Keys", show=False, id="app.keys", tooltip="All keys"),
        Binding("q", "app.leave", "Quit", show=False, id="app.quit", tooltip="Leave; what runs goes on"),
    ]
    DEFAULT_CSS = """
    RunScreen { align: center middle; background: $background 60%; }
    RunScreen #panel-box { width: 100%; max-width: 120; height: auto; background: $surface; }
    RunScreen #outcome { height: auto; padding: 0 2; }
    """

    def __init__(self, run_id: str, title: str = "") -> None:
        super().__init__()
        self.run_id = run_id
        self._title = title
        self._cancelling = False
        self._cancel_sent = False
        self.snapshot = RunSnapshot(run_id=run_id)
        """The run as it was seen last."""

    @property
    def engine_app(self) -> EngineApp:
        """The application, by its full type."""
        return cast("EngineApp", self.app)

    def compose(self) -> ComposeResult:
        """The box, and below it how it ended."""
        with Vertical(id="panel-box"):
            yield Lines(id="panel")
            yield Static("", id="outcome", markup=False)

    def on_mount(self) -> None:
        """Tick with the second; the numbers come with the samples."""
        self.show_runs()
        self._clock = self.set_interval(1, self._draw)

    def on_resize(self) -> None:
        """The box is as wide as the terminal."""
        self._draw()

    def show_runs(self) -> None:
        """Take what was sampled last; numbers are drawn with the next second, a new state at once."""
        run = self.engine_app.known_run(self.run_id)
        if run is not None:
            before = (self.snapshot.status, self.snapshot.phase)
            self._title = f"{_OPERATIONS[run.info.operation]} {run.info.title}"
            self.snapshot = run.snapshot
            self._send_cancel()
            if before == (run.snapshot.status, run.snapshot.phase):
                return
        self._draw()

    def on_screen_resume(self) -> None:
        """What happened under a dialog is drawn once it is closed."""
        self._draw()

    def _draw(self) -> None:
        if not self.is_mounted or self.app.screen is not self:
            return
        app, snapshot = self.engine_app, self.snapshot
        note = "cancelling: waiting until everything is cleaned up" if self._cancelling and not snapshot.ended else ""
        panel = Panel(
            title=self._title or f"Run {short_id(self.run_id)}",
            look=app.look,
            keys=_GAP.join(_KEYS.values()),
            ended_keys=_GAP.join(_ENDED_KEYS.values()),
        )
        width = min(self.size.width, _WIDEST)
        lines = panel.lines(snapshot, width=width, moment=app.clock(), note=note)
        self.query_one("#panel", Lines).show([tuple(span(piece.text, piece.style) for piece in line) for line in lines])
        if snapshot.ended:
            self._draw_outcome()

    def _draw_outcome(self) -> None:
        """What went wrong and what to do next; the clock stops."""
        self._clock.stop()
        problem, arrow = self.snapshot.problem, self.engine_app.look.glyph("→", "->")
        lines = [f"warning: {warning}" for warning in other_warnings(self.snapshot.warnings, problem)]
        if problem is not None:
            hint = [f"{arrow} {in_dialog(problem.hint)}"] if problem.hint else []
            lines += [problem.message, *problem.detail[-5:], *hint]
        text = "\n".join(one_line(line) for entry in lines for line in entry.splitlines())
        outcome = self.query_one("#outcome", Static)
        outcome.update(text)
        outcome.display = bool(text)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What has ended is closed; what runs is cancelled or hidden."""
        if action in ("cancel", "done"):
            return self.snapshot.ended is (action == "done")
        return super().check_action(action, parameters)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A click on one of the keys at the foot is as if it was pressed."""
        panel = self.query_one("#panel", Lines)
        foot = panel.region.bottom - 1
        if event.screen_y != foot or not panel.region.contains(event.screen_x, foot):
            return
        shown = plain(panel.lines[-1])
        for key, text in (_ENDED_KEYS if self.snapshot.ended else _KEYS).items():
            start = shown.find(text)
            if start >= 0 and start <= event.screen_x - panel.region.x < start + len(text):
                self.app.simulate_key(key)

    def action_cancel(self) -> None:
        """Ask, then tell the worker to stop."""
        if self.snapshot.ended or self._cancelling:
            return

        def answered(sure: bool | None) -> None:
            if sure and not self.snapshot.ended:
                self._cancelling = True
                self._send_cancel()
                self._draw()

        text = ["It stops, and removes what it wrote so far."]
        self.app.push_screen(
            ConfirmScreen(f"Cancel {self._title}?", text, yes="Cancel it", no="Keep running"), answered
        )

    def _send_cancel(self) -> None:
        """Again with the next sample, where the process of the run was not there yet."""

        def sent(reached: bool) -> None:
            self._cancel_sent = reached

        if self._cancelling and not self._cancel_sent and not self.snapshot.ended:
            self._cancel_sent = True
            run_id = self.run_id
            self.engine_app.ask(self, f"cancel {run_id}", lambda engine: engine.cancel(run_id), sent)

    def action_hide(self) -> None:
        """Back to where it was opened from; the run goes on."""
        self.dismiss()

    def action_done(self) -> None:
        """Enter closes what has ended."""
        if self.snapshot.ended:
            self.dismiss()

    def action_log(self) -> None:
        """The whole log."""
        self.app.push_screen(LogScreen(self.run_id, self._title))
