"""Whether what is replaced is backed up first, and where to."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Label

from dgtui.screens.restore_choice import SafetyChoice
from dgtui.screens.widgets.choice import Choice, Option, Tick
from dgtui.wording.terminal import Look


class SafetyRows(Vertical):
    """A tick, and below it the storages where there are several."""

    DEFAULT_CSS = """
    SafetyRows { height: auto; }
    SafetyRows Horizontal { height: auto; }
    """

    def __init__(self, places: Sequence[Option], look: Look) -> None:
        super().__init__(id="safety-rows")
        self._places = places
        self._look = look

    def compose(self) -> ComposeResult:
        """The tick and the storages."""
        with Horizontal():
            yield Label("Before")
            yield Tick("Save the current state first", value=True, id="safety")
        with Horizontal(id="safety-to-row"):
            yield Label("  to")
            yield Choice(self._places, self._look, id="safety-to")

    def offer(self, places: Sequence[Option], *, wanted: bool | None = None) -> None:
        """Other storages to choose from, and whether it is proposed where that is another question now."""
        self._places = places
        self.query_one(Choice).set_options(places)
        if wanted is not None:
            self.query_one(Tick).put(value=wanted)
        self._show()

    def on_mount(self) -> None:
        """Nothing to choose from one."""
        self._show()

    def on_tick_changed(self) -> None:
        """Where to is asked only for what is made."""
        self._show()

    def _show(self) -> None:
        several = len([place for place in self._places if place.key]) > 1
        self.query_one("#safety-to-row").display = several and self.query_one(Tick).value

    @property
    def choice(self) -> SafetyChoice:
        """What is decided."""
        wanted = self.query_one(Tick).value
        return SafetyChoice(wanted=wanted, storage=self.query_one(Choice).key or None if wanted else None)
