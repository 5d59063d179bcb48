"""SQLite databases with every hard feature, a digest of one, and a bank whose total must never change."""

import contextlib
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.datasources.sqlite import SqliteDatasource
from dgtui.engine.datasources.sqlite_file import SqliteSettings
from tests.support.pump import dump_to

BANK_ACCOUNTS = 200
BANK_TOTAL = BANK_ACCOUNTS * 1000
_LONG = 1000

_SCHEMA = """
CREATE TABLE plain (a, b TEXT, c BLOB, d REAL);
CREATE TABLE "we""ird; --x" ("col ""q"" ü" TEXT, "select" INTEGER DEFAULT (1 + 1));
CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE COLLATE NOCASE CHECK (length(name) < 100));
CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id) ON DELETE CASCADE DEFERRABLE);
CREATE TABLE generated (a INTEGER, twice AS (a * 2) STORED, square AS (a * a) VIRTUAL);
CREATE TABLE pairs (k TEXT, n INTEGER, v BLOB, PRIMARY KEY (k, n)) WITHOUT ROWID;
CREATE TABLE strict_one (i INTEGER, t TEXT, b BLOB, a ANY) STRICT;
CREATE TABLE log (what TEXT);
CREATE TABLE "таблица" ("столбец" TEXT);
CREATE INDEX plain_b ON plain (b DESC) WHERE b IS NOT NULL;
CREATE INDEX plain_expression ON plain (lower(b), abs(a));
CREATE VIEW first_view AS SELECT id, name FROM parent;
CREATE VIEW "second view" AS SELECT * FROM first_view WHERE id > 1;
CREATE TRIGGER child_log AFTER INSERT ON child BEGIN INSERT INTO log VALUES ('child ' || new.id); END;
CREATE TRIGGER child_gone AFTER DELETE ON child BEGIN INSERT INTO log VALUES ('gone ' || old.id); END;
CREATE TRIGGER view_write INSTEAD OF INSERT ON first_view BEGIN INSERT INTO parent (name) VALUES (new.name); END;
"""


def fill_nasty(connection: sqlite3.Connection) -> None:
    """Schema and rows that a careless copy loses."""
    connection.executescript(_SCHEMA)
    everything = bytes(range(256))
    rows = [(1, "text", everything, 0.1), (None, "nul\x00behind", b"", -0.0), (2**63 - 1, "", None, 1e308)]
    connection.executemany("INSERT INTO plain VALUES (?, ?, ?, ?)", rows)
    connection.execute("INSERT INTO plain (rowid, a, b) VALUES (-7, 'minus', CAST(x'fffe41' AS TEXT))")
    connection.execute("INSERT INTO plain (rowid, a, b) VALUES (1000000, 'far', '𝄞')")
    connection.execute('INSERT INTO "we""ird; --x" VALUES (?, ?)', ("'quoted'; --", 5))
    connection.executemany("INSERT INTO parent (name) VALUES (?)", [(f"p{number}",) for number in range(50)])
    connection.execute("DELETE FROM parent WHERE id > 45")
    connection.executemany("INSERT INTO child (parent) VALUES (?)", [(number,) for number in range(1, 40)])
    connection.executemany("INSERT INTO generated (a) VALUES (?)", [(3,), (-4,)])
    connection.executemany("INSERT INTO pairs VALUES (?, ?, ?)", [("b", 2, everything), ("a", 9, b"\x00")])
    connection.execute("INSERT INTO strict_one VALUES (1, 't', x'00', 1.5)")
    connection.execute('INSERT INTO "таблица" VALUES (?)', ("строка\n\x1b[31m",))
    connection.execute("INSERT INTO plain (c) VALUES (randomblob(3000000))")
    options = {row[0] for row in connection.execute("PRAGMA compile_options")}
    if "ENABLE_FTS5" in options:
        connection.execute("CREATE VIRTUAL TABLE notes USING fts5 (title, body)")
        connection.executemany("INSERT INTO notes VALUES (?, ?)", [("one", "quick fox"), ("two", "lazy dog")])
    if "ENABLE_RTREE" in options:
        connection.execute("CREATE VIRTUAL TABLE places USING rtree (id, x1, x2, y1, y2)")
        connection.execute("INSERT INTO places VALUES (1, 0.5, 1.5, -2, 2)")


def make_nasty(path: Path, *, wal: bool = True) -> None:
    """A database at `path`; with `wal`, half of its rows are only in the `-wal`, as a crash leaves it (no `-shm`)."""
    work = path.with_name(f"{path.name}.work")
    with contextlib.closing(sqlite3.connect(work, isolation_level=None)) as connection:
        for setting in ("synchronous = OFF", "page_size = 8192", "auto_vacuum = INCREMENTAL", "encoding = 'UTF-8'"):
            connection.execute(f"PRAGMA {setting}")
        for setting in ("user_version = 4711", "application_id = 1684501601"):
            connection.execute(f"PRAGMA {setting}")
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
        fill_nasty(connection)
        if wal:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("INSERT INTO plain (rowid, a) VALUES (77, 'only in the wal')")
            connection.execute("CREATE TABLE only_in_wal (x)")
            connection.executemany("INSERT INTO only_in_wal VALUES (?)", [(number,) for number in range(500)])
            shutil.copyfile(f"{work}-wal", f"{path}-wal")
        shutil.copyfile(work, path)
    for ending in ("", "-wal", "-shm", "-journal"):
        Path(f"{work}{ending}").unlink(missing_ok=True)


