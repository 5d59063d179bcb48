"""Looking at a database: its objects, who uses it, and what a dump of it will lose."""

from collections.abc import Sequence

from dgtui.engine.datasources.dumping import Client, DumpOptions
from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.model import ObjectInfo, Record

SYSTEM_DATABASES = frozenset({"mysql", "sys", "information_schema", "performance_schema"})
OBJECTS_TABLE = "__dgtui_objects"
"""The table in which it is written down what a database holds beside its tables, before a swap takes that away."""
MOVED_TABLE = "__dgtui_moved"
"""The same of the database that a swap brought in, as long as the swap is not at its end."""
CARRIED = "__dgtui_carried_"
"""What the tables and triggers are called that a swap carries through the target's own database begins so."""
CARRIED_IN = f"{CARRIED}in_"
"""Of the tables that come in."""
CARRIED_OUT = f"{CARRIED}out_"
"""Of those that go."""
_TABLE_TYPES = ("BASE TABLE", "SYSTEM VERSIONED")
_TRANSACTIONAL = frozenset({"INNODB", "ROCKSDB", "TOKUDB", "SEQUENCE", "NDBCLUSTER"})
WITHOUT_DATA = frozenset({"BLACKHOLE", "MRG_MYISAM", "FEDERATED", "CONNECT", "SPIDER"})
_SEQUENCES = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'SEQUENCE' AND TABLE_SCHEMA = %s"
_ELSEWHERE = """
SELECT TABLE_NAME, CREATE_OPTIONS LIKE '%% DIRECTORY=%%' FROM information_schema.TABLES
WHERE TABLE_SCHEMA = %s AND (CREATE_OPTIONS LIKE '%% DIRECTORY=%%' OR CREATE_OPTIONS LIKE '%%partitioned%%')
ORDER BY TABLE_NAME
"""
_NAMED = 5


class Table(Record, frozen=True):
    """A table as the server's own statistics describe it."""

    name: str
    engine: str
    rows: int
    data_bytes: int
    total_bytes: int
    versioned: bool
    columns: tuple[tuple[str, str], ...] = ()
    """Name and type of each column."""
    key: str | None = None
    """The column of a primary key that is one whole number."""


def existing_tables(session: Session, database: str) -> tuple[Table, ...]:
    """All tables of a database, without views and sequences, and without those of our own."""
    columns: dict[str, list[tuple[str, str]]] = {}
    keys: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind, key in session.rows(
        "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_KEY FROM information_schema.COLUMNS "
        "WHERE TABLE_SCHEMA = %s ORDER BY TABLE_NAME, ORDINAL_POSITION",
        [database],
    ):
        columns.setdefault(table, []).append((column, kind.lower()))
        if key == "PRI":
            keys.setdefault(table, []).append((column, kind.lower()))
    return tuple(
        Table(
            name=name,
            engine=engine or "",
            rows=int(rows or 0),
            data_bytes=int(data or 0),
            total_bytes=int(data or 0) + int(index or 0),
            versioned=kind == "SYSTEM VERSIONED",
            columns=tuple(columns.get(name, ())),
            key=_number_key(keys.get(name, [])),
        )
        for name, kind, engine, rows, data, index in session.rows(
            "SELECT TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_ROWS, DATA_LENGTH, INDEX_LENGTH "
            "FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE IN %s "
            "AND TABLE_NAME NOT IN %s ORDER BY TABLE_NAME",
            [database, _TABLE_TYPES, (OBJECTS_TABLE, MOVED_TABLE)],
        )
        if not name.startswith(CARRIED)
    )


def tables_elsewhere(session: Session, database: str) -> tuple[str, ...]:
    """The tables of a MariaDB database with files in a DATA DIRECTORY or INDEX DIRECTORY.

    Moved to another database by a RENAME TABLE, they are lost at the next start of the server, which looks for the
    files where it has not put them; and what is left of them keeps the former database from being dropped.
    """
    if session.server.flavour != "mariadb":
        return ()
    return tuple(
        str(name)
        for name, elsewhere in session.rows(_ELSEWHERE, [database])
        if elsewhere or _has_partition_elsewhere(session, f"{quote(database)}.{quote(str(name))}")
    )


def _has_partition_elsewhere(session: Session, table: str) -> bool:
    _, _, partitions = str(session.rows(f"SHOW CREATE TABLE {table}")[0][1]).rpartition("PARTITION BY")
    return " DIRECTORY = '" in partitions


