"""Figures: what is counted, what is told of the future, what was missed, and what Prometheus reads."""

import math
import os
import stat
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from dgtui.config import Config, load_config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.figures import RunMoment, SpaceSample
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.errors import ConfigError
from dgtui.engine.figures import Figures
from dgtui.engine.figures.calendar import job_calendar, last_days, missed_times
from dgtui.engine.figures.exposition import Family, Sample, exposition
from dgtui.engine.figures.filling import outlook
from dgtui.engine.figures.model import Day
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.metrics_duty import MetricsDuty
from dgtui.engine.health.judging import judge
from dgtui.engine.health_model import Figures as HealthFigures
from dgtui.engine.health_model import HealthCheck, HealthEvent, HealthState, HealthStatus, Watched
from dgtui.engine.model import Copy, Execution, ExecutionStatus, Problem
from dgtui.engine.notification_model import Notification
from dgtui.engine.runs import RunPaths
from dgtui.engine.schedules import CalendarSchedule
from dgtui.engine.timetable import Timetable

NOON = datetime(2025, 2, 13, 12, tzinfo=UTC)
GB = 10**9
CONFIG = """
[storages.disk]
type = "local"
path = "/nowhere/disk"
[storages.nas]
type = "local"
path = "/nowhere/nas"
[datasources.shop]
type = "sqlite"
path = "/nowhere/shop.db"
[datasources.crm]
type = "sqlite"
path = "/nowhere/crm.db"
[jobs.nightly]
datasource = "shop"
storages = ["disk", "nas"]
schedule = "daily at 03:00"
timezone = "UTC"
[jobs.hourly]
datasource = "crm"
storages = ["disk"]
"""


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "config.toml").chmod(0o600)
    return load_config(tmp_path / "config.toml")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()


def run_of(
    number: int,
    status: ExecutionStatus = "completed",
    *,
    days_ago: float = 1,
    job: str = "nightly",
    seconds: float = 60,
    size: int = GB,
    problem: Problem | None = None,
    storages: tuple[str, ...] = ("disk", "nas"),
) -> Execution:
    """A run of a job."""
    at = NOON - timedelta(days=days_ago)
    good = status in ("completed", "partial")
    return Execution(
        execution_id=f"execution-{number:04}",
        job_id=f"id-of-{job}",
        job=job,
        datasource="shop" if job == "nightly" else "crm",
        datasource_type="sqlite",
        status=status,
        backup_type="full",
        started_at=at,
        finished_at=at + timedelta(seconds=seconds),
        total_size_bytes=size if good else None,
        compressed_size_bytes=size // 4 if good else None,
        folder=f"folder-{number}" if good else None,
        problem=problem,
        copies=tuple(Copy(storage=name, status="available", path=f"/x/{number}") for name in storages) if good else (),
    )


def figures(config: Config, catalog: Catalog) -> Figures:
    """At noon."""
    return Figures(config, catalog, clock=lambda: NOON)


def save_health(
    catalog: Catalog,
    subject: Watched,
    at: datetime,
    *,
    status: HealthStatus = "healthy",
    told: tuple[str, ...] = (),
    numbers: HealthFigures | None = None,
    message: str = "",
    latency: float | None = 0.012,
) -> None:
    """A check, and how the object stands after it."""
    check = HealthCheck(
        subject=subject,
        checked_at=at,
        result="ok" if latency is not None else "timeout",
        latency_seconds=latency,
        figures=numbers or HealthFigures(),
    )
    state = HealthState(
        subject=subject,
        status=status,
        checked_at=at,
        result=check.result,
        latency_seconds=latency,
        told=told,
        message=message,
        figures=check.figures,
    )
    HealthRecords(catalog).record([(check, lambda _former, _latencies: (state, ()))])


# Runs


