"""Pools of connections in front of a PostgreSQL server (pgbouncer), whose clients may share its sessions."""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dgtui.engine.errors import ConfigError

if TYPE_CHECKING:
    import psycopg

_TIMES = 3
POOL_HINT = "Name `host` and `port` of the server itself in the configuration (usually 5432), not those of the pool"


def refuse_shared_sessions(
    connection: "psycopg.Connection[Any]", again: Callable[[], "psycopg.Connection[Any]"], server: str
) -> None:
    """Raise ConfigError where what this connection sets would be set for the next client of the server's session.

    A program would not find its tables any more. `again` makes another connection, which is needed only where a pool
    answered: it gives process ids of its own to its clients.
    """
    if _process(connection) == connection.info.backend_pid:
        return
    own, others = set[int](), set[int]()
    with contextlib.closing(again()) as other:
        for _ in range(_TIMES):
            own.add(_process(connection))
            others.add(_process(other))
    if len(own) > 1 or own & others:
        raise ConfigError(
            f"{server} is a pool that gives one session of the server to several clients (pool_mode = transaction or "
            "statement): what a backup sets there would be set for others, and what others set for a backup",
            subject=server,
            hint=POOL_HINT,
        )


def _process(connection: "psycopg.Connection[Any]") -> int:
    """The process of the server that answers."""
    return int(connection.execute("SELECT pg_backend_pid()").fetchall()[0][0])
