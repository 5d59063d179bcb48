"""The undo dialog: how a restore would be taken back, or why it cannot be."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Input, Label, Static

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import Record
from dgtui.engine.restore_model import Restore
from dgtui.screens.dialog import Dialog
from dgtui.screens.restore_choice import SafetyChoice
from dgtui.screens.restore_form import IN_PLACE
from dgtui.screens.widgets.choice import Option, Tick
from dgtui.screens.widgets.facts import Fact, Facts
from dgtui.screens.widgets.safety import SafetyRows
from dgtui.wording.preview_text import warning_facts
from dgtui.wording.restored_text import replaced_too
from dgtui.wording.words import one_line, short_id, time_text

if TYPE_CHECKING:
    from dgtui.engine.undo_choice import UndoChoice

_SPEED = {"kept": "at once", "safety": "as long as a restore takes, with the same checks"}


class UndoDecision(Record, frozen=True):
    """An undo as it was decided."""

    safety: SafetyChoice
    reason: str = ""
    in_place: bool = False


class UndoScreen(Dialog[UndoDecision]):
    """Gives how to undo; the target is asked in the background whether and how that works."""

    AUTO_FOCUS = "#reason"
    ENTER: ClassVar[dict[str, str]] = {"confirm": "Undo it, once the word stands there"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "Next", show=False, id="dialog.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="dialog.previous"),
    ]
    DEFAULT_CSS = """
    UndoScreen .row { height: auto; }
    UndoScreen Label { width: 9; }
    UndoScreen #confirm-label { width: auto; max-width: 60%; height: auto; }
    UndoScreen #how { margin-bottom: 1; }
    """

    def __init__(self, restore: Restore) -> None:
        super().__init__(f"Undo the restore into {restore.target}")
        self._restore = restore
        self._choice: UndoChoice | None = None
        self._problem = ""

    def compose_dialog(self) -> ComposeResult:
        """How, why, and the confirmation."""
        yield Facts(id="how")
        with Horizontal(classes="row", id="in-place-row"):
            yield Label("No swap")
            yield Tick(IN_PLACE, value=False, id="in-place")
        yield SafetyRows([], self.engine_app.look)
        with Horizontal(classes="row", id="reason-row"):
            yield Label("Reason")
            yield Input(id="reason", compact=True, placeholder="why, for the record")
        with Horizontal(classes="row", id="confirm-row"):
            yield Static(f"Type  {one_line(self.word)}  to confirm  ", id="confirm-label", markup=False)
            yield Input(id="confirm", compact=True)
        with Horizontal(classes="buttons"):
            yield Button("Undo", id="go", variant="error", compact=True, disabled=True)
            yield Button("Cancel", id="no", compact=True)

    @property
    def word(self) -> str:
        """What has to be typed: the name of what is replaced."""
        settings = self.engine_app.config.datasources.get(self._restore.datasource)
        is_own = settings is not None and settings.source == self._restore.target
        return self._restore.datasource if is_own else Path(self._restore.target).name

    def on_mount(self) -> None:
        """Ask whether and how."""
        restore = self._restore
        self._show()
        self.engine_app.ask(
            self,
            f"undo {restore.restore_id}",
            lambda engine: engine.undo_choice(restore),
            self._take,
            self._fail,
            slow=True,
        )

    def _take(self, choice: "UndoChoice") -> None:
        self._choice = choice
        if choice.way is None:
            self._refuse()
            return
        names = [Option(name, name) for name in self.engine_app.config.storages]
        usual = [Option("", "where the safety backup lies")] if choice.execution_id is not None else []
        # What is swapped out is kept in its turn; what is filled anew is not.
        self.query_one(SafetyRows).offer([*usual, *names], wanted=choice.way == "safety")
        self._show()

    def _fail(self, error: DataGuardianError) -> None:
        self._problem = error.message
        self._refuse()

    def _refuse(self) -> None:
        """Where nothing can be undone nothing is asked for, and there is only the way back."""
        self.query_one("#reason-row").display = False
        self.query_one("#no", Button).focus()
        self._show()

    def _facts(self) -> list[Fact]:
        restore, choice = self._restore, self._choice
        facts = [("Restore", f"{short_id(restore.restore_id)} of {time_text(restore.started_at)}, {restore.status}")]
        if self._problem:
            return [*facts, ("Wrong", self._problem)]
        if choice is None:
            return [*facts, ("How", "asking the datasource")]
        if choice.way is None:
            later = [("Next", choice.hint)] if choice.hint else []
            return [*facts, ("Wrong", f"It cannot be undone. {choice.text}"), *later]
        facts += [("How", choice.text), ("Time", _SPEED[choice.way])]
        facts += warning_facts(choice.backup_warnings, "safety backup", choice.execution_id or "")
        where = f"to {restore.target}" if choice.part is None else "to what comes back"
        kept = "; it is kept beside" if choice.way == "kept" else ""
        facts.append(("Goes", f"what was written {where} since {time_text(restore.finished_at)}{kept}"))
        if choice.obstacle:
            facts.append(("No swap", choice.obstacle))
        if choice.later:
            facts.append(("Note", replaced_too(choice.later, restore.target)))
        return facts

    def _show(self) -> None:
        possible = self._choice is not None and self._choice.possible
        self.query_one(Facts).show(self._facts())
        self.query_one(SafetyRows).display = possible
        self.query_one("#confirm-row").display = possible
        self.query_one("#in-place-row").display = self._needs_in_place
        self.query_one("#go", Button).disabled = not self._confirmed

    @property
    def _confirmed(self) -> bool:
        possible = self._choice is not None and self._choice.possible
        if self._needs_in_place and not self.query_one("#in-place", Tick).value:
            return False
        return possible and self._word_stands

    @property
    def _word_stands(self) -> bool:
        return self.query_one("#confirm", Input).value.strip() == self.word

    @property
    def _needs_in_place(self) -> bool:
        """Whether it has to be filled in its own place, and that is still to be decided."""
        choice = self._choice
        return choice is not None and bool(choice.obstacle) and not self._restore.partly_filled

    def on_tick_changed(self) -> None:
        """What cannot be swapped is undone only where that was ticked."""
        self.query_one("#go", Button).disabled = not self._confirmed

    def on_input_changed(self) -> None:
        """Only the very word opens the button."""
        self.query_one("#go", Button).disabled = not self._confirmed

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on, and undoes from the confirmation."""
        if event.input.id == "confirm":
            self._go()
        else:
            self.app.action_focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Undo, or not."""
        if event.button.id == "go":
            self._go()
        else:
            self.dismiss(None)

    def _go(self) -> None:
        if self._confirmed:
            reason = self.query_one("#reason", Input).value.strip()
            in_place = self._needs_in_place and self.query_one("#in-place", Tick).value
            safety = self.query_one(SafetyRows).choice
            self.dismiss(UndoDecision(safety=safety, reason=reason, in_place=in_place))
        elif not self._word_stands:
            self.ask_for_word(self.word)
