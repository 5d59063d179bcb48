"""What a form has to ask for, read from a settings struct: a new setting needs no new form."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from dgtui.config.tables import leaf_types
from dgtui.engine.model import Record
from dgtui.engine.settings import ByteSize, Duration, SecretReference, encode_setting
from dgtui.engine.sizes import size_text

FieldKind = Literal["text", "number", "flag", "choice", "words", "secret", "group", "reference", "references"]

REFERENCES: dict[tuple[str, str], Literal["datasources", "storages"]] = {
    ("jobs", "datasource"): "datasources",
    ("jobs", "storages"): "storages",
}
"""Settings that name other objects, by table and key."""
_TYPE_KEY = "type"
_SPANS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_WRITTEN = {"tls": "TLS", "ca": "CA", "id": "ID", "mb": "MB", "url": "URL", "ssh": "SSH", "s3": "S3"}
"""Words of keys that are not written like others."""


class FieldSpec(Record, frozen=True):
    """One setting as a form asks for it."""

    key: str
    """With the keys of the groups it lies in: `retention.keep_last`."""
    kind: FieldKind
    help: str
    required: bool = False
    default: Any = None
    default_text: str = ""
    """The default as people write it."""
    choices: tuple[str, ...] = ()
    optional: bool = False
    """Whether it may be left out although it is a choice."""
    last: bool = False
    """Whether few people need it, so that it stands at the end."""

    @property
    def label(self) -> str:
        """The key as people read it."""
        first, *others = self.key.rpartition(".")[2].split("_")
        return " ".join([_WRITTEN.get(first, first.capitalize()), *(_WRITTEN.get(word, word) for word in others)])


def field_specs(table: str, struct: type[msgspec.Struct], prefix: str = "") -> list[FieldSpec]:
    """The settings in the order of the struct, but what has to be given first."""
    specs: list[FieldSpec] = []
    for field in msgspec.structs.fields(struct):
        if field.encode_name == _TYPE_KEY and table != "jobs":
            continue
        specs += _specs_of(table, field, prefix)
    return sorted(specs, key=lambda spec: (not spec.required, spec.last)) if not prefix else specs


def _specs_of(table: str, field: msgspec.structs.FieldInfo, prefix: str) -> Iterator[FieldSpec]:
    leaves = list(leaf_types(field.type))
    key = prefix + field.encode_name
    group = next((leaf for leaf in leaves if _is_struct(leaf) and leaf is not SecretReference), None)
    if group is not None:
        yield FieldSpec(key=key, kind="group", help=_description(field.type))
        yield from field_specs(table, group, f"{key}.")
        return
    choices = tuple(str(one) for leaf in leaves if get_origin(leaf) is Literal for one in get_args(leaf))
    yield FieldSpec(
        key=key,
        kind=_kind(table, key, leaves, choices),
        help=_description(field.type),
        required=field.required,
        default=None if field.required else _plain(field.default),
        default_text=quantity_text(field.default),
        choices=choices,
        optional=type(None) in leaves,
        last=any((meta.extra or {}).get("last", False) for meta in _metas(field.type)),
    )


def _kind(table: str, key: str, leaves: list[Any], choices: tuple[str, ...]) -> FieldKind:
    if (table, key) in REFERENCES:
        return "references" if any(get_origin(leaf) is tuple for leaf in leaves) else "reference"
    if SecretReference in leaves:
        return "secret"
    if choices:
        return "choice"
    if bool in leaves:
        return "flag"
    if any(get_origin(leaf) is tuple for leaf in leaves):
        return "words"
    return "number" if int in leaves else "text"


def _description(annotation: Any) -> str:
    return next((meta.description for meta in _metas(annotation) if meta.description), "")


def _metas(annotation: Any) -> list[msgspec.Meta]:
    if get_origin(annotation) is not Annotated:
        return []
    return [one for one in get_args(annotation)[1:] if isinstance(one, msgspec.Meta)]


def _is_struct(leaf: Any) -> bool:
    return isinstance(leaf, type) and issubclass(leaf, msgspec.Struct)


def _plain(default: Any) -> Any:
    """A default as a file holds it."""
    if default is msgspec.NODEFAULT or default is None:
        return None
    return msgspec.to_builtins(default, enc_hook=encode_setting, str_keys=True)


def quantity_text(default: Any) -> str:
    """`10 min` in place of 600; empty for what is no span and no size."""
    if isinstance(default, ByteSize):
        return size_text(default)
    if not isinstance(default, Duration):
        return ""
    size, unit = next(one for one in _SPANS if default % one[0] == 0 and (default or one[0] == 1))
    return f"{default // size} {unit}"
