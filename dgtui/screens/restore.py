"""The restore dialog: from which storage, into what, what of it, and what that will do."""

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Label, Static

from dgtui.engine.datasources.base import Selection
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.manifest import Manifest
from dgtui.engine.model import Copy, Execution
from dgtui.engine.preview import RestorePreview
from dgtui.screens.dialog import Dialog
from dgtui.screens.restore_choice import RestoreChoice, RestoreQuestion, SafetyChoice
from dgtui.screens.restore_objects import ObjectsScreen
from dgtui.screens.restore_offer import RestoreOffer
from dgtui.screens.widgets.choice import Choice, Option, Tick
from dgtui.screens.widgets.facts import Fact, Facts
from dgtui.screens.widgets.listing import Column
from dgtui.screens.widgets.safety import SafetyRows
from dgtui.screens.widgets.ticks import Tickable, Ticks
from dgtui.wording.preview_text import effect_facts, target_fact
from dgtui.wording.words import known_size, one_line, time_text


class RestoreScreen(Dialog[RestoreChoice]):
    """Gives what to restore; the target is looked at, and nothing is touched before `Restore`."""

    AUTO_FOCUS = "#storage"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "Next", show=False),
        Binding("up", "app.focus_previous", "Previous", show=False),
        Binding("pagedown", "scroll(1)", "Further down", show=False, id="restore.page_down"),
        Binding("pageup", "scroll(-1)", "Further up", show=False, id="restore.page_up"),
        Binding("f3", "objects", "Objects", show=False, id="restore.objects"),
    ]
    DEFAULT_CSS = """
    RestoreScreen .row { height: auto; }
    RestoreScreen Label { width: 9; }
    RestoreScreen #body { height: auto; }
    RestoreScreen #tables { height: 8; margin-left: 9; }
    RestoreScreen #preview { margin-top: 1; }
    RestoreScreen #reason { width: 1fr; }
    RestoreScreen #jobs-row { width: auto; }
    RestoreScreen #jobs-label { width: auto; padding: 0 1; }
    RestoreScreen #jobs { width: 8; }
    RestoreScreen.-narrow .buttons, RestoreScreen.-narrow #preview { margin-top: 0; }
    RestoreScreen #foot { dock: bottom; height: auto; background: $surface; }
    RestoreScreen #confirm-label { width: auto; height: 1; }
    RestoreScreen #wrong { color: $text-warning; height: auto; }
    """

    def __init__(self, execution: Execution) -> None:
        super().__init__(f"Restore {execution.datasource} from {time_text(execution.started_at)}")
        self._execution = execution
        self._copies = {copy.storage: copy for copy in execution.copies if copy.path}
        self._preview: RestorePreview | None = None
        """Of the target that is chosen; perhaps not yet for all that is chosen."""
        self._answered: RestoreQuestion | None = None
        """What `_preview` and `_problem` answer."""
        self._problem: tuple[Fact, ...] = ()
        self._manifest: Manifest | None = None

    # What is offered

    @property
    def _offer(self) -> RestoreOffer:
        return RestoreOffer(execution=self._execution, config=self.engine_app.config, look=self.engine_app.look)

    def compose_dialog(self) -> ComposeResult:
        """From, into, what, why, and what that will do; below it, always to be seen, the confirmation."""
        with VerticalScroll(id="body", can_focus=False):
            yield from self._compose_choices()
            yield Facts(id="preview")
        with Vertical(id="foot"):
            yield Static("", id="wrong", markup=False)
            with Horizontal(classes="row", id="confirm-row"):
                yield Static("", id="confirm-label", markup=False)
                yield Input(id="confirm", compact=True)
            with Horizontal(classes="buttons"):
                yield Button("Restore", id="go", variant="error", compact=True, disabled=True)
                yield Button("Objects", id="objects", compact=True, disabled=True)
                yield Button("Cancel", id="no", compact=True)

    def _compose_choices(self) -> ComposeResult:
        look, offer = self.engine_app.look, self._offer
        yield self._row("From", Choice(offer.storages(self._copies), look, id="storage"))
        yield self._row("Into", Choice(offer.targets(), look, id="target"))
        yield self._row("Name", Input(id="name", compact=True, value=offer.proposed_name), id="name-row")
        others = [Option(name, name) for name in offer.others]
        yield self._row("", Choice(others, look, id="datasource"), id="datasource-row")
        datasource = self._execution.datasource
        yield self._row("What", Choice(offer.what(datasource, None), look, id="what"))
        columns = [Column("Name", flexible=True), Column("Rows", right=True), Column("Size", right=True)]
        yield Ticks(columns, id="tables", empty="Reading the manifest")
        paths = Input(id="paths", compact=True, placeholder="further paths in the tree, separated by blanks")
        yield self._row("Paths", paths, id="paths-row")
        yield self._row("Of them", Choice(offer.parts(datasource, None), look, id="part"), id="part-row")
        merge = Tick("Merge: put files over those that are there, leave all others alone", value=False, id="merge")
        yield self._row("How", merge, id="merge-row")
        yield SafetyRows(offer.safety_places(), look)
        yield self._row("After", Tick("Compare every object's content by a checksum", value=False, id="deep"))
        yield self._row(
            "Roles", Tick("Go on without the roles that are missing", value=False, id="roles"), id="role-row"
        )
        with Horizontal(classes="row"):
            yield Label("Reason")
            yield Input(id="reason", compact=True, placeholder="why, for the record")
            with Horizontal(classes="row", id="jobs-row"):
                yield Label("Processes", id="jobs-label")
                yield Input(id="jobs", compact=True, placeholder="auto", restrict="[0-9]{0,2}")

    def _row(self, label: str, widget: Choice | Input | Tick, *, id: str | None = None) -> Horizontal:  # noqa: A002
        return Horizontal(Label(label), widget, classes="row", id=id)

    # What is chosen

    def _key(self, name: str) -> str:
        return self.query_one(f"#{name}", Choice).key

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _ticked(self, name: str) -> bool:
        return self.query_one(f"#{name}", Tick).value

    @property
    def _datasource(self) -> str:
        return self._key("datasource") if self._key("target") == "other" else self._execution.datasource

    @property
    def _is_tree(self) -> bool:
        return self._execution.datasource_type == "files"

    @property
    def _selection(self) -> Selection:
        if self._key("what") != "tables":
            return Selection(backup_type=self._key("what") or "full")  # type: ignore[arg-type]  # the three words it takes
        paths = tuple(self._value("paths").split()) if self._is_tree else ()
        tables = (*self.query_one(Ticks).ticked, *paths)
        return Selection(backup_type=self._key("part") or "full", tables=tables)  # type: ignore[arg-type]  # the same

    @property
    def question(self) -> RestoreQuestion:
        """What the preview is asked about."""
        return RestoreQuestion(
            storage=self._key("storage") or None,
            datasource=self._datasource,
            database=self._value("name") if self._key("target") == "new" else None,
            selection=self._selection,
            merge=self._is_tree and self._filled and self._ticked("merge"),
        )

    @property
    def choice(self) -> RestoreChoice:
        """What is chosen now."""
        question, jobs = self.question, self._value("jobs")
        return RestoreChoice(
            question=question,
            overwrite=self._loses,
            deep=self._ticked("deep"),
            without_missing_roles=self._ticked("roles"),
            jobs=int(jobs) or None if jobs else None,
            reason=self._value("reason"),
            safety=self.query_one(SafetyRows).choice if self._filled else SafetyChoice(),
        )

    @property
    def _filled(self) -> bool:
        """Whether the target is known to hold something."""
        return self._preview is not None and self._preview.object_count > 0

    @property
    def _loses(self) -> bool:
        return self._preview is not None and self._preview.loses(self._selection)

    # Questions, all in the background

    def on_mount(self) -> None:
        """Ask the storages, the manifest and the target."""
        execution = self._execution
        for storage in self._copies:
            self._ask_storage(storage)
        self.engine_app.ask(
            self,
            f"manifest {execution.execution_id}",
            lambda engine: engine.manifest(execution),
            self._take_manifest,
            lambda error: self.query_one(Ticks).show([], empty=error.message),
            slow=True,
        )
        self._look()

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
        self.query_one("#storage", Choice).set_options(self._offer.storages(self._copies))

    def _take_manifest(self, manifest: Manifest) -> None:
        self._manifest = manifest
        rows = [
            Tickable(one.name, (f"{one.rows:,}" if one.rows is not None else "-", known_size(one.bytes)))
            for one in manifest.objects
        ]
        self.query_one(Ticks).offer(rows)

    def _look(self) -> None:
        """Ask what the restore would do, where it is another one than before."""
        question, execution = self.question, self._execution
        before = self._answered
        if before is not None and (before.datasource, before.database) != (question.datasource, question.database):
            self._preview, self._answered, self._problem = None, None, ()
        self._show()
        if self._incomplete() or question == self._answered:
            return
        # One question at a time to each server; a server that is frozen holds up no other one.
        self.engine_app.ask(
            self,
            f"preview {question.datasource}",
            lambda engine: question.ask(engine, execution),
            lambda preview: self._take_preview(question, preview),
            lambda error: self._no_preview(question, error),
            slow=True,
        )

    def _take_preview(self, question: RestoreQuestion, preview: RestorePreview) -> None:
        if question != self.question:
            self._look()
            return
        problem = preview.outlook.problem if preview.outlook is not None else None
        self._problem = _problem_facts(problem.message, problem.hint) if problem is not None else ()
        self._preview, self._answered = preview, question
        self._offer_parts()
        self._look()

    def _no_preview(self, question: RestoreQuestion, error: DataGuardianError) -> None:
        if question != self.question:
            self._look()
            return
        self._preview, self._answered = None, question
        self._problem = _problem_facts(error.message, error.hint)
        self._show()

    def _offer_parts(self) -> None:
        """What is possible depends on the target."""
        offer, datasource = self._offer, self._datasource
        self.query_one("#what", Choice).set_options(offer.what(datasource, self._preview))
        self.query_one("#part", Choice).set_options(offer.parts(datasource, self._preview))

    # What is shown

    @property
    def word(self) -> str:
        """What has to be typed before something is replaced."""
        if self._preview is None or not self._loses:
            return ""
        return Path(self._preview.target).name if self._key("target") == "new" else self._preview.datasource

    def _show(self) -> None:
        offer, target, tables = self._offer, self._key("target"), self._key("what") == "tables"
        preview = self._preview
        roles = preview.outlook.missing_roles if preview is not None and preview.outlook is not None else None
        shown = {
            "#name-row": target == "new",
            "#datasource-row": target == "other",
            "#tables": tables,
            "#paths-row": tables and self._is_tree,
            "#part-row": tables and len(self.query_one("#part", Choice).options) > 1,
            "#merge-row": self._is_tree and self._filled,
            "#safety-rows": self._filled,
            "#role-row": roles is not None and roles.costs_something,
            "#jobs-row": offer.can(self._datasource, "parallel_restore"),
            "#confirm-row": bool(self.word),
        }
        for selector, visible in shown.items():
            self.query_one(selector).display = visible
        self.query_one("#deep", Tick).allow(self._not_deep())
        self.query_one(Facts).show(self._facts())
        self.query_one("#confirm-label", Static).update(f"Type  {one_line(self.word)}  to confirm  ")
        reason = self._incomplete() or self._forbidden()
        wrong = self.query_one("#wrong", Static)
        wrong.update(reason)
        wrong.display = bool(reason)
        self.query_one("#go", Button).disabled = not self._possible()
        self.query_one("#objects", Button).disabled = not (preview and preview.outlook and preview.outlook.objects)
        self.call_after_refresh(self._tell_of_more)

    def _facts(self) -> list[Fact]:
        if self._preview is None:
            return list(self._problem) if self._problem else [("Target", "asking it")]
        _, effect = target_fact(self._preview, self._selection)
        facts = [*self._problem, ("Target", effect), *effect_facts(self._preview)]
        if self._answered != self.question:
            facts.insert(0, ("Asking", "what the restore would do now; below is the answer from before"))
        elif self._filled and not self.query_one(SafetyRows).choice.wanted:
            facts.append(("Warning", "there is no way back once what is kept beside the target is dropped"))
        return facts

    def _not_deep(self) -> str:
        if "schema_only" in (self._selection.backup_type, self._execution.backup_type):
            return "a schema has no content"
        if "data_only" in (self._selection.backup_type, self._execution.backup_type):
            return "rows that are loaded alone are counted"
        return ""

    def _incomplete(self) -> str:
        """What has to be given before the target can be asked."""
        if not self._key("target"):
            return "There is nothing that it could be restored into"
        if self._key("target") == "new" and not self._value("name"):
            return "It needs a name"
        if self._key("what") == "tables" and not self._selection.tables:
            return "Tick at least one; space ticks, a ticks all"
        return ""

    def _forbidden(self) -> str:
        """What is chosen and cannot work together."""
        preview = self._preview
        if preview is None or self._problem:
            return ""
        if preview.way == "import" and not self.query_one(SafetyRows).choice.wanted:
            return "It is filled in its own place, which needs the safety backup"
        missing = preview.outlook is not None and preview.outlook.missing_roles.costs_something
        if missing and not self._ticked("roles"):
            return "Roles are missing: make them first, or tick to go on without them"
        return ""

    def _possible(self) -> bool:
        asked = self._preview is not None and self._answered == self.question
        if not asked or self._problem or self._incomplete() or self._forbidden():
            return False
        return self._value("confirm") == self.word or not self.word

    # Keys

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Another restore is looked at anew."""
        if event.choice.id in ("target", "datasource"):
            self._preview, self._answered, self._problem = None, None, ()
            self._offer_parts()
        if event.choice.id != "safety-to":
            self._look()

    def on_ticks_changed(self) -> None:
        """Other tables need other things along with them."""
        self._look()

    def on_tick_changed(self) -> None:
        """Merging is another way; the other ticks only say what is possible."""
        self._look()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another name is looked at anew."""
        if event.input.id in ("name", "paths"):
            self._look()
        else:
            self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on, and restores from the confirmation."""
        if event.input.id == "confirm":
            self._go()
        else:
            self.app.action_focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Go, look closer, or not."""
        if event.button.id == "go":
            self._go()
        elif event.button.id == "objects":
            self.action_objects()
        else:
            self.dismiss(None)

    def action_objects(self) -> None:
        """Every object on both sides."""
        if self._preview is not None and self._preview.outlook is not None:
            self.app.push_screen(ObjectsScreen(self._preview.target, self._preview.outlook))

    def action_scroll(self, step: int) -> None:
        """Show what there is no room for."""
        box = self.query_one("#box")
        box.scroll_relative(y=step * max(box.size.height - self.query_one("#foot").size.height - 1, 1), animate=False)

    def on_resize(self) -> None:
        """There may be room for all of it now."""
        self.call_after_refresh(self._tell_of_more)

    def _tell_of_more(self) -> None:
        box = self.query_one("#box")
        box.border_subtitle = "PgUp PgDn scroll" if box.max_scroll_y > 0 else ""

    def _go(self) -> None:
        if self._possible():
            self.dismiss(self.choice)


def _problem_facts(message: str, hint: str) -> tuple[Fact, ...]:
    return (("Wrong", message), *((("Do", hint),) if hint else ()))
