"""Making of an archive the script that the client replays: the chosen sections, written for the target's name."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.mysql_archive import (
    Piece,
    SectionKind,
    dumped_database,
    sections,
    with_whole_definitions,
)
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_trigger_text import without_databases
from dgtui.engine.datasources.mysql_view_text import with_database
from dgtui.engine.errors import RestoreError

PREAMBLE = b"/*M!100101 SET max_statement_time=0 */; /*M!100201 SET check_constraint_checks=0 */;\n"
"""Rows need not keep to a CHECK: one that asks for the time, or was made while none was checked, held once or never.

No more than this: one transaction a table (autocommit=0) took twice the server's CPU time.
"""
_SQL_MODE = b"SQL_MODE='NO_AUTO_VALUE_ON_ZERO'"
_EXACT_DATES = b"SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"
"""Without it a date such as 2024-02-30, which the source held, would silently become 0000-00-00."""
_FOOTER = b"\n/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n"
_NAME = rb"`(?:[^`]|``)+`"
_ALTER_DATABASE = re.compile(rb"(?m)^ALTER DATABASE " + _NAME + rb" (CHARACTER SET \w+ COLLATE \w+ ;;?)$")
_SEQUENCE_DEFAULT = re.compile(rb"\b(nextval|lastval|setval)\((" + _NAME + rb")\.(?=`)")
_SETVAL = re.compile(rb"(?m)^(?:DO|SELECT) SETVAL\([^\n]*;$")
_HISTORY_AGAIN = re.compile(rb"(?m)^/\*M!\d+ SET system_versioning_insert_history=[^\n]*\n")
"""Undoes after a table's rows what was set before them."""
_COMMITTING = re.compile(
    rb"(?im)^(?:/\*!40000 ALTER TABLE " + _NAME + rb" (?:DIS|EN)ABLE KEYS \*/|set autocommit=0|commit);$"
)
"""What would end a transaction before or after a table's rows."""
_DEFINER = re.compile(rb"DEFINER=(" + _NAME + rb")@(" + _NAME + rb")")
_FOREIGN = re.compile(
    rb"(?im)^[ \t]*(?:USE|(?:CREATE|DROP)[ \t]+(?:DATABASE|SCHEMA)|SOURCE|SYSTEM|\\[.!u])\b[^\n]{0,80}"
)
_CHECK_OPTION = re.compile(rb"WITH (?:CASCADED|LOCAL) CHECK OPTION")
_USE = b"\nUSE "
_ROW = b"\n("
_INSERT = b"\nINSERT INTO `"
_ROWS_FOLLOW = b" VALUES\n("
_MOST_VIEW_BYTES = 64 << 20
_REMEMBERED_SECTIONS = 200_000

_SCHEMA: Final[frozenset[SectionKind]] = frozenset(
    {"header", "sequence", "table", "triggers", "placeholder", "events", "routines", "view"}
)
_DATA: Final[frozenset[SectionKind]] = frozenset({"header", "sequence", "data"})
_OF_TABLES: Final[frozenset[SectionKind]] = frozenset({"table", "data", "triggers", "placeholder", "view"})


