"""Databases of PostgreSQL that are not in UTF-8, with names and rows that are no ASCII."""

from collections.abc import Iterator

import pytest

from dgtui.engine.datasources.postgres_toc import python_codec
from tests.integration.postgres_case import digest
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import postgres_table, whole_backup

_LATIN = """
CREATE TABLE "tä" ("spälte" text, PRIMARY KEY ("spälte")); INSERT INTO "tä" VALUES ('é'), ('ÿ');
CREATE TABLE other ("ß" text); INSERT INTO other VALUES ('ö'); COMMENT ON TABLE "tä" IS 'ü';
ALTER TABLE other ADD CONSTRAINT "größe" CHECK ("ß" <> 'à');
"""
_BYTES = rb"CREATE TABLE t (x text); INSERT INTO t VALUES (E'\xff\xfe'), (E'\xe9'); CREATE TABLE u (x text)"


@pytest.fixture(params=["LATIN1", "WIN1252", "SQL_ASCII"])
def database(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Iterator[str]:
    """A database in that encoding."""
    name = f"in_{request.param.lower()}"
    postgres_server.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{request.param}' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    postgres_server.execute(_BYTES if request.param == "SQL_ASCII" else _LATIN, name)
    yield name
    for made in postgres_server.databases():
        if made.startswith(name):
            postgres_server.drop_database(made)


def test_they_come_back_and_are_found_equal(home: Home, postgres_server: PostgresServer, database: str) -> None:
    """Whole, by single tables, and in a rehearsal that compares the rows themselves."""
    home.configure(postgres_table(postgres_server, database))
    execution = whole_backup(home)
    name = "t" if "ascii" in database else "tä"
    if name == "tä":
        before = digest(postgres_server, database)
    for place in ("shop", "private"):
        proven = home.dgtui("rehearse", execution.execution_id, "--deep", "--place", place)
        assert proven.exit_code == 0, proven
    restored = home.dgtui("restore", execution.execution_id, "--overwrite", "--yes")
    assert restored.exit_code == 0, restored
    postgres_server.execute(f'DROP TABLE "{name}"', database)
    part = home.dgtui("restore", execution.execution_id, "--table", name, "--overwrite", "--yes")
    assert part.exit_code == 0, part
    if name == "tä":
        assert digest(postgres_server, database) == before
    else:
        hexed = "SELECT string_agg(encode(textsend(x), 'hex'), ' ' ORDER BY x) FROM t"
        assert postgres_server.execute(hexed, database)[0][0] in ("e9 fffe", b"e9 fffe")


def test_what_sessions_are_told_of_the_encoding_changes_no_dump(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """Of an application that knows LATIN1 alone, for instance, beside others that write all letters."""
    server, name = postgres_server, postgres_database
    server.execute("CREATE TABLE words (word text); INSERT INTO words VALUES ('日本'), ('é')", name)
    server.execute(f"ALTER DATABASE {name} SET client_encoding = 'LATIN1'")
    home.configure(postgres_table(server, name), job="globals = true")
    whole_backup(home)
    server.execute("DELETE FROM words", name)
    for choice in ((), ("--data-only",), ("--table", "words")):
        done = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes", *choice)
        assert done.exit_code == 0, done
        with server.connect(name, client_encoding="utf8") as connection:
            assert sorted(connection.execute("SELECT word FROM words").fetchall()) == [("é",), ("日本",)]
    done = home.dgtui("rehearse", "nightly", "--deep")
    assert done.exit_code == 0, done


def test_names_that_are_in_no_known_encoding_are_told(home: Home, postgres_server: PostgresServer) -> None:
    """The server gives them to nobody who asks for UTF-8: no fault of ours, but no backup either."""
    name = "with_bytes"
    making = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    postgres_server.execute(making)
    try:
        postgres_server.execute(b'CREATE TABLE "t\xff" (i int)', name)
        home.configure(postgres_table(postgres_server, name))
        done = home.dgtui("run", "nightly")
        assert done.exit_code == 2, done
        assert "not in UTF-8" in done.errors
        assert "Traceback" not in done.output + done.errors
    finally:
        postgres_server.drop_database(name)


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("UTF8", "utf-8"), ("LATIN1", "iso8859-1"), ("LATIN5", "iso8859-9"), ("LATIN9", "iso8859-15"),
        ("WIN1252", "cp1252"), ("WIN866", "cp866"), ("KOI8R", "koi8-r"), ("EUC_JP", "euc_jp"), ("EUC_CN", "gb2312"),
        ("UHC", "cp949"), ("ISO_8859_5", "iso8859-5"), ("GB18030", "gb18030"), ("SQL_ASCII", None),
    ],
)  # fmt: skip
def test_what_python_calls_an_encoding(encoding: str, codec: str | None) -> None:
    assert python_codec(encoding) == codec
