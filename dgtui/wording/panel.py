"""The running panel (design.md, "The screens"): a snapshot of a run as the lines of a box."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from dgtui.engine.messages import LogMessage, ProgressMessage, StorageMessage
from dgtui.engine.model import RESTORABLE
from dgtui.engine.run_follower import RunSnapshot
from dgtui.wording.states import EXECUTION_MARKS, MOVING_PHASES, PHASE_WORDS, SILENT_MARK, STORAGE_MARKS
from dgtui.wording.terminal import Look
from dgtui.wording.words import amount_text, cells, clock_text, cut, done_of_total, left_text, one_line, size_text

LOG_LINES = 5
_WIDEST = 120
_SMALLEST_BAR = 6
_WITH_CLOCK = 48
"""Columns from which there is room for the elapsed time beside the state."""


class Span(NamedTuple):
    """A piece of a line in one style: `good`, `warning`, `bad`, `dim` or none."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


@dataclass(frozen=True)
class Panel:
    """What stays the same while a run is shown."""

    title: str
    look: Look
    keys: str = ""
    """What can be done meanwhile, shown at the foot."""
    ended_keys: str = ""
    """What can be done once it has ended."""

    def lines(self, snapshot: RunSnapshot, *, width: int, moment: datetime, note: str = "") -> list[Line]:
        """The box, always the same number of lines for the same storages, none wider than `width`."""
        width = min(width, _WIDEST)
        inner = width - 4
        elapsed = _elapsed(snapshot, moment)
        rows: list[Line] = [
            (Span(cut(self._shown(_headline(snapshot)), inner, mark=self._dots)),),
            self._progress(snapshot, inner, elapsed),
            *self._log(snapshot.log, inner),
            *self._storages(_left_of(snapshot), inner),
        ]
        return [
            self._top(snapshot, width, elapsed),
            *(self._row(row, inner) for row in rows),
            self._foot(self.ended_keys if snapshot.ended else note or self.keys, width),
        ]

    @property
    def _dots(self) -> str:
        return self.look.glyph("…", "~")

    def _shown(self, text: str) -> str:
        """A text in the characters that the terminal has."""
        text = one_line(text)
        if self.look.unicode:
            return text
        return text.replace("·", "-").replace("…", "...").encode("ascii", "backslashreplace").decode()

    def _row(self, row: Line, inner: int) -> Line:
        side = Span(self.look.glyph("│", "|"), "dim")
        rest = inner - sum(cells(span.text) for span in row)
        return (side, Span(" "), *row, Span(" " * rest + " "), side)

    def _top(self, snapshot: RunSnapshot, width: int, elapsed: float) -> Line:
        line, mark = self.look.glyph("─", "-"), EXECUTION_MARKS[snapshot.status]
        left = Span(self.look.glyph("╭", "+") + " ", "dim")
        state = Span(f" {mark.shown(self.look)} {snapshot.status}", mark.style)
        clock = Span(f"   {clock_text(elapsed)} " if width >= _WITH_CLOCK else " ")
        right = Span(line * 2 + self.look.glyph("╮", "+"), "dim")
        room = width - sum(cells(span.text) for span in (left, state, clock, right))
        title = Span(cut(self._shown(self.title), max(room - 3, 1), mark=self._dots) + " ")
        return (left, title, Span(line * (room - cells(title.text)), "dim"), state, clock, right)

    def _foot(self, text: str, width: int) -> Line:
        line = self.look.glyph("─", "-")
        shown = f" {cut(self._shown(text), width - 6, mark=self._dots)} " if text else ""
        dashes = width - 3 - cells(shown)
        return (
            Span(self.look.glyph("╰", "+") + line, "dim"),
            Span(shown),
            Span(line * dashes + self.look.glyph("╯", "+"), "dim"),
        )

    def _progress(self, snapshot: RunSnapshot, inner: int, elapsed: float) -> Line:
        progress = snapshot.progress
        if progress is None:
            return (Span(""),)
        words = "  ".join(progress_words(snapshot, progress))
        width = inner - cells(words) - 2
        if width < _SMALLEST_BAR:
            return (Span(cut(words, inner, mark=self._dots)),)
        fraction = snapshot.fraction
        bar = self._moving_bar(width, elapsed) if fraction is None else self._bar(width, fraction)
        return (*bar, Span("  " + words))

    def _bar(self, width: int, fraction: float) -> Line:
        halves = int(fraction * width * 2)
        full, half = divmod(halves, 2)
        done = self.look.glyph("━", "#") * full + self.look.glyph("╸", "") * half
        rest = self.look.glyph("━", "-") * (width - cells(done))
        # Without colour the part that is missing would look like the part that is done.
        return (Span(done, "good"), Span(rest if self.look.colour or not self.look.unicode else " " * len(rest), "dim"))

    def _moving_bar(self, width: int, elapsed: float) -> Line:
        """Nothing is known of the whole: a block that wanders, and claims nothing."""
        block = min(3, width)
        start = int(elapsed * 2) % (width - block + 1)
        empty = self.look.glyph("╌", ".")
        return (
            Span(empty * start, "dim"),
            Span(self.look.glyph("━", "#") * block, "good"),
            Span(empty * (width - block - start), "dim"),
        )

    def _log(self, log: Sequence[LogMessage], inner: int) -> Iterable[Line]:
        styles = {"warning": "warning", "error": "bad"}
        shown: list[Line] = [
            (
                Span(
                    cut(f"{self.look.glyph('•', '*')} {self._shown(log_text(entry))}", inner, mark=self._dots),
                    styles.get(entry.level, ""),
                ),
            )
            for entry in log[-LOG_LINES:]
        ]
        return [*shown, *[(Span(""),)] * (LOG_LINES - len(shown))]

    def _storages(self, storages: Sequence[StorageMessage], inner: int) -> Iterable[Line]:
        """One cell for each storage, on as many lines as they need."""
        rows: list[Line] = []
        row: Line = ()
        for storage in storages:
            cell = self._cell(storage, inner)
            gap = Span("    " if row else "")
            if row and sum(cells(span.text) for span in (*row, gap, *cell)) > inner:
                rows.append(row)
                row, gap = (), Span("")
            row = (*row, gap, *cell)
        return [*rows, row]

    def _cell(self, storage: StorageMessage, inner: int) -> Line:
        mark = SILENT_MARK if storage.silent_seconds else STORAGE_MARKS[storage.state]
        words = self._shown(storage_words(storage))
        glyph = f" {mark.shown(self.look)} "
        words = cut(words, max(inner - cells(glyph) - 8, 8), mark=self._dots)
        name = cut(self._shown(storage.name), max(inner - cells(glyph) - cells(words), 1), mark=self._dots)
        return (Span(name), Span(glyph, mark.style), Span(words))


