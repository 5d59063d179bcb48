"""Turns a TOML table into a settings struct, and finds everything that is wrong with it, not just the first thing."""

import re
import shlex
import types
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from dgtui.config.files import ConfigFile, expand
from dgtui.config.lines import KeyPath
from dgtui.config.mistakes import Mistake, one_of, show_path, suggestion
from dgtui.engine.secrets import HiddenText, reference_mistake
from dgtui.engine.settings import Secret, SecretReference, decode_setting

StructT = TypeVar("StructT", bound=msgspec.Struct)

Rules = Mapping[str, Callable[[Any], str | None]]
"""For a key: what is wrong with a value of the right type. A struct has them in `rules`.

Its `keys_to_come` are keys that people will look for and that are refused, with the reason.
"""

_PATH_IN_VALUE = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_WRONG_TYPE = re.compile(r"Expected `(.+?)`, got `(.+?)`")
_OUT_OF_RANGE = re.compile(r"Expected `(.+?)` (>=|<=|of length >=|of length <=) (\d+)")
_TYPE_NAMES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number with a fraction",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date and time",
    "date": "a date",
    "time": "a time",
}
_RANGE_WORDS = {
    ">=": "of at least {}",
    "<=": "of at most {}",
    "of length >=": "with at least {} in it",
    "of length <=": "with at most {} in it",
}


def url_mistake(url: Secret) -> str | None:
    """What is wrong with a URL for the web that stands there in plain text."""
    fits = not isinstance(url, str) or re.match(r"https?://[^/\s]", url)
    return None if fits else "expected a URL that begins with https:// or http://"


class TableReader:
    """Reads the tables of one file; what is wrong is added to `mistakes`."""

    def __init__(self, file: ConfigFile, mistakes: list[Mistake]) -> None:
        self._file = file
        self._mistakes = mistakes

    def report(self, key: KeyPath, text: str) -> None:
        """Add a mistake at a key of this file."""
        self._mistakes.append(self._file.mistake(key, text))

    def read(self, kind: type[StructT], table: dict[str, Any], path: KeyPath) -> StructT | None:
        """The table as a struct, or None where anything in it is wrong."""
        before = len(self._mistakes)
        fields = _fields(kind)
        # Where the whole is right, each of its values is: to look at them one by one takes longer.
        whole = _converted(table, kind)
        to_come: Mapping[str, str] = getattr(kind, "keys_to_come", {})
        for key, value in table.items():
            if key not in fields:
                self.report((*path, key), to_come.get(key) or _unknown_key(key, value, fields))
        rules: Rules = getattr(kind, "rules", {})
        for key, field in fields.items():
            if key in table:
                self._check_value(field, table[key], (*path, key), rules.get(key), whole)
            elif field.required:
                self.report(path, f"the key '{key}' is missing")
        if len(self._mistakes) > before:
            return None
        if isinstance(whole, msgspec.ValidationError):
            # What only the whole can tell; such a message may begin with a key and a colon.
            text = _PATH_IN_VALUE.sub("", str(whole))
            key, _, rest = text.partition(": ")
            self.report(*(((*path, key), rest) if key in table else (path, text)))
            return None
        return self._with_secrets(whole, path)

    def _check_value(
        self,
        field: "_Field",
        value: Any,
        path: KeyPath,
        rule: Callable[[Any], str | None] | None,
        whole: msgspec.Struct | msgspec.ValidationError,
    ) -> None:
        if field.may_be_secret and isinstance(value, str) and self._file.readable_by_others:
            self.report(path, self._exposed())
        if field.nested is not None and isinstance(value, dict):
            read: Any = self.read(field.nested, value, path)
            if read is None:
                return
        elif isinstance(whole, msgspec.Struct):
            read = getattr(whole, field.name)
        else:
            try:
                read = msgspec.convert(value, field.annotation, dec_hook=decode_setting)
            except msgspec.ValidationError as error:
                self._report_value(error, field.annotation, value, path)
                return
        mistake = rule(read) if rule is not None else None
        if mistake is not None:
            self.report(path, mistake)

    def _report_value(self, error: msgspec.ValidationError, annotation: Any, value: Any, path: KeyPath) -> None:
        inside = _PATH_IN_VALUE.search(str(error))
        steps = _STEP.findall(inside[1]) if inside else []
        where = (*path, *(name or int(number) for name, number in steps))
        for _, number in steps:
            annotation, value = _element(annotation, value, number)
        self.report(where, _explain(_PATH_IN_VALUE.sub("", str(error)), annotation, value))

    def _exposed(self) -> str:
        command = f"chmod 600 {shlex.quote(show_path(self._file.path))}"
        return f"a secret in plain text, in a file that others can read; refer to it by env, file, ..., or: {command}"

    def _with_secrets(self, settings: StructT, path: KeyPath) -> StructT | None:
        """Check the references to secrets; their relative paths begin in the folder of the file that names them."""
        before = len(self._mistakes)
        changes: dict[str, Secret] = {}
        for key, field in _fields(type(settings)).items():
            if not field.may_be_secret or (secret := getattr(settings, field.name)) is None:
                continue
            if isinstance(secret, str):
                changes[field.name] = HiddenText(secret)
            elif mistake := reference_mistake(secret):
                part, _, text = mistake.partition(": ")
                self.report((*path, key, part), text)
            elif secret.file is not None:
                changes[field.name] = SecretReference(file=str(expand(secret.file, self._file.path.parent)))
        if len(self._mistakes) > before:
            return None
        return msgspec.structs.replace(settings, **changes) if changes else settings


