"""What there was to tell: unread first, and what could not be delivered."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dgtui.engine.model import Record
from dgtui.engine.notification_model import Notification, NotificationKind
from dgtui.screens.marks import rank, severity_mark
from dgtui.screens.tab import TabScreen
from dgtui.screens.times import age_text, span_text
from dgtui.screens.widgets.details import Details
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row, measured
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.states import SEVERITY_MARKS, lasting_text

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine
    from dgtui.engine.records import Undelivered

_COLUMNS = (
    Column("New"),
    Column("Severity"),
    Column("Kind", flexible=True),
    Column("Object", flexible=True),
    Column("When"),
    Column("Message", flexible=True),
)
_MOST_ROWS = 1000
_DELIVERIES_SECONDS = 30


class Told(Record, frozen=True):
    """All notifications, and what was not delivered."""

    notifications: tuple[Notification, ...] = ()
    undelivered: "tuple[Undelivered, ...]" = ()


def gather_told(engine: "Engine") -> Told:
    """The newest notifications, the unread ones first."""
    records = engine.records
    return Told(notifications=tuple(records.notifications(limit=_MOST_ROWS)), undelivered=tuple(records.undelivered()))


class NotificationsScreen(TabScreen):
    """Everything that people were told."""

    TAB = "notifications"
    OPENS: ClassVar[dict[str, str]] = {"notifications": "Details"}
    NEEDS_ROW = frozenset({"mark_read", "mark_all"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "mark_read", "Mark read", id="notification.read", tooltip="Mark the selected one as read"),
        Binding("M", "mark_all", "All read", id="notification.all_read", tooltip="Mark all of them as read"),
        Binding("f", "kind", "Kind", id="notification.kind", tooltip="Show only the next kind that there is"),
        Binding("u", "undelivered", "Undelivered", id="notification.undelivered", tooltip="What was not sent, and why"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._told = Told()
        self._kind: NotificationKind | None = None
        self._unread = -1

    def compose_content(self) -> ComposeResult:
        """The table, more on the selected one, and what was not delivered."""
        yield Listing(_COLUMNS, id="notifications", empty="There was nothing to tell yet")
        yield Details(self.engine_app.look, id="details")

    def on_mount(self) -> None:
        """Deliveries come and go without a sign."""
        self.set_interval(_DELIVERIES_SECONDS, self._look_again)

    def _look_again(self) -> None:
        if self.app.screen is self and self.engine_app.is_ready:
            self.gather()

    def gather(self) -> None:
        """Ask for all of them."""
        self.engine_app.ask(self, "notifications", gather_told, self._take, self.show_failure, about="all")

    def show_states(self) -> None:
        """Another number of unread ones: look what came, or what was read elsewhere."""
        unread = self.engine_app.guard.pulse.unread
        if unread != self._unread and self.engine_app.is_ready:
            self._unread = unread
            self.gather()

    def _take(self, told: Told) -> None:
        self._told = told
        self._show()

    # What is shown

    def _show(self) -> None:
        """Word the rows in a thread: a thousand of them would hold up the keys."""
        chosen = [one for one in self._told.notifications if self._kind in (None, one.kind)]
        empty = f"Nothing here is {self._kind}; f shows others" if self._kind else "There was nothing to tell yet"
        self.engine_app.asking.ask(
            self,
            "notification rows",
            lambda: measured([self._row(one) for one in chosen]),
            lambda rows: self._show_rows(rows, empty),
        )

    def _show_rows(self, rows: list[Row], empty: str) -> None:
        self.query_one("#notifications", Listing).show(rows, empty=empty)
        self._show_details()

    def _row(self, one: Notification) -> Row:
        app = self.engine_app
        style = "" if one.read_at else "strong"
        return Row(
            key=one.notification_id,
            cells=(
                (Span("" if one.read_at else "new", "accent"),),
                (severity_mark(one.severity, app.look),),
                (Span(kind_text(one.kind)),),
                (span(one.subject),),
                (Span(age_text(one.created_at, app.clock())),),
                (span(one.message, style),),
            ),
            sort=(None, rank(SEVERITY_MARKS, one.severity), None, None, one.created_at),
        )

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Tell all of the message."""
        self._show_details()

    def _show_details(self) -> None:
        one = self.selected
        first: Line = ()
        if one is not None:
            lasts = f"  {lasting_text(one)}" if lasting_text(one) else ""
            first = (Span(" "), span(one.message), span(lasts, "dim"))
        self.query_one("#details", Details).show([first, self._undelivered_line()])

    def _undelivered_line(self) -> Line:
        """How many wait, since when the oldest does, and why."""
        waiting = self._told.undelivered
        shown: Line = (Span(f"  shown: {kind_text(self._kind)}", "dim"),) if self._kind else ()
        if not waiting:
            return shown
        oldest = max(waiting, key=lambda one: one.age_seconds)
        mark = self.engine_app.look.glyph("▲", "!")
        age = span_text(oldest.age_seconds) or "a moment"
        return (
            Span(f" {mark} {len(waiting)} not delivered", "warning"),
            span(f"; {oldest.channel} {oldest.status} for {age}: {oldest.reason or 'its turn comes'}"),
            *shown,
        )

    @property
    def selected(self) -> Notification | None:
        """What is under the cursor."""
        key = self.query_one("#notifications", Listing).key
        return next((one for one in self._told.notifications if one.notification_id == key), None)

    # Keys

    def on_listing_opened(self) -> None:
        """All of it, and whether it was delivered; who opens it has read it."""
        from dgtui.screens.notification import NotificationScreen

        one = self.selected
        if one is not None:
            self.app.push_screen(NotificationScreen(one))
            self._mark([one])

    def action_mark_read(self) -> None:
        """The selected one is read, and the next one is selected."""
        one = self.selected
        if one is not None:
            self.query_one("#notifications", Listing).cursor += 1
            self._mark([one])

    def action_mark_all(self) -> None:
        """All are read, of the shown kind where only one is shown."""
        self._mark([one for one in self._told.notifications if self._kind in (None, one.kind)], every=not self._kind)

    def _mark(self, read: list[Notification], *, every: bool = False) -> None:
        ids = [one.notification_id for one in read if one.read_at is None]
        if not ids and not every:
            return

        def mark(engine: "Engine") -> int:
            return engine.records.mark_all_read() if every else engine.records.mark_read(ids)

        self.engine_app.ask(self.app, f"mark read {ids[:1]}", mark, lambda _: self._marked())

    def _marked(self) -> None:
        self.engine_app.guard.look()
        self.gather()

    def action_kind(self) -> None:
        """Show only the next kind that there is, after the last one all of them."""
        kinds = sorted({one.kind for one in self._told.notifications})
        following = kinds.index(self._kind) + 1 if self._kind in kinds else 0
        self._kind = kinds[following] if following < len(kinds) else None
        self._show()

    def action_undelivered(self) -> None:
        """What was not sent for sure."""
        from dgtui.screens.undelivered import UndeliveredScreen

        self.app.push_screen(UndeliveredScreen())


def kind_text(kind: str) -> str:
    """`connection lost`."""
    return kind.replace("_", " ")
