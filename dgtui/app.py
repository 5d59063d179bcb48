"""The application: places as modes, keys, themes, and what ties the screens together."""

import asyncio
import functools
import gc
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

# Read when Textual is imported: a key is answered within a thirtieth of a second, and nothing glides.
os.environ.setdefault("TEXTUAL_FPS", "30")
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")

from textual import events
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widget import AwaitMount
from textual.widgets import Input

from dgtui.config import Config, state_folder
from dgtui.config.store import load_or_empty, main_path
from dgtui.engine.messages import now
from dgtui.screens.ascii import AsciiFilter
from dgtui.screens.datasources import DatasourcesScreen
from dgtui.screens.engine_app import EngineOpened
from dgtui.screens.errands import ErrandApp
from dgtui.screens.hanging_up import HangUp
from dgtui.screens.key_order import key_name
from dgtui.screens.preferences import Preferences, load_preferences
from dgtui.screens.tab import TABS, TabScreen
from dgtui.screens.themes import STYLE, THEMES, WIDE_COLUMNS
from dgtui.screens.tidying import LOOK_SECONDS, Tidying
from dgtui.screens.widgets.strip import RunStrip
from dgtui.wording.terminal import Look, look_of

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine


_ASCII = AsciiFilter()
_BETWEEN_PLACES_SECONDS = 0.1


def _later(module: str, name: str) -> Callable[[], Screen[None]]:
    """A screen whose module is loaded when it is first shown: the first one stands sooner for it."""

    def load() -> Screen[None]:
        screen: Screen[None] = getattr(import_module(f"dgtui.screens.{module}"), name)()
        return screen

    return load


