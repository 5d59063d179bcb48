"""A state folder that nothing can be written to: what it holds is told all the same, and nothing is said to be done."""

import contextlib
import json
import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dgtui.app import run
from dgtui.engine.facade import Engine
from tests.support.homes import Home
from tests.support.shops import fill_up

Spoil = Callable[[Path], contextlib.AbstractContextManager[None]]


@pytest.fixture
def shop(home: Home) -> Home:
    """A backup of a folder, and a check of it."""
    tree = home.folder / "tree"
    tree.mkdir()
    (tree / "a.txt").write_text("a")
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{tree}"\n', job="retention = { keep_last = 3 }")
    assert home.back_up().status == "completed"
    home.close_catalogues()
    return home


@contextlib.contextmanager
def full(mount: Path) -> Iterator[None]:
    filler = fill_up(mount)
    yield
    filler.unlink()


@contextlib.contextmanager
def read_only(mount: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", str(mount)], check=True)


@pytest.fixture(params=[full, read_only])
def spoilt(request: pytest.FixtureRequest, shop: Home, small_mount: Path) -> Iterator[Home]:
    """The state folder on a disk that cannot be written; its last changes are in the journal still."""
    with contextlib.closing(sqlite3.connect(shop.state / "catalog.db")) as held:
        held.execute("SELECT * FROM meta").fetchall()
        assert shop.dgtui("pin", "nightly@latest", "--reason", "for the auditors").exit_code == 0
        shutil.copytree(shop.state, small_mount / "state", ignore=shutil.ignore_patterns("*-shm"))
    shop.state = small_mount / "state"
    assert (shop.state / "catalog.db-wal").stat().st_size
    spoil: Spoil = request.param
    with spoil(small_mount):
        yield shop
    after = shop.dgtui("list", "--json")
    assert (after.exit_code, len(after.json())) == (0, 1)


COMMANDS = (
    "health",
    "health --history",
    "health --now",
    "list",
    "jobs",
    "show nightly@latest",
    "status",
    "restores",
    "notifications",
    "notify",
    "audit",
    "audit --verify",
    "stats",
    "metrics",
    "cleanup --dry-run",
    "daemon --status",
)


def test_what_is_known_is_told_and_what_cannot_be_written_is_not_said_to_be(spoilt: Home) -> None:
    for command in COMMANDS:
        told = spoilt.dgtui(*command.split())
        assert told.exit_code in (0, 1), told
        assert "error:" not in told.errors, told
        assert "disk" in told.errors or "cannot be written" in told.errors or command == "daemon --status", told
    (row,) = spoilt.dgtui("list", "--json").json()
    assert row["pin"] == "for the auditors"
    assert spoilt.dgtui("health", "--now", "shop", "--json").json()[0]["result"] == "ok"
    for command in ("unpin nightly@latest", "notifications --mark-read all", "scan disk"):
        refused = spoilt.dgtui(*command.split())
        assert (refused.exit_code, refused.output) == (1, ""), refused
        assert "error:" in refused.errors, refused


def test_a_dead_run_on_a_full_disk_hides_nothing(shop: Home, small_mount: Path) -> None:
    """Somebody has the catalogue open, so that it can be read; what ended without notice cannot be recorded."""
    engine = shop.engine()
    execution = engine.executions()[0]
    with engine.catalog.transaction() as connection:
        connection.execute("UPDATE executions SET status = 'running'")
    shop.close_catalogues()
    shutil.copytree(shop.state, small_mount / "state")
    shop.state = small_mount / "state"
    with contextlib.closing(sqlite3.connect(shop.state / "catalog.db")) as held:
        held.execute("SELECT * FROM meta").fetchall()
        with full(small_mount):
            told = shop.dgtui("list", "--json")
            assert [row["execution_id"] for row in told.json()] == [execution.execution_id], told
            assert "What ended without notice was not recorded" in told.errors


class Opened(Exception):  # it carries what the screens open
    """How the screens open the engine."""


def test_the_screens_open_on_a_full_disk(shop: Home, small_mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = shop.engine().executions()[0]
    shop.close_catalogues()
    shutil.copytree(shop.state, small_mount / "state")

    def caught(_config: object, open_engine: Callable[[], Engine], **_: object) -> None:
        raise Opened(open_engine)

    monkeypatch.setattr("dgtui.app.DataGuardianApp", caught)
    monkeypatch.setattr("gc.freeze", lambda: None)
    monkeypatch.setattr("sys.setswitchinterval", lambda _: None)
    monkeypatch.setenv("DGTUI_CONFIG", str(shop.config_path))
    monkeypatch.setenv("DGTUI_STATE", str(small_mount / "state"))
    with pytest.raises(Opened) as opened:
        run()
    with full(small_mount), contextlib.closing(opened.value.args[0]()) as engine:
        assert [one.execution_id for one in engine.executions()] == [execution.execution_id]
        assert "The disk of the state folder is full" in engine.cannot_record


def test_a_backup_leaves_nothing_elsewhere_for_a_kill(shop: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, seen = shop.folder / "tmp", shop.folder / "seen"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    looking = f'before = ["sh", "-c", "ls -A {elsewhere} > {seen}"]'
    shop.configure(f'[datasources.shop]\ntype = "files"\npath = "{shop.folder / "tree"}"\n', job=looking)
    assert shop.dgtui("run", "nightly").exit_code == 0
    assert seen.read_text() == ""
    assert list(elsewhere.iterdir()) == []


def test_a_state_folder_of_another_user_names_them(shop: Home) -> None:
    """Without the rights that root has over the files of others."""
    if os.geteuid() or shutil.which("setpriv") is None:
        pytest.skip("giving a file to another user needs root")
    for path in (shop.state, *shop.state.rglob("*")):
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
        path.chmod(0o755 if path.is_dir() else 0o644)
    rights = ["setpriv", "--inh-caps", "-all", "--bounding-set", "-dac_override,-dac_read_search,-fowner"]

    def dgtui(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*rights, sys.executable, "-m", "dgtui", *words]
        return subprocess.run(command, env=shop.environment, capture_output=True, text=True, check=False)

    told = dgtui("list", "--json")
    assert (told.returncode, len(json.loads(told.stdout))) == (0, 1), told
    assert "cannot be written" in told.stderr
    assert "It belongs to nobody" in dgtui("pin", "nightly@latest").stderr
    assert "It belongs to nobody" in dgtui("mark-restored", "nightly@latest", "--reason", "moved").stderr
    (shop.state / "catalog.db").chmod(0o600)
    hidden = dgtui("list")
    assert (hidden.returncode, hidden.stdout) == (1, "")
    assert "It belongs to nobody: do it as that user" in hidden.stderr
