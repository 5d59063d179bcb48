"""Restores through the engine, and configurations with names that a careless writer would break on."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg import sql

from dgtui.engine.model import Execution
from dgtui.engine.restore_model import Restore
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer
from tests.support.postgres import PostgresServer
from tests.support.postgres_digest import postgres_digest

HOSTILE = 'we"ird; --x'
UNICODE = "Bücher ☃ 'и'"
TWO_STORAGES = ("disk", "nas")


def table(name: str, **values: str | int | bool) -> str:
    """A datasource as TOML, with whatever its values hold."""
    # A string of JSON is one of TOML, as long as the letters beyond ASCII stay letters.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join([f"[datasources.{name}]", *lines, ""])


def postgres_table(server: PostgresServer, database: str, name: str = "shop", **values: str | int) -> str:
    """A PostgreSQL datasource as the superuser of a test server."""
    own: dict[str, str | int] = {"host": "127.0.0.1", "port": server.port, "username": "postgres", "database": database}
    return table(name, type="postgres", **{**own, **values})


def mysql_table(server: MariadbServer, database: str, name: str = "shop", **values: str | int) -> str:
    """A MariaDB datasource as the superuser of a test server."""
    own: dict[str, str | int] = {"host": "127.0.0.1", "port": server.port, "username": "root", "database": database}
    return table(name, type="mysql", **{**own, **values})


def digest_of(server: PostgresServer, database: str) -> dict[str, str]:
    """The digest of a PostgreSQL database."""
    with server.connect(database) as connection:
        return postgres_digest(connection)


@contextmanager
def postgres_copy(server: PostgresServer, template: str, name: str, *, noise_bytes: int) -> Iterator[dict[str, str]]:
    """A copy of a database under a name, with so much more that cannot be compressed; its digest. Removed again."""
    server.drop_database(name)
    server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    try:
        with server.connect(name) as connection:
            connection.execute("CREATE TABLE noise (raw bytea)")
            connection.execute("INSERT INTO noise VALUES (%s)", (os.urandom(noise_bytes),))
        yield digest_of(server, name)
    finally:
        server.drop_database(name)


def whole_backup(home: Home, storages: int = 1) -> Execution:
    """Run the job and expect a copy at every storage, and no warning."""
    execution = home.back_up()
    assert execution.status == "completed", execution.problem
    assert [copy.status for copy in execution.copies] == ["available"] * storages
    assert home.litter() == []
    return execution


def comes_back(home: Home, server: PostgresServer, database: str, spoil: str, *choice: str) -> None:
    """Back up a PostgreSQL database, spoil it by a statement, and restore it in its place: it is what it was."""
    before = digest_of(server, database)
    home.configure(postgres_table(server, database))
    whole_backup(home)
    server.execute(spoil, database)
    done = home.dgtui("restore", "nightly@latest", *choice, "--yes")
    assert done.exit_code == 0, done
    assert digest_of(server, database) == before


def parts(execution: Execution) -> int:
    """How many files hold the backup, which is the same at each storage."""
    counts = {
        len([path for path in Path(copy.path).iterdir() if path.name.startswith("backup.")])
        for copy in execution.copies
    }
    assert len(counts) == 1
    return counts.pop()


def restored(home: Home, execution: Execution, **choices: Any) -> Restore:
    """Restore, expect success and no litter; the record of it."""
    engine = home.engine()
    run_id = engine.start_restore(execution, **choices)
    snapshot = home.finish(engine, run_id)
    assert snapshot.status == "completed", snapshot.problem
    record = next(restore for restore in engine.restores(execution.execution_id) if restore.restore_id == run_id)
    assert record.status == "completed"
    assert home.litter() == []
    return record
