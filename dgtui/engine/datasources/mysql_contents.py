"""Checksums of the rows in an SQL dump, one row a line; a restored database is dumped again to compare with it."""

import re
import threading
from collections.abc import Collection, Iterable, Iterator

from dgtui.engine.datasources.contents import RowsChecksum
from dgtui.engine.datasources.dumping import Dump
from dgtui.engine.datasources.mysql_archive import sections
from dgtui.engine.source_reader import read_blocks

_INSERT = b"INSERT INTO "
_ROWS_FOLLOW = b" VALUES"
_NAME = rb"`(?:[^`]|``)+`"
_FIRST_ROW = re.compile(_INSERT + _NAME + rb" \(" + _NAME + rb"(?:, " + _NAME + rb")*\) VALUES (?=\()")
"""Where the columns are named, MariaDB's tool writes the first row behind them and the others below, one a line."""
_SEVERAL = b"),("


class _Rows:
    """Takes the rows out of the statements of one table, however the bytes are cut."""

    def __init__(self) -> None:
        self._checksum = RowsChecksum()
        self._rest = b""
        self._one_a_line = True

    def feed(self, data: bytes) -> None:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            first = _FIRST_ROW.match(line) if _SEVERAL not in line else None
            row = line[first.end() :] if first is not None else line
            if row.startswith(b"("):
                self._checksum.add(row[:-1] if row.endswith((b",", b";")) else row)
            elif line.startswith(_INSERT) and not line.endswith(_ROWS_FOLLOW):
                self._one_a_line = False

    @property
    def text(self) -> str | None:
        """The checksum; None where several rows stand in a line."""
        return self._checksum.text if self._one_a_line else None


def dump_checksums(blocks: Iterable[bytes], names: Collection[str]) -> dict[str, str]:
    """The checksum of the rows of each of these tables (of all, where none is named) whose rows have own lines."""
    tables: dict[str, _Rows] = {}
    for piece in sections(blocks):
        if piece.kind == "data" and (not names or piece.name in names):
            tables.setdefault(piece.name, _Rows()).feed(piece.data)
    texts = {name: rows.text for name, rows in tables.items()}
    return {name: text for name, text in texts.items() if text is not None}


def dump_blocks(dump: Dump, idle_timeout: float) -> Iterator[bytes]:
    """The bytes of a dump to its end, checked; the dump is ended in any case.

    Raises IdleTimeout where none comes for so many seconds.
    """
    try:
        yield from read_blocks(dump.fd, idle_timeout=idle_timeout, cancelled=threading.Event())
        dump.finish()
    finally:
        dump.stop()
