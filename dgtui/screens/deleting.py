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
            _confirm_unless_refused(app, one, choice or None)

    app.push_screen(CopyChoiceScreen("Delete which copy?", one, every="the whole backup"), chosen)


def _confirm_unless_refused(app: EngineApp, one: Execution, storage: str | None) -> None:
    """Nobody is asked whether they are sure of what is refused afterwards."""

    def refused(error: DataGuardianError) -> None:
        if _is_last_good(error, one):
            _confirm(app, one, storage)
        else:
            app.show_error(error)

    app.ask(
        app,
        f"need {one.execution_id}",
        lambda engine: engine.refuse_needed(one, storage=storage),
        lambda _: _confirm(app, one, storage),
        refused,
    )


def _is_last_good(error: DataGuardianError, one: Execution) -> bool:
    """Whether it is refused as its job's last good backup, which may be deleted all the same."""
    return error.subject == one.job


def _confirm(app: EngineApp, one: Execution, storage: str | None) -> None:
    what = f"The copy at {storage}" if storage else "The backup at every storage"
    text = [f"{what}, of {one.datasource} from {time_text(one.started_at)}, is deleted.", "This cannot be undone."]

    def answered(sure: bool | None) -> None:
        if sure:
            _delete(app, one, storage, force=False)

    app.push_screen(ConfirmScreen("Delete?", text, yes="Delete"), answered)


def _delete(app: EngineApp, one: Execution, storage: str | None, *, force: bool) -> None:
    def refused(error: DataGuardianError) -> None:
        if not force and _is_last_good(error, one):
            _confirm_last(app, one, storage, error)
        else:
            app.show_error(error)

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
