"""The history: every execution, restore and rehearsal, and why something failed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import RESTORABLE, Execution
from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_traces import left_behind, undone_by
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.dropping import ask_drop
from dgtui.screens.execution import ExecutionScreen
from dgtui.screens.log import LogScreen
from dgtui.screens.marking import MarkRestoredScreen
from dgtui.screens.past import Done, Past, details_of, gather_past, key_of, run_of
from dgtui.screens.past_rows import COLUMNS, past_rows
from dgtui.screens.restored import RestoredScreen, possible_actions
from dgtui.screens.tab import TabScreen
from dgtui.screens.themes import WIDE_COLUMNS
from dgtui.screens.undo import UndoDecision, UndoScreen
from dgtui.screens.widgets.details import Details, trouble_lines
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Row
from dgtui.screens.widgets.styled import span
from dgtui.wording.dialog_words import in_dialog
from dgtui.wording.panel import Line, Span
from dgtui.wording.words import short_id

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine

FILTERS: dict[str, frozenset[str] | None] = {
    "all": None,
    "failed": frozenset({"failed", "interrupted", "partial"}),
    "cancelled": frozenset({"cancelled"}),
    "completed": RESTORABLE,
    "running": frozenset({"queued", "running"}),
}


class HistoryScreen(TabScreen):
    """What happened."""

    TAB = "history"
    OPENS: ClassVar[dict[str, str]] = {"history": "Details"}
    NEEDS_ROW = frozenset({"log", "undo", "drop", "mark", "clean_up"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "status", "Status", id="history.status", tooltip="Show only what ended like this"),
        Binding("l", "log", "Log", id="history.log", tooltip="The whole log of the selected one"),
        Binding("u", "undo", "Undo", id="history.undo", tooltip="Put back what the selected restore replaced"),
        Binding("x", "drop", "Drop kept", id="history.drop", tooltip="Drop the former content that it has kept"),
        Binding("m", "mark", "Mark restored", id="history.mark", tooltip="Record a restore that was done by hand"),
        Binding("c", "clean_up", "Clean up", id="history.clean_up", tooltip="Clear up what it left when it was cut"),
    ]

    DEFAULT_CSS = """
    HistoryScreen Details { height: 4; }
    HistoryScreen.-narrow Details { height: 5; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._past = Past(executions=(), restores=())
        self._status = "all"
        self._keys: tuple[str, ...] = ()
        self._is_known = False
        """Whether the engine has answered yet."""
        self._was_narrow = False

    def compose_content(self) -> ComposeResult:
        """The table, and below it why the selected one failed."""
        yield Listing(COLUMNS, id="history", empty="Nothing was done yet")
        yield Details(self.engine_app.look, id="details")

    def gather(self) -> None:
        """Ask for everything that was done."""
        self.engine_app.ask(self, "history", gather_past, self._take, self.show_failure, about="all")

    def _take(self, past: Past) -> None:
        self._past, self._is_known = past, True
        self._show()

    def _show(self) -> None:
        """Word the rows in a thread: a thousand of them would hold up the keys."""
        wanted, past, look, narrow = FILTERS[self._status], self._past, self.engine_app.look, self._is_narrow
        empty = "Nothing was done yet" if wanted is None else f"Nothing here is {self._status}; f shows others"
        self.engine_app.asking.ask(
            self,
            "history rows",
            lambda: past_rows(past, wanted, look, narrow=narrow),
            lambda rows: self._show_rows(rows, empty),
        )

    @property
    def _is_narrow(self) -> bool:
        return self.size.width < WIDE_COLUMNS

    def on_resize(self) -> None:
        """Where there is little room, times are told to the minute."""
        if self._was_narrow != self._is_narrow:
            self._was_narrow = self._is_narrow
            if self._is_known:
                self._show()

    def _show_rows(self, rows: list[Row], empty: str) -> None:
        self.query_one("#history", Listing).show(rows, empty=empty)
        self._show_details()

    @property
    def selected(self) -> "Done | None":
        """What is under the cursor."""
        key, past = self.query_one("#history", Listing).key, self._past
        return next((one for one in past.everything if key_of(one) == key), None)

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Tell why it failed."""
        self._show_details()

    def _show_details(self) -> None:
        one = self.selected
        lines: list[Line] = [] if self._status == "all" else [(Span(f" Shown: {self._status}", "dim"),)]
        rest: list[Line] = []
        if one is not None and one.problem is not None:
            lines += trouble_lines(one.problem.message, in_dialog(one.problem.hint), "bad", self.engine_app.look)
            rest = [(span(" " + "  ".join(one.problem.detail[-2:]), "dim"),)]
        if one is not None:
            rest += details_of(one, self._past)
        self.query_one("#details", Details).show(lines, rest)
        self._show_keys()

    # What can be done with the selected one

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that can do nothing for the selected one are greyed, and the rare one is hidden."""
        known = super().check_action(action, parameters)
        if not known or action not in ("undo", "drop", "mark", "clean_up") or not self.is_mounted:
            return known
        if action in self._possible():
            return True
        return False if action in ("mark", "clean_up") else None

    def _possible(self) -> tuple[str, ...]:
        one = self.selected
        if isinstance(one, Restore):
            return possible_actions(one)
        return ("mark",) if isinstance(one, Execution) and one.status in RESTORABLE else ()

    def _show_keys(self) -> None:
        """The footer is drawn anew only where its keys change."""
        if self._possible() != self._keys:
            self._keys = self._possible()
            self.refresh_bindings()

    def action_undo(self) -> None:
        """Say how it would be undone, and ask."""
        restore = self.selected
        if not isinstance(restore, Restore):
            return

        def decided(decision: UndoDecision | None) -> None:
            if decision is not None:
                safety = decision.safety
                self.engine_app.start(
                    lambda engine: engine.start_undo(
                        restore,
                        reason=decision.reason,
                        safety=safety.wanted,
                        safety_to=safety.storage,
                        in_place=decision.in_place,
                    ),
                    f"Undo {short_id(restore.restore_id)}",
                )

        self.app.push_screen(UndoScreen(restore), decided)

    def action_drop(self) -> None:
        """Drop what a restore has kept, after a question."""
        restore = self.selected
        if isinstance(restore, Restore):
            ask_drop(self.engine_app, restore, self._change)

    def action_mark(self) -> None:
        """Record that somebody restored the selected backup by hand."""
        if isinstance(self.selected, Execution):
            self.app.push_screen(MarkRestoredScreen(self.selected))

    def action_clean_up(self) -> None:
        """Bring an interrupted restore to a clean end, after a question."""
        restore = self.selected
        if not isinstance(restore, Restore) or restore.placing is None:
            return
        if restore.partly_filled:
            self._finish(restore)
            return
        text = [
            f"It left {', '.join(left_behind(restore))}.",
            f"What is not in the place of {restore.target} is removed.",
        ]

        def answered(sure: bool | None) -> None:
            if sure:
                self._change("clean up", lambda engine: engine.cleanup_restore(restore))

        self.app.push_screen(ConfirmScreen("Clean up after the restore?", text, yes="Clean up"), answered)

    def _finish(self, restore: Restore) -> None:
        """Import once more, to its end, what was cut while it filled its target, after a question."""
        text = [
            f"{restore.target} is only partly filled. The backup is imported once more, to its end.",
            "To put back what it held before, undo the restore instead.",
        ]

        def answered(sure: bool | None) -> None:
            if sure:
                self.engine_app.start(
                    lambda engine: engine.finish_restore(restore), f"Finish {short_id(restore.restore_id)}"
                )

        self.app.push_screen(
            ConfirmScreen("Finish the restore?", text, yes="Finish", word=restore.datasource), answered
        )

    def _change(self, name: str, change: "Callable[[Engine], tuple[str, ...]]") -> None:
        def done(sentences: tuple[str, ...]) -> None:
            for sentence in sentences:
                self.engine_app.tell(sentence)
            self.engine_app.data_changed()

        def failed(error: DataGuardianError) -> None:
            # Somebody else may have done it meanwhile: what is shown is asked for again.
            self.engine_app.show_error(error)
            self.engine_app.data_changed()

        self.engine_app.ask(self, f"history {name}", change, done, failed, slow=True)

    def action_status(self) -> None:
        """Show only the next kind of end."""
        names = list(FILTERS)
        self._status = names[(names.index(self._status) + 1) % len(names)]
        self._show()

    def on_listing_opened(self) -> None:
        """Everything about a backup or a restore; of a rehearsal, about its backup."""
        one = self.selected
        if isinstance(one, Execution):
            self.app.push_screen(ExecutionScreen(one))
        elif isinstance(one, Restore):
            self.app.push_screen(RestoredScreen(one, undone_by(one, self._past.restores)), self._do)
        elif one is not None:
            self._show_rehearsed(one.execution_id)

    def _show_rehearsed(self, execution_id: str) -> None:
        def show(execution: Execution) -> None:
            self.app.push_screen(ExecutionScreen(execution))

        self.engine_app.ask(self, f"rehearsed {execution_id}", lambda engine: engine.execution(execution_id), show)

    def _do(self, action: str | None) -> None:
        if action is not None:
            self.call_later(self.run_action, action)

    def action_log(self) -> None:
        """The whole log of the selected one."""
        key = self.query_one("#history", Listing).key
        if key is not None:
            self.app.push_screen(LogScreen(run_of(key, self._past), short_id(key)))
