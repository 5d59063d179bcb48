"""What all dialogs share: a box in the middle, its title, and how it is left."""

from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input
from textual.widgets._toast import ToastRack

from dgtui.screens.engine_app import EngineApp
from dgtui.screens.key_order import in_order
from dgtui.wording.words import cells

ResultT = TypeVar("ResultT")

_TOAST_ROWS = 5
"""The height of a usual toast, and a blank row."""
_GAP = "  "
"""Between two keys in the frame."""
_SCROLLS = ("scroll_up", "scroll_down", "page_up", "page_down")
_FRAME = 3
"""Columns between the last of them and the edge of the box."""
_ALWAYS_SHOWN = 2
"""The last ones in the frame: how to leave, and how to see all keys."""


class Box(VerticalScroll):
    """What scrolls in a dialog; only where it has the focus itself does it take keys from the dialog."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A box that is taller than the terminal would take the arrows that move the focus."""
        scrolls = action.startswith(("scroll", "page"))
        return super().check_action(action, parameters) if self.has_focus or not scrolls else False

    def on_resize(self) -> None:
        """Another height, another place for what is told meanwhile."""
        if isinstance(self.screen, Dialog):
            self.call_after_refresh(self.screen.place_toasts)
            self.call_after_refresh(self.screen.show_keys)


