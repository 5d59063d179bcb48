"""What MySQL, MariaDB and their programs complain about, as errors of the engine."""

import re
from collections.abc import Sequence

from dgtui.engine.datasources.server_hints import connection_hint, silence_hint
from dgtui.engine.errors import (
    AuthenticationError,
    BackupCreationError,
    DatabaseConnectionError,
    DataGuardianError,
    PermissionDenied,
    SourceChanged,
)

_EXPIRED = frozenset({1820, 1862})
_LOCKED = frozenset({3118, 4151})
_FULL = frozenset({1040, 1203, 1226})
_BLOCKED = 1129
_NOT_FROM_HERE = 1130
_NO_CONNECTION = 2003
_AUTHENTICATION = _EXPIRED | _LOCKED | {_NOT_FROM_HERE, 1045, 1251, 1275, 1524, 1698, 2049, 2059, 2061}
_CONNECTION = frozenset(
    {_BLOCKED, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1317, 1927}
    | _FULL
    | {2002, 2003, 2005, 2006, 2012, 2013, 2026, 2055}
)
_DENIED = frozenset({1044, 1142, 1143, 1227, 1370, 1419})
UNKNOWN_DATABASE = 1049
LOCK_TIMEOUT = 1205
_WITHOUT_ITS_UNION = 1168
_CHANGED = frozenset({1412, 1146})
_BROKEN = frozenset({1356, 1449})
_NO_ROOM = frozenset({1021, 1114})
_NO_ROOM_TOLD = re.compile(
    r"No space left|errno: (?:28|135)\b|Temp file write failure|Disk quota exceeded", re.IGNORECASE
)
NO_ROOM_HINT = "Make room where the server keeps its data (SELECT @@datadir, @@tmpdir), then try again"
TOO_BIG = 1153
CLOSED = frozenset({2006, 2013})
"""The server has closed the connection."""
_REFUSED_BY_OPTION = 1290
_READ_ONLY = frozenset({1036, 1836})

_ENCRYPTION = frozenset({_NO_CONNECTION, 2026})
_OF_TLS = re.compile(r"\bSSL\b|\bTLS\b|certificate")
_TLS_HINT = (
    "Check `tls` and `tls_ca` of the datasource, and the certificate of the server (SHOW VARIABLES LIKE '%ssl%')"
)

_HINTS = {
    _WITHOUT_ITS_UNION: "A MERGE table holds rows only together with the tables of its UNION: choose those too",
    LOCK_TIMEOUT: "Another session holds a lock; see SHOW PROCESSLIST",
    TOO_BIG: "SET GLOBAL max_allowed_packet = 1073741824, then try again",
    UNKNOWN_DATABASE: "Correct `database` in the configuration, or create the database",
}
_CODE = re.compile(r"(?:Got error: |\b[Ee]rror:? |ERROR )(\d{4,5})\b|\((\d{4})\)\s*$")
_READ_ONLY_OPTION = re.compile(r"--(?:super-)?read[-_]only")
READ_ONLY_HINT = (
    "The server is read-only (SELECT @@read_only, @@innodb_read_only), as replicas are: name the primary as `host`, or "
    "where it is none, as an administrator: SET GLOBAL read_only = 0"
)
_SUBJECT = (
    re.compile(r"View '(?:[^'.]*\.)?([^']*)' references"),
    re.compile(r"when dumping table [`'\"]?(.*?)[`'\"]? at row"),
    re.compile(r"for table [`'\"](?:[^`.]*`\.`)?(.*?)[`'\"](?=\s|$)"),
    re.compile(r"(?i)show create (?:table|view|function|procedure|event) `(.*?)`'?:?"),
    re.compile(r"Table '(?:[^'.]*\.)?([^']*)' doesn't exist"),
    re.compile(r"insufficien?t privileges to show create \w+ `(.*?)`", re.IGNORECASE),
)


def error_code(text: str) -> int:
    """The server's or client's error number in a line of a tool; 0 where there is none."""
    match = _CODE.search(text)
    return int(match[1] or match[2]) if match else 0


def error_subject(text: str) -> str:
    """The table, view or routine that a complaint names; empty where it names none."""
    for pattern in _SUBJECT:
        if match := pattern.search(text):
            return match[1]
    return ""


