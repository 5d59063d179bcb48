"""Watching a server from another thread while a block waits for it."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Self

from dgtui.engine.errors import Cancelled, DataGuardianError
from dgtui.engine.threads import Thread

LOOKS = 4
"""How many vain looks in a row it takes until a server is waited for no more.

Their number decides, and not the clock, which goes on while we are stopped ourselves.
"""


def looks(ended: threading.Event, patience: float) -> Iterator[float]:
    """The moments of looking, `LOOKS` of them in so many seconds however long each look takes, until it has ended."""
    period = patience / LOOKS
    spent = 0.0
    while not ended.wait(max(period - spent, period / LOOKS)):
        begun = time.monotonic()
        yield begun
        spent = time.monotonic() - begun


class SideWatch(ABC):
    """For a block that waits for a server: why the other thread gave it up is raised at its end.

    Where the block was cancelled, that is what it ends with.
    """

    def __init__(self, name: str) -> None:
        self._error: DataGuardianError | None = None
        """Why it was given up."""
        self._ended = threading.Event()
        self._thread = Thread(target=self._watch, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._ended.set()
        if self._error is not None and not isinstance(error, Cancelled):
            raise self._error from None

    @abstractmethod
    def _watch(self) -> None:
        """Look until the block has ended, or give it up."""
