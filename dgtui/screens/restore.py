"""The restore dialog: from which storage, into what, what of it, and what that will do."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Static

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import Copy, Execution
from dgtui.screens.dialog import Dialog
from dgtui.screens.restore_choice import RestoreChoice, RestoreQuestion
from dgtui.screens.restore_form import RestoreForm
from dgtui.screens.restore_objects import ObjectsScreen
from dgtui.screens.restore_offer import RestoreOffer
from dgtui.screens.widgets.choice import Choice
from dgtui.screens.widgets.facts import Fact, Facts
from dgtui.screens.widgets.ticks import Ticks
from dgtui.wording.dialog_words import in_dialog
from dgtui.wording.preview_text import effect_facts, target_fact
from dgtui.wording.words import one_line, time_text

if TYPE_CHECKING:
    from dgtui.engine.preview import RestorePreview

_ADVICE = frozenset({"Do", "How", "Note"})
"""The lines that tell what one may do; the others may hold names that only look like options."""


class RestoreScreen(Dialog[RestoreChoice]):
    """Gives what to restore; the target is looked at, and nothing is touched before `Restore`."""

    AUTO_FOCUS = "#storage"
    ENTER: ClassVar[dict[str, str]] = {"confirm": "Restore, once the word stands there"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "Next", show=False, id="dialog.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="dialog.previous"),
        Binding("f5,ctrl+r", "look_again", "Look again", show=False, id="restore.reload"),
        Binding("f3", "objects", "Objects", show=False, id="restore.objects"),
    ]
    DEFAULT_CSS = """
    RestoreScreen.-narrow .buttons, RestoreScreen.-narrow #preview { margin-top: 0; }
    RestoreScreen #foot { dock: bottom; height: auto; background: $surface; }
    RestoreScreen #confirm-row { height: auto; }
    RestoreScreen #confirm-label { width: auto; max-width: 60%; height: auto; }
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
        self._asked: RestoreQuestion | None = None
        """What is waited for: to ask the same once more would have a server that is frozen waited for twice."""
        self._problem: tuple[Fact, ...] = ()

    def compose_dialog(self) -> ComposeResult:
        """The choices and what they would do; below them, always to be seen, the confirmation."""
        app = self.engine_app
        offer = RestoreOffer(execution=self._execution, config=app.config, look=app.look)
        yield RestoreForm(self._execution, self._copies, offer)
        with Vertical(id="foot"):
            yield Static("", id="wrong", markup=False)
            with Horizontal(id="confirm-row"):
                yield Static("", id="confirm-label", markup=False)
                yield Input(id="confirm", compact=True)
            with Horizontal(classes="buttons"):
                yield Button("Restore", id="go", variant="error", compact=True, disabled=True)
                yield Button("Objects", id="objects", compact=True, disabled=True)
                yield Button("Cancel", id="no", compact=True)

    @property
    def form(self) -> RestoreForm:
        """The choices."""
        return self.query_one(RestoreForm)

    @property
    def _loses(self) -> bool:
        return self._preview is not None and self._preview.loses(self.form.selection)

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
            self.form.take_manifest,
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
        self.form.take_copies(copies)

    def _look(self) -> None:
        """Ask what the restore would do, where it is another one than before."""
        question, execution = self.form.question, self._execution
        before = self._answered
        if before is not None and (before.datasource, before.database) != (question.datasource, question.database):
            self._preview, self._answered, self._problem = None, None, ()
            self.form.take_preview(None)
        self._show()
        if self.form.incomplete or question in (self._answered, self._asked):
            return
        self._asked = question
        # One question at a time to each server; a server that is frozen holds up no other one.
        self.engine_app.ask(
            self,
            f"preview {question.datasource}",
            lambda engine: question.ask(engine, execution),
            lambda preview: self._take_preview(question, preview),
            lambda error: self._no_preview(question, error),
            slow=True,
        )

    def _take_preview(self, question: RestoreQuestion, preview: "RestorePreview") -> None:
        if not self._is_awaited(question):
            return
        problem = preview.outlook.problem if preview.outlook is not None else None
        self._problem = _problem_facts(problem.message, problem.hint) if problem is not None else ()
        self._preview, self._answered = preview, question
        self.engine_app.guard.hear(question.datasource)
        self.form.take_preview(preview)
        self._look()

    def _is_awaited(self, question: RestoreQuestion) -> bool:
        """Whether an answer has not come too late: something else may be chosen by now, and asked."""
        if question == self._asked:
            self._asked = None
        return question == self.form.question

    def _no_preview(self, question: RestoreQuestion, error: DataGuardianError) -> None:
        if not self._is_awaited(question):
            return
        self._preview, self._answered = None, question
        self.form.take_preview(None)
        self._problem = _problem_facts(error.message, error.hint)
        self.engine_app.guard.hear(question.datasource, type(error).__name__)
        self._show()

    # What is shown

    @property
    def word(self) -> str:
        """What has to be typed before something is replaced."""
        if self._preview is None or not self._loses:
            return ""
        return Path(self._preview.target).name if self.form.key("target") == "new" else self._preview.datasource

    def _show(self) -> None:
        preview = self._preview
        self.form.show()
        self.query_one("#confirm-row").display = bool(self.word)
        self.query_one(Facts).show([self._in_own_words(*fact) for fact in self._facts()])
        self.query_one("#confirm-label", Static).update(f"Type  {one_line(self.word)}  to confirm  ")
        reason = self.form.incomplete or self._forbidden()
        wrong = self.query_one("#wrong", Static)
        wrong.update(reason)
        wrong.display = bool(reason)
        self.query_one("#go", Button).disabled = not self._possible()
        self.query_one("#objects", Button).disabled = not (preview and preview.outlook and preview.outlook.objects)

    def _facts(self) -> list[Fact]:
        if self._preview is None:
            return list(self._problem) if self._problem else [("Target", "asking it")]
        _, effect = target_fact(self._preview, self.form.selection)
        facts = [*self._problem, ("Target", effect), *effect_facts(self._preview)]
        if self._answered != self.form.question:
            now = "what is chosen now is not asked yet" if self.form.incomplete else "what the restore would do now"
            facts.insert(0, ("Asking", f"{now}; below is the answer from before"))
        elif self.form.filled and not self.form.safety.wanted and self._preview.way != "beside":
            facts.append(("Warning", "there is no way back once what is kept beside the target is dropped"))
        return facts

    def _in_own_words(self, name: str, text: str) -> Fact:
        return name, in_dialog(text, self.form.offer.kind.new_target) if name in _ADVICE else text

    def _forbidden(self) -> str:
        """What is chosen and cannot work together."""
        preview = self._preview
        if preview is None or self._problem:
            return ""
        if preview.way == "import" and not self.form.safety.wanted:
            return "It is filled in its own place, which needs the safety backup"
        missing = preview.outlook is not None and preview.outlook.missing_roles.costs_something
        if missing and not self.form.ticked("roles"):
            return "Roles are missing: make them first, or tick to go on without them"
        return ""

    def _possible(self) -> bool:
        asked = self._preview is not None and self._answered == self.form.question
        if not asked or self._problem or self.form.incomplete or self._forbidden():
            return False
        return self._word_stands

    @property
    def _word_stands(self) -> bool:
        return self.query_one("#confirm", Input).value.strip() == self.word or not self.word

    # Keys

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Another restore is looked at anew."""
        if event.choice.id in ("target", "datasource"):
            self._preview, self._answered, self._problem = None, None, ()
            self.form.take_preview(None)
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
        if event.input.id in ("name", "paths", "as"):
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

    def action_look_again(self) -> None:
        """Ask the target anew: somebody may have mended it, or written to it."""
        self._answered = None
        self._look()

    @property
    def page_height(self) -> int:
        """The confirmation is always seen, and stands over the rest."""
        return self.scrolled.size.height - self.query_one("#foot").size.height

    def _go(self) -> None:
        if self._possible():
            self.dismiss(self.form.choice(overwrite=self._loses))
        elif not self._word_stands:
            self.ask_for_word(self.word)


def _problem_facts(message: str, hint: str) -> tuple[Fact, ...]:
    return (("Wrong", message), *((("Do", hint),) if hint else ()))
