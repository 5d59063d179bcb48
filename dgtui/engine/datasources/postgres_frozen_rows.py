"""Loading rows as frozen, so that the server never has to note of them later that they are valid.

Whoever first reads rows that a COPY brought has the server write all their pages once more (hint bits), here for the
first index, and vacuum writes them a third time. `COPY ... WITH (FREEZE)` writes them once and for all, if the
transaction made the table or emptied it (https://www.postgresql.org/docs/current/sql-copy.html). pg_restore sends the
statement before the rows as the archive tells it, and a message of two statements is one transaction. So the statement
empties the table first: one that this very restore has made, and that nothing can be in.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from dgtui.engine.datasources.loading import LoadOutcome
from dgtui.engine.datasources.postgres_names import plain_name, table_name
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry, head_of

_EMPTIED = "TRUNCATE ONLY "
_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[a-z0-9_]+)'
_COPY = rf"COPY ({_IDENTIFIER})\.({_IDENTIFIER}) (\(.*\) )?FROM stdin;\n*"
_STATEMENT = re.compile(_COPY, re.DOTALL)
_STATEMENT_BYTES = re.compile(_COPY.encode(), re.DOTALL)
_END = b"FROM stdin;"
_FROZEN_END = b"FROM stdin WITH (FREEZE);"
_ACCESS_METHOD = "heap"
_LEAST_BYTES = 1 << 18
"""To empty a table costs the making of new files, which in a small one is more than is gained."""


def with_frozen_rows(
    blocks: Iterable[bytes], toc: Toc, entries: Collection[TocEntry], sizes: Mapping[str, int]
) -> Iterator[bytes]:
    """The same archive, with other statements for the rows of tables that are among the entries themselves.

    All these entries have to be loaded into a database that is new. `sizes` are the bytes of the tables, as far as they
    are known. The places that the archive tells of its data are no longer true: it is for a pipe.
    """
    head, data = head_of(blocks, toc)
    made = {(one.schema, one.tag) for one in entries if one.kind == "TABLE" and one.access_method == _ACCESS_METHOD}
    changed = bytearray(head)
    for entry in sorted(toc.entries, key=lambda entry: entry.copy_at, reverse=True):
        if (entry.schema, entry.tag) in made and _fills_itself(entry) and _is_large(entry, sizes):
            _change(changed, entry.copy_at, toc.integer_bytes)
    yield bytes(changed)
    yield from data


def refuses_frozen_rows(outcome: LoadOutcome) -> bool:
    """Whether what failed first is a statement that was changed, and not the rows."""
    return bool(outcome.errors) and outcome.errors[0].statement.startswith(_EMPTIED)


def _fills_itself(entry: TocEntry) -> bool:
    """Whether it holds rows that go into the table of its name, and not into the one that it is a partition of."""
    match = _STATEMENT.fullmatch(entry.copy)
    return match is not None and (plain_name(match[1]), plain_name(match[2])) == (entry.schema, entry.tag)


def _is_large(entry: TocEntry, sizes: Mapping[str, int]) -> bool:
    return not sizes or sizes.get(table_name(entry.schema, entry.tag), 0) >= _LEAST_BYTES


def _change(head: bytearray, place: int, integer_bytes: int) -> None:
    """Put another text in the place of the statement there, which stands after a sign and its length."""
    begins = place + 1 + integer_bytes
    ends = begins + int.from_bytes(head[place + 1 : begins], "little")
    statement = bytes(head[begins:ends])
    match = _STATEMENT_BYTES.fullmatch(statement)
    # The bytes of a name in another encoding may be quotation marks.
    if match is None:
        return
    table = match[1] + b"." + match[2]
    frozen = b"%b%b; %b%b\n" % (_EMPTIED.encode(), table, statement.rstrip()[: -len(_END)], _FROZEN_END)
    head[place:ends] = b"\0" + len(frozen).to_bytes(integer_bytes, "little") + frozen
