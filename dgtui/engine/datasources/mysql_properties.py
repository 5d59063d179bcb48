"""What a MySQL or MariaDB database is beside its content: default character set, collation, and comment."""

import re

import msgspec

from dgtui.engine.datasources.mysql_connection import Server, Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.properties import DatabaseProperties

_NAME = re.compile(r"\w+", re.ASCII)
_QUERY = (
    "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME{} FROM information_schema.SCHEMATA "
    "WHERE SCHEMA_NAME = %s"
)


def read_properties(session: Session, database: str) -> DatabaseProperties | None:
    """The properties of a database; None where there is none that we may see."""
    comments = _has_comments(session.server)
    rows = session.rows(_QUERY.format(", SCHEMA_COMMENT" if comments else ""), [database])
    if not rows:
        return None
    comment = str(rows[0][2]) if comments and rows[0][2] else None
    return DatabaseProperties(encoding=str(rows[0][0]), collation=str(rows[0][1]), comment=comment)


def possible_properties(session: Session, recorded: DatabaseProperties) -> tuple[DatabaseProperties, tuple[str, ...]]:
    """What of recorded properties the server can give, and sentences about the rest."""
    charsets = session.rows("SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS")
    known = {str(name).lower() for (name,) in charsets}
    notes = []
    if recorded.encoding and recorded.encoding.lower() not in known:
        notes.append(f"This server does not know the character set {recorded.encoding}: its own default is used")
        recorded = msgspec.structs.replace(recorded, encoding="", collation="")
    elif recorded.collation and not _knows_collation(session, recorded.collation):
        notes.append(
            f"This server does not know the collation {recorded.collation}: "
            f"the usual one of {recorded.encoding} is used"
        )
        recorded = msgspec.structs.replace(recorded, collation="")
    return recorded, tuple(notes)


def creation(
    database: str, properties: DatabaseProperties | None, server: Server | None = None, *, unless_there: bool = False
) -> str:
    """The statement that makes a database; a `server` of None takes no comment."""
    statement = f"CREATE DATABASE {'IF NOT EXISTS ' if unless_there else ''}{quote(database)}"
    if properties is None:
        return statement
    if _NAME.fullmatch(properties.encoding):
        statement += f" CHARACTER SET {properties.encoding}"
    if _NAME.fullmatch(properties.collation):
        statement += f" COLLATE {properties.collation}"
    if properties.comment and server is not None and _has_comments(server):
        statement += f" COMMENT '{_escaped(properties.comment)}'"
    return statement


def create_like(session: Session, database: str, like: str | None) -> None:
    """Make an empty database with the properties of another, where one is given."""
    properties = read_properties(session, like) if like is not None else None
    session.execute(creation(database, properties, session.server))


def properties_again(session: Session, database: str, like: str) -> None:
    """Give a database the character set and collation of another again, where something has changed them."""
    wanted, found = read_properties(session, like), read_properties(session, database)
    if wanted is None or found is None or (wanted.encoding, wanted.collation) == (found.encoding, found.collation):
        return
    if _NAME.fullmatch(wanted.encoding) and _NAME.fullmatch(wanted.collation):
        session.execute(f"ALTER DATABASE {quote(database)} CHARACTER SET {wanted.encoding} COLLATE {wanted.collation}")


def _knows_collation(session: Session, collation: str) -> bool:
    column, table = "COLLATION_NAME", "COLLATIONS"
    if session.server.flavour == "mariadb" and session.server.numbers >= (10, 10):
        # There a collation may fit several character sets, and has its whole name only together with one of them.
        column, table = "FULL_COLLATION_NAME", "COLLATION_CHARACTER_SET_APPLICABILITY"
    query = f"SELECT COUNT(*) FROM information_schema.{table} WHERE {column} = %s"  # noqa: S608  # our own words
    return bool(session.value(query, [collation]))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")


def _has_comments(server: Server) -> bool:
    return server.flavour == "mariadb" and server.numbers >= (10, 5)
