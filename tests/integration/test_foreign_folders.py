"""Folders of somebody else, that our user may not even look into: each is told, and what does not need it goes on."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.homes import Home, Outcome

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can make folders that are somebody else's"
)
_NOBODY = 65534
_SPECIAL = "-dac_override,-dac_read_search"


@pytest.fixture
def foreign(home: Home) -> Path:
    """A folder of another user with a tree, a database and room for a storage and a state in it."""
    folder = home.folder / "foreign"
    (folder / "tree").mkdir(parents=True)
    (folder / "tree" / "file").write_text("content")
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    (home.folder / "own").mkdir()
    (home.folder / "own" / "file").write_text("mine")
    shutil.chown(folder, _NOBODY)
    folder.chmod(0o700)
    sources = {
        "shop": ("files", home.folder / "own"),
        "tree": ("files", folder / "tree"),
        "database": ("sqlite", folder / "shop.db"),
    }
    tables = [f'[datasources.{n}]\ntype = "{k}"\npath = {json.dumps(str(p))}\n' for n, (k, p) in sources.items()]
    storage = f'[storages.theirs]\ntype = "local"\npath = {json.dumps(str(folder / "storage"))}\n'
    home.configure("\n".join(tables), more=storage)
    return folder


def as_plain_user(home: Home, *arguments: str, **environment: str) -> Outcome:
    """Run the program bound by the rights of files, as root alone is not."""
    command = ["setpriv", f"--bounding-set={_SPECIAL}", f"--inh-caps={_SPECIAL}", sys.executable, "-m", "dgtui"]
    done = subprocess.run(
        [*command, *arguments],
        env={**home.environment, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    outcome = Outcome(done.returncode, done.stdout, done.stderr)
    assert "fault of dgtui itself" not in outcome.errors, outcome
    assert "The system refused" not in outcome.errors, outcome
    return outcome


@pytest.mark.parametrize("command", [("list",), ("check",), ("run", "nightly"), ("--run-job", "nightly")])
def test_the_state_folder_of_another_user(home: Home, foreign: Path, command: tuple[str, ...]) -> None:
    outcome = as_plain_user(home, *command, DGTUI_STATE=str(foreign / "state"))
    assert outcome.exit_code == 1
    assert "Permission denied" in outcome.errors
    assert "hint" in outcome.errors


def test_an_examination_tells_of_each_and_goes_on(home: Home, foreign: Path) -> None:
    outcome = as_plain_user(home, "check", "--json")
    found = {(one["area"], one["subject"]): one for one in outcome.json()}
    for name, path in (("tree", "tree"), ("database", "shop.db")):
        assert found["datasource", name]["kind"] == "PermissionDenied"
        assert str(foreign / path) in found["datasource", name]["message"]
    assert found["storage", "theirs"]["level"] == "error"
    assert found["storage", "disk"]["level"] == found["datasource", "shop"]["level"] == "ok"


def test_the_commands_tell_of_it_too(home: Home, foreign: Path) -> None:
    assert as_plain_user(home, "run", "nightly").exit_code == 0
    for source in ("tree", "database"):
        outcome = as_plain_user(home, "backup", source, "--to", "disk")
        assert outcome.exit_code == 1
        assert "PermissionDenied" not in outcome.errors
        assert str(foreign) in outcome.errors
    assert as_plain_user(home, "scan", "theirs").exit_code == 1
    assert as_plain_user(home, "cleanup", "--dry-run").exit_code in (0, 1, 3)
    outcome = as_plain_user(home, "restore", "nightly@latest", "--into", str(foreign / "a" / "b"), "--yes")
    assert outcome.exit_code == 1
    assert "namei -l" in outcome.errors
