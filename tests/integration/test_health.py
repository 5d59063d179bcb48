"""Health, seen through the catalogue: real servers that are stopped, frozen, closed, or want another password."""

import os
import shutil
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.datasources import answer
from dgtui.engine.facade import Engine
from dgtui.engine.health import Health, HealthWorker
from dgtui.engine.health import worker as health_worker
from dgtui.engine.health_model import HealthState, Watched
from dgtui.engine.messages import now
from dgtui.engine.notification_model import Notification
from dgtui.engine.stored import remember_marker
from tests.support.closable import closable_port
from tests.support.homes import Home, wait_until
from tests.support.mariadb import MariadbServer
from tests.support.postgres import PostgresServer

SHOP = Watched(kind="datasource", name="shop")
START = datetime(2025, 2, 13, 6, 0, tzinfo=UTC)
PATIENT = "100 s"
"""The `check_timeout` of what will surely answer."""


@pytest.fixture(autouse=True)
def figures_may_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a busy server gives late are left out of an answer."""
    monkeypatch.setattr(answer, "_FIGURE_SECONDS", 100.0)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **span: float) -> None:
        """Let time pass."""
        self.moment += timedelta(**span)


class Watch:
    """Looks at everything, as often as a test says, each time in a new worker as after a restart."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self.health = Health(engine, clock=clock)

    def check(self, times: int = 1) -> HealthState:
        """Check the datasource `shop`, minutes apart; how it stands then."""
        for _ in range(times):
            self.clock.forward(minutes=5)
            (state,) = self.health.check_now([SHOP])
        return state

    def told(self) -> list[Notification]:
        """The notifications about health, the oldest first."""
        found = [note for note in Notifications(self.engine.catalog).listed() if note.kind != "backup_completed"]
        return sorted(found, key=lambda one: one.sequence)


@contextmanager
def impatient(home: Home, watch: Watch) -> Iterator[None]:
    """Give up soon where nothing answers: whatever does answer may take its time, however busy the machine."""
    text = home.config_path.read_text()
    assert PATIENT in text
    home.config_path.write_text(text.replace(PATIENT, "2 s"))
    watch.engine.reload()
    yield
    home.config_path.write_text(text)
    watch.engine.reload()


def watch_of(home: Home, datasource: str) -> Watch:
    home.configure(datasource)
    return Watch(home.engine(), Clock())


def postgres_table(server: PostgresServer, database: str, login: str = 'username = "postgres"') -> str:
    return (
        f'[datasources.shop]\ntype = "postgres"\nhost = "127.0.0.1"\nport = {server.port}\ndatabase = "{database}"\n'
        f'tls = "disable"\ncheck_timeout = "{PATIENT}"\n{login}\n'
    )


def assert_lost_and_back(watch: Watch, result: str) -> None:
    """What has to follow from an outage that has just begun, up to the third failed check."""
    first = watch.check()
    assert (first.status, first.result, first.failures) == ("warning", result, 1), first
    assert watch.told() == []
    watch.check()
    third = watch.check()
    assert (third.status, third.failures) == ("critical", 3)
    assert third.outage_since == START + timedelta(minutes=10)
    assert [note.kind for note in watch.told()] == ["connection_lost"]
    assert watch.check().failures == 4
    assert [(note.kind, note.severity) for note in watch.told()] == [("connection_lost", "critical")]


def assert_back(watch: Watch) -> None:
    """What has to follow from the first good check after four failed ones."""
    state = watch.check()
    assert (state.status, state.failures, state.outage_since) == ("healthy", 0, None), state
    lost, back = watch.told()
    assert (back.kind, back.severity, back.subject) == ("connection_restored", "info", "shop")
    assert "after 20 min" in back.message
    assert lost.ended_at == back.created_at == watch.clock()
    assert watch.check().status == "healthy"
    assert len(watch.told()) == 2


