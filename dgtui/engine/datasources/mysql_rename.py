"""RENAME TABLE: what it can move, how it is made, how one of ours is ended whose client has died."""

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_errors import LOCK_TIMEOUT, quote
from dgtui.engine.datasources.mysql_holders import in_use_hint
from dgtui.engine.datasources.mysql_look import CARRIED, CARRIED_IN, existing_tables, other_objects, sequence_names
from dgtui.engine.errors import RestoreError

_END_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.05
_LOCK_NAME_DIGITS = 40
"""MySQL takes names of locks up to 64 characters, which a database may have alone."""
_NO_NAMED_LOCKS = (1105, 1235)
"""What a cluster says that has none (Galera): ER_UNKNOWN_ERROR in its strict mode, or ER_NOT_SUPPORTED_YET."""
_RENAMES = """
SELECT ID FROM information_schema.PROCESSLIST
WHERE ID <> CONNECTION_ID() AND INFO LIKE 'RENAME TABLE %%' AND (LOCATE(%s, INFO) > 0 OR LOCATE(%s, INFO) > 0)
"""


class Move(NamedTuple):
    """A table that goes from one database to another, or gets another name."""

    source: str
    name: str
    destination: str
    new_name: str = ""
    """As before where empty."""

    @property
    def back(self) -> "Move":
        """The opposite one."""
        return Move(self.destination, self.new_name or self.name, self.source, self.name)


def movable(session: Session, database: str) -> list[str]:
    """The tables and sequences of a database, without those of our own."""
    return [*(table.name for table in existing_tables(session, database)), *sequence_names(session, database)]


def claim_renaming(session: Session, keep_as: str) -> None:
    """Let this session alone rename tables into `keep_as`, as long as it is open. Raises RestoreError."""
    _claim(session, keep_as, ending_others=False)


def take_over_renaming(session: Session, keep_as: str) -> None:
    """The same once who renamed them before is ended: its client is gone. Raises RestoreError.

    The server may not have begun to read the statement of a lost connection, and would then make it later. By the
    named lock that is found whatever its session is at.
    """
    _claim(session, keep_as, ending_others=True)


def claim_statement(session: Session, place: str) -> str:
    """The statement by which a client claims what goes into a place; empty where the server has no named locks."""
    import pymysql

    try:
        session.value("SELECT IS_FREE_LOCK(%s)", [_lock_name(place)])
    except pymysql.MySQLError as error:
        if error.args[0] not in _NO_NAMED_LOCKS:
            raise
        return ""
    return f"DO GET_LOCK('{_lock_name(place)}', 0);\n"


def holder_of(session: Session, place: str) -> int | None:
    """The connection that has claimed a place."""
    found = session.value("SELECT IS_USED_LOCK(%s)", [_lock_name(place)])
    return None if found is None else int(found)


def claimant_statement(session: Session, place: str) -> str:
    """What the connection does that has claimed a place; empty where that is nothing, or not known."""
    if not claim_statement(session, place):
        return ""
    query = "SELECT INFO FROM information_schema.PROCESSLIST WHERE ID = %s"
    return str(session.value(query, [holder_of(session, place)]) or "")


def _lock_name(place: str) -> str:
    return f"dgtui {hashlib.sha256(place.encode()).hexdigest()[:_LOCK_NAME_DIGITS]}"


def _claim(session: Session, keep_as: str, *, ending_others: bool) -> None:
    import pymysql

    try:
        for _ in _looks(keep_as):
            if session.value("SELECT GET_LOCK(%s, 0)", [_lock_name(keep_as)]) == 1:
                return
            holder = holder_of(session, keep_as)
            if ending_others and holder is not None:
                _end(session, holder)
    except pymysql.MySQLError as error:
        if error.args[0] not in _NO_NAMED_LOCKS:
            raise


def _looks(subject: str) -> Iterator[None]:
    """Once for each look at whether the renaming is over. Raises RestoreError where it is not for long."""
    deadline = time.monotonic() + _END_SECONDS
    while True:
        yield
        if time.monotonic() > deadline:
            raise RestoreError(
                f"The tables of {subject} are still being renamed",
                subject=subject,
                hint="Look at SHOW PROCESSLIST for who does so, then try again",
            )
        time.sleep(_LOOK_AGAIN_SECONDS)


def _end(session: Session, connection: object) -> None:
    """End what a session does, or the session itself where it does nothing.

    MariaDB leaves a RENAME TABLE made by half whose session is killed, and takes back one that is only interrupted.
    """
    import pymysql

    with contextlib.suppress(pymysql.MySQLError):
        idle = session.value("SELECT COMMAND FROM information_schema.PROCESSLIST WHERE ID = %s", [connection])
        session.execute(f"KILL {'' if idle == 'Sleep' else 'QUERY '}{int(str(connection))}")


def end_rename(session: Session, keep_as: str, current: str) -> None:
    """End every RENAME TABLE of ours, which names `keep_as` or brings tables in: its client is gone.

    Raises RestoreError.
    """
    ours = f"{quote(current)}.`{CARRIED_IN}"
    for _ in _looks(current):
        found = session.rows(_RENAMES, [quote(keep_as), ours])
        if not found:
            return
        for (connection,) in found:
            _end(session, connection)


def rename_tables(session: Session, moves: Sequence[Move], lock_timeout: int) -> None:
    """Move tables by one statement, in this order; it waits at most `lock_timeout` seconds for each."""
    import pymysql

    if not moves:
        return
    parts = (
        f"{quote(move.source)}.{quote(move.name)} TO {quote(move.destination)}.{quote(move.new_name or move.name)}"
        for move in moves
    )
    session.execute(f"SET SESSION lock_wait_timeout = {max(1, lock_timeout)}")
    try:
        session.execute(f"RENAME TABLE {', '.join(parts)}")
    except pymysql.MySQLError as error:
        raise not_swapped(session, error, moves[0].source, lock_timeout) from None


def not_swapped(session: Session, error: Exception, database: str, lock_timeout: int) -> RestoreError:
    """The error where tables were not moved."""
    busy = bool(error.args) and error.args[0] == LOCK_TIMEOUT
    return RestoreError(
        f"The tables could not be swapped: {error.args[-1] if error.args else error}",
        subject=database,
        hint=in_use_hint(session, database, lock_timeout) if busy else "Nothing was moved",
    )


def strangers_in(session: Session, current: str, expected: Sequence[str], known: Sequence[str] = ()) -> list[str]:
    """What somebody made in a database between our look and the rename."""
    others = [
        name
        for name in other_objects(session, current, sequences=False)
        if name not in known and not name.startswith(CARRIED)
    ]
    return sorted(set(movable(session, current)) - set(expected)) + others


def disturbed(current: str, strangers: Sequence[str]) -> RestoreError:
    """The error for that, once everything is back."""
    return RestoreError(
        f"Somebody made {', '.join(strangers[:5])} in {current} meanwhile; the swap was undone",
        subject=current,
        hint="Stop the application, then try again",
    )
