"""What a restore meets: a target that forbids it, others who want the same, a tool that dies. Nothing gets worse."""

import contextlib
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.errors import EXIT_BUSY, EXIT_FAILED
from dgtui.engine.facade import Engine
from tests.support.changing import Changing, changing
from tests.support.homes import Home, wait_until
from tests.support.mariadb import mariadb_program
from tests.support.postgres import PostgresServer
from tests.support.round_trips import digest_of, postgres_table
from tests.support.shops import Shop
from tests.support.trees import tree_digest

HOLD = 'echo $$ > "$here/pid"; : > "$here/reached"; while [ ! -e "$here/go" ]; do sleep 0.05; done; exec "$real" "$@"'
"""Stand still before a byte was taken, until the file `go` is there."""
SPOIL = (
    '"$real" "$@" || exit; while [ "$1" != -d ]; do shift; done; exec "$here/psql" -w -q -d "$2" -c "$(cat $here/sql)"'
)
"""Load, and then change what was loaded."""


def let_the_loading(shop: Shop, behaviour: str) -> Path:
    """Let each pg_restore that loads behave like this; the folder where it lies."""
    tools = shop.home.folder / "tools"
    tools.mkdir()
    for name in ("pg_dump", "pg_dumpall", "psql"):
        tools.joinpath(name).symlink_to(shop.server.binaries / name)
    fake = tools / "pg_restore"
    fake.write_text(
        f"#!/bin/sh\nreal={shop.server.binaries / 'pg_restore'}\nhere={shlex.quote(str(tools))}\n"
        f'case " $* " in *" -d "*) ;; *) exec "$real" "$@" ;; esac\n{behaviour}\n'
    )
    fake.chmod(0o755)
    shop.tools = tools
    shop.write()
    return tools


@pytest.fixture
def changed_shop(shop: Shop) -> Iterator[Shop]:
    """A shop that was backed up and changed since; nothing is left beside it afterwards."""
    shop.home.back_up()
    shop.server.execute("UPDATE orders SET amount = 0 WHERE id % 3 = 0", database=shop.database)
    yield shop
    for other in shop.server.databases():
        if other.startswith(f"{shop.database}__dgtui"):
            shop.server.drop_database(other)


def reached(engine: Engine, run_id: str, tools: Path) -> None:
    """Wait until the tool of a run stands still."""
    there = tools / "reached"
    wait_until(lambda: there.exists() or not engine.paths.is_alive(run_id), "the tool that stands still")
    assert there.exists()


def test_a_checksum_that_differs_stops_the_swap(changed_shop: Shop) -> None:
    """As many rows as in the backup, and one of them is another: only `--deep` sees that, and nothing is swapped."""
    shop = changed_shop
    before, databases = shop.digest(), shop.server.databases()
    tools = let_the_loading(shop, SPOIL)
    tools.joinpath("sql").write_text("UPDATE orders SET amount = amount + 1 WHERE id = 7")
    done = shop.home.dgtui("restore", "nightly@latest", "--overwrite", "--deep", "--yes")
    assert done.exit_code == EXIT_FAILED, done
    assert "is not what was backed up" in done.errors
    assert "public.orders has another content" in done.errors
    assert shop.digest() == before
    assert shop.server.databases() == databases
    engine = shop.home.engine()
    restore = engine.restores()[0]
    assert (restore.status, restore.in_place, restore.placing) == ("failed", False, None)
    assert restore.report is not None
    contents = {entry.name: (entry.content, entry.outcome) for entry in restore.report.objects}
    assert contents["public.orders"] == ("different", "other content")
    assert contents["public.customers"] == ("equal", "restored")
    assert engine.executions(purpose="safety") == [], "nothing was about to be replaced"


def test_two_restores_into_one_target(changed_shop: Shop) -> None:
    """The second one is refused at once, says so, and changes nothing; elsewhere it may go."""
    shop = changed_shop
    tools = let_the_loading(shop, HOLD)
    engine = shop.home.engine()
    execution = engine.executions(job="nightly")[0]
    run_id = engine.start_restore(execution, overwrite=True)
    reached(engine, run_id, tools)
    for command in ("restore", execution.execution_id, "--overwrite"), ("undo", run_id):
        second = shop.home.dgtui(*command, "--yes")
        assert second.exit_code == (EXIT_BUSY if command[0] == "restore" else 2), second
    assert len(engine.restores()) == 1
    tools.joinpath("go").touch()
    elsewhere = shop.home.dgtui("restore", execution.execution_id, "--into", f"{shop.database}__dgtui_test", "--yes")
    assert elsewhere.exit_code == 0, elsewhere
    assert shop.home.finish(engine, run_id).status == "completed"
    assert shop.digest() == shop.digest(f"{shop.database}__dgtui_test")


