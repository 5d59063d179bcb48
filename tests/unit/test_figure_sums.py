"""What SQLite sums up is what a plain look at each row comes to."""

import random
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.database import time_text
from dgtui.engine.catalog.figures import StorageSum, run_sums, storage_sums
from dgtui.engine.model import ENDED, RESTORABLE
from tests.support.statements import insert_rows

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
SINCE, UNTIL = BEGIN + timedelta(days=100), BEGIN + timedelta(days=300)
STORAGES = ("disk", "nas", "tape")
Row = dict[str, Any]


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kolkata"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path)
    yield made
    made.close()


def run_row(number: int, chance: random.Random) -> Row:
    """A run of any job, at any time, that ended in any way or not at all."""
    at = BEGIN + timedelta(seconds=chance.randrange(400 * 86400))
    return {
        "execution_id": f"e{number}",
        "job_id": "id",
        "job": chance.choice(["nightly", "hourly"]),
        "datasource": chance.choice(["shop", "crm"]),
        "datasource_type": "sqlite",
        "status": chance.choice([*sorted(ENDED), "completed", "running"]),
        "backup_type": "full",
        "purpose": chance.choice(["backup", "backup", "backup", "safety"]),
        "started_at": time_text(at),
        "finished_at": chance.choice([None, time_text(at + timedelta(seconds=chance.randrange(-5, 5000)))]),
        "total_size_bytes": chance.choice([None, chance.randrange(10**12)]),
        "compressed_size_bytes": chance.choice([None, chance.randrange(10**12)]),
    }


def copy_rows(run: Row, chance: random.Random) -> list[Row]:
    """Copies of a run at some storages, among them some that never were and some that are gone."""
    return [
        {
            "execution_id": run["execution_id"],
            "storage": storage,
            "status": chance.choice(["available", "missing", "unreachable"]),
            "path": chance.choice(["", "/a/path", "/another"]),
        }
        for storage in STORAGES
        if chance.random() < 0.7
    ]


def fill(catalog: Catalog) -> tuple[list[Row], list[Row], list[Row]]:
    """Runs, past runs and copies, always the same."""
    chance = random.Random(7)
    kept = [run_row(number, chance) for number in range(600)]
    gone = [run_row(number, chance) for number in range(600, 900)]
    made = [copy for run in kept for copy in copy_rows(run, chance)]
    with catalog.transaction() as connection:
        insert_rows(connection, "executions", [{**run, "description": "", "warnings": "[]"} for run in kept])
        insert_rows(connection, "past_executions", [{**run, "removed_at": time_text(UNTIL)} for run in gone])
        insert_rows(connection, "copies", made)
    return kept, gone, made


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize("months", [True, False])
@pytest.mark.parametrize("job", [None, "hourly"])
def test_sums_of_runs_are_those_of_each_row(catalog: Catalog, months: bool, job: str | None) -> None:
    kept, gone, _ = fill(catalog)
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for run in (*kept, *gone):
        begun = datetime.fromisoformat(run["started_at"])
        if SINCE <= begun < UNTIL and run["purpose"] == "backup" and run["status"] in ENDED:
            period = f"{begun.astimezone():{'%Y-%m' if months else '%Y-%m-%d'}}"
            groups[run["job"], run["datasource"], period, run["status"]].append(run)

    found = run_sums(catalog, SINCE, UNTIL, job=job, months=months)

    assert [one.period for one in found] == sorted(one.period for one in found)
    assert {(one.job, one.datasource, one.period, one.status) for one in found} == {
        group for group in groups if job in (None, group[0])
    }
    for one in found:
        runs = groups[one.job, one.datasource, one.period, one.status]
        took = [
            (datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["started_at"])).total_seconds()
            for run in runs
            if run["finished_at"] is not None
        ]
        sizes = [run["total_size_bytes"] for run in runs if run["total_size_bytes"] is not None]
        stored = [run["compressed_size_bytes"] for run in runs if run["compressed_size_bytes"] is not None]
        assert (one.times, one.timed, one.sized) == (len(runs), len(took), len(sizes))
        assert (one.size_bytes or 0, one.stored_bytes or 0) == (sum(sizes), sum(stored))
        assert one.seconds == (pytest.approx(sum(took), abs=0.01) if took else None)
        assert one.longest_seconds == (pytest.approx(max(took), abs=0.01) if took else None)


@pytest.mark.parametrize("job", [None, "hourly"])
def test_sums_of_storages_are_those_of_each_copy(catalog: Catalog, job: str | None) -> None:
    kept, _, made = fill(catalog)
    known = {run["execution_id"]: run for run in kept if run["status"] in RESTORABLE}
    expected = {"disk": [0, 0, 0], "nas": [0, 0, 0], "empty": [0, 0, 0]}
    for copy in made:
        run = known.get(copy["execution_id"])
        if run is None or copy["path"] == "" or copy["storage"] not in expected:
            continue
        sums, size = expected[copy["storage"]], run["compressed_size_bytes"] or 0
        if copy["status"] != "missing":
            sums[0] += 1
            sums[1] += size
        if run["started_at"] >= time_text(SINCE) and job in (None, run["job"]):
            sums[2] += size

    found = storage_sums(catalog, tuple(expected), SINCE, job=job)

    assert found == {name: StorageSum(*sums) for name, sums in expected.items()}
    assert storage_sums(catalog, (), SINCE, job=job) == {}
