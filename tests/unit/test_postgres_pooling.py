"""How a pool is found out that gives one session of a server to several clients."""

import itertools
from typing import Any

import pytest

from dgtui.engine.datasources.postgres_pooling import refuse_shared_sessions
from dgtui.engine.errors import ConfigError


class _Client:
    """A connection that is told one process id at the login and gets its answers from others, in turn."""

    def __init__(self, told: int, *answering: int) -> None:
        self.info = self
        self.backend_pid = told
        self.closed = False
        self._answering = itertools.cycle(answering)

    def execute(self, query: str) -> "_Client":
        assert query == "SELECT pg_backend_pid()"
        return self

    def fetchall(self) -> list[tuple[int]]:
        return [(next(self._answering),)]

    def close(self) -> None:
        self.closed = True


def _none() -> Any:
    raise AssertionError("a server itself is not asked twice")


def test_a_server_is_asked_once() -> None:
    client: Any = _Client(7, 7)
    refuse_shared_sessions(client, _none, "db:5432")


def test_a_pool_of_whole_sessions_is_good() -> None:
    client: Any = _Client(-900, 7)
    other: Any = _Client(1400, 8)
    refuse_shared_sessions(client, lambda: other, "db:6432")
    assert other.closed


@pytest.mark.parametrize(("own", "others"), [((7,), (7,)), ((7, 8), (9,)), ((7,), (8, 7))])
def test_a_pool_that_shares_sessions_is_refused(own: tuple[int, ...], others: tuple[int, ...]) -> None:
    client: Any = _Client(-900, *own)
    other: Any = _Client(0, *others)
    with pytest.raises(ConfigError, match="pool_mode = transaction") as caught:
        refuse_shared_sessions(client, lambda: other, "db:6432")
    assert "the server itself" in caught.value.hint
    assert other.closed
