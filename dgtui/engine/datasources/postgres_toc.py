"""The head and table of contents of a custom-format archive (`pg_dump -Fc`), read without a server or a tool.

`pg_restore -l` prints the same, but as lines that a name with blanks or line ends makes ambiguous.
"""

import codecs
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dgtui.engine.errors import ToolTooOld, ValidationError

MAGIC = b"PGDMP"
_NEWEST_FORMAT = (1, 16)
_OLDEST_FORMAT = (1, 12)
_TABLE_DATA = 1
_LARGE_OBJECTS = 3
BEFORE_DATA = 2
"""The section of an archive with what is made before any rows; grants and comments belong to no section."""
_LONGEST_TEXT = 1 << 30
"""No definition in an archive is longer: PostgreSQL itself holds no longer text."""


_ENCODING = re.compile(r"SET client_encoding = '(\w+)'")
_NUMBERED = re.compile(r"(LATIN|WIN|KOI8|ISO_8859_)(\w+)")
_LATIN = {"5": "9", "6": "10", "7": "13", "8": "14", "9": "15", "10": "16"}
"""The parts of ISO 8859 whose number is not that of the alphabet."""
_CODECS = {"EUC_CN": "gb2312", "SHIFT_JIS_2004": "shift_jis_2004", "UHC": "cp949", "WIN866": "cp866", "WIN874": "cp874"}


class TocEntry(NamedTuple):
    """One object of an archive."""

    dump_id: int
    kind: str
    """`TABLE`, `TABLE DATA`, `INDEX`, ..."""
    schema: str
    tag: str
    owner: str
    definition: str
    tablespace: str
    dependencies: tuple[int, ...]
    copy: str = ""
    """The statement of which its data in the archive are the lines; empty where they are none of a COPY."""
    section: int = 0
    """`BEFORE_DATA` of what is made before any rows."""
    access_method: str = ""
    """How a table is stored, such as `heap`."""
    place_at: int = 0
    """Where the archive tells the place of the data: a byte for what is known of it, and an offset."""
    owner_at: int = 0
    """Where the archive tells the owner."""
    removal: str = ""
    """The statement that drops it; empty where it goes with another object."""
    copy_at: int = 0
    """Where the archive tells the statement of its data."""


class Toc(NamedTuple):
    """What an archive says of itself."""

    database: str
    server_version: str
    dump_version: str
    entries: tuple[TocEntry, ...]
    compressed: bool = False
    """Whether the data within the archive is compressed by pg_dump."""
    data_at: int = 0
    """Where the data begins."""
    integer_bytes: int = 4
    offset_bytes: int = 8


def read_toc(blocks: Iterable[bytes]) -> Toc:
    """Read no further than the table of contents; raises ValidationError, and ToolTooOld for a newer format."""
    return _read_toc(_Reader(iter(blocks)))


def head_of(blocks: Iterable[bytes], toc: Toc) -> tuple[bytes, Iterator[bytes]]:
    """An archive up to the end of its table of contents, and the blocks that follow."""
    head = bytearray()
    remaining = iter(blocks)
    for block in remaining:
        head += block
        if len(head) >= toc.data_at:
            break
    return bytes(head[: toc.data_at]), itertools.chain([bytes(head[toc.data_at :])], remaining)


def definition_bytes(entry: TocEntry) -> bytes:
    """A definition for a session whose client speaks UTF-8."""
    return entry.definition.encode("utf-8", "surrogateescape")


def data_blocks(blocks: Iterable[bytes]) -> tuple[Toc, Iterator[tuple[int, bytes]]]:
    """The table of contents, and the data that follows it: the id of the entry and the next bytes of it."""
    reader = _Reader(iter(blocks))
    return _read_toc(reader), _data(reader)


def _data(reader: "_Reader") -> Iterator[tuple[int, bytes]]:
    while reader.more():
        kind, dump_id = reader.byte(), reader.integer()
        if kind == _TABLE_DATA:
            for block in _chunks(reader):
                yield dump_id, block
        elif kind == _LARGE_OBJECTS:
            while reader.integer():
                for _ in _chunks(reader):
                    pass
        else:
            raise ValidationError("The archive's data is damaged", hint="Restore from another copy")


def _chunks(reader: "_Reader") -> Iterator[bytes]:
    while (length := reader.integer()) > 0:
        yield reader.take(length)


