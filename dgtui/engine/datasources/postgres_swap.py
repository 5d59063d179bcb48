"""Two databases change places, in one transaction, whoever is connected."""

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_databases import end_sessions, maintenance_database, with_names
from dgtui.engine.datasources.postgres_locks import PostgresLockWatch
from dgtui.engine.datasources.postgres_names import shown
from dgtui.engine.errors import Cancelled, DataGuardianError, RestoreError
from dgtui.engine.reporting import Reporter
from dgtui.engine.threads import Thread

if TYPE_CHECKING:
    import psycopg

_ENDING_SECONDS = 15.0
_GOING_SECONDS = 1.0
"""A busy server takes its time to let a session go whose client has left."""
_LOOK_AGAIN = "3ms"
_RENAMED_NOW = """
SELECT 1 FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND objid::int8 = %s
  AND mode = 'AccessExclusiveLock'
UNION ALL
SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query ~ '^ALTER DATABASE .* RENAME TO '
  AND pid <> pg_backend_pid()
"""
_NOT_OURS = """
SELECT a.pid, r.rolname, r.rolsuper FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.datname = ANY(%s) AND a.pid <> pg_backend_pid() AND NOT pg_has_role(r.oid, 'USAGE')
ORDER BY r.rolsuper DESC, a.pid LIMIT 5
"""


class _SessionEnder:
    """Ends the sessions in some databases again and again, until it is stopped."""

    def __init__(self, access: Access, databases: tuple[str, ...]) -> None:
        import psycopg

        self._databases = databases
        self._connection = access.open(maintenance_database(access, databases[0]))
        self._role = shown(access.acting(self._connection.info.dbname))
        self._stop = threading.Event()
        self.problem: psycopg.Error | None = None
        self._thread = Thread(target=self._run, name="end sessions", daemon=True)

    def __enter__(self) -> "_SessionEnder":
        import psycopg

        try:
            # By now nearly all are gone, so that the rename does not have to wait for them.
            deadline = time.monotonic() + _GOING_SECONDS
            while self._finds_some(deadline) and time.monotonic() < deadline:
                self._stop.wait(0.005)
        except psycopg.Error as error:
            if not isinstance(error, psycopg.errors.InsufficientPrivilege):
                self._connection.close()
                raise
            left = self._left()
            self._connection.close()
            raise RestoreError(
                f"The sessions in {shown(self._databases[0])} cannot be ended: {str(error).splitlines()[0]}",
                subject=self._databases[0],
                hint=f"{left}Let the user end sessions: GRANT pg_signal_backend TO {self._role}; "
                "or restore as a superuser",
            ) from error
        self._thread.start()
        return self

    def _finds_some(self, deadline: float) -> bool:
        """Whether there were sessions; one that we may not end may be about to end by itself, until the deadline."""
        import psycopg

        try:
            return end_sessions(self._connection, self._databases) > 0
        except psycopg.errors.InsufficientPrivilege:
            if time.monotonic() >= deadline:
                raise
            return True

    def _left(self) -> str:
        """Whose sessions they are that we may not end; empty where that is not known."""
        import psycopg

        try:
            found = self._connection.execute(_NOT_OURS, (list(self._databases),)).fetchall()
        except psycopg.Error:
            return ""
        if not found:
            return ""
        who = ", ".join(
            f"pid {pid} of {shown(user)}{', a superuser' if powerful else ''}" for pid, user, powerful in found
        )
        close = " Only superusers end those of superusers; whoever uses them can close them." if found[0][2] else ""
        return f"Connected: {who}.{close} "

    def _run(self) -> None:
        import psycopg

        try:
            while not self._stop.wait(0.003):
                end_sessions(self._connection, self._databases)
        except psycopg.Error as error:
            self.problem = error

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_ENDING_SECONDS)
        self._connection.close()


