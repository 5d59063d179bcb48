"""Asking storages for the copies of thousands of backups without holding up a key: what is in view first, in steps."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from dgtui.engine.model import Copy, Execution

if TYPE_CHECKING:
    from dgtui.screens.tab import TabScreen

STEP = 50
"""How many copies are asked for at a time, so that what comes into view is asked for soon."""


class LiveCopies:
    """What storages say of their copies of some backups, as far as they were asked."""

    def __init__(
        self,
        screen: "TabScreen",
        executions: Sequence[Execution],
        storages: Sequence[str],
        in_view: Callable[[], Sequence[str]],
        changed: Callable[[], None],
    ) -> None:
        """`in_view` gives the ids of what is seen now; `changed` is called where a state is not what was known."""
        self._screen = screen
        self._in_view = in_view
        self._changed = changed
        self._executions = {one.execution_id: one for one in executions}
        self._left: dict[str, dict[str, Execution]] = {
            storage: {one.execution_id: one for one in executions if _copy_at(one, storage) is not None}
            for storage in storages
        }
        self.found: dict[str, dict[str, Copy]] = {storage: {} for storage in storages}
        """By storage and execution."""
        self._stopped = False

    def begin(self) -> None:
        """Ask every storage; one that is frozen holds up no other."""
        for storage in self._left:
            self._ask(storage)

    def stop(self) -> None:
        """Others are shown now."""
        self._stopped = True

    def _ask(self, storage: str) -> None:
        step = self._next_step(storage)
        if step and not self._stopped:
            self._screen.engine_app.ask(
                self._screen,
                f"copies {storage}",
                lambda engine: engine.copies_at(storage, step),
                lambda copies: self._take(storage, step, copies),
                slow=True,
            )

    def _next_step(self, storage: str) -> list[Execution]:
        """Those in view that were not asked for yet, then the others, the newest first."""
        left = self._left[storage]
        chosen = {key: left[key] for key in self._in_view() if key in left}
        for key, execution in left.items():
            if len(chosen) >= STEP:
                break
            chosen[key] = execution
        return list(chosen.values())

    def _take(self, storage: str, step: Sequence[Execution], copies: Mapping[str, Copy]) -> None:
        if self._stopped:
            return
        left = self._left[storage]
        for execution in step:
            left.pop(execution.execution_id, None)
        found = dict(copies)
        if any(copy.status == "unreachable" for copy in copies.values()):
            # It does not answer: the rest is not asked.
            found |= {key: _unreachable(one, storage, copies) for key, one in left.items()}
            left.clear()
        self.found[storage].update(found)
        if any(self._is_news(storage, key, copy) for key, copy in found.items()):
            self._changed()
        self._ask(storage)

    def _is_news(self, storage: str, key: str, copy: Copy) -> bool:
        known = _copy_at(self._executions[key], storage)
        return known is None or known.status != copy.status


def _copy_at(execution: Execution, storage: str) -> Copy | None:
    return next((copy for copy in execution.copies if copy.storage == storage and copy.path), None)


def _unreachable(execution: Execution, storage: str, copies: Mapping[str, Copy]) -> Copy:
    """The copy as it is known, at a storage that does not answer; damage that was found stays damage."""
    known = _copy_at(execution, storage) or Copy(storage=storage, status="unreachable", path="")
    if known.status == "corrupt":
        return known
    asked = next(iter(copies.values())).checked_at
    return msgspec.structs.replace(known, status="unreachable", checked_at=asked)
