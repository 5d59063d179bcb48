"""What binds a PostgreSQL database to other servers and to no session: subscriptions, slots, prepared transactions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_names import quoted, shown
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import Reporter

if TYPE_CHECKING:
    import psycopg

_SHOWN = 5
_OF_DATABASE = "subdbid = (SELECT oid FROM pg_database WHERE datname = %s)"
_ENABLED = f"SELECT subname FROM pg_subscription WHERE subenabled AND {_OF_DATABASE} ORDER BY subname"  # noqa: S608
_SLOTS = "SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical' AND database = %s ORDER BY slot_name"
_PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = %s ORDER BY prepared"
_WITHOUT_ITS_SLOT = f"""
SELECT subname FROM pg_subscription s
WHERE {_OF_DATABASE} AND (
    subslotname IS NULL
    OR NOT subenabled AND NOT EXISTS (SELECT 1 FROM pg_subscription_rel r WHERE r.srsubid = s.oid)
    OR EXISTS (SELECT 1 FROM pg_subscription o WHERE o.subdbid <> s.subdbid
               AND o.subslotname = s.subslotname AND o.subconninfo = s.subconninfo))
"""  # noqa: S608  # constants
"""Those that never received anything, and those whose slot another database of this server receives from as well."""
_WITH_PUBLICATIONS = 100000
_IN_PART = 150000
"""The first version that publishes some of the columns and rows of a table."""
_PUBLISHED = """
SELECT pg_get_expr(p.prqual, p.prrelid), quote_ident(b.pubname), c.oid::regclass::text,
       array(SELECT quote_ident(a.attname) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum = ANY(p.prattrs) ORDER BY a.attnum)
FROM pg_publication_rel p JOIN pg_publication b ON b.oid = p.prpubid JOIN pg_class c ON c.oid = p.prrelid
WHERE p.prrelid = ANY(%(oids)s) ORDER BY 2, 3
"""
_PUBLISHED_IN_FULL = """
SELECT NULL, quote_ident(b.pubname), p.prrelid::regclass::text, '{}'::text[]
FROM pg_publication_rel p JOIN pg_publication b ON b.oid = p.prpubid WHERE p.prrelid = ANY(%(oids)s) ORDER BY 2, 3
"""
_RECEIVED = """
SELECT r.srrelid::regclass::text, quote_ident(s.subname) FROM pg_subscription_rel r
JOIN pg_subscription s ON s.oid = r.srsubid WHERE r.srrelid = ANY(%(oids)s) ORDER BY 1, 2
"""


def refuse_standby(connection: "psycopg.Connection[Any]", server: str) -> None:
    """Raise RestoreError where the server only follows another one."""
    if connection.execute("SELECT pg_is_in_recovery()").fetchall()[0][0]:
        raise RestoreError(
            f"{server} is a standby, which takes no writes; nothing was changed",
            subject=server,
            hint="Name the primary as `host` and restore there, or make a primary of this one: SELECT pg_promote()",
        )


def refuse_prepared(connection: "psycopg.Connection[Any]", database: str) -> None:
    """Raise RestoreError where prepared transactions would keep the database from being renamed."""
    prepared = [gid for (gid,) in connection.execute(_PREPARED, (database,)).fetchall()]
    if prepared:
        raise RestoreError(
            f"{shown(database)} cannot be swapped while it has prepared transactions: {_few(prepared)}; "
            "nothing was changed",
            subject=database,
            hint="Whoever prepared them has to end them, else in psql: COMMIT PREPARED or ROLLBACK PREPARED with these "
            "names; or restore under another name with --into NAME",
        )


def replication_notes(connection: "psycopg.Connection[Any]", database: str) -> list[str]:
    """What goes on with the former content of a database once another one has its name."""
    notes: list[str] = []
    if connection.info.server_version < 100000:
        return notes
    if enabled := [name for (name,) in connection.execute(_ENABLED, (database,)).fetchall()]:
        notes.append(
            f"What is published for {shown(database)} goes on to its former content, which is kept, by the "
            f"subscription {_few(enabled)}. To receive it in the restored database: ALTER SUBSCRIPTION … DISABLE in "
            "the kept one, then in the restored one … ENABLE and … REFRESH PUBLICATION"
        )
    if slots := [name for (name,) in connection.execute(_SLOTS, (database,)).fetchall()]:
        notes.append(
            f"The replication slot {_few(slots)} stays with the former content, which is kept: whoever receives from "
            f"{shown(database)} by it gets nothing more, and it holds back the server's log until it is dropped. Make "
            "it anew after the restore, and let the subscribers copy their tables again"
        )
    return notes


def of_archive(names: list[str]) -> list[str]:
    """What is to be known of the subscriptions that an archive holds."""
    if not names:
        return []
    note = (
        f"The subscription {_few(names)} of the backup is restored, but receives nothing until somebody does this in "
        "psql: ALTER SUBSCRIPTION … ENABLE, then … REFRESH PUBLICATION"
    )
    return [note]


def let_go(access: Access, database: str) -> None:
    """Drop the subscriptions of a database that is to be removed, and leave their slots where they are in use.

    One whose slot nobody else receives from stays: without it, the slot would hold back the publisher's log for ever.
    """
    with access.connect(database) as connection:
        for (name,) in connection.execute(_WITHOUT_ITS_SLOT, (database,)).fetchall():
            for change in ("ALTER {} DISABLE", "ALTER {} SET (slot_name = NONE)", "DROP {}"):
                connection.execute(change.format(f"SUBSCRIPTION {quoted(name)}").encode())


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(shown, names[:_SHOWN])) + more


def publishing(connection: "psycopg.Connection[Any]", oids: Sequence[int], reporter: Reporter) -> list[str]:
    """The statements that publish tables as they are now: a table that is dropped is in no publication any more.

    The subscriptions that it leaves are told, because they can only be refreshed outside of a transaction.
    """
    version = connection.info.server_version
    if version < _WITH_PUBLICATIONS:
        return []
    tables = {"oids": list(oids)}
    for table, subscription in connection.execute(_RECEIVED, tables).fetchall():
        refresh = f"ALTER SUBSCRIPTION {subscription} REFRESH PUBLICATION WITH (copy_data = false)"
        reporter.log(f"{table} receives from {subscription} no more. To go on: {refresh}", level="warning")
    found = connection.execute(_PUBLISHED if version >= _IN_PART else _PUBLISHED_IN_FULL, tables).fetchall()
    return [
        f"ALTER PUBLICATION {publication} ADD TABLE ONLY {table}"
        f"{' (' + ', '.join(columns) + ')' if columns else ''}{f' WHERE ({rows})' if rows else ''}"
        for rows, publication, table, columns in found
    ]
