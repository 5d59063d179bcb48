"""Deleting a backup, or one copy of it, after the questions that this needs."""

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import Execution
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.copies import CopyChoiceScreen
from dgtui.screens.engine_app import EngineApp
from dgtui.wording.words import time_text


def ask_delete(app: EngineApp, one: Execution) -> None:
    """Ask which copy, and whether it is meant; then delete it."""

    def chosen(choice: str | None) -> None:
        if choice is not None:
            _confirm(app, one, choice or None)

    app.push_screen(CopyChoiceScreen("Delete which copy?", one, every="the whole backup"), chosen)


def _confirm(app: EngineApp, one: Execution, storage: str | None) -> None:
    what = f"The copy at {storage}" if storage else "The backup at every storage"
    text = [f"{what}, of {one.datasource} from {time_text(one.started_at)}, is deleted.", "This cannot be undone."]

    def answered(sure: bool | None) -> None:
        if sure:
            _delete(app, one, storage, force=False)

    app.push_screen(ConfirmScreen("Delete?", text, yes="Delete"), answered)


def _delete(app: EngineApp, one: Execution, storage: str | None, *, force: bool) -> None:
    def refused(error: DataGuardianError) -> None:
        if force or error.subject != one.job:
            app.show_error(error)
        else:
            _confirm_last(app, one, storage, error)

    app.ask(
        app,
        f"delete {one.execution_id}",
        lambda engine: engine.delete(one, storage=storage, force=force),
        app.deleted,
        refused,
        slow=True,
    )


def _confirm_last(app: EngineApp, one: Execution, storage: str | None, error: DataGuardianError) -> None:
    """The last good backup goes only where its job's name is typed."""

    def answered(sure: bool | None) -> None:
        if sure:
            _delete(app, one, storage, force=True)

    text = [error.message + ".", "After this nothing of it can be restored any more."]
    app.push_screen(ConfirmScreen("Delete the last good backup?", text, yes="Delete", word=one.job), answered)
