"""Databases as targets of a restore: looked at and removed."""

from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_names import name_mistake, shown, table_name
from dgtui.engine.datasources.postgres_queries import clients_of
from dgtui.engine.datasources.postgres_replication import let_go
from dgtui.engine.errors import ConfigError, RestoreError
from dgtui.engine.model import ObjectInfo

if TYPE_CHECKING:
    import psycopg

_TEMPLATES = frozenset({"template0", "template1"})
_OBJECTS = """
SELECT n.nspname, c.relname, {size}
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
_SIZE = "pg_total_relation_size(c.oid)"
_SIZE_WITHOUT_LOCK = "c.relpages * current_setting('block_size')::int8"


def maintenance_database(access: Access, besides: str = "") -> str:
    """A database to be connected to while another one is made, renamed or removed."""
    wanted = access.settings.maintenance_database
    return wanted if wanted != besides else "template1"


def exists(connection: "psycopg.Connection[Any]", database: str) -> bool:
    """Whether there is a database of this name."""
    return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is not None


def target_state(access: Access, database: str) -> TargetState:
    """A database as it is now. Raises ConfigError, RestoreError for a name that no target can have."""
    if mistake := name_mistake(database):
        raise ConfigError(
            f"No database of PostgreSQL can be called {database}: {mistake}",
            subject=database,
            hint="Choose a shorter name with --into",
        )
    if database in _TEMPLATES:
        raise RestoreError(
            f"{database} is what the server makes every new database of: nothing is restored into it",
            subject=database,
            hint="Restore under another name with --into NAME",
        )
    with access.connect(maintenance_database(access)) as connection:
        if not exists(connection, database):
            return TargetState(exists=False)
        clients = clients_of(connection, database)
        size = connection.execute("SELECT pg_database_size(%s)", (database,)).fetchall()[0][0]
    with access.connect(database) as connection:
        rows = _objects(connection)
    objects = tuple(ObjectInfo(name=table_name(schema, name), bytes=size) for schema, name, size in rows)
    return TargetState(exists=True, objects=objects, clients=clients, size_bytes=size)


def _objects(connection: "psycopg.Connection[Any]") -> list[tuple[str, str, int]]:
    """Schema, name and size of what is in a database; a table that somebody has locked is not waited for."""
    import psycopg

    connection.execute("SET lock_timeout = '100ms'")
    try:
        return connection.execute(_OBJECTS.format(size=_SIZE).encode()).fetchall()
    except psycopg.errors.LockNotAvailable:
        return connection.execute(_OBJECTS.format(size=_SIZE_WITHOUT_LOCK).encode()).fetchall()


def with_names(template: str, *names: str) -> "psycopg.sql.Composed":
    """A statement with names put into its gaps, quoted."""
    from psycopg import sql

    # The templates are this module's own constants; only names are put into them, quoted.
    return sql.SQL(template).format(*map(sql.Identifier, names))


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
            _drop(connection, database)
        except psycopg.errors.ObjectInUse as error:
            if connection.info.server_version >= 100000:
                let_go(access, database)
            _drop_at_last(connection, database, error)


def _drop(connection: "psycopg.Connection[Any]", database: str) -> None:
    import psycopg

    if connection.info.server_version < 130000:
        end_sessions(connection, (database,))
        connection.execute(with_names("DROP DATABASE IF EXISTS {}", database))
        return
    try:
        connection.execute(with_names("DROP DATABASE IF EXISTS {} WITH (FORCE)", database))
    except psycopg.errors.InsufficientPrivilege:
        # With FORCE it is asked for the right to end autovacuum too, which only a superuser has; without, the server
        # ends that by itself.
        _drop_without_force(connection, database)


def _drop_without_force(connection: "psycopg.Connection[Any]", database: str) -> None:
    import psycopg

    statement = with_names("DROP DATABASE IF EXISTS {}", database)
    try:
        # Whoever may not remove it is told so before anybody's session is ended.
        connection.execute(statement)
    except psycopg.errors.ObjectInUse:
        end_sessions(connection, (database,))
        connection.execute(statement)


def _drop_at_last(connection: "psycopg.Connection[Any]", database: str, first: "psycopg.Error") -> None:
    import psycopg

    try:
        _drop(connection, database)
    except psycopg.errors.ObjectInUse as error:
        raise RestoreError(
            f"{shown(database)} cannot be removed: {str(error).splitlines()[0]}",
            subject=database,
            hint="End its replication slots, subscriptions and prepared transactions, then try again",
        ) from first


def end_sessions(connection: "psycopg.Connection[Any]", databases: tuple[str, ...]) -> int:
    """End every other session in these databases; the number of those found.

    Autovacuum is no session of anybody, and only a superuser may end it: who renames or removes a database need not,
    the server does so itself.
    """
    return len(
        connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = ANY(%s) AND pid <> pg_backend_pid()
                 AND (usesysid IS NOT NULL OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))""",
            (list(databases),),
        ).fetchall()
    )
