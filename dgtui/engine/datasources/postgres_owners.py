"""Objects whose owner a server does not have, or whom our user may not make one: they go to whoever restores.

All others keep their owners. pg_restore knows `--no-owner` for all objects alone, so that the archive it gets names no
owner for these.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from dgtui.engine.datasources.dumping import ArchiveBlocks
from dgtui.engine.datasources.postgres_names import quoted
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry, head_of

_OWNED = frozenset({
    "AGGREGATE", "BLOB", "BLOB METADATA", "COLLATION", "CONVERSION", "DOMAIN", "EVENT TRIGGER", "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE", "FUNCTION", "MATERIALIZED VIEW", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE", "PROCEDURE", "PUBLICATION", "SCHEMA", "SEQUENCE", "SERVER", "STATISTICS", "SUBSCRIPTION",
    "TABLE", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TYPE", "VIEW",
})  # fmt: skip
"""Kinds of entry that have an owner of their own; that of an index or of rows is their table's."""
_DROP = "DROP "
_NAMES_SHOWN = 10


class Ownership(NamedTuple):
    """Who cannot own on a server what is theirs in an archive."""

    unusable: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()
    """Those of them that the server does not have."""
    objects: tuple[str, ...] = ()
    """What they own, as people read it, with the owner."""
    notes: tuple[str, ...] = ()


def ownership(entries: Iterable[TocEntry], roles: dict[str, bool]) -> Ownership:
    """Look for the owners among the roles of a server, which tell whether our user may hand something to them."""
    owned = [entry for entry in entries if _is_owned(entry)]
    owners = {entry.owner for entry in owned}
    missing = sorted(owners - roles.keys())
    foreign = sorted(owner for owner in owners & roles.keys() if not roles[owner])
    notes = []
    if missing:
        notes.append(
            f"{_lost(owned, missing)}: the user that restores will own them, because the roles {few(missing)} do not "
            "exist on this server. To keep these owners, make the roles first (globals.sql of a backup with "
            "`globals = true`)"
        )
    if foreign:
        notes.append(
            f"{_lost(owned, foreign)}: the user that restores will own them, because it has not the rights of "
            f"{few(foreign)}. To keep these owners, make it a member, or restore as a superuser"
        )
    unusable = frozenset((*missing, *foreign))
    return Ownership(unusable, tuple(missing), tuple(_told(owned, unusable)), tuple(notes))


def owner_statement(entry: TocEntry) -> str | None:
    """The statement that gives what an entry makes to its owner; None where that is nothing by itself.

    What a function or an operator is called, with its arguments, only the statement that drops it tells.
    """
    if not _is_owned(entry) or not entry.removal.startswith(_DROP):
        return None
    return f"ALTER {_dropped(entry)} OWNER TO {quoted(entry.owner)}"


class Handover(NamedTuple):
    """What gets its owner only after all else, since that one may make nothing in its schema before."""

    kept: tuple[TocEntry, ...]
    """What pg_restore restores; what is handed over, without its owner."""
    after: tuple[TocEntry, ...] = ()
    """The handing over, and the rights that are given on what was handed over."""
    handed: frozenset[int] = frozenset()


def handover(entries: tuple[TocEntry, ...], unusable: Collection[str], user: str) -> Handover:
    """What a user who is no superuser hands over to others: grants on schemas come late in an archive."""
    statements = {
        entry: statement
        for entry in entries
        if entry.schema and entry.owner not in (user, *unusable) and (statement := owner_statement(entry)) is not None
    }
    handed = frozenset(entry.dump_id for entry in statements)
    rights = tuple(entry for entry in entries if entry.kind == "ACL" and not handed.isdisjoint(entry.dependencies))
    moved = frozenset(entry.dump_id for entry in rights)
    # A table takes its sequences along, which cannot be handed over by themselves.
    ordered = sorted(statements, key=lambda entry: entry.kind == "SEQUENCE")
    given = (entry._replace(dump_id=0, kind="OWNER", definition=_handed(entry, statements[entry])) for entry in ordered)
    return Handover(tuple(entry for entry in entries if entry.dump_id not in moved), (*given, *rights), handed)


def _handed(entry: TocEntry, statement: str) -> str:
    """With the right to make something in the schema for the moment, where the new owner has none."""
    schema, owner = quoted(entry.schema), quoted(entry.owner)
    may = f"has_schema_privilege({_literal(entry.owner)}, {_literal(entry.schema)}, 'CREATE')"
    block = (
        f"DECLARE may boolean := {may}; BEGIN "
        f"IF NOT may THEN GRANT CREATE ON SCHEMA {schema} TO {owner}; END IF; {statement}; "
        f"IF NOT may THEN REVOKE CREATE ON SCHEMA {schema} FROM {owner}; END IF; END"
    )
    return f"DO {_literal(block)};"


def _literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def without_owners(toc: Toc, owners: Collection[str]) -> Toc:
    """The same table of contents, in which nothing is theirs."""
    entries = (entry._replace(owner="") if entry.owner in owners else entry for entry in toc.entries)
    return toc._replace(entries=tuple(entries))


class ArchiveWithoutOwners:
    """An archive in which these entries have no owner, every byte else at its place: they are left to whoever restores.

    After the owner the table of contents holds a text that says `true` of tables WITH OIDS, which no server has any
    more. It takes up the room of the owner's name.
    """

    def __init__(self, archive: ArchiveBlocks, toc: Toc, entries: Collection[int]) -> None:
        self.total_size_bytes = archive.total_size_bytes
        self.object_bytes = archive.object_bytes
        self._archive = archive
        self._toc = toc
        self._places = [entry.owner_at for entry in toc.entries if entry.dump_id in entries]

    def blocks(self) -> Iterator[bytes]:
        """The bytes in order, read anew at each call; raises as the archive itself does."""
        head, data = head_of(self._archive.blocks(), self._toc)
        yield self._cleared(bytearray(head))
        yield from data

    def _cleared(self, head: bytearray) -> bytes:
        for place in self._places:
            owner, owner_ends = self._text(head, place)
            flag, ends = self._text(head, owner_ends)
            head[place:ends] = self._written(b"") + self._written(flag + owner)
        return bytes(head)

    def _text(self, head: bytearray, place: int) -> tuple[bytes, int]:
        """A text, and where it ends. It stands after a sign and its length."""
        begins = place + 1 + self._toc.integer_bytes
        ends = begins + int.from_bytes(head[place + 1 : begins], "little")
        return bytes(head[begins:ends]), ends

    def _written(self, text: bytes) -> bytes:
        return b"\0" + len(text).to_bytes(self._toc.integer_bytes, "little") + text


def _lost(owned: Iterable[TocEntry], owners: Collection[str]) -> str:
    return f"Objects lose their owner: {few(_told(owned, owners))}"


def _told(owned: Iterable[TocEntry], owners: Collection[str]) -> list[str]:
    return [f"{_shown(entry)} (of {entry.owner})" for entry in owned if entry.owner in owners]


def _is_owned(entry: TocEntry) -> bool:
    """Whether it has an owner by itself: a sequence that its table makes for an identity is dropped with that."""
    return bool(entry.owner) and entry.kind in _OWNED and bool(entry.removal or entry.kind == "BLOB METADATA")


def _shown(entry: TocEntry) -> str:
    dropped = _dropped(entry)
    if not dropped.startswith(f"{entry.kind} "):
        return f"large object {entry.tag}"
    return entry.kind.lower() + dropped.removeprefix(entry.kind)


def _dropped(entry: TocEntry) -> str:
    return entry.removal.removeprefix(_DROP).rstrip().removesuffix(";")


def few(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
