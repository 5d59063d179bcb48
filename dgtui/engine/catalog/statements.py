"""Pieces of statements: words of our own, with whatever else they need bound to them by name (`:job`)."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

Values = Mapping[str, Any]
"""What is bound to the names in a statement."""
NO_VALUES: Values = {}
_ALWAYS = "TRUE"


class Sql(NamedTuple):
    """A statement, or a piece of one, with the values that are bound to the names in it."""

    text: str
    values: Values = NO_VALUES

    @property
    def where(self) -> str:
        """The clause of a condition: none for one that always holds, without which SQLite counts faster."""
        return "" if self.text == _ALWAYS else f"WHERE {self.text}"


ALL = Sql(_ALWAYS)
"""The condition that holds for every row."""


def all_of(*conditions: Sql) -> Sql:
    """The condition that holds where all of these do; without any, everywhere."""
    told = [condition for condition in conditions if condition != ALL]
    if not told:
        return ALL
    values: dict[str, Any] = {}
    for condition in told:
        if any(values.get(name, value) != value for name, value in condition.values.items()):
            raise ValueError(f"Two conditions bind a name to different values: {condition.text}")
        values |= condition.values
    return Sql(" AND ".join(f"({condition.text})" for condition in told), values)


def equal(**wanted: Any) -> Sql:
    """The condition that these columns have these values; those that are None may have any."""
    values = {name: value for name, value in wanted.items() if value is not None}
    return all_of(*(Sql(f"{name} = :{name}", {name: value}) for name, value in values.items()))


def among(column: str, wanted: Iterable[str]) -> Sql:
    """The condition that a column has one of these few values."""
    name = _bound_name(column)
    values = {f"{name}_{number}": value for number, value in enumerate(sorted(wanted))}
    # With an empty list in a condition SQLite would look through the whole table.
    bound = ", ".join(f":{one}" for one in values) or "SELECT NULL WHERE FALSE"
    return Sql(f"{column} IN ({bound})", values)


def any_of(column: str, wanted: Iterable[Any]) -> Sql:
    """The condition that a column has one of these values, of which there may be any number."""
    name = f"{_bound_name(column)}_list"
    return Sql(f"{column} IN (SELECT value FROM json_each(:{name}))", {name: json_list(wanted)})


def rows_at_most(limit: int | None) -> int:
    """What SQLite takes as a LIMIT for as many rows, or for all where there is none."""
    return -1 if limit is None else limit


def words(own: Collection[str]) -> str:
    """Words that stand in our code, none with a quote in it, as the list that a column is looked for in."""
    return "(" + ", ".join(f"'{word}'" for word in sorted(own)) + ")"


def text_beginning(column: str, text: str) -> Sql:
    """The condition that a column begins with a text, whatever the case of its letters."""
    return _like(column, f"{_escaped(text)}%")


def text_containing(column: str, text: str) -> Sql:
    """The condition that a text stands in a column, whatever the case of its letters."""
    return _like(column, f"%{_escaped(text)}%")


def json_list(values: Iterable[Any]) -> str:
    """Values of any number as one, for `IN (SELECT value FROM json_each(:name))`."""
    return msgspec.json.encode(list(values)).decode()


def _like(column: str, pattern: str) -> Sql:
    name = f"{_bound_name(column)}_like"
    return Sql(f"{column} LIKE :{name} ESCAPE '/'", {name: pattern})


def _bound_name(column: str) -> str:
    """What values for a column are bound as: the name of its table is no part of it."""
    return column.rpartition(".")[2]


def _escaped(text: str) -> str:
    for sign in "/%_":
        text = text.replace(sign, f"/{sign}")
    return text
