"""The storages: where backups lie, how much room is left, how many there are."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dgtui.engine.model import Record
from dgtui.engine.storages.base import StorageState
from dgtui.screens.editing import EditingScreen
from dgtui.screens.marks import copy_mark
from dgtui.screens.widgets.listing import Column, Listing, Row
from dgtui.screens.widgets.styled import Lines, span
from dgtui.wording.panel import Line, Span
from dgtui.wording.words import known_size, size_text

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine

_COLUMNS = (
    Column("Name", flexible=True),
    Column("Kind"),
    Column("State"),
    Column("Free", right=True),
    Column("Of", right=True, wide_only=True),
    Column("Backups", right=True),
    Column("Size", right=True),
)


class Usage(Record, frozen=True):
    """What the catalogue knows to lie at a storage."""

    backups: int = 0
    bytes: int = 0


def usage(engine: "Engine") -> dict[str, Usage]:
    """For each storage."""
    return {name: Usage(backups=count, bytes=size) for name, (count, size) in engine.storage_usage().items()}


class StoragesScreen(EditingScreen):
    """All storages."""

    TAB = "storages"
    TABLE = "storages"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "test", "Test", id="storage.test", tooltip="Ask whether it can be used"),
        Binding("i", "scan", "Read in", id="storage.scan", tooltip="Read every backup that lies there into the list"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._usage: dict[str, Usage] = {}
        self._states: dict[str, StorageState] = {}

    def compose_content(self) -> ComposeResult:
        """The table, and below it where the selected one is."""
        yield Listing(_COLUMNS, id="storages", empty="No storage yet: n makes one")
        yield Lines([(), ()], id="details")

    def on_mount(self) -> None:
        """The names stand at once."""
        self._show()

    def gather(self) -> None:
        """Ask the catalogue, and each storage in the background."""
        self.engine_app.ask(self, "usage", usage, self._take_usage, self.show_failure)
        for name in self.engine_app.config.storages:
            self._test(name)

    def _take_usage(self, found: dict[str, Usage]) -> None:
        self._usage = found
        self._show()

    def _test(self, name: str) -> None:
        self.engine_app.ask(
            self,
            f"storage {name}",
            lambda engine: engine.examine_storage(name),
            lambda state: self._take_state(name, state),
            slow=True,
        )
        self._show()

    def _take_state(self, name: str, state: StorageState) -> None:
        self._states[name] = state
        self._show()

    def _show(self) -> None:
        self.query_one("#storages", Listing).show([self._row(name) for name in self.engine_app.config.storages])
        self._show_details()

    def _row(self, name: str) -> Row:
        app = self.engine_app
        settings, state, used = app.config.storages[name], self._states.get(name), self._usage.get(name, Usage())
        shown: Line = (copy_mark(state.status, app.look, word=True),) if state is not None else (Span("asking", "dim"),)
        return Row(
            key=name,
            cells=(
                (span(name, "strong"),),
                (span(settings.type),),
                shown,
                (Span(known_size(state.free_bytes if state is not None else None)),),
                (Span(known_size(state.total_bytes if state is not None else None)),),
                (Span(str(used.backups)),),
                (Span(size_text(used.bytes)),),
            ),
            sort=(None, None, None, state.free_bytes if state else None, None, used.backups, used.bytes),
        )

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Tell more on the selected one."""
        self._show_details()

    def _show_details(self) -> None:
        name = self.query_one("#storages", Listing).key
        lines: list[Line] = [(), ()]
        if name is not None and name in self.engine_app.config.storages:
            settings, state = self.engine_app.config.storages[name], self._states.get(name)
            where = f"  {getattr(settings, 'path', '')}  {settings.description}"
            lines[0] = (Span(" "), span(name, "strong"), span(where))
            if state is not None and state.message:
                lines[1] = (Span(" "), span(state.message, "bad"), span(f"  {state.hint}", "dim"))
        self.query_one("#details", Lines).show(lines)

    def action_test(self) -> None:
        """Ask the selected one now."""
        name = self.listing.key
        if name is not None:
            self._states.pop(name, None)
            self._test(name)

    def action_scan(self) -> None:
        """Read what lies there into the catalogue."""
        name = self.listing.key
        if name is None:
            return
        self.engine_app.tell(f"Reading what lies at {name}")
        self.engine_app.ask(
            self.app,
            f"scan {name}",
            lambda engine: engine.scan(name),
            lambda report: self.engine_app.scanned(name, report),
            slow=True,
        )
