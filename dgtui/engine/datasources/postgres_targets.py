"""Databases as targets of a restore: looked at, made like another one, removed."""

from typing import TYPE_CHECKING, Any, NamedTuple

from dgtui.engine.datasources.base import TargetState
from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_names import shown, table_name
from dgtui.engine.datasources.postgres_queries import clients_of
from dgtui.engine.errors import PermissionDenied, RestoreError
from dgtui.engine.model import ObjectInfo

if TYPE_CHECKING:
    import psycopg

_TEMPLATES = frozenset({"template0", "template1"})
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
_OBJECTS = """
SELECT n.nspname, c.relname, pg_total_relation_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'a', 'i'))
UNION ALL
SELECT n.nspname, p.proname, 0 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
UNION ALL
SELECT n.nspname, t.typname, 0 FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'r') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d
                  WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype IN ('e', 'i'))
UNION ALL
SELECT 'pg_catalog', 'large objects', 0 WHERE EXISTS (SELECT 1 FROM pg_largeobject_metadata)
ORDER BY 1, 2
"""


class DatabaseProperties(NamedTuple):
    """What `CREATE DATABASE` and its `ALTER`s say of a database, beside its content."""

    row: dict[str, Any]
    """Its row of pg_database."""
    owner: str
    tablespace: str
    encoding: str
    comment: str | None
    grants: list[tuple[str | None, str, bool]]
    """Grantee (None: everybody), privilege, whether it may be passed on."""
    settings: list[tuple[str | None, str]]
    """Role (None: all) and `name=value`."""


def maintenance_database(access: Access, besides: str = "") -> str:
    """A database to be connected to while another one is made, renamed or removed."""
    wanted = access.settings.maintenance_database
    return wanted if wanted != besides else "template1"


def exists(connection: "psycopg.Connection[Any]", database: str) -> bool:
    """Whether there is a database of this name."""
    return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is not None


def target_state(access: Access, database: str) -> TargetState:
    """A database as it is now."""
    with access.connect(maintenance_database(access)) as connection:
        if not exists(connection, database):
            return TargetState(exists=False)
        clients = clients_of(connection, database)
        size = connection.execute("SELECT pg_database_size(%s)", (database,)).fetchall()[0][0]
    with access.connect(database) as connection:
        rows = connection.execute(_OBJECTS).fetchall()
    objects = tuple(ObjectInfo(name=table_name(schema, name), bytes=size) for schema, name, size in rows)
    return TargetState(exists=True, objects=objects, clients=clients, size_bytes=size)


