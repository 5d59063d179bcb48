"""What others write into chosen tables of SQLite after the safety backup was begun, and before they are replaced."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dgtui.engine import restore_swap, starting
from dgtui.engine.datasources import sqlite_data, sqlite_former, sqlite_part
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.restore_model import PartChange, Restore
from tests.support.forking import forked
from tests.support.homes import Home
from tests.support.part_shops import Shop, databases

_CHOSEN = Selection(tables=("a", "b"))


@pytest.fixture(params=["delete", "wal"])
def shop(request: pytest.FixtureRequest, home: Home) -> Iterator[Shop]:
    """A shop in a file, in one mode of its journal and the other."""
    with databases("sqlite", home, request) as made:
        made.run(f"PRAGMA journal_mode = {request.param}")
        yield made


def _after(owner: Any, name: str, work: Callable[[], object]) -> None:
    real = getattr(owner, name)

    def followed(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        work()
        return result

    setattr(owner, name, followed)


def _restored(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, watch: Callable[[], object], chosen: Selection = _CHOSEN
) -> Restore:
    monkeypatch.setattr(starting, "fork_worker", forked(watch))
    engine = shop.home.engine(fork_workers=True)
    run_id = engine.start_restore(shop.execution, overwrite=True, selection=chosen)
    shop.home.finish(engine, run_id)
    monkeypatch.undo()
    return engine.restore(run_id)


def _beside(home: Home) -> list[str]:
    return [path.name for path in home.folder.glob(".shop.db__dgtui*")]


def test_what_others_write_after_the_safety_backup_is_kept_beside(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """With rowids, indexes, triggers and counters; an undo brings it back."""
    shop.run(
        "DROP TABLE b",
        "CREATE TABLE b (word TEXT, twice TEXT AS (word || word), number INTEGER PRIMARY KEY AUTOINCREMENT)",
        "INSERT INTO b (word, number) VALUES ('early', 70)",
        "CREATE INDEX b_word ON b (word)",
        "CREATE TRIGGER b_gone AFTER DELETE ON b BEGIN DELETE FROM a WHERE id = old.number; END",
    )
    schema = _schema(shop)
    late = ("INSERT INTO a VALUES (3, 'third', 1)", "UPDATE b SET word = 'late'")
    restore = _restored(shop, monkeypatch, lambda: _after(restore_swap, "take_safety_copy", lambda: shop.run(*late)))
    assert (restore.status, shop.content()) == ("completed", shop.backed_up)
    kept = Path(str(restore.part_kept_as))
    assert kept.stat().st_mode & 0o777 == 0o600
    assert restore.kept_until is not None
    with contextlib.closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("SELECT id FROM a ORDER BY id").fetchall() == [(1,), (2,), (3,)]
    shop.undo(restore)
    assert shop.content()["b"] == [("late", "latelate", 70)]
    assert (3, "third", 1) in shop.content()["a"]
    assert _schema(shop) == schema
    shop.run("INSERT INTO b (word) VALUES ('next')")
    assert shop.content()["b"][1][2] == 71


def _schema(shop: Shop) -> set[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(shop.home.folder / "shop.db")) as connection:
        return set(connection.execute("SELECT type, name, sql FROM sqlite_schema"))


def test_what_is_written_while_they_are_copied_is_kept_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then they are copied again, while who tries to write is told that the database is locked."""
    answers = shop.home.folder / "answers"

    def write() -> None:
        with (
            contextlib.closing(sqlite3.connect(shop.home.folder / "shop.db", timeout=0)) as connection,
            answers.open("a") as file,
        ):
            try:
                with connection:
                    connection.execute("INSERT INTO a SELECT max(id) + 1, 'late', 1 FROM a")
                file.write("written\n")
            except sqlite3.OperationalError as error:
                file.write(f"{error}\n")

    restore = _restored(shop, monkeypatch, lambda: _after(sqlite_part, "keep_tables", write))
    assert (restore.status, shop.content()) == ("completed", shop.backed_up)
    assert answers.read_text().splitlines() == ["written", "database is locked"]
    shop.undo(restore)
    assert shop.content()["a"][2:] == [(3, "late", 1)]


def test_a_table_that_is_made_while_they_are_copied_is_kept_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.run("DROP TABLE b")

    def make() -> None:
        opened = contextlib.closing(sqlite3.connect(shop.home.folder / "shop.db", timeout=0))
        with opened as connection, contextlib.suppress(sqlite3.OperationalError):
            connection.execute("CREATE TABLE b (id INTEGER PRIMARY KEY, word TEXT)")

    restore = _restored(shop, monkeypatch, lambda: _after(sqlite_part, "keep_tables", make))
    assert (restore.status, shop.content()) == ("completed", shop.backed_up)
    assert restore.part is not None
    assert (restore.part.replaced, restore.part.added) == (("a", "b"), ())
    shop.undo(restore)
    assert shop.content()["b"] == []


