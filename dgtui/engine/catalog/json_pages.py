"""Executions by the hundred thousand as JSON that SQLite writes itself, without a row of them becoming an object."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.helping import read_pages
from dgtui.engine.catalog.statements import Sql, Values, json_list
from dgtui.engine.model import Copy

PAGE = 1000
"""So many executions are read at once."""
TextOf = Callable[[Sql], Sql]
"""The statement for the text of all executions for which something holds; null where there are none."""
_JSON = ("warnings", "problem")
_MOMENTS = ("started_at", "finished_at", "expires_at", "protected_until", "checked_at")


def json_pages(database: Database, chosen: Sql, text: str) -> Iterator[str]:
    """The `text` of each chosen execution (by their sequences, in their order) with commas between, page by page.

    What is removed meanwhile is left out, and nobody waits for the catalogue while they are read.
    """
    yield from filter(None, read_pages(pages_of(database, chosen), page_reader(database, text), database.close))


def page_reader(database: Database, text: str) -> Callable[[str], str]:
    """What reads the `text` of each execution of a page with commas between."""
    # In the order of the array, as it is walked through.
    query = f"""
        SELECT group_concat((SELECT {text} FROM executions WHERE sequence = wanted.value), ',\n')
        FROM json_each(:page) AS wanted
    """
    return _reader(database, Sql(query), lambda page: {"page": page})


def texts_of_ranges(database: Database, text_of: TextOf, chosen: Sql, *, size: int) -> Iterator[str]:
    """What `text_of` tells of almost all executions, `size` at once, in the order of their sequences."""
    query = text_of(Sql(f"sequence >= :begin AND sequence < :end AND ({chosen.text})", chosen.values))
    read = _reader(database, query, lambda page: dict(zip(("begin", "end"), map(int, page.split()), strict=True)))
    yield from filter(None, read_pages(_ranges(database, size), read, database.close))


def texts_of_sequences(database: Database, text_of: TextOf, chosen: Sql, *, size: int) -> Iterator[str]:
    """What `text_of` tells of the chosen executions (by their sequences), `size` at once."""
    query = text_of(Sql("sequence IN (SELECT value FROM json_each(:page))"))
    read = _reader(database, query, lambda page: {"page": page})
    yield from filter(None, read_pages(pages_of(database, chosen, size), read, database.close))


def _reader(database: Database, query: Sql, values_of: Callable[[str], Values]) -> Callable[[str], str]:
    """What asks for the text of a page, of which `values_of` makes the values that a statement names."""

    def read(page: str) -> str:
        with database.transaction() as connection:
            return connection.scalar(query.text, {**query.values, **values_of(page)}) or ""

    return read


def _ranges(database: Database, size: int) -> list[str]:
    """The first sequence of each page and of the next one; where few were removed, each has about as many."""
    # Asked together, SQLite would look at each of them for the first and the last too.
    first_last = "SELECT (SELECT min(sequence) FROM executions), (SELECT max(sequence) FROM executions)"
    with database.transaction() as connection:
        first, last = connection.execute(first_last).fetchone()
        number = connection.scalar("SELECT count(*) FROM executions")
    if not number:
        return []
    step = -(-(last + 1 - first) // -(-number // size))
    return [f"{begin} {begin + step}" for begin in range(first, last + 1, step)]


def pages_of(database: Database, chosen: Sql, size: int | None = None) -> list[str]:
    """The sequences of the chosen executions, those of each page as a JSON array; a usual page, or one of this size."""
    size = size or PAGE
    with database.transaction() as connection:
        # As one text: to fetch as many rows takes twice as long.
        text = connection.scalar(f"SELECT json_group_array(sequence) FROM ({chosen.text})", chosen.values)
    sequences = msgspec.json.decode(text, type=list[int])
    return [json_list(sequences[begin : begin + size]) for begin in range(0, len(sequences), size)]


def copies_text() -> str:
    """The copies of an execution as JSON objects with commas between, in the order of their storages."""
    # That order is the one of the key of their table.
    return f"""(
        SELECT group_concat(json_object({members("copies", Copy.__struct_fields__)}))
        FROM copies WHERE copies.execution_id = executions.execution_id
    )"""


def members(table: str, names: Iterable[str]) -> str:
    """The names and values of the members of an object made of a table's columns, as msgspec writes them."""
    return ", ".join(f"'{name}', {_member(f'{table}.{name}')}" for name in names)


def _member(column: str) -> str:
    name = column.rpartition(".")[2]
    if name in _JSON:
        return f"json({column})"
    return moment_text(column) if name in _MOMENTS else column


def moment_text(column: str) -> str:
    """A time without the fraction that it does not have."""
    # Almost none is like that, and to look takes a third as long as to replace what is not there.
    return f"CASE WHEN instr({column}, '.000000Z') THEN replace({column}, '.000000Z', 'Z') ELSE {column} END"
