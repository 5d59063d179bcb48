"""What of an archive only a superuser may make, told before it is loaded."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.postgres_toc import TocEntry
from dgtui.engine.sizes import first_of

if TYPE_CHECKING:
    import psycopg

_SHOWN = 10
_ALWAYS = frozenset(
    {
        "ACCESS METHOD", "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "OPERATOR CLASS", "OPERATOR FAMILY",
        "PUBLICATION TABLES IN SCHEMA", "TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE",
    }
)  # fmt: skip
_WHERE_IT_SAYS = {
    "CAST": re.compile(r"WITHOUT FUNCTION"),
    "FUNCTION": re.compile(r"\n    LANGUAGE (?:c|internal)\b|\n    [^\n]* LEAKPROOF\b"),
    "PUBLICATION": re.compile(r"FOR ALL TABLES"),
    "TYPE": re.compile(r"\n    INPUT = "),
}
_UNTRUSTED = """
SELECT e.name FROM pg_available_extensions e
JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version
WHERE v.superuser AND NOT coalesce((to_jsonb(v) ->> 'trusted')::boolean, false)
"""
_WHO = "SELECT rolsuper, quote_ident(rolname) FROM pg_roles WHERE rolname = current_user"


def superuser_notes(connection: "psycopg.Connection[Any]", entries: Iterable[TocEntry]) -> tuple[str, ...]:
    """What our user may not make on this server, as far as the server itself tells.

    No more than a note: those who run servers for others may let other users make it all the same.
    """
    superuser, role = connection.execute(_WHO).fetchall()[0]
    if superuser:
        return ()
    untrusted = {name for (name,) in connection.execute(_UNTRUSTED).fetchall()}
    names = [_shown(entry) for entry in entries if _needs_superuser(entry, untrusted)]
    if not names:
        return ()
    told = (
        f"Only a superuser may make {first_of(names, _SHOWN)}, and {role} is none: where this server makes no "
        f"exception, the loading fails there. Run as a superuser before it: ALTER ROLE {role} SUPERUSER; and after "
        f"it: ALTER ROLE {role} NOSUPERUSER;"
    )
    return (told,)


def _needs_superuser(entry: TocEntry, untrusted: set[str]) -> bool:
    if entry.kind == "EXTENSION":
        return entry.tag in untrusted
    says = _WHERE_IT_SAYS.get(entry.kind)
    return entry.kind in _ALWAYS or (says is not None and says.search(entry.definition) is not None)


def _shown(entry: TocEntry) -> str:
    return f"{entry.kind.lower()} {entry.schema}.{entry.tag}".replace(" .", " ")
