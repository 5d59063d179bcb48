"""The restore dialog: from which storage, into what, what of it, and what that will do."""

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Input, Label, Static

from dgtui.engine.datasources.base import Selection
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.manifest import Manifest
from dgtui.engine.model import Copy, Execution, Record
from dgtui.engine.preview import RestorePreview
from dgtui.screens.dialog import Dialog
from dgtui.screens.marks import TYPE_LABELS, copy_mark
from dgtui.screens.times import span_text
from dgtui.screens.widgets.choice import Choice, Option
from dgtui.screens.widgets.listing import Column
from dgtui.screens.widgets.ticks import Tickable, Ticks
from dgtui.wording.panel import Span
from dgtui.wording.words import known_size, one_line, size_text, time_text

_AUTOMATIC = ""
_WHAT = {"full": "everything", "schema_only": "schema only", "data_only": "data only", "tables": "tables"}


class RestoreChoice(Record, frozen=True):
    """What was decided."""

    storage: str | None
    datasource: str
    database: str | None
    selection: Selection
    overwrite: bool
    reason: str


class RestoreScreen(Dialog[RestoreChoice]):
    """Gives what to restore; the target is looked at, and nothing is touched before `Restore`."""

    AUTO_FOCUS = "#storage"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "Next", show=False),
        Binding("up", "app.focus_previous", "Previous", show=False),
    ]
    DEFAULT_CSS = """
    RestoreScreen .row { height: auto; }
    RestoreScreen Label { width: 9; }
    RestoreScreen #tables { height: 8; margin-left: 9; }
    RestoreScreen #preview { height: auto; margin-top: 1; }
    RestoreScreen #confirm-label { width: auto; height: 1; }
    RestoreScreen #wrong { color: $text-error; height: auto; }
    """

    def __init__(self, execution: Execution) -> None:
        super().__init__(f"Restore {execution.datasource} from {time_text(execution.started_at)}")
        self._execution = execution
        self._copies = {copy.storage: copy for copy in execution.copies if copy.path}
        self._preview: RestorePreview | None = None
        self._problem = ""
        self._kind = TYPE_LABELS.get(execution.datasource_type, execution.datasource_type)

    # What is offered

    def compose_dialog(self) -> ComposeResult:
        """From, into, what, why, and what that will do."""
        look = self.engine_app.look
        with Horizontal(classes="row"):
            yield Label("From")
            yield Choice(self._storage_options(), look, id="storage")
        with Horizontal(classes="row"):
            yield Label("Into")
            yield Choice(self._target_options(), look, id="target")
        with Horizontal(classes="row", id="name-row"):
            yield Label("Name")
            yield Input(id="name", compact=True, value=self._proposed_name())
        with Horizontal(classes="row", id="datasource-row"):
            yield Label("")
            yield Choice([Option(name, name) for name in self._others()], look, id="datasource")
        with Horizontal(classes="row"):
            yield Label("What")
            yield Choice(self._what_options(), look, id="what")
        columns = [Column("Name", flexible=True), Column("Rows", right=True), Column("Size", right=True)]
        yield Ticks(columns, id="tables", empty="Reading the manifest")
        with Horizontal(classes="row"):
            yield Label("Reason")
            yield Input(id="reason", compact=True, placeholder="why, for the record")
        yield Static("", id="preview", markup=False)
        yield Static("", id="wrong", markup=False)
        with Horizontal(classes="row", id="confirm-row"):
            yield Static("", id="confirm-label", markup=False)
            yield Input(id="confirm", compact=True)
        with Horizontal(classes="buttons"):
            yield Button("Restore", id="go", variant="error", compact=True, disabled=True)
            yield Button("Cancel", id="no", compact=True)

    def _storage_options(self) -> list[Option]:
        look = self.engine_app.look
        options = [Option(_AUTOMATIC, "automatic")]
        for name, copy in self._copies.items():
            possible = copy.status in ("available", "unknown")
            mark = (Span(" "), copy_mark(copy.status, look))
            options.append(Option(name, name, mark, "" if possible else copy.status))
        return options

    def _target_options(self) -> list[Option]:
        known = self._execution.datasource in self.engine_app.config.datasources
        why_not = "" if known else "is not configured any more"
        other = "" if self._others() else f"there is no other {self._kind} datasource"
        noun = {"sqlite": "new file", "files": "new folder"}.get(self._execution.datasource_type, "new database")
        return [
            Option("same", f"{self._execution.datasource}, swapped in when complete", why_not=why_not),
            Option("new", noun, why_not=why_not),
            Option("other", "other datasource", why_not=other),
        ]

    def _others(self) -> list[str]:
        datasources = self.engine_app.config.datasources
        return [
            name
            for name, settings in datasources.items()
            if settings.type == self._execution.datasource_type and name != self._execution.datasource
        ]

    def _what_options(self) -> list[Option]:
        config, target = self.engine_app.config, self._target_datasource()
        known = config.datasource_options(target) if target in config.datasources else frozenset()
        replaces = self._preview is not None and self._preview.replaces
        options = []
        for key, label in _WHAT.items():
            why_not = ""
            if key != "full" and key not in known:
                why_not = f"not with {self._kind}"
            elif key in ("schema_only", "data_only") and self._execution.backup_type not in ("full", key):
                why_not = "not in this backup"
            elif key != "full" and replaces:
                why_not = "only into a new or empty one"
            options.append(Option(key, label, why_not=why_not))
        return options

    def _proposed_name(self) -> str:
        settings = self.engine_app.config.datasources.get(self._execution.datasource)
        database = getattr(settings, "database", None) or getattr(settings, "path", "")
        if "/" not in str(database):
            return f"{database}_restored"
        path = Path(str(database))
        return str(path.with_name(f"{path.stem}-restored{path.suffix}"))

    # What is chosen

    def _target_datasource(self) -> str:
        if not self.is_mounted or self.query_one("#target", Choice).key != "other":
            return self._execution.datasource
        return self.query_one("#datasource", Choice).key

    @property
    def choice(self) -> RestoreChoice:
        """What is chosen now."""
        what = self.query_one("#what", Choice).key
        tables = self.query_one(Ticks).ticked if what == "tables" else ()
        kind = what if what in ("schema_only", "data_only") else "full"
        target = self.query_one("#target", Choice).key
        return RestoreChoice(
            storage=self.query_one("#storage", Choice).key or None,
            datasource=self._target_datasource(),
            database=self.query_one("#name", Input).value.strip() if target == "new" else None,
            selection=Selection(backup_type=kind, tables=tables),  # type: ignore[arg-type]  # the three words it takes
            overwrite=self._preview is not None and self._preview.replaces,
            reason=self.query_one("#reason", Input).value.strip(),
        )

    def on_mount(self) -> None:
        """Ask the storages, the manifest and the target, all in the background."""
        execution = self._execution
        self._show()
        for storage in self._copies:
            self._ask_storage(storage)
        self.engine_app.ask(
            self,
            "manifest",
            lambda engine: engine.manifest(execution),
            self._take_manifest,
            self._no_manifest,
            slow=True,
        )
        self._look_at_target()

    def _ask_storage(self, storage: str) -> None:
        execution = self._execution
        self.engine_app.ask(
            self,
            f"restore copies {storage}",
            lambda engine: engine.copies_at(storage, [execution]),
            self._take_copies,
            slow=True,
        )

    def _take_copies(self, copies: dict[str, Copy]) -> None:
        for copy in copies.values():
            self._copies[copy.storage] = copy
        self.query_one("#storage", Choice).set_options(self._storage_options())

    def _take_manifest(self, manifest: Manifest) -> None:
        rows = [
            Tickable(one.name, (f"{one.rows:,}" if one.rows is not None else "-", known_size(one.bytes)))
            for one in manifest.objects
        ]
        self.query_one(Ticks).offer(rows)

    def _no_manifest(self, error: DataGuardianError) -> None:
        self.query_one(Ticks).show([], empty=error.message)

    def _look_at_target(self) -> None:
        """What is there now, so that nobody is surprised."""
        self._preview, self._problem = None, ""
        choice, execution = self.choice, self._execution
        self._show()
        if choice.database == "":
            return
        self.engine_app.ask(
            self,
            "preview",
            lambda engine: engine.preview_restore(execution, datasource=choice.datasource, database=choice.database),
            self._take_preview,
            self._no_preview,
            slow=True,
        )

    def _take_preview(self, preview: RestorePreview) -> None:
        self._preview = preview
        self.query_one("#what", Choice).set_options(self._what_options())
        self._show()

    def _no_preview(self, error: DataGuardianError) -> None:
        arrow = self.engine_app.look.glyph("→", "->")
        self._problem = error.message + (f"\n{arrow} {error.hint}" if error.hint else "")
        self._show()

    # What is shown

    @property
    def word(self) -> str:
        """What has to be typed before something is replaced."""
        if self._preview is None or not self._preview.replaces:
            return ""
        if self.query_one("#target", Choice).key == "new":
            return Path(self._preview.target).name
        return self._preview.datasource

    def _show(self) -> None:
        target, what = self.query_one("#target", Choice).key, self.query_one("#what", Choice).key
        self.query_one("#name-row").display = target == "new"
        self.query_one("#datasource-row").display = target == "other"
        self.query_one("#tables").display = what == "tables"
        self.query_one("#preview", Static).update("\n".join(map(one_line, self._preview_lines())))
        wrong = self.query_one("#wrong", Static)
        wrong.update("\n".join(map(one_line, self._problem.splitlines())))
        wrong.display = bool(self._problem)
        self.query_one("#confirm-row").display = bool(self.word)
        self.query_one("#confirm-label", Static).update(f"Type  {self.word}  to confirm  ")
        self.query_one("#go", Button).disabled = not self._possible()

    def _preview_lines(self) -> list[str]:
        preview = self._preview
        if preview is None:
            return [] if self._problem else ["Looking at the target"]
        if not preview.exists:
            return [f"{preview.target} will be made. Nothing else is touched."]
        if not preview.replaces:
            return [f"{preview.target} is there and empty. Nothing is lost."]
        age = span_text((self.engine_app.clock() - self._execution.started_at).total_seconds())
        size = f", {size_text(preview.size_bytes)}" if preview.size_bytes is not None else ""
        since = f"Everything written since {time_text(self._execution.started_at)} is lost"
        lines = [
            f"{preview.target} holds {preview.object_count} objects{size}: all of it is replaced.",
            f"{since} (about {age})." if age else f"{since}.",
        ]
        if preview.way in ("import", "swap or import"):
            where = (
                "Where the backup holds more than tables" if preview.way == "swap or import" else "No swap is possible"
            )
            lines.append(f"{where}: it is saved, emptied and filled in place; others see it partly filled meanwhile.")
        if preview.client_count:
            fate = "they are cut off at the swap." if preview.way == "swap" else "better stop what writes."
            lines.append(f"{preview.client_count} are connected now; {fate}")
        return lines

    def _possible(self) -> bool:
        if self._preview is None or self._problem or not self.query_one("#target", Choice).key:
            return False
        if self.query_one("#what", Choice).key == "tables" and not self.query_one(Ticks).ticked:
            return False
        return self.query_one("#confirm", Input).value == self.word or not self.word

    # Keys

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Another target is looked at anew."""
        if event.choice.id in ("target", "datasource"):
            self._look_at_target()
        else:
            self._show()

    def on_ticks_changed(self) -> None:
        """At least one table."""
        self._show()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another name is looked at anew."""
        if event.input.id == "name" and self.query_one("#target", Choice).key == "new":
            self._look_at_target()
        elif event.input.id == "confirm":
            self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on, and restores from the confirmation."""
        if event.input.id == "confirm":
            self._go()
        else:
            self.app.action_focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Go, or not."""
        if event.button.id == "go":
            self._go()
        else:
            self.dismiss(None)

    def _go(self) -> None:
        if self._possible():
            self.dismiss(self.choice)
