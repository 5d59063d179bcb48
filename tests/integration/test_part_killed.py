"""A restore of a part whose worker is killed or cancelled at any step: the old part or the new, the rest untouched."""

import contextlib
import itertools
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.errors import DatabaseConnectionError
from dgtui.engine.facade import Engine
from dgtui.engine.restore_data import DataRestore
from dgtui.engine.restore_model import Restore
from dgtui.engine.settling import unsettled
from tests.support.homes import Home
from tests.support.part_shops import Content, Shop, databases, tree_shop
from tests.support.stopping import Stopping

TABLES = {"selection": Selection(tables=("a", "b"))}
NAMED = {"selection": Selection(tables=("a",)), "name_as": "beside_a"}
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
        if what == "another name":
            yield shop, NAMED, lambda: shop.run("DROP TABLE IF EXISTS beside_a")
        elif what == "rows":
            yield shop, ROWS, lambda: shop.run("UPDATE a SET word = 'changed'", "DELETE FROM b")
        else:
            yield shop, TABLES, lambda: shop.run("UPDATE a SET word = 'changed'", "DROP TABLE IF EXISTS b")


KINDS = (
    "tables in postgres",
    "tables in mariadb",
    "tables in sqlite",
    "paths in files",
    "merge in files",
    "another name in postgres",
    "another name in mariadb",
    "another name in sqlite",
    "rows in postgres",
    "rows in mariadb",
    "rows in sqlite",
)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_every_step(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start finds out which, finishes what was cut, and says so; one command clears away what is left."""
    stopping = Stopping(home, monkeypatch)
    with _case(kind, home, request) as (shop, choices, spoil):
        start = _over(shop, choices)
        before, restored, number = _whole_run(kind, shop, spoil, stopping, start)
        outcomes = set()
        for step in itertools.count(number):
            spoil()
            killed = stopping.at(step, start)
            restore = home.engine().restore(killed.restore_id)
            last = f"{step} {stopping.steps[-1]}"
            content = shop.content()
            assert content in (before, restored), last
            assert restore.status == ("interrupted" if content == before else "completed"), last
            assert (restore.part is None) == (content == before), last
            _clean_up(shop, restore)
            outcomes.add(restore.status)
            if len(stopping.steps) < step:
                break
        assert outcomes == {"interrupted", "completed"}
        assert home.litter() == []


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_at_every_step(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cancelled` says that nothing was changed, and nothing is left; once it is too late, it ends well."""
    stopping = Stopping(home, monkeypatch)
    with _case(kind, home, request) as (shop, choices, spoil):
        start = _over(shop, choices)
        before, restored, number = _whole_run(kind, shop, spoil, stopping, start)
        stopping = Stopping(home, monkeypatch, sent=signal.SIGTERM)
        outcomes = []
        for step in itertools.count(number):
            spoil()
            restore = stopping.at(step, start)
            last = f"{step} of {stopping.steps}"
            changed = restore.status == "completed"
            assert restore.status in ("cancelled", "completed"), last
            assert shop.content() == (restored if changed else before), last
            assert (restore.placing, restore.part is not None) == (None, changed), last
            outcomes.append(restore.status)
            _clean_up(shop, restore)
            if len(stopping.steps) < step:
                break
        assert outcomes == sorted(outcomes)
        assert outcomes.count("completed") > 1
        assert home.litter() == []


def test_an_undo_of_tables_that_are_kept_in_a_file_killed_at_every_step(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept is used up where it was made, and there to be tried again where it was not."""
    stopping = Stopping(home, monkeypatch)
    with databases("sqlite", home, request) as shop:
        for step in itertools.count(1):
            shop.run("UPDATE a SET word = 'changed'", "DROP TABLE IF EXISTS b")
            before = shop.content()
            restore = shop.restore(safety=False, **TABLES)
            killed = stopping.at(step, lambda engine, restore=restore: engine.start_undo(restore, safety=False))  # type: ignore[misc]
            engine, last = home.engine(), f"{step} {stopping.steps[-1]}"
            undo, made = engine.restore(killed.restore_id), shop.content() == before
            assert made or shop.content() == shop.backed_up, last
            assert undo.status == ("completed" if made else "interrupted"), last
            if not made:
                assert engine.undo_choice(restore).way == "kept", last
                undo = shop.undo(restore)
                assert shop.content() == before, last
            assert Path(str(restore.part_kept_as)).exists() is False, last
            _clean_up(shop, undo)
            if len(stopping.steps) < step:
                break


def test_trouble_once_the_rows_are_in_is_no_failure(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is lost before it could be compared: the restore is completed, says so, and can be undone."""

    def lose(*_: object) -> None:
        raise DatabaseConnectionError("the connection was lost", subject="shop")

    with _case("rows in sqlite", home, request) as (shop, choices, spoil):
        spoil()
        before = shop.content()
        monkeypatch.setattr(DataRestore, "_compare", lose)
        restore = Stopping(home, monkeypatch).at(0, _over(shop, choices))
        assert (restore.status, restore.problem, restore.in_place) == ("completed", None, True)
        assert any("the connection was lost" in sentence for sentence in restore.differences)
        assert shop.content()["a"] == shop.backed_up["a"]
        shop.undo(restore)
        assert shop.content() == before


def _over(shop: Shop, choices: dict[str, Any]) -> Callable[[Engine], str]:
    return lambda engine: engine.start_restore(shop.execution, overwrite=True, safety=False, **choices)


def _whole_run(
    kind: str, shop: Shop, spoil: Callable[[], object], stopping: Stopping, start: Callable[[Engine], str]
) -> tuple[Content, Content, int]:
    """The contents before and after a restore that nobody stops, and the number of the step to begin with."""
    spoil()
    before = shop.content()
    whole = stopping.at(0, start)
    assert whole.status == "completed"
    _clean_up(shop, whole)
    restored = shop.content()
    assert restored != before
    return before, restored, stopping.first("phase restore" if kind.startswith("rows") else "phase swap")


def _clean_up(shop: Shop, restore: Restore) -> None:
    engine = shop.home.engine()
    if restore.placing is not None:
        assert restore.placing.mark is None
        engine.cleanup_restore(restore)
    if restore.kept_as or restore.part_kept_as:
        engine.drop_replaced(restore)
    assert unsettled(engine.catalog) == []
    assert shop.databases_beside() == []
    assert [path.name for path in shop.home.folder.glob(".*__dgtui*")] == []
