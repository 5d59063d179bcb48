"""Copies of newest backups at storages that did not answer and do again: what is known of them is from before."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from dgtui.engine.health_model import Watched
from dgtui.engine.model import Copy, Execution

if TYPE_CHECKING:
    from dgtui.screens.tab import TabScreen


class CopiesBack:
    """Asks such a storage once after each check that says that it answers."""

    def __init__(self, screen: "TabScreen", learnt: Callable[[], None]) -> None:
        """`learnt` is called once the catalogue knows more."""
        self._screen = screen
        self._learnt = learnt
        self._asked: dict[str, datetime] = {}
        """By storage the check that it was asked after."""

    def ask(self, backups: Iterable[Execution]) -> None:
        """Ask for those of these backups' copies that could not be reached when they were looked for last."""
        doubtful: dict[tuple[str, datetime], list[Execution]] = defaultdict(list)
        for backup in backups:
            for copy in backup.copies:
                answered_at = self._answered_since(copy)
                if answered_at is not None:
                    doubtful[copy.storage, answered_at].append(backup)
        for (storage, answered_at), some in doubtful.items():
            self._asked[storage] = answered_at
            self._ask(storage, some)

    def _answered_since(self, copy: Copy) -> datetime | None:
        """When the storage of a copy that could not be reached was found to answer; None where it was asked then."""
        if not copy.path or copy.status != "unreachable":
            return None
        state = self._screen.engine_app.guard.pulse.state(Watched(kind="storage", name=copy.storage))
        if not state.answered_after(copy.checked_at) or self._asked.get(copy.storage) == state.checked_at:
            return None
        return state.checked_at

    def _ask(self, storage: str, backups: list[Execution]) -> None:
        self._screen.engine_app.ask(
            self._screen,
            f"copies back at {storage}",
            lambda engine: engine.copies_at(storage, backups),
            self._take,
            slow=True,
        )

    def _take(self, copies: Mapping[str, Copy]) -> None:
        if any(copy.status != "unreachable" for copy in copies.values()):
            self._learnt()
