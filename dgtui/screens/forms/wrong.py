"""What is wrong with an entry, in the words of the form: its labels, and what its fields ask for."""

import re
from collections.abc import Sequence

from dgtui.config import Config, Table
from dgtui.screens.forms.specs import REFERENCES, FieldSpec
from dgtui.screens.tab import TABS

_MISSING = "has to be filled in"


def told(key: str, text: str, *, specs: Sequence[FieldSpec], table: Table, config: Config, entered: bool) -> str:
    """A mistake at a key with the label of its field; what a file would lack is a field that is empty."""
    if key == "name":
        return f"Name: {text}"
    name = re.sub(r"\[\d+\]$", "", key)
    spec = next((one for one in specs if one.key == name), None)
    if spec is None:
        return f"{key}: {text}" if key else text
    if spec.required and not entered:
        text = _empty_text(spec, table, config)
    return f"{_label(spec, specs)}: {text}"


def _label(spec: FieldSpec, specs: Sequence[FieldSpec]) -> str:
    """`Retention, keep last`: the same words stand in several groups."""
    group = next((one for one in specs if one.kind == "group" and spec.key.startswith(f"{one.key}.")), None)
    return f"{group.label}, {spec.label[0].lower()}{spec.label[1:]}" if group is not None else spec.label


def _empty_text(spec: FieldSpec, table: Table, config: Config) -> str:
    if spec.kind not in ("reference", "references"):
        return _MISSING
    of = REFERENCES[table, spec.key]
    if not getattr(config, of):
        return f"there is no {of.removesuffix('s')} yet; make one first: Esc, {list(TABS).index(of)}, n"
    return "choose one" if spec.kind == "reference" else "tick at least one"
