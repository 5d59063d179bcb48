"""What a database holds beside its tables (views, triggers, routines, events): written down, dropped, made again.

A RENAME TABLE does not carry them to another database. They are written down as the dump tool tells them, in a table
at the server itself, so that whoever finds a swap cut half-way has what is needed to bring it to its end or back.
"""

import re
from collections.abc import Collection, Mapping, Sequence

import msgspec

from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.mysql_archive import SectionKind, sections
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_contents import dump_blocks
from dgtui.engine.datasources.mysql_dump import DumpFacts, MysqlDump
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_keys import CrossingKey, defined_keys
from dgtui.engine.datasources.mysql_load import replay_statements
from dgtui.engine.datasources.mysql_look import (
    CARRIED,
    OBJECTS_TABLE,
    carried_tables,
    has_table,
    other_objects,
    view_names,
)
from dgtui.engine.datasources.mysql_rights import text_literal
from dgtui.engine.datasources.mysql_script import Script
from dgtui.engine.datasources.mysql_tools import dump_tool, refuse_endless_events
from dgtui.engine.datasources.mysql_trigger_text import without_databases
from dgtui.engine.datasources.mysql_triggers import (
    TRIGGERS_NAME,
    TRIGGERS_TITLE,
    Trigger,
    is_stand_in,
    read_triggers,
    table_by_table,
)
from dgtui.engine.errors import RestoreError
from dgtui.engine.model import Record
from dgtui.engine.reporting import Reporter, SilentReporter

_KINDS: tuple[SectionKind, ...] = ("triggers", "placeholder", "events", "routines", "view")
_KIND_OF_SECTION: Mapping[SectionKind, str] = {
    "placeholder": "view",
    "view": "view",
    "events": "event",
    "routines": "routine",
}
_MADE = re.compile(rb"CREATE\b")
_PIECE_BYTES = 256 << 10
"""A server may take statements of no more than 1 MiB."""
_EVENTS = "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s"
_ROUTINES = "SELECT ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s"
_GRANTS_READABLE = (
    "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'procs_priv'"
)
_GRANTS = "SELECT User, Host, Routine_name, Routine_type, Proc_priv FROM mysql.procs_priv WHERE Db = %s"


class Objects(Record, frozen=True):
    """What a database holds beside its tables, as sections of a dump."""

    dump: bytes = b""
    """The head of the dump and what makes them; empty where there is nothing to make."""
    names: tuple[str, ...] = ()
    """Each with its kind, as `other_objects` tells them."""
    grants: tuple[str, ...] = ()
    """The rights on single routines, which go with a routine that is dropped."""
    events_alone: bool = False
    """Whether these are only the events, and the database holds all else itself."""
    keys_of_others: tuple[CrossingKey, ...] = ()
    """The foreign keys of other databases to its tables."""
    keys_to_others: tuple[CrossingKey, ...] = ()
    """The foreign keys of its tables to other databases."""
    triggers: tuple[Trigger, ...] = ()
    """Its triggers once more, by which they can be made anew under other names and on other tables."""
    tables: tuple[tuple[str, str], ...] = ()
    """Its tables, each with its name while a swap within the database is under way."""
    properties: tuple[str, str] | None = None
    """Character set and collation of the database, where a swap within it may change them on its way."""
    renamed_keys: tuple[tuple[str, str], ...] = ()
    """The foreign keys, each with its table, that have another name while a swap is under way."""


