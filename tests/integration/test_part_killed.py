"""A restore of a part whose worker is killed at any step: the old part or the new one, and the rest untouched."""

import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine import facade
from dgtui.engine.datasources.base import Selection
from dgtui.engine.model import Restore
from tests.support.homes import Home
from tests.support.part_shops import Shop, databases, tree_shop
from tests.support.stopping import stopped_at

TABLES = {"selection": Selection(tables=("a", "b"))}
ROWS = {"selection": Selection(backup_type="data_only", tables=("a", "b"))}


@contextlib.contextmanager
def _case(
    kind: str, home: Home, request: pytest.FixtureRequest
) -> Iterator[tuple[Shop, dict[str, Any], Callable[[], object]]]:
    """A shop, what is restored, and what brings it to the state before each restore."""
    what, _, place = kind.partition(" in ")
    if place == "files":
        shop, root = tree_shop(home)

        def spoil() -> None:
            shop.run(a_1="changed", a_2="other", c_2="new")
            shutil.rmtree(root / "b" / "deep", ignore_errors=True)

        yield shop, {"merge": True} if what == "merge" else {"selection": Selection(tables=("a", "b/deep"))}, spoil
        return
    with databases(place, home, request) as shop:
        if what == "rows":
            yield shop, ROWS, lambda: shop.run("UPDATE a SET word = 'changed'", "DELETE FROM b")
        else:
            yield shop, TABLES, lambda: shop.run("UPDATE a SET word = 'changed'", "DROP TABLE IF EXISTS b")


@pytest.mark.parametrize(
    "kind",
    [
        "tables in postgres",
        "tables in mariadb",
        "tables in sqlite",
        "paths in files",
        "merge in files",
        "rows in postgres",
        "rows in mariadb",
        "rows in sqlite",
    ],
)
def test_killed_at_every_step(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The next start finds out which, finishes what was cut, and says so; one command clears away what is left."""
    steps = tmp_path / "steps"
    with _case(kind, home, request) as (shop, choices, spoil):
        spoil()
        before = shop.content()
        steps.write_text("")
        whole = _killed_at(shop, 0, choices, monkeypatch, steps)
        assert whole.status == "completed"
        _clean_up(shop, whole)
        restored = shop.content()
        assert restored != before
        first = "phase restore" if kind.startswith("rows") else "phase swap"
        number = next(int(line.split()[0]) for line in steps.read_text().splitlines() if line.endswith(first))
        outcomes = set()
        for step in itertools.count(number):
            spoil()
            steps.write_text("")
            restore = _killed_at(shop, step, choices, monkeypatch, steps)
            last = steps.read_text().splitlines()[-1]
            content = shop.content()
            assert content in (before, restored), last
            assert restore.status == ("interrupted" if content == before else "completed"), last
            assert (restore.part is None) == (content == before), last
            _clean_up(shop, restore)
            outcomes.add(restore.status)
            if not last.startswith(f"{step} "):
                break
        assert outcomes == {"interrupted", "completed"}
        assert home.litter() == []


def _killed_at(
    shop: Shop, number: int, choices: dict[str, Any], monkeypatch: pytest.MonkeyPatch, steps: Path
) -> Restore:
    """The record of a restore that died, as the next start finds it."""
    shop.home.close_catalogues()
    engine = shop.home.engine(fork_workers=True)
    with monkeypatch.context() as patched:
        patched.setattr(facade, "fork_worker", stopped_at(number, steps))
        run_id = engine.start_restore(shop.execution, overwrite=True, safety=False, **choices)
    os.waitpid(int(engine.paths.lock(run_id).read_text()), 0)
    return shop.home.engine().restore(run_id)


def _clean_up(shop: Shop, restore: Restore) -> None:
    engine = shop.home.engine()
    if restore.placing is not None:
        assert restore.placing.mark is None
        engine.cleanup_restore(restore)
    if restore.kept_as or restore.part_kept_as:
        engine.drop_replaced(restore)
    assert engine.unsettled_restores() == []
    assert [path.name for path in shop.home.folder.glob(".*__dgtui*")] == []
