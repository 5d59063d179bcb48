"""Dropping what a restore has kept, after a question that tells whether there is another way back."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_traces import kept_name
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.engine_app import EngineApp
from dgtui.wording.words import short_id

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine
    from dgtui.engine.replaced import Kept

Change = Callable[["Engine"], tuple[str, ...]]


def ask_drop(app: EngineApp, restore: Restore, change: Callable[[str, "Change"], None]) -> None:
    """Ask whether it is meant; `change` then does it under a name."""
    kept_as = kept_name(restore)
    if kept_as is None:
        return

    def answered(sure: bool | None) -> None:
        if sure:
            change("drop", lambda engine: (f"{engine.drop_replaced(restore).target}: dropped",))

    def ask(kept: "list[Kept]") -> None:
        gone = any(one.only_way_back for one in kept if one.restore_id == restore.restore_id)
        text = [f"{kept_as}, the former content of {restore.target}, is dropped.", _way_back(restore, gone=gone)]
        app.push_screen(
            ConfirmScreen("Drop what is kept?", text, yes="Drop", word=short_id(restore.restore_id)), answered
        )

    app.ask(app, f"kept {restore.restore_id}", lambda engine: engine.kept_replaced(), ask)


def _way_back(restore: Restore, *, gone: bool) -> str:
    if restore.safety_execution_id is not None and not gone:
        return "Undo is then a restore of its safety backup."
    why = "Its safety backup is gone" if gone else "There is no safety backup"
    return f"{why}: after this the restore cannot be undone."
