"""Loading archives that tell what a server keeps for itself among the options of a column.

From 15.20 on a server keeps a number there, `pg_attver`. A pg_dump that is older does not know it, and writes it down
as if somebody had set it; a server that is older as well refuses it, and with it the table in whose definition it is.
"""

import re
from collections.abc import Iterable, Iterator

from dgtui.engine.datasources.postgres_toc import Toc, head_of

_OPTION = "pg_attver="
_NAMES = rb'(?:"(?:[^"]|"")*"|[^";])*?'
_SETTING = re.compile(
    rb"^ALTER (?:FOREIGN )?TABLE ONLY " + _NAMES + rb" ALTER COLUMN " + _NAMES + rb" SET (\([^()\";]*\));$",
    re.MULTILINE,
)
_ALONE = re.compile(rb"\(pg_attver=\d+\)")
_AMONG_OTHERS = re.compile(rb", pg_attver=\d+|pg_attver=\d+, ")


def has_inner_options(toc: Toc) -> bool:
    """Whether an archive tells any."""
    return any(_OPTION in entry.definition for entry in toc.entries)


def without_inner_options(blocks: Iterable[bytes], toc: Toc) -> Iterator[bytes]:
    """The same archive, with blanks in their place: it tells the length of each text before it."""
    head, data = head_of(blocks, toc)
    yield _blanked(head)
    yield from data


def _blanked(head: bytes) -> bytes:
    return _SETTING.sub(_without_option, head)


def _without_option(setting: re.Match[bytes]) -> bytes:
    options = setting[1]
    if _ALONE.fullmatch(options):
        return b" " * len(setting[0])
    kept = _AMONG_OTHERS.sub(lambda option: b" " * len(option[0]), options)
    return setting[0][: -len(options) - 1] + kept + b";"