class _Field(NamedTuple):
    """What there is to know of a key."""

    name: str
    annotation: Any
    required: bool
    may_be_secret: bool
    nested: type[msgspec.Struct] | None
    """Its type where that is a table."""


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, _Field]:
    """By key those of a struct: there may be hundreds of the same kind, and to find them out takes long."""
    return {
        field.encode_name: _Field(
            name=field.name,
            annotation=field.type,
            required=field.required,
            may_be_secret=SecretReference in leaf_types(field.type),
            nested=next((leaf for leaf in leaf_types(field.type) if _is_struct(leaf)), None),
        )
        for field in msgspec.structs.fields(kind)
    }


def _converted(table: dict[str, Any], kind: type[StructT]) -> StructT | msgspec.ValidationError:
    try:
        return msgspec.convert(table, kind, dec_hook=decode_setting)
    except msgspec.ValidationError as error:
        return error


def leaf_types(annotation: Any) -> Iterator[Any]:
    """The types that a union with annotations is made of."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from leaf_types(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from leaf_types(member)
    else:
        yield annotation


def _element(annotation: Any, value: Any, number: str) -> tuple[Any, Any]:
    """What an element of a list has to be, and what it is; the same again where it is no list."""
    members = next((get_args(leaf) for leaf in leaf_types(annotation) if get_origin(leaf) is tuple), ())
    if not members or not number or not isinstance(value, list):
        return annotation, value
    return members[0], value[int(number)]


def _is_struct(leaf: Any) -> bool:
    return isinstance(leaf, type) and issubclass(leaf, msgspec.Struct)


def _unknown_key(key: str, value: Any, known: Mapping[str, Any]) -> str:
    text = f"unknown key{suggestion(key, known)}"
    if isinstance(value, dict):
        text += " (a name with a dot in it stands in quotes)"
    return text


def _explain(message: str, annotation: Any, value: Any) -> str:
    """What msgspec says about a value, as people say it."""
    choices = [choice for leaf in leaf_types(annotation) if get_origin(leaf) is Literal for choice in get_args(leaf)]
    if choices:
        near = suggestion(value, choices) if isinstance(value, str) else ""
        return f"expected {one_of(choices)}" + (near if "did you mean" in near else "")
    if match := _WRONG_TYPE.fullmatch(message):
        allowed = [_TYPE_NAMES.get(name, name) for name in match[1].split(" | ") if name != "null"]
        return f"expected {' or '.join(allowed)}, not {_TYPE_NAMES.get(match[2], match[2])}"
    if match := _OUT_OF_RANGE.fullmatch(message):
        return f"expected {_TYPE_NAMES.get(match[1], match[1])} {_RANGE_WORDS[match[2]].format(match[3])}"
    return message