def _read_toc(reader: "_Reader") -> Toc:
    if reader.take(len(MAGIC)) != MAGIC:
        raise ValidationError("This is no archive of pg_dump in custom format", hint="Restore from another copy")
    version = (reader.byte(), reader.byte())
    reader.byte()
    if version > _NEWEST_FORMAT:
        raise ToolTooOld(
            f"The archive's format {version[0]}.{version[1]} is of a pg_dump that is newer than this program knows",
            subject="pg_restore",
            hint="Update DataGuardian, or restore by hand as RESTORE.txt says",
        )
    if version < _OLDEST_FORMAT:
        raise ValidationError(f"The archive has the format {version[0]}.{version[1]}, which is too old")
    reader.integer_bytes = reader.byte()
    offset_bytes = reader.byte()
    reader.byte()
    compressed = (reader.byte() if version >= (1, 15) else reader.integer()) != 0
    for _ in range(7):
        reader.integer()
    database, server_version, dump_version = reader.text(), reader.text(), reader.text()
    count = reader.integer()
    entries = _decoded([_read_entry(reader, version, offset_bytes) for _ in range(count)])
    return Toc(
        database, server_version, dump_version, entries, compressed, reader.taken, reader.integer_bytes, offset_bytes
    )


def _decoded(entries: list[TocEntry]) -> tuple[TocEntry, ...]:
    """The same entries, whose texts were read as UTF-8, as those of the encoding that the archive says it has."""
    said = next((_ENCODING.match(entry.definition) for entry in entries if entry.kind == "ENCODING"), None)
    codec = python_codec(said[1]) if said is not None else None
    if codec in (None, "utf-8"):
        return tuple(entries)

    def decoded(text: str) -> str:
        if text.isascii():
            return text
        return text.encode("utf-8", "surrogateescape").decode(codec or "utf-8", "surrogateescape")

    return tuple(
        entry._replace(
            schema=decoded(entry.schema),
            tag=decoded(entry.tag),
            owner=decoded(entry.owner),
            definition=decoded(entry.definition),
            removal=decoded(entry.removal),
            tablespace=decoded(entry.tablespace),
            copy=decoded(entry.copy),
        )
        for entry in entries
    )


def python_codec(encoding: str) -> str | None:
    """Python's name of an encoding of PostgreSQL; None of one that it does not have, such as SQL_ASCII."""
    match = _NUMBERED.fullmatch(encoding)
    if encoding in _CODECS or match is None:
        name = _CODECS.get(encoding, encoding)
    else:
        kind, number = match.groups()
        prefix = {"LATIN": "iso8859-", "WIN": "cp", "KOI8": "koi8-", "ISO_8859_": "iso8859-"}[kind]
        name = prefix + (_LATIN.get(number, number) if kind == "LATIN" else number)
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None


def _read_entry(reader: "_Reader", version: tuple[int, int], offset_bytes: int) -> TocEntry:
    dump_id = reader.integer()
    reader.integer()
    for _ in range(2):
        reader.text()
    tag, kind = reader.text(), reader.text()
    section = reader.integer()
    definition = reader.text()
    removal = reader.text()
    copy_at = reader.taken
    copy = reader.text()
    schema, tablespace = reader.text(), reader.text()
    access_method = reader.text() if version >= (1, 14) else ""
    if version >= (1, 16):
        reader.integer()
    owner_at = reader.taken
    owner = reader.text()
    reader.text()
    dependencies = []
    while dependency := reader.text():
        dependencies.append(int(dependency) if dependency.isdecimal() else 0)
    place_at = reader.taken
    reader.take(1 + offset_bytes)
    return TocEntry(
        dump_id, kind, schema, tag, owner, definition, tablespace, tuple(dependencies),
        copy if copy.startswith("COPY ") else "", section, access_method, place_at, owner_at, removal, copy_at,
    )  # fmt: skip


class _Reader:
    """Takes typed values from a stream of blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._buffer = b""
        self._position = 0
        self.taken = 0
        """How many bytes were taken."""
        self.integer_bytes = 4

    def take(self, count: int) -> bytes:
        """Exactly so many bytes."""
        while len(self._buffer) - self._position < count:
            block = next(self._blocks, None)
            if block is None:
                raise ValidationError("The archive ends within its table of contents", hint="Restore from another copy")
            self._buffer = self._buffer[self._position :] + bytes(block)
            self._position = 0
        taken = self._buffer[self._position : self._position + count]
        self._position += count
        self.taken += count
        return taken

    def more(self) -> bool:
        """Whether anything follows."""
        while self._position >= len(self._buffer):
            block = next(self._blocks, None)
            if block is None:
                return False
            self._buffer, self._position = bytes(block), 0
        return True

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self) -> int:
        sign = self.byte()
        value = int.from_bytes(self.take(self.integer_bytes), "little")
        return -value if sign else value

    def text(self) -> str:
        length = self.integer()
        if length > _LONGEST_TEXT:
            raise ValidationError("The archive's table of contents is damaged", hint="Restore from another copy")
        return self.take(length).decode("utf-8", "surrogateescape") if length > 0 else ""
