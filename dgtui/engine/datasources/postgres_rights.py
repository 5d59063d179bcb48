"""What rights a user of PostgreSQL has: in whose name it may act, and which it lacks for a full dump."""

from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.postgres_queries import USERS_OWN

if TYPE_CHECKING:
    import psycopg

_MANY_RIGHTS = 20
_UNREADABLE = f"""
SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S', 'm') AND {USERS_OWN}
  AND NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
                         ELSE has_table_privilege(c.oid, 'SELECT') END
ORDER BY 1 DESC, 2
"""  # noqa: S608

_UNUSABLE_SCHEMAS = """
SELECT quote_ident(nspname) FROM pg_namespace n
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT has_schema_privilege(oid, 'USAGE')
  AND EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = n.oid) ORDER BY 1
"""

_HIDDEN_ROWS = f"""
SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND {USERS_OWN}
  AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)
  AND (c.relforcerowsecurity OR NOT pg_has_role(c.relowner, 'USAGE')) LIMIT 1
"""  # noqa: S608

_UNREADABLE_LARGE_OBJECTS = """
SELECT oid::int8 FROM pg_largeobject_metadata m
WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
  AND NOT pg_has_role(lomowner, 'USAGE')
  AND NOT EXISTS (SELECT 1 FROM aclexplode(m.lomacl) a
                  WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))
ORDER BY 1
"""

_ROLES = "SELECT rolname, pg_has_role(current_user, oid, 'USAGE') AND pg_has_role(current_user, oid, %s) FROM pg_roles"


def usable_roles(connection: "psycopg.Connection[Any]") -> dict[str, bool]:
    """All roles of the server, and whether our user may make them owners and go on working on what is theirs then."""
    # Since 16 a membership may be one without the right to act as the role: who makes a role gets no more by it.
    acting = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    return dict(connection.execute(_ROLES, (acting,)).fetchall())


def missing_rights(connection: "psycopg.Connection[Any]") -> tuple[str, ...]:
    """The commands that let the user read everything a full dump reads."""
    user, superuser = connection.execute(
        "SELECT quote_ident(current_user), rolsuper FROM pg_roles WHERE rolname = current_user"
    ).fetchall()[0]
    if superuser:
        return ()
    commands = [
        f"GRANT USAGE ON SCHEMA {schema} TO {user};" for (schema,) in connection.execute(_UNUSABLE_SCHEMAS).fetchall()
    ]
    commands += [
        f"GRANT SELECT ON {kind} {name} TO {user};" for kind, name in connection.execute(_UNREADABLE).fetchall()
    ]
    if len(commands) > _MANY_RIGHTS and connection.info.server_version >= 140000:
        commands = [f"GRANT pg_read_all_data TO {user};"]
    if connection.execute(_HIDDEN_ROWS).fetchone():
        commands.append(f"ALTER ROLE {user} BYPASSRLS;")
    large = [oid for (oid,) in connection.execute(_UNREADABLE_LARGE_OBJECTS).fetchall()]
    if large:
        commands.append(f"GRANT SELECT ON LARGE OBJECT {', '.join(map(str, large))} TO {user};")
    return tuple(commands)
