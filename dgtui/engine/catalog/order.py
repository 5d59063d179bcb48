"""The order of what a scan learned: backups of long ago are not the newest because they became known last."""

from collections.abc import Collection
from operator import itemgetter

from dgtui.engine.catalog.database import Database

_Row = tuple[int, str]
"""The sequence of an execution and its time."""


def place_learned(database: Database, learned: Collection[str]) -> None:
    """Give executions that a scan learned (by id) their place by time among the others, which keep their order.

    Where there are no others, they stay as they were learned, job by job in the order of their folders.
    """
    query = "SELECT sequence, started_at, execution_id FROM executions ORDER BY sequence"
    # Nobody begins a run between the look and the change.
    with database.exclusive() as connection:
        rows = connection.execute(query).fetchall()
        known = [(sequence, at) for sequence, at, identity in rows if identity not in learned]
        new = [(sequence, at) for sequence, at, identity in rows if identity in learned]
        if not known:
            return
        order = _merged(known, sorted(new, key=itemgetter(1)))
        moved = [
            {"former": former, "place": -row[0]}
            for (former, _), row in zip(order, rows, strict=True)
            if former != row[0]
        ]
        if not moved:
            return
        # By way of numbers that nobody has: each sequence is there once at any time.
        connection.executemany("UPDATE executions SET sequence = :place WHERE sequence = :former", moved)
        connection.execute("UPDATE executions SET sequence = -sequence WHERE sequence < 0")


def _merged(known: list[_Row], new: list[_Row]) -> list[_Row]:
    """Each new one right after the last known one that is not later."""
    known, new = list(known), list(new)
    backwards = []
    while known and new:
        backwards.append(new.pop() if new[-1][1] >= known[-1][1] else known.pop())
    return [*known, *new, *reversed(backwards)]
