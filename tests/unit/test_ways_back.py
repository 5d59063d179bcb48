"""Which backups are the only way back of a target, and which target is only partly filled, until it is whole again."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.restore_model import Part, Placing, Restore
from dgtui.engine.ways_back import partly_filled, ways_back

PART = Part(kind="objects", replaced=("public.orders",))
SWAPPING = Placing(beside="shop__dgtui_new", keep_as="shop__dgtui_old", mark="m")


def restore(name: str, **more: Any) -> Restore:
    """One that was cut while it filled `shop`, unless it is said otherwise; it had saved `s` and its name."""
    known: dict[str, Any] = {
        "datasource": "crm",
        "target": "shop",
        "status": "interrupted",
        "partly_filled": True,
        "safety_execution_id": f"s-{name}",
    }
    at = datetime(2025, 2, 13, 6, tzinfo=UTC)
    return Restore(restore_id=name, execution_id="e", started_at=at, **{**known, **more})


def whole(name: str, **more: Any) -> Restore:
    """One that came to its end."""
    return restore(name, **{"status": "completed", "partly_filled": False, "in_place": True, **more})


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path)
    yield made
    made.close()


CUT = restore("r1")


@pytest.mark.parametrize(
    ("restores", "held", "partly"),
    [
        ([CUT], {"s-r1": "r1"}, "r1"),
        ([restore("r1", safety_execution_id=None)], {}, "r1"),
        ([whole("r1")], {}, None),
        ([restore("r1", partly_filled=False, placing=SWAPPING)], {"s-r1": "r1"}, None),
        ([restore("r1", partly_filled=False, placing=Placing(beside="shop__dgtui_new"))], {}, None),
        ([CUT, whole("r2")], {}, None),
        ([CUT, whole("r2", target="other")], {"s-r1": "r1"}, "r1"),
        ([CUT, whole("r2", datasource="other")], {"s-r1": "r1"}, "r1"),
        ([CUT, whole("r2", part=PART)], {"s-r1": "r1"}, "r1"),
        ([CUT, whole("r2", part=PART, undo_of="r1")], {}, None),
        ([CUT, whole("r2", part=PART, undo_of="r0")], {"s-r1": "r1"}, "r1"),
        ([CUT, restore("r2", partly_filled=False, status="failed")], {"s-r1": "r1"}, "r1"),
        ([CUT, restore("r2", undo_of="r1")], {"s-r1": "r1", "s-r2": "r2"}, "r2"),
        ([CUT, restore("r2", undo_of="r1"), whole("r3")], {}, None),
        ([whole("r0"), CUT], {"s-r1": "r1"}, "r1"),
        ([whole("r0", undo_of="r1", part=PART), CUT], {"s-r1": "r1"}, "r1"),
    ],
)
def test_until_something_whole_is_there(
    catalog: Catalog, restores: list[Restore], held: dict[str, str], partly: str | None
) -> None:
    for one in restores:
        catalog.save_restore(one)
    assert ways_back(catalog) == held
    found = partly_filled(catalog.restores(), "crm", "shop")
    assert (found.restore_id if found is not None else None) == partly