def read_objects(access: Access, session: Session, database: str, *, events: bytes = b"") -> Objects:
    """Look at what is in a database; `events` is what it lacks of them. Raises what the dump tool's failure means."""
    tool = dump_tool(session.server, access.settings.tools)
    settings = msgspec.structs.replace(access.settings, database=database)
    # The tool writes triggers after a table's rows; of rows it finds none.
    ours = carried_tables(session, database)
    options = DumpOptions(extra_arguments=("--where=false", "--add-drop-trigger"), exclude_tables=ours)
    refuse_endless_events(session, database, options)
    facts = DumpFacts(connection=int(session.value("SELECT CONNECTION_ID()")))
    dump = MysqlDump(tool, Access(settings, access.password), options, facts, SilentReporter(), ())
    held: list[tuple[SectionKind, bytes]] = []
    for piece in sections(dump_blocks(dump, access.idle_timeout)):
        if piece.kind == "header" or piece.kind in _KINDS:
            if piece.first:
                held.append((piece.kind, b""))
            held[-1] = piece.kind, held[-1][1] + piece.data
    made = [(kind, data) for kind, data in held if kind == "header" or _MADE.search(data)]
    parts = (TRIGGERS_TITLE + without_databases(data) if kind == "triggers" else data for kind, data in made)
    whole = b"".join(parts) + events if len(made) > 1 or events else b""
    names = tuple(name for name in other_objects(session, database, sequences=False) if not name.startswith(CARRIED))
    keys = defined_keys(session, database)
    return Objects(
        dump=whole,
        names=names,
        grants=_grants(session, database),
        keys_of_others=tuple(key for key in keys if key.parent_database == database),
        keys_to_others=tuple(key for key in keys if key.database == database),
        triggers=tuple(one for one in read_triggers(session, database) if not is_stand_in(one)),
    )


def hold_events(access: Access, database: str, events: bytes) -> None:
    """Let the events of a database that is not in its place yet do nothing; they are written down, for the swap."""
    with access.session(fallback=RestoreError) as session:
        if session.rows(_EVENTS, [database]):
            save_objects(session, database, Objects(dump=events, events_alone=True))
            drop_events(session, database)


def save_objects(session: Session, place: str, objects: Objects, name: str = OBJECTS_TABLE) -> None:
    """Write them down in a database, in the place of what is written there: all of it, or nothing of it."""
    table = f"{quote(place)}.{quote(name)}"
    session.execute(
        f"CREATE TABLE IF NOT EXISTS {table} (number INT PRIMARY KEY, part LONGBLOB NOT NULL) "
        "ENGINE=InnoDB CHARACTER SET utf8mb4"
    )
    text = msgspec.msgpack.encode(objects)
    session.execute("START TRANSACTION")
    session.execute(f"DELETE FROM {table}")  # noqa: S608  # quoted
    for number, start in enumerate(range(0, len(text), _PIECE_BYTES)):
        session.execute(f"INSERT INTO {table} VALUES (%s, %s)", [number, text[start : start + _PIECE_BYTES]])  # noqa: S608  # quoted
    session.execute("COMMIT")


def saved_objects(session: Session, place: str, table: str = OBJECTS_TABLE) -> Objects | None:
    """What was written down in a database; None where that was not done, or not to its end."""
    if not has_table(session, place, table):
        return None
    parts = session.rows(f"SELECT part FROM {quote(place)}.{quote(table)} ORDER BY number")  # noqa: S608  # quoted
    return msgspec.msgpack.decode(b"".join(bytes(part) for (part,) in parts), type=Objects) if parts else None


def make_objects(access: Access, database: str, objects: Objects, reporter: Reporter) -> None:
    """Make them in a database that holds the tables; those that are there are made anew.

    Raises RestoreError where a statement fails.
    """
    if objects.dump:
        # As long as a restore waits for a table; the server's own default is a day.
        patience = f"SET SESSION lock_wait_timeout = {max(1, int(access.settings.lock_timeout))};\n".encode()
        replay_statements(access, patience + _with_triggers_replaced(objects), Script(database, Selection()), reporter)
    if objects.grants:
        _grant_again(access, database, objects.grants, reporter)


def _with_triggers_replaced(objects: Objects) -> bytes:
    """The dump, in which each trigger takes the place of the one that acts for it."""
    whole, section = b"", b""
    for piece in sections([objects.dump]):
        if piece.name == TRIGGERS_NAME:
            section += piece.data
        else:
            whole, section = whole + table_by_table(section, objects.triggers) + piece.data, b""
    return whole + table_by_table(section, objects.triggers)


