"""The lines of RESTORE.txt for MySQL and MariaDB: how the plain client loads a dump."""

import shlex
from collections.abc import Sequence

from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_properties import creation
from dgtui.engine.properties import DatabaseProperties

_LOAD = "--binary-mode --comments --max-allowed-packet=1G"
_EXACT_DATES = "1,40s/SQL_MODE='NO_AUTO_VALUE_ON_ZERO'/SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'/"
"""Keeps dates such as 2024-02-30, which the dump's head forbids."""
_UNCHECKED = r"1,40s/^\/\*!40101 SET @OLD_SQL_MODE=/\/*M!100201 SET check_constraint_checks=0 *\/; &/"
"""Takes rows that keep to no CHECK, as the source has them."""
_VIEWS = r"/^-- Final view structure for view /,/^\/\*!50001 SET collation_connection *= @saved/"
_WITHOUT_CHECK = _VIEWS + r"s/^\/\*!50002 WITH [A-Z]* CHECK OPTION \*\/;$/;/"


def manual_lines(
    archive_file: str,
    database: str,
    *,
    client: Sequence[str],
    properties: DatabaseProperties | None,
    checked_views: bool,
    dumped: DumpOptions,
) -> tuple[str, ...]:
    """Make the database and load the dump; `client` is the client's command line with all that it needs to connect.

    `checked_views` tells that there are views WITH CHECK OPTION. They cannot be made upon a view that is still a
    placeholder, and the dump has its views by name; so all are made without the option, and then once more as they are.
    What is there already is left as it is: the dump itself would drop it, and keep nothing of it.
    """
    checked_views = checked_views and dumped.backup_type != "data_only"
    # Without it a name beyond ASCII would be taken as the locale of the shell has it.
    connection, archive = shlex.join([*client, "--default-character-set=utf8mb4"]), shlex.quote(archive_file)
    load = f"{connection} {_LOAD} -- {shlex.quote(database)}"
    edits = [_EXACT_DATES, _UNCHECKED, *([_WITHOUT_CHECK] if checked_views else [])]
    lines = [
        "# The password, where one is needed, stands in ~/.my.cnf below a line [client]:",
        '#   password="..."',
        "# or add --password to the commands to be asked for it.",
        "# A row longer than the server's max_allowed_packet needs: SET GLOBAL max_allowed_packet = 1073741824",
        *(_rows_alone() if dumped.backup_type == "data_only" else _making(connection, database, properties, dumped)),
        f"LC_ALL=C sed {' '.join(f'-e {shlex.quote(edit)}' for edit in edits)} {archive} | {load}",
    ]
    if checked_views:
        lines += [
            "# Once more the views, now that each finds the others, with their CHECK OPTION.",
            f"LC_ALL=C sed -n {shlex.quote(_VIEWS + 'p')} {archive} | {load}",
        ]
    return tuple(lines)


def _rows_alone() -> list[str]:
    return [
        "# This backup holds rows alone: the database and its tables have to be there, and the tables empty.",
        "# Foreign keys are not checked while it loads; triggers fire, so drop those that must not.",
    ]


def _making(connection: str, database: str, properties: DatabaseProperties | None, dumped: DumpOptions) -> list[str]:
    """Make the database unless it is there, and end where a table is in the way."""
    create, show = creation(database, properties, unless_there=True), f"SHOW TABLES FROM {quote(database)}"
    told = [
        "# The dump drops the tables that it brings: those that are there are in the way.",
        f"{connection} --execute={shlex.quote(create)}",
        f"there=$({connection} --batch --raw --skip-column-names --execute={shlex.quote(show)})",
    ]
    if not dumped.tables:
        text = f"{database} holds tables, which would be lost: drop or rename that database or its tables first"
        return [*told, f"""[ -z "$there" ] || {{ printf '%s\\n' {shlex.quote(text)} >&2; false; }}"""]
    text = f"The tables named above are there in {database}, and would be lost: rename or drop them first"
    names = " ".join(f"-e {shlex.quote(table)}" for table in dumped.tables)
    return [
        "# This backup holds chosen tables alone, without those that they refer to; what else is there stays.",
        *told,
        f"""if printf '%s\\n' "$there" | LC_ALL=C grep -Fx {names} >&2; then""",
        f"  printf '%s\\n' {shlex.quote(text)} >&2; false",
        "fi",
    ]
