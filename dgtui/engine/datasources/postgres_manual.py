"""The lines of RESTORE.txt for PostgreSQL: how createdb, pg_restore and psql bring a database back."""

import re
import shlex
from collections.abc import Sequence

from dgtui.engine.child import as_comment
from dgtui.engine.datasources.postgres_databases import with_names
from dgtui.engine.datasources.postgres_names import connection_string
from dgtui.engine.datasources.postgres_properties import adaptation
from dgtui.engine.properties import DatabaseProperties

_ASKED = "# The password, where one is needed, is asked for, or taken from $PGPASSWORD or from ~/.pgpass."
_ROLES = "# Owners and grants need their roles: psql -f globals.sql makes them, where that lies beside this text."
_OF_LIBC = (
    "# Where the databases of the server are of ICU or builtin by themselves (psql -l), add: --locale-provider=libc"
)


def manual_rows(archive_file: str, database: str, server: Sequence[str]) -> tuple[str, ...]:
    """Load rows alone into a database that is there, all of them or none."""
    target = connection_string({"dbname": database})
    options = ["--data-only", "--single-transaction", "--exit-on-error"]
    return (
        _ASKED,
        "# This backup holds rows alone: the database and its tables have to be there, and the tables empty.",
        "# Where foreign keys go in a circle, or triggers must not fire: add --disable-triggers, as a superuser.",
        shlex.join(["pg_restore", *server, *options, "-d", target, "--", _as_path(archive_file)]),
    )


def manual_tables(archive_file: str, database: str, server: Sequence[str], tables: Sequence[str]) -> tuple[str, ...]:
    """Make and fill the chosen tables in a database that is there, all of them or none."""
    target = connection_string({"dbname": database})
    options = ["--single-transaction", "--exit-on-error"]
    return (
        _ASKED,
        _ROLES,
        "# This backup holds these alone, without their schemas and without what they refer to:",
        *(as_comment(table) for table in tables),
        "# The database, the schemas and what they refer to have to be there, and the tables themselves not:",
        "# move those that are there to another schema (ALTER TABLE ... SET SCHEMA ...), or drop them.",
        shlex.join(["pg_restore", *server, *options, "-d", target, "--", _as_path(archive_file)]),
    )


def _as_path(archive_file: str) -> str:
    """A name that no option of a tool can be mistaken for."""
    plain = re.match(r"[\w./-]", archive_file) and not archive_file.startswith("-")
    return archive_file if plain else f"./{archive_file}"


def manual_lines(
    archive_file: str,
    database: str,
    server: Sequence[str],
    maintenance_database: str,
    properties: DatabaseProperties | None,
) -> tuple[str, ...]:
    """Make the database as it was, load the archive, and give the new database what no archive holds."""
    target = connection_string({"dbname": database})
    lines = [
        _ASKED,
        _ROLES,
        *([_OF_LIBC] if properties is not None and properties.locale_provider == "libc" else []),
        shlex.join(["createdb", *server, "-T", "template0", *_making(properties), "--", database]),
        shlex.join(["pg_restore", *server, "-d", target, "--", _as_path(archive_file)]),
    ]
    statements = _statements(database, properties) if properties is not None else []
    if statements:
        lines.append("# What belongs to the database and is in no archive; a role that is not here does no harm.")
    there = connection_string({"dbname": maintenance_database})
    lines += [
        shlex.join(["psql", *server, "-X", "-d", there, "-c", statement]) + " || true" for statement in statements
    ]
    return tuple(lines)


def _making(properties: DatabaseProperties | None) -> list[str]:
    """The options of createdb for what can only be said when a database is made."""
    if properties is None:
        return []
    options = {
        "--encoding": properties.encoding,
        "--lc-collate": properties.collation,
        "--lc-ctype": properties.character_type,
    }
    if properties.locale_provider == "icu":
        options |= {
            "--locale-provider": "icu",
            "--icu-locale": properties.locale,
            "--icu-rules": properties.locale_rules,
        }
    elif properties.locale_provider == "builtin":
        options |= {"--locale-provider": "builtin", "--builtin-locale": properties.locale}
    return [f"{name}={value}" for name, value in options.items() if value]


def _statements(database: str, properties: DatabaseProperties) -> list[str]:
    changes = []
    if properties.owner:
        changes.append(with_names("ALTER DATABASE {} OWNER TO {}", database, properties.owner))
    if properties.tablespace not in ("", "pg_default"):
        changes.append(with_names("ALTER DATABASE {} SET TABLESPACE {}", database, properties.tablespace))
    changes += adaptation(database, properties)
    if properties.connection_limit >= 0:
        # Last, because it may be too low for what comes before it.
        limit = str(int(properties.connection_limit))
        changes.append(with_names("ALTER DATABASE {} CONNECTION LIMIT " + limit, database))
    return [change.as_string() for change in changes]