def swap_databases(access: Access, new: str, current: str, keep_as: str, reporter: Reporter) -> None:
    """Rename `current` to `keep_as` and `new` to `current` in one transaction, ending whoever is connected.

    The first rename locks the name before it waits for the sessions to end: nobody can come in between, and if we die
    at any moment the server itself takes everything back.
    """
    import psycopg

    with access.connect(maintenance_database(access, current), seconds=_ENDING_SECONDS * 4) as connection:
        oids = dict(
            connection.execute(
                "SELECT datname, oid::int8 FROM pg_database WHERE datname = ANY(%s)", ([new, current, keep_as],)
            ).fetchall()
        )
        if new not in oids:
            raise RestoreError(f"There is no database {shown(new)} to put in place", subject=new)
        is_template = "SELECT 1 FROM pg_database WHERE datname = %s AND datistemplate"
        template = connection.execute(is_template, (current,)).fetchone() is not None
        renames = [(new, current)] if current not in oids else [(current, keep_as), (new, current)]
        if current in oids and keep_as in oids:
            raise RestoreError(
                f"There is already a database {shown(keep_as)}; {shown(current)} is as it was",
                subject=keep_as,
                hint="Remove or rename it, then restore again",
            )
    gap = 0.0
    try:
        with access.connect(maintenance_database(access, current), seconds=_ENDING_SECONDS * 4) as connection:
            _look_often(connection)
            watch = PostgresLockWatch(access, connection.info.dbname, connection, reporter)
            with watch, _SessionEnder(access, (current, new)):
                began = time.monotonic()
                with connection.transaction():
                    connection.execute("SET LOCAL lock_timeout = '10s'")
                    for old_name, new_name in renames:
                        _rename(connection, old_name, new_name, current, access.acting(connection.info.dbname))
                    if template:
                        # What is kept is removed some day, which no template can be.
                        for name, yes in ((keep_as, "false"), (current, "true")):
                            connection.execute(with_names("ALTER DATABASE {} IS_TEMPLATE " + yes, name))
                gap = (time.monotonic() - began) * 1000
    except (psycopg.Error, DataGuardianError) as error:
        if _stands_at(access, current, oids[new]):
            reporter.log(f"The connection was lost after the swap: {error}", level="warning")
            return
        raise _not_swapped(current, error) from error
    if current in oids:
        reporter.log(f"{shown(current)} could not be reached for {gap:.0f} ms while the databases changed places")


def _rename(connection: "psycopg.Connection[Any]", old_name: str, new_name: str, current: str, role: str) -> None:
    import psycopg

    try:
        connection.execute(with_names("ALTER DATABASE {} RENAME TO {}", old_name, new_name))
    except psycopg.errors.ObjectInUse as error:
        raise RestoreError(
            f"The databases were not swapped, {shown(current)} is as it was: {error.diag.message_primary}: "
            f"{error.diag.message_detail}",
            subject=current,
            hint="End prepared transactions with COMMIT PREPARED or ROLLBACK PREPARED, and sessions that "
            f"{role} may not end (GRANT pg_signal_backend TO {shown(role)}), then try again",
        ) from error


def _look_often(connection: "psycopg.Connection[Any]") -> None:
    """Let the server notice within milliseconds that the last session has ended.

    A rename that finds a session looks again only after 100 ms, and all that time nobody can connect. A timer of the
    session cuts each of these waits short; the check of the connection is the one that does so and nothing else.
    """
    import psycopg

    with contextlib.suppress(psycopg.Error):
        connection.execute("SELECT set_config('client_connection_check_interval', %s, false)", (_LOOK_AGAIN,))


def _not_swapped(current: str, error: Exception) -> DataGuardianError:
    if isinstance(error, (RestoreError, Cancelled)):
        return error
    return RestoreError(
        f"The databases could not be swapped: {str(error).splitlines()[0]}",
        subject=current,
        hint=getattr(error, "hint", "") or "The user has to own both databases and to have CREATEDB, or be a superuser",
    )


def _stands_at(access: Access, database: str, oid: int) -> bool:
    """Whether the database of this name is that one; False where the server cannot be asked."""
    import psycopg

    try:
        with access.connect(maintenance_database(access, database), seconds=_ENDING_SECONDS) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s AND oid = %s", (database, oid))
            return found.fetchone() is not None
    except (psycopg.Error, DataGuardianError):
        return False


def oid_of(access: Access, database: str) -> int:
    """The OID of a database. Raises RestoreError where there is none of this name."""
    with access.connect(maintenance_database(access, database), seconds=_ENDING_SECONDS) as connection:
        row = connection.execute("SELECT oid::int8 FROM pg_database WHERE datname = %s", (database,)).fetchone()
    if row is None:
        raise RestoreError(f"There is no database {shown(database)}", subject=database)
    return int(row[0])


def settled_oid(access: Access, database: str, moved: int) -> int | None:
    """The OID of the database of this name, once nobody is about to rename the database `moved` any more.

    A server finishes a statement whose client has died, and holds the lock until then.
    """
    with access.connect(maintenance_database(access, database), seconds=_ENDING_SECONDS * 4) as connection:
        deadline = time.monotonic() + _ENDING_SECONDS
        while connection.execute(_RENAMED_NOW, (moved,)).fetchone() is not None:
            if time.monotonic() > deadline:
                raise RestoreError(
                    f"{shown(database)} is still being renamed",
                    subject=database,
                    hint="Look at pg_stat_activity for who does so, then try again",
                )
            time.sleep(0.02)
        row = connection.execute("SELECT oid::int8 FROM pg_database WHERE datname = %s", (database,)).fetchone()
    return None if row is None else int(row[0])
