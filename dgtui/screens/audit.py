"""The audit log: who did what, on which object, and how it ended."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dgtui.engine.notification_model import AuditEntry
from dgtui.screens.tab import TabScreen
from dgtui.screens.widgets.details import Details
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row, measured
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.words import time_text

if TYPE_CHECKING:
    from dgtui.engine.audit import Verdict
    from dgtui.engine.errors import DataGuardianError
    from dgtui.engine.facade import Engine

_COLUMNS = (
    Column("No.", right=True),
    Column("When"),
    Column("Who", flexible=True),
    Column("What", flexible=True),
    Column("On", flexible=True),
    Column("Outcome", flexible=True),
)
_MOST_ROWS = 2000
_BAD = frozenset({"failed", "refused", "interrupted"})


class AuditScreen(TabScreen):
    """The newest entries first; `v` proves that nothing was changed or removed."""

    TAB = "audit"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "verify", "Verify", id="audit.verify", tooltip="Prove that nothing was changed or removed"),
    ]
    DEFAULT_CSS = """
    AuditScreen Details, AuditScreen.-narrow Details { height: 5; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[AuditEntry] = []
        self._verdict: Line = ()

    def compose_content(self) -> ComposeResult:
        """The entries, and below them more on the selected one."""
        yield Listing(_COLUMNS, id="audit", empty="Nothing was written down yet")
        yield Details(self.engine_app.look, id="details")

    def gather(self) -> None:
        """Ask for the newest ones."""
        self.engine_app.ask(self, "audit", _gather_entries, self._take, self.show_failure, about="all")

    def _take(self, entries: list[AuditEntry]) -> None:
        self._entries = entries
        self.engine_app.asking.ask(
            self,
            "audit rows",
            lambda: measured([_row(entry) for entry in entries]),
            lambda rows: self.query_one("#audit", Listing).show(rows),
        )
        self._show_details()

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Show what else was noted."""
        self._show_details()

    def _show_details(self) -> None:
        key = self.query_one("#audit", Listing).key
        one = next((entry for entry in self._entries if str(entry.number) == key), None)
        first: Line = () if one is None else (span(f" {_who(one)}: {one.action} {_object(one)}, {one.outcome}"),)
        noted = "; ".join(one.details) if one is not None else ""
        self.query_one("#details", Details).show([first, (span(f" {noted}"),), self._verdict])

    # Proving

    def action_verify(self) -> None:
        """Read the whole log in the background."""
        if not self.engine_app.is_ready:
            return
        self._verdict = (Span(" Reading the whole log", "dim"),)
        self._show_details()
        self.engine_app.ask(
            self,
            "verify audit",
            lambda engine: engine.records.verify_audit(),
            self._take_verdict,
            self._give_up,
            slow=True,
        )

    def _give_up(self, error: "DataGuardianError") -> None:
        self._verdict = ()
        self._show_details()
        self.engine_app.show_error(error)

    def _take_verdict(self, verdict: "Verdict") -> None:
        look = self.engine_app.look
        if verdict.damage:
            first = verdict.damage[0]
            at = f"entry {first.number}: " if first.number else ""
            more = f", and {len(verdict.damage) - 1} more" if len(verdict.damage) > 1 else ""
            text = f" {look.glyph('✖', 'x')} damaged: {at}{first.kind}: {first.text}{more}"
            self._verdict = (span(text, "bad"),)
        else:
            mark = look.glyph("✔", "+")
            self._verdict = (
                Span(f" {mark} {verdict.entries} entries, each as it was written", "good"),
                Span(f"  newest {verdict.head[:16]}", "dim"),
            )
        self._show_details()


def _gather_entries(engine: "Engine") -> list[AuditEntry]:
    return engine.records.audit(limit=_MOST_ROWS)


def _who(entry: AuditEntry) -> str:
    actor = entry.actor
    who = actor.user if actor.program == "dgtui" else f"{actor.user} ({actor.program})"
    return who + (f" from {actor.origin}" if actor.origin else "")


def _object(entry: AuditEntry) -> str:
    # `read secret secret datasources.shop.password` would be cut off before it says which one.
    return entry.object_name if entry.action.endswith(entry.object_kind) else f"{entry.object_kind} {entry.object_name}"


def _row(entry: AuditEntry) -> Row:
    return Row(
        key=str(entry.number),
        cells=(
            (Span(str(entry.number), "dim"),),
            (Span(time_text(entry.at)),),
            (span(_who(entry)),),
            (span(entry.action),),
            (span(_object(entry)),),
            (span(entry.outcome, "bad" if entry.outcome in _BAD else ""),),
        ),
        sort=(entry.number, entry.at),
    )
