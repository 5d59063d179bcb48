"""Databases that autovacuum is at work in, replaced and removed by a user who is no superuser and may not end it."""

from collections.abc import Iterator

import pytest

from dgtui.engine.reporting import SilentReporter
from tests.integration.postgres_case import datasource, role
from tests.support.postgres import PostgresServer, running_server, wait_until

_AT_WORK = "SELECT count(DISTINCT datname) FROM pg_stat_activity WHERE query LIKE 'autovacuum: %' AND datname = ANY"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server whose autovacuum comes at once, and stays until it is ended."""
    options = (
        "naptime=1",
        "vacuum_threshold=0",
        "vacuum_scale_factor=0",
        "vacuum_cost_delay=100",
        "vacuum_cost_limit=1",
    )
    with running_server("-c autovacuum=on", *(f"-c autovacuum_{option}" for option in options)) as server:
        yield server


def _at_work(server: PostgresServer, owner: str, *databases: str) -> None:
    """Return once autovacuum is at work in new databases of these names."""
    for name in databases:
        server.create_database(name)
        server.execute(f"ALTER DATABASE {name} OWNER TO {owner}")
        server.execute("CREATE TABLE t AS SELECT g, repeat('x', 500) FROM generate_series(1, 50000) g", name)
        server.execute("DELETE FROM t WHERE g % 2 = 0", name)
    found = f"{_AT_WORK} ('{{{','.join(databases)}}}')"
    wait_until(lambda: server.execute(found) == [(len(databases),)], "autovacuum is at work")


@pytest.mark.parametrize("more", ["", "IN ROLE pg_signal_backend"])
def test_databases_that_autovacuum_is_at_work_in_change_places_and_are_removed(
    server: PostgresServer, more: str
) -> None:
    """As it is in each large one that was just loaded."""
    with role(server, "plain", f"LOGIN CREATEDB {more}") as plain:
        _at_work(server, plain, "live", "next")
        source = datasource(server, "live", username=plain)
        source.swap("next", "live", "kept", SilentReporter())
        assert {"live", "kept"} < server.databases()
        _at_work(server, plain, "other")
        with server.connect("other", user=plain):
            for name in ("kept", "live", "other"):
                source.drop_target(name)
        assert not {"live", "kept", "other", "next"} & server.databases()
