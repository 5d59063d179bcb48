"""What a look at a datasource found, in words."""

from typing import TYPE_CHECKING

from dgtui.engine.datasources.kinds import kind_named
from dgtui.screens.times import latency_text
from dgtui.wording.words import counted

if TYPE_CHECKING:
    from dgtui.engine.glance import DatasourceCheck
    from dgtui.wording.terminal import Look


def object_count(check: "DatasourceCheck", kind: str) -> str:
    """`48 tables`; empty where nothing was found, or what is found is not all that there is."""
    described = kind_named(kind)
    if not check.product or described.objects_are_paths:
        return ""
    return counted(check.object_count, described.object_noun)


def tested_text(check: "DatasourceCheck", kind: str, look: "Look") -> str:
    """What answered, or what is in the way and what to do about it."""
    if check.problem is not None:
        hint = f"\n{look.glyph('→', '->')} {check.problem.hint}" if check.problem.hint else ""
        return f"{look.glyph('✖', 'x')} {check.problem.message}{hint}"
    facts = ", ".join(filter(None, (check.product, object_count(check, kind), latency_text(check))))
    return "\n".join([f"{look.glyph('✔', '+')} {facts}", *check.warnings])
