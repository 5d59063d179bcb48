"""The time zone of the system, set while the daemon runs."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dgtui.engine.guardian.zone_watch import ZoneWatch
from tests.unit.timetable_support import Guard, job


def test_another_zone_is_taken_up_once_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(time, "tzset", lambda: taken.append("tzset"))
    for name in ("UTC", "Berlin"):
        (tmp_path / name).write_text(name)
    link, text = tmp_path / "localtime", tmp_path / "timezone"
    link.symlink_to("UTC")
    watch = ZoneWatch((link, text))
    assert not watch.changed()
    link.unlink()
    link.symlink_to("Berlin")
    assert not watch.changed()
    text.write_text("Europe/Berlin")
    assert not watch.changed()
    assert taken == []
    assert watch.changed()
    assert taken == ["tzset"]
    assert not watch.changed()


def test_what_is_put_back_at_once_is_no_change(tmp_path: Path) -> None:
    (tmp_path / "UTC").write_text("UTC")
    link = tmp_path / "localtime"
    link.symlink_to("UTC")
    watch = ZoneWatch((link,))
    link.unlink()
    assert not watch.changed()
    link.symlink_to("UTC")
    assert not watch.changed()
    assert not watch.changed()


def test_the_timetable_goes_by_the_new_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = ZoneInfo("UTC")
    monkeypatch.setattr("dgtui.engine.timetable.time_zone", lambda name: zone if name is None else ZoneInfo(name))
    named = job('schedule = "daily at 03:00"\ntimezone = "UTC"', name="named")
    guard = Guard(tmp_path, job('schedule = "daily at 03:00"') + named)
    guard.until(datetime(2025, 1, 2, 4, tzinfo=UTC))
    zone = ZoneInfo("America/New_York")
    guard.context.take_zone()
    guard.until(datetime(2025, 1, 3, 12, tzinfo=UTC))
    by_job = {name: [one.started_at for one in guard.catalog.executions(job=name)] for name in ("nightly", "named")}
    daily = timedelta(days=1)
    first = datetime(2025, 1, 2, 3, tzinfo=UTC)
    assert by_job["named"] == [first + daily, first]
    assert by_job["nightly"] == [first.replace(hour=8) + daily, first.replace(hour=8), first]
