"""What others wrote too late for a safety backup, where a restore was cut at the moment of its exchange."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.restore_model import LateRows, PartChange, Placing, Restore
from dgtui.engine.settling import settle


class _Target:
    """A target that knows how a replacement ended."""

    settings = SimpleNamespace(keep_replaced=0)

    def __init__(self, verdict: Literal["old", "new"]) -> None:
        self._verdict = verdict

    def settle_part(self, *_: object) -> str:
        """How that of tables ended."""
        return self._verdict

    def settle_data(self, *_: object) -> str:
        """How that of rows ended."""
        return self._verdict

    def target_state(self, _name: str) -> TargetState:
        """Nothing is there beside."""
        return TargetState(exists=False)

    def drop_if_there(self, _name: str) -> None:
        """Nothing is."""


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("verdict", ["old", "new"])
def test_a_script_is_told_of_where_the_exchange_was_made_and_else_goes(
    verdict: Literal["old", "new"], *, rows: bool, tmp_path: Path
) -> None:
    late = LateRows(since="7", path=str(tmp_path / "r1.sql"))
    Path(late.path).write_text("COPY")
    change = None if rows else PartChange(database="shop", beside="shop_new", keep_as="", late=late)
    placing = Placing(beside="shop_new", keep_as="shop_old", mark="8", change=change, rows=rows, late=late)
    restore = Restore(
        restore_id="r1",
        execution_id="e1",
        datasource="crm",
        target="shop",
        status="interrupted",
        started_at=datetime(2025, 2, 13, 6, tzinfo=UTC),
        warnings=("one",),
        placing=placing,
    )
    target: Any = _Target(verdict)
    settled = settle(Catalog(tmp_path), target, restore)
    assert Path(late.path).exists() is (verdict == "new")
    assert [late.path in warning for warning in settled.warnings] == [False] + [True] * (verdict == "new")
