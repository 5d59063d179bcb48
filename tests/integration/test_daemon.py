"""The daemon as a process: one for a state folder, told by signals and by changed files, heard by systemd."""

import shutil
import signal
from pathlib import Path

import pytest

from dgtui.engine.errors import EXIT_FAILED, DataGuardianError
from tests.support.daemons import Notifications, StartDaemon
from tests.support.homes import PATIENCE_SECONDS, Home, wait_until
from tests.support.receivers import web_server
from tests.support.shops import fill_up

GOOD = "[guardian]\nmax_concurrent = 3\n"
WRONG = "[guardian]\nmax_concurrent = 0\n"


def test_one_daemon_for_a_state_folder(home: Home, start_daemon: StartDaemon) -> None:
    home.config_path.write_text(GOOD)
    assert home.dgtui("daemon", "--status").exit_code == 1
    daemon = start_daemon().wait_ready()
    second = home.dgtui("daemon")
    assert second.exit_code == 4, second
    assert f"pid {daemon.process.pid}" in second.errors
    told = home.dgtui("daemon", "--status")
    assert told.exit_code == 0
    assert f"pid {daemon.process.pid}" in told.output
    assert home.dgtui("daemon", "--status", "--json").json()["pid"] == daemon.process.pid
    assert daemon.stop() == 0
    assert home.dgtui("daemon", "--status").exit_code == 1


def test_a_killed_daemon_frees_its_place(home: Home, start_daemon: StartDaemon) -> None:
    home.config_path.write_text(GOOD)
    start_daemon().wait_ready().stop(signal.SIGKILL)
    assert start_daemon().wait_ready().stop(signal.SIGINT) == 0


def test_a_wrong_configuration_at_the_start_is_refused(home: Home, start_daemon: StartDaemon) -> None:
    home.config_path.write_text(WRONG)
    refused = home.dgtui("daemon")
    assert refused.exit_code == 2
    assert "config.toml:2: guardian.max_concurrent: expected a whole number of at least 1" in refused.errors


def test_a_daemon_that_a_screen_could_not_start_says_why(home: Home) -> None:
    """The lines of its log are nothing that a toast has room for."""
    home.config_path.write_text(GOOD)
    engine = home.engine()
    home.config_path.write_text(WRONG)
    with pytest.raises(DataGuardianError, match=r"did not come up: .*config.toml:2: guardian.max_concurrent: expected"):
        engine.start_daemon()


