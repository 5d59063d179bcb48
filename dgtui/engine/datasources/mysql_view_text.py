"""Views as the dump tool writes them: with their database where the server names it."""

import re
from functools import lru_cache

_NAME = rb"`(?:[^`]|``)+`"
_LITERAL = rb"'(?:[^'\\]|\\.|'')*'"
_EXTRACT = rb"\bextract\(\w+ from "
_TRIM = rb"(?P<trim>\btrim\((?:both|leading|trailing) )(?P<trimmed>(?:" + _LITERAL + rb"|[^'])*?)(?P<of> from )"


def with_database(text: bytes, source: bytes, target: bytes) -> bytes:
    """The same statements, in which the database `source` is `target`; both are quoted.

    The server writes it out before functions and sequences, before tables and their columns where a view also reads
    another database, and before columns where its definer is gone. What stands before a column alone is no database
    but a table or an alias, which may be called the same.
    """

    def moved(match: re.Match[bytes]) -> bytes:
        if match["trim"]:
            # No table comes after this FROM.
            return match["trim"] + with_database(match["trimmed"], source, target) + match["of"]
        before = match["table"] or match["sequence"]
        return match[0] if before is None and not match["other"] else (before or b"") + target + b"."

    return _pattern(source).sub(moved, text)


@lru_cache(maxsize=16)
def _pattern(source: bytes) -> re.Pattern[bytes]:
    own = re.escape(source) + rb"\."
    table = rb"(?P<table>\b(?:from|join) \(*|\bVIEW )" + own
    sequence = rb"(?P<sequence>\b(?:nextval|lastval|setval)\()" + own
    other = rb"(?P<other>(?<!\.)" + own + rb")(?=" + _NAME + rb"[.(])"
    return re.compile(b"|".join((_LITERAL, _EXTRACT, _TRIM, table, sequence, other, _NAME)), re.DOTALL)
