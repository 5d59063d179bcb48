"""Outages of servers as people hear of them through real receivers, and many datasources at once."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import uuid
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.mysql import MysqlDatasource
from dgtui.engine.health import HealthWorker
from dgtui.engine.health_model import Watched
from dgtui.engine.notify.courier import Courier
from dgtui.engine.storages.local_marker import MARKER
from tests.integration.test_health import Clock, Watch, make_database, sqlite_table
from tests.support.closable import closable_port
from tests.support.homes import PATIENCE_SECONDS, Home
from tests.support.mariadb import MariadbServer
from tests.support.postgres import PostgresServer
from tests.support.receivers import mail_server, web_server
from tests.support.round_trips import postgres_table


def test_forty_databases_of_a_dead_server_are_one_message(home: Home, postgres_server: PostgresServer) -> None:
    """Each is checked at its own moment of five minutes, and a channel waits for half a minute."""
    with closable_port(postgres_server.port) as port, web_server() as web:
        tables = [
            postgres_table(postgres_server, "postgres", f"shop{number}", port=port.port, tls="disable")
            for number in range(40)
        ]
        channel = f"[channels.ops]\ntype = 'webhook'\nurl = '{web.url}'\nseverity = 'info'\n"
        home.config_path.write_text("\n".join([*tables, channel]))
        home.config_path.chmod(0o600)
        engine, clock = home.engine(), Clock()
        worker, courier = HealthWorker(engine, clock=clock), Courier(engine.catalog, engine.config, clock=clock)

        def sent_within(minutes: int) -> list[str]:
            """Let time pass; the titles of what was sent meanwhile."""
            end, seen = clock.moment + timedelta(minutes=minutes), len(web.requests)
            while clock.moment < end:
                worker.run(threading.Event())
                courier.deliver()
                clock.moment = max(clock.moment + timedelta(seconds=15), worker.next_due(clock.moment) or end)
            return [request.json["title"] for request in web.requests[seen:]]

        port.close()
        assert sent_within(30) == [f"40 connections lost at 127.0.0.1:{port.port}"]
        port.open()
        assert sent_within(22) == [f"40 connections restored at 127.0.0.1:{port.port}"]


def test_outages_reach_a_mail_server_and_a_web_server(
    home: Home, own_postgres_server: PostgresServer, own_mariadb: MariadbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One server is stopped and one frozen; both receivers hear of it once, and once that it is over."""
    own_mariadb.create_database("crm")
    crm = own_mariadb.config("crm", "crm")
    ask, frozen = MysqlDatasource.health, threading.Event()

    def ask_soon_given_up(source: MysqlDatasource, seconds: float) -> HealthAnswer:
        # A server that answers may take its time.
        return ask(source, 1.0 if frozen.is_set() else seconds)

    monkeypatch.setattr(MysqlDatasource, "health", ask_soon_given_up)
    with mail_server() as mail, web_server() as web:
        channels = (
            f'[channels.hook]\ntype = "webhook"\nurl = "{web.url}"\nseverity = "info"\n'
            f'[channels.post]\ntype = "email"\nhost = "127.0.0.1"\nport = {mail.port}\ntls = "none"\n'
            'sender = "watcher@example.org"\nrecipients = ["dba@example.org"]\nseverity = "info"\n'
        )
        home.configure(postgres_table(own_postgres_server, "postgres", tls="disable") + crm, more=channels)
        watch = Watch(home.engine(), Clock())
        subjects = watch.health.watched("datasource")
        courier = Courier(watch.engine.catalog, watch.engine.config, clock=watch.clock)

        def heard(times: int) -> tuple[set[str], set[str]]:
            """Check so many times; what the two receivers get then."""
            mails, requests = len(mail.mails), len(web.requests)
            for _ in range(times):
                watch.clock.forward(minutes=5)
                watch.health.check_now(subjects)
                courier.deliver()
            watch.clock.forward(minutes=1)
            courier.deliver()
            titles = [request.json["title"] for request in web.requests[requests:]]
            assert len(titles) == len(set(titles))
            said = [str(one["Subject"]) for one in mail.mails[mails:]]
            assert len(said) == len(titles)
            return set(titles), {title for title in titles if any(title in subject for subject in said)}

        assert heard(1) == (set(), set())
        own_postgres_server.stop()
        own_mariadb.freeze()
        frozen.set()
        try:
            titles, mailed = heard(4)
        finally:
            own_mariadb.thaw()
            frozen.clear()
        own_postgres_server.start()
        assert {title.split(":")[0] for title in titles} == {"shop", "crm"}
        assert mailed == titles
        # Within a quarter of an hour nothing more is said of the same server.
        titles, mailed = heard(4)
        assert titles == {f"{name} answers again after 21 min" for name in ("shop", "crm")}
        assert mailed == titles