def make_missing(access: Access, session: Session, database: str, objects: Objects, reporter: Reporter) -> None:
    """Make the kinds of which something is not there. Raises RestoreError where a statement fails."""
    gone = set(objects.names) - set(other_objects(session, database, sequences=False))
    kinds = {name.rpartition(" (")[2].rstrip(")") for name in gone}
    kept, taken = b"", False
    for piece in sections([objects.dump]):
        if piece.first:
            kind = "trigger" if piece.name == TRIGGERS_NAME else _KIND_OF_SECTION.get(piece.kind, "")
            taken = piece.kind == "header" or kind in kinds
        kept += piece.data if taken else b""
    if kinds:
        make_objects(access, database, msgspec.structs.replace(objects, dump=kept), reporter)


def drop_events(session: Session, database: str) -> None:
    """Drop all events of a database."""
    for (name,) in session.rows(_EVENTS, [database]):
        session.execute(f"DROP EVENT IF EXISTS {quote(database)}.{quote(str(name))}")


def drop_views(session: Session, database: str, names: Collection[str]) -> None:
    """Drop those of the views of a database that have such a name."""
    for name in view_names(session, database):
        if name in names:
            session.execute(f"DROP VIEW IF EXISTS {quote(database)}.{quote(name)}")


def drop_objects(session: Session, database: str) -> None:
    """Drop all that a database holds beside its tables and their triggers."""
    drop_events(session, database)
    drop_views(session, database, view_names(session, database))
    for name, kind in session.rows(_ROUTINES, [database]):
        _in_the_words_for(session, str(kind), f"DROP {kind} IF EXISTS {quote(database)}.{quote(str(name))}")


def _in_the_words_for(session: Session, kind: str, statement: str) -> None:
    """Run a statement about a routine; MariaDB knows packages only where it speaks as Oracle does."""
    if not kind.startswith("PACKAGE"):
        session.execute(statement)
        return
    mode = session.value("SELECT @@SESSION.sql_mode")
    session.execute("SET SESSION sql_mode = 'ORACLE'")
    try:
        session.execute(statement)
    finally:
        session.execute("SET SESSION sql_mode = %s", [mode])


def _grants(session: Session, database: str) -> tuple[str, ...]:
    if not session.value(_GRANTS_READABLE):
        return ()
    found = []
    for user, host, name, kind, rights in session.rows(_GRANTS, [database]):
        words = [right for right in str(rights).split(",") if right not in ("", "Grant")] or ["USAGE"]
        option = " WITH GRANT OPTION" if "Grant" in str(rights).split(",") else ""
        routine = f"{kind} {quote(database)}.{quote(str(name))}"
        found.append(f"GRANT {', '.join(words)} ON {routine} TO {_grantee(session, str(user), str(host))}{option}")
    return tuple(found)


def _grantee(session: Session, user: str, host: str) -> str:
    """An account, or a role of MariaDB: those have no host, and an empty one would stand for all hosts."""
    if session.server.flavour == "mariadb" and not host:
        return user if user == "PUBLIC" else text_literal(user)
    return f"{text_literal(user)}@{text_literal(host)}"


def _grant_again(access: Access, database: str, grants: Sequence[str], reporter: Reporter) -> None:
    """Give the rights on routines again, where these are there; what cannot be given is told."""
    import pymysql

    with access.session(fallback=RestoreError) as session:
        there = {
            f" ON {kind} {quote(database)}.{quote(str(name))} TO ": str(kind)
            for name, kind in session.rows(_ROUTINES, [database])
        }
        for grant in grants:
            kind = next((kind for words, kind in there.items() if words in grant), None)
            if kind is None:
                continue
            try:
                _in_the_words_for(session, kind, grant)
            except pymysql.MySQLError as error:
                reporter.log(f"A right on a routine could not be given again: {grant} ({error})", level="warning")
