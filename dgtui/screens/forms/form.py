"""A form for one object of the configuration."""

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Static

from dgtui.config import Table
from dgtui.config.store import decode_values, name_mistake, value_mistakes
from dgtui.engine.errors import DataGuardianError
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.dialog import Box, Dialog
from dgtui.screens.forms.fields import SettingField, field_id
from dgtui.screens.forms.specs import FieldSpec, field_specs
from dgtui.screens.forms.wrong import told
from dgtui.screens.looked import tested_text
from dgtui.screens.widgets.choice import Choice, Option, Tick
from dgtui.screens.widgets.ticks import Ticks
from dgtui.wording.words import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgtui.config.kinds import ObjectKind
    from dgtui.engine.datasources.datasource_settings import DatasourceSettings
    from dgtui.engine.glance import DatasourceCheck

_NAME_HELP = "A short name: ASCII letters, digits, '_', '-' and '.'"


class FormScreen(Dialog[str]):
    """Gives the name of the object once it is saved."""

    AUTO_FOCUS = "#name, SettingField Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "Save", id="form.save", priority=True),
        Binding("ctrl+t", "test", "Test connection", id="form.test", priority=True),
        Binding("down", "app.focus_next", "Next", show=False, id="dialog.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="dialog.previous"),
    ]
    DEFAULT_CSS = """
    FormScreen > #box { height: 100%; max-width: 100; }
    FormScreen #fields { height: 1fr; scrollbar-size-vertical: 1; }
    FormScreen .row { height: auto; }
    FormScreen .row Label { width: 22; }
    FormScreen #all { height: auto; }
    FormScreen #help { height: auto; max-height: 3; margin-top: 1; color: $text-muted; }
    FormScreen #wrong { height: auto; max-height: 3; color: $text-error; }
    FormScreen #tested { height: auto; max-height: 4; }
    FormScreen .buttons { margin-top: 0; }
    """

    def __init__(
        self,
        table: Table,
        name: str | None,
        values: dict[str, Any],
        kinds: "Sequence[ObjectKind]",
        introduction: str = "",
    ) -> None:
        """`name` is None for a new object; `values` is what is written about it; `kinds` are all there are."""
        noun = table.removesuffix("s")
        super().__init__(f"New {noun}" if name is None else f"{noun.capitalize()} {name}")
        self._table = table
        self._name = name
        self._values = values
        self._kinds = {kind.name: kind for kind in kinds}
        self._kind = str(values.get("type", kinds[0].name))
        self._introduction = introduction
        self._touched = False
        self._at_first: dict[str, Any] = {}

    # What is asked

    def compose_dialog(self) -> ComposeResult:
        """Name, kind, every setting, help, buttons."""
        if self._introduction:
            yield Static(one_line(self._introduction), classes="hint", markup=False)
        with Box(id="fields", can_focus=False):
            if self._name is None:
                with Horizontal(classes="row"):
                    yield Label("Name *")
                    yield Input(id="name", compact=True)
                if len(self._kinds) > 1:
                    with Horizontal(classes="row"):
                        yield Label("Type *")
                        options = [Option(kind.name, kind.label) for kind in self._kinds.values()]
                        yield Choice(options, self.engine_app.look, id="type", key=self._kind)
            yield Vertical(*self._fields(), id="all")
        yield Static("", id="help", markup=False)
        yield Static("", id="wrong", markup=False)
        yield Static("", id="tested", markup=False)
        with Horizontal(classes="buttons"):
            yield Button("Save", id="save", variant="primary", compact=True)
            if self._table == "datasources":
                yield Button("Test connection", id="test", compact=True)
            yield Button("Cancel", id="no", compact=True)

    @property
    def scrolled(self) -> Widget:
        """The fields; help and buttons stay."""
        return self.query_one("#fields")

    @property
    def specs(self) -> list[FieldSpec]:
        """What can be set."""
        return field_specs(self._table, self._kinds[self._kind].settings)

    def _fields(self) -> list[SettingField]:
        config = self.engine_app.config
        return [SettingField(spec, self._table, config, _at(self._values, spec.key)) for spec in self.specs]

    async def on_choice_changed(self, event: Choice.Changed) -> None:
        """Another kind has other settings."""
        if event.choice.id == "type":
            self._kind = event.key
            fields = self.query_one("#all", Vertical)
            await fields.remove_children()
            await fields.mount(*self._fields())
        self._check()

    # What is wrong

    @property
    def name_text(self) -> str:
        """The name."""
        return self._name if self._name is not None else self.query_one("#name", Input).value.strip()

    @property
    def values(self) -> dict[str, Any]:
        """What was entered, as a configuration file holds it."""
        values: dict[str, Any] = {} if self._table == "jobs" else {"type": self._kind}
        for field in self.query(SettingField):
            value = field.value
            if value is None:
                continue
            *groups, key = field.spec.key.split(".")
            place = values
            for group in groups:
                place = place.setdefault(group, {})
            place[key] = value
        return values

    def mistakes(self) -> dict[str, str]:
        """What is wrong, by key; `name` is the name's."""
        config = self.engine_app.config
        kind = self._kinds[self._kind].settings
        found = value_mistakes(config, self._table, self.name_text or "new", kind, self.values)
        found |= {field.spec.key: field.mistake for field in self.query(SettingField) if field.mistake}
        if self._name is None and (mistake := name_mistake(config, self._table, self.name_text)):
            found = {"name": mistake, **found}
        return found

    def _check(self) -> None:
        """Say what is wrong with the field that is being filled in."""
        mistakes = self.mistakes()
        key = self._focused_key()
        first = next(iter(mistakes), None) if self._touched else None
        wrong = key if key in mistakes and (self._touched or self._entered(key)) else first
        self._say("#wrong", self._told(wrong, mistakes[wrong]) if wrong is not None else "")
        self._say("#help", self._help(key))

    def _told(self, key: str, text: str) -> str:
        config, entered = self.engine_app.config, self._entered(key)
        return told(key, text, specs=self.specs, table=self._table, config=config, entered=entered)

    def _entered(self, key: str) -> bool:
        """Whether anything is; what nobody has come to yet is no mistake before it is saved."""
        return (self.name_text if key == "name" else _at(self.values, key.partition("[")[0])) not in (None, "", [])

    def _help(self, key: str) -> str:
        if key == "name":
            return _NAME_HELP
        spec = next((spec for spec in self.specs if spec.key == key), None)
        return spec.help if spec is not None else ""

    def _focused_key(self) -> str:
        node = self.focused
        if node is None or node.id == "name":
            return "name"
        field = next((one for one in node.ancestors if isinstance(one, SettingField)), None)
        return field.spec.key if field is not None else ""

    def _say(self, selector: str, text: str) -> None:
        widget = self.query_one(selector, Static)
        widget.display = bool(text)
        widget.update("\n".join(map(one_line, text.splitlines())))

    def on_descendant_focus(self, _: DescendantFocus) -> None:
        """Help for the field one is in."""
        self._check()

    def on_input_changed(self, _: Input.Changed) -> None:
        """Check as it is typed."""
        self._check()

    def on_tick_changed(self, _: Tick.Changed) -> None:
        """Check as it is changed."""
        self._check()

    def on_ticks_changed(self, _: Ticks.Changed) -> None:
        """Check as it is changed."""
        self._check()

    def on_input_submitted(self) -> None:
        """Enter goes on."""
        self.app.action_focus_next()

    # Leave, test and save

    def on_mount(self) -> None:
        """Remember what it began with."""
        super().on_mount()
        self._at_first = {**self.values, "name": self.name_text}

    async def action_dismiss(self, result: str | None = None) -> None:
        """One key does not throw away what somebody has typed."""
        if {**self.values, "name": self.name_text} == self._at_first:
            self.dismiss(result)
            return

        def answered(sure: bool | None) -> None:
            if sure:
                self.dismiss(result)

        text = ["What was changed in it is not saved."]
        self.app.push_screen(ConfirmScreen("Leave the form?", text, yes="Leave", no="Go on with it"), answered)

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        """Save, test, or neither."""
        match event.button.id:
            case "save":
                self.action_save()
            case "test":
                self.action_test()
            case _:
                await self.action_dismiss()

    def _show_mistakes(self) -> bool:
        """Go to the first mistake, if there is one."""
        mistakes = self.mistakes()
        if not mistakes:
            return False
        self._touched = True
        first = next(iter(mistakes))
        for selector in ("#name",) if first == "name" else (f"#{field_id(first.partition('[')[0])} #value",):
            for widget in self.query(selector):
                widget.focus()
        self._check()
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only datasources are connected to."""
        if action == "test" and self._table != "datasources":
            return False
        return super().check_action(action, parameters)

    def action_test(self) -> None:
        """Connect with what was entered, without saving it."""
        if self._table != "datasources" or self._show_mistakes():
            return
        kind, name = self._kinds[self._kind].settings, self.name_text
        settings = cast(
            "DatasourceSettings", decode_values(kind, self.engine_app.config, self._table, name, self.values)
        )
        self._say("#tested", "Connecting")
        self.engine_app.ask(
            self, "test", lambda engine: engine.check_settings(name, settings), self._tested, self._failed, slow=True
        )

    def _tested(self, check: "DatasourceCheck") -> None:
        self._say("#tested", tested_text(check, self._kind, self.engine_app.look))

    def _failed(self, error: DataGuardianError) -> None:
        self._say("#tested", error.message)

    def action_save(self) -> None:
        """Write it to a file of its own."""
        if self._show_mistakes():
            return
        table, name, values, new = self._table, self.name_text, self.values, self._name is None
        seen = None if new else self._values
        self.engine_app.ask(
            self,
            f"save {table} {name}",
            lambda engine: engine.save_object(table, name, values, new=new, seen=seen),
            lambda _: self._saved(name),
            self._not_saved,
        )

    def _saved(self, name: str) -> None:
        self.dismiss(name)

    def _not_saved(self, error: DataGuardianError) -> None:
        self._say("#wrong", error.message + (f"\n{error.hint}" if error.hint else ""))


def _at(values: dict[str, Any], key: str) -> Any:
    """The value under a key with the keys of its groups."""
    found: Any = values
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