def test_rates_times_and_sizes_are_those_of_the_runs(config: Config, catalog: Catalog) -> None:
    problem = Problem(kind="DiskSpaceError", message="nas is full")
    for run in (
        run_of(1, days_ago=3, seconds=60, size=GB),
        run_of(2, days_ago=2, seconds=180, size=2 * GB),
        run_of(3, "partial", days_ago=1, seconds=60, size=3 * GB, problem=problem, storages=("disk",)),
        run_of(4, "failed", days_ago=0.5, problem=problem),
        run_of(5, "cancelled", days_ago=0.4),
        run_of(6, "interrupted", days_ago=0.3),
        run_of(7, "running", days_ago=0.1),
        run_of(8, "failed", days_ago=40, problem=problem),
        run_of(9, job="hourly", days_ago=1, storages=("disk",)),
        msgspec.structs.replace(run_of(10, days_ago=1), purpose="safety"),
    ):
        catalog.save_execution(run)
    stats = figures(config, catalog).stats(days=30)
    nightly = next(one for one in stats.jobs if one.name == "nightly")
    assert (nightly.completed, nightly.partial, nightly.failed, nightly.cancelled) == (2, 1, 2, 1)
    assert nightly.success_rate == pytest.approx(2 / 5)
    assert nightly.mean_seconds == pytest.approx(100, abs=0.01)
    assert nightly.longest_seconds == pytest.approx(180, abs=0.01)
    assert nightly.mean_size_bytes == 2 * GB
    assert nightly.size_change == pytest.approx(2.0)
    assert [period.begins for period in nightly.periods] == ["2025-02-10", "2025-02-11", "2025-02-12", "2025-02-13"]
    assert [one.name for one in stats.datasources] == ["crm", "shop"]
    assert stats.all.completed == 3
    assert [(one.kind, one.count) for one in stats.errors] == [("DiskSpaceError", 2), ("interrupted", 1)]
    held = {one.name: (one.backup_count, one.added_bytes) for one in stats.storages}
    assert held == {"disk": (5, 2 * GB), "nas": (3, GB)}
    longer = figures(config, catalog).stats(days=100, job="nightly")
    assert [period.begins for period in longer.all.periods] == ["2025-01", "2025-02"]
    assert longer.all.failed == 3
    assert [one.name for one in longer.jobs] == ["nightly"]


def test_nothing_is_made_up_where_nothing_ran(config: Config, catalog: Catalog) -> None:
    stats = figures(config, catalog).stats()
    assert stats.all.success_rate is None
    assert stats.all.mean_seconds is None
    assert {one.outlook.growth_bytes_per_day for one in stats.storages} == {None}
    assert {one.outlook.note for one in stats.storages} == {"too little history: 0 of 5 days"}


def gone(catalog: Catalog) -> set[tuple[str, str | None]]:
    """The executions whose last copy was removed, and why each had failed."""
    with catalog.transaction() as connection:
        return set(map(tuple, connection.execute("SELECT execution_id, problem_kind FROM past_executions")))


def test_what_was_removed_still_counts_and_is_listed_no_more(config: Config, catalog: Catalog) -> None:
    problem = Problem(kind="StorageError", message="nas was away")
    catalog.save_execution(run_of(1, days_ago=2))
    catalog.save_execution(run_of(2, "partial", days_ago=1, problem=problem, storages=("disk",)))
    before = figures(config, catalog).stats()
    catalog.remove_copy("execution-0001", "disk")
    assert catalog.execution("execution-0001") is not None
    catalog.remove_copy("execution-0001", "nas")
    catalog.forget_execution("execution-0002")
    assert catalog.executions() == []
    after = figures(config, catalog).stats()
    assert (after.jobs, after.datasources, after.errors) == (before.jobs, before.datasources, before.errors)
    assert gone(catalog) == {("execution-0002", "StorageError"), ("execution-0001", None)}
    # A storage that comes back holds it still: it is a backup again, and counts once.
    catalog.save_execution(run_of(1, days_ago=2))
    assert gone(catalog) == {("execution-0002", "StorageError")}
    assert figures(config, catalog).stats().jobs == before.jobs


# Filling


def samples(*free: float, total: int = 1000, hours: float = 24) -> list[SpaceSample]:
    """One a day."""
    return [
        SpaceSample(NOON + timedelta(hours=hours * place), round(left * GB), total * GB)
        for place, left in enumerate(free)
    ]


def test_a_storage_that_fills_evenly_is_full_when_the_line_says() -> None:
    found = outlook(samples(100, 90, 80, 70, 60, 50))
    assert found.growth_bytes_per_day == 10 * GB
    assert found.days_until_full == pytest.approx(5)
    assert found.note == ""


