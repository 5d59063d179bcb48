"""What others write into a MariaDB database after the safety backup was begun, and before its content is replaced."""

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dgtui.engine import restore_swap, starting
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.mysql_contents import dump_blocks
from dgtui.engine.restore_model import Restore
from tests.integration.test_mysql_inside import OneDatabase, dump_of
from tests.support.forking import forked
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, as_user
from tests.support.part_shops import Shop, databases


@pytest.fixture
def shop(home: Home, mariadb: MariadbServer) -> OneDatabase:
    """A database whose user may make no other, backed up and changed since."""
    shop = OneDatabase(mariadb)
    shop.fill("7")
    home.configure(as_user(mariadb.config(shop.name), shop.user))
    assert home.back_up().status == "completed"
    shop.change()
    return shop


def _after_the_safety_backup(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Have a worker run what others do then."""
    owner: Any = restore_swap
    real = owner.take_safety_copy

    def followed(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        work()
        return result

    monkeypatch.setattr(starting, "fork_worker", forked(lambda: setattr(owner, "take_safety_copy", followed)))


def _restored(home: Home, **choices: Any) -> Restore:
    engine = home.engine(fork_workers=True)
    run_id = engine.start_restore(engine.executions(job="nightly")[0], overwrite=True, **choices)
    home.finish(engine, run_id)
    return engine.restore(run_id)


def _kept(shop: OneDatabase) -> list[str]:
    statement = f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{shop.name}'"
    return sorted(name for (name,) in shop.server.execute(statement) if name.startswith("__dgtui"))


def test_what_is_written_late_is_kept_within_a_database_that_is_exchanged_within_itself(
    home: Home, shop: OneDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the time of all that is kept, after an undo too; no backup takes it along, and it can be dropped."""
    late = (
        "UPDATE hen SET eggs = 77 WHERE id = 1",
        "INSERT INTO hen (farm) VALUES (2)",
        "INSERT INTO plain VALUES (9)",
    )
    _after_the_safety_backup(monkeypatch, lambda: shop.run(*late))
    restore = _restored(home)
    assert restore.status == "completed", restore.problem
    assert restore.kept_as is not None
    assert restore.kept_until is not None
    [hen] = [name for name in _kept(shop) if name.endswith("_hen")]
    [plain] = [name for name in _kept(shop) if name.endswith("_plain")]
    assert shop.server.execute(f"SELECT id, eggs FROM {hen} ORDER BY id", database=shop.name)[0] == (1, 77)
    assert len(shop.server.execute(f"SELECT * FROM {hen}", database=shop.name)) == 3
    assert shop.server.execute(f"SELECT a FROM {plain}", database=shop.name) == [(9,)]
    assert b"__dgtui" not in b"".join(dump_blocks(dump_of(shop), 60.0))
    undone = home.dgtui("undo", restore.restore_id[:8], "--yes")
    assert undone.exit_code == 0, undone
    assert (
        f"What others wrote after that backup was begun, if anything, lies in {restore.kept_as} alone" in undone.errors
    )
    assert hen in undone.errors
    assert len(shop.server.execute(f"SELECT * FROM {hen}", database=shop.name)) == 3
    for kept in home.engine().kept_replaced():
        dropped = home.dgtui("drop-replaced", kept.restore_id[:8], "--yes")
        assert dropped.exit_code == 0, dropped
    assert _kept(shop) == []


def test_a_database_that_keeps_former_tables_is_not_emptied(home: Home, shop: OneDatabase) -> None:
    """They would go with it, unseen, and may be all there is of what was written late."""
    restore = _restored(home)
    assert restore.status == "completed", restore.problem
    kept = _kept(shop)
    # Who may make databases can have it emptied.
    home.configure(shop.server.config(shop.name))
    elsewhere = shop.server.scratch / "elsewhere"
    shop.server.execute(f"CREATE TABLE far (a INT) DATA DIRECTORY = '{elsewhere}'", database=shop.name)
    order = ("restore", "nightly@latest", "--overwrite", "--in-place")
    told = home.dgtui(*order, "--dry-run")
    refused = home.dgtui(*order, "--yes")
    assert refused.exit_code == 1, refused
    for said in (told.output + told.errors, refused.errors):
        assert f"which may be all there is of what others wrote late: {kept[0]}" in said
        assert "dgtui drop-replaced --list" in said
    assert _kept(shop) == kept
    assert home.dgtui("drop-replaced", restore.restore_id[:8], "--yes").exit_code == 0
    told = home.dgtui(*order, "--dry-run")
    assert (told.exit_code, "earlier restores" in told.output + told.errors) == (0, False), told


_ROWS: dict[str, Any] = {"selection": Selection(backup_type="data_only", tables=("a", "b"))}
_LATE = ("INSERT INTO a VALUES (3, 'third', 1)", "UPDATE b SET word = 'late'")


@pytest.fixture
def words(home: Home, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A shop whose user may make databases."""
    with databases("mariadb", home, request) as made:
        yield made


def test_what_is_written_late_is_kept_with_the_rows_that_are_replaced(
    words: Shop, mariadb: MariadbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generated columns and invisible ones too; an undo goes by the safety backup."""
    words.run(
        "DROP TABLE b",
        "CREATE TABLE b (id INT PRIMARY KEY, word VARCHAR(40), twice INT AS (id * 2) STORED, seen INT INVISIBLE)",
        "INSERT INTO b (id, word, seen) VALUES (7, 'seventh', 5)",
    )
    words.execution = words.home.back_up()
    before = words.content()
    _after_the_safety_backup(monkeypatch, lambda: words.run(*_LATE))
    restore = _restored(words.home, **_ROWS)
    assert (restore.status, words.content()) == ("completed", before), restore.problem
    assert restore.kept_as is not None
    assert restore.kept_until is not None
    late = mariadb.execute("SELECT id, word, of_c FROM a WHERE id = 3", database=restore.kept_as)
    assert late == [(3, "third", 1)]
    assert mariadb.execute("SELECT id, word, twice, seen FROM b", database=restore.kept_as) == [(7, "late", 14, 5)]
    choice = words.home.engine().undo_choice(restore)
    assert choice.way == "safety"
    assert choice.text.endswith(f"if anything, lies in {restore.kept_as} alone: in a, b")


def test_without_a_safety_backup_rows_come_back_from_where_they_are_kept(words: Shop) -> None:
    """Into tables that were empty too."""
    words.run("DELETE FROM b", "INSERT INTO a VALUES (3, 'third', 1)")
    before = words.content()
    restore = words.restore(**_ROWS, safety=False)
    assert (words.content(), words.way(restore)) == (words.backed_up, "kept")
    words.undo(restore)
    assert words.content() == before


def test_nobody_can_write_between_what_is_kept_and_what_is_replaced(words: Shop, mariadb: MariadbServer) -> None:
    """Whatever isolation the server gives: each row that somebody wrote is in what is kept, or there."""
    before = mariadb.execute("SELECT @@GLOBAL.tx_isolation")[0][0]
    mariadb.execute("SET GLOBAL tx_isolation = 'READ-COMMITTED'")
    written: list[int] = []
    stop = threading.Event()

    def write() -> None:
        for number in itertools.count(100):
            if stop.is_set():
                return
            words.run(f"INSERT INTO a VALUES ({number}, 'by the writer', 1)")
            written.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        restore = words.restore(**_ROWS)
    finally:
        stop.set()
        writer.join()
        mariadb.execute(f"SET GLOBAL tx_isolation = '{before}'")
    assert (restore.kept_as is not None, restore.partly_filled) == (True, False)
    kept = {number for (number,) in mariadb.execute("SELECT id FROM a", database=restore.kept_as)}
    there = {number for number, _, _ in words.content()["a"]}
    assert set(written) <= kept | there
    assert not (kept & there) - {1, 2}
    assert kept - {1, 2}


def test_who_may_make_no_database_replaces_rows_all_the_same(
    home: Home, mariadb: MariadbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in the safety backup; that nothing else keeps them is told, and before too."""
    shop = OneDatabase(mariadb)
    shop.run("CREATE TABLE word (id INT PRIMARY KEY)", "INSERT INTO word VALUES (1)")
    home.configure(as_user(mariadb.config(shop.name), shop.user))
    assert home.back_up().status == "completed"
    shop.run("INSERT INTO word VALUES (2)")
    assert not shop.server.datasource(shop.name, username=shop.user).keeps_former_rows(shop.name)
    restore = _restored(home, selection=Selection(backup_type="data_only"))
    assert (restore.status, restore.kept_as) == ("completed", None), restore.problem
    assert shop.server.execute("SELECT * FROM word", database=shop.name) == [(1,)]


def test_rows_that_could_not_be_replaced_are_kept_nowhere_else(words: Shop, mariadb: MariadbServer) -> None:
    words.run("ALTER TABLE b DROP COLUMN word")
    before, databases_before = words.content(), mariadb.databases()
    engine = words.home.engine()
    run_id = engine.start_restore(words.execution, overwrite=True, **_ROWS)
    words.home.finish(engine, run_id)
    restore = engine.restore(run_id)
    assert (restore.status, restore.kept_as, words.content()) == ("failed", None, before)
    assert mariadb.databases() == databases_before
