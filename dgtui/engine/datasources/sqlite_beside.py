"""Putting one table of an SQLite file beside into the live one under a name of its own, to look at it there."""

import contextlib
import re
import sqlite3
from pathlib import Path

from dgtui.engine.datasources.loading import Announce
from dgtui.engine.datasources.sqlite_bring import bring_rows
from dgtui.engine.datasources.sqlite_check import quoted, shown_name
from dgtui.engine.datasources.sqlite_part import chosen_tables, exchanging, schema_mark
from dgtui.engine.datasources.sqlite_snapshot import connect
from dgtui.engine.errors import RestoreError
from dgtui.engine.restore_model import Part, PartChange

LEFT_OUT = "foreign keys and triggers"
_TOKEN = re.compile(
    r"""\s+|--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\w+|.""", re.DOTALL
)
_MADE = "SELECT type, name, sql FROM beside.sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY rowid"
_INDEX_NAMES = "SELECT name FROM main.sqlite_master"


def refuse_taken(connection: sqlite3.Connection, database: str, name: str) -> None:
    """Raise RestoreError where anything has the name, or where SQLite keeps it for itself."""
    query = "SELECT 1 FROM main.sqlite_master WHERE name = ? COLLATE NOCASE"
    if name.lower().startswith("sqlite_") or connection.execute(query, (name,)).fetchone():
        raise RestoreError(
            f"{database} has {name} already; nothing was changed", subject=name, hint="Give another name with --as"
        )


def place_table(change: PartChange, name: str, live: Path, announce: Announce, *, busy_seconds: float) -> None:
    """Bring the one table of the file beside into the live one. Raises RestoreError, sqlite3.Error; nothing changed."""
    _rename_beside(change, name)
    with exchanging(change, live, busy_seconds=busy_seconds) as connection:
        refuse_taken(connection, change.database, name)
        made = connection.execute(_MADE, (name,)).fetchall()
        for kind, _, statement in made:
            if kind == "table":
                connection.execute(without_foreign_keys(statement))
        bring_rows(connection, name)
        for kind, index, statement in made:
            if kind == "index":
                connection.execute(_index_as(statement, _free_name(connection, name, index)))
        announce(schema_mark(connection), Part(kind="objects", added=(shown_name(name),)))


def _rename_beside(change: PartChange, name: str) -> None:
    with contextlib.closing(connect(Path(change.beside), "mode=rw")) as connection:
        connection.isolation_level = None
        connection.execute("PRAGMA legacy_alter_table = ON").fetchone()
        [table] = chosen_tables(connection, change.tables, "main")
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (trigger,) in triggers:
            connection.execute(f"DROP TRIGGER {quoted(trigger)}")
        connection.execute(f"ALTER TABLE {quoted(table)} RENAME TO {quoted(name)}")


def _free_name(connection: sqlite3.Connection, table: str, index: str) -> str:
    """The index's own name behind the table's new one; a number where even that is taken."""
    taken = {str(name).lower() for (name,) in connection.execute(_INDEX_NAMES)}
    name, number = f"{table}_{index}", 1
    while name.lower() in taken:
        number += 1
        name = f"{table}_{index}_{number}"
    return name


def _index_as(statement: str, name: str) -> str:
    """The same CREATE INDEX under another name."""
    tokens = _TOKEN.findall(statement)
    words = [number for number, token in enumerate(tokens) if not _is_blank(token)]
    at = next(place for place, number in enumerate(words) if tokens[number].upper() == "INDEX") + 1
    at += 3 if tokens[words[at]].upper() == "IF" else 0
    tokens[words[at]] = quoted(name)
    return "".join(tokens)


def without_foreign_keys(statement: str) -> str:
    """A CREATE TABLE without its references to other tables."""
    tokens = _TOKEN.findall(statement)
    opening = tokens.index("(")
    kept, part, depth, number = tokens[: opening + 1], list[str](), 1, opening + 1
    parts: list[list[str]] = []
    for number in range(opening + 1, len(tokens)):
        sign = tokens[number]
        depth += (sign == "(") - (sign == ")")
        if depth == 0 or (depth == 1 and sign == ","):
            parts.append(part)
            part = []
            if depth == 0:
                break
        else:
            part.append(sign)
    left = [text for one in parts if (text := "".join(_without_reference(one))).strip()]
    return "".join(kept) + ",".join(left) + "".join(tokens[number:])


def _without_reference(part: list[str]) -> list[str]:
    """A column without its reference; of a foreign key of the table nothing is left."""
    words = [number for number, token in enumerate(part) if not _is_blank(token)]
    plain = [part[number].upper() for number in words]
    first = 2 if plain[:1] == ["CONSTRAINT"] else 0
    if plain[first : first + 2] == ["FOREIGN", "KEY"]:
        return []
    result, place = list[int](), 0
    while place < len(words):
        if plain[place] == "CONSTRAINT" and plain[place + 2 : place + 3] == ["REFERENCES"]:
            place += 2
        if plain[place] == "REFERENCES":
            place = _after_reference(plain, place)
            continue
        if plain[place] == "(":
            end = _closing(plain, place)
            result += words[place : end + 1]
            place = end + 1
            continue
        result.append(words[place])
        place += 1
    kept = set(result)
    return [token for number, token in enumerate(part) if number in kept or _is_blank(token)]


def _after_reference(plain: list[str], place: int) -> int:
    """Where a reference ends: behind its table, columns, actions and moment of checking."""
    place += 2
    if plain[place : place + 1] == ["("]:
        place = _closing(plain, place) + 1
    while place < len(plain):
        if plain[place] == "ON":
            place += 4 if plain[place + 2] in ("SET", "NO") else 3
        elif plain[place] == "MATCH":
            place += 2
        elif plain[place] == "DEFERRABLE" or plain[place : place + 2] == ["NOT", "DEFERRABLE"]:
            place += 2 if plain[place] == "NOT" else 1
            place += 2 if plain[place : place + 1] == ["INITIALLY"] else 0
        else:
            break
    return place


def _closing(plain: list[str], place: int) -> int:
    depth = 0
    for number in range(place, len(plain)):
        depth += (plain[number] == "(") - (plain[number] == ")")
        if depth == 0:
            return number
    return len(plain) - 1


def _is_blank(token: str) -> bool:
    return token.isspace() or token.startswith(("--", "/*"))
