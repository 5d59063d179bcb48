"""`globals.sql` belongs to the backup: it is whole, and as sure as the dump itself."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from dgtui.engine.model import Execution
from tests.support.damage import EXTRA_FILE_DAMAGES
from tests.support.fakebin import write_fake
from tests.support.shops import Shop


@pytest.fixture
def shop_with_globals(shop: Shop) -> Shop:
    shop.job = "globals = true"
    shop.write()
    return shop


def folder_of(execution: Execution) -> Path:
    return Path(execution.copies[0].path)


def test_the_manifest_knows_it(shop_with_globals: Shop) -> None:
    folder = folder_of(shop_with_globals.home.back_up())
    (entry,) = json.loads((folder / "manifest.json").read_bytes())["files"]
    sums = f"{entry['checksum'].removeprefix('sha256:')}  globals.sql\n"
    assert sums in (folder / "RESTORE.txt").read_text()
    subprocess.run(["sha256sum", "-c", "-"], input=sums, text=True, cwd=folder, check=True)
    assert entry["size_bytes"] == (folder / "globals.sql").stat().st_size


@pytest.mark.parametrize("name", sorted(EXTRA_FILE_DAMAGES))
def test_its_damage_is_found_before_the_target_is_touched(shop_with_globals: Shop, name: str) -> None:
    shop = shop_with_globals
    execution = shop.home.back_up()
    EXTRA_FILE_DAMAGES[name](folder_of(execution))
    before = shop.digest()
    assert shop.home.dgtui("validate", execution.execution_id).exit_code == 5
    assert shop.home.dgtui("restore", execution.execution_id, "--overwrite", "--yes").exit_code == 5
    assert shop.digest() == before


@pytest.mark.parametrize("look", ["scan", "show"])
def test_that_it_is_gone_is_seen_without_a_check_of_bytes(shop_with_globals: Shop, look: str) -> None:
    home = shop_with_globals.home
    execution = home.back_up()
    EXTRA_FILE_DAMAGES["extra_file_missing"](folder_of(execution))
    home.dgtui(look, "disk" if look == "scan" else execution.execution_id)
    (copy,) = home.engine().execution(execution.execution_id).copies
    assert copy.problem is not None
    assert (copy.status, "globals.sql" in copy.problem.message) == ("corrupt", True)


def test_somebody_who_restores_by_hand_learns_of_its_damage(shop_with_globals: Shop, tmp_path: Path) -> None:
    folder = folder_of(shop_with_globals.home.back_up())
    EXTRA_FILE_DAMAGES["extra_file_flipped"](folder)
    followed = subprocess.run(
        ["sh", "-e", "RESTORE.txt"],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(tmp_path), "LC_ALL": "C", "PGHOST": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert followed.returncode != 0
    assert "globals.sql: FAILED" in followed.stdout


@pytest.mark.parametrize("mode", ["empty", "cut0:60%", "cut1:60%"])
def test_no_backup_is_made_without_all_of_it(shop_with_globals: Shop, mode: str) -> None:
    shop = shop_with_globals
    shop.misbehave("flood")
    assert shop.tools is not None
    (shop.tools / "pg_dumpall").unlink()
    write_fake(shop.tools, "pg_dumpall", mode, real=str(shop.server.binaries / "pg_dumpall"))
    outcome = shop.home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 1, outcome
    assert "pg_dumpall" in outcome.errors
    assert shop.folders() == []
    shop.nothing_left()
