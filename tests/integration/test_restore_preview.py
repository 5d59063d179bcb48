"""What a restore would do is told before, and nothing is changed by the telling."""

import contextlib
import socket
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dgtui.engine.errors import EXIT_USAGE
from tests.support.changing import changing
from tests.support.damage import DAMAGES
from tests.support.homes import Home, wait_until
from tests.support.postgres import PostgresServer
from tests.support.shops import Shop
from tests.support.sqlite import sqlite_digest


def change_the_shop(shop: Shop) -> None:
    """A table gone, one new, rows less."""
    shop.server.execute("DROP TABLE customers", database=shop.database)
    shop.server.execute("CREATE TABLE since (a integer)", database=shop.database)
    shop.server.execute("DELETE FROM orders WHERE id > 100", database=shop.database)


def test_objects_rows_newer_backups_and_clients_of_both_sides(shop: Shop) -> None:
    first = shop.home.back_up()
    newer = shop.home.back_up()
    change_the_shop(shop)
    before = shop.digest()
    others = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{shop.database}'"
    wait_until(lambda: not shop.server.execute(others), "the end of the sessions of before")
    with shop.server.connect(shop.database, application_name="the till"):
        told = shop.home.dgtui("restore", first.execution_id, "--dry-run", "--json")
        shown = shop.home.dgtui("restore", first.execution_id, "--dry-run")
    assert (told.exit_code, shown.exit_code) == (0, 0), (told, shown)
    outlook = told.json()["outlook"]
    sides = {entry["name"]: (entry["side"], entry["backup_rows"], entry["target_rows"]) for entry in outlook["objects"]}
    assert sides == {
        "public.customers": ("only in the backup", 500, None),
        "public.orders": ("both", 20000, 100),
        "public.since": ("only in the target", None, 0),
    }
    assert outlook["newest_execution_id"] == newer.execution_id
    assert [client["program"] for client in outlook["clients"]] == ["the till"]
    assert (outlook["expected_seconds"], outlook["expected_from"]) == (None, "unknown")
    assert outlook["problem"] is None
    for word in ("public.customers", "20,000", "the till", newer.execution_id[:8], "not known", "Nothing was changed"):
        assert word in shown.output, (word, shown)
    assert shop.digest() == before
    assert shop.home.engine().restores() == []


def test_the_structure_alone_brings_no_row_back(home: Home, tmp_path: Path) -> None:
    """The manifest of such a backup has the rows of what was dumped; not one of them is in it."""
    source = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("CREATE TABLE orders (id)")
        connection.executemany("INSERT INTO orders VALUES (?)", [(number,) for number in range(20)])
    home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = "{source}"\n', job='backup_type = "schema_only"')
    execution = home.back_up()
    told = home.dgtui("restore", execution.execution_id, "--dry-run")
    assert told.exit_code == 0, told
    assert "Rows     20 there now, 0 in the backup; 1 of 1 object has other numbers" in told.output
    assert "Lost     every row of what is replaced: the structure alone comes back" in told.output
    assert "What     schema only" in told.output


def test_after_the_clock_was_set_back_the_newer_backup_is_the_one_made_after_it(home: Home, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id)")
    home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = "{tmp_path / "shop.db"}"\n')
    first = home.back_up()
    later = home.back_up()
    engine = home.engine()
    ahead = msgspec.structs.replace(first, started_at=later.started_at + timedelta(days=2))
    engine.catalog.save_execution(ahead)
    told = home.dgtui("restore", first.execution_id, "--dry-run", "--json")
    assert told.json()["outlook"]["newest_execution_id"] == later.execution_id
    told = home.dgtui("restore", later.execution_id, "--dry-run", "--json")
    assert told.json()["outlook"]["newest_execution_id"] is None
    told = home.dgtui("restore", first.execution_id, "--dry-run")
    assert "ago" not in told.output
    assert "which is still to come by this clock" in told.output


