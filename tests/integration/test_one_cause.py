"""One cause that many jobs feel is one message, and people are reminded of it only while it is known to last."""

import shutil
import socket
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dgtui.engine.health import HealthWorker
from dgtui.engine.health_model import Watched
from dgtui.engine.model import Copy, Execution, ExecutionStatus, Problem
from dgtui.engine.notify.courier import Courier
from dgtui.engine.telling import Teller
from tests.integration.test_health import START, Clock, Watch, make_database, sqlite_table
from tests.support.homes import Home
from tests.support.receivers import WebServer, closed_port, web_server

_JOBS = 40


class Fleet:
    """Jobs that are checked when a test says so, and a receiver of what is told of them."""

    def __init__(self, home: Home, web: WebServer) -> None:
        self.watch = Watch(home.engine(), Clock())
        self.web = web
        self._seen = 0

    def check(self) -> None:
        """Check every job."""
        self.watch.health.check_now(self.watch.health.watched("job"))

    def sent(self, **after: float) -> list[str]:
        """The titles of what is sent after this span."""
        self.watch.clock.forward(**after)
        Courier(self.watch.engine.catalog, self.watch.engine.config, clock=self.watch.clock).deliver()
        new = self.web.requests[self._seen :]
        self._seen = len(self.web.requests)
        return [request.json["title"] for request in new]

    def back_up(self, *, ahead: timedelta) -> None:
        """Let each job have a backup that is dated in the future."""
        for name in self.watch.engine.config.jobs:
            self.watch.engine.catalog.save_execution(self._run_of(name, START + ahead))

    def end(self, status: ExecutionStatus, problem: Problem | None = None, copies: tuple[Copy, ...] = ()) -> None:
        """Let a run of each job end now."""
        engine = self.watch.engine
        teller = Teller(engine.catalog, engine.config, pytest.fail)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dgtui.engine.notify.raising.now", self.watch.clock)
            for name in engine.config.jobs:
                run = self._run_of(name, self.watch.clock.moment)
                teller.record_end(msgspec.structs.replace(run, status=status, problem=problem, copies=copies))

    def _run_of(self, name: str, started_at: datetime) -> Execution:
        config = self.watch.engine.config
        return Execution(
            execution_id=f"{name} at {started_at}",
            job_id=config.job_id(name),
            job=name,
            datasource=config.jobs[name].datasource,
            datasource_type="postgres",
            status="completed",
            backup_type="full",
            started_at=started_at,
        )


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def fleet(home: Home, web: WebServer, datasource: str, job: str = "", *, of: str = "") -> Fleet:
    """Forty jobs, each of a datasource of its own, and a channel; `of` is what it is told of alone."""
    tables = [f"[storages.disk]\ntype = 'local'\npath = '{home.storage()}'\n", channel(web) + of]
    for number in range(_JOBS):
        tables.append(f"[datasources.shop{number}]\n{datasource.format(port=number + 1)}\n")
        tables.append(f"[jobs.j{number}]\ndatasource = 'shop{number}'\nstorages = ['disk']\n{job}\n")
    home.config_path.write_text("\n".join(tables))
    home.config_path.chmod(0o600)
    return Fleet(home, web)


def channel(web: WebServer) -> str:
    return f"[channels.ops]\ntype = 'webhook'\nurl = '{web.url}'\nseverity = 'info'\n"


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_forty_overdue_jobs_of_one_server_or_one_machine_are_one_message(
    home: Home, web: WebServer, tmp_path: Path, kind: str
) -> None:
    port = closed_port()
    datasource, place = {
        "postgres": (f"type = 'postgres'\nport = {port}\nhost = '127.0.0.1'\ndatabase = 'x'", f"127.0.0.1:{port}"),
        "sqlite": (f"type = 'sqlite'\npath = '{tmp_path / 'shop.db'}'", socket.gethostname()),
    }[kind]
    jobs = fleet(home, web, datasource, 'schedule = "daily at 03:00"\ntimezone = "UTC"')
    jobs.check()
    assert jobs.sent(days=1) == []
    jobs.check()
    assert jobs.sent(minutes=1) == [f"{_JOBS} backups overdue at {place}"]


