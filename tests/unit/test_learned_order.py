"""Where executions that a scan learned stand among those that were known."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.order import place_learned
from dgtui.engine.model import Execution

_START = datetime(2025, 2, 13, 6, tzinfo=UTC)


def _catalog(folder: Path, *executions: str) -> Catalog:
    """`a3` is of job a, three days after the start."""
    catalog = Catalog(folder)
    for name in executions:
        catalog.save_execution(
            Execution(
                execution_id=name,
                job_id=name[0],
                job=name[0],
                datasource="shop",
                datasource_type="sqlite",
                status="completed",
                backup_type="full",
                started_at=_START + timedelta(days=int(name[1:])),
            )
        )
    return catalog


def _order(catalog: Catalog) -> list[str]:
    return [one.execution_id for one in sorted(catalog.executions(), key=lambda one: one.sequence)]


@pytest.mark.parametrize(
    ("known", "learned", "order"),
    [
        ("a4 a5 b5", "a1 a2 b1", "a1 b1 a2 a4 a5 b5"),
        ("a3 b3", "a2 a4 b1 b2", "b1 a2 b2 a3 b3 a4"),
        ("a5 a2", "a3", "a5 a2 a3"),
        ("", "a2 b1", "a2 b1"),
        ("a1", "", "a1"),
    ],
)
def test_each_stands_behind_the_last_known_one_that_is_not_later(
    known: str, learned: str, order: str, tmp_path: Path
) -> None:
    """Those that were known keep their own order, also where the clock had been set back between them."""
    names = learned.split()
    catalog = _catalog(tmp_path, *known.split(), *names)
    place_learned(catalog, names)
    assert _order(catalog) == order.split()
