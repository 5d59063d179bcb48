"""A person, or a timer, whose working folder was removed: only what begins in that folder cannot be named."""

import subprocess
import sys

import pytest

from tests.support.shops import Shop


def test_backup_and_restore_from_a_folder_that_is_gone(shop: Shop) -> None:
    before = shop.digest()
    assert _from_nowhere(shop, "run", "nightly").returncode == 0
    assert "completed" in _from_nowhere(shop, "list").stdout
    assert _from_nowhere(shop, "restore", "nightly@latest", "--into", "again", "--yes").returncode == 0
    assert shop.digest("again") == before


@pytest.mark.parametrize("words", [("validate", "./some/folder"), ("metrics", "--file", "metrics.prom")])
def test_a_path_that_begins_there_is_refused(shop: Shop, words: tuple[str, ...]) -> None:
    refused = _from_nowhere(shop, *words)
    assert refused.returncode == 2
    assert "The folder that you stand in was removed" in refused.stderr


def _from_nowhere(shop: Shop, *words: str) -> "subprocess.CompletedProcess[str]":
    place = shop.home.folder / "removed"
    place.mkdir()
    return subprocess.run(
        ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", sys.executable, "-m", "dgtui", *words],
        cwd=place,
        env=shop.home.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
