"""A digest of a database of MariaDB, read with SQL alone, to compare what was backed up with what came back."""

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.mariadb import MariadbServer


def quoted(name: str) -> str:
    """A name in backticks."""
    return "`" + name.replace("`", "``") + "`"


def mysql_digest(server: "MariadbServer", database: str) -> dict[str, str]:
    """Digests of each object's definition and of each table's rows, read without the dump tool.

    Two databases are equal when these are. The database's own name is left out of the definitions.
    """
    with server.connect(database, init_command="SET SESSION group_concat_max_len = 1000000") as connection:
        cursor = connection.cursor()
        cursor.execute("SET time_zone = '+00:00', sql_mode = ''")
        digests = {"database": _one(cursor, _DATABASE, [database])}
        for name, kind in _all(
            cursor, "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", [database]
        ):
            created = _all(cursor, f"SHOW CREATE TABLE {quoted(name)}")[0][1]
            digests[f"{kind} {name}"] = created.replace(quoted(database) + ".", "")
            if kind == "SEQUENCE":
                digests[f"state of {name}"] = _one(cursor, f"SELECT next_not_cached_value FROM {quoted(name)}")
            elif kind != "VIEW":
                digests[f"rows of {name}"] = _rows_digest(cursor, database, name, versioned=kind == "SYSTEM VERSIONED")
        for kind, statement in _OTHER_OBJECTS.items():
            for row in _all(cursor, statement, [database]):
                digests[f"{kind} {row[0]}"] = repr(row[1:])
        cursor.close()
    return digests


_DATABASE = (
    "SELECT CONCAT(DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA "
    "WHERE SCHEMA_NAME = %s"
)
_OTHER_OBJECTS = {
    "trigger": "SELECT TRIGGER_NAME, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_ORDER, ACTION_STATEMENT, "
    "ACTION_TIMING, SQL_MODE, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION "
    "FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
    "routine": "SELECT ROUTINE_NAME, ROUTINE_TYPE, ROUTINE_DEFINITION, DTD_IDENTIFIER, IS_DETERMINISTIC, "
    "SQL_DATA_ACCESS, SECURITY_TYPE, SQL_MODE, ROUTINE_COMMENT, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, "
    "DATABASE_COLLATION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s",
    "parameter": "SELECT CONCAT(SPECIFIC_NAME, '.', ORDINAL_POSITION), PARAMETER_MODE, PARAMETER_NAME, DTD_IDENTIFIER, "
    "CHARACTER_SET_NAME FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA = %s",
    "event": "SELECT EVENT_NAME, EVENT_DEFINITION, INTERVAL_VALUE, INTERVAL_FIELD, STARTS, ENDS, STATUS, SQL_MODE, "
    "TIME_ZONE, ON_COMPLETION, EVENT_COMMENT, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION "
    "FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
    "view": "SELECT TABLE_NAME, REPLACE(VIEW_DEFINITION, CONCAT('`', TABLE_SCHEMA, '`.'), ''), CHECK_OPTION, DEFINER, "
    "SECURITY_TYPE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION FROM information_schema.VIEWS "
    "WHERE TABLE_SCHEMA = %s",
}


def _rows_digest(cursor: Any, database: str, table: str, *, versioned: bool) -> str:
    """Every value in hexadecimal of its bytes; a DOUBLE or FLOAT in all its digits; rows in any order."""
    columns = _all(
        cursor,
        "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s "
        "ORDER BY ORDINAL_POSITION",
        [database, table],
    )
    values = [
        f"HEX(CAST(CAST({quoted(name)} AS DOUBLE) AS CHAR))"
        if kind == "float"
        else f"HEX(CAST({quoted(name)} AS BINARY))"
        for name, kind in columns
    ]
    if versioned and "PERIOD FOR SYSTEM_TIME" not in _all(cursor, f"SHOW CREATE TABLE {quoted(table)}")[0][1]:
        values += ["HEX(row_start)", "HEX(row_end)"]
    source = f"{quoted(table)} FOR SYSTEM_TIME ALL" if versioned else quoted(table)
    cursor.execute(f"SELECT CONCAT_WS(',', {', '.join(f'COALESCE({value}, 0)' for value in values)}) FROM {source}")
    rows = sorted(hashlib.sha256(str(value).encode()).hexdigest() for (value,) in cursor.fetchall())
    return f"{len(rows)} {hashlib.sha256(''.join(rows).encode()).hexdigest()}"


def _all(cursor: Any, statement: str, arguments: list[str] | None = None) -> list[tuple[Any, ...]]:
    cursor.execute(statement, arguments)
    return list(cursor.fetchall())


def _one(cursor: Any, statement: str, arguments: list[str] | None = None) -> str:
    return str(_all(cursor, statement, arguments)[0][0])
