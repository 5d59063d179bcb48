"""Reading an SQL dump as it streams by: whether it is whole, and where its sections begin."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dgtui.engine.datasources.dumping import ArchiveCheck
from dgtui.engine.errors import ValidationError

_TAIL_BYTES = 4096
_HEAD_BYTES = 4096
_HEAD = re.compile(
    rb"(?:/\*M?!999999\\- enable the sandbox mode \*/ ?\r?\n)?-- (?:MariaDB|MySQL) dump [^\n]*\n", re.ASCII
)
_TRAILER = re.compile(rb"\n-- Dump completed(?: on [0-9][0-9 :-]*)?\s*\Z")
_DUMPED_DATABASE = re.compile(rb"\n-- Host: [^\n]*?    Database: ([^\n]+)\n")
_DUMPED_FROM = re.compile(rb"\n-- Server version\t([^\n]*)")

SectionKind = Literal[
    "header", "sequence", "table", "data", "triggers", "placeholder", "events", "routines", "view", "other"
]
_TITLES: tuple[tuple[bytes, SectionKind], ...] = (
    (b"Table structure for table ", "table"),
    (b"Dumping data for table ", "data"),
    (b"Sequence structure for ", "sequence"),
    (b"Temporary table structure for view ", "placeholder"),
    (b"Temporary view structure for view ", "placeholder"),
    (b"Final view structure for view ", "view"),
    (b"Dumping events for database ", "events"),
    (b"Dumping routines for database ", "routines"),
)
_MARK = re.compile(
    rb"\n(?:(/\*!40000 ALTER TABLE `(?:[^`]|``)+` ENABLE KEYS \*/;)\n"
    rb"|(DELIMITER ;;)\n"
    rb"|--\n-- ([^\n]*(?:\n-- [^\n]*)*)\n--\n)"
)
"""The end of a table's rows, the beginning of a body, the comment before a section."""
_BODY_END = b"\nDELIMITER ;\n"
_LONGEST_MARK = 2048
_LONGEST_LINE = 16 << 20
_ESCAPED_NEWLINE = b"\n-- "


class SqlCheck(ArchiveCheck):
    """Tells a whole SQL dump by its first line and its last one; looks at nothing between them."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._judged = False

    def feed(self, block: bytes) -> None:
        """Keep the last bytes; judge the first ones as soon as there are enough."""
        if not self._judged:
            self._head += block[:_HEAD_BYTES]
            if len(self._head) >= _HEAD_BYTES:
                self._judge_head()
        if len(block) >= _TAIL_BYTES:
            self._tail = bytes(block[-_TAIL_BYTES:])
        else:
            self._tail = (self._tail + block)[-_TAIL_BYTES:]

    def finish(self) -> None:
        """Judge the end."""
        if not self._tail:
            raise ValidationError("The dump is empty", hint=_AGAIN)
        if not self._judged:
            self._judge_head()
        if not _TRAILER.search(self._tail):
            last = self._tail.rstrip().rsplit(b"\n", 1)[-1][-120:].decode("utf-8", "backslashreplace")
            raise ValidationError(
                "The dump is incomplete: its end mark `-- Dump completed` is missing",
                hint=f"{_AGAIN}; an option such as --compact or --skip-comments also takes the mark away",
                detail=(f"it ends with: {last}",),
            )

    def stop(self) -> None:
        """Let go of the bytes."""
        self._head = self._tail = b""

    def _judge_head(self) -> None:
        self._judged = True
        if not _HEAD.match(self._head):
            first = self._head[:80].decode("utf-8", "backslashreplace")
            raise ValidationError(
                "This is not a dump of mysqldump or mariadb-dump", hint=_AGAIN, detail=(f"it begins with: {first!r}",)
            )
        self._head = b""


_AGAIN = "Make the backup again; if it happens once more, look at the log of the run"


@dataclass(frozen=True)
class Piece:
    """Some bytes of a section; outside of table data they end at a line's end."""

    kind: SectionKind
    name: str
    data: bytes
    first: bool
    """Whether the section begins here."""


def dumped_from(head: bytes) -> tuple[bool, str]:
    """Whether a server of MariaDB made this dump, and the server's version as the dump's head names it."""
    match = _DUMPED_FROM.search(head[:_HEAD_BYTES])
    version = match[1].decode("utf-8", "replace") if match else ""
    return b"-- MariaDB dump" in head[:200] and "mysql" not in version.lower(), version


def dumped_database(head: bytes) -> str | None:
    """The database that was dumped, as the dump's head names it."""
    match = _DUMPED_DATABASE.search(head[:_HEAD_BYTES])
    return match[1].decode("utf-8", "surrogateescape") if match else None