class DataGuardianApp(ErrandApp):
    """DataGuardian on a terminal."""

    MODES: ClassVar[dict[str, str | Callable[[], Screen[None]]]] = {
        "overview": _later("overview", "OverviewScreen"),
        "datasources": DatasourcesScreen,
        "backups": _later("backups", "BackupsScreen"),
        "jobs": _later("jobs", "JobsScreen"),
        "storages": _later("storages", "StoragesScreen"),
        "notifications": _later("notifications", "NotificationsScreen"),
        "history": _later("history", "HistoryScreen"),
        "audit": _later("audit", "AuditScreen"),
    }
    DEFAULT_MODE = "datasources"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE_COLUMNS, "-wide")]  # noqa: RUF012  # Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"tab('{name}')", title, show=False, id=f"tab.{name}")
            for number, (name, title) in enumerate(TABS.items())
        ),
        Binding("w", "watch", "Running", show=False, id="app.watch", tooltip="The panel of what runs now"),
        Binding("D", "daemon", "Daemon", show=False, id="app.daemon", tooltip="See whether it runs, and start it"),
        Binding("question_mark,f1", "keys", "Keys", id="app.keys", tooltip="All keys"),
        Binding("q", "leave", "Quit", id="app.quit", tooltip="Leave; what runs goes on"),
    ]
    CSS = STYLE

    def __init__(
        self,
        config: Config,
        open_engine: "Callable[[], Engine]",
        *,
        look: Look | None = None,
        preferences: Preferences | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """`open_engine` is called in a thread once the first screen stands."""
        wanted = preferences or Preferences()
        look = look or Look()
        if wanted.signs is not None:
            look = replace(look, unicode=wanted.signs == "unicode")
        super().__init__(config, open_engine, look=look, clock=clock)
        self.title = "DataGuardian"
        self.animation_level = "none"
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = wanted.theme if wanted.theme in self.available_themes else THEMES[0].name
        self.set_keymap(wanted.keys)
        self._wanted = wanted
        self._tidying = Tidying()
        self._is_there = False
        """Whether the place that is opened was made before."""

    # Beginning and end

    def on_load(self) -> None:
        """Let tasks begin in turn, under Python 3.12 and later too.

        Textual has them begin at once there: an Input looks for its screen then before that stands, and the program
        ends (https://github.com/Textualize/textual/issues/6444).
        """
        asyncio.get_running_loop().set_task_factory(None)

    def on_mount(self) -> None:
        """The first screen stands: now open the engine, and be ready to be hung up on."""
        if not self.is_headless:
            HangUp(asyncio.get_running_loop(), self._hang_up).watch()
        self.call_after_refresh(self.open_engine)

    def _hang_up(self, code: int) -> None:
        """The line dropped, or the machine goes down: end cleanly; what runs goes on."""
        self.exit(code, return_code=code)

    def on_engine_opened(self, message: EngineOpened) -> None:
        """Tell what was put right, and let the screens ask."""
        for sentence in message.engine.reconciled:
            self.tell(sentence, severity="warning")
        if (why := message.engine.cannot_record) is not None:
            self.tell(why, severity="warning")
        self.data_changed()
        if not self.config.datasources:
            self.welcome()
        # What is opened first is not held up by its modules then.
        self.asking.ask(self, "screens", self._load_screens, self._tell_mistakes)

    def _load_screens(self) -> list[str]:
        from dgtui.screens.preloading import key_mistakes, load_screens

        if not self._wanted.keys:
            load_screens()
            return []
        return key_mistakes(type(self), self._wanted.keys)

    def _tell_mistakes(self, mistakes: list[str]) -> None:
        """What is wrong in `screens.toml` keeps nobody from working."""
        for mistake in mistakes:
            self.tell(mistake, title="screens.toml", hint="? names the actions and their keys", severity="warning")
        theme = self._wanted.theme
        if theme is not None and theme not in self.available_themes:
            near = [one.name for one in THEMES] + ["ansi-dark", "ansi-light"]
            hint = f"Such as {', '.join(near)}; Ctrl+P, Theme shows all of them"
            self.tell(f"There is no theme {theme!r}", title="screens.toml", hint=hint, severity="warning")
        self._wanted = Preferences()
        if not self.is_headless:
            self.make_places()

    async def action_quit(self) -> None:
        """Leave; where something runs, say first that it goes on."""
        from dgtui.screens.confirm import ConfirmScreen

        if not self.runs:
            self.exit(0)
            return

        def answered(sure: bool | None) -> None:
            if sure:
                self.exit(0)

        titles = [f"{run.info.operation} {run.info.title}" for run in self.runs]
        text = [*titles, "", "It goes on without this program. Start dgtui again to see it, or: dgtui status"]
        self.push_screen(ConfirmScreen("Something is running", text, yes="Leave, it goes on"), answered)

    async def action_leave(self) -> None:
        """The same, by the key of the footer."""
        await self.action_quit()

    # Places

    def make_places(self) -> None:
        """Make the places before they are opened, one at a time, so that keys are answered between them."""
        name = next((name for name in self.MODES if name not in self._screen_stacks), None)
        if name is not None:
            self._init_mode(name)
            self.set_timer(_BETWEEN_PLACES_SECONDS, self.make_places)
        elif not self.is_headless:
            self._tidying.begin()
            self.set_interval(LOOK_SECONDS, self._tidying.tidy)

    async def on_event(self, event: events.Event) -> None:
        """Notice that somebody is there."""
        if isinstance(event, events.InputEvent):
            self._tidying.heard()
        await super().on_event(event)

    def switch_mode(self, mode: str) -> AwaitMount:
        """Change the place; one that is there already is shown at once."""
        self._is_there = mode in self._screen_stacks
        return super().switch_mode(mode)

    def delay_update(self, delay: float = 0.05) -> None:
        """Hide for a moment what is still being made."""
        if not self._is_there:
            super().delay_update(delay)

    # Keys of every place

    def action_tab(self, name: str) -> None:
        """Change the place."""
        if isinstance(self.screen, TabScreen):
            self.switch_mode(name)

    def action_keys(self) -> None:
        """All keys."""
        from dgtui.screens.keys import KeysScreen

        self.push_screen(KeysScreen(self.screen))

    def action_watch(self) -> None:
        """The panel of what runs, of the first one where there are several."""
        from dgtui.screens.run import RunScreen

        if self.runs and not isinstance(self.screen, RunScreen):
            self.watch_run(self.runs[0].info.run_id)
        elif not self.knows_runs:
            self.tell("What runs now is not known yet", hint="w again in a moment")
        elif not self.runs:
            self.tell("Nothing is running")

    def action_daemon(self) -> None:
        """Whether a daemon runs, and the way to start one."""
        from dgtui.screens.daemon import DaemonScreen

        if self.is_ready and isinstance(self.screen, TabScreen):
            self.push_screen(DaemonScreen())

    def on_run_strip_opened(self, message: RunStrip.Opened) -> None:
        """The panel of a run of the strip."""
        self.watch_run(message.run_id)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Where the terminal has no UTF-8, it gets none, whoever draws."""
        filters = super().get_line_filters()
        return filters if self.look.unicode else [*filters, _ASCII]

    def get_key_display(self, binding: Binding) -> str:
        """What stands on the key, in signs that the terminal can show."""
        modifiers, key = binding.parse_key()
        name = key_name(key, self.look) if not binding.key_display else None
        held = ["Shift" if modifier == "shift" else modifier for modifier in modifiers]
        return super().get_key_display(binding) if name is None else "+".join([*held, name])

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action that the place knows, and every place, by name."""
        for name, title in TABS.items():
            yield SystemCommand(f"Go to {title}", f"The place {title}", functools.partial(self.action_tab, name))
        seen: set[tuple[str, str]] = set()
        for active in screen.active_bindings.values():
            binding = active.binding
            # The same may have two keys, of which one has a name of its own in a place.
            told = (binding.description, binding.tooltip or binding.action)
            if binding.id is None or not binding.description or told in seen or binding.id.startswith("tab."):
                continue
            seen.add(told)
            action, node = binding.action, active.node
            yield SystemCommand(
                binding.description,
                binding.tooltip or f"Key {self.get_key_display(binding)}",
                lambda action=action, node=node: self.call_later(self.run_action, action, node),
            )
        if self.is_ready and not self.config.datasources:
            yield SystemCommand("Welcome", "Three steps to a first backup, or the demo", self.welcome)
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)

    def on_command_palette_opened(self) -> None:
        """A cursor that blinks costs 2 kB a second."""
        self.screen.query_one(Input).cursor_blink = False


def run() -> int:
    """Open the screens; the exit code. Raises ConfigError."""
    config, state = load_or_empty(), state_folder()

    def open_engine() -> "Engine":
        # The first screen stands: garbage is collected from here on.
        gc.freeze()
        gc.enable()
        from dgtui.screens.preloading import load_places

        # Small beside the engine, and wanted by the first key.
        load_places()
        from dgtui.engine.facade import Engine

        return Engine(config, state, read_anyway=True)

    # A thread that words thousands of rows hands over after a millisecond, so that keys are answered meanwhile.
    sys.setswitchinterval(0.001)
    preferences = load_preferences(main_path(config).parent)
    app = DataGuardianApp(config, open_engine, look=look_of(sys.__stdout__), preferences=preferences)
    try:
        result = app.run()
    finally:
        app.close_engine()
    return app.return_code or result or 0
