"""How much of a restore is loaded where no reading of the archive tells it: several processes read it at will."""

import threading
from collections.abc import Iterable
from typing import Literal

from dgtui.engine.model import ObjectInfo
from dgtui.engine.reporting import Reporter


class LoadProgress:
    """A reporter that knows the objects of a backup, and so what the loaded ones come to.

    They are measured by the bytes that they took where they were backed up; one that is being loaded counts by its
    rows so far.
    """

    def __init__(self, reporter: Reporter, objects: Iterable[ObjectInfo]) -> None:
        self._reporter = reporter
        self._objects = {entry.name: entry for entry in objects if entry.bytes}
        self._done: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """Bytes of all objects."""
        return sum(entry.bytes or 0 for entry in self._objects.values())

    @property
    def done(self) -> int:
        """Bytes of what is loaded."""
        with self._lock:
            return sum(self._done.values())

    def loaded(self, name: str, rows: int | None = None) -> None:
        """So many rows of an object are loaded, all of them where None."""
        entry = self._objects.get(name)
        if entry is None or entry.bytes is None:
            return
        with self._lock:
            # Who looks at the rows may come later than who hears of the end.
            if rows is None:
                self._done[name] = entry.bytes
            elif not rows or self._done.get(name, 0) < entry.bytes:
                self._done[name] = entry.bytes * min(rows, entry.rows) // entry.rows if entry.rows else 0

    def log(self, text: str, *, origin: str = "dgtui", level: Literal["info", "warning", "error"] = "info") -> None:
        """Add a line to the log."""
        self._reporter.log(text, origin=origin, level=level)

    def current_object(self, name: str, *, number: int = 0, count: int = 0) -> None:
        """Say which object is being worked on now."""
        self._reporter.current_object(name, number=number, count=count)

    def cancelled(self) -> bool:
        """Whether somebody asked for the end."""
        return self._reporter.cancelled()
