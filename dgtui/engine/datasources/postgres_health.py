"""The smallest question to a PostgreSQL server, and the figures beside its answer."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.answer import HealthAnswer, TimeLimit
from dgtui.engine.datasources.places import disk_space
from dgtui.engine.datasources.postgres_connection import Access, break_connection

if TYPE_CHECKING:
    import psycopg

_LIMITS = "SELECT set_config('statement_timeout', %s, true), set_config('search_path', 'pg_catalog', true)"
"""For a transaction alone: a pool may give the session to somebody else next."""
_FIGURES = """
SELECT current_setting('server_version'),
       extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::bigint,
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())
"""
_SIZE = "SELECT pg_database_size(current_database())"
_FOLDER = "SELECT current_setting('data_directory'), pg_backend_pid()"


def ask_postgres(access: Access, database: str, seconds: float) -> HealthAnswer:
    """Connect, `SELECT 1`, and what the server tells of itself. Raises ServerTimeout and the errors of `Access`."""
    import psycopg

    limit = TimeLimit(seconds)
    try:
        connection = _connect(access, database, limit)
        with contextlib.closing(connection), limit.cutting(lambda: break_connection(connection)):
            connection.execute("SELECT 1")
            latency = limit.elapsed
            return _with_figures(connection, latency, limit)
    except psycopg.Error as error:
        if limit.fired or isinstance(error, psycopg.errors.ConnectionTimeout):
            raise limit.exceeded(access.server) from error
        access.fail(error)


def _connect(access: Access, database: str, limit: TimeLimit) -> "psycopg.Connection[Any]":
    import psycopg

    return psycopg.connect(
        access.conninfo(database),
        password=access.password,
        autocommit=True,
        prepare_threshold=None,
        connect_timeout=max(2, int(limit.seconds)),
        application_name="dgtui health",
        options="",
        client_encoding="utf8",
    )


def _with_figures(connection: "psycopg.Connection[Any]", latency: float, limit: TimeLimit) -> HealthAnswer:
    """The server answered: a figure that cannot be had, or takes too long, is left out."""
    import psycopg

    version, uptime, clients, size, free, total = "", None, None, None, None, None
    # A pooler in between may refuse settings of a session, a role may not see everything.
    limits = (f"{int(limit.for_figures * 1000)}ms",)
    with contextlib.suppress(psycopg.Error), connection.transaction():
        connection.execute(_LIMITS, limits)
        version, uptime, clients = connection.execute(_FIGURES).fetchone() or ("", None, None)
        (size,) = connection.execute(_SIZE).fetchone() or (None,)
    with contextlib.suppress(psycopg.Error), connection.transaction():
        connection.execute(_LIMITS, limits)
        free, total = _disk(*(connection.execute(_FOLDER).fetchone() or ("", 0)))
    version = str(version).split(" ", 1)[0]
    return HealthAnswer(
        latency_seconds=latency,
        product=f"PostgreSQL {version}".rstrip(),
        version=version,
        uptime_seconds=uptime,
        connection_count=clients,
        size_bytes=size,
        disk_free_bytes=free,
        disk_total_bytes=total,
    )


def _disk(folder: str, process: int) -> tuple[int | None, int | None]:
    """Free and whole room of the server's disk, where the server runs on this very machine."""
    try:
        if not Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"postgres"):
            return None, None
    except OSError:
        return None, None
    return disk_space(Path(folder))
