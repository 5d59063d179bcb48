"""What a server's error codes (SQLSTATE) stand for, in whatever language it speaks, and what to do next."""

from typing import NamedTuple

from dgtui.engine.errors import (
    AuthenticationError,
    ConfigError,
    DatabaseConnectionError,
    DataGuardianError,
    PermissionDenied,
)

FULL_HINT = (
    "Wait until others are closed (SELECT usename, count(*) FROM pg_stat_activity GROUP BY 1), or raise "
    "max_connections; a role or database with a limit of its own: ALTER ROLE (DATABASE) ... CONNECTION LIMIT ..."
)
STARTING_HINT = "Wait until it is up or has recovered, which its log tells, then try again"
CREDENTIALS_HINT = (
    "Check user name and password; an expired password (VALID UNTIL) looks the same as a wrong one. "
    r"A new one is set as a superuser in psql: \password ROLE"
)
_LOG_HINT = "The server's log tells more"


class _Kind(NamedTuple):
    error: type[DataGuardianError]
    hint: str


_KINDS: dict[str, _Kind] = {
    "08": _Kind(DatabaseConnectionError, "Was the server stopped or restarted, or is the network down? Then try again"),
    "22021": _Kind(
        ConfigError,
        "A name in the database, which has no encoding (SQL_ASCII), is not in UTF-8, and cannot be read here: "
        "rename it with ALTER ... RENAME, or back this database up by pg_dump alone",
    ),
    "25006": _Kind(
        ConfigError,
        "It is a standby (SELECT pg_is_in_recovery()), or all of it is read-only (SHOW default_transaction_read_only): "
        "name the primary as `host`, or choose another target",
    ),
    "28": _Kind(AuthenticationError, CREDENTIALS_HINT),
    "3D000": _Kind(ConfigError, "Check `database` in the configuration; `psql -l` lists the databases"),
    "40": _Kind(DatabaseConnectionError, "Others changed or locked the same at that moment: try again"),
    "42501": _Kind(PermissionDenied, "`dgtui check` prints the commands that give the missing rights"),
    "53100": _Kind(DatabaseConnectionError, "Make room on the server's disk: see df -h, and SHOW data_directory"),
    "53200": _Kind(DatabaseConnectionError, "The server has no memory left: see free -m there, and its log"),
    "53300": _Kind(DatabaseConnectionError, FULL_HINT),
    "55P03": _Kind(
        DatabaseConnectionError,
        "Somebody holds a lock on it: SELECT pid, usename, query FROM pg_stat_activity WHERE xact_start IS NOT NULL; "
        "wait for their end or end them, or raise `lock_timeout` of the datasource",
    ),
    "57014": _Kind(
        DatabaseConnectionError,
        "Somebody cancelled it (pg_cancel_backend), or a time limit did (SHOW statement_timeout): try again",
    ),
    "57P0": _Kind(DatabaseConnectionError, "Was the server stopped or restarted? Its log tells why; then try again"),
    "57P03": _Kind(DatabaseConnectionError, STARTING_HINT),
    "58": _Kind(DatabaseConnectionError, "The server's disk or file system failed: look into its log, and at dmesg"),
    "XX": _Kind(DatabaseConnectionError, "The server found damage or a fault of its own: look into its log first"),
}
_SHORTEST = 2


def failure_by_state(state: str, message: str, *, server: str, user: str) -> DataGuardianError:
    """The error that a code stands for: by the code itself, else by the longest beginning of it that is known."""
    for length in range(len(state), _SHORTEST - 1, -1):
        if kind := _KINDS.get(state[:length]):
            subject = user if kind.error in (AuthenticationError, PermissionDenied) else server
            return kind.error(f"{server}: {message}", subject=subject, hint=kind.hint)
    return DatabaseConnectionError(f"{server}: {message} (SQLSTATE {state})", subject=server, hint=_LOG_HINT)