def _left_of(snapshot: RunSnapshot) -> Sequence[StorageMessage]:
    """The storages, without those whose part of a backup that came to nothing was still being written."""
    if not snapshot.ended or snapshot.status in RESTORABLE:
        return snapshot.storages
    return [storage for storage in snapshot.storages if storage.state not in ("writing", "checking")]


def _elapsed(snapshot: RunSnapshot, moment: datetime) -> float:
    if snapshot.started_at is None:
        return 0.0
    return ((snapshot.ended_at or moment) - snapshot.started_at).total_seconds()


def _headline(snapshot: RunSnapshot) -> str:
    """What is being worked on now."""
    if snapshot.ended:
        return one_line(snapshot.problem.message) if snapshot.problem is not None else snapshot.status
    current = object_words(snapshot.progress) if snapshot.phase in MOVING_PHASES else ""
    return current or phase_text(snapshot)


def phase_text(snapshot: RunSnapshot) -> str:
    """What a run does now; between its start and its first phase, a job's own commands may be at work."""
    if snapshot.phase == "queued" and snapshot.status == "running":
        return "getting ready"
    return PHASE_WORDS[snapshot.phase]


def object_words(progress: ProgressMessage | None) -> str:
    """`public.orders (12 of 48)`; empty where there is none."""
    if progress is None or not progress.current_object:
        return ""
    number = f" ({progress.object_number} of {progress.object_count})" if progress.object_count else ""
    return one_line(progress.current_object) + number


def progress_words(snapshot: RunSnapshot, progress: ProgressMessage) -> list[str]:
    """Percentage, amount, rate and time left, as far as each is known and still means something."""
    words = []
    fraction = snapshot.fraction
    if fraction is not None:
        words.append(f"{int(fraction * 100)} %")
    if progress.total is None or snapshot.ended:
        words.append(amount_text(progress.done, progress.unit))
    else:
        estimated = progress.total_kind == "estimated"
        words.append(done_of_total(progress.done, progress.total, progress.unit, estimated=estimated))
    if not snapshot.ended and snapshot.phase in MOVING_PHASES:
        if progress.rate is not None:
            words.append(f"{amount_text(progress.rate, progress.unit)}/s")
        if progress.seconds_left is not None:
            words.append(left_text(progress.seconds_left))
    return words


def storage_words(storage: StorageMessage) -> str:
    """How a storage stands, in words."""
    if storage.state in ("failed", "left out"):
        reason = f": {one_line(storage.problem.message)}" if storage.problem is not None else ""
        return storage.state + reason
    size = size_text(storage.bytes)
    words = size if storage.state == "writing" else f"{size} {storage.state}"
    return f"{words}, {silence_words(storage)}" if storage.silent_seconds else words


def silence_words(storage: StorageMessage) -> str:
    """How long a storage has not answered."""
    return f"no answer for {left_text(storage.silent_seconds)}"


def log_text(entry: LogMessage) -> str:
    """A line of the log with the one who said it, unless the line itself says so."""
    text = one_line(entry.text)
    return text if entry.origin == "dgtui" or text.startswith(f"{entry.origin}:") else f"{entry.origin}: {text}"
