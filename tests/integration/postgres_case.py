"""What the tests of PostgreSQL share: a datasource on a test server, a listener, an archive that is fed from memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from dgtui.engine.datasources.dumping import Dump
from dgtui.engine.datasources.postgres import PostgresDatasource
from dgtui.engine.datasources.postgres_connection import PostgresSettings
from dgtui.engine.errors import DataGuardianError
from tests.support.postgres import PostgresServer
from tests.support.postgres_digest import postgres_digest


def datasource(
    server: PostgresServer, database: str, password: str | None = None, **settings: Any
) -> PostgresDatasource:
    """A datasource for a database of a test server, as its superuser unless said otherwise."""
    settings = {"type": "postgres", "port": server.port, "username": "postgres", **settings}
    return PostgresDatasource("case", PostgresSettings(database=database, **settings), password)


def digest(server: PostgresServer, database: str) -> dict[str, str]:
    """The digest of a database."""
    with server.connect(database) as connection:
        return postgres_digest(connection)


@contextmanager
def role(server: PostgresServer, name: str, options: str = "LOGIN") -> Iterator[str]:
    """A role for one test; the databases it owns things in have to be gone before."""
    server.execute(f'CREATE ROLE "{name}" {options}')
    try:
        yield name
    finally:
        server.execute(f'DROP OWNED BY "{name}"')
        server.execute(f'DROP ROLE "{name}"')


def read_all(dump: Dump) -> bytes:
    """Everything a dump gives."""
    return b"".join(iter(lambda: os.read(dump.fd, 1 << 18), b""))


def failure_of(dump: Dump) -> DataGuardianError:
    """How a dump fails once it is read to its end."""
    try:
        read_all(dump)
        with pytest.raises(DataGuardianError) as caught:
            dump.finish()
    finally:
        dump.stop()
    return caught.value


class Listener:
    """Keeps what an adapter reports."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.objects: list[tuple[str, int, int]] = []

    def log(self, text: str, *, origin: str = "dgtui", level: Literal["info", "warning", "error"] = "info") -> None:
        """Keep the line."""
        self.lines.append(text)

    def current_object(self, name: str, *, number: int = 0, count: int = 0) -> None:
        """Keep the name."""
        self.objects.append((name, number, count))

    def loaded(self, name: str, rows: int | None = None) -> None:
        """Nobody asks."""

    def cancelled(self) -> bool:
        """Nobody asked for it."""
        return False


class BrokenArchive:
    """An archive whose storage fails half way."""

    def __init__(self, path: Path, error: Exception) -> None:
        self._content = path.read_bytes()
        self._error = error
        self.total_size_bytes = len(self._content)
        self.object_bytes = dict[str, int]()

    def blocks(self) -> Iterator[bytes]:
        """Half of the bytes, then the error."""
        yield self._content[: len(self._content) // 2]
        raise self._error

    def as_file(self) -> Path:
        """Fails."""
        raise self._error
