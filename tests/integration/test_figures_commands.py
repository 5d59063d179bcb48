"""`stats` and `metrics` over a real backup, and lists that say how much they leave out."""

import stat
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.homes import Home
from tests.tui.conftest import make_shop, sqlite_table


def test_figures_of_a_backup_outlive_it(home: Home) -> None:
    make_shop(home.folder / "shop.db")
    home.configure(sqlite_table("shop", home.folder / "shop.db"))
    made = home.back_up()
    home.engine().delete(made, force=True)
    home.close_catalogues()
    stats = home.dgtui("stats", "--days", "7", "--json").json()
    assert stats["all"]["completed"] == 1
    assert stats["all"]["success_rate"] == 1.0
    assert stats["jobs"][0]["mean_size_bytes"] == made.total_size_bytes
    assert stats["storages"][0]["backup_count"] == 0
    table = home.dgtui("stats", "--job", "nightly").output
    assert "100 %" in table
    assert "unknown: too little history: 0 of 5 days" in table
    assert home.dgtui("stats", "--job", "nobody").exit_code == 2
    target = Path(home.folder) / "dgtui.prom"
    assert home.dgtui("metrics", "--file", str(target)).exit_code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    families = {family.name: family for family in text_string_to_metric_families(target.read_text())}
    [success] = families["dgtui_job_last_success_timestamp_seconds"].samples
    assert success.labels == {"job_name": "nightly", "datasource": "shop"}
    assert made.finished_at is not None
    assert abs(success.value - made.finished_at.timestamp()) < 1e-3
    assert home.dgtui("metrics", "--file", str(home.folder / "nowhere" / "x.prom")).exit_code == 1
    onto_folder = home.dgtui("metrics", "--file", str(home.folder))
    assert onto_folder.exit_code == 1
    assert "A folder lies there: name a file in it" in onto_folder.errors
    assert "dmesg" not in onto_folder.errors
