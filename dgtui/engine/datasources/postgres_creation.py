"""Making a PostgreSQL database: exactly like another one, or with recorded properties as far as the server has them."""

from typing import TYPE_CHECKING, Any

import msgspec

from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_databases import maintenance_database, with_names
from dgtui.engine.datasources.postgres_names import shown
from dgtui.engine.datasources.postgres_properties import adaptation, creation
from dgtui.engine.datasources.postgres_rights import usable_roles
from dgtui.engine.errors import DataGuardianError, PermissionDenied, RestoreError
from dgtui.engine.properties import DatabaseProperties

if TYPE_CHECKING:
    import psycopg

_SESSIONS_OF_A_RESTORE = 8
"""A database that takes fewer could not be loaded by a user whom its limit binds."""
_LOCALES = """
SELECT lower(replace(collcollate, '-', '')) FROM pg_collation WHERE collcollate IS NOT NULL
UNION SELECT lower(replace(datcollate, '-', '')) FROM pg_database
UNION SELECT lower(replace(datctype, '-', '')) FROM pg_database
UNION VALUES ('c'), ('posix')
"""
_TABLESPACE_BARS = """
SELECT 1 FROM pg_roles, pg_tablespace WHERE rolname = current_user AND rolcreatedb
  AND spcname = %s AND spcname <> 'pg_default' AND NOT has_tablespace_privilege(pg_tablespace.oid, 'CREATE')
"""


def create_database(access: Access, database: str, like: DatabaseProperties | None) -> None:
    """Make an empty database with these properties; removes it again where one of them cannot be had."""
    import psycopg

    with access.connect(maintenance_database(access)) as connection:
        _create(access, connection, database, like)
        try:
            with connection.transaction():
                for statement in adaptation(database, like) if like is not None else ():
                    connection.execute(statement)
        except psycopg.Error as error:
            if not connection.broken:
                connection.execute(with_names("DROP DATABASE {}", database))
            raise PermissionDenied(
                f"The properties of the database cannot be given to the new one: {str(error).splitlines()[0]}",
                subject=database,
                hint="Restore as the database's owner or as a superuser",
            ) from error


def create_as_recorded(access: Access, database: str, recorded: DatabaseProperties) -> tuple[str, ...]:
    """Make an empty database with what of these properties the server has; says what was left out besides.

    What `lacking` told before is not told again: only what the server refused all the same.
    """
    import psycopg

    with access.connect(maintenance_database(access)) as connection:
        wanted, _ = _possible(connection, recorded)
        notes = _create_somehow(access, connection, database, wanted)
        for statement in adaptation(database, wanted):
            try:
                connection.execute(statement)
            except psycopg.Error as error:
                if connection.broken:
                    raise
                notes.append(_left_out(statement.as_string(connection), error))
    notes += _settings_that_bar(access, database, wanted)
    return tuple(notes)


def lacking(access: Access, recorded: DatabaseProperties) -> tuple[str, ...]:
    """What of these properties the server does not have, each as a sentence."""
    with access.connect(maintenance_database(access)) as connection:
        return tuple(_possible(connection, recorded)[1])


def _create(
    access: Access, connection: "psycopg.Connection[Any]", database: str, like: DatabaseProperties | None
) -> None:
    import psycopg

    try:
        connection.execute(creation(connection.info.server_version, database, like))
    except psycopg.errors.InsufficientPrivilege as error:
        role = access.acting(connection.info.dbname)
        command = f"ALTER ROLE {shown(role)} CREATEDB"
        if like is not None and connection.execute(_TABLESPACE_BARS, (like.tablespace,)).fetchone():
            command = f"GRANT CREATE ON TABLESPACE {shown(like.tablespace)} TO {shown(role)}"
        raise PermissionDenied(
            f"{role} may not make the database {shown(database)}: {str(error).splitlines()[0]}",
            subject=database,
            hint=f"Run as a superuser: {command};",
        ) from error
    except psycopg.Error as error:
        if connection.broken:
            raise
        raise RestoreError(
            f"The database {shown(database)} cannot be made: {str(error).splitlines()[0]}", subject=database
        ) from error


