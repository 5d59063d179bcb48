"""Pieces of statements, and the connections that they are asked by."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine.catalog.connection import Connection, Connections
from dgtui.engine.catalog.statements import (
    ALL,
    Sql,
    all_of,
    among,
    any_of,
    equal,
    rows_at_most,
    text_beginning,
    text_containing,
)

NAMES = ["a", "a%", "a_", "a/", "ab", "b", "it's", 'two"', None]


@pytest.fixture
def connection() -> Connection:
    connection = sqlite3.connect(":memory:", factory=Connection)
    connection.execute("CREATE TABLE things (name VARCHAR, other VARCHAR)")
    connection.executemany("INSERT INTO things (name) VALUES (:name)", [{"name": name} for name in NAMES])
    return connection


def found(connection: Connection, chosen: Sql) -> list[Any]:
    return connection.scalars(f"SELECT name FROM things {chosen.where} ORDER BY rowid", chosen.values)


@pytest.mark.parametrize("condition", [among, any_of])
@pytest.mark.parametrize("wanted", [[], ["a"], ["it's", "a%", "nobody"], ['two"']])
def test_one_of_some_values_and_none_of_them(connection: Connection, condition: Any, wanted: list[str]) -> None:
    for column in ("name", "things.name"):
        chosen = condition(column, wanted)
        assert found(connection, chosen) == [name for name in NAMES if name in wanted]
        others = Sql(f"NOT ({chosen.text})", chosen.values)
        # What is not known is neither, but where there is nothing to compare it with.
        assert found(connection, others) == [name for name in NAMES if name not in wanted and (name or not wanted)]


@pytest.mark.parametrize("text", ["a", "%", "_", "/", "a%", "a_", "a/", "A", "'", '"'])
def test_no_sign_of_a_text_stands_for_others(connection: Connection, text: str) -> None:
    known = [name for name in NAMES if name]
    begin = [name for name in known if name.startswith(text.lower())]
    assert found(connection, text_beginning("things.name", text)) == begin
    assert found(connection, text_containing("name", text)) == [name for name in known if text.lower() in name]


def test_conditions_are_put_together(connection: Connection) -> None:
    assert all_of() == all_of(ALL, ALL) == equal(name=None) == ALL
    assert ALL.where == ""
    assert found(connection, ALL) == NAMES
    either = Sql("name = 'a' OR name = 'b'")
    assert found(connection, all_of(either, ALL, equal(name="b", other=None))) == ["b"]
    with pytest.raises(ValueError, match="different values"):
        all_of(equal(name="a"), equal(name="b"))


def test_a_limit_that_is_none_is_none(connection: Connection) -> None:
    query = "SELECT name FROM things LIMIT :limit"
    assert len(connection.scalars(query, {"limit": rows_at_most(None)})) == len(NAMES)
    assert len(connection.scalars(query, {"limit": rows_at_most(2)})) == 2


def test_a_row_is_added_once_and_brought_up_to_date(connection: Connection) -> None:
    connection.execute("CREATE UNIQUE INDEX by_name ON things (name)")
    assert connection.insert_new("things", {"name": "new", "other": "1"})
    assert not connection.insert_new("things", {"name": "new", "other": "2"})
    assert connection.scalar("SELECT other FROM things WHERE name = 'new'") == "1"
    connection.upsert("things", {"name": "new", "other": "3"}, key="name")
    assert connection.scalar("SELECT other FROM things WHERE name = 'new'") == "3"
    with pytest.raises(sqlite3.IntegrityError):
        connection.insert("things", {"name": "new", "other": "4"})


def test_connections_are_used_again_and_what_was_not_committed_is_undone(tmp_path: Path) -> None:
    connections = Connections(tmp_path / "some.db")
    with connections.lent() as first:
        first.execute("CREATE TABLE things (name VARCHAR)")
        first.commit()
        first.insert("things", {"name": "lost"})
        with connections.lent() as second:
            assert second is not first
    with connections.lent() as again:
        assert again in (first, second)
        assert again.scalar("SELECT count(*) FROM things") == 0
    connections.close()


def test_who_refuses_changes_refuses_them_to_the_next_one_too(tmp_path: Path) -> None:
    connections = Connections(tmp_path / "some.db")
    with connections.lent() as lent:
        lent.execute("CREATE TABLE things (name VARCHAR)")
        connections.refuse_changes()
        lent.insert("things", {"name": "begun before"})
        lent.commit()
    with connections.lent() as other:
        assert other.scalar("SELECT name FROM things") == "begun before"
        with pytest.raises(sqlite3.OperationalError):
            other.insert("things", {"name": "too late"})
    with pytest.raises(sqlite3.ProgrammingError):
        lent.execute("SELECT 1")
    connections.close()