def make_spoilt_index(path: Path) -> None:
    """A database whose pages are whole, and whose index does not hold what its table does."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (name TEXT)")
        connection.execute("CREATE INDEX t_name ON t (name)")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"name-{number:05}",) for number in range(1000)])
        connection.commit()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"name-00500", b"name-0x500", 1))


def sqlite_digest(path: Path) -> str:
    """Everything a database says of itself: settings, schema, and each row with its rowid and the type of each value.

    It looks at a copy, so that looking changes nothing.
    """
    copy = path.with_name(f"{path.name}.digest-copy")
    for ending in ("", "-wal"):
        if Path(f"{path}{ending}").exists():
            shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
    digest = hashlib.sha256()
    try:
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            connection.text_factory = bytes
            for line in _digest_lines(connection):
                digest.update(line.encode() + b"\n")
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{copy}{ending}").unlink(missing_ok=True)
    return digest.hexdigest()


def _digest_lines(connection: sqlite3.Connection) -> Iterator[str]:
    for setting in ("user_version", "application_id", "page_size", "auto_vacuum", "encoding", "journal_mode"):
        yield f"{setting} {connection.execute(f'PRAGMA {setting}').fetchone()}"
    schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    yield from map(repr, schema)
    for kind, name, _, statement in schema:
        if kind not in (b"table", b"view"):
            continue
        quoted = '"' + name.decode().replace('"', '""') + '"'
        rowid = "" if kind == b"view" or b"WITHOUT ROWID" in (statement or b"") else "rowid, "
        columns = [row[1].decode() for row in connection.execute(f"PRAGMA table_xinfo({quoted})")]
        typed = ", ".join(f'"{column}", typeof("{column}")' for column in (c.replace('"', '""') for c in columns))
        rows = connection.execute(f"SELECT {rowid}{typed} FROM {quoted}")
        yield from sorted(repr((name, [_shortened(value) for value in row])) for row in rows)


def _shortened(value: object) -> object:
    """A long value as its own digest: to write out millions of bytes would cost more than all else of a test."""
    if isinstance(value, bytes) and len(value) > _LONG:
        return ("sha256", hashlib.sha256(value).hexdigest())
    return value


_BANK = """
import random, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("PRAGMA wal_autocheckpoint = 20")
connection.execute("PRAGMA synchronous = OFF")
number = connection.execute("SELECT max(number) FROM journal").fetchone()[0]
first = number
while True:
    a, b = random.sample(range(int(sys.argv[2])), 2)
    amount = random.randrange(50)
    number += 1
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE account SET balance = balance - ? WHERE id = ?", (amount, a))
    connection.execute("UPDATE account SET balance = balance + ? WHERE id = ?", (amount, b))
    connection.execute("INSERT INTO journal VALUES (?, ?)", (number, random.randbytes(random.randrange(3000))))
    if number % 50 == 0:
        connection.execute("DELETE FROM journal WHERE number < ? AND number > 0", (number - 200,))
    connection.execute("COMMIT")
    if number == first + 30:
        print("ready", flush=True)
"""


def make_bank(path: Path, *, journal_mode: str = "WAL") -> None:
    """A bank with nobody in it yet, some megabytes large."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER, filler BLOB)")
        connection.execute("CREATE INDEX account_balance ON account (balance)")
        connection.execute("CREATE TABLE journal (number INTEGER PRIMARY KEY, note BLOB)")
        connection.execute("INSERT INTO journal VALUES (0, NULL)")
        connection.executemany(
            "INSERT INTO account VALUES (?, 1000, randomblob(60000))", [(number,) for number in range(BANK_ACCOUNTS)]
        )
        connection.execute("COMMIT")


@contextlib.contextmanager
def bank_at_work(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that transfers money all the time, and has begun to; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BANK, os.fspath(path), str(BANK_ACCOUNTS)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
        assert process.poll() is None, "the bank closed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def bank_state(path: Path) -> tuple[int, int]:
    """The total of all accounts and the number of the last transfer; asserts that the file is sound in itself."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        total = connection.execute("SELECT sum(balance) FROM account").fetchone()[0]
        last = connection.execute("SELECT max(number) FROM journal").fetchone()[0]
    return total, last


@pytest.fixture
def sqlite_nasty(tmp_path: Path) -> Path:
    """A database with every hard feature, half of it only in the `-wal`."""
    folder = tmp_path / "source with spaces ? # %41 \n ü"
    folder.mkdir()
    path = folder / "we'ird?;--\\x.db"
    make_nasty(path)
    return path


@pytest.fixture
def nasty_archive(sqlite_nasty: Path, tmp_path: Path, scratch: Path) -> Path:
    """A backup of `sqlite_nasty`."""
    archive = tmp_path / "backup.db"
    settings = SqliteSettings(type="sqlite", path=str(sqlite_nasty))
    dump_to(SqliteDatasource("shop", settings), archive, scratch=scratch)
    return archive
