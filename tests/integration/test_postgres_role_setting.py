"""Databases whose sessions act as another role by a setting: `ALTER DATABASE ... SET role`."""

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