class _Splitter:
    """Cuts a stream into sections at the comments that the dump tool writes before each.

    A line in a trigger's or routine's body can look like such a comment, so bodies (between `DELIMITER ;;` and
    `DELIMITER ;`) are passed over. Table data cannot: a newline in a value is written as `\\n`.
    """

    def __init__(self) -> None:
        self._kind: SectionKind = "header"
        self._name = ""
        self._first = True
        self._body = False
        self._held = b""

    def take(self, block: bytes) -> Iterator[Piece]:
        """The pieces that end in this block."""
        buffer = self._held + block
        start = searched = 0
        while True:
            if self._body:
                end = buffer.find(_BODY_END, searched)
                if end < 0:
                    break
                self._body, searched = False, end + len(_BODY_END) - 1
                continue
            mark = _MARK.search(buffer, searched)
            if mark is None:
                break
            if mark[2]:
                self._body, searched = True, mark.end() - 1
                continue
            section = self._section(mark)
            searched = mark.end() - 1
            if section is not None:
                cut = searched + 1 if mark[1] else mark.start() + 1
                yield from self._piece(buffer[start:cut])
                start = cut
                self._kind, self._name = section
                self._first = True
        keep = self._hold(buffer, max(start, searched))
        yield from self._piece(buffer[start:keep])
        self._held = buffer[keep:]

    def finish(self) -> Iterator[Piece]:
        """What is left at the end."""
        yield from self._piece(self._held)
        self._held = b""

    def _section(self, mark: re.Match[bytes]) -> tuple[SectionKind, str] | None:
        if mark[1]:
            return ("triggers", self._name) if self._kind == "data" else None
        for title, kind in _TITLES:
            if mark[3].startswith(title):
                return kind, _plain_name(mark[3][len(title) :])
        return None

    def _hold(self, buffer: bytes, least: int) -> int:
        """Where to cut: before what may be the beginning of a mark, and outside of data at the end of a line."""
        recent = max(least, len(buffer) - _LONGEST_MARK)
        if self._kind == "data":
            begins = [buffer.find(begin, recent) for begin in (b"\n-", b"\n/", b"\nD")]
            last = len(buffer) - 1 if buffer.endswith(b"\n") and recent < len(buffer) else len(buffer)
            return min((hit for hit in begins if hit >= 0), default=last)
        comment = buffer.find(b"\n--\n", recent)
        if comment >= 0:
            return comment
        line = max(least, buffer.rfind(b"\n", least))
        return line if len(buffer) - line < _LONGEST_LINE else len(buffer)

    def _piece(self, data: bytes) -> Iterator[Piece]:
        if data or self._first:
            yield Piece(self._kind, self._name, data, self._first)
            self._first = False


def sections(blocks: Iterable[bytes]) -> Iterator[Piece]:
    """All bytes of a dump in order, as pieces of its sections."""
    splitter = _Splitter()
    for block in blocks:
        yield from splitter.take(block)
    yield from splitter.finish()


def with_whole_definitions(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same pieces, of which a table's definition and its triggers come in one each."""
    held: list[Piece] = []
    for piece in pieces:
        if held and (piece.first or piece.kind != held[0].kind):
            yield _joined(held)
            held = []
        if piece.kind in ("table", "triggers"):
            held.append(piece)
        else:
            yield piece
    if held:
        yield _joined(held)


def _joined(pieces: list[Piece]) -> Piece:
    return Piece(pieces[0].kind, pieces[0].name, b"".join(piece.data for piece in pieces), pieces[0].first)


def table_names(blocks: Iterable[bytes]) -> tuple[str, ...]:
    """The tables whose structure or data is in the dump, in its order."""
    names: dict[str, None] = {}
    for piece in sections(blocks):
        if piece.first and piece.kind in ("table", "data"):
            names[piece.name] = None
    return tuple(names)


def names_to_choose(blocks: Iterable[bytes]) -> tuple[str, ...]:
    """The tables and views in the dump."""
    kinds = ("table", "data", "placeholder", "view")
    return tuple(dict.fromkeys(piece.name for piece in sections(blocks) if piece.first and piece.kind in kinds))


def _plain_name(quoted: bytes) -> str:
    text = quoted.replace(_ESCAPED_NEWLINE, b"\n").strip(b" ").decode("utf-8", "surrogateescape")
    if text.startswith("`") and text.endswith("`"):
        return text[1:-1].replace("``", "`")
    return text.strip("'")
