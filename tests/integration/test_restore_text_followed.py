"""RESTORE.txt beside a backup is followed to the letter by a shell, without DataGuardian: everything is as it was."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.model import Execution
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest, mysql_nasty
from tests.support.postgres import PostgresServer
from tests.support.round_trips import (
    HOSTILE,
    digest_of,
    mysql_table,
    parts,
    postgres_copy,
    postgres_table,
    table,
    whole_backup,
)
from tests.support.sqlite import make_nasty, make_spoilt_index, sqlite_digest
from tests.support.trees import tree_digest

PASSWORD = "pä'ss\"w\\ord $HOME; #x"
SEVERAL_PARTS = "max_file_size_mb = 1"
NOISE_BYTES = 1_500_000


def follow(execution: Execution, tmp_path: Path, **environment: str) -> str:
    """Run RESTORE.txt as it says itself, by a user who has nothing but a home of their own; the text."""
    done = run_text(execution, tmp_path, **environment)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return (Path(execution.copies[0].path) / "RESTORE.txt").read_text()


def run_text(execution: Execution, tmp_path: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run it, whether it ends well or not; it leaves the backup as it is."""
    folder = Path(execution.copies[0].path)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    own_home, temporary = tmp_path / "own home", tmp_path / "temporary"
    own_home.mkdir(exist_ok=True)
    temporary.mkdir(exist_ok=True)
    done = subprocess.run(
        ["sh", "-e", "RESTORE.txt"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(own_home), "TMPDIR": str(temporary), **environment},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    return done


@pytest.fixture
def secured(postgres_server: PostgresServer) -> Iterator[str]:
    """A superuser of PostgreSQL who has to give a password."""
    quoted = PASSWORD.replace("'", "''")
    postgres_server.execute(f"CREATE ROLE login_manual SUPERUSER LOGIN PASSWORD '{quoted}'")
    postgres_server.execute("CREATE ROLE login_group ROLE login_manual")
    yield "login_manual"
    postgres_server.execute("DROP ROLE login_group; DROP ROLE login_manual")


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_postgres(
    home: Home,
    postgres_server: PostgresServer,
    postgres_nasty_database: str,
    secured: str,
    tmp_path: Path,
    compression: str,
) -> None:
    home.configure(
        postgres_table(postgres_server, HOSTILE, username=secured, password=PASSWORD),
        job=f'compression = "{compression}"\n{SEVERAL_PARTS}',
    )
    with postgres_copy(postgres_server, postgres_nasty_database, HOSTILE, noise_bytes=NOISE_BYTES) as before:
        execution = whole_backup(home)
        assert parts(execution) >= 2
        postgres_server.drop_database(HOSTILE)
        text = follow(execution, tmp_path, PGPASSWORD=PASSWORD)
        assert "$PGPASSWORD" in text
        assert "pgpass" in text
        after = digest_of(postgres_server, HOSTILE)
        # Up to version 15 the server itself leaves a multirange type to the one who loads it, not to its owner.
        assert {name for name in before if before[name] != after.get(name)} <= {"types"}
        assert after.keys() == before.keys()


@pytest.mark.parametrize(("name", "compression"), [(HOSTILE, "gzip"), ("größe ☃ 日本 $HOME `x`", "lz4")])
def test_mariadb(home: Home, mariadb: MariadbServer, tmp_path: Path, name: str, compression: str) -> None:
    mariadb.create_database(name)
    mysql_nasty(mariadb, name)
    if name == HOSTILE:
        # mariadb-dump itself cannot dump events of a database with a quote in its name.
        mariadb.execute("DROP EVENT never", database=name)
    with mariadb.connect(name) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE noise (raw LONGBLOB)")
        cursor.execute("INSERT INTO noise VALUES (%s)", (os.urandom(NOISE_BYTES),))
        cursor.execute("CREATE USER manual@'%%' IDENTIFIED BY %s", (PASSWORD,))
        cursor.execute("GRANT ALL ON *.* TO manual@'%' WITH GRANT OPTION")
    before = mysql_digest(mariadb, name)
    home.configure(
        mysql_table(mariadb, name, username="manual", password=PASSWORD),
        job=f'compression = "{compression}"\n{SEVERAL_PARTS}',
    )
    execution = whole_backup(home)
    assert parts(execution) >= 2
    mariadb.drop_database(name)
    (tmp_path / "own home").mkdir()
    escaped = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    (tmp_path / "own home" / ".my.cnf").write_text(f'[client]\npassword="{escaped}"\n')
    assert "~/.my.cnf" in follow(execution, tmp_path)
    assert mysql_digest(mariadb, name) == before


@pytest.mark.parametrize("backup_type", ["data_only", "schema_only"])
def test_one_half_of_postgres(home: Home, postgres_server: PostgresServer, tmp_path: Path, backup_type: str) -> None:
    with postgres_server.database("half") as name:
        schema = (
            "CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE z (id SERIAL PRIMARY KEY, a INT REFERENCES a);"
            "CREATE VIEW v AS SELECT * FROM z"
        )
        postgres_server.execute(schema, name)
        rows = "INSERT INTO a VALUES (1), (2); INSERT INTO z (a) VALUES (1), (2), (2)"
        empty = digest_of(postgres_server, name)
        postgres_server.execute(rows, name)
        full = digest_of(postgres_server, name)
        home.configure(postgres_table(postgres_server, name), job=f'backup_type = "{backup_type}"')
        execution = whole_backup(home)
        postgres_server.drop_database(name)
        if backup_type == "data_only":
            postgres_server.create_database(name)
            postgres_server.execute(schema, name)
        text = follow(execution, tmp_path)
        assert ("createdb" in text) == (backup_type == "schema_only")
        assert digest_of(postgres_server, name) == (full if backup_type == "data_only" else empty)


@pytest.mark.parametrize("backup_type", ["data_only", "schema_only"])
def test_one_half_of_mariadb(home: Home, mariadb: MariadbServer, tmp_path: Path, backup_type: str) -> None:
    name = mariadb.create_database("half")
    schema = (
        "CREATE TABLE z (id INT PRIMARY KEY)",
        "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, z INT, FOREIGN KEY (z) REFERENCES z (id))",
        "CREATE VIEW v AS SELECT z FROM a WHERE z > 0 WITH CHECK OPTION",
    )
    mariadb.execute(*schema, database=name)
    empty = mysql_digest(mariadb, name)
    mariadb.execute("INSERT INTO z VALUES (1), (2)", "INSERT INTO a (z) VALUES (1), (2), (2)", database=name)
    full = mysql_digest(mariadb, name)
    home.configure(mysql_table(mariadb, name), job=f'backup_type = "{backup_type}"')
    execution = whole_backup(home)
    mariadb.drop_database(name)
    if backup_type == "data_only":
        mariadb.create_database(name)
        mariadb.execute(*schema, database=name)
    text = follow(execution, tmp_path)
    assert ("CREATE DATABASE" in text) == (backup_type == "schema_only")
    after = mysql_digest(mariadb, name)
    if backup_type == "data_only":
        assert after == full
    else:
        assert mariadb.execute("SELECT COUNT(*) FROM a", database=name) == [(0,)]
        assert after.keys() == empty.keys()


def test_sqlite(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "here"; $HOME\nü'
    folder.mkdir()
    source = folder / f"{HOSTILE}.db"
    make_nasty(source)
    source.chmod(0o640)
    before = sqlite_digest(source)
    home.configure(table("shop", type="sqlite", path=str(source)), job=f'compression = "zstd:9"\n{SEVERAL_PARTS}')
    execution = whole_backup(home)
    assert parts(execution) >= 2
    # Another content with a -wal of its own, which must not survive beside the restored file.
    source.unlink()
    make_nasty(source)
    assert Path(f"{source}-wal").exists()
    assert sqlite_digest(source) != before
    source.chmod(0o640)
    follow(execution, tmp_path)
    assert sqlite_digest(source) == before
    assert source.stat().st_mode & 0o777 == 0o640
    kept = Path(f"{source}.before").read_bytes()
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("CREATE TABLE since_then (a)")
    since_then = sqlite_digest(source)
    again = run_text(execution, tmp_path)
    assert again.returncode != 0
    assert f"{source}.before is in the way" in again.stderr
    assert (sqlite_digest(source), Path(f"{source}.before").read_bytes()) == (since_then, kept)


def test_sqlite_that_its_own_check_calls_damaged(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "shop.db"
    make_spoilt_index(source)
    home.configure(table("shop", type="sqlite", path=str(source), integrity_check="quick"))
    execution = whole_backup(home)
    before = source.read_bytes()
    done = run_text(execution, tmp_path)
    assert done.returncode != 0
    assert "missing from index" in done.stderr
    assert source.read_bytes() == before
    assert not Path(f"{source}.before").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="owners and closed files need root")
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_tree(home: Home, tree_nasty: Path, tmp_path: Path, compression: str) -> None:
    (tree_nasty / "noise").write_bytes(os.urandom(NOISE_BYTES))
    source = tmp_path / f"{HOSTILE}\n$HOME"
    tree_nasty.rename(source)
    before = tree_digest(source)
    home.configure(table("shop", type="files", path=str(source)), job=f'compression = "{compression}"\n{SEVERAL_PARTS}')
    execution = whole_backup(home)
    assert parts(execution) >= 2
    shutil.rmtree(source)
    follow(execution, tmp_path)
    assert tree_digest(source) == before
    source.rename(tree_nasty)


CHOSEN_SCHEMA = (
    "CREATE TABLE customers (id INT PRIMARY KEY)",
    "CREATE TABLE orders (id INT PRIMARY KEY, customer INT REFERENCES customers (id))",
    "INSERT INTO customers VALUES (1)",
    "INSERT INTO orders VALUES (1, 1), (2, 1)",
)


def test_chosen_tables_of_postgres(home: Home, postgres_server: PostgresServer, tmp_path: Path) -> None:
    """They go into the database that has what they refer to, and leave it alone where they are there already."""
    with postgres_server.database() as name:
        postgres_server.execute("; ".join(CHOSEN_SCHEMA), name)
        home.configure(postgres_table(postgres_server, name), job='tables = ["public.orders"]')
        execution = whole_backup(home)
        before = digest_of(postgres_server, name)
        done = run_text(execution, tmp_path)
        assert (done.returncode, digest_of(postgres_server, name)) == (1, before)
        postgres_server.execute("DROP TABLE orders", name)
        assert "#   public.orders\n" in follow(execution, tmp_path)
        assert digest_of(postgres_server, name) == before


@pytest.mark.parametrize("job", ["", 'backup_type = "schema_only"', 'tables = ["orders"]'])
def test_mariadb_over_tables_that_are_there(home: Home, mariadb: MariadbServer, tmp_path: Path, job: str) -> None:
    """The dump would drop them, and with the structure alone no row would be left."""
    name = mariadb.create_database()
    mariadb.execute(*CHOSEN_SCHEMA, database=name)
    home.configure(mysql_table(mariadb, name), job=job)
    execution = whole_backup(home)
    mariadb.execute("INSERT INTO orders VALUES (3, 1)", database=name)
    before = mysql_digest(mariadb, name)
    done = run_text(execution, tmp_path)
    assert done.returncode == 1
    assert "would be lost: " in done.stderr
    assert mysql_digest(mariadb, name) == before
    mariadb.execute("DROP TABLE orders", *(() if "tables" in job else ("DROP TABLE customers",)), database=name)
    follow(execution, tmp_path)
    rows = 0 if "schema_only" in job else 2
    assert mariadb.execute("SELECT COUNT(*) FROM orders", database=name) == [(rows,)]
    assert mariadb.execute("SELECT COUNT(*) FROM customers", database=name) == [(min(rows, 1),)]


@pytest.mark.parametrize("job", ['tables = ["orders"]', 'exclude_tables = ["customers"]'])
def test_chosen_tables_of_sqlite(home: Home, tmp_path: Path, job: str) -> None:
    """A file without the other tables does not take the place of the whole database."""
    source = tmp_path / "it's a shop.db"
    with contextlib.closing(sqlite3.connect(source)) as connection:
        connection.executescript("; ".join(CHOSEN_SCHEMA))
    home.configure(table("shop", type="sqlite", path=str(source)), job=job)
    execution = whole_backup(home)
    before = source.read_bytes()
    done = run_text(execution, tmp_path)
    assert done.returncode == 1
    assert f"{source} is there, and has tables that this backup leaves out" in done.stderr
    assert (source.read_bytes(), Path(f"{source}.before").exists()) == (before, False)
    told = Path(done.stderr.split("copy from ")[1].split(" with ATTACH")[0])
    assert told.exists()
    source.unlink()
    follow(execution, tmp_path)
    with contextlib.closing(sqlite3.connect(source)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("orders",)]


@pytest.mark.parametrize("single", [True, False], ids=["a file", "a folder"])
def test_files_over_what_is_there(home: Home, tmp_path: Path, single: bool) -> None:
    folder = tmp_path / "it's a tree"
    folder.mkdir()
    file = folder / "a"
    file.write_text("then")
    source = file if single else folder
    home.configure(table("shop", type="files", path=str(source)))
    execution = whole_backup(home)
    file.write_text("now")
    done = run_text(execution, tmp_path)
    assert (done.returncode, file.read_text()) == (1, "now")
    assert f"{source} is " in done.stderr
    file.unlink()
    follow(execution, tmp_path)
    assert file.read_text() == "then"