@pytest.mark.parametrize(
    ("given_samples", "note"),
    [
        (samples(), "too little history: 0 of 5 days"),
        (samples(100, 90, 80, 70), "too little history: 4 of 5 days"),
        (samples(50, 60, 70, 80, 90), "not filling"),
        (samples(50, 50, 50, 50, 50), "not filling"),
        (samples(100, 20, 110, 15, 100, 14), "too uneven to tell"),
        (samples(900, 899.9, 899.8, 899.7, 899.6), "not within ten years"),
        ([*samples(*range(90, 10, -10), total=100), *samples(500, 490, total=1000)], "too little history: 2 of 5 days"),
    ],
)
def test_what_cannot_be_told_is_not_told(given_samples: list[SpaceSample], note: str) -> None:
    found = outlook(given_samples)
    assert found.days_until_full is None
    assert found.note == note


@given(st.lists(st.integers(0, 1000), max_size=40))
def test_an_outlook_is_never_nonsense(free: list[int]) -> None:
    found = outlook(samples(*free))
    assert (found.days_until_full is None) == bool(found.note)
    if found.days_until_full is not None:
        assert found.days_until_full >= 0
        assert math.isfinite(found.days_until_full)


def test_room_is_the_least_of_each_day(config: Config, catalog: Catalog) -> None:
    disk = Watched(kind="storage", name="disk")
    for day in range(10):
        for hour, more in ((0, 0), (6, 5), (11, 3)):
            at = NOON - timedelta(days=9 - day, hours=12 - hour)
            numbers = HealthFigures(disk_free_bytes=(500 - 10 * day + more) * GB, disk_total_bytes=1000 * GB)
            save_health(catalog, disk, at, numbers=numbers)
    disk_figures = figures(config, catalog).stats().storages[0]
    assert disk_figures.free_bytes == 413 * GB
    assert disk_figures.outlook.growth_bytes_per_day == 10 * GB
    assert disk_figures.outlook.days_until_full == pytest.approx(41)


# The calendar


def nightly(**more: object) -> Timetable:
    """At three."""
    return Timetable.parse("x", "0 3 * * *", "UTC", **more)  # type: ignore[arg-type]


def test_a_due_time_without_a_run_was_missed() -> None:
    since = datetime(2025, 2, 1, 4, tzinfo=UTC)
    starts = [datetime(2025, 2, day, 3, 2, tzinfo=UTC) for day in (2, 3, 6, 7, 8, 12)]
    missed = list(missed_times(nightly().next_after, starts, since, NOON))
    assert [moment.day for moment in missed] == [4, 5, 9, 10, 11, 13]
    # Within its hour of grace nothing is missed yet.
    early = missed_times(nightly().next_after, starts, since, NOON.replace(hour=3, minute=30))
    assert [moment.day for moment in early] == [4, 5, 9, 10, 11]


def test_no_run_at_all_is_all_missed_and_no_schedule_none() -> None:
    since = NOON - timedelta(days=3)
    assert len(list(missed_times(nightly().next_after, [], since, NOON))) == 3
    never = Timetable.parse("x", "0 0 29 2 *", "UTC")
    assert list(missed_times(never.next_after, [], since, NOON)) == []


@given(st.sets(st.integers(0, 200)), st.integers(1, 24))
def test_each_due_time_is_either_run_or_missed(left_out: set[int], every: int) -> None:
    """Whatever is left out, and however often it runs: what is missed is what was left out."""
    table = Timetable.parse("x", f"every {every} h", "UTC")
    since = NOON - timedelta(days=8)
    due, moment = [], since
    while (coming := table.next_after(moment)) is not None and coming.starts_at <= NOON:
        due.append(coming.starts_at)
        moment = coming.starts_at
    starts = [at + timedelta(seconds=40) for place, at in enumerate(due) if place not in left_out]
    expected = [at for place, at in enumerate(due) if place in left_out and at <= NOON - timedelta(hours=1)]
    assert list(missed_times(table.next_after, starts, since, NOON)) == expected


