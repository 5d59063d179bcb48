"""What to do next where a statement fails while a dump of MariaDB is loaded: by what a real server itself says."""

from collections.abc import Iterator

import pymysql
import pytest

from dgtui.engine.datasources.mysql_errors import NO_ROOM_HINT, translate_error
from dgtui.engine.datasources.mysql_load_hints import load_hint
from dgtui.engine.errors import RestoreError
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer
from tests.support.round_trips import mysql_table, whole_backup

_LAX = "SET SESSION sql_mode = ''"
_STRICT = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION'"
_PARENT = "CREATE TABLE parent (i INT PRIMARY KEY)"
_CASES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("CREATE TABLE t (w TEXT) COLLATE utf8mb4_0900_ai_ci",), "SHOW COLLATION"),
    (("CREATE TABLE t (w TEXT) CHARSET nowhere",), "SHOW COLLATION"),
    ((_STRICT, "CREATE TABLE t (w TEXT) ENGINE=NOWHERE"), "INSTALL SONAME"),
    (("CREATE TABLE t (w TEXT) ENGINE=MEMORY",), "SHOW ENGINES"),
    (("CREATE TABLE t (i INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (1)"), "the same key"),
    (
        (
            "CREATE TABLE t (w VARCHAR(9)) COLLATE utf8mb4_general_ci",
            "INSERT INTO t VALUES ('a'), ('A')",
            "ALTER TABLE t ADD UNIQUE (w)",
        ),
        "collation may count letters as the same",
    ),
    (("CREATE TABLE t (i INT, FOREIGN KEY (i) REFERENCES nowhere (i))",), "LATEST FOREIGN KEY ERROR"),
    ((_PARENT, "CREATE TABLE t (i BIGINT, FOREIGN KEY (i) REFERENCES parent (i))"), "has another type"),
    (
        (_PARENT, "CREATE TABLE t (i INT, FOREIGN KEY (i) REFERENCES parent (i))", "INSERT INTO t VALUES (1)"),
        "leads to one that is not there",
    ),
    (
        (
            "SET SESSION max_heap_table_size = 16384",
            "CREATE TABLE t (w VARCHAR(200)) ENGINE=MEMORY",
            "INSERT INTO t SELECT REPEAT('x', 200) FROM seq_1_to_1000",
        ),
        "Make room",
    ),
    (
        (f"CREATE TABLE t ({', '.join(f'c{number} CHAR(200)' for number in range(60))}) CHARSET latin1",),
        "DYNAMIC takes the longest",
    ),
    ((_STRICT, "CREATE TABLE t (d DATE DEFAULT '0000-00-00')"), "NO_ZERO_DATE"),
    ((_STRICT, "CREATE TABLE t (d DATE)", "INSERT INTO t VALUES ('0000-00-00')"), "NO_ZERO_DATE"),
    ((_STRICT, "CREATE TABLE t (w VARCHAR(2))", "INSERT INTO t VALUES ('longer')"), "STRICT_TRANS_TABLES"),
    ((_LAX, "CREATE TABLE t (i INT CHECK (i > 3))", "INSERT INTO t VALUES (1)"), "a check of the table"),
    (("CREATE VIEW v AS SELECT * FROM nowhere.t",), "make that first"),
    (("CREATE FUNCTION f RETURNS INT SONAME 'nothing.so'",), "install the plugin"),
    (("CREATE VIEW v AS SELECT nothing_at_all(1)",), "Make the function"),
    (("CREATE TABLE t (i INT, j INT)", "INSERT INTO t VALUES (1)"), "has other columns"),
    (("CREATE TABLE t (i INT, j INT AS (i + 1))", "INSERT INTO t VALUES (1, 5)"), "has other columns"),
    (("CREATE NOTHING t",), "the other product"),
    (("SET SESSION nothing_at_all = 1",), "the other product"),
)
_OF_PLAIN: tuple[tuple[tuple[str, ...], str], ...] = (
    (("CREATE DEFINER=root@localhost VIEW v AS SELECT 1",), "GRANT SET USER ON *.* TO 'plain'@'%';"),
    (("SET SESSION sql_log_bin = 0",), "GRANT BINLOG ADMIN ON *.* TO 'plain'@'%';"),
    (("SET GLOBAL max_allowed_packet = 1048576",), "GRANT SUPER ON *.* TO 'plain'@'%';"),
    (("CREATE DATABASE others_own",), "As an administrator: GRANT IT;"),
    (("SELECT * FROM mysql.user",), "As an administrator: GRANT IT;"),
    (
        ("CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",),
        "SET GLOBAL log_bin_trust_function_creators = 1; or GRANT SUPER ON *.* TO 'plain'@'%';",
    ),
)


@pytest.fixture(scope="module")
def logging_server() -> Iterator[MariadbServer]:
    """A server with a binary log, and one user without a right beyond one database."""
    server = MariadbServer("--log-bin=log", "--max-allowed-packet=1M")
    try:
        server.start()
        server.execute("CREATE USER plain@'%'")
        yield server
    finally:
        server.remove()


