"""Everything about one notification: what happened, and who was told of it when."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult

from dgtui.engine.notification_model import LASTING, Notification
from dgtui.screens.dialog import Dialog
from dgtui.screens.marks import severity_mark
from dgtui.screens.widgets.details import Paragraphs
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.words import time_text

if TYPE_CHECKING:
    from dgtui.engine.records import Telling

_COLUMNS = (Column("Channel", flexible=True), Column("State"), Column("Since"), Column("Why", flexible=True))


class NotificationScreen(Dialog[None]):
    """To read; `Esc` closes it."""

    DEFAULT_CSS = """
    NotificationScreen #told { margin-bottom: 1; }
    NotificationScreen Listing { height: 8; }
    """

    def __init__(self, notification: Notification) -> None:
        super().__init__(notification.kind.replace("_", " ").capitalize())
        self._notification = notification

    def compose_dialog(self) -> ComposeResult:
        """The facts, and a row for each channel."""
        yield Paragraphs(self._facts(), id="told")
        yield Listing(_COLUMNS, id="deliveries", empty="Asking")

    def on_mount(self) -> None:
        """Ask which channels were told."""
        identity = self._notification.notification_id
        self.engine_app.ask(
            self, f"tellings {identity}", lambda engine: engine.records.tellings(identity), self._show_tellings
        )

    def _facts(self) -> list[Line]:
        one, look = self._notification, self.engine_app.look
        about = f"   {one.subject_kind} {one.subject}   {time_text(one.created_at)}"
        lines: list[Line] = [
            (severity_mark(one.severity, look), span(about)),
            (),
            (span(one.message, "strong"),),
            *((span(line),) for line in one.details),
        ]
        if one.related:
            lines.append((Span("Concerns  ", "dim"), span(", ".join(one.related))))
        if one.ended_at is not None:
            lines.append((Span("Over since  ", "dim"), Span(time_text(one.ended_at))))
        elif one.kind in LASTING:
            lines.append((Span("It still lasts", "warning"),))
        if one.read_at is not None:
            lines.append((Span("Read  ", "dim"), Span(time_text(one.read_at))))
        return lines

    def _show_tellings(self, tellings: "list[Telling]") -> None:
        rows = [Row(str(number), telling_cells(one)) for number, one in enumerate(tellings)]
        self.query_one(Listing).show(rows, empty="No channel is to be told of this")


def telling_cells(one: "Telling") -> tuple[Line, ...]:
    """Channel, state, since when, and why it was not sent yet."""
    channel = one.channel + (f", reminder {one.reminder}" if one.reminder else "")
    sent = one.status == "sent"
    why = [one.reason]
    if not sent:
        why.append(f"{one.attempts} attempts" if one.attempts > 1 else "")
        why.append(f"next {time_text(one.next_try_at)}" if one.next_try_at is not None else "")
    return (
        (span(channel),),
        (Span(one.status, "good" if sent else "warning"),),
        (Span(time_text(one.sent_at if sent else one.created_at)),),
        (span("; ".join(filter(None, why))),),
    )