def test_where_the_datasource_is_gone_another_one_is_named(home: Home, tmp_path: Path) -> None:
    """Somebody renamed it since, or cleared up: the backups are there all the same."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "other.db").touch()
    tree = f'[datasources.shop]\ntype = "files"\npath = "{tmp_path / "tree"}"\n'
    file = f'[datasources.till]\ntype = "sqlite"\npath = "{tmp_path / "other.db"}"\n'
    home.configure(tree + file)
    execution = home.back_up()
    known = home.config_path.read_text().replace('datasource = "shop"', 'datasource = "till"')
    for renamed, way in (
        (tree.replace("shop", "site"), "with --to (site)"),
        ("", "Write [datasources.shop] of type files"),
    ):
        home.config_path.write_text(known.replace(tree, renamed))
        told = home.dgtui("restore", execution.execution_id, "--yes")
        assert told.exit_code == EXIT_USAGE, told
        assert "shop, of which this backup is, is not configured any more" in told.errors
        assert way in told.errors, told


def test_what_the_backup_warned_of_is_told_again(home: Home, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tree / "door"))
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{tree}"\n')
    [warning] = home.back_up().warnings
    told = home.dgtui("restore", "nightly@latest", "--into", str(tmp_path / "new"), "--dry-run")
    assert f"Warning  the backup ended with: {warning}" in told.output.splitlines(), told
    shown = home.dgtui("restore", "nightly@latest", "--into", str(tmp_path / "new"), "--dry-run", "--json")
    assert shown.json()["outlook"]["backup_warnings"] == [warning]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('exclude = ["cache"]', "What `exclude` of shop leaves out is in no backup"),
        ('include = ["page"]\nkeep_replaced = 0', "it is gone, as `keep_replaced` is 0"),
        ("", ""),
    ],
)
def test_what_becomes_of_files_that_no_backup_holds_is_told_before(
    home: Home, tmp_path: Path, keys: str, told: str
) -> None:
    tree = tmp_path / "tree"
    (tree / "cache").mkdir(parents=True)
    (tree / "page").write_text("page")
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{tree}"\n{keys}\n')
    home.back_up()
    replacing = home.dgtui("restore", "nightly@latest", "--overwrite", "--dry-run")
    assert told in replacing.output + replacing.errors
    assert ("leaves out" in replacing.output + replacing.errors) == bool(told)
    for elsewhere in (("--merge",), ("--into", str(tmp_path / "new"))):
        outcome = home.dgtui("restore", "nightly@latest", *elsewhere, "--dry-run")
        assert "leaves out" not in outcome.output + outcome.errors


def test_the_expected_time_is_that_of_restores_that_were_made(shop: Shop) -> None:
    execution = shop.home.back_up()
    engine = shop.home.engine()
    assert shop.home.finish(engine, engine.start_restore(execution, overwrite=True)).status == "completed"
    restore = engine.restores()[0]
    assert restore.finished_at is not None
    measured = (restore.finished_at - restore.started_at).total_seconds()
    outlook = engine.preview_restore(execution).outlook
    assert outlook is not None
    assert outlook.expected_from == "restores"
    assert outlook.expected_seconds == pytest.approx(measured)


@pytest.fixture
def strange_roles(shop: Shop) -> Any:
    """A backup whose roles the server does not know any more."""
    shop.server.execute("CREATE ROLE owner_gone")
    shop.server.execute("CREATE ROLE reader_gone")
    shop.server.execute("ALTER TABLE customers OWNER TO owner_gone", database=shop.database)
    shop.server.execute("GRANT SELECT ON orders TO reader_gone", database=shop.database)
    execution = shop.home.back_up()
    shop.server.execute("REASSIGN OWNED BY owner_gone TO postgres", database=shop.database)
    shop.server.execute("DROP OWNED BY reader_gone", database=shop.database)
    shop.server.execute("DROP ROLE owner_gone")
    shop.server.execute("DROP ROLE reader_gone")
    return execution


def test_missing_roles_are_told_and_somebody_has_to_choose(shop: Shop, strange_roles: Any) -> None:
    before = shop.digest()
    reference = strange_roles.execution_id
    shown = shop.home.dgtui("restore", reference, "--dry-run")
    assert shown.exit_code == 0, shown
    assert "owner_gone" in shown.output
    assert "public.orders (to reader_gone)" in shown.output or "TABLE orders (to reader_gone)" in shown.output, shown
    assert "needs --overwrite, with --yes also --without-roles" in shown.output
    shown = shop.home.dgtui("restore", reference, "--dry-run", "--overwrite")
    assert "needs with --yes --without-roles" in shown.output, "what is given is not lacking"
    shown = shop.home.dgtui("restore", reference, "--dry-run", "--overwrite", "--without-roles")
    assert "itself needs" not in shown.output
    refused = shop.home.dgtui("restore", reference, "--overwrite", "--yes")
    assert refused.exit_code == 1, refused
    assert "owner_gone, reader_gone" in refused.errors
    assert "--without-roles" in refused.errors
    assert shop.digest() == before
    done = shop.home.dgtui("restore", reference, "--overwrite", "--yes", "--without-roles")
    assert done.exit_code == 0, done
    assert shop.server.execute("SELECT count(*) FROM customers", database=shop.database) == [(500,)]


def test_what_a_chosen_table_needs_is_named(home: Home, postgres_server: PostgresServer) -> None:
    with postgres_server.database() as database:
        postgres_server.execute(
            """CREATE TYPE mood AS ENUM ('good'); CREATE SEQUENCE numbers;
               CREATE TABLE customers (id integer PRIMARY KEY);
               CREATE TABLE orders (id integer DEFAULT nextval('numbers'), m mood,
                                    customer integer CONSTRAINT of_customer REFERENCES customers)""",
            database=database,
        )
        home.configure(
            f'[datasources.shop]\ntype = "postgres"\nport = {postgres_server.port}\nusername = "postgres"\n'
            f'database = "{database}"\n'
        )
        home.back_up()
        told = home.dgtui(
            "restore", "nightly@latest", "--into", "elsewhere", "--table", "orders", "--dry-run", "--json"
        )
        assert told.exit_code == 0, told
        along = told.json()["outlook"]["comes_along"]
        assert "type public.mood" in along
        assert "sequence public.numbers" in along
        assert any("of_customer" in line and "public.customers" in line for line in along)
        unknown = home.dgtui("restore", "nightly@latest", "--table", "nothing", "--dry-run")
        assert unknown.exit_code == 2, unknown
        assert "nothing" in unknown.output


def test_a_damaged_backup_is_told_with_exit_code_5(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE t (a)")
    home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = "{source}"\n')
    execution = home.back_up()
    before = sqlite_digest(source)
    DAMAGES["manifest_half"](Path(execution.copies[0].path))
    told = home.dgtui("restore", "nightly@latest", "--dry-run", "--json")
    assert told.exit_code == 5, told
    assert told.json()["outlook"]["problem"]["kind"] == "ValidationError"
    assert sqlite_digest(source) == before


REFUSED = {
    "a table that is not in it": ("--table", "nope"),
    "its rows alone": ("--table", "nope", "--data-only"),
    "the schema over what is there": ("--schema-only",),
    "rows without tables": ("--data-only", "--into", "{elsewhere}"),
}
"""Restores that no kind can do, whatever else is chosen."""


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("kind", ["postgres", "sqlite", "files", "mariadb"])
def test_what_will_be_refused_is_told_before(
    kind: str, what: str, home: Home, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The dry run says what the restore says and ends as it ends; neither changes anything, or saves it first."""
    with changing(kind, home, request) as source:
        elsewhere = str(tmp_path / "elsewhere") if kind in ("sqlite", "files") else "elsewhere_empty"
        arguments = [part.format(elsewhere=elsewhere) for part in REFUSED[what]]
        told, done = told_and_done(home, *arguments)
        assert told == done
        assert source.digest() == source.before
        assert source.beside() == set()
        assert home.engine().executions(purpose="safety") == []


