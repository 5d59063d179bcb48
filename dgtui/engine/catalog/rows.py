"""The rows of executions and copies as plain data and back, by the thousand."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.database import time_text
from dgtui.engine.catalog.statements import Sql, any_of
from dgtui.engine.model import Copy, Execution, Problem

_EXECUTION = tuple(name for name in Execution.__struct_fields__ if name != "copies")
_COPY = Copy.__struct_fields__
_MOMENTS = ("started_at", "finished_at", "expires_at", "protected_until")
_problem = msgspec.json.Decoder(Problem)
_warnings = msgspec.json.Decoder(tuple[str, ...])


def columns_of(record: Execution | Copy) -> dict[str, Any]:
    """The columns of a row; what is not plain becomes JSON."""
    columns: dict[str, Any] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, datetime):
            value = time_text(value)
        elif isinstance(value, Problem | tuple):
            value = msgspec.json.encode(value).decode()
        columns[name] = value
    return columns


def executions_of(connection: Connection, chosen: Sql) -> list[Execution]:
    """The executions that are chosen, in the words that follow the name of their table, with their copies."""
    query = f"SELECT {', '.join(_EXECUTION)} FROM executions {chosen.text}"
    rows = connection.execute(query, chosen.values).fetchall()
    copies = _copies_of(connection, [row["execution_id"] for row in rows])
    return [_execution(row, tuple(copies.get(row["execution_id"], ()))) for row in rows]


def _copies_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[Copy]]:
    # One statement however many they are: as parameters of their own they would have to be asked for in pieces.
    wanted = any_of("execution_id", ids)
    query = f"SELECT execution_id, {', '.join(_COPY)} FROM copies {wanted.where} ORDER BY execution_id, storage"
    found: dict[str, list[Copy]] = {}
    for execution_id, *row in connection.execute(query, wanted.values):
        found.setdefault(execution_id, []).append(_copy(row))
    return found


def _execution(row: Iterable[Any], copies: tuple[Copy, ...]) -> Execution:
    values = dict(zip(_EXECUTION, row, strict=True))
    for name in _MOMENTS:
        if (text := values[name]) is not None:
            values[name] = datetime.fromisoformat(text)
    values["warnings"] = () if values["warnings"] == "[]" else _warnings.decode(values["warnings"])
    if values["problem"] is not None:
        values["problem"] = _problem.decode(values["problem"])
    return Execution(copies=copies, **values)


def _copy(row: Iterable[Any]) -> Copy:
    values = dict(zip(_COPY, row, strict=True))
    if values["checked_at"] is not None:
        values["checked_at"] = datetime.fromisoformat(values["checked_at"])
    if values["problem"] is not None:
        values["problem"] = _problem.decode(values["problem"])
    return Copy(**values)
