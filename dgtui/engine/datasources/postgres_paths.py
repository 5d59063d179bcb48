"""Loading with the search path of a database's users, where definitions do not work without it.

An archive is loaded with no path at all. A function without a path of its own that names others without their schema
works for its users, but not there, and neither does what uses it while it is loaded: an index on it, a generated
column, a check, a materialised view.
"""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.loading import LoadOutcome
from dgtui.engine.datasources.postgres_names import quoted
from dgtui.engine.datasources.postgres_toc import TocEntry

if TYPE_CHECKING:
    import psycopg

_NOT_FOUND = re.compile(
    r'(?<!of )\b(?:relation|type|text search [a-z]+) "[^".]+" does not exist'
    r'|\b(?:function|procedure) (?:"[^"]+"|[^."(]+)\([^)]*\) does not exist'
    r"|\boperator does not exist: "
)
"""Something without a schema before it: what names its schema is not there at all, for want of something else."""
_NO_PATH = b"SELECT pg_catalog.set_config('search_path', '', false);"
_PATH_OF_SESSION = b"RESET search_path".ljust(len(_NO_PATH) - 1) + b";"
"""As long as the other: the archive tells the length of each text before it."""


def misses_path(outcome: LoadOutcome) -> bool:
    """Whether what failed first is that something was not found which a path may lead to."""
    return bool(outcome.errors) and _NOT_FOUND.search(outcome.errors[0].message) is not None


def users_path(connection: "psycopg.Connection[Any]", entries: Iterable[TocEntry]) -> str:
    """The path that sessions of the database have, and after it all other schemas that are loaded."""
    own = connection.execute("SELECT reset_val FROM pg_settings WHERE name = 'search_path'").fetchall()[0][0]
    there = set(own.split(", ")) if own else set()
    schemas = dict.fromkeys(entry.schema for entry in entries if entry.schema)
    more = [quoted(name) for name in schemas if not there & {name, quoted(name)}]
    return ", ".join((*([own] if own else []), *more))


def path_option(path: str) -> str:
    """The path as an option for PGOPTIONS."""
    return "-c search_path=" + re.sub(r"([\\\s])", r"\\\1", path)


def with_path_of_session(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same archive, which asks for the path of the session: it asks for none once, among its first entries.

    pg_restore itself has taken away the path that its session began with.
    """
    held = b""
    remaining = iter(blocks)
    for block in remaining:
        held += bytes(block)
        found = held.find(_NO_PATH)
        if found >= 0:
            yield held[:found] + _PATH_OF_SESSION + held[found + len(_NO_PATH) :]
            yield from remaining
            return
        keep = len(_NO_PATH) - 1
        if len(held) > keep:
            yield held[:-keep]
            held = held[-keep:]
    yield held
