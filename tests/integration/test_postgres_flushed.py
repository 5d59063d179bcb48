"""A database is loaded without waiting for the disk after each statement, and yet it is safe once it is restored."""

import pytest

from tests.integration.postgres_case import digest
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import postgres_table

_ROWS = """
SET synchronous_commit = off;
CREATE FUNCTION waits_for_nothing() RETURNS bool LANGUAGE sql
    AS $$ SELECT current_setting('synchronous_commit') = 'off' $$;
CREATE TABLE t (i int CHECK (waits_for_nothing()), words text);
INSERT INTO t SELECT i, repeat('words', 20) FROM generate_series(1, 5000) i
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_is_restored_outlives_a_crash_of_the_server(
    home: Home, own_postgres_server: PostgresServer, jobs: str
) -> None:
    """The rename at the end waits for the disk, and with it all that was written before."""
    server = own_postgres_server
    server.create_database("shop")
    server.execute(_ROWS, "shop")
    home.configure(postgres_table(server, "shop"))
    assert home.back_up().status == "completed"
    outcome = home.dgtui("restore", "nightly@latest", "--into", "copy", "--jobs", jobs, "--yes")
    assert outcome.exit_code == 0, outcome
    server.kill()
    server.start()
    assert digest(server, "copy") == digest(server, "shop")
