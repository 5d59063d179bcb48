"""The catalogue removed, damaged, locked, written by a newer version: backups are made, and the list comes back."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine.cancellation import CANCEL
from dgtui.engine.catalog import SCHEMA_VERSION
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.errors import CatalogError
from dgtui.engine.health_model import Watched
from dgtui.engine.runs import RunPaths
from tests.support.daemons import StartDaemon
from tests.support.homes import PATIENCE_SECONDS, Home, Outcome, pid_of_worker, wait_until
from tests.support.receivers import web_server


@pytest.fixture
def shop(home: Home) -> Home:
    """Two backups of a folder at two storages."""
    tree = home.folder / "tree"
    tree.mkdir()
    (tree / "a.txt").write_text("a")
    configure(home)
    for _ in range(2):
        assert home.back_up().status == "completed"
    home.close_catalogues()
    return home


def configure(home: Home, more: str = "") -> None:
    table = f'[datasources.shop]\ntype = "files"\npath = "{home.folder / "tree"}"\n'
    home.configure(table, storages=("disk", "nas"), job='verify = "none"', more=more)


def listed(outcome: Outcome) -> list[dict[str, Any]]:
    """What a list tells that the storages know too."""
    names = ("execution_id", "job", "status", "started_at", "checksum", "folder", "manifest_sha256")
    return [
        {**{name: row[name] for name in names}, "at": sorted(copy["storage"] for copy in row["copies"])}
        for row in outcome.json()
    ]


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) // 2)


def scribble(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(4096))


@pytest.mark.parametrize("harm", [remove, cut, scribble])
def test_runs_go_on_and_the_list_is_as_before(shop: Home, harm: Callable[[Path], None]) -> None:
    before = listed(shop.dgtui("list", "--json"))
    assert len(before) == 2
    path = shop.state / "catalog.db"
    assert {one.name for one in shop.state.glob("catalog.db*")} == {path.name}
    harm(path)
    harmed = path.read_bytes() if path.exists() else None
    run = shop.dgtui("run", "nightly")
    assert run.exit_code == 0, run
    after = shop.dgtui("list", "--json")
    assert listed(after)[1:] == before, (run, after)
    said = run.errors + after.errors
    assert "Rebuilt from the storages, backups: " in said
    (moved,) = shop.state.glob("catalog.db.damaged-*") if harmed is not None else [None]
    if moved is not None:
        assert moved.read_bytes() == harmed
        assert f"the old one lies in {moved}" in said
    assert "Rebuilt" not in shop.dgtui("list").errors
    (told,) = shop.dgtui("notifications", "--type", "catalogue_rebuilt", "--json").json()
    assert told["message"] in said
    assert shop.dgtui("validate", "nightly@latest").exit_code == 0


def test_a_first_start_names_the_storage_that_cannot_be_read(home: Home) -> None:
    """Without that, "No backups" was said of a storage full of them."""
    configure(home)
    home.storage("nas").write_text("no folder")
    first = home.dgtui("list")
    assert "No backup was found, but nas could not be read" in first.errors
    assert "dgtui scan nas" in first.errors
    assert "disk" not in first.errors
    (told,) = home.dgtui("notifications", "--type", "catalogue_rebuilt", "--json").json()
    assert told["message"] in first.errors
    for later in (home.dgtui("list"), home.dgtui("list", "--json")):
        assert "No backup is known, but nas may hold some" in later.errors
        assert "dgtui scan nas" in later.errors
        assert "Make one" not in later.errors
        assert "disk" not in later.errors
    home.storage("nas").unlink()
    assert "No backups. Make one" in home.dgtui("list").errors


def test_an_empty_list_after_a_rebuild_names_what_was_not_mounted(shop: Home) -> None:
    for name in ("disk", "nas"):
        shop.storage(name).rename(shop.folder / f"{name}-unmounted")
    (shop.state / "catalog.db").write_bytes(b"no catalogue" * 1000)
    assert "Rebuilt from the storages, backups: none" in shop.dgtui("list").errors
    later = shop.dgtui("list").errors
    assert "disk may hold some (it was never used, or is not mounted)" in later
    assert "nas may hold some" in later
    assert "Make one" not in later
    for name in ("disk", "nas"):
        (shop.folder / f"{name}-unmounted").rename(shop.storage(name))
    assert shop.dgtui("scan", "nas").exit_code == 0
    assert len(shop.dgtui("list", "--json").json()) == 2


def test_a_storage_that_is_away_is_named(shop: Home) -> None:
    shop.storage("nas").rename(shop.folder / "unmounted")
    (shop.state / "catalog.db").unlink()
    told = shop.dgtui("list", "--json")
    assert len(told.json()) == 2
    assert "2 at disk" in told.errors
    assert "nas could not be read" in told.errors
    (shop.folder / "unmounted").rename(shop.storage("nas"))
    assert shop.dgtui("scan", "nas").exit_code == 0
    assert {copy["storage"] for row in shop.dgtui("list", "--json").json() for copy in row["copies"]} == {"disk", "nas"}


@pytest.mark.parametrize("harmed", [1, 2], ids=["some", "all"])
def test_what_cannot_be_taken_in_is_told(shop: Home, harmed: int) -> None:
    """A list that is empty, or too short, because nothing could be read is not one of what there is."""
    manifests = sorted(shop.storage().glob("*/*/manifest.json"))
    assert len(manifests) == 2
    for manifest in manifests[:harmed]:
        manifest.write_text('{"version": "1.0", "crea')
    shutil.rmtree(shop.storage("nas"))
    (shop.state / "catalog.db").unlink()
    told = shop.dgtui("list", "--json")
    assert len(told.json()) == 2 - harmed
    folders = "1 folder" if harmed == 1 else "2 folders"
    assert f"Not taken in at disk: {folders}; why: dgtui scan disk" in told.errors
    assert "Not taken in" not in shop.dgtui("list").errors
    (kept,) = shop.dgtui("notifications", "--type", "catalogue_rebuilt", "--json").json()
    assert any("Not taken in at disk" in line for line in kept["details"])


def test_a_living_daemon_goes_on_with_the_new_one(shop: Home, start_daemon: StartDaemon) -> None:
    """What SQLite has beside the old file stays there, since the daemon has it open."""
    before = listed(shop.dgtui("list", "--json"))
    configure(shop, "[guardian]\nhealth_interval = 10\n")
    daemon = start_daemon().wait_ready()
    job = Watched(kind="job", name="nightly")
    daemon.wait_for(lambda: job in HealthRecords(shop.engine().catalog).states(), "its first checks")
    (shop.state / "catalog.db").unlink()
    after = shop.dgtui("list", "--json")
    assert listed(after) == before, after
    daemon.wait_for(lambda: job in HealthRecords(shop.engine().catalog).states(), "checks in the new one")
    report = daemon.status().report
    assert report is not None
    assert [duty.problem for duty in report.duties if duty.problem is not None] == []
    assert daemon.stop() == 0
    assert not list(shop.state.glob("*damaged*"))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield


@contextlib.contextmanager
def newer(path: Path) -> Iterator[None]:
    _set_version(path, SCHEMA_VERSION + 1)
    before = path.read_bytes()
    yield
    assert path.read_bytes() == before
    _set_version(path, SCHEMA_VERSION)


def _set_version(path: Path, version: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(version),))


def test_a_catalogue_of_a_newer_version_is_refused_alike_by_the_daemon_and_the_commands(shop: Home) -> None:
    with newer(shop.state / "catalog.db"):
        for command in ("daemon", "list", "health", "jobs", "stats", "audit", "notifications", "cleanup"):
            refused = shop.dgtui(command)
            assert (refused.exit_code, refused.output) == (1, ""), command
            assert f"written by a newer version (schema {SCHEMA_VERSION + 1}" in refused.errors, command
            assert "Install the newer version" in refused.errors, command
    assert shop.dgtui("list").exit_code == 0


def test_nothing_is_written_into_a_catalogue_that_became_newer_under_a_living_process(shop: Home) -> None:
    shop.back_up()
    catalog = shop.engine().catalog
    with newer(shop.state / "catalog.db"):
        with pytest.raises(CatalogError, match="written by a newer version") as raised:
            catalog.save_storage_marker("disk", "another")
        assert "start its daemon anew" in raised.value.hint
    assert catalog.storage_marker("disk") != "another"


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[None]:
    if os.geteuid():
        path.chmod(0o400)
        yield
        path.chmod(0o600)
        return
    # Modes do not keep root from writing.
    if subprocess.run(["mount", "--bind", path, path], check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True, capture_output=True)


@pytest.mark.parametrize("state", [locked, newer, read_only])
def test_the_backup_is_made_told_and_taken_up_later(
    shop: Home, state: Callable[[Path], contextlib.AbstractContextManager[None]]
) -> None:
    with web_server() as web:
        configure(shop, f'[channels.ops]\ntype = "webhook"\nurl = "{web.url}"\nseverity = "info"\n')
        with state(shop.state / "catalog.db"):
            run = shop.dgtui("run", "nightly")
        assert run.exit_code == 0, run
        assert "The catalogue" in run.errors
        assert "taken up later" in run.errors
        assert [request.json["notifications"][0]["kind"] for request in web.requests] == ["backup_completed"]
        taken_up = shop.dgtui("list", "--json")
        rows = listed(taken_up)
        assert [row["status"] for row in rows] == ["completed"] * 3, taken_up
        assert rows[0]["at"] == ["disk", "nas"]
        assert "was found and registered" in taken_up.errors
        told = [request for request in web.requests if rows[0]["execution_id"].encode() in request.body]
        assert len(told) == 1
    assert list((shop.state / "unrecorded").iterdir()) == []
    assert shop.litter() == []
    assert not list(shop.state.glob("*damaged*"))


def hold_secret(home: Home) -> Path:
    """A datasource whose password does not come before somebody writes to the pipe."""
    held = home.folder / "held"
    os.mkfifo(held)
    home.configure(
        f"""[datasources.shop]
