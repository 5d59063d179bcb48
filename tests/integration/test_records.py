"""What a run leaves behind for people: notifications, heartbeats and the audit log, through the commands."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest

from dgtui.engine.notify import raise_notification
from tests.integration.test_faults_processes import worker_pid
from tests.support.homes import Home
from tests.support.receivers import WebServer, closed_port, frozen_server, web_server

_UNCHAIN = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.executescript("DROP TRIGGER audit_refuses_update; UPDATE audit SET outcome = 'failed' WHERE number = 5;")
"""


_DIES = json.dumps(["sh", "-c", "kill -9 $PPID"])
"""A program before the backup that kills the worker."""


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def shop(home: Home, *, channel: str = "", job: str = "", path: str = "shop.db") -> None:
    """A job over a small database, a channel `ops`, and the job's further keys."""
    file = home.folder / "shop.db"
    if not file.exists():
        with closing(sqlite3.connect(file)) as database:
            database.executescript("CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (1), (2);")
    home.configure(
        f'[datasources.shop]\ntype = "sqlite"\npath = {json.dumps(str(home.folder / path))}\n',
        job=job,
        more=f"[channels.ops]\n{channel}\n" if channel else "",
    )


def hook(url: str, severity: str = "info", more: str = "") -> str:
    return f'type = "webhook"\nurl = "{url}"\nseverity = "{severity}"\n{more}'


def test_a_run_from_a_timer_is_told_without_a_daemon(home: Home, web: WebServer) -> None:
    (home.folder / "ping").write_text(f"{web.url}/ping\n")
    (home.folder / "ping").chmod(0o600)
    shop(home, channel=hook(web.url), job='heartbeat = { file = "ping" }')
    done = home.dgtui("--run-job", "nightly")
    assert done.exit_code == 0, done
    assert [(request.method, request.path.rpartition("/")[2]) for request in web.requests] == [
        ("GET", "ping"),
        ("POST", "t0ken-in-the-path"),
    ]
    told = web.requests[1].json
    assert told["title"] == "Backup nightly of shop: completed"
    assert told["notifications"][0]["related"] == ["shop", "disk"]

    listed = home.dgtui("notifications", "--json").json()
    assert [(one["kind"], one["subject"], one["read_at"]) for one in listed] == [("backup_completed", "nightly", None)]
    assert home.dgtui("notifications", "--mark-read", listed[0]["notification_id"][:8]).exit_code == 0
    assert home.dgtui("notifications", "--unread", "--json").json() == []
    assert home.dgtui("notify", "--json").json() == []

    entries = home.dgtui("audit", "--json").json()
    assert [(entry["action"], entry["object_name"], entry["outcome"]) for entry in reversed(entries)] == [
        ("backup", "nightly", "completed"),
        ("read secret", "jobs.nightly.heartbeat", "completed"),
    ]
    assert "t0ken-in-the-path" not in json.dumps(entries)
    for request_file in (home.state / "runs").glob("*"):
        assert b"t0ken-in-the-path" not in request_file.read_bytes()


def test_a_heartbeat_is_not_tried_again_before_the_time_that_its_receiver_names(home: Home, web: WebServer) -> None:
    shop(home, job=f'heartbeat = "{web.url}"')
    web.status = 429
    web.headers = {"Retry-After": "3600"}
    done = home.dgtui("--run-job", "nightly")
    assert done.exit_code == 0
    assert len(web.requests) == 1
    assert "The heartbeat of nightly was not taken: 127.0.0.1 answers 429" in done.output + done.errors


def test_a_heartbeat_that_is_refused_is_tried_again(home: Home, web: WebServer) -> None:
    shop(home, job=f'heartbeat = "{web.url}"')
    web.status = 503
    done = home.dgtui("--run-job", "nightly")
    assert done.exit_code == 0, done
    assert len(web.requests) == 3
    assert done.output.count("The heartbeat of nightly was not taken") + done.errors.count("was not taken") >= 1


def test_a_failed_run_is_told_as_failed(home: Home, web: WebServer) -> None:
    shop(home, channel=hook(web.url, "error"), job=f'heartbeat = "{web.url}"', path="gone.db")
    done = home.dgtui("--run-job", "nightly")
    assert done.exit_code == 1, done
    ping, told = web.requests
    assert ping.path.endswith("/t0ken-in-the-path/fail")
    assert (told.json["severity"], told.json["notifications"][0]["kind"]) == ("error", "backup_failed")
    assert "gone.db" in told.json["title"]
    shop(home, channel=hook(web.url, "error"))
    assert home.dgtui("--run-job", "nightly").exit_code == 0
    assert web.requests[-1].json["notifications"][0]["ended_kinds"] == ["backup_failed"], "its end is told too"


