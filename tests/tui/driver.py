"""Drives the screens over a real engine, by keys alone, and waits for what surely comes."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import pytest
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from dgtui.app import DataGuardianApp
from dgtui.config import load_config
from dgtui.engine.facade import Engine
from dgtui.engine.messages import now
from dgtui.screens.run import RunScreen
from dgtui.screens.widgets.facts import Facts
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.styled import Lines, plain
from dgtui.wording.terminal import Look
from tests.support.homes import PATIENCE_SECONDS, Home

WidgetT = TypeVar("WidgetT", bound=Widget)
_KEYS = {" ": "space", "-": "minus", ".": "full_stop", "/": "slash", "_": "underscore", "?": "question_mark"}


def make_app(home: Home, *, look: Look | None = None, clock: Callable[[], datetime] = now) -> DataGuardianApp:
    """The program over a test's home."""
    config = load_config(home.config_path)
    return DataGuardianApp(config, lambda: Engine(config, home.state), look=look, clock=clock)


class Driver:
    """A program under test."""

    def __init__(self, app: DataGuardianApp, pilot: Pilot[Any], messages: list[Message]) -> None:
        self.app = app
        self.pilot = pilot
        self.messages = messages

    @property
    def screen(self) -> Screen[Any]:
        """What is seen."""
        return self.app.screen

    def widget(self, selector: str, kind: type[WidgetT]) -> WidgetT:
        """A widget of the screen that is seen."""
        return self.screen.query_one(selector, kind)

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds; fails where it does not."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                pytest.fail(f"waited in vain for {what}; seen: {self.screen!r}")
            if not self.app.is_running:
                pytest.fail(f"the program ended while waiting for {what}")
            await self.pilot.pause(0.02)

    async def settle(self) -> None:
        """Until every question is answered and shown.

        A pause alone ends once the process has worked little for a moment, as it does where others have the processor.
        """
        for _ in range(2):
            await self.pilot.pause()
            await self.until(self._is_quiet, "answers, and all that follows from them")

    def _is_quiet(self) -> bool:
        """Whether nobody waits for an answer, and no widget has a message before it."""
        widgets = (widget for screen in self.app.screen_stack for widget in screen.walk_children(with_self=True))
        waiting = (pump.message_queue_size or pump._next_callbacks for pump in (self.app, *widgets))
        return self.app.is_ready and self.app.asking.idle and not any(waiting)

    async def press(self, *keys: str) -> None:
        """Press keys, and let what they start come to its end."""
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    async def type(self, text: str) -> None:
        """Type into the focused field."""
        await self.pilot.press(*(_KEYS.get(character, character) for character in text))
        await self.settle()

    async def fill(self, selector: str, text: str) -> None:
        """Go to a field and type."""
        self.widget(selector, Input).focus()
        await self.type(text)

    def rows(self, selector: str) -> list[str]:
        """The rows of a table as text."""
        return ["  ".join(plain(cell) for cell in row.cells) for row in self.widget(selector, Listing).rows]

    def text(self, selector: str) -> str:
        """The text of some lines or of a static text."""
        widget = self.screen.query_one(selector)
        return widget.text if isinstance(widget, Facts | Lines) else str(self.widget(selector, Static).content)

    @property
    def focused(self) -> str | None:
        """The id of the focused widget."""
        return self.screen.focused.id if self.screen.focused is not None else None

    @property
    def toasts(self) -> list[str]:
        """What was told."""
        return [toast.message for toast in self.app._notifications]

    def run_screen(self) -> RunScreen:
        """The running panel, which has to be seen."""
        assert isinstance(self.screen, RunScreen)
        return self.screen

    async def watch_to_end(self) -> RunScreen:
        """Wait for the end of the run whose panel is seen."""
        await self.until(lambda: isinstance(self.screen, RunScreen), "the running panel")
        panel = self.run_screen()
        await self.until(lambda: panel.snapshot.ended, "the end of the run")
        await self.settle()
        return panel


@asynccontextmanager
async def screens(
    home: Home, *, size: tuple[int, int] = (100, 30), look: Look | None = None, ready: bool = True
) -> AsyncIterator[Driver]:
    """The program, open and idle."""
    app = make_app(home, look=look)
    messages: list[Message] = []
    async with app.run_test(size=size, notifications=True, message_hook=messages.append) as pilot:
        driver = Driver(app, pilot, messages)
        if ready:
            await driver.until(lambda: app.is_ready, "the engine")
            await driver.settle()
        yield driver
    app.close_engine()
