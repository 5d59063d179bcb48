"""A restore of chosen tables, or of rows alone, into a PostgreSQL database where somebody else holds them."""

import signal

import pytest

from tests.integration.postgres_case import datasource
from tests.support.homes import Home
from tests.support.postgres import PostgresServer, running_server
from tests.support.round_trips import postgres_table, whole_backup
from tests.support.waiting import restored_while_waiting, texts


@pytest.mark.parametrize("what", [("--table", "t"), ("--data-only",)])
def test_who_holds_a_table_is_named_with_how_to_end_it(
    home: Home, postgres_server: PostgresServer, postgres_database: str, what: tuple[str, ...]
) -> None:
    postgres_server.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)", postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    whole_backup(home)
    home.configure(postgres_table(postgres_server, postgres_database, lock_timeout=1))
    with postgres_server.connect(postgres_database, application_name="shop") as other, other.transaction():
        other.execute("INSERT INTO t VALUES (2)")
        order = ("restore", "nightly@latest", *what, "--overwrite", "--no-safety", "--yes")
        failed = home.dgtui(*order)
        process = other.info.backend_pid
    assert failed.exit_code == 1, failed
    assert f"t is held by pid {process} (postgres, shop, idle in transaction, since " in failed.errors, failed.errors
    assert f"SELECT pg_terminate_backend({process});" in failed.errors


def test_a_prepared_transaction_that_holds_a_table_is_named(home: Home) -> None:
    """It outlives every session, and there is no process to be ended."""
    with running_server("-c max_prepared_transactions=2") as server, server.database() as database:
        server.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)", database)
        home.configure(postgres_table(server, database))
        whole_backup(home)
        home.configure(postgres_table(server, database, lock_timeout=1))
        with server.connect(database) as connection:
            for statement in ("BEGIN", "DELETE FROM t", "PREPARE TRANSACTION 'it''s'"):
                connection.execute(statement.encode())
        order = ("restore", "nightly@latest", "--overwrite", "--no-safety", "--yes")
        for what in (("--table", "t"), ("--data-only",)):
            failed = home.dgtui(*order, *what)
            assert "t is held by the prepared transaction it's (postgres, since " in failed.errors, failed.errors
            assert "ROLLBACK PREPARED 'it''s';" in failed.errors
        server.execute("ROLLBACK PREPARED 'it''s'", database)
        with server.connect(database) as connection:
            for statement in ("BEGIN", "LOCK TABLE t", "PREPARE TRANSACTION 'two'"):
                connection.execute(statement.encode())
        failed = home.dgtui("--run-job", "nightly")
        assert "t is locked by the prepared transaction two (postgres, since " in failed.errors, failed.errors
        assert "ROLLBACK PREPARED 'two';" in failed.errors
        server.execute("ROLLBACK PREPARED 'two'", database)


def test_a_table_that_somebody_has_locked_keeps_nobody_from_looking_at_its_database(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    """As a preview does, which would say nothing for as long; how large the table is can be estimated."""
    postgres_server.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) i", postgres_database)
    postgres_server.execute("ANALYZE t", postgres_database)
    with postgres_server.connect(postgres_database) as other, other.transaction():
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        state = datasource(postgres_server, postgres_database).target_state(postgres_database)
    assert [item.name for item in state.objects] == ["public.t"]
    assert (state.objects[0].bytes or 0) >= 1000 * 4


def test_a_preview_estimates_what_it_cannot_count_as_somebody_has_locked_it(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    postgres_server.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) i", postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database, lock_timeout=1))
    whole_backup(home)
    with postgres_server.connect(postgres_database) as other, other.transaction():
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        told = home.dgtui("restore", "nightly@latest", "--overwrite", "--dry-run")
    assert told.exit_code == 0, told
    assert "Nothing was changed" in told.output + told.errors
    assert "cannot work" not in told.output + told.errors


_WAYS = [(), ("--table", "t"), ("--data-only",)]


@pytest.mark.parametrize("what", _WAYS)
def test_a_restore_that_waits_for_a_lock_says_for_whom_and_can_be_cancelled(
    home: Home, postgres_server: PostgresServer, postgres_database: str, what: tuple[str, ...]
) -> None:
    """At once, as if it had waited for too long: nothing is changed, nothing left, and nobody waits for us."""
    postgres_server.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)", postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    whole_backup(home)
    postgres_server.execute("INSERT INTO t VALUES (2)", postgres_database)
    databases = postgres_server.databases()
    elsewhere = postgres_database if what else "postgres"
    with postgres_server.connect(elsewhere, application_name="shop") as other, other.transaction():
        other.execute(
            "LOCK TABLE t IN ROW EXCLUSIVE MODE /* 'secret' */"
            if what
            else f"COMMENT ON DATABASE {postgres_database} IS 'secret'"
        )
        process = other.info.backend_pid
        messages = restored_while_waiting(home, *what, then=lambda _: signal.SIGINT)
        assert postgres_server.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == []
    told = [text for text in texts(messages) if text.startswith("Waiting")]
    lock = "public.t" if what else f"the database {postgres_database}"
    begin = "LOCK TABLE t IN ROW EXCLUSIVE MODE /* " if what else f"COMMENT ON DATABASE {postgres_database} IS "
    assert told == [
        f"Waiting for a lock on {lock}, held by pid {process} (postgres, shop, idle in transaction, {begin})"
    ]
    assert messages[-1]["status"] == "cancelled", messages[-1]
    assert f"{postgres_database} is as it was" in texts(messages)
    assert postgres_server.execute("SELECT i FROM t ORDER BY i", postgres_database) == [(1,), (2,)]
    assert postgres_server.databases() == databases
    assert home.litter() == []


@pytest.mark.parametrize("what", _WAYS[1:])
def test_a_restore_says_when_it_goes_on_after_a_lock(
    home: Home, postgres_server: PostgresServer, postgres_database: str, what: tuple[str, ...]
) -> None:
    postgres_server.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)", postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    whole_backup(home)
    with postgres_server.connect(postgres_database) as other:
        other.execute("BEGIN; INSERT INTO t VALUES (2)")
        messages = restored_while_waiting(home, *what, then=lambda _: other.execute("COMMIT"))
    assert messages[-1]["status"] == "completed", messages[-1]
    waited, goes_on = (text for text in texts(messages) if text.startswith(("Waiting", "It goes on")))
    assert "public.t, held by pid" in waited
    assert goes_on.startswith("It goes on, after ")
    assert postgres_server.execute("SELECT i FROM t", postgres_database) == [(1,)]
