"""Databases whose sessions act as another role by a setting: `ALTER DATABASE ... SET role`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.postgres_case import datasource, role
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import postgres_table, restored, whole_backup


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_superuser_backs_up_and_restores_what_that_role_may_not_read(
    home: Home, postgres_server: PostgresServer, jobs: int
) -> None:
    with role(postgres_server, "acts_for_all", "NOLOGIN") as other, postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE t AS SELECT 1 AS i; CREATE SCHEMA s; CREATE TABLE s.u (i int)", name)
        postgres_server.execute(f"ALTER DATABASE {name} SET role = '{other}'")
        assert datasource(postgres_server, name).missing_rights() == ()
        home.configure(postgres_table(postgres_server, name), job="globals = true")
        execution = whole_backup(home)
        with postgres_server.connect(name, options="-c role=none") as connection:
            connection.execute("DELETE FROM t")
        restore = restored(home, execution, overwrite=True, jobs=jobs)
        try:
            with postgres_server.connect(name, options="-c role=none") as connection:
                assert connection.execute("SELECT i FROM t").fetchall() == [(1,)]
            asked = home.dgtui("restore", execution.execution_id, "--data-only", "--overwrite", "--yes")
            assert asked.exit_code == 0, asked
            assert postgres_server.execute("SHOW role", name) == [(other,)]
        finally:
            postgres_server.drop_database(restore.kept_as or "")


def test_so_it_is_with_a_setting_of_the_superuser(home: Home, postgres_server: PostgresServer) -> None:
    """The roles are backed up with their passwords too, which no other role may read."""
    with (
        role(postgres_server, "acts_for_one", "NOLOGIN") as other,
        role(postgres_server, "one_superuser", "LOGIN SUPERUSER PASSWORD 'kept'") as user,
        postgres_server.database() as name,
    ):
        postgres_server.execute("CREATE TABLE t AS SELECT 1 AS i", name)
        postgres_server.execute(f"ALTER ROLE {user} SET role = '{other}'")
        home.configure(postgres_table(postgres_server, name, username=user), job="globals = true")
        execution = whole_backup(home)
        assert "PASSWORD" in (Path(execution.copies[0].path) / "globals.sql").read_text()


def test_who_is_no_superuser_acts_as_that_role_still(home: Home, postgres_server: PostgresServer) -> None:
    """It may be what gives the rights: a member that inherits nothing."""
    with (
        role(postgres_server, "owns_all", "NOLOGIN") as owner,
        role(postgres_server, "member_only", "LOGIN NOINHERIT") as member,
        postgres_server.database() as name,
    ):
        postgres_server.execute(f"GRANT {owner} TO {member}")
        postgres_server.execute("CREATE TABLE t AS SELECT 1 AS i", name)
        postgres_server.execute(f"ALTER TABLE t OWNER TO {owner}", name)
        postgres_server.execute(f"ALTER DATABASE {name} SET role = '{owner}'")
        home.configure(postgres_table(postgres_server, name, username=member))
        whole_backup(home)


@contextmanager
def _acting_by(server: PostgresServer, setting: str) -> Iterator[tuple[str, str, str]]:
    """A login role, the role that its sessions act as, and a database with a table of neither of them."""
    with (
        role(server, "Acts for it", "NOLOGIN") as other,
        role(server, "logs_in", "LOGIN NOINHERIT") as login,
        server.database() as name,
    ):
        server.execute(f'GRANT "{other}" TO {login}')
        server.execute("CREATE TABLE secret AS SELECT 1 AS i", name)
        server.execute(setting.format(login=login, database=name, other=other))
        yield login, other, name


_SETTINGS = ("ALTER ROLE {login} SET role = '{other}'", "ALTER DATABASE {database} SET role = '{other}'")


@pytest.mark.parametrize("setting", _SETTINGS)
def test_a_right_for_a_backup_is_given_to_the_role_that_lacks_it(
    home: Home, postgres_server: PostgresServer, setting: str
) -> None:
    """The login role may have it, and inherit nothing to the one that it acts as."""
    with _acting_by(postgres_server, setting) as (login, other, name):
        postgres_server.execute(f"SET role = none; GRANT SELECT ON secret TO {login}", name)
        home.configure(postgres_table(postgres_server, name, username=login))
        checked = home.dgtui("check")
        assert f'GRANT SELECT ON TABLE public.secret TO "{other}";' in checked.output, checked
        failed = home.back_up()
        assert failed.problem is not None
        assert failed.problem.hint == f'Run as its owner: GRANT SELECT ON TABLE secret TO "{other}";'
        assert f"a setting makes the sessions of {login} act as {other}" in failed.problem.message
        postgres_server.execute(f"SET role = none; {failed.problem.hint.partition(': ')[2]}", name)
        whole_backup(home)
        postgres_server.execute("SET role = none; ALTER TABLE secret ENABLE ROW LEVEL SECURITY", name)
        hidden = home.back_up()
        assert hidden.problem is not None
        assert hidden.problem.hint == f'Run as a superuser: ALTER ROLE "{other}" BYPASSRLS;'


@pytest.mark.parametrize("setting", _SETTINGS)
def test_a_right_for_a_restore_is_given_to_the_role_that_lacks_it(
    home: Home, postgres_server: PostgresServer, setting: str
) -> None:
    """What a database sets does not hold where another one is made: there it is the login role that acts."""
    with _acting_by(postgres_server, setting) as (login, other, name):
        acting = login if "DATABASE" in setting else f'"{other}"'
        home.configure(postgres_table(postgres_server, name))
        execution = whole_backup(home)
        home.configure(postgres_table(postgres_server, name, username=login))
        refused = home.dgtui("restore", execution.execution_id, "--into", "other_one", "--yes")
        assert f"ALTER ROLE {acting} CREATEDB;" in refused.errors, refused
        assert f"{acting} may not make the database other_one" in refused.errors
        postgres_server.execute(f"SET role = none; GRANT INSERT, SELECT ON secret TO {login}", name)
        only_rows = ("restore", execution.execution_id, "--data-only", "--overwrite", "--no-safety", "--yes")
        unread = home.dgtui(*only_rows)
        assert f'GRANT SELECT ON TABLE secret TO "{other}";' in unread.errors, unread
        postgres_server.execute(f'SET role = none; GRANT SELECT ON secret TO "{other}"', name)
        rows = home.dgtui(*only_rows)
        assert rows.exit_code == 1
        assert f"{other} lacks a right" in rows.errors, rows


def test_who_may_not_end_sessions_is_named_as_the_role_it_acts_as(home: Home, postgres_server: PostgresServer) -> None:
    with _acting_by(postgres_server, _SETTINGS[0]) as (login, other, name):
        postgres_server.execute(f'ALTER ROLE "{other}" CREATEDB; ALTER DATABASE {name} OWNER TO "{other}"')
        postgres_server.execute(f'ALTER TABLE secret OWNER TO "{other}"; ALTER SCHEMA public OWNER TO "{other}"', name)
        home.configure(postgres_table(postgres_server, name, username=login))
        execution = whole_backup(home)
        with postgres_server.connect(name):
            failed = home.dgtui("restore", execution.execution_id, "--overwrite", "--yes", "--no-safety")
        assert f'GRANT pg_signal_backend TO "{other}"' in failed.errors, failed


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_limit_of_a_role_ends_a_session_of_a_restore_that_waits(
    home: Home, postgres_server: PostgresServer, jobs: int
) -> None:
    """For others that still load, or for the next bytes: the materialised view tells what its session had."""
    with role(postgres_server, "limited", "LOGIN SUPERUSER") as user, postgres_server.database() as name:
        postgres_server.execute("CREATE MATERIALIZED VIEW m AS SELECT current_setting('idle_session_timeout')", name)
        postgres_server.execute(f"ALTER ROLE {user} SET idle_session_timeout = '1h'")
        home.configure(postgres_table(postgres_server, name, username=user))
        execution = whole_backup(home)
        restore = restored(home, execution, overwrite=True, jobs=jobs)
        try:
            assert postgres_server.execute("SELECT * FROM m", name) == [("0",)]
        finally:
            postgres_server.drop_database(restore.kept_as or "")
            postgres_server.execute(f"REASSIGN OWNED BY {user} TO postgres", name)
