"""Triggers, routines and events that name their own database: restored under another name they still use that one."""

import re
from collections.abc import Iterator
from itertools import islice

from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.mysql_archive import Piece, dumped_database, sections
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_trigger_text import without_databases

_SHOWN = 10
_MOST_BYTES = 64 << 20
_BODY, _BODY_END = b"\nDELIMITER ;;\n", b"\nDELIMITER ;\n"
_NAME = rb"(?:`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\"|[\w$\x80-\xff]+)"
_MADE = re.compile(
    rb"(?i)\b(PROCEDURE|FUNCTION|PACKAGE|TRIGGER|EVENT)\s+(?:BODY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(" + _NAME + rb")"
)
_UNQUOTED = re.compile(rb"[\w$\x80-\xff]+")
_BODIES = ("triggers", "routines", "events")
_OF_TABLES = ("table", "data", "sequence", "placeholder", "view")


def naming_notes(archive: Archive, database: str, selection: Selection, *, most_bytes: int) -> tuple[str, ...]:
    """What goes on using the database that was dumped, where the archive is restored into another one.

    An archive of more than `most_bytes` is not read for that.
    """
    if not selection.acting or selection.backup_type == "data_only":
        return ()
    source = dumped_database(b"".join(islice(archive.blocks(), 1)))
    if source is None or source == database:
        return ()
    goes_on = f"is restored as it is: from {database} too it goes on using {source}"
    if archive.total_size_bytes > most_bytes:
        return (f"What names the database {source} in its text {goes_on}; so large a backup is not read to tell",)
    names = _naming(archive, source, selection)
    if not names:
        return ()
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    change = "Change or drop it before anything uses it; an event acts by itself"
    return (f"The text of {shown} names the database {source}, and {goes_on}. {change}",)


def _naming(archive: Archive, source: str, selection: Selection) -> list[str]:
    known: set[bytes] = set()
    found: list[tuple[str, list[tuple[bytes, bytes]]]] = []
    mention = _mention(source)
    for piece in _whole(archive):
        if piece.kind in _OF_TABLES:
            known.add(piece.name.encode("utf-8", "surrogateescape"))
        if piece.kind not in _BODIES or (
            selection.tables and (piece.kind != "triggers" or piece.name not in selection.tables)
        ):
            continue
        for kind, name, text in _bodies(piece):
            if piece.kind == "routines":
                known.add(name)
            if mentions := mention.findall(text):
                found.append((f"{name.decode('utf-8', 'replace')} ({kind})", mentions))
    alias = source.encode("utf-8", "surrogateescape") in known
    return [
        name
        for name, mentions in found
        # What stands before a column may be a table that is called as the database is.
        if any(further or not alias or _plain(following) in known for following, further in mentions)
    ]


def _whole(archive: Archive) -> Iterator[Piece]:
    """The sections that hold bodies, each in one piece; of the others no more than their beginning."""
    held: list[Piece] = []
    for piece in sections(archive.blocks()):
        if piece.first:
            yield from _joined(held)
            held = []
            if piece.kind not in _BODIES:
                yield piece
        if piece.kind in _BODIES and sum(len(one.data) for one in held) < _MOST_BYTES:
            held.append(piece)
    yield from _joined(held)


def _joined(held: list[Piece]) -> Iterator[Piece]:
    if held:
        yield Piece(held[0].kind, held[0].name, b"".join(piece.data for piece in held), True)


def _bodies(section: Piece) -> Iterator[tuple[str, bytes, bytes]]:
    """Kind, name and text of what a section makes."""
    text = without_databases(section.data) if section.kind == "triggers" else section.data
    for part in text.split(_BODY)[1:]:
        body, _, _ = part.partition(_BODY_END)
        if made := _MADE.search(body):
            yield made[1].decode().lower(), _plain(made[2]), body[made.end() :]


def _mention(source: str) -> re.Pattern[bytes]:
    """Finds what follows the name of the database, and whether yet another name follows that."""
    plain = source.encode("utf-8", "surrogateescape")
    forms = [
        re.escape(quote(source).encode("utf-8", "surrogateescape")),
        re.escape(b'"' + plain.replace(b'"', b'""') + b'"'),
    ]
    if _UNQUOTED.fullmatch(plain):
        forms.append(re.escape(plain))
    return re.compile(
        rb"(?i)(?<![\w$.`\"\x80-\xff])(?:" + b"|".join(forms) + rb")\s*\.\s*(" + _NAME + rb")(\s*\.\s*(?=[`\"\w]))?"
    )


def _plain(name: bytes) -> bytes:
    """A name without its quotes."""
    mark = name[:1]
    return name[1:-1].replace(mark * 2, mark) if mark in (b"`", b'"') else name