_MANY = """
import sys, threading, time
from pathlib import Path
from dgtui.config import load_config
from dgtui.engine.facade import Engine
import pytest

from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.mysql import MysqlDatasource
from dgtui.engine.health import HealthWorker
engine = Engine(load_config(Path(sys.argv[1])), Path(sys.argv[2]))
subjects = engine.health.watched("datasource")
thread = threading.Thread(target=HealthWorker(engine).check, args=(subjects, threading.Event()), daemon=True)
thread.start()
def answered():
    return [state for state in engine.health.states("datasource").values() if state.result == "ok"]
while len(answered()) < 190:
    assert thread.is_alive()
    time.sleep(0.2)
print(Path("/proc/self/status").read_text())
"""


def test_two_hundred_with_ten_frozen_take_little_memory(home: Home, tmp_path: Path) -> None:
    """In a process of its own, as the daemon is."""
    make_database(tmp_path / "shop.db")
    with closing(socket.create_server(("127.0.0.1", 0), backlog=20)) as silent:
        port = silent.getsockname()[1]
        frozen_ones = [
            f"[datasources.frozen{number}]\ntype = '{('postgres', 'mysql')[number % 2]}'\nport = {port}\n"
            "database = 'x'\ncheck_timeout = '10 min'\n"
            for number in range(10)
        ]
        alive = [sqlite_table(f"alive{number}", tmp_path / "shop.db") for number in range(189)]
        home.configure("\n".join([*frozen_ones, *alive, sqlite_table("shop", tmp_path / "shop.db")]))
        script = [sys.executable, "-c", _MANY, str(home.config_path), str(home.state)]
        done = subprocess.run(script, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    peak = next(line for line in done.stdout.splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 120 * 1024, peak


def test_another_disk_is_refused_as_often_as_it_is_there(home: Home, tmp_path: Path) -> None:
    """It is not learnt by being refused; and when the right one is back, that is taken at once."""
    make_database(tmp_path / "shop.db")
    home.configure(sqlite_table("shop", tmp_path / "shop.db"), storages=("disk", "nas"))
    home.back_up()
    away, other = tmp_path / "away", uuid.uuid4()
    home.storage().rename(away)
    home.storage().mkdir()
    home.storage().joinpath(MARKER).write_text(json.dumps({"storage_id": str(other)}))
    for _ in range(3):
        refused = home.back_up()
        assert refused.status == "partial"
        assert [copy.storage for copy in refused.copies if copy.path] == ["nas"]
        told = {finding.message for finding in home.engine().check() if finding.subject == "disk"}
        assert any(message.startswith("Another storage is mounted") for message in told), told
    assert [path.name for path in home.storage().iterdir()] == [MARKER]
    shutil.rmtree(home.storage())
    away.rename(home.storage())
    assert home.back_up().status == "completed"


def test_a_storage_that_somebody_emptied_is_told(home: Home, tmp_path: Path) -> None:
    """First its backups go, then its marker too: as an empty folder it is not used again."""
    make_database(tmp_path / "shop.db")
    home.configure(sqlite_table("shop", tmp_path / "shop.db"), storages=("disk", "nas"))
    made = home.back_up()
    watch = Watch(home.engine(), Clock(made.started_at))
    job, disk = Watched(kind="job", name="nightly"), Watched(kind="storage", name="disk")
    assert [state.status for state in watch.health.check_now([job, disk])] == ["healthy", "healthy"]
    shutil.rmtree(home.storage() / made.job_id)
    (state,) = watch.health.check_now([job])
    assert (state.status, state.told) == ("warning", ("copy_missing",))
    assert "at disk is missing" in state.message
    assert home.dgtui("validate", made.execution_id, "--storage", "disk").exit_code != 0
    shutil.rmtree(home.storage())
    home.storage().mkdir()
    for _ in range(3):
        (state,) = watch.health.check_now([disk])
    assert (state.status, state.result) == ("critical", "unreachable")
    assert [note.kind for note in watch.told()] == ["copy_missing", "storage_unreachable"]
    again = home.back_up()
    assert {copy.storage: copy.status for copy in again.copies if copy.path} == {"nas": "available"}
    assert again.status == "partial"
    assert list(home.storage().iterdir()) == []