def test_a_day_is_what_the_worst_of_it_was() -> None:
    def moment(day: int, status: str, size: int | None = None) -> RunMoment:
        return RunMoment("nightly", datetime(2025, 2, day, 3, tzinfo=UTC), status, size)

    days = last_days(NOON, 7)
    assert days[0] == date(2025, 2, 7)
    runs = [
        moment(7, "completed", 5),
        moment(8, "failed"),
        moment(8, "completed", 6),
        moment(9, "partial", 7),
        moment(10, "cancelled"),
        moment(12, "completed", 8),
        moment(13, "running"),
        moment(1, "failed"),
    ]
    missed = [datetime(2025, 2, 12, 9, tzinfo=UTC)]
    shown = job_calendar("nightly", days, runs, missed).days
    assert [day.state for day in shown] == [
        "good", "failed", "partial", "cancelled", "nothing", "missed", "nothing",
    ]  # fmt: skip
    assert [day.size_bytes for day in shown] == [5, 6, 7, None, None, 8, None]


def test_calendars_are_of_what_is_configured(config: Config, catalog: Catalog) -> None:
    for days_ago in (1, 2, 5):
        catalog.save_execution(run_of(days_ago, days_ago=days_ago + 9 / 24))
    found = {one.job: one for one in figures(config, catalog).calendars(days=7)}
    states = [day.state for day in found["nightly"].days]
    # Before the first run it is not known whether the job was there.
    assert states == ["nothing", "good", "missed", "missed", "good", "good", "missed"]
    assert {day.state for day in found["hourly"].days} == {"nothing"}


def judged(
    check: HealthCheck, former: HealthState, _latencies: Sequence[float]
) -> tuple[HealthState, tuple[HealthEvent, ...]]:
    return judge(former, check, None)


def test_a_job_that_never_ran_missed_what_was_due_since_it_is_watched(config: Config, catalog: Catalog) -> None:
    records, job = HealthRecords(catalog), Watched(kind="job", name="nightly")
    for days_ago in (3, 1):
        check = HealthCheck(subject=job, checked_at=NOON - timedelta(days=days_ago), result="ok")
        records.record([(check, partial(judged, check))])
    found = {one.job: one for one in figures(config, catalog).calendars(days=7)}
    states = [day.state for day in found["nightly"].days]
    assert states == ["nothing", "nothing", "nothing", "nothing", "missed", "missed", "missed"]