def test_a_target_that_forbids_changes_of_its_structure(changed_shop: Shop) -> None:
    """An event trigger: tables cannot be exchanged, which is told, and nothing of it stays."""
    shop = changed_shop
    shop.server.execute(
        """CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql
           AS 'BEGIN RAISE EXCEPTION ''no changes of structure here''; END';
           CREATE EVENT TRIGGER forbidding ON ddl_command_start EXECUTE FUNCTION forbid()""",
        database=shop.database,
    )
    before, databases = shop.digest(), shop.server.databases()
    done = shop.home.dgtui("restore", "nightly@latest", "--table", "orders", "--overwrite", "--yes")
    assert done.exit_code == EXIT_FAILED, done
    assert "no changes of structure here" in done.errors
    assert shop.digest() == before
    assert shop.server.databases() == databases
    assert shop.home.engine().restores()[0].placing is None


def test_another_name_never_touches_the_source(changed_shop: Shop) -> None:
    """Nobody can connect to it meanwhile, and it is not needed: not even to be looked at."""
    shop, copy = changed_shop, f"{changed_shop.database}__dgtui_test"
    execution = shop.home.engine().executions(job="nightly")[0]
    before = shop.digest()
    shop.server.execute(f'ALTER DATABASE "{shop.database}" ALLOW_CONNECTIONS false')
    try:
        done = shop.home.dgtui("restore", execution.execution_id, "--into", copy, "--deep", "--yes")
    finally:
        shop.server.execute(f'ALTER DATABASE "{shop.database}" ALLOW_CONNECTIONS true')
    assert done.exit_code == 0, done
    assert shop.digest() == before
    assert shop.server.execute("SELECT count(*) FROM orders WHERE amount = 0", database=copy) == [(0,)]


def test_a_backup_that_is_being_restored_is_not_removed(changed_shop: Shop) -> None:
    """By no rule and by no hand; by force it is, and the restore then brings all of it or nothing."""
    shop = changed_shop
    engine = shop.home.engine()
    execution = engine.executions(job="nightly")[0]
    shop.home.back_up()
    shop.job = "retention = { keep_last = 1 }"
    before = shop.digest()
    tools = let_the_loading(shop, HOLD)
    engine = shop.home.engine()
    run_id = engine.start_restore(execution, overwrite=True)
    reached(engine, run_id, tools)
    refused = shop.home.dgtui("delete", execution.execution_id, "--yes")
    assert refused.exit_code == EXIT_BUSY, refused
    assert "is being read" in refused.errors
    assert f"all the same: dgtui delete {execution.execution_id[:8]} --force" in refused.errors
    assert shop.home.dgtui("cleanup", "--yes").exit_code == 0
    assert Path(execution.copies[0].path).is_dir()
    forced = shop.home.dgtui("delete", execution.execution_id, "--force", "--yes")
    assert forced.exit_code == 0, forced
    tools.joinpath("go").touch()
    # What is open can be read to its end; what is not there any more cannot.
    whole = shop.home.finish(engine, run_id).status == "completed"
    assert (shop.digest() == before) != whole
    assert shop.server.execute("SELECT count(*) = 0 FROM orders WHERE amount = 0", shop.database) == [(whole,)]
    assert engine.restore(run_id).placing is None


def test_pg_restore_is_killed(changed_shop: Shop) -> None:
    """The database beside is gone again, and the error says what happened."""
    shop = changed_shop
    before, databases = shop.digest(), shop.server.databases()
    tools = let_the_loading(shop, HOLD)
    engine = shop.home.engine()
    run_id = engine.start_restore(engine.executions(job="nightly")[0], overwrite=True)
    reached(engine, run_id, tools)
    os.kill(int(tools.joinpath("pid").read_text()), signal.SIGKILL)
    snapshot = shop.home.finish(engine, run_id)
    assert snapshot.status == "failed"
    assert snapshot.problem is not None
    assert "as it was" in snapshot.problem.message, snapshot.problem
    assert shop.digest() == before
    assert shop.server.databases() == databases
    assert engine.restore(run_id).placing is None


@pytest.mark.parametrize("number", [1, 2])
def test_the_mariadb_client_is_killed(number: int, home: Home, request: pytest.FixtureRequest) -> None:
    """Beside the target, or when the target has been emptied for it: what was there is there."""
    with changing("mariadb in its own place", home, request) as source:
        tools = hold_the_client(source, number)
        engine = home.engine()
        run_id = source.start(engine)
        reached(engine, run_id, tools)
        os.kill(int(tools.joinpath("pid").read_text()), signal.SIGKILL)
        snapshot = home.finish(engine, run_id)
        assert snapshot.status == "failed"
        assert snapshot.problem is not None
        assert ("was put back" if number > 1 else "as it was") in snapshot.problem.message, snapshot.problem
        assert source.digest() == source.before
        assert source.beside() == set()
        assert engine.restore(run_id).placing is None


