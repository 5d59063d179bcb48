"""Threads that are only begun where there is room for them."""

import threading

from dgtui.engine.errors import OutOfMemory
from dgtui.engine.memory import NO_THREAD, need_room

_ROOM_FOR_A_THREAD = 16 << 20
"""Its stack takes half of it, and its first steps some of the rest."""


class _Roomy(threading.Thread):
    def start(self) -> None:
        """Begin it. Raises RuntimeError, as Python does where there is no room for its stack."""
        try:
            need_room(_ROOM_FOR_A_THREAD)
        except OutOfMemory as error:
            raise RuntimeError(NO_THREAD) from error
        super().start()


class Thread(_Roomy):
    """A thread that is only begun where there is room for it.

    Where it finds no memory in its first steps, whoever began it waits for them for ever: Python is not told.
    """


class Timer(_Roomy, threading.Timer):
    """The same of a timer."""
