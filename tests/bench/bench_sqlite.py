"""SQLite against the shell: `python -m tests.bench.bench_sqlite --help`.

Makes a database file of about the wanted size in WAL mode, and prints a table in Markdown.
"""

import argparse
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.bench.measure import Case, shell
from tests.bench.place import SMALL_MEGABYTES, Place, dgtui, run_bench, show

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
_DATA = (
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, branch INTEGER, balance INTEGER, filler TEXT)",
    f"{_NUMBERS} INSERT INTO accounts SELECT i, i % 10, abs(random()) % 100000, printf('%84s', '') FROM n",
    "CREATE TABLE logs (id INTEGER PRIMARY KEY, line TEXT)",
    f"""{_NUMBERS} INSERT INTO logs SELECT i, printf('{{{{"req":"%s","path":"/api/v1/orders/%d","ms":%d}}}}',
    lower(hex(randomblob(16))), abs(random()) % 5000, abs(random()) % 700) FROM n""",
    "CREATE INDEX lines ON logs (line)",
    "CREATE TABLE documents (id INTEGER PRIMARY KEY, bytes BLOB)",
    f"{_NUMBERS} INSERT INTO documents SELECT i, randomblob(300) FROM n",
)
_ROWS = 1_000_000


def _make_database(path: Path, megabytes: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in _DATA:
            connection.execute(statement.format(rows=round(_ROWS * megabytes / SMALL_MEGABYTES)))
        connection.commit()


def _restores(place: Place) -> list[Case]:
    archive, copy = place.archive(), place.folder / "copy.db"

    def drop_copy() -> None:
        copy.unlink(missing_ok=True)

    by_hand = f"zstd -qdc {archive} > {copy} && sync {copy} && sqlite3 {copy} 'PRAGMA integrity_check'"
    restore = dgtui("restore", "zstd@latest", "--into", str(copy), "--yes")
    return [shell("zstd -dc, integrity_check", by_hand, drop_copy), Case("dgtui restore", restore, drop_copy)]


def bench(wanted: argparse.Namespace, folder: Path) -> None:
    """Backups against `sqlite3 .backup`, checked as we check it, and zstd; restores against zstd."""
    database, snapshot = folder / "bench.db", folder / "snapshot.db"
    _make_database(database, wanted.megabytes)
    place = Place(folder, {"type": "sqlite", "path": str(database)}, {})
    if wanted.only != "restore":
        copied = f"sqlite3 {database} '.backup {snapshot}'"
        checked = f"sqlite3 {snapshot} 'PRAGMA integrity_check' >&2"
        plain = f"{copied} && cat {snapshot}"
        cases = [
            shell(
                "sqlite3 .backup, integrity_check, zstd -T2 -3 \\| tee >(sha256sum)",
                f"{copied} && {checked} && {place.hashed(f'cat {snapshot}')}; rm {snapshot}",
            ),
            *place.backups("sqlite3 .backup, unchecked", f"({plain}; rm {snapshot})"),
        ]
        show(place, cases, wanted.rounds, [])
    if wanted.only != "backup":
        show(place, _restores(place), wanted.rounds, [])


if __name__ == "__main__":
    run_bench(__doc__ or "", bench)