def translate_error(
    code: int,
    text: str,
    *,
    user: str,
    host: str,
    port: int,
    database: str,
    fallback: type[DataGuardianError] = DatabaseConnectionError,
    detail: Sequence[str] = (),
) -> DataGuardianError:
    """The engine's error for one of the server's; `fallback` is for those that mean nothing special."""
    subject = error_subject(text) or database
    if code in _AUTHENTICATION:
        return _authentication(code, text, user, host, detail)
    if code in _CONNECTION:
        place = host if host.startswith("/") else f"{host}:{port}"
        if code in _ENCRYPTION and _OF_TLS.search(text):
            told = f"No encrypted connection to {place}: {text}"
            return DatabaseConnectionError(told, subject=database, hint=_TLS_HINT, detail=detail)
        silent = code == _NO_CONNECTION and "timed out" in text
        hint = _connection_hint(code, user) or (silence_hint(place) if silent else connection_hint(host, port))
        return DatabaseConnectionError(f"{place}: {text}", subject=database, hint=hint, detail=detail)
    if code in _DENIED or "nsufficient privileges" in text or "nsufficent privileges" in text:
        return PermissionDenied(text, subject=subject, hint=_grant_hint(code, user, database), detail=detail)
    if code in _NO_ROOM or tells_of_no_room(text):
        return fallback(text, subject=subject, hint=NO_ROOM_HINT, detail=detail)
    if code in _CHANGED and issubclass(BackupCreationError, fallback):
        fallback = SourceChanged
    return fallback(text, subject=subject, hint=read_only_hint(code, text) or _hint(code), detail=detail)


def tells_of_no_room(text: str) -> bool:
    """Whether a server says that its disk is full, under whatever number."""
    return _NO_ROOM_TOLD.search(text) is not None


def read_only_hint(code: int, text: str) -> str:
    """What helps where all of a server is read-only; empty where the error is another one."""
    if code in _READ_ONLY or (code == _REFUSED_BY_OPTION and _READ_ONLY_OPTION.search(text)):
        return READ_ONLY_HINT
    return ""


def _connection_hint(code: int, user: str) -> str:
    """The next step where the server answered, and took no connection."""
    if code in _FULL:
        return (
            "Wait until others are closed (SHOW PROCESSLIST), or raise max_connections; "
            f"a user with a limit of its own: SHOW CREATE USER {user}"
        )
    if code == _BLOCKED:
        return "Too many connections from this machine broke off before; on the server: FLUSH HOSTS"
    return ""


def _authentication(code: int, text: str, user: str, host: str, detail: Sequence[str]) -> AuthenticationError:
    subject = f"{user}@{host}"
    if code in _EXPIRED:
        hint = f"The password of {user} has expired; give it a new one with ALTER USER ... IDENTIFIED BY"
    elif code in _LOCKED:
        hint = f"Unlock it as an administrator: ALTER USER {user} ACCOUNT UNLOCK"
    elif code == _NOT_FROM_HERE:
        hint = f"No account is for this machine: CREATE USER {user}@'ITS ADDRESS', or see the column Host of mysql.user"
    else:
        hint = (
            f"Is the password of {user} right (or expired), and may {user} log in from this machine? "
            "A new one is set with: ALTER USER ... IDENTIFIED BY '...'"
        )
    return AuthenticationError(text, subject=subject, hint=hint, detail=detail)


def _grant_hint(code: int, user: str, database: str) -> str:
    if code == 1227:
        return f"The user {user} lacks a global privilege that the message names; grant it, or use another user"
    rights = "SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES"
    return f"GRANT {rights} ON {quote(database)}.* TO the user {user}; `dgtui check` prints the exact commands"


def _hint(code: int) -> str:
    if code in _CHANGED:
        return "A table was changed or dropped while it was dumped; try again when nobody changes tables"
    if code in _BROKEN:
        return "The view or its definer is broken: mend or drop it (SHOW CREATE VIEW), or exclude it"
    return _HINTS.get(code, "")


def quote(name: str) -> str:
    """A name as the server's own quoting wants it."""
    return "`" + name.replace("`", "``") + "`"
