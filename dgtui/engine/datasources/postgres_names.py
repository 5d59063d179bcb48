"""Names in PostgreSQL: quoted for SQL, for connection strings and for the patterns of pg_dump, and read back."""

import hashlib
import re

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_QUOTED_NAME = re.compile(r'(?:"((?:[^"]|"")+)"|([^".]+))(?:\.(?:"((?:[^"]|"")+)"|([^"]+)))?')
_LONGEST_NAME = 63
"""Bytes of an identifier, in every build that is not patched."""


def name_mistake(name: str) -> str | None:
    """What is wrong with the name of a database: the server itself would cut a longer one, and take another one."""
    return None if len(name.encode("utf-8", "surrogateescape")) <= _LONGEST_NAME else "expected at most 63 bytes"


def quoted(name: str) -> str:
    """A name for SQL and for the patterns of pg_dump, where quotes make every character stand for itself."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """A name with its schema for SQL, whatever the search path is."""
    return f"{quoted(schema)}.{quoted(name)}"


def plain_name(text: str) -> str:
    """The name that stands in SQL, quoted or not."""
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def shown(name: str) -> str:
    """A name as PostgreSQL itself shows it: quoted only where it has to be."""
    return name if _PLAIN.fullmatch(name) else quoted(name)


def table_name(schema: str, name: str) -> str:
    """The one form in which tables are named: in a probe, a manifest, an inventory and a selection."""
    return f"{shown(schema)}.{shown(name)}"


def parse_table_name(text: str) -> tuple[str | None, str]:
    """Schema (None: any) and name of a table as `table_name` or a person writes it.

    Without quotes everything up to the first dot is the schema, and letters keep their case.
    """
    match = _QUOTED_NAME.fullmatch(text)
    if match is None:
        schema, dot, name = text.partition(".")
        return (schema, name) if dot and schema and name else (None, text)
    first, second = (
        group[0].replace('""', '"') if group[0] else group[1] for group in (match.groups()[:2], match.groups()[2:])
    )
    return (first, second) if second else (None, first)


def table_pattern(text: str) -> str:
    """A pattern of pg_dump that matches exactly this table."""
    schema, name = parse_table_name(text)
    return f"{'*' if schema is None else quoted(schema)}.{quoted(name)}"


def table_matches(text: str, schema: str, name: str) -> bool:
    """Whether `text` (a name in a job or a selection) means this table."""
    wanted_schema, wanted_name = parse_table_name(text)
    return wanted_name == name and wanted_schema in (None, schema)


def connection_string(parameters: dict[str, str]) -> str:
    """A libpq connection string in which every value is data, whatever it holds."""
    return " ".join(f"{key}={_value(value)}" for key, value in parameters.items())


def _value(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def name_beside(name: str, suffix: str) -> str:
    """`name` with `suffix`, within the longest name; shortened ones stay distinct by a digest."""
    room = _LONGEST_NAME - len(suffix.encode())
    if len(name.encode()) <= room:
        return name + suffix
    digest = "_" + hashlib.sha256(name.encode()).hexdigest()[:6]
    kept = name.encode()[: room - len(digest)].decode("utf-8", "ignore")
    return kept + digest + suffix
