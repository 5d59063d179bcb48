"""A database of MariaDB with every feature that is hard to dump or to load."""

from typing import TYPE_CHECKING

from tests.support.mariadb_digest import quoted

if TYPE_CHECKING:
    from tests.support.mariadb import MariadbServer


def mysql_nasty(server: "MariadbServer", database: str, *, big_row_bytes: int = 0) -> None:
    """Fill a database with every feature that is hard to dump or to load."""
    server.execute(f"ALTER DATABASE {quoted(database)} CHARACTER SET latin1")
    server.execute(
        *_TABLES, *_ROWS, *_OBJECTS, f"ALTER DATABASE {quoted(database)} CHARACTER SET utf8mb4", database=database
    )
    with server.connect(database) as connection, connection.cursor() as cursor:
        every_byte = bytes(range(256))
        for data in (every_byte, every_byte[::-1] * 40, b"\n-- Table structure for table `x`\n--\n", b"", None):
            cursor.execute(
                "INSERT INTO bytes (raw, short, fixed) VALUES (%s, %s, %s)", (data, data and data[:200], b"a")
            )
        for number in range(300):
            cursor.execute("INSERT INTO parts VALUES (%s, %s, %s)", (number, number % 7, "x" * number))
        # In pieces, because a server takes no statement as large as such a row.
        if big_row_bytes:
            cursor.execute("INSERT INTO big (id) VALUES (1)")
            for column in ("a", "b"):
                cursor.execute(f"UPDATE big SET {column} = REPEAT(CHAR(0, 39, 92, 255), %s)", (big_row_bytes // 8,))


_TABLES = (
    "CREATE SEQUENCE counter START WITH 100 INCREMENT BY 3 CACHE 10",
    "CREATE TABLE bytes (id INT AUTO_INCREMENT PRIMARY KEY, raw LONGBLOB, short VARBINARY(300), fixed BINARY(8))",
    'CREATE TABLE `we``ird; -- "x"` (`select` INT PRIMARY KEY, `tick``s` VARCHAR(20), `köln ☃` TEXT) CHARSET utf8mb4',
    "CREATE TABLE `two\nlines` (a INT)",
    "CREATE TABLE empty_one (a INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 5000",
    (
        "CREATE TABLE latin (id INT PRIMARY KEY, t VARCHAR(50), u TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin) "
        "CHARSET latin1 COMMENT 'it''s \\n \\\\ \"quoted\" ; -- x'"
    ),
    "CREATE TABLE dates (id INT PRIMARY KEY, d DATE NOT NULL, dt DATETIME(6), ts TIMESTAMP(6) NULL, t TIME(3), y YEAR)",
    (
        "CREATE TABLE numbers (id INT PRIMARY KEY, f FLOAT, d DOUBLE, n DECIMAL(65,30), b BIT(64), u BIGINT UNSIGNED, "
        "CONSTRAINT positive CHECK (u > 0))"
    ),
    (
        "CREATE TABLE shapes (id INT PRIMARY KEY, g GEOMETRY, p POINT NOT NULL, j JSON, e ENUM('a','b''c'), "
        "s SET('x','y'), SPATIAL INDEX (p))"
    ),
    (
        "CREATE TABLE made (a INT, b INT AS (a * 2) STORED, c INT AS (a + 1) VIRTUAL, h INT INVISIBLE DEFAULT 4, "
        "n INT DEFAULT (NEXTVAL(counter)), l INT DEFAULT (LASTVAL(counter) + 1), INDEX (b))"
    ),
    (
        "CREATE TABLE parts (id INT, k INT, v TEXT, PRIMARY KEY (id, k)) PARTITION BY RANGE (k) "
        "SUBPARTITION BY HASH (id) SUBPARTITIONS 2 "
        "(PARTITION low VALUES LESS THAN (3), PARTITION high VALUES LESS THAN MAXVALUE)"
    ),
    "CREATE TABLE hen (id INT PRIMARY KEY, egg INT)",
    "CREATE TABLE egg (id INT PRIMARY KEY, hen INT, CONSTRAINT laid FOREIGN KEY (hen) REFERENCES hen (id))",
    "ALTER TABLE hen ADD CONSTRAINT hatched FOREIGN KEY (egg) REFERENCES egg (id)",
    "CREATE TABLE audit (id INT AUTO_INCREMENT PRIMARY KEY, what TEXT)",
    "CREATE TABLE history (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING",
    (
        "CREATE TABLE dated (id INT PRIMARY KEY, v INT, since TIMESTAMP(6) AS ROW START, "
        "until TIMESTAMP(6) AS ROW END, PERIOD FOR SYSTEM_TIME (since, until)) WITH SYSTEM VERSIONING"
    ),
    "CREATE TABLE big (id INT PRIMARY KEY, a LONGBLOB, b LONGBLOB)",
    "CREATE TABLE words (id INT PRIMARY KEY, t TEXT, FULLTEXT (t))",
)

_ROWS = (
    "SET sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'",
    "SET time_zone = '+00:00'",
    "SET foreign_key_checks = 0",
    "INSERT INTO `we``ird; -- \"x\"` VALUES (1, 'a`b', 'zwölf ☃ 😀 \\0 \\Z \\' \\\" \\\\ \\r\\n\\t'), (0, '', NULL)",
    "INSERT INTO `two\nlines` VALUES (1), (NULL), (-1)",
    (
        "INSERT INTO latin VALUES (1, 'caf\u00e9 \u00df', '\u65e5\u672c'), "
        "(2, NULL, '\\n(1,2),\\n-- Dumping data for table `x`')"
    ),
    (
        "INSERT INTO dates VALUES (1, '0000-00-00', '0000-00-00 00:00:00', NULL, '-838:59:59', 0), "
        "(2, '2024-02-30', '2024-02-30 01:02:03.123456', '2026-03-29 02:30:00.654321', '12:00:00.123', 2155), "
        "(3, '9999-12-31', '1000-01-01 00:00:00', '1970-01-01 00:00:01', '0:0:0', 1901), "
        "(4, '2024-00-00', NULL, NULL, NULL, NULL)"
    ),
    (
        "INSERT INTO numbers VALUES (1, 0.5, 0.1, 12345678901234567890.123456789012345678901234567890, b'1', 1), "
        "(2, -1.5e30, 1.7976931348623157e308, -0.000000000000000000000000000001, ~0, 18446744073709551615), "
        "(3, NULL, 2.2250738585072014e-308, NULL, NULL, NULL), (0, 0, -0.1234567890123456789, 0, 0, 7)"
    ),
    # Such as a check made later, or one that asked for the time, leaves.
    "SET check_constraint_checks = 0",
    "INSERT INTO numbers VALUES (9, 1, 1, 1, 1, 0)",
    "SET check_constraint_checks = 1",
    (
        "INSERT INTO shapes VALUES (1, ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))', 4326), POINT(1.1, -2.2), "
        "'{\"k\": [1, \"\\\\u0000\", \"ü\"]}', 'b''c', 'x,y'), (2, NULL, POINT(0, 0), NULL, NULL, '')"
    ),
    "INSERT INTO made (a) VALUES (1), (2), (NULL)",
    "INSERT INTO made (a, h) VALUES (9, 99)",
    "INSERT INTO hen VALUES (1, 1), (2, NULL)",
    "INSERT INTO egg VALUES (1, 1), (2, NULL)",
    "INSERT INTO audit (id, what) VALUES (7, 'seven'), (700, 'gap')",
    "DELETE FROM audit WHERE id = 700",
    "INSERT INTO history VALUES (1, 1), (2, 1)",
    "UPDATE history SET v = 2 WHERE id = 1",
    "DELETE FROM history WHERE id = 2",
    "INSERT INTO dated (id, v) VALUES (1, 1), (2, 1)",
    "UPDATE dated SET v = 2 WHERE id = 1",
    "DELETE FROM dated WHERE id = 2",
    "INSERT INTO words VALUES (1, 'full text'), (2, NULL)",
)

_OBJECTS = (
    "CREATE VIEW zeta AS SELECT id, t FROM latin WHERE id > 0",
    "CREATE VIEW alpha AS SELECT id FROM zeta WHERE id < 100 WITH CASCADED CHECK OPTION",
    "CREATE SQL SECURITY INVOKER VIEW `view ``q` AS SELECT a.id, COUNT(*) AS n FROM alpha a JOIN zeta z GROUP BY a.id",
    (
        "CREATE TRIGGER before_words BEFORE INSERT ON words FOR EACH ROW BEGIN\n  -- kept comment\n"
        "  /* ; ;; */ SET NEW.t = CONCAT(NEW.t, ' ');\n  INSERT INTO audit (what) VALUES (';;\n"
        "--\n-- Table structure for table `evil`\n--\n\n');\nEND"
    ),
    "CREATE TRIGGER after_words AFTER INSERT ON words FOR EACH ROW INSERT INTO audit (what) VALUES ('after')",
    "SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'",
    (
        "CREATE PROCEDURE \"pro`c\" (IN a INT, OUT b VARCHAR(20)) COMMENT 'it''s' BEGIN\n  -- a comment in the body\n"
        "  # and another\n  SELECT a || 'x;' INTO b;\nEND"
    ),
    "SET sql_mode = ''",
    "CREATE FUNCTION plus_one (a INT) RETURNS INT DETERMINISTIC RETURN a + 1 /* after */",
    (
        "CREATE EVENT never ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DISABLE COMMENT 'x' DO BEGIN\n"
        "  -- nothing\n  DELETE FROM audit WHERE id < 0;\nEND"
    ),
)
