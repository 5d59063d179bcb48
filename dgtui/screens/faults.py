"""Faults of the program itself on the screens: told as the commands tell them; none where it comes to its end."""

import os
import sys

from rich.text import Text
from textual.app import App
from textual.css.query import NoMatches


class FaultApp(App[int]):
    """An application that shows nobody the values of its variables."""

    def _handle_exception(self, error: Exception) -> None:
        """End the program, unless it is ending: what is looked for on a screen that is taken away is not there."""
        if not (self._exit and isinstance(error, NoMatches)):
            super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End after a fault; Textual's own way prints all variables, and with them what is secret."""
        kind, error, trace = sys.exc_info()
        if os.environ.get("DGTUI_TRACEBACK") and kind is not None and error is not None:
            from rich.traceback import Traceback

            self._exit_renderables.append(Traceback.from_exception(kind, error, trace))
        else:
            self._exit_renderables.append(
                Text(
                    f"error: a fault of dgtui itself: {type(error).__name__}: {error}\n"
                    "  hint: please report it, with what DGTUI_TRACEBACK=1 shows when you do the same again"
                )
            )
        self._close_messages_no_wait()
