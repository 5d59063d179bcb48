"""Watching a server from another thread while a block waits for it."""

import threading
from abc import ABC, abstractmethod
from typing import Self

from dgtui.engine.errors import Cancelled, DataGuardianError
from dgtui.engine.threads import Thread


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
