"""Which of the installed programs fits which server: MariaDB's own for MariaDB, Oracle's for MySQL."""

from collections.abc import Sequence

from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.mysql_connection import Flavour, Server, Session
from dgtui.engine.datasources.mysql_look import Table
from dgtui.engine.errors import BackupCreationError, ToolMissing, ToolTooOld
from dgtui.engine.model import ToolVersion
from dgtui.engine.tools import installed, search_folders, version_numbers

DUMP_NAMES = ("mariadb-dump", "mysqldump")
CLIENT_NAMES = ("mariadb", "mysql")
_WELL_KNOWN = (
    "/usr/local/mysql/bin",
    "/usr/local/mariadb/bin",
    "/opt/mysql/bin",
    "/opt/mariadb/bin",
    "/opt/homebrew/opt/mysql-client*/bin",
    "/opt/homebrew/opt/mariadb*/bin",
)
_PACKAGES: dict[Flavour, str] = {"mariadb": "mariadb-client", "mysql": "mysql-client-core or mariadb-client"}
_OLDEST_FOR_MARIADB = (10, 3)
"""Sequences came with this version; an older program dumps them as if they were tables."""
_OLDEST_FOR_MYSQL = (8, 0)


def tool_flavour(tool: ToolVersion) -> Flavour:
    """Whose program it is; `mysqldump` is often a link to MariaDB's, so only its version tells."""
    return "mariadb" if "mariadb" in f"{tool.name} {tool.version}".lower() else "mysql"


def dump_tool(server: Server, folder: str | None) -> ToolVersion:
    """The dump program that fits a server. Raises ToolMissing, ToolTooOld."""
    return _choose(DUMP_NAMES, server, folder)


def client_tool(server: Server, folder: str | None) -> ToolVersion:
    """The client that fits a server. Raises ToolMissing, ToolTooOld."""
    return _choose(CLIENT_NAMES, server, folder)


def refuse_generated(session: Session, database: str, tables: Sequence[Table], tool: ToolVersion) -> None:
    """MariaDB's program dumps values for generated columns, and MySQL takes none back. Raises ToolMissing."""
    if session.server.flavour != "mysql" or tool_flavour(tool) != "mariadb":
        return
    query = (
        "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS "
        "WHERE TABLE_SCHEMA = %s AND GENERATION_EXPRESSION <> ''"
    )
    dumped = {table.name for table in tables}
    found = [f"{table}.{column}" for table, column in session.rows(query, [database]) if table in dumped]
    if found:
        raise ToolMissing(
            f"{tool.name} {tool.version} is of MariaDB: what it dumps of generated columns ({', '.join(found[:3])}) "
            f"cannot be loaded into {session.server.product}",
            subject=DUMP_NAMES[1],
            hint="apt-get install mysql-client-core, or name the folder of MySQL's own mysqldump with `tools`",
        )


def refuse_endless_events(session: Session, database: str, options: DumpOptions) -> None:
    """Where an event holds `;;`, the program looks for another end of its statement for ever, and writes nothing more.

    Raises BackupCreationError.
    """
    if options.tables or options.backup_type == "data_only" or "--skip-events" in options.extra_arguments:
        return
    found = [
        str(name)
        for name, comment, body in session.rows(
            "SELECT EVENT_NAME, EVENT_COMMENT, EVENT_DEFINITION FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
            [database],
        )
        if any(";;" in str(text) for text in (name, comment, body))
    ]
    if found:
        raise BackupCreationError(
            f"The dump program does not get past an event that holds `;;`: {', '.join(found)}",
            subject=found[0],
            hint="Write `; ;` in the event (ALTER EVENT), or leave all events out with "
            'extra_arguments = ["--skip-events"]',
        )


def _choose(names: tuple[str, ...], server: Server, folder: str | None) -> ToolVersion:
    folders = search_folders(folder, _WELL_KNOWN)
    found = installed(names, folders)
    usable = [tool for tool in found if tool_flavour(tool) == server.flavour]
    if not usable and server.flavour == "mysql":
        usable = list(found)  # MariaDB's programs speak to MySQL as well; the other way round the login fails
    wanted = names[0] if server.flavour == "mariadb" else names[1]
    if not usable:
        raise ToolMissing(
            f"{wanted} is not installed (looked in {', '.join(str(path) for path in folders)})",
            subject=wanted,
            hint=f"apt-get install {_PACKAGES[server.flavour]}, or name its folder with `tools` in the configuration",
        )
    best = max(usable, key=lambda tool: _fitness(tool, server))
    if _too_old(best, server):
        raise ToolTooOld(
            f"{best.name} {best.version} is too old for {server.product}",
            subject=best.path,
            hint=f"apt-get install {_PACKAGES[server.flavour]}, of version {server.version} or newer",
        )
    return best


def _fitness(tool: ToolVersion, server: Server) -> tuple[bool, tuple[int, ...]]:
    """The oldest that is at least as new as the server, else the newest."""
    numbers = version_numbers(tool.version)
    if numbers[:2] >= server.numbers[:2]:
        return True, tuple(-part for part in numbers)
    return False, numbers


def _too_old(tool: ToolVersion, server: Server) -> bool:
    numbers = version_numbers(tool.version)
    if tool_flavour(tool) == "mariadb":
        return numbers < _OLDEST_FOR_MARIADB <= server.numbers
    return numbers < _OLDEST_FOR_MYSQL <= server.numbers
