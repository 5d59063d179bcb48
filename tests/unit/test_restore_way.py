"""What is said beforehand of those who write to a target while a part of it is replaced."""

from typing import Any

import pytest

from dgtui.engine.datasources import datasource_adapter
from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.model import ObjectInfo
from dgtui.engine.restore_way import rows_way

_FULL = TargetState(exists=True, objects=(ObjectInfo(name="a"),))
_SCRIPT = "rows that are written between that backup and the exchange are kept as a script"
_NOWHERE = "what is written between that backup and the exchange is kept nowhere"


_KEPT = "the former rows, with all that is written until they are replaced, are kept beside it"


def _sentence(kind: str, state: TargetState = _FULL, *, safety: bool = True, kept: bool = False) -> str:
    target: Any = type("Target", (datasource_adapter(kind),), {"keeps_former_rows": lambda _database: kept})
    return rows_way(target, "shop", state, safety=safety).sentence


@pytest.mark.parametrize(
    ("kind", "said"), [("postgres", _SCRIPT), ("mysql", _NOWHERE), ("sqlite", "the former content is kept")]
)
def test_where_late_rows_are_found_is_said_of_rows_alone_too(kind: str, said: str) -> None:
    assert said in _sentence(kind)


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_nothing_is_said_of_late_rows_without_a_safety_backup_or_where_there_are_no_tables(kind: str) -> None:
    for state, safety in ((_FULL, False), (TargetState(exists=True), True)):
        assert "backup" not in _sentence(kind, state, safety=safety)


def test_a_file_that_rows_go_into_is_refused_while_somebody_has_it_open() -> None:
    """Nobody who writes to it waits."""
    assert "waits" not in _sentence("sqlite")
    assert "refused while another program" in _sentence("sqlite")


@pytest.mark.parametrize("safety", [True, False])
def test_where_the_former_rows_are_kept_that_is_said_and_nothing_is_lost(*, safety: bool) -> None:
    said = _sentence("mysql", safety=safety, kept=True)
    assert _KEPT in said
    assert _NOWHERE not in said
    assert _KEPT not in _sentence("mysql", TargetState(exists=True), kept=True)
