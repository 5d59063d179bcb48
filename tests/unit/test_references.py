"""How people name an execution, and what they are told where they nearly did."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import ConfigError
from dgtui.engine.model import Execution
from dgtui.engine.references import find_execution, find_run

TAKEN = (
    datetime(2025, 2, 12, 23, tzinfo=UTC),
    datetime(2025, 2, 13, 6, 0, 1, tzinfo=UTC),
    datetime(2025, 2, 13, 18, tzinfo=UTC),
)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path)
    for number, taken in enumerate(TAKEN):
        execution = Execution(
            execution_id=f"{number}",
            job_id="j",
            job="nightly",
            datasource="shop",
            datasource_type="files",
            status="completed",
            backup_type="full",
            started_at=taken,
            folder=f"{taken:%Y-%m-%d_%H%M%S}",
        )
        catalog.save_execution(execution)
    yield catalog
    catalog.close()


def told(catalog: Catalog, moment: str) -> str:
    """What is said of a moment of the job that there is not."""
    messages = []
    for find in (find_execution, find_run):
        with pytest.raises(ConfigError) as raised:
            find(catalog, f"nightly@{moment}")
        messages.append(raised.value.message)
    assert messages[0] == messages[1]
    return messages[0]


@pytest.mark.parametrize(
    ("moment", "meant"),
    [
        ("lastest", "latest"),
        ("LATEST", "latest"),
        ("last", "latest"),
        ("2025-02-13", "2025-02-13_060001"),
        ("2025-02-13_0600", "2025-02-13_060001"),
        ("2025-02-13 06:00:01", "2025-02-13_060001"),
        ("2025-02-13_060002", "2025-02-13_060001"),
        ("2025-02-13_160000", "2025-02-13_180000"),
        ("2025-02-14", "2025-02-13_180000"),
        ("2025-02-12_10", "2025-02-12_230000"),
    ],
)
def test_what_was_nearly_right_is_suggested(catalog: Catalog, moment: str, meant: str) -> None:
    assert told(catalog, moment) == f"The job 'nightly' has no backup {moment!r}; did you mean 'nightly@{meant}'?"


@pytest.mark.parametrize("moment", ["", "yesterday", "2025-03-13_060001", "2024-02-13", "13", "2025-02-31_060001"])
def test_nothing_is_suggested_that_nobody_means(catalog: Catalog, moment: str) -> None:
    assert told(catalog, moment) == f"The job 'nightly' has no backup {moment!r}"