class Script:
    """The statements of an archive for one target, and what was learned while they went by."""

    def __init__(
        self,
        target: str,
        selection: Selection,
        *,
        atomic: bool = False,
        replaced: Sequence[str] = (),
        beginning: str = "",
        ending: str = "",
    ) -> None:
        """With `atomic` the rows are one transaction: `beginning` comes first and `ending` last.

        The `replaced` tables are emptied in between, before anything is loaded.
        """
        self._first = beginning
        self._ending = ending.encode("utf-8", "surrogateescape")
        self.database = target
        self._target = quote(target).encode()
        self._atomic = atomic
        self._replaced = tuple(replaced)
        self._sequences: list[bytes] = []
        self._selection = selection
        self._wanted = frozenset(selection.tables)
        self._kinds = {"schema_only": _SCHEMA, "data_only": _DATA}.get(selection.backup_type)
        self._source = b""
        self._line = 1
        self._begun: list[tuple[int, str]] = []
        self._views: dict[str, bytes] = {}
        self.definers: set[tuple[str, str]] = set()
        """User and host of each DEFINER."""
        self.seen: dict[str, None] = {}
        """The tables and views that went by, chosen or not."""
        self.replayed = False
        """Whether every statement of it was carried out."""
        self.current = ""
        """The table that goes by now."""
        self.events = b""
        """The section of the events, where that went by."""
        self._counters: dict[str, _RowCounter] = {}

    def blocks(self, archive: Iterable[bytes]) -> Iterator[bytes]:
        """The script's bytes; raises RestoreError at a statement that would act on another database."""
        yield self._numbered(PREAMBLE, "preamble")
        if self._atomic:
            yield self._numbered(self._beginning(), "emptying the tables")
        for piece in with_whole_definitions(sections(archive)):
            if piece.first and piece.kind in _OF_TABLES:
                self.seen[piece.name] = None
                self.current = piece.name
            if not self._chosen(piece):
                continue
            if piece.kind == "data":
                yield self._data(piece)
            elif piece.kind == "sequence" and self._atomic:
                self._sequences.append(self._rewritten(piece))
            elif piece.kind == "view":
                self._keep_view(piece)
            else:
                self.events += piece.data if piece.kind == "events" else b""
                yield self._numbered(self._rewritten(piece), _title(piece))
        for name in self._view_order():
            yield self._numbered(self._views[name], f"view {name}")
        if self._atomic:
            # The value of a sequence is not taken back by a rollback, so it comes when nothing can fail any more.
            yield self._numbered(b"\n" + b"".join(self._sequences) + self._ending + b"COMMIT;\n", "commit")

    def _beginning(self) -> bytes:
        emptied = "".join(f"DELETE FROM {quote(name)};\n" for name in self._replaced)  # noqa: S608  # quoted
        return f"SET autocommit=0;\nSET foreign_key_checks=0;\nSET sql_safe_updates=0;\n{self._first}{emptied}".encode(
            "utf-8", "surrogateescape"
        )

    def section_at(self, line: int) -> str:
        """What the script was doing at a line, as the client counts them."""
        title = ""
        for begun, name in self._begun:
            if begun > line:
                break
            title = name
        return title

    def missing(self) -> tuple[str, ...]:
        """The chosen tables that the archive does not hold."""
        return tuple(name for name in self._selection.tables if name not in self.seen)

    def rows(self) -> dict[str, int]:
        """How many rows of each table went by, where the archive has one row a line so that they can be told."""
        counts = {name: counter.rows for name, counter in self._counters.items()}
        return {name: rows for name, rows in counts.items() if rows is not None}

    def _chosen(self, piece: Piece) -> bool:
        if self._kinds is not None and piece.kind not in self._kinds:
            return False
        if piece.kind == "events" and not self._selection.acting:
            return False
        if not self._wanted:
            return True
        if piece.kind in _OF_TABLES:
            return piece.name in self._wanted
        return piece.kind in ("header", "sequence")  # a column's default may need any of the sequences

    def _data(self, piece: Piece) -> bytes:
        self._count_rows(piece)
        if _USE in piece.data:
            raise _outside(_USE)
        data = _COMMITTING.sub(b"", piece.data) if self._atomic else piece.data
        return self._numbered(data, f"data of table {piece.name}")

    def _count_rows(self, piece: Piece) -> None:
        self._counters.setdefault(piece.name, _RowCounter()).feed(piece.data)

    def _rewritten(self, piece: Piece) -> bytes:
        """The same statements for the target: some name the database that was dumped."""
        data = piece.data
        if piece.kind in ("header", "table", "sequence") and (foreign := _FOREIGN.search(data)):
            raise _outside(foreign[0])
        for user, host in _DEFINER.findall(data):
            self.definers.add((_plain(user), _plain(host)))
        if piece.kind == "header":
            if named := dumped_database(data):
                self._source = quote(named).encode("utf-8", "surrogateescape")
            return data.replace(_SQL_MODE, _EXACT_DATES)
        if piece.kind == "sequence" and self._selection.backup_type == "data_only":
            return b"".join(found + b"\n" for found in _SETVAL.findall(data))
        if piece.kind == "view" and self._source:
            data = with_database(data, self._source, self._target)
        data = _ALTER_DATABASE.sub(lambda match: b"ALTER DATABASE " + self._target + b" " + match[1], data)
        if piece.kind == "triggers" and self._selection.backup_type == "schema_only":
            data = _HISTORY_AGAIN.sub(b"", data)
        if piece.kind in ("table", "triggers"):
            data = without_databases(data)
        if piece.kind == "table":
            data = _SEQUENCE_DEFAULT.sub(self._own_sequence, data)
        return data

    def _own_sequence(self, default: re.Match[bytes]) -> bytes:
        """A default that takes its values from a sequence of the database itself takes them from the target's."""
        own = not self._source or default[2] == self._source
        return default[1] + b"(" + (self._target if own else default[2]) + b"."

    def _keep_view(self, piece: Piece) -> None:
        held = self._views.get(piece.name, b"") + self._rewritten(piece)
        if sum(map(len, self._views.values())) + len(held) > _MOST_VIEW_BYTES:
            raise RestoreError("The archive's views are larger than 64 MiB", subject=piece.name)
        self._views[piece.name] = held

    def _view_order(self) -> list[str]:
        """A view WITH CHECK OPTION cannot be made upon one that is still a placeholder, so such views come last."""
        self._views = {name: text.partition(_FOOTER)[0] for name, text in self._views.items()}
        last = [name for name, text in self._views.items() if _CHECK_OPTION.search(text)]
        order = [name for name in self._views if name not in last]
        while last:
            ready = [name for name in last if not self._mentions(name, last)] or last[:1]
            order += ready
            last = [name for name in last if name not in ready]
        return order

    def _mentions(self, name: str, others: Iterable[str]) -> bool:
        text = self._views[name]
        return any(quote(other).encode() in text for other in others if other != name)

    def _numbered(self, data: bytes, title: str) -> bytes:
        if not self._begun or (self._begun[-1][1] != title and len(self._begun) < _REMEMBERED_SECTIONS):
            self._begun.append((self._line, title))
        self._line += data.count(b"\n")
        return data


