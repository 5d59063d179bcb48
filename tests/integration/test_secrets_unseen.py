"""Passwords stand on no command line, in no complaint, and in no environment but of who needs them."""

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.datasources.loading import Selection
from tests.integration.postgres_case import Listener, datasource
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mariadb_program, mysql_digest
from tests.support.postgres import PostgresServer
from tests.support.pump import FileArchive, dump_to
from tests.support.round_trips import digest_of, mysql_table, postgres_table, restored, whole_backup

PASSWORD = "Gehe1m's\"\\ \\n #;é%41"

pytestmark = pytest.mark.started


class Witness:
    """Programs that write down the command lines of all processes, and then do their work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._seen = folder / "seen"

    def wrap(self, *programs: str) -> None:
        """Watch from inside of these."""
        for program in programs:
            name = Path(program).name
            wrapper = self.folder / name
            wrapper.write_text(
                f"#!/bin/sh\necho {name} >> {shlex.quote(str(self._seen))}\n"
                f"cat /proc/[0-9]*/cmdline >> {shlex.quote(str(self._seen))} 2> {shlex.quote(os.devnull)}\n"
                f'exec {shlex.quote(program)} "$@"\n'
            )
            wrapper.chmod(0o755)

    def assert_unseen(self, *programs: str) -> None:
        """The programs and the worker were seen at work, the password was not."""
        seen = self._seen.read_bytes()
        for expected in (*programs, "dgtui.engine.worker"):
            assert expected.encode() in seen
        for form in (PASSWORD, shlex.quote(PASSWORD), PASSWORD.replace("\\", "\\\\"), "Gehe1m"):
            assert form.encode() not in seen


class Lister:
    """Programs that write down their environment, and then do their work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def wrap(self, *programs: str) -> None:
        """Have these write it down."""
        for program in programs:
            wrapper = self.folder / Path(program).name
            seen = shlex.quote(str(self.folder / f"{wrapper.name}.seen"))
            wrapper.write_text(f'#!/bin/sh\nenv >> {seen}\nexec {shlex.quote(program)} "$@"\n')
            wrapper.chmod(0o755)

    def seen(self, program: str) -> list[str]:
        """All that one of them had in its environment, as often as it ran."""
        return (self.folder / f"{program}.seen").read_text().splitlines()


@pytest.fixture
def login(postgres_server: PostgresServer) -> Iterator[str]:
    """A superuser who has to give the password."""
    quoted = PASSWORD.replace("'", "''")
    postgres_server.execute(f"CREATE ROLE login_unseen SUPERUSER LOGIN PASSWORD '{quoted}'")
    postgres_server.execute("CREATE ROLE login_group ROLE login_unseen")
    yield "login_unseen"
    postgres_server.execute("DROP ROLE login_group; DROP ROLE login_unseen")


def password_file(home: Home) -> str:
    """A private file with the password, as the configuration names it."""
    path = home.folder / "password"
    path.write_text(PASSWORD)
    path.chmod(0o600)
    return 'password = { file = "password" }\n'


@pytest.mark.parametrize("jobs", [1, 2])
def test_postgres(home: Home, postgres_server: PostgresServer, login: str, jobs: int, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "tools")
    witness.wrap(*(str(postgres_server.binaries / name) for name in ("pg_dump", "pg_restore", "pg_dumpall", "psql")))
    with postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE t AS SELECT generate_series(1, 10000) i", name)
        before = digest_of(postgres_server, name)
        own = postgres_table(postgres_server, name, username=login, tools=str(witness.folder))
        home.configure(own + password_file(home), job="globals = true")
        execution = whole_backup(home)
        other = f"{name}_other"
        try:
            restored(home, execution, database=other, jobs=jobs)
            assert digest_of(postgres_server, other) == before
        finally:
            postgres_server.drop_database(other)
    witness.assert_unseen("pg_dump", "pg_restore", "pg_dumpall")