def told_and_done(home: Home, *arguments: str) -> list[tuple[int, str]]:
    """Exit code and error of the dry run of the newest backup's restore, and of the restore itself; neither is well."""
    reference = ("restore", "nightly@latest", *arguments)
    told = home.dgtui(*reference, "--dry-run", "--json")
    problem = told.json()["outlook"]["problem"]
    assert problem is not None, told
    shown = home.dgtui(*reference, "--dry-run")
    assert f"This restore cannot work: {problem['message']}" in shown.output, shown
    assert "--overwrite" not in shown.output.rpartition("This restore")[2], "it would not help"
    done = home.dgtui(*reference, "--overwrite", "--yes")
    assert f"This restore cannot work: {problem['message']}" in done.errors, done
    restore = home.engine().restores()[0]
    assert restore.problem is not None
    assert restore.status == "failed"
    return [(told.exit_code, problem["message"]), (done.exit_code, restore.problem.message)]


def test_a_database_that_is_open_elsewhere_is_told_before(home: Home, request: pytest.FixtureRequest) -> None:
    """After a swap whoever has it open would write to the old one; only chosen tables can be exchanged under them."""
    with changing("sqlite", home, request) as source:
        path = home.folder / "data" / "shop.db"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT count(*) FROM word").fetchone()
            for chosen in ((), ("--data-only",)):
                told, done = told_and_done(home, *chosen)
                assert told == done
                assert "is open elsewhere" in told[1]
            assert home.engine().executions(purpose="safety") == []
            exchanged = home.dgtui("restore", "nightly@latest", "--table", "word", "--overwrite", "--yes")
            assert exchanged.exit_code == 0, exchanged
        assert home.dgtui("restore", "nightly@latest", "--overwrite", "--yes").exit_code == 0
        assert source.digest() == source.backed_up


@pytest.mark.parametrize("there", ["as it was", "gone", "an ordinary one"])
@pytest.mark.parametrize("module", ["fts5(a)", "rtree(id, low, high)"])
def test_a_virtual_table_of_sqlite_alone_is_refused_before(
    module: str, there: str, home: Home, request: pytest.FixtureRequest
) -> None:
    """Its rows lie in other tables; whether the backup alone has it, or what is there now does."""
    with changing("sqlite", home, request) as source:
        with _sqlite(home) as connection:
            connection.execute(f"CREATE VIRTUAL TABLE found USING {module}")
        assert home.back_up().status == "completed"
        with _sqlite(home) as connection:
            if there != "as it was":
                connection.execute("DROP TABLE found")
            if there == "an ordinary one":
                connection.execute("CREATE TABLE found (a)")
        before = source.digest()
        for chosen in ((), ("--as", "found_then")):
            told, done = told_and_done(home, "--table", "found", *chosen)
            assert told == done
            assert "virtual table" in told[1]
        assert home.engine().executions(purpose="safety") == []
        assert (source.digest(), source.beside()) == (before, set())


