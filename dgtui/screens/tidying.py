"""Looking for garbage while nobody waits for an answer: among thousands of backups it takes longer than a key may."""

import gc
import time
from collections.abc import Callable

YOUNG = 2000
"""How many new objects there are when the young ones are looked through."""
_NEVER = 1_000_000
QUIET_SECONDS = 2.0
"""How long nobody has typed when all of them are looked through."""
DUE = 10
TOO_MANY = 200
"""After so many rounds through the young ones the old ones are due, or are looked through whoever types."""
LOOK_SECONDS = 5.0


class Tidying:
    """Takes it from Python when all objects are looked through."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_input = clock()

    def begin(self) -> None:
        """What was made until now stays for good, and is not looked through again."""
        gc.freeze()
        gc.set_threshold(YOUNG, gc.get_threshold()[1], _NEVER)

    def heard(self) -> None:
        """Somebody pressed a key or moved the mouse."""
        self._last_input = self._clock()

    def is_due(self, rounds: int) -> bool:
        """Whether to look through all of them now, after so many rounds through the young ones."""
        quiet = self._clock() - self._last_input >= QUIET_SECONDS
        return rounds >= TOO_MANY or (quiet and rounds >= DUE)

    def tidy(self) -> None:
        """Look through all of them where it is due."""
        if self.is_due(gc.get_count()[2]):
            gc.collect()