def properties(access: Access, database: str) -> DatabaseProperties | None:
    """The properties of a database, or None where there is none."""
    with access.connect(maintenance_database(access, database)) as connection:
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
               FROM pg_database d, aclexplode(d.datacl) a WHERE d.oid = %s""",
            (oid,),
        ).fetchall()
        settings = connection.execute(
            """SELECT CASE setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(setrole) END, unnest(setconfig)
               FROM pg_db_role_setting WHERE setdatabase = %s""",
            (oid,),
        ).fetchall()
    return DatabaseProperties(row, owner, tablespace, encoding, comment, grants, settings)


def create_database(access: Access, database: str, like: DatabaseProperties | None) -> None:
    """Make an empty database with these properties; removes it again where one of them cannot be had."""
    import psycopg

    with access.connect(maintenance_database(access)) as connection:
        try:
            connection.execute(_creation(database, like))
        except psycopg.errors.InsufficientPrivilege as error:
            raise PermissionDenied(
                f"{access.user} may not make the database {shown(database)}: {str(error).splitlines()[0]}",
                subject=database,
                hint=f'Run as a superuser: ALTER ROLE "{access.user}" CREATEDB;',
            ) from error
        except psycopg.Error as error:
            if connection.broken:
                raise
            raise RestoreError(
                f"The database {shown(database)} cannot be made: {str(error).splitlines()[0]}", subject=database
            ) from error
        try:
            with connection.transaction():
                for statement in _adaptation(database, like) if like is not None else []:
                    connection.execute(statement)
        except psycopg.Error as error:
            if not connection.broken:
                connection.execute(with_names("DROP DATABASE {}", database))
            raise PermissionDenied(
                f"The properties of the database cannot be given to the new one: {str(error).splitlines()[0]}",
                subject=database,
                hint="Restore as the database's owner or as a superuser",
            ) from error


def with_names(template: str, *names: str) -> "psycopg.sql.Composed":
    """A statement with names put into its gaps, quoted."""
    from psycopg import sql

    # The templates are this module's own constants; only names are put into them, quoted.
    return sql.SQL(template).format(*map(sql.Identifier, names))


def _creation(database: str, like: DatabaseProperties | None) -> "psycopg.sql.Composed":
    from psycopg import sql

    statement = with_names("CREATE DATABASE {} TEMPLATE template0", database)
    if like is None:
        return statement
    row = like.row
    options: list[tuple[str, Any]] = [
        ("OWNER", sql.Identifier(like.owner)),
        ("TABLESPACE", sql.Identifier(like.tablespace)),
        ("ENCODING", sql.Literal(like.encoding)),
        ("LC_COLLATE", sql.Literal(row["datcollate"])),
        ("LC_CTYPE", sql.Literal(row["datctype"])),
        ("CONNECTION LIMIT", sql.Literal(row["datconnlimit"])),
    ]
    provider = row.get("datlocprovider", "c")
    locale = row.get("datlocale") or row.get("daticulocale")
    if provider == "i":
        options += [("LOCALE_PROVIDER", sql.SQL("icu")), ("ICU_LOCALE", sql.Literal(locale))]
        if row.get("daticurules"):
            options.append(("ICU_RULES", sql.Literal(row["daticurules"])))
    elif provider == "b":
        options += [("LOCALE_PROVIDER", sql.SQL("builtin")), ("BUILTIN_LOCALE", sql.Literal(locale))]
    for name, value in options:
        statement += sql.SQL(" {} = {}").format(sql.SQL(name), value)  # names are constants
    return statement


def _adaptation(database: str, like: DatabaseProperties) -> list["psycopg.sql.Composed"]:
    """The statements that give comment, grants and settings to a new database."""
    from psycopg import sql

    statements = []
    if like.comment is not None:
        statements.append(with_names("COMMENT ON DATABASE {} IS ", database) + sql.Literal(like.comment))
    if like.row["datacl"] is not None:
        statements.append(with_names("REVOKE ALL ON DATABASE {} FROM PUBLIC", database))
        statements.append(with_names("REVOKE ALL ON DATABASE {} FROM {}", database, like.owner))
    for grantee, privilege, passed_on in like.grants:
        who = sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee)
        statement = sql.SQL("GRANT {} ON DATABASE {} TO {}").format(
            sql.SQL(privilege),  # a key word of the server's
            sql.Identifier(database),
            who,
        )
        statements.append(statement + sql.SQL(" WITH GRANT OPTION" if passed_on else ""))
    for role, setting in like.settings:
        name, _, value = setting.partition("=")
        head = (
            with_names("ALTER DATABASE {} SET ", database)
            if role is None
            else with_names("ALTER ROLE {} IN DATABASE {} SET ", role, database)
        )
        values = _list_items(value) if name.lower() in _LISTS else [value]
        parts = [sql.Identifier(part) for part in name.split(".")]
        statements.append(
            head + sql.SQL(".").join(parts) + sql.SQL(" TO ") + sql.SQL(", ").join(map(sql.Literal, values))
        )
    return statements


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


def drop_database(access: Access, database: str) -> None:
    """Remove a database, whoever is connected; never one that the server itself lives by."""
    import psycopg

    if database in _TEMPLATES or database == access.settings.maintenance_database:
        raise RestoreError(
            f"{shown(database)} is needed by the server itself and is not removed",
            subject=database,
            hint="Choose another target; `maintenance_database` names the database to stay connected to",
        )
    with access.connect(maintenance_database(access)) as connection:
        template = connection.execute(
            "SELECT datistemplate FROM pg_database WHERE datname = %s", (database,)
        ).fetchone()
        if template is None:
            return
        if template[0]:
            raise RestoreError(
                f"{shown(database)} is a template and is not removed",
                subject=database,
                hint=f"Choose another target, or first: ALTER DATABASE {shown(database)} IS_TEMPLATE false;",
            )
        try:
            if connection.info.server_version >= 130000:
                connection.execute(with_names("DROP DATABASE IF EXISTS {} WITH (FORCE)", database))
            else:
                end_sessions(connection, (database,))
                connection.execute(with_names("DROP DATABASE IF EXISTS {}", database))
        except psycopg.errors.ObjectInUse as error:
            raise RestoreError(
                f"{shown(database)} cannot be removed: {str(error).splitlines()[0]}",
                subject=database,
                hint="End its replication slots, subscriptions and prepared transactions, then try again",
            ) from error


def end_sessions(connection: "psycopg.Connection[Any]", databases: tuple[str, ...]) -> int:
    """End every other session in these databases; the number of those found."""
    return len(
        connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = ANY(%s) AND pid <> pg_backend_pid()""",
            (list(databases),),
        ).fetchall()
    )