@pytest.mark.parametrize(("ahead", "lasts"), [(100, False), (400, True)])
def test_a_wrong_clock_is_one_message_and_one_reminder_once_a_check_finds_that_it_lasts(
    home: Home, web: WebServer, tmp_path: Path, ahead: int, lasts: bool
) -> None:
    """The reminders of what was over were sent as soon as the daemon began, before its first check."""
    jobs = fleet(home, web, f"type = 'sqlite'\npath = '{tmp_path / 'shop.db'}'")
    jobs.back_up(ahead=timedelta(days=ahead))
    jobs.check()
    title = f"{_JOBS} backups from future at {socket.gethostname()}"
    assert jobs.sent(minutes=1) == [title]
    # Nothing is checked meanwhile: the daemon is stopped.
    assert jobs.sent(days=200) == []
    assert jobs.sent(minutes=1) == []
    jobs.check()
    reminders = [*jobs.sent(), *jobs.sent(minutes=1), *jobs.sent(minutes=30)]
    assert reminders == ([f"Still: {title}"] if lasts else [])


def test_what_a_check_found_and_nobody_was_told_yet_is_no_reminder(home: Home, web: WebServer, tmp_path: Path) -> None:
    jobs = fleet(home, web, f"type = 'sqlite'\npath = '{tmp_path / 'shop.db'}'")
    jobs.back_up(ahead=timedelta(days=1))
    jobs.check()
    assert len(jobs.sent(minutes=1)) == 1
    jobs.watch.clock.forward(days=2)
    worker = HealthWorker(jobs.watch.engine, clock=jobs.watch.clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "_tell", lambda: None)
        worker.check(jobs.watch.health.watched("job"), threading.Event())
    assert jobs.sent() == []
    jobs.check()
    assert jobs.sent(minutes=1) == []


def test_a_clock_that_was_set_back_keeps_no_reminder_from_what_was_checked_since(
    home: Home, web: WebServer, tmp_path: Path
) -> None:
    jobs = fleet(home, web, f"type = 'sqlite'\npath = '{tmp_path / 'shop.db'}'")
    jobs.back_up(ahead=timedelta(days=400))
    jobs.check()
    assert len(jobs.sent(minutes=1)) == 1
    assert jobs.sent(days=-100) == []
    jobs.check()
    assert [title.partition(" ")[0] for title in (*jobs.sent(), *jobs.sent(minutes=1))] == ["Still:"]


def test_copies_that_are_gone_from_one_storage_are_one_message(home: Home, web: WebServer, tmp_path: Path) -> None:
    make_database(tmp_path / "shop.db")
    weekly = "[jobs.weekly]\ndatasource = 'shop'\nstorages = ['disk']\n"
    home.configure(sqlite_table("shop", tmp_path / "shop.db"), more=f"{weekly}\n{channel(web)}")
    made = [home.back_up(name) for name in ("nightly", "weekly")]
    jobs = Fleet(home, web)
    jobs.watch.clock.moment = made[-1].started_at + timedelta(minutes=1)
    jobs.watch.health.check_now([Watched(kind="storage", name="disk")])
    jobs.sent(minutes=1)
    for one in made:
        shutil.rmtree(home.storage() / one.job_id)
    jobs.check()
    assert jobs.sent(minutes=1) == ["2 copies missing at disk"]


def test_a_storage_that_forty_backups_miss_is_one_message_and_so_is_that_they_are_good_again(
    home: Home, web: WebServer, tmp_path: Path
) -> None:
    """Each job came with a message of its own, and again with one when it was well."""
    jobs = fleet(home, web, f"type = 'sqlite'\npath = '{tmp_path / 'shop.db'}'")
    full = Problem(kind="DiskSpaceError", message="No room left", subject=f"{home.storage()}/j/2026/part")
    jobs.end("failed", full)
    assert jobs.sent() == []
    assert jobs.sent(minutes=1) == [f"{_JOBS} backups failed at disk"]
    jobs.watch.clock.forward(days=1)
    jobs.end("completed")
    assert jobs.sent(minutes=1) == [f"{_JOBS} backups completed at disk"]
    # What ends nothing is told at once, each for itself.
    jobs.watch.clock.forward(days=1)
    jobs.end("completed")
    assert len(jobs.sent()) == _JOBS


def test_a_channel_of_one_storage_is_told_of_the_backups_that_it_keeps_from_being_made(
    home: Home, web: WebServer, tmp_path: Path
) -> None:
    """A run that failed has no copies, and was told as one that concerns no storage."""
    jobs = fleet(home, web, f"type = 'sqlite'\npath = '{tmp_path / 'shop.db'}'", of="storages = ['disk']")
    jobs.end("failed", Problem(kind="StorageError", message="gone", subject="disk"))
    assert jobs.sent(minutes=1) == [f"{_JOBS} backups failed at disk"]


