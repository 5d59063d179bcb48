"""What libpq, pg_dump and pg_restore say, in the words of the engine's errors."""

import re
import shlex
from collections.abc import Callable, Sequence

from dgtui.engine.datasources.postgres_names import shown
from dgtui.engine.datasources.postgres_pooling import POOL_HINT
from dgtui.engine.datasources.postgres_states import CREDENTIALS_HINT, FULL_HINT, STARTING_HINT
from dgtui.engine.datasources.server_hints import silence_hint
from dgtui.engine.errors import (
    AuthenticationError,
    BackupCreationError,
    ConfigError,
    DatabaseConnectionError,
    DataGuardianError,
    PermissionDenied,
    ToolTooOld,
)

_Builder = Callable[[re.Match[str], str, str], DataGuardianError]


def package_hint(major: int) -> str:
    """How to get the tools of a major version."""
    return (
        f"Install the package: apt-get install postgresql-client-{major} "
        "(see https://www.postgresql.org/download), or name its folder with `tools`"
    )


def _authentication(match: re.Match[str], server: str, user: str) -> DataGuardianError:
    return AuthenticationError(
        f"{server} refuses the user {user}: {match[0]}",
        subject=user,
        hint=CREDENTIALS_HINT,
    )


def _no_role(match: re.Match[str], server: str, user: str) -> DataGuardianError:
    way = "CREATE ROLE {0} LOGIN PASSWORD '...';" if match[2] == "does not exist" else "ALTER ROLE {0} LOGIN;"
    return AuthenticationError(
        f"{server} refuses the user {user}: role {match[1]} {match[2]}",
        subject=user,
        hint=f"Check `username` in the configuration, or as a superuser in psql: {way.format(match[1])}",
    )


def _rule(match: re.Match[str], server: str, user: str) -> DataGuardianError:
    encrypt = 'Set `tls = "require"` of the datasource where the server wants encryption. Else add '
    return AuthenticationError(
        f"{server} lets {user} in from nowhere like here: {match[0]}",
        subject=user,
        hint=(encrypt if match[0].endswith(_UNENCRYPTED) else "Add ")
        + "a line for this user, database and address to pg_hba.conf and reload the server",
    )


def _certificate(_: re.Match[str], server: str, user: str) -> DataGuardianError:
    return AuthenticationError(
        f"{server} wants a certificate of the user {user}",
        subject=user,
        hint="Put it and its key into ~/.postgresql/postgresql.crt and postgresql.key of the system's user that runs "
        "dgtui, or name both by PGSSLCERT and PGSSLKEY in its environment",
    )


