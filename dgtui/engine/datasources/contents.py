"""Checksums of tables that do not depend on the order of their rows."""

import hashlib

_BITS = 128


class RowsChecksum:
    """The sum of the digests of all rows: the same rows give the same sum, in whatever order they come."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0

    def add(self, row: bytes) -> None:
        """One more row."""
        digest = hashlib.blake2b(row, digest_size=_BITS // 8).digest()
        self._sum = (self._sum + int.from_bytes(digest, "big")) % (1 << _BITS)
        self._count += 1

    @property
    def text(self) -> str:
        """The checksum."""
        return f"rows-blake2b:{self._count}:{self._sum:032x}"


class LinesChecksum:
    """Makes rows of the lines of a stream, however its bytes are cut."""

    def __init__(self, end: bytes | None = None, rows: RowsChecksum | None = None) -> None:
        """`end` is the line after which nothing counts; `rows` is what the rows of other streams belong to as well."""
        self._rows = RowsChecksum() if rows is None else rows
        self._rest = b""
        self._end = end
        self._ended = False

    def feed(self, block: bytes) -> None:
        """The next bytes."""
        if self._ended:
            return
        lines = (self._rest + block).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line == self._end:
                self._ended = True
                return
            self._rows.add(line)

    @property
    def text(self) -> str:
        """The checksum of all whole lines."""
        return self._rows.text