def hold_the_client(source: Changing, number: int) -> Path:
    """Let the client stand still when it is called for the Nth time with a script; the folder where it lies."""
    tools = source.home.folder / "tools"
    tools.mkdir()
    tools.joinpath("mariadb-dump").symlink_to(str(mariadb_program("mariadb-dump")))
    fake = tools / "mariadb"
    fake.write_text(
        f"#!/bin/sh\nreal={mariadb_program('mariadb')}\nhere={shlex.quote(str(tools))}\n"
        'case " $* " in *" -- "*) ;; *) exec "$real" "$@" ;; esac\nprintf x >> "$here/count"\n'
        f'[ "$(wc -c < "$here/count")" = {number} ] || exec "$real" "$@"\n{HOLD}\n'
    )
    fake.chmod(0o755)
    source.configure(f'tools = "{tools}"')
    return tools


@pytest.mark.parametrize("kind", ["sqlite", "files"])
@pytest.mark.parametrize("over", [False, True])
def test_a_target_without_room(kind: str, *, over: bool, home: Home, small_mount: Path) -> None:
    """It is seen before anything is touched or saved, and the dry run says the same."""
    source = small_mount / ("shop.db" if kind == "sqlite" else "tree")
    if kind == "files":
        source.mkdir()
    content = source if kind == "sqlite" else source / "content"
    fill(content, 800_000)
    digest = Path.read_bytes if kind == "sqlite" else tree_digest
    home.configure(f'[datasources.shop]\ntype = "{kind}"\npath = "{source}"\n')
    home.back_up()
    small_mount.joinpath("other").write_bytes(os.urandom(700_000))
    before, there = digest(source), sorted(small_mount.rglob("*"))
    chosen = ("--overwrite",) if over else ("--into", str(small_mount / "elsewhere"))
    told = home.dgtui("restore", "nightly@latest", *chosen, "--dry-run", "--json")
    done = home.dgtui("restore", "nightly@latest", *chosen, "--yes")
    assert (told.exit_code, done.exit_code) == (EXIT_FAILED, EXIT_FAILED), (told, done)
    assert told.json()["outlook"]["problem"]["kind"] == "DiskSpaceError"
    problem = home.engine().restores()[0].problem
    assert problem is not None
    assert (problem.kind, problem.message) == ("DiskSpaceError", told.json()["outlook"]["problem"]["message"])
    assert (digest(source), sorted(small_mount.rglob("*"))) == (before, there)
    assert home.engine().executions(purpose="safety") == []


@pytest.fixture
def small_tablespace(postgres_server: PostgresServer) -> Iterator[str]:
    """A tablespace on a file system of 24 MiB; needs root. Nothing may be in it at the end."""
    folder = postgres_server.folder / "small"
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root")
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("this system does not let us mount a tmpfs")
    try:
        owner = postgres_server.folder.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        postgres_server.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        yield "small"
        postgres_server.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        folder.rmdir()


def test_a_server_whose_disk_is_full(home: Home, postgres_server: PostgresServer, small_tablespace: str) -> None:
    """It shows only while the backup is loaded beside the target: that goes again, and the target stays."""
    with postgres_server.database() as large, postgres_server.database() as database:
        postgres_server.execute("CREATE TABLE noise (raw bytea)", database=large)
        postgres_server.execute("ALTER TABLE noise ALTER raw SET STORAGE EXTERNAL", database=large)
        with postgres_server.connect(large) as connection:
            for _ in range(20):
                connection.execute("INSERT INTO noise VALUES (%s)", (os.urandom(1 << 20),))
        home.configure(postgres_table(postgres_server, large))
        home.back_up()
        postgres_server.execute("CREATE TABLE word AS SELECT 'kept' AS word", database=database)
        postgres_server.execute(f'ALTER DATABASE "{database}" SET TABLESPACE {small_tablespace}')
        before, databases = digest_of(postgres_server, database), postgres_server.databases()
        done = home.dgtui("restore", "nightly@latest", "--into", database, "--overwrite", "--yes")
        assert done.exit_code == EXIT_FAILED, done
        assert "No space left on device" in done.errors
        assert "Make room where the server keeps its data" in done.errors
        assert f"{database} is as it was" in done.errors
        assert digest_of(postgres_server, database) == before
        assert postgres_server.databases() == databases


def fill(path: Path, size: int) -> None:
    """Make a database or a file that cannot be compressed."""
    if path.suffix != ".db":
        path.write_bytes(os.urandom(size))
        return
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE noise (raw BLOB)")
        connection.executemany("INSERT INTO noise VALUES (?)", [(os.urandom(10_000),) for _ in range(size // 10_000)])
