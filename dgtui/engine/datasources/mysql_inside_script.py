"""The script that loads an archive into the live database itself: every table under a name of our own.

Nothing of it may touch a live table. So each statement about a table is known or refused, and while rows are loaded
the session has locked the one table that they go into, so that the server takes none for another.
"""

import re
from collections.abc import Iterable, Iterator

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.mysql_archive import Piece, sections
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_look import CARRIED, CARRIED_IN
from dgtui.engine.datasources.mysql_script import PREAMBLE, Script
from dgtui.engine.datasources.mysql_triggers import STAND_IN, Trigger, with_drops
from dgtui.engine.errors import SwapImpossible

KEY = f"{CARRIED}key_"
_NAME = rb"`(?:[^`]|``)+`"
_IDENTIFIER = rb"(?:" + _NAME + rb"|[\w$]+)"
_QUALIFIED = _IDENTIFIER + rb"(?:\s*\.\s*" + _IDENTIFIER + rb")?"
_STRUCTURE = re.compile(rb"(?m)^(DROP TABLE IF EXISTS |CREATE TABLE )(" + _NAME + rb")(?=;$| \($)")
_UNKNOWN = re.compile(
    rb"(?m)^(?!DROP TABLE IF EXISTS |CREATE TABLE |PARTITION|SUBPARTITION)[A-Za-z\\][^\n]{0,80}"
    rb"|^/\*M?!\d+ (?!SET |PARTITION|SUBPARTITION)[^\n]{0,80}"
)
"""What begins a line of a table's definition and is no part of one as the dump tool writes it."""
_FOREIGN_KEY = re.compile(
    rb"(?m)^(  CONSTRAINT )(" + _NAME + rb")( FOREIGN KEY \([^\n]*?\) REFERENCES )(" + _NAME + rb")(\.?)"
)
_STATEMENT = re.compile(
    rb"\n(?:(INSERT (?:IGNORE )?INTO |REPLACE INTO |/\*!40000 ALTER TABLE )(" + _NAME + rb")|([A-Za-z/\\][^\n]{0,80}))"
)
"""What begins a line between rows: with a table's name that we know how to change, or something else."""
_HARMLESS = re.compile(rb"/\*M!\d+ SET |/\*!\d+ SET |(?:UN)?LOCK TABLES|set autocommit=0;|commit;", re.IGNORECASE)
_LOCKING = re.compile(rb"\n(?:UN)?LOCK TABLES[^\n]*;(?=\n)")
_TRIGGER = re.compile(
    rb"(?is)(\bTRIGGER\s+)(" + _QUALIFIED + rb")(\s+(?:BEFORE|AFTER)\s+(?:INSERT|UPDATE|DELETE)\s+ON\s+)("
    + _QUALIFIED + rb")(\s+FOR\s+EACH\s+ROW\b)"
)  # fmt: skip
_ALTER_DATABASE = re.compile(rb"(?m)^ALTER DATABASE [^\n]*;\n?")
_HISTORY_AGAIN = re.compile(rb"(?m)^/\*M!\d+ SET system_versioning_insert_history=[^\n]*\n")
_BODY, _BODY_END = b"\nDELIMITER ;;\n", b"\nDELIMITER ;\n"
_LONGEST_BEGINNING = 512
_MOST_BYTES = 64 << 20


