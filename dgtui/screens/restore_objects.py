"""Every object that a restore would bring, replace or remove, with its rows on both sides."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button

from dgtui.screens.dialog import Dialog
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Span
from dgtui.wording.preview_text import object_rows

if TYPE_CHECKING:
    from dgtui.engine.restore_outlook import ObjectChange, RestoreOutlook

_COLUMNS = (
    Column("Object", flexible=True),
    Column("Rows now", right=True),
    Column("In the backup", right=True),
    Column("Then"),
)


class ObjectsScreen(Dialog[None]):
    """A table to look at."""

    AUTO_FOCUS = "#objects"
    DEFAULT_CSS = """
    ObjectsScreen > #box { height: 100%; }
    """

    def __init__(self, target: str, outlook: "RestoreOutlook") -> None:
        super().__init__(f"What the restore changes in {target}")
        self._outlook = outlook

    def compose_dialog(self) -> ComposeResult:
        """The objects."""
        yield Listing(_COLUMNS, id="objects", empty="Nothing is in the backup or in the target")
        with Horizontal(classes="buttons"):
            yield Button("Close", id="no", compact=True)

    def on_mount(self) -> None:
        """Those that go first: they matter most."""
        order = {"only in the target": 0, "only in the backup": 1, "both": 2}
        entries = sorted(self._outlook.objects, key=lambda entry: (order[entry.side], entry.name))
        self.query_one(Listing).show([_row(entry) for entry in entries])

    def on_button_pressed(self) -> None:
        """Back."""
        self.dismiss(None)


def _row(entry: "ObjectChange") -> Row:
    now, then = object_rows(entry)
    fate, style = {
        "only in the target": ("goes", "warning"),
        "only in the backup": ("comes", "good"),
        "both": ("is replaced", ""),
    }[entry.side]
    return Row(
        entry.name,
        ((span(entry.name),), (Span(now),), (Span(then),), (Span(fate, style),)),
        sort=(None, entry.target_rows, entry.backup_rows),
    )
