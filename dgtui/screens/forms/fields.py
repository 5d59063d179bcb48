"""The widgets that ask for one setting each, and what they hold as a configuration file would."""

import shlex
from typing import Any, cast

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label

from dgtui.config import Config
from dgtui.engine.secrets import HiddenText
from dgtui.screens.engine_app import EngineApp
from dgtui.screens.forms.specs import REFERENCES, FieldSpec
from dgtui.screens.widgets.choice import Choice, Option, Tick
from dgtui.screens.widgets.rows import Column
from dgtui.screens.widgets.ticks import Tickable, Ticks

_NOT_GIVEN = ""
_TYPED = "typed"
_WAYS = {
    _NOT_GIVEN: "none",
    _TYPED: "typed here",
    "env": "environment",
    "file": "file",
    "command": "command",
    "keyring": "keyring",
}

_UNCLOSED = "a quotation mark is not closed, or a \\ has nothing after it; write one that is meant as \\' or \\\""
_MOST_DIGITS = 4000


class SettingField(Vertical):
    """One setting: its label and the widget that asks for it."""

    DEFAULT_CSS = """
    SettingField { height: auto; }
    SettingField > Horizontal { height: auto; }
    SettingField .secret { height: auto; }
    SettingField Label { width: 22; }
    SettingField.-group Label { text-style: bold; width: 1fr; height: auto; margin-top: 1; }
    SettingField Input { width: 1fr; }
    """

    def __init__(self, spec: FieldSpec, table: str, config: Config, value: Any) -> None:
        super().__init__(id=field_id(spec.key))
        self.spec = spec
        self._table = table
        self._config = config
        self._value = value if value is not None or spec.required else spec.default

    @property
    def look(self) -> Any:
        """How to draw."""
        return cast("EngineApp", self.app).look

    def compose(self) -> ComposeResult:
        """Label and widget side by side."""
        spec = self.spec
        if spec.kind == "group":
            self.add_class("-group")
            yield Label(f"{spec.label}: {spec.help}", markup=False)
            return
        with Horizontal():
            indent = "  " if "." in spec.key else ""
            yield Label(f"{indent}{spec.label}{' *' if spec.required else ''}", markup=False)
            yield from self._compose_widget()

    def _compose_widget(self) -> ComposeResult:
        spec, value = self.spec, self._value
        match spec.kind:
            case "flag":
                yield Tick("", value=bool(value), id="value")
            case "choice":
                none = [Option(_NOT_GIVEN, "as usual")] if spec.optional else []
                options = none + [Option(one, one.replace("_", " ")) for one in spec.choices]
                yield Choice(options, self.look, id="value", key=str(value or ""))
            case "reference":
                known = getattr(self._config, REFERENCES[self._table, spec.key])
                yield Choice([Option(name, name) for name in known], self.look, id="value", key=str(value or ""))
            case "references":
                yield Ticks([Column("Name")], id="value")
            case "secret":
                with Vertical(classes="secret"):
                    way, text = _secret_parts(value)
                    options = [Option(key, label) for key, label in _WAYS.items()]
                    yield Choice(options, self.look, id="way", key=way)
                    yield Input(text, id="value", compact=True, password=way == _TYPED)
            case _:
                shown = _shown(value)
                default = _shown(spec.default)
                yield Input(
                    shown if shown != default else "",
                    id="value",
                    compact=True,
                    placeholder=spec.default_text or default or _empty_text(spec),
                )

    def on_mount(self) -> None:
        """No blinking; the rows of a list of references."""
        for field in self.query(Input):
            field.cursor_blink = False
        if self.spec.kind == "references":
            known = getattr(self._config, REFERENCES[self._table, self.spec.key])
            ticks = self.query_one(Ticks)
            ticks.styles.height = len(known) + 1
            ticks.offer([Tickable(name) for name in known], list(self._value or ()) or list(known)[:1])
        self._show_secret()

    def on_choice_changed(self, _: Choice.Changed) -> None:
        """Another way to give a secret."""
        self._show_secret()

    def _show_secret(self) -> None:
        if self.spec.kind == "secret":
            way = self.query_one("#way", Choice).key
            field = self.query_one("#value", Input)
            field.display = way != _NOT_GIVEN
            field.password = way == _TYPED

    @property
    def value(self) -> Any:
        """What was entered, as a configuration file holds it; None where nothing was, or what is so anyway."""
        match self.spec.kind:
            case "group":
                return None
            case "flag":
                value: Any = self.query_one(Tick).value
            case "choice" | "reference":
                value = self.query_one("#value", Choice).key or None
            case "references":
                value = list(self.query_one(Ticks).ticked)
            case "secret":
                value = self._secret()
            case _:
                value = self._typed(self.query_one("#value", Input).value.strip())
        return None if value == self.spec.default and not self.spec.required else value

    @property
    def mistake(self) -> str:
        """Why it cannot be read as it was typed; empty where it can."""
        if self.spec.kind != "words":
            return ""
        text = self.query_one("#value", Input).value.strip()
        try:
            shlex.split(text)
        except ValueError:
            # A single word may hold a quotation mark of its own; of several nobody knows where they end.
            return _UNCLOSED if len(text.split()) > 1 else ""
        return ""

    def _secret(self) -> Any:
        way, text = self.query_one("#way", Choice).key, self.query_one("#value", Input).value
        if way == _NOT_GIVEN or not text:
            return None
        return HiddenText(text) if way == _TYPED else {way: text}

    def _typed(self, text: str) -> Any:
        if not text:
            return None
        if self.spec.kind == "words":
            try:
                return shlex.split(text)
            except ValueError:
                return [text]
        return int(text) if _is_number(text) and self.spec.kind == "number" else _quantity(text, self.spec)


def _is_number(text: str) -> bool:
    """Python reads no number of more than 4300 digits."""
    return text.isdecimal() and len(text) <= _MOST_DIGITS


def _quantity(text: str, spec: FieldSpec) -> Any:
    """Sizes and durations may be plain numbers; where the default is one, a number is meant."""
    return int(text) if _is_number(text) and isinstance(spec.default, int) else text


def field_id(key: str) -> str:
    """The id of the widget for a key."""
    return "field-" + key.replace(".", "--")


def _secret_parts(value: Any) -> tuple[str, str]:
    if isinstance(value, dict) and value:
        way, text = next(iter(value.items()))
        return way, shlex.join(text) if isinstance(text, list) else str(text)
    return (_TYPED, str(value)) if value else (_NOT_GIVEN, "")


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, list | tuple) and not value):
        return ""
    return shlex.join(value) if isinstance(value, list | tuple) else str(value)


def _empty_text(spec: FieldSpec) -> str:
    return "" if spec.required else "not set"
