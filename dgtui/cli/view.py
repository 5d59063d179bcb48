"""What shows a run, and which of the ways fits."""

import sys
from collections.abc import Sequence
from typing import Protocol

from dgtui.engine.messages import Message
from dgtui.engine.run_follower import RunSnapshot
from dgtui.wording.terminal import can_redraw, look_of


class View(Protocol):
    """Shows a run while it lasts."""

    def update(self, messages: Sequence[Message], snapshot: RunSnapshot, /) -> None:
        """Take what came since the last call; called many times a second, also where nothing came."""

    def note(self, text: str) -> None:
        """Say something about the watching itself."""

    def close(self) -> None:
        """Leave the terminal as it was found; may be called again."""


def choose_view(title: str, *, as_json: bool, keys: str) -> View:
    """The view that fits: JSON where it is asked for, a panel on a terminal, else plain lines."""
    if as_json:
        from dgtui.cli.json_view import JsonView

        return JsonView()
    if can_redraw(sys.stderr):
        from dgtui.cli.live_view import LiveView
        from dgtui.wording.panel import Panel

        return LiveView(Panel(title=title, look=look_of(sys.stderr), keys=keys), sys.stderr)
    from dgtui.cli.plain_view import PlainView

    return PlainView(title)
