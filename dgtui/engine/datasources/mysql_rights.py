"""What a user may do, read from the server's own SHOW GRANTS, and the commands that give what is missing."""

import re

from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_errors import quote

NEEDED_FOR_BACKUP = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "LOCK TABLES")
MAKES_FOR_OTHERS = ("SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER")
"""One of these is needed to make what another account defines."""
_SHOW_CREATE_ROUTINE_SINCE = (11, 3)
"""Of MariaDB; MySQL has no such version."""
_GRANT = re.compile(r"GRANT (.+?) ON (?:TABLE |PROCEDURE |FUNCTION |PACKAGE )?(\S.*?) TO ", re.DOTALL)
_SCHEMA = re.compile(r"(`(?:[^`]|``)*`|\*)\.\*")


class Grants:
    """The rights of the current user, with its active roles."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._globally: set[str] = set()
        self._by_pattern: list[tuple[re.Pattern[str], set[str]]] = []
        for (line,) in session.rows("SHOW GRANTS"):
            self._read(str(line))

    def allows(self, right: str, database: str) -> bool:
        """Whether the right is held on the whole database."""
        sets = [self._globally, *(rights for pattern, rights in self._by_pattern if pattern.fullmatch(database))]
        return any(right in rights or "ALL PRIVILEGES" in rights for rights in sets)

    def allows_globally(self, *rights: str) -> bool:
        """Whether one of these rights is held everywhere."""
        return "ALL PRIVILEGES" in self._globally or any(right in self._globally for right in rights)

    def missing_for_backup(self, database: str) -> tuple[str, ...]:
        """GRANT commands for what a whole backup needs and the user lacks."""
        account = self.account()
        lacking = [right for right in NEEDED_FOR_BACKUP if not self.allows(right, database)]
        commands = [f"GRANT {', '.join(lacking)} ON {literal_pattern(database)}.* TO {account};"] if lacking else []
        if not self._reads_routines(database):
            commands.append(self._routines_command(account))
        return tuple(commands)

    def account(self) -> str:
        """The current account, quoted for a GRANT command."""
        user, _, host = str(self._session.value("SELECT CURRENT_USER()")).rpartition("@")
        return f"{text_literal(user)}@{text_literal(host)}"

    def _reads_routines(self, database: str) -> bool:
        if self.allows_globally("SELECT"):
            return True
        # Before it existed ALL PRIVILEGES did not hold it.
        if self._session.server.numbers >= _SHOW_CREATE_ROUTINE_SINCE and self.allows("SHOW CREATE ROUTINE", database):
            return True
        if self.allows_globally("SHOW_ROUTINE"):
            return True
        visible = (
            "SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s AND ROUTINE_DEFINITION IS NULL"
        )
        if self._on_routine_table():
            return True
        # Routines without any right on them cannot even be seen, so none seen proves something only with EXECUTE.
        return self.allows("EXECUTE", database) and not self._session.value(visible, [database])

    def _on_routine_table(self) -> bool:
        return any(
            pattern.fullmatch("mysql.proc") and ("SELECT" in rights or "ALL PRIVILEGES" in rights)
            for pattern, rights in self._by_pattern
        ) or self.allows("SELECT", "mysql")

    def _routines_command(self, account: str) -> str:
        server = self._session.server
        if server.flavour == "mysql" and server.numbers >= (8, 0, 20):
            return f"GRANT SHOW_ROUTINE ON *.* TO {account};"
        return f"GRANT SELECT ON mysql.proc TO {account};"

    def _read(self, line: str) -> None:
        match = _GRANT.match(line)
        if match is None:
            return
        rights = {right.strip().upper() for right in re.sub(r"\(.*?\)", "", match[1]).split(",")}
        if match[2] == "*.*":
            self._globally |= rights
        elif schema := _SCHEMA.fullmatch(match[2]):
            self._by_pattern.append((_compiled(schema[1][1:-1].replace("``", "`")), rights))
        else:
            names = match[2].replace("`", "")
            self._by_pattern.append((re.compile(re.escape(names)), rights))


def _compiled(pattern: str) -> re.Pattern[str]:
    """A schema pattern of a grant, where `_` and `%` stand for anything unless escaped."""
    parts = {"%": ".*", "_": "."}
    pieces = re.findall(r"\\.|.", pattern, re.DOTALL)
    text = "".join(parts.get(piece, re.escape(piece[-1])) for piece in pieces)
    return re.compile(text, re.DOTALL | re.IGNORECASE)


def literal_pattern(database: str) -> str:
    """A database's name for a GRANT command, where `_` and `%` would stand for anything."""
    return quote(re.sub(r"([_%\\])", r"\\\1", database))


def text_literal(value: str) -> str:
    """A text in quotes, for a statement."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