def _hint(server: MariadbServer, user: str, statements: tuple[str, ...]) -> str:
    database = server.create_database()
    try:
        server.execute(f"GRANT ALL ON {database}.* TO plain@'%'")
        with server.connect(database, user=user) as connection, connection.cursor() as cursor:
            for statement in statements[:-1]:
                cursor.execute(statement)
            with pytest.raises(pymysql.MySQLError) as failed:
                cursor.execute(statements[-1])
    finally:
        server.drop_database(database)
    code, text = failed.value.args
    return load_hint(code, text, account=f"'{user}'@'%'", grant="GRANT IT;")


@pytest.mark.parametrize(("statements", "told"), _CASES)
def test_what_helps_is_told_by_what_failed(
    logging_server: MariadbServer, statements: tuple[str, ...], told: str
) -> None:
    assert told in _hint(logging_server, "root", statements)


@pytest.mark.parametrize(("statements", "told"), _OF_PLAIN)
def test_a_missing_right_is_given_by_its_name(
    logging_server: MariadbServer, statements: tuple[str, ...], told: str
) -> None:
    assert told in _hint(logging_server, "plain", statements)


def test_a_server_that_is_read_only_is_called_so(logging_server: MariadbServer) -> None:
    logging_server.execute("SET GLOBAL read_only = 1")
    try:
        assert "name the primary" in _hint(logging_server, "plain", ("CREATE TABLE t (i INT)",))
    finally:
        logging_server.execute("SET GLOBAL read_only = 0")


def _failed_restore(home: Home, server: MariadbServer, *statements: str) -> str:
    """Back up as the administrator, restore elsewhere as somebody who may do less; what the command says."""
    server.execute("DROP DATABASE IF EXISTS source", "CREATE DATABASE source", "DROP DATABASE IF EXISTS other")
    server.execute(*statements, database="source")
    home.configure(mysql_table(server, "source"))
    execution = whole_backup(home)
    server.execute("GRANT ALL ON `source`.* TO plain@'%'", "GRANT ALL ON `other%`.* TO plain@'%'")
    home.configure(mysql_table(server, "source", username="plain"))
    failed = home.dgtui("restore", execution.execution_id, "--into", "other", "--yes")
    assert failed.exit_code == 1
    assert server.databases() == {"source"}, failed
    return failed.errors


def test_a_failed_restore_tells_it(home: Home, logging_server: MariadbServer) -> None:
    trigger = "CREATE DEFINER=plain@'%' TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET @a = 1"
    errors = _failed_restore(home, logging_server, "CREATE TABLE t (i INT)", trigger)
    assert "GRANT SUPER ON *.* TO 'plain'@'%';" in errors


def test_a_row_that_the_server_takes_from_nobody_is_no_lost_connection(
    home: Home, logging_server: MariadbServer
) -> None:
    columns = ", ".join(f"w{number} LONGTEXT" for number in range(3))
    texts = ", ".join(["REPEAT(MD5(1), 30000)"] * 3)
    errors = _failed_restore(home, logging_server, f"CREATE TABLE t ({columns})", f"INSERT INTO t SELECT {texts}")
    assert "SET GLOBAL max_allowed_packet = 1073741824" in errors


@pytest.mark.parametrize(
    ("code", "text", "told"),
    [
        (1836, "Running in read-only mode", "name the primary"),
        (1290, "The MySQL server is running with the --super-read-only option so it cannot", "name the primary"),
        (1290, "The MySQL server is running with the --secure-file-priv option so it cannot", ""),
        (
            3780,
            "Referencing column 'i' and referenced column 'j' are incompatible",
            "type",
        ),
        (1021, "Disk full (/tmp/x); waiting for someone to free some space...", "Make room"),
        (1153, "Got a packet bigger than 'max_allowed_packet' bytes", "SET GLOBAL max_allowed_packet"),
        (1227, "Access denied; you need (at least one of) the SYSTEM_USER privilege(s) for this", "GRANT SYSTEM_USER"),
        (9999, "Something new", ""),
    ],
)
def test_what_this_server_does_not_say(code: int, text: str, told: str) -> None:
    hint = load_hint(code, text, account="'plain'@'%'", grant="GRANT IT;")
    assert told in hint
    assert bool(told) == bool(hint)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1296, "Got error 59 'Temp file write failure' from InnoDB"),
        (1005, 'Can\'t create table `new`.`t` (errno: 135 "No more room in record file")'),
        (3, "Error writing file './db/t.TRG~' (Errcode: 28 \"No space left on device\")"),
    ],
)
def test_a_full_disk_under_other_numbers(code: int, text: str) -> None:
    """As MariaDB tells of it: it is not another storage that helps, and not a foreign key that is wrong."""
    assert load_hint(code, text, account="'plain'@'%'", grant="GRANT IT;") == NO_ROOM_HINT
    error = translate_error(code, text, user="any", host="db", port=3306, database="any", fallback=RestoreError)
    assert (type(error), error.hint) == (RestoreError, NO_ROOM_HINT)