def test_mariadb(home: Home, mariadb: MariadbServer, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "tools")
    witness.wrap(*(str(mariadb_program(name)) for name in ("mariadb", "mariadb-dump")))
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1), (2)", database=name)
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER unseen@'%%' IDENTIFIED BY %s", (PASSWORD,))
        cursor.execute("GRANT ALL ON *.* TO unseen@'%'")
    own = mysql_table(mariadb, name, username="unseen", tools=str(witness.folder))
    home.configure(own + password_file(home))
    restored(home, whole_backup(home), database=f"{name}_other")
    assert mysql_digest(mariadb, f"{name}_other") == mysql_digest(mariadb, name)
    witness.assert_unseen("mariadb", "mariadb-dump")


def test_a_password_for_another_server_is_not_told_with_the_statement_that_fails(
    postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    with postgres_server.database() as name:
        source = datasource(postgres_server, name)
        server = "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        made = f"{server} CREATE USER MAPPING FOR public SERVER s"
        postgres_server.execute(f"{made} OPTIONS (\"user\" 'u', password 'Gehe''im\n\\1')", name)
        dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        postgres_server.execute(made, postgres_database)
        heard, archive = Listener(), FileArchive(tmp_path / "backup.dump")
        outcome = source.load(archive, postgres_database, Selection(), heard, jobs=1, scratch_folder=tmp_path)
        *_, error = outcome.errors
        assert 'user mapping for "public" already exists' in error.message
        assert error.statement.startswith("CREATE USER MAPPING FOR public SERVER s OPTIONS (")
        told = "\n".join((error.message, error.statement, *heard.lines))
        assert "***" in told
        assert "Gehe" not in told
        assert "im\n" not in told


def test_the_environment_of_tools_holds_no_secrets_of_others(
    home: Home, postgres_server: PostgresServer, login: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_PASSWORD", "hunter2")
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    monkeypatch.setenv("SHOP_REGION", "north")
    lister = Lister(tmp_path / "tools")
    lister.wrap(*(str(postgres_server.binaries / name) for name in ("pg_dump", "pg_restore")))
    command = json.dumps(["sh", "-c", f"env > {shlex.quote(str(lister.folder / 'before.seen'))}"])
    with postgres_server.database() as name:
        own = postgres_table(postgres_server, name, username=login, tools=str(lister.folder))
        other = postgres_table(postgres_server, "elsewhere", "other") + 'password = { env = "OTHER_PASSWORD" }\n'
        home.configure(own + 'password = { env = "SHOP_PASSWORD" }\n' + other, job=f"before = {command}")
        try:
            restored(home, whole_backup(home), database=f"{name}_other")
        finally:
            postgres_server.drop_database(f"{name}_other")
    for tool in ("pg_dump", "pg_restore"):
        assert f"PGPASSWORD={PASSWORD}" in lister.seen(tool)
        assert "SHOP_REGION=north" in lister.seen(tool)
        assert not [line for line in lister.seen(tool) if line.startswith(("OTHER_PASSWORD=", "SHOP_PASSWORD="))]
    assert {"OTHER_PASSWORD=hunter2", f"SHOP_PASSWORD={PASSWORD}"} <= set(lister.seen("before"))


def test_no_tool_that_a_command_asks_gets_the_secrets(
    home: Home, postgres_server: PostgresServer, login: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the one that is only asked for its version."""
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    lister = Lister(tmp_path / "tools")
    lister.wrap(str(postgres_server.binaries / "pg_dump"))
    with postgres_server.database() as name:
        own = postgres_table(postgres_server, name, username=login, tools=str(lister.folder))
        home.configure(own + 'password = { env = "SHOP_PASSWORD" }\n')
        checked = home.dgtui("check")
    assert checked.exit_code == 0, checked
    assert lister.seen("pg_dump")
    assert not [line for line in lister.seen("pg_dump") if line.startswith("SHOP_PASSWORD=")]


def test_a_password_that_all_connections_take_from_the_environment_is_one_of_the_tools(
    home: Home, postgres_server: PostgresServer, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with postgres_server.database() as name:
        own = postgres_table(postgres_server, name, username=login)
        other = postgres_table(postgres_server, "elsewhere", "other") + 'password = { env = "PGPASSWORD" }\n'
        home.configure(own + other)
        whole_backup(home)
