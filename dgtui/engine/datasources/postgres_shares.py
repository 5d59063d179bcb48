"""The entries of an archive that is loaded by several pg_restores: in which order, and which of them loads what."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dgtui.engine.datasources.postgres_names import table_name
from dgtui.engine.datasources.postgres_ready_indexes import INDEX_KINDS
from dgtui.engine.datasources.postgres_toc import BEFORE_DATA, TocEntry

ROWS = "TABLE DATA"
LEAST_BYTES = 1 << 14
"""What it takes to begin with a table, in bytes that are loaded in that time."""
_WITH_DATA = frozenset({ROWS, "BLOBS"})
_LARGE_OBJECTS = "BLOB METADATA"
"""Large objects as archives from pg_dump 17 on define them, among the data."""
_ATTACHED = "INDEX ATTACH"


class Steps(NamedTuple):
    """The entries of an archive in the order in which they are loaded."""

    before: list[TocEntry]
    filled: list[TocEntry]
    """Those with rows, which may be loaded at once."""
    after: list[TocEntry]


def in_steps(entries: Iterable[TocEntry], *, rows: bool) -> Steps:
    """What is made before the rows, the rows where they are wanted, and the rest.

    Grants are among the rest: they may take from the owner of a table what it needs to fill it.
    """
    steps = Steps([], [], [])
    for entry in entries:
        if entry.section == BEFORE_DATA or entry.kind == _LARGE_OBJECTS:
            steps.before.append(entry)
        elif rows and entry.kind in _WITH_DATA:
            steps.filled.append(entry)
        else:
            steps.after.append(entry)
    return steps


def in_turn(after: Sequence[TocEntry]) -> list[tuple[Sequence[TocEntry], bool]]:
    """What comes after the rows, one part after the other, and whether several processes may work on it at once.

    Not on the indexes of partitions becoming those of their tables: done by several sessions at once, that of a table
    with two levels of partitions sometimes stays invalid, and PostgreSQL says nothing (seen with 15).
    """
    attached = [entry for entry in after if entry.kind == _ATTACHED]
    if not attached:
        return [(after, True)]
    indexes = [entry for entry in after if entry.kind in INDEX_KINDS]
    return [(indexes, True), (attached, False), (without(after, (*indexes, *attached)), True)]


def shared_out(entries: Sequence[TocEntry], sizes: Mapping[str, int], jobs: int) -> list[list[TocEntry]]:
    """The entries in at most `jobs` shares of about one size, each in the order of the archive.

    The last entry is in the last share, which so has to read all of the archive.
    """
    shares: list[list[TocEntry]] = [[] for _ in range(min(jobs, len(entries)))]
    loads = [0] * len(shares)
    places = {entry.dump_id: place for place, entry in enumerate(entries)}

    for entry in sorted(entries, key=lambda entry: size_of(entry, sizes), reverse=True):
        least = loads.index(min(loads))
        shares[least].append(entry)
        loads[least] += size_of(entry, sizes)
    for share in shares:
        share.sort(key=lambda entry: places[entry.dump_id])
    return sorted(shares, key=lambda share: places[share[-1].dump_id])


def size_of(entry: TocEntry, sizes: Mapping[str, int]) -> int:
    """The bytes of the table that it fills, as far as they are known; never less than it takes to begin with one."""
    return max(sizes.get(table_name(entry.schema, entry.tag), 0), LEAST_BYTES)


def without(entries: Iterable[TocEntry], others: Iterable[TocEntry]) -> list[TocEntry]:
    """The entries that are not among the others."""
    numbers = {entry.dump_id for entry in others}
    return [entry for entry in entries if entry.dump_id not in numbers]
