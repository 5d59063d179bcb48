"""Sessions whose statements may take long: ended where the server does nothing for them, and asking it whether it does.

A frozen server and a network that lets nothing through any more leave a client waiting; nothing but another connection
tells them from a server at work.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.side_watch import LOOKS, SideWatch, looks
from dgtui.engine.errors import (
    BackupCreationError,
    DatabaseConnectionError,
    DataGuardianError,
    IdleTimeout,
    ServerTimeout,
)

UNKNOWN_SECONDS = 3600.0
"""How long is waited where the server cannot tell what it does."""
SILENCE_HINT = "Does a firewall or proxy on the way to the server drop connections that are silent for long?"
_FROZEN_HINT = (
    "Is it frozen, or does a firewall or proxy on the way keep everything? Start again once it answers; the "
    "`idle_timeout` of the job waits longer"
)
_OF_A_CLIENT = range(2000, 3000)
"""Numbers of the errors that come from no server: it was not reached, or did not answer."""
_SHORTEST, _LONGEST = 20, 60
"""So many letters of a statement tell it from others."""
_PLACE = "SELECT CONNECTION_ID(), CONCAT_WS(' ', @@hostname, @@port, @@server_id, @@datadir)"
_OURS = """
SELECT COMMAND FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID()
AND USER = SUBSTRING_INDEX(USER(), '@', 1) AND (ID = %s OR LEFT(INFO, %s) = %s) ORDER BY COMMAND = 'Sleep'
"""
"""By its text too: a proxy may hand a statement to another connection of its own than the one before."""

_Doing = Literal["works", "waits for us", "has ended it"]
_REASONS: dict[str | None, str] = {
    "waits for us": "it waits for us too, so that what is between lost something",
    "has ended it": "it has ended the connection",
}
_Said = TypeVar("_Said")


def asked_meanwhile(access: Access, ask: Callable[[Session], _Said]) -> _Said | DataGuardianError | None:
    """What the server says to another connection, or why it cannot be reached; None where it refuses to answer."""
    import pymysql

    connection = None
    try:
        connection = access.connect(access.settings.connect_timeout)
        return ask(Session(connection))
    except DataGuardianError:
        return None
    except pymysql.MySQLError as error:
        code, text = (*error.args, "", "")[:2]
        if code in _OF_A_CLIENT:
            return access.error(code, str(text), fallback=DatabaseConnectionError)
        return None
    finally:
        if connection is not None and connection.open:
            connection.close()


@contextlib.contextmanager
def waiting_session(access: Access, *, fallback: type[DataGuardianError] = BackupCreationError) -> Iterator[Session]:
    """A session as `Access.session` gives, whose statements may take as long as the server works at them.

    Locks of others are waited for as long as the datasource allows. Where the server does nothing for a statement as
    long as the job allows, the session is ended. Raises ServerTimeout, IdleTimeout.
    """
    with access.session(fallback=fallback, endless=True) as session, _Watch(access, session):
        session.execute(f"SET SESSION lock_wait_timeout = {max(1, int(access.settings.lock_timeout))}")
        yield session


class _Watch(SideWatch):
    """For a block that uses a session: asks the server about statements that take long."""

    def __init__(self, access: Access, session: Session) -> None:
        super().__init__("session watch")
        self._access = access
        self._session = session
        self._connection, self._place = session.rows(_PLACE)[0]

    def _watch(self) -> None:
        seen, silent, told_at = 0, 0, time.monotonic()
        for begun in looks(self._ended, self._access.idle_timeout):
            before, seen = seen, self._session.asked
            statement = self._session.statement if seen == before else None
            said = self._look(statement) if statement is not None else "works"
            if said == "works" or self._session.asked != seen or self._session.statement is None:
                silent, told_at = 0, begun
            elif said is not None:
                silent, told_at = silent + 1, begun
            if silent >= LOOKS or time.monotonic() - told_at >= max(UNKNOWN_SECONDS, self._access.idle_timeout):
                self._give_up(said)
                return

    def _look(self, statement: str) -> _Doing | DataGuardianError | None:
        return asked_meanwhile(self._access, lambda session: self._doing(session, statement))

    def _doing(self, session: Session, statement: str) -> _Doing | None:
        if session.value(_PLACE.replace("CONNECTION_ID(), ", "")) != self._place:
            return None  # one of several servers behind one address
        beginning = statement.lstrip().partition("%")[0][:_LONGEST]
        if len(beginning) < _SHORTEST:
            beginning = ""
        rows = session.rows(_OURS, [self._connection, len(beginning), beginning or "\0"])
        if not rows:
            return "has ended it"
        return "waits for us" if rows[0][0] == "Sleep" else "works"

    def _give_up(self, said: _Doing | DataGuardianError | None) -> None:
        if self._ended.is_set():
            return
        text = f"Nothing came from the server for {self._access.idle_timeout:.0f} s, so it was waited for no more"
        if isinstance(said, DataGuardianError):
            self._error = ServerTimeout(f"{text}: {said.message}", subject=self._access.host, hint=_FROZEN_HINT)
        else:
            reason = _REASONS.get(said, "what it does cannot be seen")
            self._error = IdleTimeout(f"{text}: {reason}", subject=self._access.host, hint=SILENCE_HINT)
        if said == "waits for us":
            # The server does not learn that we are gone, and would keep what this connection has locked.
            with contextlib.suppress(DataGuardianError), self._access.session() as session:
                session.execute(f"KILL {int(self._connection)}")
        self._session.cut()