def test_a_worker_that_is_killed_is_told_by_whoever_started_it(home: Home, web: WebServer) -> None:
    shop(home, channel=hook(web.url, "error"), job=f'heartbeat = "{web.url}"\nbefore = {_DIES}')
    done = home.dgtui("--run-job", "nightly")
    assert done.exit_code == 1, done
    assert "The worker ended without notice" in done.errors
    ping, told = web.requests
    assert ping.path.endswith("/t0ken-in-the-path/fail")
    assert told.json["title"] == "Backup nightly of shop: interrupted, The worker ended without notice"
    assert home.dgtui("list", "--json").json()[0]["status"] == "interrupted"
    assert len(web.requests) == 2, "told once"


def test_a_run_that_died_with_all_that_watched_it_is_told_by_the_next_command(home: Home, web: WebServer) -> None:
    shop(home, channel=hook(web.url, "error"), job=f'heartbeat = "{web.url}"\n{home.gate}')
    engine = home.engine()
    run_id = engine.start_job("nightly")
    os.kill(worker_pid(engine, run_id), signal.SIGKILL)
    assert home.finish(engine, run_id).status == "interrupted"
    assert web.requests == []
    assert "ended interrupted" in home.dgtui("list").errors
    ping, told = web.requests
    assert ping.path.endswith("/t0ken-in-the-path/fail")
    assert told.json["notifications"][0]["kind"] == "backup_failed"
    assert "Everything was sent" in home.dgtui("notify").errors


def test_what_nobody_has_begun_to_send_is_not_called_sent(home: Home, web: WebServer) -> None:
    shop(home, channel=hook(web.url, "error"))
    catalog = home.engine().catalog
    raise_notification(catalog, "backup_failed", subject_kind="job", subject="nightly", message="It failed")
    raise_notification(catalog, "backup_completed", subject_kind="job", subject="weekly", message="Not asked for")
    (waiting,) = home.dgtui("notify", "--json").json()
    assert (waiting["channel"], waiting["status"], waiting["titles"]) == ("ops", "held", ["It failed"])
    assert "next delivery" in waiting["reason"]
    assert home.dgtui("notify", "--deliver").exit_code == 0
    assert home.dgtui("notify", "--json").json() == []


def test_receivers_that_hang_change_nothing_but_the_warning(home: Home) -> None:
    with frozen_server() as port:
        url = f"http://127.0.0.1:{port}/t0ken-in-the-path"
        shop(home, channel=hook(url, more="timeout = 1"))
        done = home.dgtui("--run-job", "nightly", "--json")
    assert done.exit_code == 0, done
    assert "tried again: ops: The answer of 127.0.0.1: no answer within 1 s" in done.output
    assert "t0ken" not in done.output + done.errors
    (waiting,) = home.dgtui("notify", "--json").json()
    assert (waiting["status"], waiting["attempts"]) == ("waiting", 1)
    shown = home.dgtui("notify").output
    assert "ops  waiting for " in shown
    assert "no answer within 1 s" in shown
    with web_server() as web:
        shop(home, channel=hook(web.url))
        assert home.dgtui("notify", "--again", waiting["delivery_id"][:8]).exit_code == 0
        assert [request.json["delivery_id"] for request in web.requests] == [waiting["delivery_id"]]
    assert home.dgtui("notify").errors.strip() == "Everything was sent"


def test_a_test_message_tells_what_failed(home: Home, web: WebServer) -> None:
    shop(home, channel=hook(web.url))
    done = home.dgtui("notify", "--test", "ops")
    assert (done.exit_code, done.errors.strip()) == (0, "ops: the receiver took the test")
    assert web.requests[0].json["title"] == "Test of the channel ops"
    shop(home, channel=hook(f"http://127.0.0.1:{closed_port()}/t0ken-in-the-path"))
    done = home.dgtui("notify", "--test", "ops")
    assert done.exit_code == 1
    assert "Connection refused" in done.errors
    assert "t0ken" not in done.errors
    shop(home, channel=hook(web.url) + "enabled = false\n")
    done = home.dgtui("notify", "--test", "ops")
    assert (done.exit_code, len(web.requests)) == (0, 2)
    assert "warning: ops is switched off: nothing else is sent" in done.errors
    assert home.dgtui("notify", "--test", "ops", "--json").json()["enabled"] is False
    assert home.dgtui("notify", "--test", "nosuch").exit_code == 2
    assert home.dgtui("notify", "--json").json() == [], "a test is no notification"