def test_a_wrong_configuration_later_is_survived_and_told(home: Home, start_daemon: StartDaemon) -> None:
    home.config_path.write_text(GOOD)
    daemon = start_daemon().wait_ready()
    home.config_path.write_text(WRONG + "nonsense = 1\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(lambda: "config.toml:3: guardian.nonsense" in daemon.log, "the last line in the log")
    assert "config.toml:2: guardian.max_concurrent" in daemon.log
    assert "\\n" not in daemon.log, "each mistake has a line of its own"
    daemon.wait_for(daemon.says_config_is_wrong, "the problem in the status")
    assert "the last good one is in use" in home.dgtui("daemon", "--status").output
    # Nobody sends a signal this time: the change of the file is enough.
    home.config_path.write_text(GOOD + "\n")
    daemon.wait_for(lambda: not daemon.says_config_is_wrong(), "the configuration to be taken up")
    assert "The configuration was read again" in daemon.log
    assert daemon.stop() == 0


def test_an_emptied_configuration_ends_no_guarding(home: Home, start_daemon: StartDaemon) -> None:
    """As a full disk leaves a file that somebody saves; nobody would be told that nothing is backed up any more."""
    home.configure('[datasources.shop]\ntype = "files"\npath = "/etc/hostname"\n')
    whole = home.config_path.read_text()
    daemon = start_daemon().wait_ready()
    home.config_path.write_text("")
    daemon.wait_for(daemon.says_config_is_wrong, "the refusal")
    assert f"{home.config_path}: nothing is configured any more" in daemon.log
    told = home.dgtui("notifications", "--type", "configuration_wrong", "--json")
    assert len(told.json()) == 1, told
    assert daemon.stop() == 0
    again = start_daemon().wait_ready()
    assert again.log.count("Guarding 1 job,") == 2
    home.config_path.write_text(whole)
    again.wait_for(lambda: "The configuration was read again" in again.log, "the whole one to be taken up")
    assert again.stop() == 0


def test_a_daemon_whose_state_folder_is_gone_ends(home: Home, start_daemon: StartDaemon) -> None:
    """Another one could begin there, and both would follow the timetable; systemd starts it anew."""
    home.config_path.write_text(GOOD)
    daemon = start_daemon().wait_ready()
    away = home.folder / "away"
    home.state.rename(away)
    assert daemon.process.wait(PATIENCE_SECONDS) == EXIT_FAILED
    assert f"The state folder {home.state} was moved, removed or unmounted" in daemon.log
    shutil.rmtree(home.state, ignore_errors=True)
    away.rename(home.state)
    assert start_daemon().wait_ready().stop() == 0


def test_what_systemd_hears(home: Home, start_daemon: StartDaemon) -> None:
    home.config_path.write_text(GOOD)
    heard = Notifications(home.folder)
    # The system keeps ten messages for who does not take them; more often, a busy test would miss some.
    daemon = start_daemon(NOTIFY_SOCKET=str(heard.path), WATCHDOG_USEC="2000000")
    wait_until(lambda: "READY=1" in heard.take(), "READY")
    wait_until(lambda: heard.take().count("WATCHDOG=1") > 2, "signs of life")
    before = len(heard.take())
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "READY=1" in heard.take()[before:], "READY after the reload")
    after = heard.take()[before:]
    assert after.index("RELOADING=1") < after.index("READY=1")
    assert any(line.startswith("MONOTONIC_USEC=") for line in after)
    assert daemon.stop() == 0
    assert "STOPPING=1" in heard.take()
    heard.close()


def test_a_full_disk_of_the_state_folder_is_told_by_all_that_look(
    home: Home, small_mount: Path, start_daemon: StartDaemon
) -> None:
    home.config_path.write_text(GOOD)
    home.state = small_mount / "state"
    daemon = start_daemon().wait_ready()
    fill_up(small_mount)
    assert "The disk of the state folder is full" in home.dgtui("daemon", "--status").output
    assert home.dgtui("daemon", "--status", "--json").json()["disk_full"] is True
    assert "The disk of the state folder is full" in home.dgtui("status").errors
    assert daemon.stop() == 0


def test_a_daemon_that_starts_on_a_full_disk_tells_it_and_waits_for_room(
    home: Home, small_mount: Path, start_daemon: StartDaemon
) -> None:
    home.state = small_mount / "state"
    home.state.mkdir()
    filler = fill_up(small_mount)
    with web_server() as web:
        channel = f'[channels.hook]\ntype = "webhook"\nseverity = "critical"\nurl = "{web.url}"\n'
        home.config_path.write_text(f"{GOOD}\n{channel}")
        home.config_path.chmod(0o600)
        daemon = start_daemon()
        wait_until(lambda: len(web.requests) == 1, "people are told")
        assert web.requests[0].json["notifications"][0]["kind"] == "state_unwritable"
        # What `systemctl reload` sends: systemd would take an end by it for a clean one, and start no other.
        daemon.process.send_signal(signal.SIGHUP)
        filler.unlink()
        daemon.wait_ready()
        wait_until(lambda: len(web.requests) == 2, "people are told that it is over")
        assert web.requests[1].json["notifications"][0]["kind"] == "state_restored"
        assert daemon.stop() == 0


def test_options_that_say_nothing_together_are_refused(home: Home) -> None:
    home.config_path.write_text(GOOD)
    for options in (["--status", "--install"], ["--install", "--json"], ["--status", "--user"], ["--print"]):
        refused = home.dgtui("daemon", *options)
        assert (refused.exit_code, refused.output) == (2, ""), options
    assert not home.state.exists()