def test_postgres_stopped_and_started(home: Home, own_postgres_server: PostgresServer) -> None:
    server = own_postgres_server
    with server.connect() as connection:
        connection.execute("CREATE DATABASE shop")
    watch = watch_of(home, postgres_table(server, "shop"))
    state = watch.check()
    assert (state.status, state.result) == ("healthy", "ok")
    figures = state.figures
    assert figures.product.startswith("PostgreSQL ")
    assert figures.size_bytes is not None
    assert figures.size_bytes > 1_000_000
    assert figures.connection_count == 0
    assert figures.uptime_seconds is not None
    assert figures.disk_free_bytes is not None
    server.stop()
    assert_lost_and_back(watch, "unreachable")
    server.start()
    assert_back(watch)


def test_postgres_frozen_and_its_password_changed(home: Home, own_postgres_server: PostgresServer) -> None:
    server = own_postgres_server
    server.execute("CREATE ROLE login_group")
    server.execute("CREATE ROLE login_shop LOGIN PASSWORD 'first' IN ROLE login_group")
    watch = watch_of(home, postgres_table(server, "postgres", 'username = "login_shop"\npassword = "first"'))
    assert watch.check().status == "healthy"
    with frozen(server), impatient(home, watch):
        assert_lost_and_back(watch, "timeout")
    assert_back(watch)
    server.execute("ALTER ROLE login_shop PASSWORD 'second'")
    state = watch.check()
    assert (state.status, state.result, state.failures) == ("warning", "auth_failed", 1)
    assert "first" not in state.message + state.hint


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    processes = server.signal_all(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            # One that was told to end meanwhile may be gone as soon as another goes on.
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def test_mariadb_frozen_stopped_and_its_password_changed(home: Home, own_mariadb: MariadbServer) -> None:
    server = own_mariadb
    server.create_database("shop")
    server.execute("CREATE USER shop IDENTIFIED BY 'first'", "GRANT ALL ON shop.* TO shop")
    table = server.config("shop").replace('"root"', '"shop"') + f'password = "first"\ncheck_timeout = "{PATIENT}"\n'
    watch = watch_of(home, table)
    state = watch.check()
    assert state.status == "healthy"
    assert state.figures.product.startswith("MariaDB ")
    assert state.figures.uptime_seconds is not None
    assert state.figures.connection_count is not None
    server.freeze()
    try:
        with impatient(home, watch):
            assert_lost_and_back(watch, "timeout")
    finally:
        server.thaw()
    assert_back(watch)
    server.execute("ALTER USER shop IDENTIFIED BY 'second'")
    state = watch.check()
    assert (state.result, state.status) == ("auth_failed", "warning")
    server.stop()
    state = watch.check(times=2)
    assert (state.result, state.status, state.failures) == ("unreachable", "critical", 3)


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_port_that_is_closed_before_a_living_server(home: Home, kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        target, table = postgres.port, postgres_table(postgres, "postgres")
    else:
        mariadb: MariadbServer = request.getfixturevalue("mariadb")
        database = mariadb.create_database()
        target, table = mariadb.port, mariadb.config(database) + f'check_timeout = "{PATIENT}"\n'
    with closable_port(target) as port:
        watch = watch_of(home, table.replace(f"port = {target}", f"port = {port.port}"))
        assert watch.check().status == "healthy"
        port.close()
        assert_lost_and_back(watch, "unreachable")
        port.open()
        assert_back(watch)
        (lost, back) = watch.told()
        assert (lost.group_key, "checks failed from" in back.details[0]) == (f"127.0.0.1:{port.port}", True)


def test_a_server_that_freezes_once_the_connection_stands(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says hello, and never answers the question."""
    # The check ends by itself, and is not given up before: its thread may be slow to come to its end.
    monkeypatch.setattr(health_worker, "_GRACE_SECONDS", 100.0)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        kept: list[socket.socket] = []

        def greet() -> None:
            # It may still wait for the second connection when the port is shut.
            with suppress(OSError):
                for _ in range(2):
                    connection, _ = listener.accept()
                    kept.append(connection)
                    # AuthenticationOk, ReadyForQuery: a server that lets everybody in.
                    connection.recv(4096)
                    connection.sendall(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        table = f'type = "postgres"\nport = {port}\ndatabase = "shop"\ntls = "disable"\ncheck_timeout = "1 s"\n'
        watch = watch_of(home, f"[datasources.shop]\n{table}")
        state = watch.check()
        # Closed alone it would be waited at for ever, and a stranger be let in who comes to that port later.
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()
    assert (state.result, state.status) == ("timeout", "warning")
    assert "does not answer" in state.message


def sqlite_table(name: str, path: Path) -> str:
    return f"[datasources.{name}]\ntype = 'sqlite'\npath = '{path}'\ncheck_timeout = '{PATIENT}'\n"


def make_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")


def test_frozen_servers_delay_no_other(home: Home, tmp_path: Path) -> None:
    """All that can answer is recorded while those that cannot still hang."""
    count = 25
    with closing(socket.create_server(("127.0.0.1", 0), backlog=200)) as silent:
        port = silent.getsockname()[1]
        tables = [
            f"[datasources.frozen{number}]\ntype = '{kind}'\nport = {port}\ndatabase = 'x'\ncheck_timeout = '10 min'\n"
            for number in range(count)
            for kind in (("postgres", "mysql")[number % 2],)
        ]
        make_database(tmp_path / "shop.db")
        tables += [sqlite_table(f"alive{number}", tmp_path / "shop.db") for number in range(count)]
        home.configure("\n".join([*tables, sqlite_table("shop", tmp_path / "shop.db")]))
        engine, stopping = home.engine(), threading.Event()
        health = Health(engine)
        worker = HealthWorker(engine)
        thread = threading.Thread(target=worker.check, args=(health.watched("datasource"), stopping), daemon=True)
        thread.start()

        def answered() -> list[HealthState]:
            return [state for state in health.states("datasource").values() if state.checked_at is not None]

        wait_until(lambda: len(answered()) == count + 1, "all healthy ones")
        assert thread.is_alive()
        assert {state.status for state in answered()} == {"healthy"}
        stopping.set()
        thread.join()


def test_a_check_that_cannot_be_interrupted_is_left_behind_once(home: Home, tmp_path: Path) -> None:
    """A password command that hangs stands for a dead network mount: nothing below us ends it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    home.configure(
        "[datasources.shop]\ntype = 'postgres'\ndatabase = 'x'\ncheck_timeout = '1 s'\n"
        f"password = {{ command = ['cat', '{fifo}'] }}\n"
    )
    engine, clock = home.engine(), Clock()
    worker = HealthWorker(engine, clock=clock)
    for _ in range(3):
        clock.forward(minutes=5)
        worker.check([SHOP], threading.Event())
    hanging = [thread for thread in threading.enumerate() if thread.name == "health of datasource shop"]
    assert len(hanging) == 1
    state = Health(engine, clock=clock).states()[SHOP]
    assert (state.status, state.result, state.failures) == ("critical", "timeout", 3)
    assert "still hangs" in state.message
    fifo.open("w").close()
    wait_until(lambda: not hanging[0].is_alive(), "the end of the check")


@pytest.mark.parametrize("change", ["removed", "corrected"])
def test_an_answer_by_a_configuration_that_is_no_more_counts_for_nothing(
    home: Home, tmp_path: Path, change: str
) -> None:
    """The check is under way while the configuration is read again; its answer would be the third failure."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    shop = "[datasources.shop]\ntype = 'postgres'\nport = 1\ndatabase = 'x'\n"
    make_database(tmp_path / "shop.db")
    other = sqlite_table("other", tmp_path / "shop.db")
    job = "enabled = false\n"
    home.configure(f"{other}\n{shop}", job=job)
    engine, clock, stopping = home.engine(), Clock(), threading.Event()
    worker = HealthWorker(engine, clock=clock)
    for _ in range(2):
        clock.forward(minutes=5)
        worker.check([SHOP], stopping)
    home.configure(f"{other}\n{shop}password = {{ command = ['cat', '{fifo}'] }}\n", job=job)
    engine.reload()
    clock.forward(minutes=5)
    thread = threading.Thread(target=worker.check, args=([SHOP], stopping), daemon=True)
    thread.start()
    wait_until(lambda: any(one.name == "health of datasource shop" for one in threading.enumerate()), "the check")
    home.configure(other if change == "removed" else other + sqlite_table("shop", tmp_path / "shop.db"), job=job)
    text = home.config_path.read_text()
    if change == "removed":
        home.config_path.write_text(text.replace('datasource = "shop"', 'datasource = "other"'))
    engine.reload()
    fifo.open("w").close()
    thread.join()
    state = HealthRecords(engine.catalog).states()[SHOP]
    assert (state.status, state.failures) == (("warning", 2) if change == "removed" else ("healthy", 0))
    worker.run(stopping)
    assert (SHOP in HealthRecords(engine.catalog).states()) == (change == "corrected")
    assert Notifications(engine.catalog).listed(kind="connection_lost") == []


@pytest.mark.parametrize("wal", [False, True])
def test_sqlite_is_looked_at_without_a_trace(home: Home, tmp_path: Path, wal: bool) -> None:
    path = tmp_path / "shop.db"
    make_database(path)
    if wal:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("INSERT INTO t VALUES (1)")
    watch = watch_of(home, sqlite_table("shop", path))
    before = {one.name: one.read_bytes() for one in tmp_path.glob("shop.db*")}
    assert watch.check().status == "healthy"
    assert {one.name: one.read_bytes() for one in tmp_path.glob("shop.db*")} == before


def test_sqlite_locked_missing_and_damaged(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    make_database(path)
    watch = watch_of(home, sqlite_table("shop", path))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, impatient(home, watch):
        connection.execute("BEGIN EXCLUSIVE")
        assert watch.check().result == "timeout"
    path.write_bytes(b"no database at all")
    assert watch.check().result == "error"
    path.unlink()
    state = watch.check()
    assert (state.result, state.status) == ("unreachable", "critical")


def test_files_gone_and_back(home: Home, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    watch = watch_of(home, f"[datasources.shop]\ntype = 'files'\npath = '{tree}'\n")
    assert watch.check().status == "healthy"
    tree.rmdir()
    assert watch.check().result == "unreachable"
    tree.mkdir()
    state = watch.check()
    assert state.status == "healthy"
    assert state.figures.disk_total_bytes is not None


def test_storages_and_jobs_have_states_of_their_own(home: Home, tmp_path: Path) -> None:
    make_database(tmp_path / "shop.db")
    home.configure(sqlite_table("shop", tmp_path / "shop.db"), job='compression = "none"')
    execution = home.back_up()
    engine = home.engine()
    watch = Watch(engine, Clock(execution.started_at))
    storage, job = Watched(kind="storage", name="disk"), Watched(kind="job", name="nightly")
    before = sorted(home.storage().rglob("*"))
    found = watch.health.check_now([storage, job])
    assert [state.status for state in found] == ["healthy", "healthy"]
    assert found[0].figures.expected_bytes == execution.compressed_size_bytes
    assert sorted(home.storage().rglob("*")) == before
    copy = Path(execution.copies[0].path)
    away = copy.with_name("elsewhere")
    copy.rename(away)
    (state,) = watch.health.check_now([job])
    assert (state.status, state.told) == ("warning", ("copy_missing",))
    watch.health.check_now([job])
    assert [note.kind for note in watch.told()] == ["copy_missing"]
    away.rename(copy)
    (state,) = watch.health.check_now([job])
    assert (state.status, state.told) == ("healthy", ())
    assert watch.told()[0].ended_at is not None
    home.storage().rename(tmp_path / "unmounted")
    for _ in range(3):
        (state,) = watch.health.check_now([storage])
    assert (state.status, state.result) == ("critical", "unreachable")
    (tmp_path / "unmounted").rename(home.storage())
    (state,) = watch.health.check_now([storage])
    assert state.status == "healthy"
    assert [note.kind for note in watch.told()] == ["copy_missing", "storage_unreachable", "storage_restored"]


def test_a_storage_without_room_is_told_once(home: Home, tmp_path: Path) -> None:
    make_database(tmp_path / "shop.db")
    home.configure(sqlite_table("shop", tmp_path / "shop.db"))
    home.back_up()
    text = home.config_path.read_text()
    home.config_path.write_text(text.replace('type = "local"', 'type = "local"\nreserve = "8000 TB"'))
    watch = Watch(home.engine(), Clock())
    storage = Watched(kind="storage", name="disk")
    for _ in range(2):
        (state,) = watch.health.check_now([storage])
    assert (state.status, state.result) == ("warning", "ok")
    assert state.message.startswith("0 B are free besides the 8.0 PB of `reserve`, and the next backups need about ")
    assert state.hint.endswith("or lower `reserve` of the storage")
    assert [note.kind for note in watch.told()] == ["storage_low"]
    assert "storage_low       lasts  disk: 0 B are free" in home.dgtui("notifications").output
    home.config_path.write_text(text)
    roomy = Watch(home.engine(), watch.clock)
    assert roomy.health.check_now([storage])[0].status == "healthy"
    assert "storage_low       over   disk: 0 B are free" in home.dgtui("notifications").output


def test_the_command_shows_states_and_history(home: Home, tmp_path: Path) -> None:
    make_database(tmp_path / "shop.db")
    home.configure(sqlite_table("shop", tmp_path / "shop.db") + sqlite_table("gone", tmp_path / "gone.db"))
    shown = home.dgtui("health")
    assert (shown.exit_code, shown.output.count("unknown")) == (0, 4), shown
    health = home.engine().health
    for _ in range(2):
        health.check_now(health.watched())
    critical = home.dgtui("health", "gone", "--now", "--json")
    assert critical.exit_code == 1
    (state,) = critical.json()
    assert (state["status"], state["failures"], state["result"]) == ("critical", 3, "unreachable")
    history = home.dgtui("health", "gone", "--history")
    assert history.output.count("unreachable") == 3
    assert "older ones" not in history.errors
    assert home.dgtui("health", "gone", "--history", "--limit", "9" * 20).exit_code == 2
    newest = home.dgtui("health", "gone", "--history", "--limit", "2", "--json")
    assert (len(newest.json()), "--limit 20 shows more" in newest.errors) == (2, True), newest
    shop = home.dgtui("health", "shop")
    assert (shop.exit_code, "healthy" in shop.output) == (0, True), shop
    assert home.dgtui("health", "nothing").exit_code == 2


def test_a_state_nobody_renewed_is_unknown(home: Home, tmp_path: Path) -> None:
    make_database(tmp_path / "shop.db")
    home.configure(sqlite_table("shop", tmp_path / "shop.db"))
    engine, then = home.engine(), Clock(now() - timedelta(days=3))
    assert [state.status for state in Health(engine, clock=then).check_now([SHOP])] == ["healthy"]
    # An interval and a half, and the time that the next check may wait for its answer.
    then.forward(seconds=450 + 100)
    assert Health(engine, clock=then).states()[SHOP].status == "healthy"
    then.forward(seconds=1)
    assert Health(engine, clock=then).states()[SHOP].status == "unknown"
    shown = home.dgtui("health", "shop")
    assert (shown.exit_code, "unknown" in shown.output, "it was healthy" in shown.output) == (1, True, True), shown
    assert "No daemon is running" in shown.errors
    (state,) = home.dgtui("health", "shop", "--json").json()
    assert (state["status"], state["result"]) == ("unknown", None)
    renewed = home.dgtui("health", "shop", "--now")
    assert (renewed.exit_code, "● healthy" in renewed.output) == (0, True), renewed


def test_a_job_is_overdue_once_its_timetable_was_not_kept(home: Home, tmp_path: Path) -> None:
    make_database(tmp_path / "shop.db")
    home.configure(sqlite_table("shop", tmp_path / "shop.db"), job='schedule = "0 3 * * *"\ntimezone = "UTC"')
    watch = Watch(home.engine(), Clock(datetime(2025, 2, 13, 12, 0, tzinfo=UTC)))
    job = Watched(kind="job", name="nightly")

    def at(day: int, hour: int) -> HealthState:
        watch.clock.moment = datetime(2025, 2, day, hour, 0, tzinfo=UTC)
        (state,) = watch.health.check_now([job])
        return state

    # What was due before anybody watched is not missed; then an hour is left for making it.
    assert at(13, 12).status == at(14, 2).status == at(14, 3).status == "healthy"
    state = at(14, 5)
    assert (state.status, state.told) == ("critical", ("backup_overdue",))
    assert "due at 2025-02-14 03:00 UTC; there never was one" in state.message
    at(15, 5)
    assert [note.kind for note in watch.told()] == ["backup_overdue"]
    made = home.back_up()
    # At any time of the day: the real one is what a backup begins at.
    watch.clock.moment = made.started_at + timedelta(minutes=1)
    assert watch.health.check_now([job])[0].status == "healthy"
    watch.clock.moment = made.started_at + timedelta(days=2)
    assert watch.health.check_now([job])[0].status == "critical"


def test_a_job_that_was_switched_off_is_not_overdue_once_it_is_switched_on(home: Home, tmp_path: Path) -> None:
    make_database(tmp_path / "shop.db")
    job = Watched(kind="job", name="nightly")

    def watch_at(moment: datetime, *, enabled: bool) -> Watch:
        switch = "" if enabled else "enabled = false\n"
        home.configure(
            sqlite_table("shop", tmp_path / "shop.db"), job=f'{switch}schedule = "0 3 * * *"\ntimezone = "UTC"'
        )
        watch = Watch(home.engine(), Clock(moment))
        HealthWorker(watch.engine, clock=watch.clock).run(threading.Event())
        return watch

    home.configure(sqlite_table("shop", tmp_path / "shop.db"))
    made = home.back_up()
    watch_at(made.started_at + timedelta(minutes=1), enabled=True).health.check_now([job])
    watch_at(made.started_at + timedelta(minutes=2), enabled=False)
    noon = made.started_at.replace(hour=12, minute=0) + timedelta(days=9)
    watch = watch_at(noon, enabled=True)
    assert watch.health.check_now([job])[0].status == "healthy"
    watch.clock.moment = noon + timedelta(hours=17)
    assert watch.health.check_now([job])[0].status == "critical"


def test_a_job_that_nobody_watched_is_overdue_at_the_first_look(home: Home, tmp_path: Path) -> None:
    make_database(tmp_path / "shop.db")
    home.configure(sqlite_table("shop", tmp_path / "shop.db"), job='schedule = "0 3 * * *"\ntimezone = "UTC"')
    made = home.back_up()
    watch = Watch(home.engine(), Clock(made.started_at + timedelta(days=3)))
    assert watch.health.check_now([Watched(kind="job", name="nightly")])[0].status == "critical"


def test_a_job_whose_last_run_failed_is_not_well_from_then_on_everywhere(home: Home, tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    make_database(database)
    home.configure(sqlite_table("shop", database))
    home.back_up()
    job = Watched(kind="job", name="nightly")
    assert home.engine().health.check_now([job])[0].status == "healthy"
    database.rename(tmp_path / "away.db")
    assert home.dgtui("--run-job", "nightly").exit_code == 1
    engine = home.engine()
    state = engine.health.states("job")[job]
    assert (state.status, state.message[:20]) == ("critical", "The last run ended f")
    assert state.hint
    assert (checked := engine.health.check_now([job])[0]).status == "critical"
    assert checked.message == state.message
    (told,) = [one for one in engine.figures.overview(daemon_running=True).attention if one.place == "history"]
    assert (told.severity, told.text[:24]) == ("error", "Last run of nightly fail")
    assert "The last run ended failed" in home.dgtui("health").output
    (tmp_path / "away.db").rename(database)
    home.back_up()
    assert home.engine().health.states("job")[job].status == "healthy"


def test_a_clock_that_went_back_is_told_once_and_hides_no_overdue_backup(home: Home, tmp_path: Path) -> None:
    make_database(tmp_path / "shop.db")
    home.configure(sqlite_table("shop", tmp_path / "shop.db"), job='schedule = "0 3 * * *"\ntimezone = "UTC"')
    made = home.back_up()
    watch = Watch(home.engine(), Clock(made.started_at - timedelta(minutes=1)))
    job = Watched(kind="job", name="nightly")
    assert watch.health.check_now([job])[0].status == "healthy"
    watch.clock.moment = made.started_at - timedelta(days=400)
    for _ in range(2):
        (state,) = watch.health.check_now([job])
    assert (state.status, "from the future" in state.message, "the clock went back" in state.message) == (
        "warning", True, True,
    )  # fmt: skip
    assert [note.kind for note in watch.told()] == ["backup_from_future"]
    watch.clock.forward(days=3)
    (state,) = watch.health.check_now([job])
    assert set(state.told) == {"backup_from_future", "backup_overdue"}
    watch.clock.moment = made.started_at + timedelta(minutes=1)
    assert watch.health.check_now([job])[0].status == "healthy"
    assert all(note.ended_at is not None for note in watch.told())


@pytest.mark.parametrize(
    ("newest", "usual", "said", "question"),
    [
        (10_000, 50_000_000, "far smaller than usual: 10 kB, usually 50 MB", "Is all of it still there?"),
        (50_000_000, 10_000, "far larger than usual: 50 MB, usually 10 kB", "Is that meant?"),
    ],
)
def test_a_backup_of_unusual_size_is_told_once(
    newest: int, usual: int, said: str, question: str, home: Home, tmp_path: Path
) -> None:
    """What there is more of asks for another look than what is lacking."""
    path = tmp_path / "shop.db"
    make_database(path)
    home.configure(sqlite_table("shop", path))
    made = home.back_up()
    engine = home.engine()
    engine.catalog.save_execution(msgspec.structs.replace(made, total_size_bytes=newest))
    for number in range(5):
        engine.catalog.save_execution(
            msgspec.structs.replace(
                made,
                execution_id=f"older-{number}",
                started_at=made.started_at - timedelta(days=number + 1),
                total_size_bytes=usual + number,
                folder=None,
                copies=(),
            )
        )
    watch = Watch(engine, Clock(made.started_at))
    job = Watched(kind="job", name="nightly")
    for _ in range(2):
        (state,) = watch.health.check_now([job])
    assert state.status == "warning"
    assert said in state.message
    assert question in state.hint
    assert [note.kind for note in watch.told()] == ["backup_unusual"]


def test_rules_by_job_get_what_its_datasource_and_storage_suffer(home: Home) -> None:
    home.configure(
        f"{sqlite_table('shop', home.folder / 'gone.db')}{sqlite_table('crm', home.folder / 'away.db')}",
        more='[jobs.crm]\ndatasource = "crm"\nstorages = ["disk"]\n',
    )
    engine = home.engine()
    disk = engine.config.storage("disk")
    disk.prepare()
    remember_marker(engine.catalog, disk)
    shutil.rmtree(home.storage())
    worker = HealthWorker(engine)
    subjects = [SHOP, Watched(kind="storage", name="disk")]
    for _ in range(3):
        worker.check(subjects, threading.Event())
    told = {one.kind: one for one in Notifications(engine.catalog).listed()}
    assert set(told["connection_lost"].related) == {"nightly"}
    assert set(told["storage_unreachable"].related) == {"nightly", "shop", "crm"}