def test_a_virtual_table_of_sqlite_is_no_target_of_an_ordinary_one(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("sqlite", home, request) as source:
        with _sqlite(home) as connection:
            connection.execute("CREATE TABLE found (a)")
        assert home.back_up().status == "completed"
        with _sqlite(home) as connection:
            connection.execute("DROP TABLE found")
            connection.execute("CREATE VIRTUAL TABLE found USING fts5(a)")
        before = source.digest()
        told, done = told_and_done(home, "--table", "found")
        assert told == done
        assert "virtual table" in told[1]
        assert home.engine().executions(purpose="safety") == []
        assert source.digest() == before


def test_a_part_that_needs_a_module_which_is_not_here_is_refused_before(
    home: Home, request: pytest.FixtureRequest
) -> None:
    with changing("sqlite", home, request) as source:
        with _sqlite(home) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            statement = "CREATE VIRTUAL TABLE vectors USING vec_of_others (a)"
            connection.execute("INSERT INTO sqlite_master VALUES ('table', 'vectors', 'vectors', 0, ?)", (statement,))
        assert home.back_up().status == "completed"
        told, done = told_and_done(home, "--table", "word")
        assert told == done
        assert "no such module: vec_of_others" in told[1]
        assert home.engine().executions(purpose="safety") == []
        assert source.beside() == set()


@contextlib.contextmanager
def _sqlite(home: Home) -> Iterator[sqlite3.Connection]:
    path = home.folder / "data" / "shop.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def test_a_way_that_needs_the_safety_backup_is_told_before(home: Home, request: pytest.FixtureRequest) -> None:
    """What is filled in its own place would be nowhere without it; that is seen before a byte is loaded."""
    with changing("mariadb in its own place", home, request) as source:
        told, done = told_and_done(home, "--no-safety", "--in-place")
        assert told == done
        assert "without a safety backup" in told[1]
        assert (source.digest(), source.beside()) == (source.before, set())


def test_tables_of_a_schema_never_take_the_place_of_everything(shop: Shop) -> None:
    """Without their rows they cannot be exchanged alone, so that all the others would go."""
    shop.job = 'backup_type = "schema_only"'
    shop.write()
    shop.home.back_up()
    before = shop.digest()
    told, done = told_and_done(shop.home, "--table", "orders")
    assert told == done
    assert "would replace all of" in told[1]
    assert shop.digest() == before


def test_views_and_deep_paths_can_be_chosen(home: Home, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """What no list names is not refused for that; where it is not looked for, that is said."""
    with changing("mariadb with a view", home, request):
        chosen = ("--into", "only_a_view", "--table", "word", "--table", "words", "--dry-run", "--json")
        told = home.dgtui("restore", "nightly@latest", *chosen)
        assert told.json()["outlook"]["problem"] is None, told
    with changing("files", home, request):
        into = ("--into", str(tmp_path / "some"), "--table", "sub/file-1")
        told = home.dgtui("restore", "nightly@latest", *into, "--dry-run", "--json")
        assert told.json()["outlook"]["problem"] is None, told
        assert any("sub/file-1 is only seen" in note for note in told.json()["outlook"]["notes"]), told


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "mariadb"])
def test_rows_over_rows_are_told_before(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    """The dry run says which tables hold rows; without --overwrite nothing is even saved."""
    with changing(kind, home, request) as source:
        told = home.dgtui("restore", "nightly@latest", "--data-only", "--dry-run", "--json")
        assert any("word in " in note and "already hold rows" in note for note in told.json()["outlook"]["notes"]), told
        refused = home.dgtui("restore", "nightly@latest", "--data-only", "--yes")
        assert refused.exit_code == 1, refused
        assert "already hold rows; nothing was changed" in refused.errors
        assert home.engine().executions(purpose="safety") == []
        assert (source.digest(), source.beside()) == (source.before, set())


@pytest.mark.parametrize("chosen", ["words", "word"])
def test_what_no_rename_exchanges_is_told_before(chosen: str, home: Home, request: pytest.FixtureRequest) -> None:
    """A view, and a table with a trigger: not only at the exchange, when all was loaded and saved."""
    with changing("mariadb with a view", home, request) as source:
        told, done = told_and_done(home, "--table", chosen)
        assert told == done
        assert ("is no table" if chosen == "words" else "they have triggers") in told[1]
        assert home.engine().executions(purpose="safety") == []
        assert (source.digest(), source.beside()) == (source.before, set())
