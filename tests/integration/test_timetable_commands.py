"""`jobs`, `enable`, `disable`, the unit for systemd, and the daemon that the screens start."""

import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from dgtui.engine.errors import ConfigError, JobBusy
from dgtui.engine.guardian.unit import daemon_unit
from tests.support.homes import Home, wait_until


def configure(home: Home) -> None:
    home.configure(
        f'[datasources.shop]\ntype = "files"\npath = "{home.folder}"\n',
        job='schedule = "30 2 * * *"\ntimezone = "Europe/Zurich"',
    )


def test_jobs_are_listed_with_their_next_runs(home: Home) -> None:
    configure(home)
    (job,) = home.dgtui("jobs", "--json").json()
    assert (job["name"], job["schedule_words"], job["enabled"], job["last"]) == (
        "nightly", "At 02:30 every day", True, None,
    )  # fmt: skip
    coming = datetime.fromisoformat(job["next_run"])
    assert timedelta(0) < coming - datetime.now(UTC) < timedelta(hours=26)
    listed = home.dgtui("jobs")
    assert "At 02:30 every day (Europe/Zurich)" in listed.output
    assert coming.astimezone().strftime("%Y-%m-%d %H:%M:%S") in listed.output
    assert "never ran" in listed.output
    assert "no daemon is running" in listed.errors


def test_jobs_tell_the_hours_in_which_they_may_begin(home: Home) -> None:
    home.configure(
        f'[datasources.shop]\ntype = "files"\npath = "{home.folder}"\n',
        job='schedule = "hourly"\ntimezone = "Asia/Tokyo"\nwindow = "22:00-06:00"\njitter = "5 min"',
    )
    (job,) = home.dgtui("jobs", "--json").json()
    assert (job["window"], job["jitter_seconds"]) == ("22:00-06:00", 300)
    assert "hourly (Asia/Tokyo, only 22:00-06:00)" in home.dgtui("jobs").output


def test_only_what_was_made_here_is_switched(home: Home) -> None:
    configure(home)
    before = home.config_path.read_bytes()
    refused = home.dgtui("disable", "nightly")
    assert refused.exit_code == 2
    assert "enabled = false" in refused.errors
    assert f"{home.config_path}:" in refused.errors
    assert home.config_path.read_bytes() == before
    engine = home.engine()
    values = {"datasource": "shop", "storages": ["disk"], "schedule": "hourly"}
    engine.save_object("jobs", "made", values, new=True)
    assert home.dgtui("disable", "made").exit_code == 0
    engine.reload()
    assert [run.job for run in engine.next_runs()] == ["nightly"]
    assert home.dgtui("enable", "made").exit_code == 0
    engine.reload()
    assert {run.job for run in engine.next_runs()} == {"nightly", "made"}
    with pytest.raises(ConfigError, match="there is no job 'other'"):
        engine.switch_job("other", enabled=True)


def test_the_daemon_that_the_screens_start(home: Home) -> None:
    configure(home)
    engine = home.engine()
    assert any("No daemon is running" in finding.message for finding in engine.check())
    status = engine.start_daemon()
    assert status.pid is not None
    try:
        assert status.running
        assert os.getsid(status.pid) == status.pid, "it outlives the terminal"
        assert not any("No daemon is running" in finding.message for finding in engine.check())
        with pytest.raises(JobBusy):
            engine.start_daemon()
    finally:
        os.kill(status.pid, signal.SIGTERM)
    wait_until(lambda: not engine.daemon_status().running, "the end of the daemon")


def test_the_unit_for_systemd(home: Home) -> None:
    configure(home)
    environment = {**home.environment, "XDG_CONFIG_HOME": str(home.folder / "50% of $HOME")}
    unit = daemon_unit(user=True, environment=environment)
    assert unit.path == home.folder / "50% of $HOME/systemd/user/dgtui.service"
    assert f'Environment="DGTUI_STATE={home.state}"' in unit.text
    for line in ("Type=notify", "KillMode=process", "WatchdogSec=60", "WantedBy=default.target"):
        assert line in unit.text.splitlines()
    assert unit.commands[-2:] == ("systemctl --user enable --now dgtui.service", "loginctl enable-linger")
    assert 'DGTUI_STATE=/a%%b"' in daemon_unit(user=False, environment={"DGTUI_STATE": "/a%b"}).text


def test_installing_the_unit(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(home)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home.folder / "xdg"))
    printed = home.dgtui("daemon", "--install", "--user", "--print")
    path = home.folder / "xdg/systemd/user/dgtui.service"
    assert not path.exists()
    written = home.dgtui("daemon", "--install", "--user")
    assert written.exit_code == 0, written
    assert path.read_text() == printed.output
    assert "systemctl --user enable --now dgtui.service" in written.output
    assert path.stat().st_mode & 0o777 == 0o644
    assert home.dgtui("daemon", "--install", "--user").exit_code == 0, "ours is written again"
    path.write_text("[Service]\nExecStart=/bin/true\n")
    refused = home.dgtui("daemon", "--install", "--user")
    assert refused.exit_code == 2
    assert path.read_text().startswith("[Service]")


def test_the_unit_names_secrets_it_will_not_have(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    table = '[datasources.NAME]\ntype = "mysql"\ndatabase = "x"\npassword = { env = "VARIABLE" }\n'
    names = {"shop": "SHOP_PASSWORD", "crm": "SHOP_PASSWORD", "old": "OLD_PASSWORD"}
    tables = [table.replace("NAME", name).replace("VARIABLE", variable) for name, variable in names.items()]
    channel = '[channels.ops]\ntype = "webhook"\nurl = { env = "OPS_URL" }\n'
    home.configure("\n".join(tables), job='heartbeat = { env = "PING_URL" }', more=channel)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home.folder / "xdg"))
    monkeypatch.setenv("SHOP_PASSWORD", "s3cret-of-the-shell")
    secrets = home.folder / "xdg/dgtui/environment"
    secrets.parent.mkdir(parents=True)
    secrets.write_text("# ours\nOLD_PASSWORD=old\n")
    written = home.dgtui("daemon", "--install", "--user")
    assert written.exit_code == 0, written
    assert f"into {secrets} (chmod 600)" in written.errors
    named = [line.strip() for line in written.errors.splitlines() if "=..." in line]
    assert named == [
        "SHOP_PASSWORD=...   for datasources.shop.password, datasources.crm.password",
        "PING_URL=...   for jobs.nightly.heartbeat",
        "OPS_URL=...   for channels.ops.url",
    ]
    unit = (home.folder / "xdg/systemd/user/dgtui.service").read_text()
    assert f"EnvironmentFile=-{secrets}" in unit.splitlines()
    assert "s3cret" not in unit + written.output + written.errors
    assert "go on when it is stopped" in written.errors


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_the_unit(home: Home) -> None:
    configure(home)
    path = home.folder / "dgtui.service"
    path.write_text(daemon_unit(user=False, environment=home.environment).text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
    )
    assert "dgtui.service" not in done.stderr, done.stderr
