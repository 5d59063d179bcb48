"""What a PostgreSQL database is beside its content: read, and given to a new one as SQL."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_databases import maintenance_database, with_names
from dgtui.engine.properties import DatabaseGrant, DatabaseProperties, DatabaseSetting

if TYPE_CHECKING:
    import psycopg

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
_PRIVILEGE = re.compile(r"[A-Z]+(?: [A-Z]+)*", re.ASCII)
_DEFAULT_TABLESPACE = "pg_default"
"""Where template0 lies, and with it what is made of it; to name it takes a right that only superusers have."""
_WITH_PROVIDERS = 150000
"""The first version whose databases have a provider of their own."""
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
"""Settings whose value is a list of quoted names, and has to be set as a list."""


def properties(access: Access, database: str) -> DatabaseProperties | None:
    """The properties of a database, or None where there is none."""
    with access.connect(maintenance_database(access, database)) as connection:
        return read_properties(connection, database)


def read_properties(connection: "psycopg.Connection[Any]", database: str) -> DatabaseProperties | None:
    """The properties of a database, asked of any connection to its server."""
    found = connection.execute(
        """SELECT to_jsonb(d), pg_get_userbyid(datdba), spcname, pg_encoding_to_char(encoding),
                  shobj_description(d.oid, 'pg_database'), d.oid::int8
           FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE datname = %s""",
        (database,),
    ).fetchone()
    if found is None:
        return None
    row, owner, tablespace, encoding, comment, oid = found
    grants = connection.execute(
        """SELECT CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END, a.privilege_type,
                  a.is_grantable
           FROM pg_database d, aclexplode(d.datacl) a WHERE d.oid = %s ORDER BY 1, 2""",
        (oid,),
    ).fetchall()
    settings = connection.execute(
        """SELECT CASE setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(setrole) END, text
           FROM pg_db_role_setting, unnest(setconfig) WITH ORDINALITY AS item(text, number)
           WHERE setdatabase = %s ORDER BY setrole, number""",
        (oid,),
    ).fetchall()
    return DatabaseProperties(
        encoding=encoding,
        collation=row["datcollate"],
        character_type=row["datctype"],
        locale_provider=_PROVIDERS.get(row.get("datlocprovider", "c"), "libc"),
        locale=row.get("datlocale") or row.get("daticulocale") or "",
        locale_rules=row.get("daticurules") or "",
        owner=owner,
        tablespace=tablespace,
        connection_limit=row["datconnlimit"],
        comment=comment,
        grants=None
        if row["datacl"] is None
        else tuple(DatabaseGrant(privilege=what, grantee=who, grantable=passed) for who, what, passed in grants),
        settings=tuple(
            DatabaseSetting(name=text.partition("=")[0], value=text.partition("=")[2], role=role)
            for role, text in settings
        ),
    )


def encoding_of(connection: "psycopg.Connection[Any]", database: str) -> str:
    """The encoding of a database, asked of any connection to its server; empty where there is no such database."""
    row = connection.execute(
        "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = %s", (database,)
    ).fetchone()
    return str(row[0]) if row is not None else ""


def creation(server_version: int, database: str, like: DatabaseProperties | None) -> "psycopg.sql.Composed":
    """The statement that makes a database with what can only be said at its making, for a server of that version."""
    from psycopg import sql

    statement = with_names("CREATE DATABASE {} TEMPLATE template0", database)
    if like is None:
        return statement
    options: list[tuple[str, Any]] = [
        ("OWNER", sql.Identifier(like.owner) if like.owner else None),
        ("TABLESPACE", sql.Identifier(like.tablespace) if like.tablespace not in ("", _DEFAULT_TABLESPACE) else None),
        ("ENCODING", sql.Literal(like.encoding) if like.encoding else None),
        ("LC_COLLATE", sql.Literal(like.collation) if like.collation else None),
        ("LC_CTYPE", sql.Literal(like.character_type) if like.character_type else None),
        ("CONNECTION LIMIT", sql.Literal(max(like.connection_limit, -1))),
    ]
    if like.locale_provider == "icu":
        options += [("LOCALE_PROVIDER", sql.SQL("icu")), ("ICU_LOCALE", sql.Literal(like.locale))]
        if like.locale_rules:
            options.append(("ICU_RULES", sql.Literal(like.locale_rules)))
    elif like.locale_provider == "builtin":
        options += [("LOCALE_PROVIDER", sql.SQL("builtin")), ("BUILTIN_LOCALE", sql.Literal(like.locale))]
    elif like.locale_provider and server_version >= _WITH_PROVIDERS:
        # Without it, it would be that of template0.
        options.append(("LOCALE_PROVIDER", sql.SQL("libc")))
    for name, value in options:
        if value is not None:
            statement += sql.SQL(" {} = {}").format(sql.SQL(name), value)  # names are constants
    return statement


def adaptation(database: str, like: DatabaseProperties) -> Iterator["psycopg.sql.Composed"]:
    """The statements that give comment, grants and settings to a new database."""
    from psycopg import sql

    if like.comment is not None:
        yield with_names("COMMENT ON DATABASE {} IS ", database) + sql.Literal(like.comment)
    if like.grants is not None:
        yield with_names("REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
        if like.owner:
            yield with_names("REVOKE ALL ON DATABASE {} FROM {}", database, like.owner)
    for grant in like.grants or ():
        if not _PRIVILEGE.fullmatch(grant.privilege):  # it may come from a manifest that somebody wrote
            continue
        who = sql.SQL("PUBLIC") if grant.grantee is None else sql.Identifier(grant.grantee)
        statement = sql.SQL("GRANT {} ON DATABASE {} TO {}").format(
            sql.SQL(grant.privilege),  # key words, as just checked
            sql.Identifier(database),
            who,
        )
        yield statement + sql.SQL(" WITH GRANT OPTION" if grant.grantable else "")
    for setting in like.settings:
        yield _set(database, setting)


def _set(database: str, setting: DatabaseSetting) -> "psycopg.sql.Composed":
    from psycopg import sql

    head = (
        with_names("ALTER DATABASE {} SET ", database)
        if setting.role is None
        else with_names("ALTER ROLE {} IN DATABASE {} SET ", setting.role, database)
    )
    values = _list_items(setting.value) if setting.name.lower() in _LISTS else [setting.value]
    parts = [sql.Identifier(part) for part in setting.name.split(".")]
    return head + sql.SQL(".").join(parts) + sql.SQL(" TO ") + sql.SQL(", ").join(map(sql.Literal, values))


def _list_items(text: str) -> list[str]:
    """The items of a list of names as PostgreSQL stores it: `"$user", public`."""
    items, current, inside = [], "", False
    for index, character in enumerate(text):
        if character == '"':
            if inside and text[index + 1 : index + 2] == '"':
                current += '"'
            inside = not inside
        elif character == "," and not inside:
            items.append(current.strip())
            current = ""
        else:
            current += character
    return [*items, current.strip()]
