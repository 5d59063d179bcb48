"""Executions as JSON by the hundred thousand, without one of them becoming an object: SQLite writes the text itself."""

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.helping import read_pages
from dgtui.engine.catalog.proofs import proofs
from dgtui.engine.model import Copy, Execution

PAGE = 1000
"""So many executions are read at once."""
_JSON = ("warnings", "problem")
_MOMENTS = ("started_at", "finished_at", "expires_at", "protected_until", "checked_at")


def execution_pages(database: Database, chosen: sa.Select[tuple[int]]) -> Iterator[str]:
    """The chosen executions (by their sequences, in their order) as JSON objects with commas between, page by page.

    Each is as msgspec writes it, with its copies, and after those when and how it was proven last. What is removed
    meanwhile is left out, and nobody waits for the catalogue while they are written.
    """
    query = _page_query()

    def read(page: str) -> str:
        with database.transaction() as connection:
            return connection.scalar(query, {"page": page}) or ""

    yield from filter(None, read_pages(_sequences(database, chosen), read, database.close))


def _sequences(database: Database, chosen: sa.Select[tuple[int]]) -> list[str]:
    """The sequences of each page as a JSON array."""
    found = chosen.subquery()
    place = sa.func.row_number().over()
    numbered = sa.select(found.c.sequence, ((place - 1) // PAGE).label("page")).subquery()
    query = sa.select(sa.func.json_group_array(numbered.c.sequence)).group_by(numbered.c.page)
    with database.transaction() as connection:
        return list(connection.scalars(query.order_by(numbered.c.page)))


def _page_query() -> sa.Select[tuple[str]]:
    """Of one page; None where all of it is gone."""
    wanted = sa.func.json_each(sa.bindparam("page")).table_valued("value")
    text = sa.select(_execution_text()).where(tables.executions.c.sequence == wanted.c.value).scalar_subquery()
    # In the order of the array, as it is walked through.
    return sa.select(sa.func.group_concat(text, _text(",\n"))).select_from(wanted)


def _execution_text() -> sa.ColumnElement[str]:
    own = sa.func.json_object(
        *_members(
            (name for name in Execution.__struct_fields__ if name not in ("copies", "sequence")), tables.executions.c
        )
    )
    # As members of the object the copies would be read once more, which takes as long as all the rest. What comes
    # before them ends with the reason of a pin: in quotes, or null.
    return sa.func.printf(
        _text('%s,"copies":[%s],"sequence":%d,%s}'),
        sa.func.rtrim(own, _text("}")),
        _copies_text(),
        tables.executions.c.sequence,
        sa.func.coalesce(_proof_text(), _text('"proven_at":null,"proven_by":null')),
    )


def _copies_text() -> sa.ScalarSelect[Any]:
    copy = sa.func.json_object(*_members(Copy.__struct_fields__, tables.copies.c))
    # By the key of their table, and so in the order of their storages.
    copies = sa.select(sa.func.group_concat(copy))
    return copies.where(tables.copies.c.execution_id == tables.executions.c.execution_id).scalar_subquery()


def _proof_text() -> sa.ScalarSelect[Any]:
    proven_at = _moment(proofs.c.proven_at)
    text = sa.func.printf(_text('"proven_at":%s,"proven_by":"%s"'), sa.func.json_quote(proven_at), proofs.c.how)
    newest = sa.select(text).where(
        proofs.c.execution_id == tables.executions.c.execution_id, proofs.c.outcome.op("||")("") == "completed"
    )
    return newest.order_by(proofs.c.proven_at.desc(), proofs.c.sequence.desc()).limit(1).scalar_subquery()


def _members(names: Iterable[str], columns: Any) -> list[Any]:
    members: list[Any] = []
    for name in names:
        value = columns[name]
        if name in _JSON:
            value = sa.func.json(value)
        elif name in _MOMENTS:
            value = _moment(value)
        members += [_text(name), value]
    return members


def _moment(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    return sa.func.replace(column, _text(".000000Z"), _text("Z"))


def _text(text: str) -> sa.ColumnElement[str]:
    # As parameters they would be too many for one statement.
    return sa.literal_column(f"'{text}'", sa.String)
