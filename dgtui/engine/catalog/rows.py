"""The rows of executions and copies as plain data and back, by the thousand."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import time_text
from dgtui.engine.model import Copy, Execution, Problem

_EXECUTION = tuple(column.name for column in tables.executions.columns if column.name != "alike")
_COPY = tuple(column.name for column in tables.copies.columns if column.name != "execution_id")
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


def executions_of(connection: sa.Connection, query: sa.Select[Any]) -> list[Execution]:
    """The executions that a query of their whole table finds, with their copies."""
    rows = connection.execute(query.with_only_columns(*(tables.executions.c[name] for name in _EXECUTION))).all()
    copies = _copies_of(connection, [row.execution_id for row in rows])
    return [_execution(row, tuple(copies.get(row.execution_id, ()))) for row in rows]


def _copies_of(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[Copy]]:
    columns = tables.copies.c
    # One statement however many they are: as parameters of their own they would have to be asked for in pieces.
    wanted = sa.select(sa.func.json_each(msgspec.json.encode(ids).decode()).table_valued("value").c.value)
    query = sa.select(columns.execution_id, *(columns[name] for name in _COPY)).where(columns.execution_id.in_(wanted))
    found: dict[str, list[Copy]] = {}
    for execution_id, *row in connection.execute(query.order_by(columns.execution_id, columns.storage)):
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
