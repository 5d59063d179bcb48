"""Asking storages for the copies of thousands of backups without holding up a key: what is in view first, in steps."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from dgtui.engine.model import Copy, Execution
from dgtui.screens.times import age_text

if TYPE_CHECKING:
    from textual.timer import Timer

    from dgtui.screens.tab import TabScreen

FIRST_STEP = 50
"""How many copies are asked for at first: about what is in view."""
STEP = 500
"""How many at a time afterwards: what comes into view is asked for soon, and few answers make rows be worded anew."""
_JUST_NOW = timedelta(seconds=10)
"""A storage that answered so shortly ago is not woken once more because somebody comes back from a dialog."""
_PATIENCE_SECONDS = 1.0
"""After this a storage without an answer is said to have none."""


class LiveCopies:
    """What storages say of their copies of some backups, as far as they were asked."""

    def __init__(
        self,
        screen: "TabScreen",
        at: Mapping[str, Mapping[str, Execution]],
        in_view: Callable[[], Sequence[str]],
        changed: Callable[[], None],
        confirmed: Callable[[], None],
        learnt: Callable[[], None],
    ) -> None:
        """`at` has the backups by storage and id; `in_view` gives the ids of what is seen now; `changed` is called
        where a state is not what was known, `confirmed` where an answer says nothing but that it still is, `learnt`
        once a storage has told of all of its copies and there was something new."""
        self._screen = screen
        self._in_view = in_view
        self._changed = changed
        self._confirmed = confirmed
        self._learnt = learnt
        self._news: set[str] = set()
        self._at = at
        self._left = {storage: dict(backups) for storage, backups in at.items()}
        self.found: dict[str, dict[str, Copy]] = {storage: {} for storage in at}
        """By storage and execution."""
        self.silent: set[str] = set()
        """The storages that were asked a while ago and have not answered yet."""
        self._waiting: dict[str, Timer] = {}
        self._answered_at: dict[str, datetime] = {}
        """By storage when it told of the last of its copies."""
        self._stopped = False

    def begin(self) -> None:
        """Ask every storage; one that is frozen holds up no other."""
        for storage in self._left:
            self._ask(storage)

    def ask_again(self) -> None:
        """Ask those storages that have not answered just now; what they said before is shown until they answer."""
        for storage in [name for name, moment in self._answered_at.items() if self._now - moment > _JUST_NOW]:
            del self._answered_at[storage]
            self._left[storage] = dict(self._at[storage])
            self._ask(storage)

    @property
    def _now(self) -> datetime:
        return self._screen.engine_app.clock()

    def stop(self) -> None:
        """Others are shown now."""
        self._stopped = True
        for timer in self._waiting.values():
            timer.stop()

    def _ask(self, storage: str) -> None:
        step = self._next_step(storage)
        if step and not self._stopped:
            self._waiting[storage] = self._screen.set_timer(_PATIENCE_SECONDS, lambda: self._is_silent(storage))
            self._screen.engine_app.ask(
                self._screen,
                f"copies {storage}",
                lambda engine: engine.copies_at(storage, step),
                lambda copies: self._take(storage, step, copies),
                slow=True,
            )

    def _is_silent(self, storage: str) -> None:
        """What is shown of it is only what was known before."""
        # The answer may have come between the timer and this.
        if storage in self._waiting and not self._stopped and storage not in self.silent:
            self.silent.add(storage)
            self._changed()

    def _next_step(self, storage: str) -> list[Execution]:
        """Those in view that were not asked for yet, then the others, the newest first."""
        left = self._left[storage]
        chosen = {key: left[key] for key in self._in_view() if key in left}
        enough = STEP if self.found[storage] else FIRST_STEP
        for key, execution in left.items():
            if len(chosen) >= enough:
                break
            chosen[key] = execution
        return list(chosen.values())

    def _take(self, storage: str, step: Sequence[Execution], copies: Mapping[str, Copy]) -> None:
        if self._stopped:
            return
        self._waiting.pop(storage).stop()
        answers_again = storage in self.silent
        self.silent.discard(storage)
        left = self._left[storage]
        for execution in step:
            left.pop(execution.execution_id, None)
        found = dict(copies)
        if any(copy.status == "unreachable" for copy in copies.values()):
            # It does not answer: the rest is not asked.
            found |= {key: _unreachable(one, storage, copies) for key, one in left.items()}
            left.clear()
        is_news = any(self._is_news(storage, key, copy) for key, copy in found.items())
        self.found[storage].update(found)
        if is_news:
            self._news.add(storage)
            self._changed()
        elif answers_again:
            self._changed()
        else:
            self._confirmed()
        if not left:
            self._answered_at[storage] = self._now
        if not left and storage in self._news:
            self._news.discard(storage)
            self._learnt()
        self._ask(storage)

    def _is_news(self, storage: str, key: str, copy: Copy) -> bool:
        known = self.found[storage].get(key) or _copy_at(self._at[storage][key], storage)
        return known is None or known.status != copy.status


def asked_words(copies: Sequence[Copy], silent: Collection[str], now: datetime) -> str:
    """When each storage of a backup said how its copy is, in one word where it was the same moment for all."""
    ages: dict[str, str] = {}
    for copy in copies:
        if copy.storage in silent:
            ages[copy.storage] = "no answer yet"
            if copy.checked_at is not None:
                ages[copy.storage] += f", as it was {age_text(copy.checked_at, now)}"
        elif copy.checked_at is not None:
            ages[copy.storage] = age_text(copy.checked_at, now)
    if len(set(ages.values())) == 1 and not ages.keys() & set(silent):
        return f"storages asked {next(iter(ages.values()))}"
    return "asked: " + "; ".join(f"{storage} {age}" for storage, age in ages.items()) if ages else ""


def _copy_at(execution: Execution, storage: str) -> Copy | None:
    return next((copy for copy in execution.copies if copy.storage == storage and copy.path), None)


def _unreachable(execution: Execution, storage: str, copies: Mapping[str, Copy]) -> Copy:
    """The copy as it is known, at a storage that does not answer; damage that was found stays damage."""
    known = _copy_at(execution, storage) or Copy(storage=storage, status="unreachable", path="")
    if known.status == "corrupt":
        return known
    asked = next(iter(copies.values())).checked_at
    return msgspec.structs.replace(known, status="unreachable", checked_at=asked)
