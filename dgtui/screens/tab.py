"""The frame of the places that have a tab: header, tabs, the content, the strip of running runs, the keys."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Spacing
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input
from textual.widgets._toast import ToastRack

from dgtui.screens.engine_app import EngineApp
from dgtui.screens.header import header_line, tab_line
from dgtui.screens.key_order import OPEN, fitting, in_order
from dgtui.screens.widgets.key_bar import KeyBar
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.strip import RunStrip
from dgtui.screens.widgets.styled import Lines, span
from dgtui.wording.panel import Line, Span
from dgtui.wording.words import cells

if TYPE_CHECKING:
    from dgtui.engine.errors import DataGuardianError
    from dgtui.engine.health_model import Watched

TABS: dict[str, str] = {
    "overview": "Overview",
    "datasources": "Datasources",
    "backups": "Backups",
    "jobs": "Jobs",
    "storages": "Storages",
    "notifications": "Notifications",
    "history": "History",
    "audit": "Audit",
}
"""The modes of the application, in the order of their numbers, which begin with 0."""


class TabBar(Lines):
    """The tabs with their numbers; a click changes the tab."""

    class Chosen(Message):
        """Somebody clicked on a tab."""

        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    def on_click(self, event: events.Click) -> None:
        """Find the tab under the mouse."""
        left = 0
        for name, piece in zip([*TABS, None], self.lines[0], strict=False):
            left += cells(piece.text)
            if event.x < left and name is not None:
                self.post_message(self.Chosen(name))
                return


class TabScreen(Screen[None]):
    """One place of the program. A subclass gives the content and shows what the engine answers."""

    TAB: ClassVar[str]
    OPENS: ClassVar[dict[str, str]] = {}
    """What `Enter` opens, in a word or two, by the id of the table."""
    NEEDS_ROW: ClassVar[frozenset[str]] = frozenset()
    """The actions that work on the selected row."""
    AUTO_FOCUS: ClassVar[str | None] = "Listing"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash", "filter", "Filter", key_display="/", id="list.filter", tooltip="Show only what contains words"
        ),
        Binding("escape", "back", "Back", show=False, id="screen.back"),
        Binding("ctrl+r,f5", "reload", "Look again", show=False, id="screen.reload"),
        Binding("tab", "app.focus_next", "Next table", show=False, id="focus.next"),
        Binding("shift+tab", "app.focus_previous", "Previous table", show=False, id="focus.previous"),
    ]
    DEFAULT_CSS = """
    TabScreen { layers: base; }
    #filter { display: none; height: 1; border: none; padding: 0 1; }
    #filter.-open { display: block; }
    #filtered { display: none; }
    #content { height: 1fr; }
    TabScreen.-narrow Details { height: 4; }
    """

    def __init__(self) -> None:
        super().__init__()
        # Textual would read all of its style sheets anew, twice, for a screen that has not said that it knows them.
        self._css_update_count = self.app._css_update_count
        self._stale = True
        self._filled: tuple[bool, ...] = ()
        self._width = 0
        self._shown_checks: frozenset[Watched] = frozenset()
        """What is shown as being asked just now."""

    @property
    def engine_app(self) -> EngineApp:
        """The application, by its full type."""
        return cast("EngineApp", self.app)

    def compose(self) -> ComposeResult:
        """Header, tabs, content, strip, keys."""
        yield Lines([()], id="header")
        yield TabBar([self._tabs()], id="tabs")
        with Vertical(id="content"):
            yield from self.compose_content()
        yield Lines([()], id="filtered")
        yield Input(placeholder="Words that a row has to contain", id="filter", compact=True)
        yield RunStrip(id="strip")
        yield KeyBar()

    def compose_content(self) -> ComposeResult:
        """What this place shows."""
        raise NotImplementedError

    def gather(self) -> None:
        """Ask the engine for what this place shows."""
        raise NotImplementedError

    # Coming, going, and being up to date

    def on_mount(self) -> None:
        """The blinking of a cursor costs 2 kB a second."""
        self.query_one("#filter", Input).cursor_blink = False
        self.screen_layout_refresh_signal.subscribe(self, self._place_toasts)
        self.set_class(not self.engine_app.look.unicode, "-ascii")

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Show what changed meanwhile."""
        # Its styles are those of when it was left; another theme reaches it by another way.
        event.refresh_styles = False
        if self.app.screen is not self:
            return  # it is made before anybody opens it
        self.show_pulse()
        self.show_runs()
        self.refresh_if_stale()

    def mark_stale(self) -> None:
        """What is shown is not the truth any more."""
        self._stale = True

    def refresh_if_stale(self) -> None:
        """Ask again where something changed."""
        if self._stale and self.engine_app.is_ready:
            self._stale = False
            self.gather()

    def action_reload(self) -> None:
        """Ask again."""
        self._stale = True
        self.refresh_if_stale()

    # The frame

    def show_header(self) -> None:
        """Name of the program and of the machine, how many datasources are well, and what comes next."""
        app, pulse = self.engine_app, self.engine_app.guard.pulse
        line = header_line(pulse, app.config, app.look, app.clock(), self.size.width or 80)
        self.query_one("#header", Lines).show([line])
        self.query_one("#tabs", Lines).show([self._tabs()])

    def show_pulse(self) -> None:
        """Something stands differently; under a dialog, which is sent anew each time, only where a check is over."""
        checks = self.engine_app.guard.checks
        if self.is_mounted and (self.app.screen is self or not self._shown_checks <= checks):
            self._shown_checks = checks
            self.show_header()
            self.show_states()

    def show_states(self) -> None:
        """Show how what is listed here stands now, where it is listed with its state."""

    def on_resize(self) -> None:
        """There may be room for more words now, or for fewer."""
        if self.is_mounted and self.query("#header"):
            self.show_header()
            if self._width != self.size.width:
                self._width = self.size.width
                self.refresh_bindings()

    def _tabs(self) -> Line:
        unread = self.engine_app.guard.pulse.unread
        titles = dict(TABS)
        if unread:
            titles["notifications"] += f" ({unread})"
        return tab_line(titles, self.TAB, self.size.width or 80)

    def on_tab_bar_chosen(self, message: TabBar.Chosen) -> None:
        """Change the tab."""
        self.app.switch_mode(message.tab)

    def show_runs(self) -> None:
        """Bring the strip up to date; under a dialog, which is sent anew each time, only where it is not true."""
        if not self.is_mounted:
            return
        for strip in self.query(RunStrip):  # none any more while the program closes
            if self.app.screen is self or strip.is_outdated(self.engine_app.runs):
                if self.focused is strip and not self.engine_app.runs:
                    self.query(self.AUTO_FOCUS or "Listing").first().focus()
                strip.show_runs(self.engine_app.runs, self.engine_app.look)

    def _place_toasts(self, _screen: Screen[Any]) -> None:
        """What is told stands above what is said of the selected row, the runs and the keys."""
        tops = [widget.region.y for widget in self.query("#content Details, RunStrip, KeyBar") if widget.region]
        margin = Spacing(0, 0, self.size.height - min(tops) if tops else 1, 0)
        for rack in self.query(ToastRack):
            if rack.styles.margin != margin:
                rack.styles.margin = margin

    # The keys

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """Those of the place first, with the name of what `Enter` opens; the footer shows what it has room for."""
        found = super().active_bindings
        opens = self.OPENS.get(self.focused.id or "", "") if self.focused is not None else ""
        for key, active in found.items():
            if active.binding.id == OPEN and opens:
                told = f"Open the selected one: {opens}"
                named = replace(active.binding, description=opens, tooltip=told, show=True)
                found[key] = active._replace(binding=named)
        return fitting(in_order(self, found), self.size.width or 80, self.app.get_key_display)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  # Textual's
        """A key that works on a row is not there without one."""
        return action not in self.NEEDS_ROW or not self.is_mounted or self.has_row(action)

    def has_row(self, action: str) -> bool:  # noqa: ARG002  # for those who have several tables
        """Whether there is a row for an action to work on."""
        return self.listing.key is not None

    @on(Listing.Moved)
    def _show_keys_of_rows(self) -> None:
        """Keys come with the first row and go with the last one."""
        filled = tuple(listing.key is not None for listing in self.query(Listing))
        if filled != self._filled:
            self._filled = filled
            self.refresh_bindings()

    # The filter

    @property
    def listing(self) -> Listing:
        """The table that the filter works on: the focused one, else the first."""
        return self.focused if isinstance(self.focused, Listing) else self.query(Listing).first()

    def action_filter(self) -> None:
        """Open the filter."""
        field = self.query_one("#filter", Input)
        self._filtered = self.listing
        field.add_class("-open")
        field.value = self._filtered.filter
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as it is typed."""
        if event.input.id == "filter" and event.input.has_class("-open"):
            self._filtered.filter_by(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the table, filtered."""
        if event.input.id == "filter":
            self._close_filter()

    def on_listing_filtered(self) -> None:
        """Say that rows are left out, and how they come back."""
        words = [listing.filter_words for listing in self.query(Listing) if listing.filter_words]
        line = self.query_one("#filtered", Lines)
        line.show([(span(f" {'   '.join(words)}   ", "accent"), Span("Esc shows all", "dim"))])
        line.display = bool(words)

    def action_back(self) -> None:
        """Leave the filter, or undo it."""
        filtered = [listing for listing in (self.listing, *self.query(Listing)) if listing.filter]
        if self.query_one("#filter", Input).has_class("-open"):
            self._filtered.filter_by("")
            self._close_filter()
        elif filtered:
            filtered[0].filter_by("")
        else:
            self.leave()

    def leave(self) -> None:
        """What `Esc` does where there is nothing to undo."""

    def _close_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.remove_class("-open")
        self._filtered.focus()

    def point_at(self, key: str) -> None:
        """Put the cursor on the row of a key, as soon as there is one."""
        self.query(Listing).first().want(key)

    def show_failure(self, error: "DataGuardianError") -> None:
        """The question for this place's content failed: say so where the content would be."""
        for listing in self.query(Listing):
            listing.show([], empty=error.message)
        self.engine_app.show_error(error)
