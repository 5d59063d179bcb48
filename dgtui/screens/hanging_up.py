"""The end that comes from outside: a signal, or a terminal that is gone, as when an SSH line drops.

Textual hands its output to a thread that dies with the terminal, after which the event loop waits for that thread for
ever, while another one reads the end of the input again and again. So the loop alone cannot be trusted to end.
"""

import contextlib
import os
import signal
import sys
import termios
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from types import FrameType

from dgtui.engine.threads import Thread, Timer

GRACE_SECONDS = 5.0
"""How long a clean end may take; nothing is lost after it, for runs are processes of their own."""
_LOOK_SECONDS = 1.0


class HangUp:
    """Ends the program with 128 + the signal's number, cleanly if it can, and surely."""

    def __init__(self, loop: AbstractEventLoop, end: Callable[[int], None]) -> None:
        """`end` is called with the exit code, on the loop."""
        self._loop = loop
        self._end = end
        self._begun = threading.Event()
        self._latch = threading.Lock()

    def watch(self) -> None:
        """Take the signals, and look at the terminal from now on. Call from the main thread."""
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, self._take)
        Thread(target=self._watch_terminal, name="terminal", daemon=True).start()

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self._begin(128 + number)

    def _watch_terminal(self) -> None:
        """Nobody sends SIGHUP to a program that was started to ignore it, or whose session has another leader."""
        while not self._begun.wait(_LOOK_SECONDS):
            if not terminal_is_there():
                self._begin(128 + signal.SIGHUP)

    def _begin(self, code: int) -> None:
        # A second signal may come in the midst of the first one's handler, where waiting for a lock would be for ever.
        if not self._latch.acquire(blocking=False):
            return
        self._begun.set()
        insist = Timer(GRACE_SECONDS, os._exit, [code])
        insist.daemon = True
        with contextlib.suppress(RuntimeError):  # without room for it, the clean end is the only one
            insist.start()
        self._loop.call_soon_threadsafe(self._end, code)


def terminal_is_there() -> bool:
    """Whether the terminal that the program draws on still exists."""
    stream = sys.__stdin__
    if stream is None:
        return False
    try:
        termios.tcgetattr(stream.fileno())
    except (termios.error, OSError, ValueError):
        return False
    return True
