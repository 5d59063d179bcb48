"""Messages that were not sent for sure: since when, and why."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dgtui.screens.dialog import Dialog
from dgtui.screens.times import span_text
from dgtui.screens.widgets.details import Details
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Span
from dgtui.wording.words import time_text

if TYPE_CHECKING:
    from dgtui.engine.records import Undelivered

_COLUMNS = (
    Column("Channel", flexible=True),
    Column("State"),
    Column("Age", right=True),
    Column("Tries", right=True),
    Column("Message", flexible=True),
    Column("Why", flexible=True),
)


class UndeliveredScreen(Dialog[None]):
    """A table of them; one can be sent again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "again", "Send again", id="undelivered.again", tooltip="Have the selected one sent again soon"),
    ]
    DEFAULT_CSS = """
    UndeliveredScreen > #box { height: 100%; max-width: 140; }
    UndeliveredScreen Listing { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__("Not delivered")
        self._found: list[Undelivered] = []

    def compose_dialog(self) -> ComposeResult:
        """The table, and below it all about the selected one."""
        yield Listing(_COLUMNS, id="undelivered", empty="Everything was sent")
        yield Details(self.engine_app.look, id="details")

    def on_mount(self) -> None:
        """Ask what waits."""
        self._gather()

    def _gather(self) -> None:
        self.engine_app.ask(self, "undelivered", lambda engine: engine.records.undelivered(), self._show)

    def _show(self, found: "list[Undelivered]") -> None:
        self._found = found
        self.query_one(Listing).show([self._row(number, one) for number, one in enumerate(found)])
        self._show_details()
        self.show_keys()

    def _row(self, number: int, one: "Undelivered") -> Row:
        more = f" and {len(one.titles) - 1} more" if len(one.titles) > 1 else ""
        return Row(
            key=one.delivery_id or f"held {number}",
            cells=(
                (span(one.channel),),
                (Span(one.status, "warning"),),
                (Span(span_text(one.age_seconds) or "now"),),
                (Span(str(one.attempts)),),
                (span("".join(one.titles[:1]) + more),),
                (span(one.reason),),
            ),
            sort=(None, None, one.age_seconds, one.attempts),
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing can be sent again where everything was sent."""
        return bool(self._found) if action == "again" else super().check_action(action, parameters)

    @property
    def selected(self) -> "Undelivered | None":
        """What is under the cursor."""
        listing = self.query_one(Listing)
        key = listing.key
        rows = [self._row(number, one).key for number, one in enumerate(self._found)]
        return self._found[rows.index(key)] if key in rows else None

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Tell all of the reason."""
        self._show_details()

    def _show_details(self) -> None:
        one = self.selected
        reason = one.reason if one is not None else ""
        following = f"Next attempt {time_text(one.next_try_at)}" if one is not None and one.next_try_at else ""
        self.query_one("#details", Details).show([(span(reason, "warning"),), (span(following),)])

    def action_again(self) -> None:
        """Have it sent at the next delivery."""
        one = self.selected
        if one is None:
            return
        if not one.delivery_id:
            self.engine_app.tell("It is not a message yet", hint=one.reason)
            return
        identity = one.delivery_id
        self.engine_app.ask(
            self,
            f"again {identity}",
            lambda engine: engine.records.send_again(identity),
            lambda _: self._sent_again(),
        )

    def _sent_again(self) -> None:
        self.engine_app.tell("It is sent at the next delivery", hint="Without a daemon: dgtui notify --deliver")
        self._gather()
