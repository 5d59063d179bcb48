"""A PostgreSQL that has one extension more, made for the tests: its programs are copied, all else is linked to."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.support.postgres import PostgresServer

EXTENSION = "shipped"
_SCRIPT = """
CREATE TABLE places (id int PRIMARY KEY, name text);
INSERT INTO places VALUES (1, 'comes with the extension'), (2, 'this too');
CREATE TABLE notes (id serial, text text);
SELECT pg_extension_config_dump('places', 'WHERE id > 100');
SELECT pg_extension_config_dump('notes', '');
SELECT pg_extension_config_dump('notes_id_seq', '');
"""


@contextmanager
def server_with_extension(like: PostgresServer) -> Iterator[PostgresServer]:
    """A server with `EXTENSION`, two tables of which hold the user's rows, one of them beside rows of its own.

    Programs find their files from where they lie themselves, so that a copy of them may have its own.
    """
    folder = Path(tempfile.mkdtemp(prefix="dgpg-extension-", dir="/tmp"))
    folder.chmod(0o755)  # the server may run as another user
    try:
        server = PostgresServer(_programs_below(folder, like))
        try:
            server.start()
            yield server
        finally:
            server.remove()
    finally:
        shutil.rmtree(folder)


def _programs_below(folder: Path, like: PostgresServer) -> Path:
    with like.connect() as connection:
        rows = connection.execute("SELECT name, setting FROM pg_config").fetchall()
    places = {name: Path(setting) for name, setting in rows}
    programs, shared = (folder / places[name].relative_to("/") for name in ("BINDIR", "SHAREDIR"))
    programs.mkdir(parents=True)
    for name in ("initdb", "pg_ctl", "pg_dump", "postgres"):
        shutil.copy(places["BINDIR"].resolve() / name, programs)
    _link(places["PKGLIBDIR"], folder / places["PKGLIBDIR"].relative_to("/"))
    for path in (*places["SHAREDIR"].iterdir(), *(places["SHAREDIR"] / "extension").iterdir()):
        if path.name != "extension":
            _link(path, shared / path.relative_to(places["SHAREDIR"]))
    (shared / "extension" / f"{EXTENSION}.control").write_text("default_version = '1'\nrelocatable = true\n")
    (shared / "extension" / f"{EXTENSION}--1.sql").write_text(_SCRIPT)
    return programs


def _link(there: Path, here: Path) -> None:
    here.parent.mkdir(parents=True, exist_ok=True)
    here.symlink_to(there)


def with_own_rows(connection: psycopg.Connection[Any]) -> None:
    """Make the extension in a schema of its own, and rows of the user's in both tables."""
    connection.execute(
        f"CREATE SCHEMA more; CREATE EXTENSION {EXTENSION} SCHEMA more;"
        "CREATE TABLE t (i int); INSERT INTO t VALUES (1);"
        "INSERT INTO more.places VALUES (101, 'mine'), (102, 'mine too'); INSERT INTO more.notes (text) VALUES ('a')"
    )
