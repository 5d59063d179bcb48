"""The rehearsal dialog: which copy is loaded for a try, where, and how closely it is compared."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Label

from dgtui.config.jobs import PRIVATE_PLACE
from dgtui.engine.model import Execution, Record
from dgtui.screens.dialog import Dialog
from dgtui.screens.engine_app import EngineApp
from dgtui.screens.restore_offer import RestoreOffer
from dgtui.screens.widgets.choice import Choice, Option, Tick

_AS_USUAL = ""
_PRIVATE = "a server of its own"


class RehearseChoice(Record, frozen=True):
    """A rehearsal as it was decided."""

    storage: str | None = None
    """The storage whose copy is read; the first good one without."""
    place: str | None = None
    """A datasource or `private`; where the job says without."""
    deep: bool = False


class RehearseScreen(Dialog[RehearseChoice]):
    """Gives how to rehearse a backup; nothing that is in use is touched by it."""

    AUTO_FOCUS = "#go"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "Next", show=False, id="dialog.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="dialog.previous"),
    ]
    DEFAULT_CSS = """
    RehearseScreen .row { height: auto; }
    RehearseScreen Label { width: 9; }
    """

    def __init__(self, execution: Execution) -> None:
        super().__init__(f"Rehearse the backup of {execution.datasource}")
        self._execution = execution

    def compose_dialog(self) -> ComposeResult:
        """From, where, and how closely."""
        app, copies = self.engine_app, {copy.storage: copy for copy in self._execution.copies if copy.path}
        offer = RestoreOffer(execution=self._execution, config=app.config, look=app.look)
        _, *storages = offer.storages(copies)
        with Horizontal(classes="row"):
            yield Label("From")
            yield Choice([Option(_AS_USUAL, "the first good copy"), *storages], app.look, id="storage", key=_AS_USUAL)
        with Horizontal(classes="row"):
            yield Label("Where")
            yield Choice(self._places(offer), app.look, id="place", key=_AS_USUAL)
        with Horizontal(classes="row"):
            yield Label("After")
            yield Tick("Compare every object's content by a checksum", value=False, id="deep")
        with Horizontal(classes="buttons"):
            yield Button("Rehearse", id="go", variant="primary", compact=True)
            yield Button("Cancel", id="no", compact=True)

    def _places(self, offer: RestoreOffer) -> list[Option]:
        """Where the job says, and wherever else a throw-away database of this kind can be made."""
        source, job = self._execution.datasource, offer.config.jobs.get(self._execution.job)
        usual = job.rehearse_in if job is not None else None
        settings = offer.config.datasources.get(source)
        beside = f"beside {source}" if settings is None or settings.on_server else "in the scratch folder"
        named = {None: beside, PRIVATE_PLACE: f"{_PRIVATE}, as the job says"}
        options = [Option(_AS_USUAL, named.get(usual) or f"at {usual}, as the job says")]
        datasources = [source] if usual is not None and source in offer.config.datasources else []
        options += [Option(name, f"at {name}") for name in [*datasources, *offer.others] if name != usual]
        if usual != PRIVATE_PLACE and offer.can(source, "private_server"):
            options.append(Option(PRIVATE_PLACE, _PRIVATE))
        return options

    def on_mount(self) -> None:
        """A schema has no content to compare."""
        if self._execution.backup_type == "schema_only":
            self.query_one(Tick).allow("a schema has no content")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Rehearse, or not."""
        if event.button.id == "no":
            self.dismiss(None)
            return
        keys = {name: self.query_one(f"#{name}", Choice).key or None for name in ("storage", "place")}
        self.dismiss(RehearseChoice(storage=keys["storage"], place=keys["place"], deep=self.query_one(Tick).value))


def ask_rehearse(app: EngineApp, one: Execution) -> None:
    """Ask how to rehearse a backup, and do it."""

    def chosen(choice: RehearseChoice | None) -> None:
        if choice is not None:
            app.start(
                lambda engine: engine.start_rehearsal(
                    one, storage=choice.storage, place=choice.place, deep=choice.deep
                ),
                f"rehearse {one.job}",
            )

    app.push_screen(RehearseScreen(one), chosen)