def test_the_audit_log_holds_what_people_did_and_shows_a_change(home: Home) -> None:
    shop(home)
    execution = home.back_up()
    engine = home.engine()
    engine.save_object("storages", "second", {"type": "local", "path": str(home.folder / "second")}, new=True)
    engine.save_object("storages", "second", {"type": "local", "path": str(home.folder / "third")}, new=False)
    engine.remove_object("storages", "second")
    restored = engine.start_restore(execution, database=str(home.folder / "copy.db"), reason="to look at it")
    assert home.finish(engine, restored).status == "completed"
    assert home.finish(engine, engine.start_validate(execution)).status == "completed"
    assert home.dgtui("delete", execution.execution_id[:8], "--force", "--yes").exit_code == 0
    entries = engine.records.audit()
    assert [(entry.action, entry.object_kind, entry.outcome) for entry in reversed(entries)] == [
        ("backup", "job", "completed"),
        ("add to configuration", "storages", "completed"),
        ("change configuration", "storages", "completed"),
        ("remove from configuration", "storages", "completed"),
        ("restore", "datasource", "completed"),
        ("validate", "copy", "available"),
        ("delete", "execution", "completed"),
    ]
    assert "reason: to look at it" in entries[2].details
    kinds = [one.kind for one in engine.records.notifications()]
    assert kinds == ["restore_completed", "backup_completed"]
    proven = home.dgtui("audit", "--verify", "--json")
    assert (proven.exit_code, proven.json()["entries"], proven.json()["damage"]) == (0, 7, [])
    assert len(home.dgtui("audit", "--since", "1h", "--json").json()) == 7
    assert home.dgtui("audit", "--since", "2100-01-01", "--json").json() == []
    assert home.dgtui("audit", "--since", "soon").exit_code == 2

    subprocess.run([sys.executable, "-c", _UNCHAIN, str(home.state / "catalog.db")], check=True)
    done = home.dgtui("audit", "--verify")
    assert done.exit_code == 5
    assert "entry 5: changed" in done.errors


def test_an_audit_log_that_cannot_be_written_breaks_no_backup(home: Home) -> None:
    shop(home)
    home.state.mkdir(mode=0o700)
    (home.state / "audit-head.json").mkdir()
    done = home.dgtui("--run-job", "nightly", "--json")
    assert done.exit_code == 0, done
    assert "The head of the audit log could not be written" in done.output
    assert home.dgtui("list", "--json").json()[0]["status"] == "completed"


def test_a_run_that_was_killed_is_told_when_it_is_found(home: Home) -> None:
    shop(home)
    execution = home.back_up()
    engine = home.engine()
    engine.catalog.save_execution(
        msgspec.structs.replace(execution, execution_id="dead", status="running", copies=(), folder=None)
    )
    assert any("ended interrupted" in sentence for sentence in engine.reconcile())
    assert [one.kind for one in engine.records.notifications()] == ["backup_failed", "backup_completed"]
    assert engine.records.audit()[0].outcome == "interrupted"


def test_a_channel_with_mistakes_is_told_with_its_keys(home: Home) -> None:
    shop(
        home,
        channel='type = "email"\nhost = "m"\nsender = "x"\nrecipients = ["a@b"]\nquiet_hours = "22-7"\n'
        'jobs = ["nightl"]\nkinds = ["backup_faild"]\ncolour = "red"\ntls = "none"\nusername = "u"',
    )
    done = home.dgtui("check")
    assert done.exit_code == 2
    for text in (
        "channels.ops.sender: expected an address",
        "channels.ops.quiet_hours: expected two times",
        "channels.ops.jobs[0]: there is no job 'nightl'; did you mean 'nightly'?",
        "channels.ops.kinds[0]: expected 'connection_lost', ",
        "did you mean 'backup_failed'?",
        "channels.ops.colour: unknown key",
    ):
        assert text in done.errors, done.errors
