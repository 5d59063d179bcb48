"""Watching a client that replays statements: one that gets on with nothing is ended, unless the server works for it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dgtui.engine.child import printable
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_waiting import SILENCE_HINT, UNKNOWN_SECONDS, asked_meanwhile
from dgtui.engine.datasources.side_watch import LOOKS, looks
from dgtui.engine.errors import DataGuardianError, IdleTimeout, RestoreError
from dgtui.engine.model import Record
from dgtui.engine.reporting import Reporter
from dgtui.engine.threads import Thread

_END_SECONDS = 1.0
_OURS = """
SELECT ID, COMMAND, COALESCE(STATE, ''), LEFT(COALESCE(INFO, ''), 120) FROM information_schema.PROCESSLIST
WHERE ID > %s AND USER = SUBSTRING_INDEX(USER(), '@', 1) AND DB = %s ORDER BY COMMAND = 'Sleep'
"""
_HOLDERS = """
SELECT ID, USER, COMMAND FROM information_schema.PROCESSLIST
WHERE ID NOT IN (%s, CONNECTION_ID()) AND DB = %s AND STATE NOT LIKE 'Waiting for%%lock' ORDER BY TIME DESC LIMIT 1
"""


class _Look(Record, frozen=True):
    """What the server does for the client; where neither is known, it could not tell."""

    work: str = ""
    """The statement that it works at."""
    error: DataGuardianError | None = None
    """Why nothing is to be hoped for."""
    connection: int | None = None
    """The one of the client, where that is known."""


class LoadWatch:
    """Looks whether the client gets on, and where it does not asks the server with a second connection."""

    def __init__(
        self, access: Access, database: str, after_connection: int, reporter: Reporter, give_up: Callable[[], None]
    ) -> None:
        """`after_connection` is one older than the client's; `give_up` is called once, when `error` is there."""
        self.error: DataGuardianError | None = None
        """Why the client was given up."""
        self._access = access
        self._database = database
        self._after = after_connection
        self._reporter = reporter
        self._give_up = give_up
        self._client = 0
        self._waiting = False
        """Whether it is the client's turn to do something."""
        self._handed = 0
        self._found = False
        self._told = ""
        self._ended = threading.Event()
        self._thread = Thread(target=self._watch, name="load watch", daemon=True)

    def begin(self, client: int) -> None:
        """Look from now on, at the client of this process id."""
        self._client = client
        self._thread.start()

    def handing(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The blocks, on their way to the client; to make them is not its turn."""
        for block in blocks:
            self._handed += 1
            self._waiting = True
            yield block
            self._waiting = False
        self._waiting = True

    def end(self) -> None:
        """Look no more; may be called again."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    def _watch(self) -> None:
        seen, silent, moved_at = self._progress(), 0, time.monotonic()
        for _ in looks(self._ended, self._access.idle_timeout):
            before, seen = seen, self._progress()
            look = self._look() if self._waiting and seen == before else None
            if look is None or look.work or self._progress() != seen:
                silent, moved_at = 0, time.monotonic()
                continue
            silent += look.error is not None
            stood = time.monotonic() - moved_at
            if silent >= LOOKS or stood >= max(UNKNOWN_SECONDS, self._access.idle_timeout):
                self._end_client(look, stood)
                return

    def _end_client(self, look: _Look, seconds: float) -> None:
        if look.connection is not None:
            # The server does not learn that the client is gone, and would keep what that has locked.
            with contextlib.suppress(DataGuardianError), self._access.session() as session:
                session.execute(f"KILL {look.connection}")
        error = look.error or self._lost("what the server does for it cannot be seen")
        self.error = error.reworded(f"Nothing moved for {seconds:.0f} s, so the client was ended: {error.message}")
        self._give_up()

    def _progress(self) -> tuple[int, str]:
        """What changes with all that the client does: what it took, and how long it ran, be it only to send slowly."""
        try:
            ran = Path(f"/proc/{self._client}/schedstat").read_text(encoding="ascii").partition(" ")[0]
        except OSError:
            ran = ""
        return self._handed, ran

    def _look(self) -> _Look:
        said = asked_meanwhile(self._access, self._ask)
        if isinstance(said, DataGuardianError):
            return _Look(error=said)
        return said or _Look()

    def _ask(self, session: Session) -> _Look:
        rows = session.rows(_OURS, [self._after, self._database])
        if not rows:
            # Another server may have answered, where there are several behind one address.
            return _Look(error=self._lost("the server has ended its connection")) if self._found else _Look()
        self._found = True
        number, command, state, statement = rows[0]
        if command == "Sleep":
            reason = "the server waits for it too, so that what is between them lost something"
            return _Look(error=self._lost(reason), connection=int(number) if len(rows) == 1 else None)
        if str(state).startswith("Waiting for") and str(state).endswith("lock"):
            return _Look(error=self._locked(session, int(number), str(statement)))
        work = printable(f"{statement or command} ({state})" if state else str(statement or command))
        if work != self._told:
            self._told = work
            self._reporter.log(f"The server is still at work: {work}")
        return _Look(work=work)

    def _lost(self, reason: str) -> DataGuardianError:
        return IdleTimeout(reason, subject=self._database, hint=SILENCE_HINT)

    def _locked(self, session: Session, connection: int, statement: str) -> DataGuardianError:
        holders = session.rows(_HOLDERS, [connection, self._database])
        by = ", perhaps by connection {} of {} ({})".format(*holders[0]) if holders else ""
        return RestoreError(
            printable(f"a table is locked{by}: {statement}"),
            subject=self._database,
            hint="End what holds the lock (SHOW PROCESSLIST lists it), then try again",
        )
