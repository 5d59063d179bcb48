"""Health of which one write fails: what was asked is recorded all the same, and told once."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import count
from types import ModuleType, SimpleNamespace

import pytest

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.errors import CatalogError
from dgtui.engine.health import HealthWorker, asking, jobs
from dgtui.engine.health import worker as health_worker
from dgtui.engine.health.judging import span_text
from dgtui.engine.health_model import HealthCheck, Watched
from tests.support.homes import Home
from tests.support.refusing import refusing, refusing_from

START = datetime(2025, 1, 1, 12, tzinfo=UTC)
SHOP = Watched(kind="datasource", name="shop")
FAILS_FROM, FAILS_UNTIL = START + timedelta(minutes=1), START + timedelta(minutes=4, seconds=20)
PAUSE = timedelta(seconds=5)


class Watching:
    """A health worker with a clock that the test turns and a datasource that is away for a while."""

    def __init__(self, catalog: Catalog, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START
        self.catalog = catalog
        self.config = config
        self.asked: list[datetime] = []
        monkeypatch.setattr(health_worker, "ask", self._ask)
        self.worker = HealthWorker(self, clock=lambda: self.now)

    def _ask(self, _config: Config, _catalog: Catalog, subject: Watched, at: datetime) -> HealthCheck:
        if subject != SHOP:
            return HealthCheck(subject=subject, checked_at=at, result="ok", latency_seconds=0.1)
        self.asked.append(at)
        if FAILS_FROM <= at < FAILS_UNTIL:
            return HealthCheck(subject=subject, checked_at=at, result="unreachable", message="no route")
        return HealthCheck(subject=subject, checked_at=at, result="ok", latency_seconds=0.1)

    def turn(self, span: timedelta) -> int:
        """Do what is due for so long, as the duty's runner does; how often that failed."""
        end, failures = self.now + span, 0
        while self.now < end:
            due = self.worker.next_due(self.now)
            if due is not None and due <= self.now:
                try:
                    self.worker.run(threading.Event())
                except CatalogError:
                    failures += 1
                    self.now += PAUSE
                continue
            self.now = min(end, due) if due is not None else end
        return failures


@pytest.fixture
def every_minute(home: Home) -> Home:
    """A home whose datasource is asked each minute."""
    home.configure(
        '[datasources.shop]\ntype = "files"\npath = "/nowhere"\n', more='[guardian]\nhealth_interval = "1 min"\n'
    )
    return home


def test_whichever_write_fails_an_outage_is_told_once_at_its_moment_and_with_its_length(
    every_minute: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in count(1):
        every_minute.state = every_minute.folder / str(number)
        engine = every_minute.engine()
        watching = Watching(engine.catalog, engine.config, monkeypatch)
        with refusing(number) as refused:
            failures = watching.turn(timedelta(minutes=6))
        assert failures == bool(refused.refused)
        known = HealthRecords(engine.catalog).history(SHOP)
        assert [check.checked_at for check in known] == watching.asked[::-1], (number, refused.refused)
        restored, lost = [one for one in Notifications(engine.catalog).listed() if one.subject == "shop"]
        first, _, third = [moment for moment in watching.asked if FAILS_FROM <= moment < FAILS_UNTIL][:3]
        back = next(moment for moment in watching.asked if moment >= FAILS_UNTIL)
        assert (lost.kind, restored.kind) == ("connection_lost", "connection_restored")
        assert restored.message == f"shop answers again after {span_text(back - first)}"
        assert lost.created_at - third <= PAUSE, (number, refused.refused)
        assert restored.created_at - back <= PAUSE, (number, refused.refused)
        engine.close()
        if not refused.refused:
            break
    assert number > 50


def test_while_nothing_can_be_recorded_nothing_more_is_asked(
    every_minute: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = every_minute.engine()
    watching = Watching(engine.catalog, engine.config, monkeypatch)
    watching.turn(timedelta(minutes=1))
    with refusing_from(1):
        failures = watching.turn(timedelta(minutes=2))
    assert failures > 10
    assert len(watching.asked) <= 3
    watching.turn(timedelta(minutes=1))
    assert len(HealthRecords(engine.catalog).history(SHOP)) == len(watching.asked)


@pytest.mark.parametrize(("module", "subject"), [(jobs, "nightly"), (asking, "disk")])
def test_a_catalogue_that_cannot_be_read_says_nothing_of_a_job_or_a_storage(
    every_minute: Home, monkeypatch: pytest.MonkeyPatch, module: ModuleType, subject: str
) -> None:
    """It was recorded as a check that hung, or as a storage that failed."""

    def fail(*_: object) -> None:
        raise CatalogError("disk I/O error")

    engine = every_minute.engine()
    every_minute.storage().mkdir()
    worker = HealthWorker(SimpleNamespace(config=engine.config, catalog=engine.catalog))
    asked = Watched(kind="job" if module is jobs else "storage", name=subject)
    with monkeypatch.context() as patched:
        patched.setattr(module, "good_backups", fail)
        with pytest.raises(CatalogError, match="disk I/O error"):
            worker.check([asked], threading.Event())
        assert HealthRecords(engine.catalog).history() == []
        assert worker.busy, "it is asked again"
    worker.run(threading.Event())
    assert [check.result for check in HealthRecords(engine.catalog).history(asked)] == ["ok"]