@pytest.mark.parametrize(
    ("place", "name", "said", "code", "told"),
    [
        (sqlite_former, "_copy", "database or disk is full", sqlite3.SQLITE_FULL, "could not be kept in"),
        # Copied already.
        (sqlite_part, "_transaction", "database is locked", sqlite3.SQLITE_BUSY, "locked"),
    ],
    ids=["no room for what is kept", "others keep it locked"],
)
def test_what_cannot_be_replaced_is_left_as_it_is_with_nothing_beside(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, place: ModuleType, name: str, said: str, code: int, told: str
) -> None:
    def fail(*_: Any, **_named: Any) -> None:
        error = sqlite3.OperationalError(said)
        error.sqlite_errorcode = code
        raise error

    shop.run("UPDATE a SET word = 'changed'")
    written = shop.content()
    restore = _restored(shop, monkeypatch, lambda: setattr(place, name, fail))
    assert (restore.status, shop.content()) == ("failed", written)
    assert restore.problem is not None
    assert told in restore.problem.message
    assert (restore.placing, restore.part, _beside(shop.home)) == (None, None, [])


def test_what_needs_an_extension_is_replaced_all_the_same(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the safety backup; that nothing else keeps it is told."""
    with contextlib.closing(sqlite3.connect(shop.home.folder / "shop.db")) as connection, connection:
        connection.create_function("strange", 1, str, deterministic=True)
        connection.execute("CREATE INDEX b_strange ON b (strange(word))")
    restore = _restored(shop, monkeypatch, lambda: None)
    assert (restore.status, restore.part_kept_as, shop.content()) == ("completed", None, shop.backed_up)
    assert _beside(shop.home) == []
    assert shop.way(restore) == "safety"


_ROWS = Selection(backup_type="data_only", tables=("a",))


def test_what_is_written_while_rows_are_loaded_into_a_copy_is_not_replaced(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also to other tables, which a restore of rows alone has to leave as they are."""
    shop.run("UPDATE a SET word = 'changed'")
    late = "INSERT INTO c VALUES (2, 'late')"
    restore = _restored(shop, monkeypatch, lambda: _after(sqlite_data, "take_snapshot", lambda: shop.run(late)), _ROWS)
    assert (restore.status, restore.kept_as, restore.part) == ("failed", None, None)
    assert restore.problem is not None
    assert "was written to while rows were loaded; nothing was changed" in restore.problem.message
    assert shop.content()["c"] == [(1, "one"), (2, "late")]
    assert shop.content()["a"] == [(1, "changed", 1), (2, "changed", 1)]
    assert _beside(shop.home) == []
    again = _restored(shop, monkeypatch, lambda: None, _ROWS)
    assert (again.status, shop.content()["a"]) == ("completed", shop.backed_up["a"])
    assert shop.content()["c"] == [(1, "one"), (2, "late")]


def test_rows_alone_into_a_file_whose_last_writer_was_killed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had committed is there, be it in the -wal alone."""
    killed = (
        "import os, sqlite3, sys; connection = sqlite3.connect(sys.argv[1]);"
        "connection.execute(\"INSERT INTO c VALUES (2, 'two')\"); connection.commit(); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", killed, str(shop.home.folder / "shop.db")], check=False)
    restore = _restored(shop, monkeypatch, lambda: None, _ROWS)
    assert (restore.status, shop.content()["c"]) == ("completed", [(1, "one"), (2, "two")])


@pytest.mark.parametrize(("back", "others", "left"), [(True, 0, False), (True, 1, True), (False, 1, False)])
def test_what_was_kept_stays_where_it_may_not_have_been_put_back(
    shop: Shop, *, back: bool, others: int, left: bool
) -> None:
    """Whoever changes the schema meanwhile hides whether a killed undo had put it back."""
    live, kept = shop.home.folder / "shop.db", shop.home.folder / ".shop.db__dgtui_part_20260101000000"
    kept.write_bytes(live.read_bytes())
    with contextlib.closing(sqlite3.connect(live)) as connection, connection:
        mark = sqlite_part.schema_mark(connection)
        for number in range(others):
            connection.execute(f"CREATE TABLE other{number} (id)")
    change = PartChange(database=str(live), beside=str(kept), keep_as=f"{kept}0", tables=("a",), back=back)
    datasource = shop.home.engine().config.datasource("shop")
    assert datasource.settle_part(mark, change) == "new"
    assert kept.exists() is left