class _RowCounter:
    """Counts the rows of a table's data, however its bytes are cut."""

    def __init__(self) -> None:
        self._found: Counter[bytes] = Counter()
        self._last = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        for needle in (_ROW, _INSERT, _ROWS_FOLLOW):
            border = len(needle) - 1
            across = self._last[-border:] + data[:border]
            self._found[needle] += data.count(needle) + across.count(needle)
        self._last = (self._last + data[-len(_INSERT) :])[-len(_INSERT) :]

    @property
    def rows(self) -> int | None:
        """The rows; None where they do not stand one a line."""
        return self._found[_ROW] if self._found[_INSERT] == self._found[_ROWS_FOLLOW] else None


def _outside(statement: bytes) -> RestoreError:
    return RestoreError(
        "The archive wants to act outside of the database it is restored into",
        subject=statement.decode("utf-8", "backslashreplace").strip(),
        hint="DataGuardian did not make it so; look at it, and load it by hand",
    )


def _title(piece: Piece) -> str:
    names = {"table": "table", "triggers": "triggers of table", "placeholder": "view", "sequence": "sequence"}
    return f"{names[piece.kind]} {piece.name}" if piece.kind in names else piece.kind


def _plain(quoted: bytes) -> str:
    return quoted[1:-1].replace(b"``", b"`").decode("utf-8", "surrogateescape")
