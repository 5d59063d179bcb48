"""Executions by the hundred thousand as JSON that SQLite writes itself, without a row of them becoming an object."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.helping import read_pages
from dgtui.engine.model import Copy

PAGE = 1000
"""So many executions are read at once."""
TextOf = Callable[[sa.ColumnElement[bool]], sa.Select[tuple[str]]]
"""The statement for the text of all executions for which something holds; None where there are none."""
_JSON = ("warnings", "problem")
_NOWHERE = sa.literal_column("0", sa.Integer)
_MOMENTS = ("started_at", "finished_at", "expires_at", "protected_until", "checked_at")


def json_pages(database: Database, chosen: sa.Select[tuple[int]], text: sa.SQLColumnExpression[str]) -> Iterator[str]:
    """The `text` of each chosen execution (by their sequences, in their order) with commas between, page by page.

    What is removed meanwhile is left out, and nobody waits for the catalogue while they are read.
    """
    query = _page_query(text)

    def read(page: str) -> str:
        with database.transaction() as connection:
            return connection.scalar(query, {"page": page}) or ""

    yield from filter(None, read_pages(_sequences(database, chosen, PAGE), read, database.close))


def texts_of_ranges(database: Database, text_of: TextOf, chosen: sa.ColumnElement[bool], *, size: int) -> Iterator[str]:
    """What `text_of` tells of almost all executions, `size` at once, in the order of their sequences."""
    sequence = tables.executions.c.sequence
    begin, end = sa.bindparam("begin", type_=sa.Integer), sa.bindparam("end", type_=sa.Integer)
    query = text_of((sequence >= begin) & (sequence < end) & chosen)

    def read(page: str) -> str:
        begins, ends = page.split()
        with database.transaction() as connection:
            return connection.scalar(query, {"begin": int(begins), "end": int(ends)}) or ""

    yield from filter(None, read_pages(_ranges(database, size), read, database.close))


def texts_of_sequences(
    database: Database, text_of: TextOf, chosen: sa.Select[tuple[int]], *, size: int
) -> Iterator[str]:
    """What `text_of` tells of the chosen executions (by their sequences), `size` at once."""
    wanted = sa.func.json_each(sa.bindparam("page")).table_valued("value")
    query = text_of(tables.executions.c.sequence.in_(sa.select(wanted.c.value)))

    def read(page: str) -> str:
        with database.transaction() as connection:
            return connection.scalar(query, {"page": page}) or ""

    yield from filter(None, read_pages(_sequences(database, chosen, size), read, database.close))


def _ranges(database: Database, size: int) -> list[str]:
    """The first sequence of each page and of the next one; where few were removed, each has about as many."""
    sequence = tables.executions.c.sequence
    query = sa.select(sa.func.min(sequence), sa.func.max(sequence), sa.func.count(sequence))
    with database.transaction() as connection:
        first, last, number = connection.execute(query).one()
    if not number:
        return []
    step = -(-(last + 1 - first) // -(-number // size))
    return [f"{begin} {begin + step}" for begin in range(first, last + 1, step)]


def _sequences(database: Database, chosen: sa.Select[tuple[int]], size: int) -> list[str]:
    """The sequences of each page as a JSON array."""
    found = chosen.subquery()
    place = sa.func.row_number().over()
    numbered = sa.select(found.c.sequence, ((place - 1) // size).label("page")).subquery()
    query = sa.select(sa.func.json_group_array(numbered.c.sequence)).group_by(numbered.c.page)
    with database.transaction() as connection:
        return list(connection.scalars(query.order_by(numbered.c.page)))


def _page_query(text: sa.SQLColumnExpression[str]) -> sa.Select[tuple[str]]:
    """Of one page; None where all of it is gone."""
    wanted = sa.func.json_each(sa.bindparam("page")).table_valued("value")
    one = sa.select(text).where(tables.executions.c.sequence == wanted.c.value).scalar_subquery()
    # In the order of the array, as it is walked through.
    return sa.select(sa.func.group_concat(one, literal(",\n"))).select_from(wanted)


def copies_text() -> sa.ScalarSelect[Any]:
    """The copies of an execution as JSON objects with commas between, in the order of their storages."""
    copy = sa.func.json_object(*members(Copy.__struct_fields__, tables.copies.c))
    # That order is the one of the key of their table.
    copies = sa.select(sa.func.group_concat(copy))
    return copies.where(tables.copies.c.execution_id == tables.executions.c.execution_id).scalar_subquery()


def members(names: Iterable[str], columns: Any) -> list[Any]:
    """The names and values of an object's members, as msgspec writes them."""
    found: list[Any] = []
    for name in names:
        value = columns[name]
        if name in _JSON:
            value = sa.func.json(value)
        elif name in _MOMENTS:
            value = moment_text(value)
        found += [literal(name), value]
    return found


def moment_text(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """A time without the fraction that it does not have."""
    without = literal(".000000Z")
    # Almost none is like that, and to look takes a third as long as to replace what is not there.
    return sa.case(
        (sa.func.instr(column, without) != _NOWHERE, sa.func.replace(column, without, literal("Z"))), else_=column
    )


def literal(text: str) -> sa.ColumnElement[str]:
    """A text of ours in a statement: as parameters they would be too many for one."""
    return sa.literal_column(f"'{text}'", sa.String)