def carried_tables(session: Session, database: str) -> tuple[str, ...]:
    """The tables of our own that a swap has laid into a database."""
    names = _names(session, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", database)
    return tuple(name for name in names if name.startswith(CARRIED))


def is_transactional(table: Table) -> bool:
    """Whether what is written to a table can be rolled back."""
    return table.engine.upper() in _TRANSACTIONAL


def dumped_tables(tables: Sequence[Table], options: DumpOptions) -> tuple[Table, ...]:
    """Those of the tables that a dump with these options holds."""
    wanted = set(options.tables) or {table.name for table in tables}
    return tuple(table for table in tables if table.name in wanted - set(options.exclude_tables))


def count_rows(session: Session, database: str, table: str, *, versioned: bool = False) -> int:
    """The exact number of rows, which reads the whole table; of a versioned one with its history, as in statistics."""
    history = " FOR SYSTEM_TIME ALL" if versioned else ""
    return int(session.value(f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)}{history}"))  # noqa: S608  # quoted


def object_infos(tables: Sequence[Table]) -> tuple[ObjectInfo, ...]:
    """Tables as the engine knows objects; InnoDB only estimates the rows."""
    return tuple(
        ObjectInfo(name=table.name, rows=table.rows, bytes=table.total_bytes, rows_exact=False) for table in tables
    )


def view_names(session: Session, database: str) -> tuple[str, ...]:
    """The views of a database."""
    return _names(session, "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s", database)


def has_checked_views(session: Session, database: str) -> bool:
    """Whether any view of a database has a CHECK OPTION."""
    query = "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s AND CHECK_OPTION <> 'NONE'"
    return bool(_names(session, query, database))


def other_objects(session: Session, database: str, *, sequences: bool = True) -> tuple[str, ...]:
    """What is in a database besides tables, each with its kind: `sales (view)`."""
    kinds = {
        "view": "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s",
        **({"sequence": _SEQUENCES} if sequences else {}),
        "routine": "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s",
        "event": "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
        "trigger": "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
    }
    return tuple(
        f"{name} ({kind})" for kind, statement in kinds.items() for name in _names(session, statement, database)
    )


def sequence_names(session: Session, database: str) -> tuple[str, ...]:
    """The sequences of a database."""
    return _names(session, _SEQUENCES, database)


def has_table(session: Session, database: str, table: str) -> bool:
    """Whether there is such a table, of whatever kind."""
    statement = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
    return bool(session.value(statement, [database, table]))


def database_exists(session: Session, database: str) -> bool:
    """Whether there is such a database that we may see."""
    statement = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
    return bool(session.value(statement, [database]))


def connected_clients(session: Session, database: str) -> tuple[Client, ...]:
    """Who else has this database as the current one, as far as we may see."""
    return tuple(
        Client(user=user, address=host or "", program=command or "", since=f"{seconds} s")
        for user, host, command, seconds in session.rows(
            "SELECT USER, HOST, COMMAND, TIME FROM information_schema.PROCESSLIST "
            "WHERE DB = %s AND ID <> CONNECTION_ID() ORDER BY ID",
            [database],
        )
    )


def source_warnings(session: Session, database: str, tables: Sequence[Table]) -> tuple[str, ...]:
    """What a dump of this database will lose, or cannot promise."""
    warnings = []
    unsafe = [t.name for t in tables if t.engine.upper() not in _TRANSACTIONAL | WITHOUT_DATA]
    if unsafe:
        warnings.append(
            f"Not transactional: {_listed(unsafe)}; what is written to them during the dump may be in it only in part"
        )
    if remote := [t.name for t in tables if t.engine.upper() in WITHOUT_DATA]:
        warnings.append(f"Only the structure of {_listed(remote)} is dumped: their data lies elsewhere")
    if floats := [f"{t.name}.{name}" for t in tables for name, kind in t.columns if kind == "float"]:
        warnings.append(f"An SQL dump keeps only 6 digits of FLOAT columns: {_listed(floats)}; DOUBLE is exact")
    checked = session.rows(
        "SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS "
        "WHERE TABLE_SCHEMA = %s AND CHECK_OPTION <> 'NONE'",
        [database],
    )
    views = set(view_names(session, database)) if checked else set()
    if stacked := [
        name for name, text in checked if any(quote(other) in (text or "") for other in views if other > name)
    ]:
        warnings.append(
            f"View with CHECK OPTION on a view that comes later: {_listed(stacked)}; "
            "DataGuardian restores it, the plain client alone does not"
        )
    return tuple(warnings)


def _number_key(columns: list[tuple[str, str]]) -> str | None:
    if len(columns) == 1 and columns[0][1] in ("int", "bigint", "mediumint", "smallint", "tinyint"):
        return columns[0][0]
    return None


def _names(session: Session, statement: str, database: str) -> tuple[str, ...]:
    return tuple(str(name) for (name,) in session.rows(f"{statement} ORDER BY 1", [database]))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
