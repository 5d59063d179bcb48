"""Rows that others write into tables of PostgreSQL after the safety backup was begun, and before they are replaced."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine import restore_data, restore_part, restore_swap, starting
from dgtui.engine.datasources import postgres_part
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.messages import LogMessage
from dgtui.engine.restore_model import Restore
from tests.support.forking import forked
from tests.support.homes import Home
from tests.support.part_shops import Shop, databases
from tests.support.postgres import PostgresServer
from tests.support.round_trips import postgres_table

_CHOSEN: dict[str, dict[str, Any]] = {
    "tables": {"selection": Selection(tables=("a", "b"))},
    "rows": {"selection": Selection(backup_type="data_only", tables=("a", "b"))},
}
_AT_WORK: dict[str, Any] = {}
"""Sessions of others, which live in the worker."""
Work = Callable[[], object]


def _others_write(monkeypatch: pytest.MonkeyPatch, **works: Work) -> None:
    """Have a worker run what others do: `begin` before the backup is begun, `save` after it, `prepare` still later."""

    def watch() -> None:
        for name, owners in (("late_rows_of", (restore_part, restore_data)), ("take_safety_copy", (restore_swap,))):
            for owner in owners:
                _around(
                    owner,
                    name,
                    before=works.get("begin") if name == "late_rows_of" else None,
                    after=works.get("save") if name == "take_safety_copy" else None,
                )
        _around(postgres_part, "prepare", after=works.get("prepare"))

    monkeypatch.setattr(starting, "fork_worker", forked(watch))


def _around(owner: Any, name: str, *, before: Work | None = None, after: Work | None = None) -> None:
    real = getattr(owner, name)

    def surrounded(*arguments: Any, **named: Any) -> Any:
        if before is not None:
            before()
        result = real(*arguments, **named)
        if after is not None:
            after()
        return result

    setattr(owner, name, surrounded)


def _restored(shop: Shop, kind: str) -> Restore:
    engine = shop.home.engine(fork_workers=True)
    run_id = engine.start_restore(shop.execution, overwrite=True, **_CHOSEN[kind])
    shop.home.finish(engine, run_id)
    return engine.restore(run_id)


def _script(home: Home, restore: Restore) -> Path:
    return home.engine().paths.late_rows(restore.restore_id)


@pytest.mark.parametrize("kind", list(_CHOSEN))
def test_what_others_write_after_the_safety_backup_is_kept(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New rows and new versions of old ones; not what was there before."""
    with databases("postgres", home, request) as shop:
        shop.run("UPDATE a SET word = 'earlier' WHERE id = 2")
        late = ("INSERT INTO a VALUES (3, E'thi\\trd\\n', 1)", "UPDATE b SET word = 'late'", "VACUUM FREEZE a")
        _others_write(monkeypatch, save=lambda: shop.run(*late))
        restore = _restored(shop, kind)
        assert (restore.status, shop.content()) == ("completed", shop.backed_up)
        script = _script(home, restore)
        assert script.stat().st_mode & 0o777 == 0o600
        assert any(str(script) in warning for warning in restore.warnings)
        assert "earlier" not in script.read_text()
        shop.run("TRUNCATE a, b")
        _replay(request.getfixturevalue("postgres_server"), shop, script)
        assert (shop.content()["a"], shop.content()["b"]) == ([(3, "thi\trd\n", 1)], [(7, "late")])


def _name(shop: Shop) -> str:
    return str(shop.home.engine().values("datasources", "shop")["database"])


def _replay(server: PostgresServer, shop: Shop, script: Path) -> None:
    at = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-d", _name(shop))
    subprocess.run(["psql", "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", *at, "-f", str(script)], check=True)


