"""Databases of PostgreSQL that replicate, or hold prepared transactions: swapped, told of, and removed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import SilentReporter
from tests.integration.postgres_case import datasource
from tests.support.homes import Home
from tests.support.postgres import PostgresServer, running_server
from tests.support.pump import FileArchive, dump_to, load_into
from tests.support.round_trips import postgres_table, restored, whole_backup

# Nobody listens at this port: what is enabled tries again and again.
_SUBSCRIPTION = (
    "CREATE SUBSCRIPTION receiver CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p "
    "WITH (connect = false, slot_name = 'receiver_slot')"
)
_RECEIVED = (
    "INSERT INTO pg_subscription_rel SELECT oid, 't'::regclass, 'r', '0/1' FROM pg_subscription "
    "WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database());"
    "ALTER SUBSCRIPTION receiver ENABLE"
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that replicates logically and takes prepared transactions."""
    options = ("-c wal_level=logical", "-c max_prepared_transactions=5", "-c allow_system_table_mods=on")
    with running_server(*options) as server:
        yield server


@pytest.fixture
def receiving(server: PostgresServer) -> Iterator[str]:
    """A database with a table and a subscription that received something and goes on."""
    name = server.create_database()
    server.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)", name)
    server.execute(_SUBSCRIPTION, name)
    server.execute(_RECEIVED, name)
    yield name
    for (database,) in server.execute("SELECT datname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid"):
        server.execute("ALTER SUBSCRIPTION receiver DISABLE", database)
        server.execute("ALTER SUBSCRIPTION receiver SET (slot_name = NONE)", database)
        server.execute("DROP SUBSCRIPTION receiver", database)
    server.drop_database(name)


def test_what_was_loaded_with_a_subscription_is_removed_again(
    server: PostgresServer, receiving: str, tmp_path: Path
) -> None:
    source, beside = datasource(server, receiving), f"{receiving}__dgtui_new"
    dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
    assert load_into(source, tmp_path / "backup.dump", beside, scratch=tmp_path).error_count == 0
    assert len(server.execute("SELECT 1 FROM pg_subscription")) == 2
    source.drop_target(beside)
    assert beside not in server.databases()
    assert server.execute("SELECT subenabled, subslotname FROM pg_subscription") == [(True, "receiver_slot")]


def test_a_subscription_that_alone_receives_from_its_slot_is_left(server: PostgresServer, receiving: str) -> None:
    with pytest.raises(RestoreError, match="logical replication subscription"):
        datasource(server, receiving).drop_target(receiving)
    assert server.execute("SELECT subenabled, subslotname FROM pg_subscription") == [(True, "receiver_slot")]
    assert server.execute("SELECT i FROM t", receiving) == [(1,)]


def test_restores_of_a_database_that_receives_follow_each_other(
    home: Home, server: PostgresServer, receiving: str
) -> None:
    home.configure(postgres_table(server, receiving))
    execution = whole_backup(home)
    before = server.databases()
    for number in (1, 2):
        record = restored(home, execution, overwrite=True, safety=False)
        assert server.databases() == before | {str(record.kept_as)}
        assert len(server.execute("SELECT 1 FROM pg_subscription")) == 2
        dropped = home.dgtui("drop-replaced", record.restore_id, "--yes")
        assert dropped.exit_code == 0, (number, dropped)
        assert server.databases() == before
    assert server.execute("SELECT i FROM t", receiving) == [(1,)]


def test_what_replication_loses_by_a_swap_is_told_before(
    server: PostgresServer, receiving: str, tmp_path: Path
) -> None:
    source = datasource(server, receiving)
    dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
    archive = FileArchive(tmp_path / "backup.dump")
    with server.connect(receiving) as connection:
        connection.execute("SELECT pg_create_logical_replication_slot('of_others', 'pgoutput')")
        notes = source.check_restore(archive, receiving, Selection())
        of_table = source.check_restore(archive, receiving, Selection(tables=("public.t",)))
        connection.execute("SELECT pg_drop_replication_slot('of_others')")
    restored_disabled, goes_on, slot = notes
    assert "receiver of the backup is restored, but receives nothing" in restored_disabled
    assert "former content, which is kept, by the subscription receiver" in goes_on
    assert "replication slot of_others stays with the former content" in slot
    assert of_table == ()
    assert source.check_restore(archive, "elsewhere", Selection()) == (restored_disabled,)


def test_prepared_transactions_are_told_before_and_left(home: Home, server: PostgresServer) -> None:
    with server.database() as name:
        server.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)", name)
        home.configure(postgres_table(server, name))
        execution = whole_backup(home)
        with server.connect(name) as connection:
            connection.execute("BEGIN")
            connection.execute("INSERT INTO t VALUES (2)")
            connection.execute("PREPARE TRANSACTION 'it''s two'")
        before = server.databases()
        refused = home.dgtui("restore", execution.execution_id, "--overwrite", "--yes")
        assert refused.exit_code == 1, refused
        assert "it's two" in refused.output + refused.errors
        assert "ROLLBACK PREPARED" in refused.output + refused.errors
        assert "making the target" not in refused.output + refused.errors
        assert server.databases() == before
        with server.database() as new, pytest.raises(RestoreError, match="1 prepared transaction") as caught:
            datasource(server, name).swap(new, name, "kept", SilentReporter())
        assert "COMMIT PREPARED" in caught.value.hint
        server.execute("COMMIT PREPARED 'it''s two'", name)
        assert server.execute("SELECT i FROM t ORDER BY i", name) == [(1,), (2,)]
        restored(home, execution, overwrite=True, safety=False)
        for kept in server.databases() - before:
            server.drop_database(kept)


@pytest.mark.parametrize("choice", [("--into", "other"), ("--overwrite",), ("--overwrite", "--data-only")])
def test_a_standby_is_refused_before_anything_is_checked(
    home: Home, own_postgres_server: PostgresServer, choice: tuple[str, ...]
) -> None:
    server = own_postgres_server
    name = server.create_database()
    server.execute("CREATE TABLE t (i int)", name)
    home.configure(postgres_table(server, name))
    whole_backup(home)
    server.stop()
    (server.data / "standby.signal").touch(mode=0o644)
    server.start()
    refused = home.dgtui("restore", "nightly@latest", *choice, "--dry-run")
    assert refused.exit_code == 1, refused
    assert "is a standby, which takes no writes; nothing was changed" in refused.output + refused.errors
    assert "pg_promote()" in refused.output + refused.errors
