"""Which run of a job was its last: a clock that was set back hides none, and an old backup that is learned none."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dgtui.config import Config, load_config
from dgtui.engine.catalog import Catalog
from dgtui.engine.facade import Engine
from dgtui.engine.figures import Figures
from dgtui.engine.guardian.overview import job_overviews
from dgtui.engine.late_telling import LateTeller
from dgtui.engine.model import Execution, ExecutionStatus, Purpose
from dgtui.engine.runs import RunPaths
from dgtui.screens.datasources import last_backups

NOW = datetime(2027, 3, 26, 6, 0, tzinfo=UTC)
AHEAD = timedelta(days=2)
CONFIG = """
[storages.disk]
type = "local"
path = "{0}/disk"

[datasources.shop]
type = "sqlite"
path = "{0}/shop.db"

[jobs.nightly]
datasource = "shop"
storages = ["disk"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "config.toml").write_text(CONFIG.format(tmp_path))
    return load_config(tmp_path / "config.toml")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    (tmp_path / "state").mkdir()
    opened = Catalog(tmp_path / "state")
    yield opened
    opened.close()


def a_run(identity: str, status: ExecutionStatus, at: datetime, purpose: Purpose = "backup") -> Execution:
    return Execution(
        execution_id=identity,
        job_id="job-id",
        job="nightly",
        datasource="shop",
        datasource_type="sqlite",
        status=status,
        backup_type="full",
        started_at=at,
        finished_at=at + timedelta(seconds=3),
        purpose=purpose,
    )


def shown(config: Config, catalog: Catalog) -> tuple[str, str, list[str]]:
    """How the last run of the job ended by the jobs, by the metrics, and by what needs attention."""
    (overview,) = job_overviews(config, catalog, NOW)
    figures = Figures(config, catalog, clock=lambda: NOW)
    lines = figures.metrics(daemon_running=True).splitlines()
    (line,) = [line for line in lines if line.startswith("dgtui_job_last_status{") and line.endswith((" 1", " 1.0"))]
    assert overview.last is not None
    return (
        overview.last.execution_id,
        line.partition('status="')[2].partition('"')[0],
        sorted(catalog.last_runs_gone_wrong(["nightly"])),
    )


def test_a_failure_after_the_clock_was_set_back_is_the_last_run(config: Config, catalog: Catalog) -> None:
    catalog.save_execution(a_run("good", "completed", NOW + AHEAD))
    assert shown(config, catalog) == ("good", "completed", [])
    catalog.save_execution(a_run("bad", "failed", NOW))
    assert shown(config, catalog) == ("bad", "failed", ["nightly"])
    catalog.save_execution(a_run("mended", "completed", NOW + timedelta(minutes=1)))
    assert shown(config, catalog) == ("mended", "completed", [])


def test_a_run_under_way_after_that_is_the_last_one_too(config: Config, catalog: Catalog) -> None:
    catalog.save_execution(a_run("good", "completed", NOW + AHEAD))
    catalog.save_execution(a_run("bad", "failed", NOW))
    catalog.save_execution(a_run("now", "running", NOW + timedelta(minutes=1)))
    assert shown(config, catalog) == ("now", "failed", ["nightly"])


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_an_old_backup_that_a_scan_learns_is_not_the_last_run(
    config: Config, catalog: Catalog, status: ExecutionStatus
) -> None:
    catalog.save_execution(a_run("last", status, NOW))
    catalog.save_execution(a_run("learned", "completed", NOW - timedelta(days=400)))
    assert shown(config, catalog)[:2] == ("last", status)


def test_what_a_restore_saved_before_it_hides_no_failure(config: Config, catalog: Catalog) -> None:
    catalog.save_execution(a_run("bad", "failed", NOW))
    catalog.save_execution(a_run("aside", "cancelled", NOW + timedelta(minutes=1), "safety"))
    assert shown(config, catalog)[1:] == ("failed", ["nightly"])


@pytest.mark.parametrize("status", ["interrupted", "completed"])
def test_a_dead_run_is_told_late_after_the_clock_was_set_back(
    config: Config, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: ExecutionStatus
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(
        LateTeller, "late_heartbeats", lambda _, some: sent.extend(execution.execution_id for execution in some)
    )
    catalog.save_execution(a_run("good", "completed", NOW + AHEAD))
    catalog.save_execution(a_run("dead", status, NOW))
    dead = catalog.execution("dead")
    assert dead is not None
    teller = LateTeller(catalog, config, RunPaths(tmp_path / "state"), lambda _: None)
    teller.record_end(dead)
    teller.send_heartbeats()
    assert sent == ["dead"]


def test_the_last_backup_of_a_datasource_is_the_one_that_was_made_last(config: Config, tmp_path: Path) -> None:
    """It is the one that a key restores."""
    engine = Engine(config, tmp_path / "state")

    def last() -> list[str | None]:
        known = last_backups(engine)["shop"]
        return [one.execution_id if one is not None else None for one in (known.newest, known.backup)]

    assert last() == [None, None]
    engine.catalog.save_execution(a_run("old", "completed", NOW - AHEAD))
    engine.catalog.save_execution(a_run("ahead", "partial", NOW + AHEAD))
    engine.catalog.save_execution(a_run("after", "completed", NOW))
    engine.catalog.save_execution(a_run("aside", "completed", NOW + timedelta(minutes=1), "safety"))
    assert last() == ["after", "after"]
    for number in range(120):
        engine.catalog.save_execution(a_run(f"bad {number}", "failed", NOW + timedelta(minutes=number)))
    assert last() == ["bad 119", "after"]
    engine.close()
