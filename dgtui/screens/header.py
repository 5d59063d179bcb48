"""The two lines at the top of every place: how everything stands, and the tabs."""

import socket
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from dgtui.config import Config
from dgtui.engine.health_model import Watched
from dgtui.screens.guard import Pulse
from dgtui.screens.times import until_text
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.states import HEALTH_MARKS
from dgtui.wording.terminal import Look
from dgtui.wording.words import cells, cut


def header_line(pulse: Pulse, config: Config, look: Look, now: datetime, width: int) -> Line:
    """Name of the program and of the machine, how many datasources are well, and at the right what comes next."""
    left: list[Span] = [Span(" "), Span("DataGuardian", "strong"), span(f"   {socket.gethostname()}", "dim")]
    left += _counts(pulse, config, look)
    room = width - sum(cells(piece.text) for piece in left) - 3
    right = _coming(pulse, config, look, now, room)
    text = cut(right.text, max(room, 0), mark=look.glyph("…", "..."))
    return (*left, Span(" " * (room - cells(text) + 2)), Span(text, right.style), Span(" "))


def _counts(pulse: Pulse, config: Config, look: Look) -> list[Span]:
    enabled = [Watched(kind="datasource", name=name) for name, one in config.datasources.items() if one.enabled]
    counts = Counter(pulse.state(subject).status for subject in enabled)
    marks: list[Span] = [Span(" ")]
    for status, mark in HEALTH_MARKS.items():
        if counts[status] and pulse.states:  # type: ignore[index]  # the marks' names are the states
            marks += [Span("  "), Span(f"{mark.shown(look)} {counts[status]}", mark.style)]  # type: ignore[index]
    return marks


def _coming(pulse: Pulse, config: Config, look: Look, now: datetime, room: int) -> Span:
    """What matters most of: a wrong configuration, schedules that nobody follows, the next run."""
    if pulse.config_problem is not None:
        return Span(f"{look.glyph('▲', '!')} configuration on the disk is wrong", "bad")
    if pulse.daemon is False and pulse.next_run is not None:
        return Span(f"{look.glyph('▲', '!')} no daemon, schedules wait: D", "warning")
    if pulse.next_run is not None:
        until = until_text(pulse.next_run.starts_at, now)
        # When it is matters more than the end of a long name.
        name = cut(pulse.next_run.job, max(room - cells(f"next:  {until}"), 1), mark=look.glyph("…", "..."))
        return span(f"next: {name} {until}", "dim")
    if pulse.daemon is None or not config.jobs:
        return Span("")
    return Span("no daemon" if pulse.daemon is False else "nothing scheduled", "dim")


def tab_line(titles: Mapping[str, str], current: str, width: int) -> Line:
    """The tabs with their numbers; without room for all they move together, and the longest give way."""
    shown = {name: f" {number} {title} " for number, (name, title) in enumerate(titles.items())}
    if sum(map(cells, shown.values())) > width:
        shown = {name: text if name == current else text.rstrip() for name, text in shown.items()}
    while sum(map(cells, shown.values())) > width:
        others = {name: _shorter(text) for name, text in shown.items() if name != current}
        able = [name for name in others if others[name] != shown[name]]
        if not able:
            break
        longest = max(able, key=lambda name: len(shown[name].partition(" (")[0]))
        shown[longest] = others[longest]
    return tuple(Span(text, "tab" if name == current else "dim") for name, text in shown.items())


def _shorter(text: str) -> str:
    """One character less of the name, which ends in a full stop then; number, first letter and a count stay."""
    number, space, titled = text.strip().partition(" ")
    name, bracket, count = titled.partition(" (")
    bare = name.rstrip(".")
    return f" {number}{space}{bare[:-1]}.{bracket}{count}" if len(bare) > 1 else text
