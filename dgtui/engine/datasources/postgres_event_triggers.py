"""Event triggers of an archive, made after all else: pg_dump has materialised views filled while they act already.

One that keeps a log of definitions would write a row into it that was never there, and one that forbids definitions, or
calls something that is not found without a search path, would end the restore.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from dgtui.engine.datasources.postgres_owners import owner_statement
from dgtui.engine.datasources.postgres_toc import TocEntry

_KIND = "EVENT TRIGGER"
_ABOUT_IT = frozenset({"COMMENT", "SECURITY LABEL"})


class LastOnes(NamedTuple):
    """The entries of an archive, and those of them that are made after the others."""

    others: tuple[TocEntry, ...]
    last: tuple[TocEntry, ...]


def event_triggers_last(entries: Iterable[TocEntry], unusable_owners: Collection[str]) -> LastOnes:
    """Set event triggers apart, with their owners and comments; no definition of theirs is an event to any of them."""
    others, last = list[TocEntry](), list[TocEntry]()
    for entry in entries:
        if entry.kind == _KIND:
            last.append(_with_owner(entry, unusable_owners))
        elif entry.kind in _ABOUT_IT and entry.tag.startswith(f"{_KIND} "):
            last.append(entry)
        else:
            others.append(entry)
    return LastOnes(tuple(others), tuple(last))


def _with_owner(entry: TocEntry, unusable_owners: Collection[str]) -> TocEntry:
    statement = owner_statement(entry) if entry.owner not in unusable_owners else None
    return entry._replace(definition=f"{entry.definition}{statement};") if statement is not None else entry
