"""The text form that Prometheus reads: families of samples, each with its help and its type."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from dgtui.engine.model import Record

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class Sample(Record, frozen=True):
    """One value, told from others of its family by its labels."""

    value: float
    labels: Mapping[str, str] = {}


class Family(Record, frozen=True):
    """All values of one name."""

    name: str
    help: str
    samples: tuple[Sample, ...]
    type: Literal["gauge", "counter"] = "gauge"


def exposition(families: Iterable[Family]) -> str:
    """The text; a family without a sample is left out, so that what is not known is not there."""
    lines: list[str] = []
    for family in families:
        assert _NAME.fullmatch(family.name), family.name
        if not family.samples:
            continue
        lines.append(f"# HELP {family.name} {_escaped(family.help)}")
        lines.append(f"# TYPE {family.name} {family.type}")
        lines += [f"{family.name}{_labels(sample.labels)} {_number(sample.value)}" for sample in family.samples]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    # A name of bytes that are no text has lone surrogates, which no reader would take.
    whole = text.encode("utf-8", "backslashreplace").decode()
    return _escaped(whole).replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1 << 53 else repr(float(value))
