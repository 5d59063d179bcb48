"""Keeping what others write into a part of a target from its safety backup on until it is replaced."""

import contextlib
from collections.abc import Iterator

from dgtui.engine.errors import StorageError
from dgtui.engine.late_rows import drop_late_rows, kept_late_rows
from dgtui.engine.restore_model import LateRows
from dgtui.engine.restore_swap import Replacement
from dgtui.engine.restore_task import TargetTask


def late_rows_of(task: TargetTask) -> LateRows | None:
    """Where that is kept; asked before the safety backup is begun, and None where it is nowhere.

    Raises DatabaseConnectionError.
    """
    if not task.order.safety or not task.target.keeps_late_rows:
        return None
    return LateRows(since=task.target.write_mark(task.order.database), path=str(task.late_rows))


@contextlib.contextmanager
def late_rows_told(replacement: Replacement, late: LateRows | None) -> Iterator[None]:
    """Around a replacement: the record says where they are, and nothing of them is left where it was not made."""
    try:
        yield
    except BaseException:
        if late is not None and not replacement.touched:
            with contextlib.suppress(StorageError):
                drop_late_rows(late)
        raise
    if warnings := kept_late_rows(late):
        replacement.note(warnings=(*replacement.record.warnings, *warnings))
