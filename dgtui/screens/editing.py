"""Making, changing and deleting objects of the configuration, the same in every place that lists some."""

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from dgtui.config import Table
from dgtui.config.store import is_ours, refuse_removal
from dgtui.engine.child import describe_exit
from dgtui.engine.errors import ConfigError
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.tab import TabScreen

if TYPE_CHECKING:
    from dgtui.config import Origin


class EditingScreen(TabScreen):
    """A place whose rows are objects of the configuration."""

    TABLE: ClassVar[Table]
    NEEDS_ROW = frozenset({"edit", "delete"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New", id="object.new", tooltip="Make one with a form"),
        Binding("e", "edit", "Edit", id="object.edit", tooltip="Change it, in a form or in your editor"),
        Binding("d", "delete", "Delete", id="object.delete", tooltip="Remove it from the configuration"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._wish: Callable[[], None] | None = None
        """What a key asked for before the engine was open."""

    def when_ready(self, wish: Callable[[], None]) -> None:
        """Do it now, or as soon as the engine is open: the keys stand there before."""
        self._wish = wish
        self._fulfil()

    def refresh_if_stale(self) -> None:
        """And do what was asked for before the engine was open."""
        super().refresh_if_stale()
        self._fulfil()

    def on_screen_suspend(self) -> None:
        """Who turned to something else waits for it no more."""
        self._wish = None

    def _fulfil(self) -> None:
        if self.engine_app.is_ready:
            wish, self._wish = self._wish, None
            if wish is not None:
                wish()

    def action_new(self) -> None:
        """A form for a new one."""
        self.when_ready(lambda: self.engine_app.edit(self.TABLE, None))

    def action_edit(self) -> None:
        """A form for what was made here, the editor for what a person wrote."""
        if (name := self.listing.key) is not None:
            self.when_ready(lambda: self._edit(name))

    def _edit(self, name: str) -> None:
        config = self.engine_app.config
        if is_ours(config, self.TABLE, name):
            self.engine_app.edit(self.TABLE, name)
        else:
            self._open_editor(config.origin(self.TABLE, name))

    def _open_editor(self, origin: "Origin") -> None:
        words = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
        try:
            editor = shlex.split(words) or ["vi"]
        except ValueError as error:
            self.engine_app.tell(f"EDITOR cannot be read: {error}", hint="Set EDITOR", severity="error")
            return
        # Whatever is raised within leaves the terminal to the editor for good.
        with self.app.suspend():
            code = _run([*editor, f"+{origin.line}", str(origin.file)])
        if isinstance(code, str):
            self.engine_app.tell(f"{editor[0]} could not be started: {code}", hint="Set EDITOR", severity="error")
            return
        if code:
            hint = "What it had saved holds; e opens it again"
            self.engine_app.tell(f"{editor[0]} ended with {describe_exit(code)}", hint=hint, severity="warning")
        self.engine_app.ask(
            self.app, "reload", lambda engine: engine.reload(), lambda _: self.engine_app.config_changed()
        )

    def action_delete(self) -> None:
        """Ask, then remove it."""
        if (name := self.listing.key) is not None:
            self.when_ready(lambda: self._delete(name))

    def _delete(self, name: str) -> None:
        table = self.TABLE
        try:
            # Nobody is asked whether they are sure of what is refused afterwards.
            refuse_removal(self.engine_app.config, table, name)
        except ConfigError as error:
            self.engine_app.show_error(error)
            return
        kind = table.removesuffix("s")

        def answered(sure: bool | None) -> None:
            if sure:
                self.engine_app.ask(
                    self.app,
                    f"remove {table} {name}",
                    lambda engine: engine.remove_object(table, name),
                    lambda _: self.engine_app.config_changed(f"The {kind} {name} was removed"),
                )

        text = [f"The {kind} {name} is removed from the configuration.", "Its backups stay where they are."]
        self.app.push_screen(ConfirmScreen(f"Delete {kind} {name}?", text, yes="Delete"), answered)


def _run(command: Sequence[str]) -> int | str:
    """Run a program to its end; its exit code, or why it could not be started."""
    try:
        return subprocess.run(command, check=False).returncode
    except OSError as error:
        return error.strerror or type(error).__name__
