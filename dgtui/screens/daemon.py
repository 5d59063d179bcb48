"""Whether the daemon runs, how its duties stand, and a way to start it."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button

from dgtui.screens.dialog import Dialog
from dgtui.screens.times import age_text, until_text
from dgtui.screens.widgets.details import Paragraphs
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.words import time_text

if TYPE_CHECKING:
    from dgtui.engine.guardian.runner import DutyState
    from dgtui.engine.guardian.status import DaemonStatus

_REFRESH_SECONDS = 5
_DUTY_WIDTH = 14


class DaemonScreen(Dialog[None]):
    """How it stands; where none runs, a button starts it."""

    AUTO_FOCUS = "#close"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up", "app.focus_previous", "Previous", show=False, id="dialog.previous"),
        Binding("right,down", "app.focus_next", "Next", show=False, id="dialog.next"),
    ]

    def __init__(self) -> None:
        super().__init__("Daemon")
        self._looked = False

    def compose_dialog(self) -> ComposeResult:
        """What is known, and two buttons."""
        yield Paragraphs([(Span("Looking", "dim"),)], id="status")
        with Horizontal(classes="buttons"):
            yield Button("Start it", id="start", compact=True, disabled=True)
            yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        """Look, and again while it is open."""
        self._look()
        self.set_interval(_REFRESH_SECONDS, self._look)

    def _look(self) -> None:
        self.engine_app.ask(self, "daemon", lambda engine: engine.daemon_status(), self._show)

    def _show(self, status: "DaemonStatus") -> None:
        starting = self.engine_app.asking.is_asked("start daemon")
        start, first = self.query_one("#start", Button), not self._looked
        self._looked = True
        start.disabled = status.running or starting
        if first and not start.disabled and self.focused is self.query_one("#close"):
            start.focus()
        if not status.running:
            lines: list[Line] = [
                (Span("No daemon runs for this state folder.", "warning"),),
                (),
                (Span("Without one no schedule is followed, and nothing is cleaned up or sent by itself."),),
                (Span("This program checks health itself while it is open."),),
                (Span("To have it started with the machine:  dgtui daemon --install", "dim"),),
            ]
            if starting:
                lines = [(Span("Starting", "dim"),)]
        else:
            lines = self._report_lines(status)
        self.query_one("#status", Paragraphs).show(lines)

    def _report_lines(self, status: "DaemonStatus") -> list[Line]:
        app, report = self.engine_app, status.report
        mark = app.look.glyph("●", "*")
        lines: list[Line] = [
            (Span(f"{mark} running", "good"), Span(f"  process {status.pid}, since {time_text(status.since)}"))
        ]
        if status.disk_full:
            lines.append(
                (Span("The disk of the state folder is full: no run begins, and this is from before.", "bad"),)
            )
        if report is None:
            return lines
        read = f"  version {report.version}, configuration read {time_text(report.config_read_at)}"
        lines.append((Span(read, "dim"),))
        if report.config_problem is not None:
            lines += [
                (),
                (span(f"The configuration on the disk is wrong: {report.config_problem.message}", "bad"),),
                (span(report.config_problem.hint, "dim"),),
                (Span("The last good one stays in use.", "dim"),),
            ]
        width = max([_DUTY_WIDTH, *(len(duty.name) for duty in report.duties)])
        return [*lines, (), *(self._duty(duty, width) for duty in report.duties)]

    def _duty(self, duty: "DutyState", width: int) -> Line:
        app = self.engine_app
        now = app.clock()
        if duty.problem is not None:
            mark = Span(f"{app.look.glyph('✖', 'x')} ", "bad")
            return (mark, span(f"{duty.name:<{width}} "), span(duty.problem.message, "bad"))
        if duty.running_since is not None:
            words = f"at work since {age_text(duty.running_since, now)}"
        else:
            words = f"next {until_text(duty.next_due, now)}" if duty.next_due is not None else "nothing to do"
        return (Span(f"{app.look.glyph('●', '*')} ", "good"), span(f"{duty.name:<{width}} {words}"))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Start it, or close."""
        if event.button.id == "close":
            self.dismiss()
            return
        self.query_one("#close").focus()
        event.button.disabled = True
        self.engine_app.ask(
            self.app, "start daemon", lambda engine: engine.start_daemon(), lambda _: self._started(), slow=True
        )
        self.query_one("#status", Paragraphs).show([(Span("Starting", "dim"),)])

    def _started(self) -> None:
        self.engine_app.tell("The daemon runs; it goes on without this program")
        self.engine_app.guard.look()
        if self.is_attached:
            self._look()