def _create_somehow(
    access: Access, connection: "psycopg.Connection[Any]", database: str, wanted: DatabaseProperties
) -> list[str]:
    """Make it with the locale, else with the server's own one, else with the one that fits every encoding."""
    import psycopg

    own = msgspec.structs.replace(wanted, collation="", character_type="", locale_provider="", locale="")
    plain = msgspec.structs.replace(own, collation="C", character_type="C", locale_provider="libc")
    first: psycopg.Error | None = None
    for attempt in (wanted, own, plain):
        try:
            connection.execute(creation(connection.info.server_version, database, attempt))
        except psycopg.Error as error:
            if connection.broken:
                raise
            first = first or error
            continue
        return [] if first is None else [_left_out(f"The locale {wanted.locale or wanted.collation}", first)]
    _create(access, connection, database, None)
    return [_left_out("All properties", first)] if first is not None else []


def _possible(
    connection: "psycopg.Connection[Any]", recorded: DatabaseProperties
) -> tuple[DatabaseProperties, list[str]]:
    """What of these properties the server can give, and sentences about the rest."""
    notes: list[str] = []
    roles = usable_roles(connection)
    superuser = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchall()[0][0]
    changes: dict[str, Any] = {}
    if recorded.owner and not roles.get(recorded.owner, False):
        why = (
            "is not a role of this server" if recorded.owner not in roles else "is a role that our user is no member of"
        )
        notes.append(f"The owner {recorded.owner} {why}: the database will belong to the user that restores")
        changes["owner"] = ""
    spaces = {name for (name,) in connection.execute("SELECT spcname FROM pg_tablespace").fetchall()}
    if recorded.tablespace and recorded.tablespace not in spaces:
        notes.append(f"The tablespace {recorded.tablespace} is not on this server: the usual one is used")
        changes["tablespace"] = ""
    if 0 <= recorded.connection_limit < _SESSIONS_OF_A_RESTORE and not superuser:
        notes.append(f"CONNECTION LIMIT {recorded.connection_limit} is left out: the restore itself needs more")
        changes["connection_limit"] = -1
    changes.update(_possible_locale(connection, recorded, notes))
    changes["grants"] = recorded.grants and _with_roles(recorded.grants, roles, notes, "The grants")
    named = {name.lower() for (name,) in connection.execute("SELECT name FROM pg_settings").fetchall()}
    # The catalog keeps DateStyle and TimeZone in their own case.
    plain = {entry.name for entry in recorded.settings if "." not in entry.name}
    unknown = sorted(name for name in plain if name.lower() not in named)
    if unknown:
        notes.append(f"This server does not know the settings {', '.join(unknown)}: they are left out")
    kept = tuple(entry for entry in recorded.settings if entry.name not in unknown)
    changes["settings"] = _with_roles(kept, roles, notes, "The settings")
    return msgspec.structs.replace(recorded, **changes), notes


def _possible_locale(
    connection: "psycopg.Connection[Any]", recorded: DatabaseProperties, notes: list[str]
) -> dict[str, str]:
    known = {name for (name,) in connection.execute(_LOCALES.encode()).fetchall()}
    absent = [
        name
        for name in dict.fromkeys((recorded.collation, recorded.character_type))
        if name and name.lower().replace("-", "") not in known
    ]
    if not absent:
        return {}
    notes.append(
        f"The locale {', '.join(absent)} is not on this server, so its own one is used and texts may sort in another "
        f"order. To have it: localedef or dpkg-reconfigure locales, and start the server anew"
    )
    return {"collation": "", "character_type": ""}


def _with_roles(entries: Any, roles: dict[str, bool], notes: list[str], what: str) -> tuple[Any, ...]:
    """Those of grants or settings whose role is there."""
    names = [getattr(entry, "grantee", None) or getattr(entry, "role", None) for entry in entries]
    absent = sorted({name for name in names if name is not None and name not in roles})
    if absent:
        notes.append(f"{what} of roles that are not on this server are left out: {', '.join(absent)}")
    return tuple(entry for entry, name in zip(entries, names, strict=True) if name is None or name in roles)


def _settings_that_bar(access: Access, database: str, wanted: DatabaseProperties) -> list[str]:
    """Take the settings away again where nobody gets into the database with them: a library that is not here."""
    if not wanted.settings:
        return []
    try:
        access.open(database).close()
    except DataGuardianError as error:
        with access.connect(maintenance_database(access)) as connection:
            connection.execute(with_names("ALTER DATABASE {} RESET ALL", database))
        return [f"The settings of the database are left out, because with them nobody can connect: {error.message}"]
    return []


def _left_out(what: str, error: "psycopg.Error | None") -> str:
    return f"{what} is left out: {str(error).splitlines()[0]}"