class Dialog(ModalScreen[ResultT], Generic[ResultT]):
    """A box over the place it was opened from; `Esc` closes it without a result."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="dialog.close"),
        Binding("question_mark,f1", "app.keys", "Keys", show=False, id="app.keys", tooltip="All keys"),
        Binding("tab", "app.focus_next", "Next field", show=False, id="focus.next"),
        Binding("shift+tab", "app.focus_previous", "Previous field", show=False, id="focus.previous"),
        Binding("pagedown", "page(1)", "Further down", show=False, id="dialog.page_down"),
        Binding("pageup", "page(-1)", "Further up", show=False, id="dialog.page_up"),
    ]
    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog > #box {
        width: 100%; max-width: 100; height: auto; max-height: 100%;
        border: round $primary; border-title-color: $text; border-subtitle-color: $text-muted;
        background: $surface; padding: 0 1; scrollbar-size-vertical: 1;
    }
    Dialog.-ascii > #box { border: ascii $primary; }
    Dialog .buttons { height: 1; margin-top: 1; }
    Dialog .hint { color: $text-muted; height: auto; }
    Dialog .wrong { color: $text-error; height: auto; }
    Dialog Input { width: 1fr; height: 1; border: none; padding: 0 1; background: $panel; }
    Dialog Input:focus { background: $primary-muted; border: none; }
    Dialog Input:focus:ansi { color: ansi_bright_white; }
    Dialog Input.-invalid { border: none; }
    Dialog Label { height: 1; }
    """

    ENTER: ClassVar[Mapping[str, str]] = {}
    """What Enter does in a field to type in, by its id; in all others it goes to the next one."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._box_title = title
        self._shown_keys: dict[str, ActiveBinding | None] = {}
        """What the frame tells, and what a click on it does."""
        self._is_paged = False
        """Whether it was scrolled away from the field that has the focus."""

    @property
    def engine_app(self) -> EngineApp:
        """The application, by its full type."""
        return cast("EngineApp", self.app)

    def compose(self) -> ComposeResult:
        """The box with the dialog's content."""
        with Box(id="box", can_focus=False):
            yield from self.compose_dialog()

    def compose_dialog(self) -> ComposeResult:
        """What the box holds."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Title without markup, and no blinking: that costs bytes."""
        self.query_one("#box").border_title = Content(self._box_title)
        self.set_class(not self.engine_app.look.unicode, "-ascii")
        for field in self.query(Input):
            field.cursor_blink = False
        self.call_after_refresh(self.show_keys)
        # Whether there is room for all of it turns out with the layout.
        self.watch(self.scrolled, "show_vertical_scrollbar", self.show_keys, init=False)
        # The focus was given, and scrolled to, before anybody knew how high all of it is.
        self.watch(self.scrolled, "virtual_size", self._show_focused, init=False)

    def _show_focused(self) -> None:
        """What Enter presses is seen, unless somebody looks at something else."""
        if self.focused is not None and not self._is_paged:
            # After the refresh in which Textual scrolls to where it was before.
            self.call_after_refresh(self.call_after_refresh, self.focused.scroll_visible, animate=False)

    def on_descendant_focus(self, _: events.DescendantFocus) -> None:
        """Whoever goes to a field looks at it."""
        self._is_paged = False

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """What the keys really do: a field to type in has one line, and lets those go on that would scroll it."""
        found = super().active_bindings
        if isinstance(self.focused, Input):
            for key, binding in self._bindings:
                if key in found and found[key].binding.action in _SCROLLS:
                    found[key] = ActiveBinding(self, binding, True, binding.tooltip)
        return found

    @property
    def enter_text(self) -> str:
        """What Enter does where the focus is; empty where a key with a name says so, or nothing."""
        focused = self.focused
        if isinstance(focused, Button):
            return f"Press {focused.label}"
        return self.ENTER.get(focused.id or "", "Next field") if isinstance(focused, Input) else ""

    def show_keys(self) -> None:
        """Tell in the frame which keys work, and how to see all of them."""
        if not self.is_mounted:
            return
        keys: dict[str, ActiveBinding | None] = (
            {"PgUp PgDn Scroll": None} if self.scrolled.show_vertical_scrollbar else {}
        )
        ways: dict[str, tuple[str, ActiveBinding]] = {}
        for active in in_order(self, self.active_bindings).values():
            name = self.app.get_key_display(active.binding)
            if active.binding.action == "app.keys":
                ways.setdefault("?" if name == "?" else "other", (name, active))
            elif active.binding.show and active.node is self:
                keys.setdefault(f"{name} {active.binding.description}", active)
        # Who types into a field types a question mark.
        typing = bool(self.query(Input))
        chosen = ways.get("other" if typing else "?") or next(iter(ways.values()), None)
        if chosen is not None:
            keys[f"{chosen[0]} Keys"] = chosen[1]
        self._drop_what_has_no_room(keys)
        if keys != self._shown_keys:
            self._shown_keys = keys
            self.query_one("#box").border_subtitle = Content(_GAP.join(keys))

    def _drop_what_has_no_room(self, keys: dict[str, ActiveBinding | None]) -> None:
        """First that there is more: its bar says so too; and all keys are behind the last one."""
        room = self.query_one("#box").outer_size.width - 2 * _FRAME
        while room > 0 and len(keys) > _ALWAYS_SHOWN and cells(_GAP.join(keys)) > room:
            del keys[next(iter(keys))]

    def on_click(self, event: events.Click) -> None:
        """A click on one of the keys in the frame does what it does."""
        box = self.query_one("#box").region
        left = box.right - _FRAME - cells(_GAP.join(self._shown_keys))
        if event.screen_y != box.bottom - 1 or left <= box.x:
            return
        for shown, active in self._shown_keys.items():
            if active is not None and active.enabled and left <= event.screen_x < left + cells(shown):
                # A key that a screen posts would not be passed on by the widgets that it is the parent of.
                self.call_later(self.app.run_action, active.binding.action, active.node)
            left += cells(shown + _GAP)

    def ask_for_word(self, word: str) -> None:
        """Tell why nothing happened: what confirms it does not stand there."""
        self.engine_app.tell(f"To confirm, type: {word}")

    def place_toasts(self) -> None:
        """Below the box; where there is no room for them, above what people have to reach for."""
        height, boxes = self.size.height, self.query("#box")
        if not boxes:
            return  # it is being closed
        below = height - boxes.first().region.bottom
        tops = [widget.region.y for widget in self.query("#box > .buttons, #foot") if widget.region]
        rows = height - min(tops) if tops and below < _TOAST_ROWS else 1
        for rack in self.query(ToastRack):
            rack.styles.margin = (0, 0, rows, 0)

    @property
    def scrolled(self) -> Widget:
        """What `PgUp` and `PgDn` scroll."""
        return self.query_one("#box")

    @property
    def page_height(self) -> int:
        """How many rows of it are seen at a time."""
        return self.scrolled.size.height

    def action_page(self, step: int) -> None:
        """Show what there is no room for; a row of what was seen stays."""
        self._is_paged = True
        self.scrolled.scroll_relative(y=step * max(self.page_height - 1, 1), animate=False)
