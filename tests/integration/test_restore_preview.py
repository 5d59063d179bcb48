"""What a restore would do is told before, and nothing is changed by the telling."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.damage import DAMAGES
from tests.support.homes import Home
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