@pytest.mark.parametrize(
    ("status", "problem", "copies", "title"),
    [
        ("partial", None, ("disk", "StorageError"), f"{_JOBS} backups partial at disk"),
        ("failed", ("StorageError", "disk"), None, f"{_JOBS} backups failed at disk"),
        ("interrupted", ("BackupCreationError", ""), None, f"{_JOBS} backups failed at {socket.gethostname()}"),
        ("failed", ("Stopped", ""), None, f"{_JOBS} backups failed at {socket.gethostname()}"),
    ],
)
def test_what_ends_forty_backups_alike_is_one_message(
    home: Home,
    web: WebServer,
    tmp_path: Path,
    status: ExecutionStatus,
    problem: tuple[str, str] | None,
    copies: tuple[str, str] | None,
    title: str,
) -> None:
    jobs = fleet(home, web, f"type = 'sqlite'\npath = '{tmp_path / 'shop.db'}'")
    why = Problem(kind=problem[0], message="no", subject=problem[1]) if problem else None
    left_out = () if copies is None else (_left_out(*copies),)
    jobs.end(status, why, left_out)
    assert jobs.sent() == []
    assert jobs.sent(minutes=1) == [title]


def _left_out(storage: str, kind: str) -> Copy:
    return Copy(storage=storage, status="missing", path="", problem=Problem(kind=kind, message="no", subject=storage))


@pytest.mark.parametrize(
    ("kind", "subject"), [("StorageError", "/elsewhere"), ("DiskSpaceError", "{storage}-2"), ("ToolMissing", "disk")]
)
def test_what_no_storage_is_to_blame_for_waits_for_no_other(
    home: Home, web: WebServer, tmp_path: Path, kind: str, subject: str
) -> None:
    jobs = fleet(home, web, f"type = 'sqlite'\npath = '{tmp_path / 'shop.db'}'")
    jobs.end("failed", Problem(kind=kind, message="no", subject=subject.format(storage=home.storage())))
    assert len(jobs.sent()) == _JOBS


def test_overdue_jobs_of_many_servers_whose_storage_failed_are_one_message_and_so_is_their_end(
    home: Home, web: WebServer
) -> None:
    server = "type = 'postgres'\nport = {port}\nhost = '127.0.0.1'\ndatabase = 'x'"
    jobs = fleet(home, web, server, 'schedule = "daily at 03:00"\ntimezone = "UTC"')
    jobs.check()
    assert jobs.sent(days=1) == []
    jobs.end("failed", Problem(kind="StorageError", message="gone", subject="disk"))
    assert jobs.sent(minutes=1) == [f"{_JOBS} backups failed at disk"]
    jobs.check()
    assert jobs.sent(minutes=1) == [f"{_JOBS} backups overdue at disk"]
    jobs.end("completed")
    assert jobs.sent(minutes=1) == [f"{_JOBS} backups completed at disk"]


def test_backups_that_end_what_was_overdue_are_one_message(home: Home, web: WebServer, tmp_path: Path) -> None:
    schedule = 'schedule = "daily at 03:00"\ntimezone = "UTC"'
    jobs = fleet(home, web, f"type = 'sqlite'\npath = '{tmp_path / 'shop.db'}'", schedule)
    jobs.check()
    jobs.watch.clock.forward(days=1)
    jobs.check()
    assert len(jobs.sent(minutes=1)) == 1
    jobs.end("completed")
    assert jobs.sent() == []
    assert jobs.sent(minutes=1) == [f"{_JOBS} backups completed at {socket.gethostname()}"]


def test_rehearsals_that_one_storage_keeps_from_being_made_belong_together(home: Home, tmp_path: Path) -> None:
    make_database(tmp_path / "shop.db")
    weekly = "[jobs.weekly]\ndatasource = 'shop'\nstorages = ['disk']\n"
    home.configure(sqlite_table("shop", tmp_path / "shop.db"), more=weekly)
    for job in ("nightly", "weekly"):
        home.back_up(job)
    home.storage().rename(tmp_path / "away")
    for job in ("nightly", "weekly"):
        assert home.dgtui("rehearse", job).exit_code != 0
    told = [one for one in home.engine().records.notifications() if one.kind == "rehearsal_failed"]
    assert [(one.subject, one.group_key) for one in told] == [("weekly", "disk"), ("nightly", "disk")]


def test_a_run_without_a_daemon_waits_for_no_other_of_the_same_server(home: Home, web: WebServer) -> None:
    """Nobody comes by after it: the failure would be told with the next run, perhaps a day later."""
    home.storage()
    server = f"type = 'postgres'\ndatabase = 'shop'\nhost = '127.0.0.1'\nport = {closed_port()}"
    fleet(home, web, server, "retries = 0")
    jobs = ("j0", "j1")
    for job in jobs:
        done = home.dgtui("--run-job", job)
        assert done.exit_code == 1, done
    titles = [request.json["title"] for request in web.requests]
    assert [title.partition(",")[0] for title in titles] == [f"Backup {job} of shop{job[1]}: failed" for job in jobs]