def _no_database(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return ConfigError(
        f"There is no database {match[1]} at {server}",
        subject=match[1],
        hint="Check `database` in the configuration; `psql -l` lists the databases",
    )


def _no_right(match: re.Match[str], server: str, user: str) -> DataGuardianError:
    kind, name = match[1], match[2]
    right = {"schema": "USAGE", "database": "CONNECT"}.get(kind, "SELECT")
    kind = {"relation": "table", "view": "table", "materialized view": "table"}.get(kind, kind)
    return PermissionDenied(
        f"The user {user} may not read the {kind} {name} at {server}",
        subject=name,
        hint=f"Run as its owner: GRANT {right} ON {kind.upper()} {name} TO {shown(user)};",
    )


def _row_security(match: re.Match[str], server: str, user: str) -> DataGuardianError:
    return PermissionDenied(
        f"Row-level security hides rows of {match[1]} from {user} at {server}: the dump would not be whole",
        subject=match[1],
        hint=f"Run as a superuser: ALTER ROLE {shown(user)} BYPASSRLS;",
    )


def _version(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return ToolTooOld(
        f"pg_dump {match[2]} is older than the server {match[1]} ({server})",
        subject="pg_dump",
        hint=package_hint(int(re.split(r"\D", match[1])[0] or 0)),
    )


def _memory(_: re.Match[str], server: str, _user: str) -> DataGuardianError:
    return BackupCreationError(
        f"{server} has no room for so many locks (out of shared memory)",
        subject="max_locks_per_transaction",
        hint="Raise max_locks_per_transaction in postgresql.conf (about one lock for each table) and restart it",
    )


def _lost(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return DatabaseConnectionError(
        f"The connection to {server} was lost: {match[0]}",
        subject=server,
        hint="Was the server stopped or restarted, which its log tells, or the network cut? Then try again",
    )


def _listening_hint(server: str) -> str:
    host, _, port = server.rpartition(":")
    ask = f"pg_isready -h {shlex.quote(host)} -p {port}" if port.isdecimal() else "pg_isready"
    return f"Is the server running, and does it listen there? See: {ask}"


_SILENCE = re.compile(r"timeout expired|timed out")


def _unreachable(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return DatabaseConnectionError(
        f"{server} cannot be reached: {match[0]}",
        subject=server,
        hint=silence_hint(server) if _SILENCE.search(match[0]) else _listening_hint(server),
    )


def _full(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return DatabaseConnectionError(f"{server} takes no more connections: {match[0]}", subject=server, hint=FULL_HINT)


def _starting(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return DatabaseConnectionError(f"{server} is not ready: {match[0]}", subject=server, hint=STARTING_HINT)


def _conflict(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return DatabaseConnectionError(
        f"{server} is a standby and ended the reading: {match[0]}",
        subject=server,
        hint="What the primary removed was still read here. Set hot_standby_feedback = on, or a larger "
        "max_standby_streaming_delay, in the standby's postgresql.conf; or name the primary as `host`",
    )


def _pool(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return DatabaseConnectionError(
        f"{server} is a pool of connections that a restore cannot go through: {match[0]}",
        subject=server,
        hint=POOL_HINT,
    )


def _encryption(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return DatabaseConnectionError(
        f"No encrypted connection to {server}: {match[0]}",
        subject=server,
        hint="Check `tls` and `tls_ca` of the datasource, and `ssl` and the certificate of the server (SHOW ssl)",
    )


def _closed(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return ConfigError(
        f"The database {match[1]} at {server} takes no connections",
        subject=match[1].strip('"'),
        hint=f"Choose another `database`, or as a superuser: ALTER DATABASE {match[1]} ALLOW_CONNECTIONS true;",
    )


def _cut_off(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return ConfigError(
        f"The database {match[1]} at {server} is what an interrupted DROP DATABASE left: nobody can use it any more",
        subject=match[1].strip('"'),
        hint=f"As its owner or a superuser: DROP DATABASE {match[1]}; then restore it from a backup",
    )


def _no_table(match: re.Match[str], server: str, _: str) -> DataGuardianError:
    return ConfigError(
        f"No table at {server} matches {match[1] or 'the selection'}",
        subject=match[1] or "",
        hint="Check `tables` of the job; names are taken literally, with their case",
    )


_UNENCRYPTED = ("no encryption", "SSL off")
_AUTHENTICATION = (
    r"password authentication failed[^\n]*",
    r"no password supplied",
    r"(?:Peer|Ident|GSSAPI|LDAP|PAM|certificate) authentication failed[^\n]*",
)
_LOST = (
    r"server closed the connection unexpectedly",
    r"terminating connection[^\n]*",
    r"connection to server was lost",
    r"PQgetCopyData\(\) failed[^\n]*",
    r"SSL SYSCALL error[^\n]*",
    r"SSL connection has been closed[^\n]*",
    r"the connection is (?:lost|closed)",
    r"the database system is shutting down",
    r"could not (?:receive data from|send data to) server[^\n]*",
)
_UNREACHABLE = (
    r"Connection refused",
    r"(?:connection )?timeout expired",
    r"could not translate host name[^\n]*",
    r"failed to resolve host[^\n]*",
    r"Name or service not known",
    r"Temporary failure in name resolution",
    r"No route to host",
    r"Network is unreachable",
    r"Connection timed out",
    r"Connection reset by peer",
    r"connection to server [^\n]*No such file or directory",
    r"not currently accepting connections",
)
_STARTING = r"the database system is (?:starting up|in recovery mode|not (?:yet )?accepting connections)"
_FULL = (
    r"sorry, too many clients already",
    r"remaining connection slots are reserved[^\n]*",
    r"too many connections for[^\n]*",
)
_ENCRYPTION = (
    r"server does not support SSL[^\n]*",
    r"root certificate file[^\n]*",
    r"certificate verify failed",
    r"server certificate for [^\n]*",
)
_KNOWN: tuple[tuple[re.Pattern[str], _Builder], ...] = (
    (re.compile(r"server version: (\S+?);.*? version: ([\w.]+)"), _version),
    (re.compile("|".join(_AUTHENTICATION)), _authentication),
    (re.compile(r'FATAL:\s+role (".*?") (does not exist|is not permitted to log in)'), _no_role),
    (re.compile(r"no pg_hba\.conf entry[^\n]*|pg_hba\.conf rejects connection[^\n]*"), _rule),
    (re.compile(r"connection requires a valid client certificate"), _certificate),
    (re.compile(r'FATAL:\s+database (".*?") does not exist'), _no_database),
    (re.compile(r'FATAL:\s+database (".*?") is not currently accepting connections'), _closed),
    (re.compile(r'cannot connect to invalid database (".*?")'), _cut_off),
    (re.compile(r"affected by row-level security policy for table (\S+)"), _row_security),
    (re.compile(r"permission denied for (\w+(?: \w+)*?) ([^\n]+)"), _no_right),
    (re.compile(r"no matching (?:tables|schemas) were found(?: for pattern ([^\n]*))?"), _no_table),
    (re.compile(r"out of shared memory"), _memory),
    (re.compile(r"(?:canceling statement|terminating connection) due to conflict with recovery"), _conflict),
    (re.compile(r"unsupported startup parameter[^\n]*"), _pool),
    (re.compile("|".join(_LOST)), _lost),
    (re.compile("|".join(_FULL)), _full),
    (re.compile(_STARTING), _starting),
    (re.compile("|".join(_ENCRYPTION)), _encryption),
    (re.compile("|".join(_UNREACHABLE)), _unreachable),
)
_OF_RIGHTS = (_no_right, _row_security)
"""Rights are those of the role that a session acts as; to let somebody in is a matter of who logs in."""


def known_failure(
    text: str, *, server: str, user: str, acting: str | None = None, detail: Sequence[str] = ()
) -> DataGuardianError | None:
    """The error that a message of libpq or a tool stands for, or None where it is not a known one.

    `acting` is the role that the sessions of `user` act as, where that is another one.
    """
    for pattern, builder in _KNOWN:
        match = pattern.search(text)
        if match is not None:
            acts = acting if acting not in (None, user) and builder in _OF_RIGHTS else None
            error = builder(match, server, acts or user)
            if acts:
                error.message += f" (a setting makes the sessions of {user} act as {acts})"
            error.detail = tuple(detail)
            return error
    return None
