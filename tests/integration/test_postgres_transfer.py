"""Rows on their way from one PostgreSQL database to another."""

import pytest

from dgtui.engine.datasources.postgres_transfer import copy_rows
from dgtui.engine.errors import RestoreError
from tests.support.postgres import PostgresServer


def test_rows_that_do_not_arrive_are_missed(postgres_server: PostgresServer) -> None:
    """Such as those that a trigger drops."""
    with postgres_server.database() as source, postgres_server.database() as live:
        for database in (source, live):
            postgres_server.execute("CREATE TABLE a (id integer)", database=database)
        postgres_server.execute("INSERT INTO a SELECT generate_series(1, 5)", database=source)
        postgres_server.execute(
            "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id % 2 = 0 THEN RETURN NULL; "
            "END IF; RETURN NEW; END'; CREATE TRIGGER odd BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION odd()",
            database=live,
        )
        with (
            postgres_server.connect(source) as reading,
            postgres_server.connect(live) as writing,
            pytest.raises(RestoreError, match=r'^5 rows of "public"."a" were read, 3 arrived$'),
        ):
            copy_rows("public", "a", reading, writing)
