"""What to do next where a statement fails while a dump is loaded, by the server's error number."""

import re
from typing import NamedTuple

from dgtui.engine.datasources.mysql_errors import NO_ROOM_HINT, read_only_hint, tells_of_no_room

_NEEDED = re.compile(r"\(at least one of\) the (.*?) privilege")


class _Known(NamedTuple):
    codes: frozenset[int]
    hint: str


LOST_HINT = (
    ". Its error log tells why it ended: a full disk ends the whole server, where InnoDB cannot even take back what it "
    "wrote (Out of disk space in rollback); then make room where it keeps its data before the next try"
)
"""The server says this in its log alone; the client sees nothing but a lost connection."""

_HINTS: tuple[_Known, ...] = (
    _Known(
        frozenset({1418, 1419}),
        "The server writes a binary log, and trusts no functions and triggers of others. As an administrator: "
        "SET GLOBAL log_bin_trust_function_creators = 1; or GRANT SUPER ON *.* TO {account};",
    ),
    _Known(
        frozenset({1044, 1142, 1143, 1370}),
        "{account} lacks a right that the error names. As an administrator: {grant}",
    ),
    _Known(
        frozenset({1115, 1273}),
        "The server does not know the character set or collation of the backup's server (SHOW COLLATION lists what it "
        "knows): restore into one that does, or convert the tables at the source and back up again",
    ),
    _Known(
        frozenset({1163, 1178, 1286}),
        "The server lacks the storage engine, or what the table needs of it (SHOW ENGINES lists what it has): install "
        "its package or plugin (INSTALL SONAME), or at the source: ALTER TABLE ... ENGINE = InnoDB",
    ),
    _Known(
        frozenset({1153, 1301}),
        "A row is longer than the server takes. As an administrator: SET GLOBAL max_allowed_packet = 1073741824; "
        "then try again",
    ),
    _Known(
        frozenset({1062, 1586}),
        "Two rows of the backup have the same key for this server: a collation may count letters as the same, or its "
        "rules are of another version. Mend the rows or the key at the source, and back up again",
    ),
    _Known(
        frozenset({1005, 1215, 1822, 1824, 1825, 3734, 3780}),
        "SHOW WARNINGS, or SHOW ENGINE INNODB STATUS under LATEST FOREIGN KEY ERROR, tells more. Where it is a foreign "
        "key: the table that it leads to is not there, or its column has another type or no index",
    ),
    _Known(
        frozenset({1216, 1217, 1451, 1452}),
        "A row leads to one that is not there: restore the tables that belong together at once, or mend the rows at "
        "the source and back up again",
    ),
    _Known(
        frozenset({14, 1021, 1114}),
        f"{NO_ROOM_HINT}; a table in memory is limited by max_heap_table_size, the system tablespace by "
        "innodb_data_file_path",
    ),
    _Known(
        frozenset({1071, 1118, 1709}),
        "The server takes no rows or keys of this length: see innodb_page_size and innodb_default_row_format (DYNAMIC "
        "takes the longest), or make the columns shorter or TEXT at the source",
    ),
    _Known(
        frozenset({1048, 1067, 1264, 1265, 1292, 1364, 1366, 1406, 4025, 3819}),
        "The server is stricter than the source was (SELECT @@sql_mode: NO_ZERO_DATE, STRICT_TRANS_TABLES), or a check "
        "of the table fails: mend the value or the default at the source, or let the server be as lax meanwhile "
        "(SET GLOBAL sql_mode = '')",
    ),
    _Known(
        frozenset({1126, 1127, 1128, 1305, 1524}),
        "Make the function, or install the plugin, that the error names on the server first, then try again",
    ),
    _Known(
        frozenset({1049, 1146, 1356, 1449}),
        "A view or routine uses what the error names, which is not on this server: make that first, or take it out of "
        "the view at the source",
    ),
    _Known(
        frozenset({1054, 1136, 1906, 3105}),
        "The table that is there has other columns than the one of the backup: restore the backup in full, or into "
        "another database with --into NAME and copy from there",
    ),
    _Known(frozenset({1205, 1213, 1969, 3024}), "Something else was at the database (SHOW PROCESSLIST): try again"),
    _Known(
        frozenset({1064, 1193, 1231, 1235}),
        "The server may be older than the one of the backup, or the other product, MySQL or MariaDB: restore into one "
        "of the same product and of at least that version",
    ),
)


def load_hint(code: int, text: str, *, account: str, grant: str) -> str:
    """What helps against an error of the server; empty where its kind is not known.

    `account` is who loads, and `grant` the command that gives them all rights on the database.
    """
    if hint := read_only_hint(code, text):
        return hint
    if tells_of_no_room(text):
        return NO_ROOM_HINT
    if code == 1227:
        return _lacking(text, account)
    for known in _HINTS:
        if code in known.codes:
            return known.hint.format(account=account, grant=grant)
    return ""


def _lacking(text: str, account: str) -> str:
    """The last of the rights that would do is the narrowest."""
    match = _NEEDED.search(text)
    right = match[1].rpartition(", ")[2] if match else "SUPER"
    return f"As an administrator: GRANT {right} ON *.* TO {account}; or restore as a user who has it (`username`)"