def test_jobs_of_the_same_timetable_share_the_way_through_it(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []
    find = CalendarSchedule.next_after

    def counted(schedule: CalendarSchedule, moment: datetime) -> datetime | None:
        asked.append(moment)
        return find(schedule, moment)

    monkeypatch.setattr(CalendarSchedule, "next_after", counted)
    for place, job in enumerate(("nightly", "second", "third")):
        catalog.save_execution(run_of(place, days_ago=20 + 9 / 24, job=job))

    def calendars(*more: str) -> tuple[dict[str, tuple[Day, ...]], int]:
        tables = "".join(
            f'[jobs.{name}]\ndatasource = "crm"\nstorages = ["disk"]\nschedule = "daily at 03:00"\ntimezone = "UTC"\n'
            for name in more
        )
        path = tmp_path / "config.toml"
        path.write_text(CONFIG + tables)
        path.chmod(0o600)
        asked.clear()
        found = {one.job: one.days for one in figures(load_config(path), catalog).calendars(days=30)}
        return found, len(asked)

    _, alone = calendars()
    found, together = calendars("second", "third")
    assert found["nightly"] == found["second"] == found["third"]
    assert sum(day.missed for day in found["third"]) == 20
    assert alone > 20
    assert together < alone * 1.5


# Attention


def test_the_worst_comes_first_and_leads_to_its_place(config: Config, catalog: Catalog) -> None:
    catalog.save_execution(run_of(1, days_ago=2))
    catalog.save_execution(run_of(2, "failed", days_ago=1, problem=Problem(kind="StorageError", message="away")))
    catalog.save_copy("execution-0001", Copy(storage="nas", status="missing", path="/x/1"))
    save_health(catalog, Watched(kind="datasource", name="crm"), NOON, status="critical", message="refused")
    save_health(catalog, Watched(kind="job", name="nightly"), NOON, status="critical", message="No good backup since")
    save_health(catalog, Watched(kind="datasource", name="gone"), NOON, status="critical")
    for day in range(6):
        numbers = HealthFigures(disk_free_bytes=(70 - 10 * day) * GB, disk_total_bytes=1000 * GB)
        save_health(catalog, Watched(kind="storage", name="disk"), NOON - timedelta(days=5 - day), numbers=numbers)
    found = figures(config, catalog).overview(daemon_running=False).attention
    assert [(one.severity, one.place, one.name) for one in found] == [
        ("critical", "datasources", "crm"),
        ("critical", "jobs", "nightly"),
        ("error", "jobs", ""),
        ("error", "history", "execution-0002"),
        ("warning", "storages", "disk"),
        ("warning", "backups", "shop"),
    ]
    assert found[4].text == "Storage disk will be full in about 2 days"
    assert found[5].text == "1 copy of shop missing or damaged at nas"
    assert not any("daemon" in one.text for one in figures(config, catalog).overview(daemon_running=True).attention)


# Metrics

NASTY = 'a "b" \\ c\nd é \u202e'


def test_a_real_parser_reads_what_is_written() -> None:
    family = Family(
        name="dgtui_x",
        help="back\\slash\nand line",
        samples=(Sample(value=1.5, labels={"name": NASTY}), Sample(value=2**40), Sample(value=math.inf)),
    )
    [read] = text_string_to_metric_families(exposition([family, Family(name="dgtui_none", help="", samples=())]))
    assert (read.name, read.type, read.documentation) == ("dgtui_x", "gauge", "back\\slash\nand line")
    assert [(sample.labels, sample.value) for sample in read.samples] == [
        ({"name": NASTY}, 1.5),
        ({}, 2.0**40),
        ({}, math.inf),
    ]


@given(st.text(), st.floats(allow_nan=False))
def test_whatever_a_name_is_it_comes_back(name: str, value: float) -> None:
    text = exposition([Family(name="dgtui_x", help="h", samples=(Sample(value=value, labels={"name": name}),))])
    [read] = text_string_to_metric_families(text)
    assert read.samples[0].labels == {"name": name}
    assert read.samples[0].value == value


def read_metrics(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels."""
    return {
        (sample.name.removeprefix("dgtui_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_say_how_everything_stands(config: Config, catalog: Catalog) -> None:
    catalog.save_execution(run_of(1, days_ago=2, seconds=90))
    catalog.save_execution(run_of(2, "failed", days_ago=1, seconds=30))
    catalog.save_copy("execution-0001", Copy(storage="nas", status="unreachable", path="/x/1"))
    save_health(catalog, Watched(kind="datasource", name="shop"), NOON)
    save_health(catalog, Watched(kind="datasource", name="crm"), NOON, status="critical", latency=None)
    save_health(catalog, Watched(kind="job", name="nightly"), NOON, status="critical", told=("backup_overdue",))
    numbers = HealthFigures(disk_free_bytes=400 * GB, disk_total_bytes=1000 * GB)
    save_health(catalog, Watched(kind="storage", name="disk"), NOON, numbers=numbers)
    Notifications(catalog).add(
        Notification(
            notification_id="", kind="backup_failed", severity="error", subject_kind="job", subject="nightly",
            message="failed", created_at=NOON,
        )
    )  # fmt: skip
    read = read_metrics(figures(config, catalog).metrics(daemon_running=False))
    job = (("datasource", "shop"), ("job_name", "nightly"))
    assert read[("daemon_up", ())] == 0
    assert read[("job_last_success_timestamp_seconds", job)] == (NOON - timedelta(days=2, seconds=-90)).timestamp()
    assert read[("job_last_duration_seconds", job)] == 30
    assert read[("job_last_size_bytes", job)] == GB
    statuses = {dict(labels)["status"]: v for (name, labels), v in read.items() if name == "job_last_status"}
    assert statuses == {"completed": 0, "partial": 0, "failed": 1, "cancelled": 0, "interrupted": 0}
    assert read[("copies", (("status", "unreachable"), ("storage", "nas")))] == 1
    assert read[("storage_free_bytes", (("storage", "disk"),))] == 400 * GB
    assert read[("storage_used_bytes", (("storage", "disk"),))] == 600 * GB
    assert ("storage_free_bytes", (("storage", "nas"),)) not in read
    assert read[("datasource_up", (("datasource", "shop"),))] == 1
    assert read[("datasource_up", (("datasource", "crm"),))] == 0
    assert read[("datasource_latency_seconds", (("datasource", "shop"),))] == pytest.approx(0.012)
    assert ("datasource_latency_seconds", (("datasource", "crm"),)) not in read
    assert read[("notifications_unread", ())] == 1
    assert read[("job_overdue", (("job_name", "nightly"),))] == 1
    assert not any(name == "job_last_size_bytes" and labels != job for name, labels in read)


def test_metrics_and_overview_know_what_nobody_has_checked_since(config: Config, catalog: Catalog) -> None:
    shop, crm = Watched(kind="datasource", name="shop"), Watched(kind="datasource", name="crm")
    last = NOON - timedelta(days=3)
    save_health(catalog, shop, last)
    save_health(catalog, crm, NOON - timedelta(minutes=7), status="critical", latency=None)
    read = read_metrics(figures(config, catalog).metrics(daemon_running=False))
    assert read[("health_checked_timestamp_seconds", (("kind", "datasource"), ("name", "shop")))] == last.timestamp()
    assert read[("health_status", (("kind", "datasource"), ("name", "shop"), ("status", "unknown")))] == 1
    assert read[("health_status", (("kind", "datasource"), ("name", "shop"), ("status", "healthy")))] == 0
    assert [dict(labels)["datasource"] for name, labels in read if name == "datasource_up"] == ["crm"]
    found = figures(config, catalog).overview(daemon_running=True).attention
    assert [one.text for one in found if one.place == "datasources"] == [
        "Datasource crm: critical",
        "Health of 1 of 2 unknown: nobody has checked since 2025-02-10 12:00 UTC",
    ]


def test_the_file_is_put_in_place_whole_and_can_be_read_by_others(
    config: Config, catalog: Catalog, tmp_path: Path
) -> None:
    target = tmp_path / "collector" / "dgtui.prom"
    target.parent.mkdir()
    for name in ("dgtui", "other"):
        cut = target.with_name(f".{name}.prom.0123456789abcdef.tmp")
        cut.touch()
        os.utime(cut, (0, 0))
    before = os.umask(0o077)
    try:
        figures(config, catalog).write_metrics(target, daemon_running=True)
        first = target.stat().st_ino
        figures(config, catalog).write_metrics(target, daemon_running=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert target.stat().st_ino != first
    # What a killed daemon left goes; the folder is not ours alone.
    assert {path.name for path in target.parent.iterdir()} == {"dgtui.prom", ".other.prom.0123456789abcdef.tmp"}
    assert read_metrics(target.read_text())[("daemon_up", ())] == 1


def test_the_daemon_writes_it_each_minute_where_a_file_is_named(
    config: Config, catalog: Catalog, tmp_path: Path
) -> None:
    context = DutyContext(config, catalog, RunPaths(tmp_path / "state"), clock=lambda: NOON)
    duty = MetricsDuty(context)
    assert duty.next_due(NOON) is None
    path = tmp_path / "dgtui.prom"
    guardian = msgspec.structs.replace(config.guardian, metrics_file=str(path))
    context.take_config(msgspec.structs.replace(config, guardian=guardian))
    assert duty.next_due(NOON) == NOON
    duty.run(NOON)
    assert read_metrics(path.read_text())[("daemon_up", ())] == 1
    assert duty.next_due(NOON) == NOON + timedelta(minutes=1)
    # The clock was set back, and the file became another one.
    assert duty.next_due(NOON - timedelta(hours=1)) == NOON - timedelta(hours=1)
    other = msgspec.structs.replace(guardian, metrics_file=str(tmp_path / "other.prom"))
    context.take_config(msgspec.structs.replace(config, guardian=other))
    assert duty.next_due(NOON) == NOON


@pytest.mark.parametrize("path", ["metrics.prom", "/var/lib/metrics.txt"])
def test_a_metrics_file_that_nobody_would_read_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "config.toml").write_text(f'{CONFIG}\n[guardian]\nmetrics_file = "{path}"\n')
    with pytest.raises(ConfigError, match=r"ends in \.prom"):
        load_config(tmp_path / "config.toml")
