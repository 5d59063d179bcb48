"""Telling in an archive where the data of each table begins, which pg_dump could not when it wrote into a pipe.

Each process of a parallel pg_restore reads its way through all rows before a table where it is not told, and none knows
how large the tables are, to begin with the largest. The format is that of PostgreSQL's `pg_backup_custom.c`: data are
a block per entry, in the order of the table of contents, of pieces that each tell their length; one of no length ends.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from dgtui.engine.datasources.postgres_toc import LARGE_OBJECTS, PLACE_KNOWN, TABLE_DATA, Toc, TocEntry

_LARGE_OBJECT_KINDS = ("BLOBS",)


def tell_places(file: Path, toc: Toc) -> None:
    """Write the places into the file's table of contents, which is `toc`; where they cannot be known, nothing.

    Rows are lines of text, without a zero byte, so that as many of them as an integer has occur at the end of a block
    alone. Large objects may hold anything: what comes after them is left untold.
    """
    if toc.compressed:
        return
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as archive:
        for entry, place in list(_places(archive, toc)):
            told = bytes([PLACE_KNOWN]) + place.to_bytes(toc.offset_bytes, "little")
            archive[entry.place_at : entry.place_at + len(told)] = told


def _places(archive: mmap.mmap, toc: Toc) -> Iterator[tuple[TocEntry, int]]:
    end = bytes(1 + toc.integer_bytes)
    searched_from = toc.data_at
    for entry in toc.entries:
        if not entry.place_unknown:
            continue
        has_rows = entry.kind not in _LARGE_OBJECT_KINDS
        head = _head(TABLE_DATA if has_rows else LARGE_OBJECTS, entry.dump_id, toc.integer_bytes)
        if searched_from == toc.data_at:
            place = searched_from if archive[searched_from : searched_from + len(head)] == head else -1
        else:
            found = archive.find(end + head, searched_from)
            place = found + len(end) if found >= 0 else -1
        if place < 0:
            return
        yield entry, place
        if not has_rows:
            return
        searched_from = place + len(head)


def _head(kind: int, dump_id: int, integer_bytes: int) -> bytes:
    """How a block begins: its kind, and the entry's number with its sign."""
    return bytes([kind, 0]) + dump_id.to_bytes(integer_bytes, "little")
