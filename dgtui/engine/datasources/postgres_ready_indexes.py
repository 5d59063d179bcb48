"""Indexes and keys that are made while other tables are still being filled."""

import threading
from collections.abc import Iterable, Mapping, Sequence

from dgtui.engine.datasources.postgres_toc import TocEntry

INDEX_KINDS = frozenset({"INDEX", "CONSTRAINT"})
"""Indexes, and the keys that make one."""


class ReadyIndexes:
    """Gives what rests on filled tables to whoever has nothing else to do, as long as other tables are being filled.

    Never two of one table at once: a key waits for an index that is being made, and the other way round.
    """

    def __init__(self, by_table: Mapping[int, Sequence[TocEntry]], tables: Iterable[TocEntry]) -> None:
        """`by_table` is found by the entries with the rows, of which `tables` are all that will be filled."""
        self.given: list[TocEntry] = []
        self._by_table = {table: list(entries) for table, entries in by_table.items()}
        self._unfilled = {entry.dump_id for entry in tables}
        self._ready: list[int] = []
        self._changed = threading.Condition()

    def fill(self, tables: Iterable[TocEntry]) -> None:
        """The rows of these are loaded."""
        with self._changed:
            numbers = [entry.dump_id for entry in tables]
            self._unfilled.difference_update(numbers)
            self._ready += [number for number in numbers if self._by_table.get(number)]
            self._changed.notify_all()

    def take(self) -> tuple[int, TocEntry] | None:
        """The table and what is to be made of it; waits for one, and is None as soon as all tables are filled."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or not self._unfilled)
            if not self._unfilled:
                return None
            table = self._ready.pop(0)
            self.given.append(self._by_table[table].pop(0))
            return table, self.given[-1]

    def made(self, table: int) -> None:
        """What was taken of this table is made."""
        with self._changed:
            if self._by_table[table]:
                self._ready.append(table)
            self._changed.notify_all()

    def close(self) -> None:
        """Give no more, and let nobody wait."""
        with self._changed:
            self._unfilled.clear()
            self._changed.notify_all()


def indexes_by_table(
    before: Iterable[TocEntry], tables: Iterable[TocEntry], after: Iterable[TocEntry]
) -> dict[int, list[TocEntry]]:
    """What of `after` can be made as soon as one table is filled, by the entry with its rows.

    It rests on what was made `before` alone, and holds no expression, whose functions might read other tables.
    """
    made = {entry.dump_id for entry in before}
    rows = {dependency: entry.dump_id for entry in tables for dependency in entry.dependencies}
    found: dict[int, list[TocEntry]] = {}
    for entry in after:
        on = {rows[dependency] for dependency in entry.dependencies if dependency in rows}
        if len(on) == 1 and made.issuperset(entry.dependencies) and _plain(entry):
            found.setdefault(on.pop(), []).append(entry)
    return found


def _plain(entry: TocEntry) -> bool:
    return entry.kind in INDEX_KINDS and entry.definition.count("(") == 1 and " WHERE " not in entry.definition
