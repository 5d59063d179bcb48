"""The overview: what needs attention, and the last thirty days of each job."""

from itertools import count
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult

from dgtui.screens.marks import rank, severity_mark
from dgtui.screens.tab import TabScreen
from dgtui.screens.widgets.details import Details
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.sparkline import sparkline
from dgtui.wording.states import DAY_MARKS, SEVERITY_MARKS
from dgtui.wording.words import known_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgtui.engine.facade import Engine
    from dgtui.engine.figures.model import Attention, Day, JobCalendar, Overview

_DAYS = 30
_AGAIN_SECONDS = 60
_FIRST_STEP = "Nothing is configured yet: 1, then n makes a datasource"
_ATTENTION = (Column("Severity"), Column("Needs attention", flexible=True))
_SHOWN = ("good", "partial", "failed", "missed", "cancelled")
_LAST = 3
"""How many bad days of the selected job are told in words."""


def gather_overview(engine: "Engine") -> "Overview":
    """Everything that is shown."""
    return engine.figures.overview(days=_DAYS, daemon_running=engine.daemon_status().running)


class OverviewScreen(TabScreen):
    """How everything goes, and what to look at first."""

    TAB = "overview"
    OPENS: ClassVar[dict[str, str]] = {"attention": "Go there", "calendar": "Job"}
    DEFAULT_CSS = """
    OverviewScreen #attention { height: 1fr; min-height: 4; }
    OverviewScreen #calendar { height: auto; min-height: 3; max-height: 60%; margin-top: 1; }
    OverviewScreen.-narrow Details { height: 3; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._overview: Overview | None = None
        self._matters: dict[str, Attention] = {}
        """What needs attention, by the keys of the rows."""
        self._standing: tuple[object, ...] = ()
        """How everything stood when it was asked for."""

    def compose_content(self) -> ComposeResult:
        """What needs attention, the calendar, what its marks mean, and more on the selected job."""
        yield Listing(_ATTENTION, id="attention", empty="Nothing needs attention")
        yield Listing((Column("Job", flexible=True),), id="calendar", empty="No job yet: 3, then n makes one")
        yield Details(self.engine_app.look, id="details")

    def on_mount(self) -> None:
        """A run that is missed, or a day that ends, makes no sign."""
        self.set_interval(_AGAIN_SECONDS, self._look_again)

    def _look_again(self) -> None:
        if self.app.screen is self:
            self.action_reload()

    def show_states(self) -> None:
        """Where something stands differently, something else needs attention."""
        pulse = self.engine_app.guard.pulse
        statuses = frozenset((state.subject, state.status) for state in pulse.states.values())
        standing = (pulse.daemon, pulse.config_problem, statuses)
        if standing != self._standing:
            self._standing = standing
            self.action_reload()

    def on_screen_suspend(self) -> None:
        """Time goes on: what is seen next is asked for anew."""
        self.mark_stale()

    def gather(self) -> None:
        """Ask for all of it."""
        self.engine_app.ask(self, "overview", gather_overview, self._take, self.show_failure, about="all")

    def _take(self, overview: "Overview") -> None:
        self._overview = overview
        self._matters = _by_key(overview.attention)
        rows = [self._attention_row(key, one) for key, one in self._matters.items()]
        nothing = "Nothing needs attention" if self.engine_app.config.datasources else _FIRST_STEP
        self.query_one("#attention", Listing).show(rows, empty=nothing)
        columns = (
            Column("Job", flexible=True, enough=12),
            Column(f"{_DAYS} days, up to {overview.today:%d %b}"),
            Column("Size, day by day", wide_only=True),
            Column("Newest", right=True, wide_only=True),
        )
        calendars = [self._calendar_row(one) for one in overview.calendars]
        self.query_one("#calendar", Listing).show(calendars, columns=columns)
        self._show_details()

    def _attention_row(self, key: str, one: "Attention") -> Row:
        return Row(
            key=key,
            cells=((severity_mark(one.severity, self.engine_app.look),), (span(one.text),)),
            sort=(rank(SEVERITY_MARKS, one.severity),),
        )

    def _calendar_row(self, one: "JobCalendar") -> Row:
        look = self.engine_app.look
        marks = [DAY_MARKS[day.state] for day in one.days]
        days: Line = tuple(Span(mark.shown(look), mark.style) for mark in marks)
        sizes = [day.size_bytes for day in one.days]
        newest = next((size for size in reversed(sizes) if size is not None), None)
        return Row(
            key=one.job,
            cells=(
                (span(one.job, "strong"),),
                days,
                (Span(sparkline(sizes, look), "accent"),),
                (Span(known_size(newest)),),
            ),
            sort=(None, sum(day.state == "good" for day in one.days), newest, newest),
        )

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Tell more on what is selected."""
        self._show_details()

    def on_descendant_focus(self) -> None:
        """The other table: what is told is of it."""
        self._show_details()

    def _show_details(self) -> None:
        look = self.engine_app.look
        legend: list[Span] = [Span(" ")]
        for state in _SHOWN:
            mark = DAY_MARKS[state]
            legend += [Span(mark.shown(look), mark.style), Span(f" {state}   ", "dim")]
        self.query_one("#details", Details).show([tuple(legend), self._more()])

    def _more(self) -> Line:
        """What to do about the selected matter, or what was on the last bad days of the selected job."""
        if self._overview is None:
            return ()
        if self.listing.id == "attention":
            one = self._selected_attention()
            arrow = self.engine_app.look.glyph("→", "->")
            return (Span(" "), span(f"{arrow} {one.hint}")) if one is not None and one.hint else ()
        job = self.query_one("#calendar", Listing).key
        calendar = next((one for one in self._overview.calendars if one.job == job), None)
        if calendar is None:
            return ()
        bad = [day for day in calendar.days if day.state in ("partial", "failed", "missed")]
        dot = self.engine_app.look.glyph(" · ", " - ")
        text = dot.join(_day_text(day) for day in reversed(bad[-_LAST:])) or "no bad day in all of them"
        return (Span(" "), span(calendar.job, "strong"), Span("  "), span(text))

    def _selected_attention(self) -> "Attention | None":
        key = self.query_one("#attention", Listing).key
        return self._matters.get(key or "")

    def on_listing_opened(self, message: Listing.Opened) -> None:
        """Go where more is to be seen."""
        if message.listing.id == "calendar":
            self.engine_app.open_place("jobs", message.key)
            return
        one = self._matters.get(message.key)
        if one is not None:
            self.engine_app.open_place(one.place, one.name)


def _by_key(matters: "Sequence[Attention]") -> "dict[str, Attention]":
    """Each under what it is about, which is the same when it is looked at again: its text may tell of a time."""
    found: dict[str, Attention] = {}
    for one in matters:
        keys = (f"{one.place} {one.name} {number}" for number in count())
        found[next(key for key in keys if key not in found)] = one
    return found


def _day_text(day: "Day") -> str:
    """`12 Feb: 1 failed, 23 good`."""
    counts = ((day.failed, "failed"), (day.missed, "missed"), (day.partial, "partial"), (day.good, "good"))
    return f"{day.day:%d %b}: " + ", ".join(f"{count} {word}" for count, word in counts if count)