type = "postgres"
host = "127.0.0.1"
database = "shop"
username = "keeper"
password = {{ command = "cat {held}" }}
"""
    )
    return held


def let_go(held: Path) -> None:
    """End the program that waits for the secret, also one that has yet to come to it."""
    descriptor = os.open(held, os.O_RDWR)
    held.unlink()
    os.close(descriptor)


def test_a_worker_killed_before_it_could_record_its_run_is_told_of_by_the_next_start(home: Home) -> None:
    """A command that starts a backup leaves the catalogue to the worker, which may die before it opens it."""
    held = hold_secret(home)
    assert home.dgtui("list").exit_code == 0
    with subprocess.Popen(
        [sys.executable, "-m", "dgtui", "--run-job", "nightly"], env=home.environment, stderr=subprocess.PIPE
    ) as command:
        runs = RunPaths(home.state)
        wait_until(lambda: any(b'"running"' in path.read_bytes() for path in runs.runs.glob("*.jsonl")), "the run")
        (run_id,) = runs.living()
        worker = pid_of_worker(runs, run_id)
        # Whoever started it would tell of it.
        command.send_signal(signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        command.kill()
    let_go(held)
    listed = home.dgtui("list", "--json")
    assert "ended interrupted" in listed.errors
    assert [(row["execution_id"], row["status"]) for row in listed.json()] == [(run_id, "interrupted")]
    assert [row["kind"] for row in home.dgtui("notifications", "--json").json()] == ["backup_failed"]
    assert runs.unrecorded_runs() == []
    assert home.dgtui("list", "--json").errors == ""


def test_a_run_that_was_announced_in_the_catalogue_is_seen_to_run_there(home: Home) -> None:
    """Screens and daemon announce what they start; they show it by its row, also while its source does not answer."""
    held = hold_secret(home)
    engine = home.engine()
    run_id = engine.start_job("nightly")
    wait_until(lambda: engine.execution(run_id).status == "running", "the row of the run")
    engine.cancel(run_id)
    let_go(held)
    assert home.finish(engine, run_id).status in ("cancelled", "failed")


SLOW_IMPORT = """
import pathlib, sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "dgtui.engine.catalog.database":
            pathlib.Path({reached!r}).touch()
            while not pathlib.Path({go!r}).exists():
                time.sleep(0.01)

sys.meta_path.insert(0, Slow())
"""


def test_a_run_cancelled_while_the_catalogue_is_loaded_ends_cancelled(home: Home) -> None:
    tree = home.folder / "tree"
    tree.mkdir()
    configure(home)
    reached, go = home.folder / "reached", home.folder / "go"
    code = home.folder / "code"
    code.mkdir()
    code.joinpath("sitecustomize.py").write_text(SLOW_IMPORT.format(reached=str(reached), go=str(go)))
    with subprocess.Popen(
        [sys.executable, "-m", "dgtui", "--run-job", "nightly"],
        env={**home.environment, "PYTHONPATH": str(code)},
        stderr=subprocess.PIPE,
    ) as command:
        wait_until(reached.exists, "the worker to load the catalogue")
        runs = RunPaths(home.state)
        (run_id,) = runs.living()
        os.kill(pid_of_worker(runs, run_id), CANCEL)
        go.touch()
        assert command.wait(PATIENCE_SECONDS) == 130
    assert [row["status"] for row in home.dgtui("list", "--json").json()] == ["cancelled"]
    assert home.litter() == []