class InsideScript(Script):
    """An archive's tables under names of our own, with triggers that stand in for theirs; the rest is held back."""

    def __init__(self, target: str) -> None:
        super().__init__(target, Selection())
        self.tables: dict[str, str] = {}
        """The tables, each with the name that it has meanwhile."""
        self.keys: list[tuple[str, str]] = []
        """Table and name of the foreign keys that have another name."""
        self.triggers: list[Trigger] = []
        self.dump = b""
        """What is made once the tables are in their place."""
        self._made: set[str] = set()
        self._rest = b""

    def blocks(self, archive: Iterable[bytes]) -> Iterator[bytes]:
        """The script's bytes. Raises SwapImpossible where something cannot be loaded so."""
        yield self._numbered(PREAMBLE, "preamble")
        held: list[Piece] = []
        for piece in sections(archive):
            if piece.first:
                yield from self._ended(held)
                held = []
                self.current = piece.name if piece.kind in ("table", "data") else self.current
                self.seen[piece.name] = None
            if piece.kind == "data":
                yield self._rows(piece)
            else:
                held.append(piece)
                if sum(len(one.data) for one in held) > _MOST_BYTES:
                    raise _impossible("a definition of more than 64 MiB")
        yield from self._ended(held)
        if missing := set(self.tables) - self._made:
            raise _impossible(f"a foreign key to {min(missing)}, which the backup does not hold")
        self.dump = b"" if not _has_more(self.dump) else self.dump

    def rows(self) -> dict[str, int]:
        """The same under the names of meanwhile."""
        return {self.tables[name]: rows for name, rows in super().rows().items()}

    def _ended(self, held: list[Piece]) -> Iterator[bytes]:
        """What is loaded of a section that is whole."""
        if self._rest:
            yield self._numbered(self._flushed(), "rows")
        if not held:
            return
        whole = Piece(held[0].kind, held[0].name, b"".join(piece.data for piece in held), True)
        text = self._rewritten(whole)
        match whole.kind:
            case "header":
                self.dump += whole.data
                yield self._numbered(text, "header")
            case "table":
                yield self._numbered(self._structure(whole.name, text), f"table {whole.name}")
            case "triggers":
                yield self._numbered(self._stand_ins(whole), f"triggers of table {whole.name}")
            case "placeholder" | "view" | "routines" | "events":
                self.dump += whole.data
            case _:
                raise _impossible(f"{whole.name} ({whole.kind})")
        if len(self.dump) > _MOST_BYTES:
            raise _impossible("definitions of more than 64 MiB")

    def _meanwhile(self, name: str) -> bytes:
        return quote(self.tables.setdefault(name, f"{CARRIED_IN}{len(self.tables)}")).encode()

    def _structure(self, table: str, text: bytes) -> bytes:
        self._made.add(table)
        own = quote(table).encode("utf-8", "surrogateescape")
        named: list[bytes] = []

        def renamed(match: re.Match[bytes]) -> bytes:
            if match[2] != own:
                raise _impossible(f"a statement about {match[2].decode('utf-8', 'replace')} among those of {table}")
            named.append(match[1])
            return match[1] + self._meanwhile(table)

        if unknown := _UNKNOWN.search(text):
            raise _impossible(f"{unknown[0].decode('utf-8', 'backslashreplace')!r} in the definition of {table}")
        text = _STRUCTURE.sub(renamed, text)
        if named != [b"DROP TABLE IF EXISTS ", b"CREATE TABLE "]:
            raise _impossible(f"the definition of {table}")
        return _FOREIGN_KEY.sub(lambda match: self._key(table, match), text)

    def _key(self, table: str, match: re.Match[bytes]) -> bytes:
        name = _plain(match[2])
        follows = re.fullmatch(rf"{re.escape(table)}_ibfk_(\d+)", name)
        if follows:
            new_name = f"{self.tables[table]}_ibfk_{follows[1]}"
        else:
            new_name = f"{KEY}{len(self.keys)}"
            self.keys.append((table, name))
        parent = match[4] if match[5] else self._meanwhile(_plain(match[4]))
        return match[1] + quote(new_name).encode() + match[3] + parent + match[5]

    def _rows(self, piece: Piece) -> bytes:
        """Rows, whose statements may be cut anywhere: what may be the beginning of one is held back."""
        self._count_rows(piece)
        lock = b""
        if piece.first:
            if piece.name not in self._made:
                raise _impossible(f"rows of {piece.name}, whose definition it does not hold")
            lock = b"\nLOCK TABLES " + self._meanwhile(piece.name) + b" WRITE;\n"
            self._rest = b"\n"
        data = self._rest + piece.data
        last = data.rfind(b"\n")
        cut = last if last >= 0 and len(data) - last < _LONGEST_BEGINNING else len(data)
        self._rest = data[cut:]
        return self._numbered(lock + self._of_rows(piece.name, data[:cut]), f"data of table {piece.name}")

    def _flushed(self) -> bytes:
        rest, self._rest = self._rest, b""
        return self._of_rows(self.current, rest) + b"\nUNLOCK TABLES;\n"

    def _of_rows(self, table: str, data: bytes) -> bytes:
        own = quote(table).encode("utf-8", "surrogateescape")

        def renamed(match: re.Match[bytes]) -> bytes:
            if match[3] is not None:
                if not _HARMLESS.match(match[3]):
                    raise _impossible(f"{match[3].decode('utf-8', 'backslashreplace')!r} among the rows of {table}")
                return match[0]
            if match[2] != own:
                raise _impossible(f"rows of {match[2].decode('utf-8', 'replace')} among those of {table}")
            return b"\n" + match[1] + self._meanwhile(table)

        return _LOCKING.sub(b"", _STATEMENT.sub(renamed, data))

    def _stand_ins(self, piece: Piece) -> bytes:
        """The triggers for now; as they shall be they are held back."""
        text = _HISTORY_AGAIN.sub(b"", _LOCKING.sub(b"", piece.data))
        if not re.search(rb"CREATE\b", text):
            return _LOCKING.sub(b"", piece.data)
        names: list[str] = []

        def renamed(match: re.Match[bytes]) -> bytes:
            names.append(_last(match[2]))
            stand_in = quote(f"{STAND_IN}{len(self.triggers)}").encode()
            self.triggers.append(Trigger(names[-1], piece.name, *[""] * 6))
            return match[1] + stand_in + match[3] + self._meanwhile(piece.name) + match[5]

        head, *bodies = _LOCKING.sub(b"", piece.data).split(_BODY)
        loaded = _ALTER_DATABASE.sub(b"", head)
        for body in bodies:
            inside, end, after = body.partition(_BODY_END)
            inside, found = _TRIGGER.subn(renamed, inside, count=1)
            if not found or not end:
                raise _impossible(f"a trigger of {piece.name}")
            loaded += _BODY + inside + end + _ALTER_DATABASE.sub(b"", after)
        self.dump += with_drops(text, names)
        return loaded


def _has_more(dump: bytes) -> bool:
    return any(piece.first and piece.kind != "header" for piece in sections([dump]))


def _plain(quoted: bytes) -> str:
    return quoted[1:-1].replace(b"``", b"`").decode("utf-8", "surrogateescape")


def _last(name: bytes) -> str:
    """The name of a trigger, without that of its database."""
    last = re.findall(_IDENTIFIER, name)[-1]
    return _plain(last) if last.startswith(b"`") else last.decode("utf-8", "surrogateescape")


def _impossible(what: str) -> SwapImpossible:
    return SwapImpossible(f"The backup cannot be loaded into the database itself, for it holds {what}", subject=what)
