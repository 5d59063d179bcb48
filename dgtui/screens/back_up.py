"""Back up now: which job, or to which storages."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Input, Label, Static

from dgtui.config import Config, JobSettings
from dgtui.engine.model import Record
from dgtui.screens.dialog import Dialog
from dgtui.screens.widgets.choice import Choice, Option
from dgtui.screens.widgets.rows import Column
from dgtui.screens.widgets.ticks import Tickable, Ticks

_AD_HOC = ""


class BackupChoice(Record, frozen=True):
    """A configured job by its name, or settings for a backup that no job describes."""

    job: str | None = None
    settings: JobSettings | None = None
    description: str = ""


class BackUpScreen(Dialog[BackupChoice]):
    """Gives what to back up."""

    DEFAULT_CSS = """
    BackUpScreen #storages { height: auto; max-height: 8; }
    BackUpScreen .row { height: auto; }
    BackUpScreen Label { width: 13; }
    """
    AUTO_FOCUS = "#go"
    ENTER: ClassVar[dict[str, str]] = {"description": "Start it"}

    def __init__(self, datasource: str, config: Config) -> None:
        super().__init__(f"Back up {datasource}")
        self._datasource = datasource
        self._config = config
        """As it is offered: what is started by then is the engine's to judge."""

    def compose_dialog(self) -> ComposeResult:
        """Job, storages, description."""
        config = self._config
        jobs = [name for name, job in config.jobs.items() if job.datasource == self._datasource]
        options = [Option(f"job {name}", name) for name in jobs] + [Option(_AD_HOC, "storages chosen here")]
        with Horizontal(classes="row"):
            yield Label("Job")
            yield Choice(options, self.engine_app.look, id="job", key=options[0].key)
        yield Ticks([Column("Storage"), Column("Kind"), Column("Description", flexible=True)], id="storages")
        with Horizontal(classes="row"):
            yield Label("Description")
            yield Input(id="description", compact=True, placeholder="what it is for, if you like")
        yield Static("", id="summary", markup=False, classes="hint")
        with Horizontal(classes="buttons"):
            yield Button("Back up", id="go", variant="primary", compact=True)
            yield Button("Cancel", id="no", compact=True)

    def on_mount(self) -> None:
        """Offer every storage."""
        storages = self._config.storages
        ticks = self.query_one(Ticks)
        ticks.styles.height = len(storages) + 1
        ticks.offer([Tickable(name, (one.type, one.description)) for name, one in storages.items()], list(storages)[:1])
        self._show()

    def on_choice_changed(self) -> None:
        """The storages are only asked for without a job."""
        self._show()

    def on_ticks_changed(self) -> None:
        """At least one."""
        self._show()

    def _show(self) -> None:
        key, ticks = self.query_one("#job", Choice).key, self.query_one(Ticks)
        ticks.display = key == _AD_HOC
        if key == _AD_HOC:
            storages = ticks.ticked
            summary = "" if storages else "Tick at least one storage; n in Storages makes one"
        else:
            job = self._config.job(key.removeprefix("job "))
            storages = job.storages
            summary = f"to {', '.join(job.storages)}, {job.compression}"
        self.query_one("#summary", Static).update(summary)
        self.query_one("#go", Button).disabled = not storages

    def on_input_submitted(self) -> None:
        """Enter starts it."""
        self._go()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Go, or not."""
        if event.button.id == "go":
            self._go()
        else:
            self.dismiss(None)

    def _go(self) -> None:
        if self.query_one("#go", Button).disabled:
            return
        key, description = self.query_one("#job", Choice).key, self.query_one("#description", Input).value
        if key == _AD_HOC:
            settings = JobSettings(datasource=self._datasource, storages=self.query_one(Ticks).ticked)
            self.dismiss(BackupChoice(settings=settings, description=description))
        else:
            self.dismiss(BackupChoice(job=key.removeprefix("job "), description=description))
