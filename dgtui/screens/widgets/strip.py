"""The running runs as lines at the bottom of every place."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from dgtui.screens.widgets.styled import Lines, span
from dgtui.wording.panel import Line, Span, phase_text, progress_words, silence_words
from dgtui.wording.states import EXECUTION_MARKS, MOVING_PHASES
from dgtui.wording.terminal import Look

if TYPE_CHECKING:
    from dgtui.engine.watching import WatchedRun

_MOST_LINES = 4


class RunStrip(Lines, can_focus=True):
    """One line for each run; `Enter` opens one."""

    DEFAULT_CSS = """
    RunStrip { background: $panel; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor(-1)", "Up", show=False, id="strip.up"),
        Binding("down", "cursor(1)", "Down", show=False, id="strip.down"),
        Binding("enter", "open", "Watch", id="strip.open"),
    ]

    class Opened(Message):
        """A run was chosen."""

        def __init__(self, run_id: str) -> None:
            super().__init__()
            self.run_id = run_id

    def __init__(self, *, id: str) -> None:  # noqa: A002  # as in Textual
        super().__init__(id=id)
        self._runs: Sequence[WatchedRun] = ()
        self._shown: Sequence[WatchedRun] = ()
        self._first = 0
        """The number of the run on the first line."""
        self._cursor = 0

    def show_runs(self, runs: "Sequence[WatchedRun]", look: Look) -> None:
        """Bring the lines up to date; without runs there is no strip."""
        pointed = self._runs[self._cursor].info.run_id if self._runs else ""
        self._runs = runs
        self._look = look
        ids = [run.info.run_id for run in runs]
        self._cursor = ids.index(pointed) if pointed in ids else max(0, min(self._cursor, len(runs) - 1))
        if self.display != bool(runs):
            self.display = bool(runs)
            self.can_focus = bool(runs)
        self._draw()

    def is_outdated(self, runs: "Sequence[WatchedRun]") -> bool:
        """Whether a run is shown that is not among these any more, or is in another state."""
        return not _states(self._runs) <= _states(runs)

    def _draw(self) -> None:
        """Some of the runs, the one that is pointed to among them, and how many others there are."""
        runs, room = self._runs, _MOST_LINES
        if len(runs) > _MOST_LINES:
            room = _MOST_LINES - 1
        self._first = max(min(self._first, self._cursor, len(runs) - room), self._cursor - room + 1, 0)
        shown = self._shown = runs[self._first : self._first + room]
        lines = [self._line(number, run) for number, run in enumerate(shown, start=self._first)]
        if len(shown) < len(runs):
            lines.append((Span(f"   and {len(runs) - len(shown)} more", "dim"),))
        self.show(lines)

    def _line(self, number: int, run: "WatchedRun") -> Line:
        snapshot = run.snapshot
        mark = EXECUTION_MARKS[snapshot.status]
        words = [phase_text(snapshot)]
        if snapshot.progress is not None and snapshot.phase in MOVING_PHASES:
            words = progress_words(snapshot, snapshot.progress)
        words += [f"{one.name}: {silence_words(one)}" for one in snapshot.storages if one.silent_seconds]
        pointer = self._look.glyph("▸", ">") if self.has_focus and number == self._cursor else " "
        return (
            Span(f"{pointer}"),
            Span(f"{mark.shown(self._look)} ", mark.style),
            span(f"{run.info.operation} {run.info.title}  ", "strong"),
            span("  ".join(words)),
        )

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show the pointer, or hide it."""
        super().watch_has_focus(has_focus)
        self._draw()

    def action_cursor(self, step: int) -> None:
        """Point to another run."""
        self._cursor = max(0, min(self._cursor + step, len(self._runs) - 1))
        self._draw()

    def action_open(self) -> None:
        """Choose the run that is pointed to."""
        if self._runs:
            self.post_message(self.Opened(self._runs[self._cursor].info.run_id))

    def on_click(self, event: events.Click) -> None:
        """Choose the run under the mouse."""
        if event.y < len(self._shown):
            self._cursor = self._first + event.y
            self.action_open()


def _states(runs: "Sequence[WatchedRun]") -> set[tuple[str, str]]:
    return {(run.info.run_id, run.snapshot.status) for run in runs}
