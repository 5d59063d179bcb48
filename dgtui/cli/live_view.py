"""A run as a panel that is drawn in place on a terminal."""

import time
from collections.abc import Callable, Sequence
from typing import ClassVar, TextIO

from dgtui.cli.output import write
from dgtui.engine.messages import Message, now
from dgtui.engine.run_follower import RunSnapshot
from dgtui.wording.panel import Line, Panel
from dgtui.wording.terminal import size_of
from dgtui.wording.words import cells


class LiveView:
    """The panel, drawn in place at most twice a second; lines that stayed the same are not sent again."""

    _SECONDS = 0.5
    _COLOURS: ClassVar = {"good": "32", "warning": "33", "bad": "31", "dim": "2"}

    def __init__(self, panel: Panel, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that only go forward."""
        self._panel = panel
        self._stream = stream
        self._clock = clock
        self._drawn: list[Line] = []
        self._drawn_width = 0
        self._next = clock()
        self._note = ""
        self._snapshot: RunSnapshot | None = None
        self._closed = False

    def update(self, _messages: Sequence[Message], snapshot: RunSnapshot) -> None:
        """Draw when it is time, and at the end."""
        self._snapshot = snapshot
        if snapshot.ended or self._clock() >= self._next:
            self._draw(snapshot)

    def note(self, text: str) -> None:
        """Show it at the foot of the panel."""
        self._note = text
        if self._snapshot is not None:
            self._draw(self._snapshot)

    def close(self) -> None:
        """Show the cursor again, below the panel."""
        if self._drawn and not self._closed:
            write(self._stream, "\x1b[?25h")
        self._closed = True

    def _draw(self, snapshot: RunSnapshot) -> None:
        self._next = self._clock() + self._SECONDS
        width, height = size_of(self._stream)
        # The last column stays free: some terminals wrap as soon as it is filled.
        lines = self._panel.lines(snapshot, width=width - 1, moment=now(), note=self._note)[: max(height - 1, 1)]
        same_place = width == self._drawn_width and len(lines) == len(self._drawn)
        parts = ["\x1b[?25l", self._way_up(width), "" if same_place else "\x1b[J"]
        for number, line in enumerate(lines):
            unchanged = same_place and line == self._drawn[number]
            parts.append("\x1b[B" if unchanged else f"{self._paint(line)}\x1b[K\n")
        self._drawn, self._drawn_width = lines, width
        write(self._stream, "".join(parts))

    def _way_up(self, width: int) -> str:
        """Back to the panel's first line; a terminal that became narrower has wrapped its lines."""
        rows = sum(max(-(-sum(cells(span.text) for span in line) // width), 1) for line in self._drawn)
        return f"\r\x1b[{rows}A" if rows else "\r"

    def _paint(self, line: Line) -> str:
        if not self._panel.look.colour:
            return "".join(span.text for span in line)
        return "".join(
            f"\x1b[{self._COLOURS[span.style]}m{span.text}\x1b[0m" if span.style and span.text else span.text
            for span in line
        )