@pytest.mark.parametrize("kind", list(_CHOSEN))
def test_a_transaction_that_was_under_way_when_the_safety_backup_was_begun(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are in that backup as little as those of a later one; of a savepoint of it neither."""
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with databases("postgres", home, request) as shop:
        name = _name(shop)

        def begin() -> None:
            session = server.connect(name)
            session.autocommit = False
            session.execute("INSERT INTO a VALUES (4, 'open', 1)")
            with session.transaction():
                session.execute("INSERT INTO a VALUES (5, 'inner', 1)")
            _AT_WORK["session"] = session

        def end() -> None:
            _AT_WORK["session"].commit()

        _others_write(monkeypatch, begin=begin, save=end)
        restore = _restored(shop, kind)
        assert (restore.status, shop.content()) == ("completed", shop.backed_up)
        assert "\n4\topen\t1\n5\tinner\t1\n" in _script(home, restore).read_text()


def test_what_is_written_while_the_exchange_waits_for_its_locks(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where sessions of the database see what was there at their first look."""
    with databases("postgres", home, request) as shop:
        shop.run(f"ALTER DATABASE \"{_name(shop)}\" SET default_transaction_isolation = 'repeatable read'")
        _others_write(monkeypatch, prepare=lambda: shop.run("INSERT INTO a VALUES (6, 'last', 1)"))
        restore = _restored(shop, "tables")
        assert restore.status == "completed"
        assert "\n6\tlast\t1\n" in _script(home, restore).read_text()


def test_partitions_are_looked_at_one_by_one(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a partitioned table lie in them."""
    with databases("postgres", home, request) as shop:
        shop.run(
            "CREATE TABLE p (id integer, twice integer GENERATED ALWAYS AS (id * 2) STORED) PARTITION BY LIST (id)",
            "CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1)",
            "CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2)",
            "INSERT INTO p VALUES (1)",
        )
        shop.execution = home.back_up()
        _others_write(monkeypatch, save=lambda: shop.run("INSERT INTO p VALUES (2), (2)"))
        engine = home.engine(fork_workers=True)
        run_id = engine.start_restore(shop.execution, overwrite=True, selection=Selection(tables=("p",)))
        home.finish(engine, run_id)
        script = _script(home, engine.restore(run_id))
        text = script.read_text()
        assert text.endswith('\nCOPY "public"."p_2" ("id") FROM stdin;\n2\n2\n\\.\n')
        assert text.count("COPY") == 2, "one of them stands in the comment at the head"
        told = [line for line in engine.follower(run_id, log_lines=100).poll() if isinstance(line, LogMessage)]
        assert any(line.text.endswith(f"are kept in {script}: 2 of public.p_2") for line in told)


@pytest.mark.parametrize("kind", list(_CHOSEN))
def test_where_nothing_was_written_there_is_no_script(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    """And nothing is told."""
    with databases("postgres", home, request) as shop:
        shop.run("UPDATE a SET word = 'earlier' WHERE id = 2")
        restore = _restored(shop, kind)
        assert (restore.status, restore.warnings) == ("completed", ())
        assert not _script(home, restore).exists()


@pytest.mark.parametrize("kind", list(_CHOSEN))
def test_a_replacement_that_is_not_made_leaves_no_script(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are where they were."""
    with databases("postgres", home, request) as shop:
        refuse = "CREATE FUNCTION refuse() RETURNS {} LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$"
        if kind == "tables":
            made = (refuse.format("event_trigger"), "CREATE EVENT TRIGGER no ON sql_drop EXECUTE FUNCTION refuse()")
        else:
            made = ("ALTER TABLE b ADD CONSTRAINT never CHECK (id > 100) NOT VALID", "ALTER TABLE b DROP COLUMN word")
        late = "INSERT INTO a VALUES (3, 'third', 1)"
        _others_write(monkeypatch, save=lambda: shop.run(late, *made))
        restore = _restored(shop, kind)
        assert (restore.status, restore.in_place) == ("failed", False), restore
        assert (3, "third", 1) in shop.content()["a"]
        assert not _script(home, restore).exists()


def test_rows_of_a_database_without_an_encoding_are_kept_byte_by_byte(
    home: Home, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They need be no UTF-8; nor are names of columns."""
    name = "bytes_of_rows"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C' ENCODING SQL_ASCII")
    try:
        postgres_server.execute('CREATE TABLE a (id integer PRIMARY KEY, "größe" text)'.encode(), database=name)
        home.configure(postgres_table(postgres_server, name))
        execution = home.back_up()
        late = r"INSERT INTO a VALUES (1, E'\xe9t\xe9')"
        _others_write(monkeypatch, save=lambda: postgres_server.execute(late, database=name))
        engine = home.engine(fork_workers=True)
        run_id = engine.start_restore(execution, overwrite=True, selection=Selection(tables=("a",)))
        home.finish(engine, run_id)
        restore = engine.restore(run_id)
        assert restore.status == "completed", restore.problem
        script = _script(home, restore).read_bytes()
        assert b"SET client_encoding = 'SQL_ASCII';" in script
        assert 'COPY "public"."a" ("id", "größe") FROM stdin;\n1\t'.encode() + b"\xe9t\xe9\n\\.\n" in script
    finally:
        home.close_catalogues()
        postgres_server.drop_database(name)
