"""MariaDB against the shell: `python -m tests.bench.bench_mysql --help`.

Starts a server of its own, makes a database of about the wanted size of dump, and prints a table in Markdown.
"""

import argparse
from pathlib import Path

from tests.bench.measure import Case, shell
from tests.bench.place import SMALL_MEGABYTES, Place, dgtui, run_bench, show
from tests.support.mariadb import MariadbServer

_SYNCED = ("--innodb-flush-method=O_DIRECT", "--innodb-doublewrite=ON", "--sync-frm=ON", "--debug-no-sync=OFF")
"""As servers run elsewhere: what is measured waits for the disk."""
_DATA = (
    "CREATE TABLE accounts (id INT PRIMARY KEY, branch INT, balance INT, filler CHAR(84)) ENGINE=InnoDB",
    "INSERT INTO accounts SELECT seq, seq % 10, FLOOR(RAND(seq) * 100000), '' FROM seq_1_to_{accounts}",
    "CREATE TABLE logs (id INT PRIMARY KEY, at DATETIME, line TEXT) ENGINE=InnoDB",
    """INSERT INTO logs SELECT seq, '2025-01-01' + INTERVAL seq SECOND, CONCAT(
    '{{"level":"info","req":"', MD5(seq), '","path":"/api/v1/orders/', FLOOR(RAND(seq) * 5000), '","ms":',
    FLOOR(RAND(seq) * 700), ',"msg":"handled request for user ', FLOOR(RAND(seq) * 10000), '"}}')
    FROM seq_1_to_{logs}""",
    "CREATE TABLE documents (id INT PRIMARY KEY, document JSON, bytes BLOB) ENGINE=InnoDB",
    """INSERT INTO documents SELECT seq, JSON_OBJECT('id', seq, 'body', CONCAT_WS(' ', MD5(seq * 31), MD5(seq * 37),
    MD5(seq * 41), MD5(seq * 43), MD5(seq * 47), MD5(seq * 53), MD5(seq * 59), MD5(seq * 61))),
    UNHEX(CONCAT(SHA2(seq, 512), SHA2(seq * 3, 512), SHA2(seq * 5, 512), SHA2(seq * 7, 512)))
    FROM seq_1_to_{documents}""",
    "ANALYZE TABLE accounts, logs, documents",
)
_ROWS = {"accounts": 2_000_000, "logs": 1_300_000, "documents": 120_000}


def _make_database(server: MariadbServer, megabytes: int) -> None:
    server.create_database("bench")
    scale = megabytes / SMALL_MEGABYTES
    with server.connect("bench") as connection, connection.cursor() as cursor:
        for statement in _DATA:
            cursor.execute(statement.format(**{name: round(rows * scale) for name, rows in _ROWS.items()}))
        connection.commit()


def _restores(place: Place, server: MariadbServer) -> list[Case]:
    archive = place.archive()

    def drop_copy() -> None:
        server.drop_database("bench_copy")

    client = f"mariadb --socket={server.socket} --user=root"
    by_hand = f"{client} -e 'CREATE DATABASE bench_copy' && zstd -qdc {archive} | {client} bench_copy"
    restore = dgtui("restore", "zstd@latest", "--into", "bench_copy", "--yes")
    return [shell("zstd -dc \\| mariadb", by_hand, drop_copy), Case("dgtui restore", restore, drop_copy)]


def bench(wanted: argparse.Namespace, folder: Path) -> None:
    """Backups against `mariadb-dump | zstd`, restores against `zstd -dc | mariadb`."""
    server = MariadbServer("--innodb-buffer-pool-size=512M", "--innodb-flush-log-at-trx-commit=2", *_SYNCED)
    server.start()
    try:
        _make_database(server, wanted.megabytes)
        settings = {"type": "mysql", "socket": server.socket, "username": "root", "database": "bench"}
        place = Place(folder, settings, {})
        if wanted.only != "restore":
            source = (
                f"mariadb-dump --socket={server.socket} --user=root --single-transaction --quick --routines "
                "--triggers --events bench"
            )
            show(place, place.backups("mariadb-dump", source, gzip=True), wanted.rounds, [server.pid])
        if wanted.only != "backup":
            show(place, _restores(place, server), wanted.rounds, [server.pid])
    finally:
        server.stop()
        server.remove()


if __name__ == "__main__":
    run_bench(__doc__ or "", bench)
