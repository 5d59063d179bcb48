"""A restore that was made, whole: facts, what came back object by object, and what can be done next."""

from typing import ClassVar, Literal

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Static

from dgtui.engine.model import ENDED
from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_traces import kept_name
from dgtui.screens.dialog import Dialog
from dgtui.wording.dialog_words import in_dialog
from dgtui.wording.restored_text import keys_next, restored_lines
from dgtui.wording.words import short_id

RestoredAction = Literal["undo", "drop", "clean_up", "log"]


class RestoredScreen(Dialog[RestoredAction]):
    """Text to read and to scroll; gives what shall be done next."""

    AUTO_FOCUS = "#box"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "next('undo')", "Undo", id="restored.undo"),
        Binding("x", "next('drop')", "Drop kept", id="restored.drop"),
        Binding("c", "next('clean_up')", "Clean up", id="restored.clean_up"),
        Binding("l", "next('log')", "Log", id="restored.log"),
        Binding("left", "app.focus_previous", "Previous", show=False, id="dialog.previous"),
        Binding("right", "app.focus_next", "Next", show=False, id="dialog.next"),
    ]
    DEFAULT_CSS = """
    RestoredScreen > #box { height: 100%; max-width: 120; }
    RestoredScreen #text { height: auto; }
    RestoredScreen .buttons { dock: bottom; background: $surface; margin-top: 0; }
    """

    def __init__(self, restore: Restore, undone: Restore | None = None) -> None:
        """`undone` is the restore that took it back."""
        super().__init__(f"Restore into {restore.target} · {short_id(restore.restore_id)}")
        self._restore = restore
        self._undone = undone

    def compose_dialog(self) -> ComposeResult:
        """One long text, and the next steps below it."""
        restore, problem = self._restore, self._restore.problem
        if problem is not None:
            told = msgspec.structs.replace(problem, hint=in_dialog(problem.hint))
            restore = msgspec.structs.replace(restore, problem=told)
        lines = restored_lines(restore, keys_next(restore, self._undone), self._undone)
        yield Static(Text("\n".join(lines)), id="text")
        possible = possible_actions(restore)
        with Horizontal(classes="buttons"):
            yield Button("Undo", id="undo", compact=True, disabled="undo" not in possible)
            yield Button("Drop kept", id="drop", compact=True, disabled="drop" not in possible)
            if restore.placing is not None:
                yield Button("Clean up", id="clean_up", compact=True, disabled="clean_up" not in possible)
            yield Button("Log", id="log", compact=True)
            yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        """The arrow keys scroll."""
        box = self.query_one("#box")
        box.can_focus = True
        box.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What cannot be done next has no key."""
        if action == "next":
            return parameters[0] in possible_actions(self._restore)
        return super().check_action(action, parameters)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do it, or go back."""
        if event.button.id == "close":
            self.dismiss(None)
        else:
            self.action_next(event.button.id or "")

    def action_next(self, name: str) -> None:
        """What shall be done next, where it can be."""
        chosen = next((action for action in possible_actions(self._restore) if action == name), None)
        if chosen is not None:
            self.dismiss(chosen)


def possible_actions(restore: Restore) -> tuple[RestoredAction, ...]:
    """What can be done with a restore, as far as its record alone can tell."""
    ended = restore.status in ENDED
    actions: list[RestoredAction] = ["log"]
    if ended:
        # Whether it can be undone is looked up when it is asked for, and told with the reason.
        actions.append("undo")
    if ended and kept_name(restore) is not None:
        actions.append("drop")
    if ended and restore.placing is not None:
        actions.append("clean_up")
    return tuple(actions)
