"""How an archive is restored into a server, and what should be known before: versions, roles, extensions."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from dgtui.engine.datasources.loading import MissingRoles, Selection
from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_databases import maintenance_database
from dgtui.engine.datasources.postgres_event_triggers import event_triggers_last
from dgtui.engine.datasources.postgres_names import plain_name
from dgtui.engine.datasources.postgres_owners import Handover, few, handover, ownership
from dgtui.engine.datasources.postgres_rights import usable_roles
from dgtui.engine.datasources.postgres_selection import (
    chosen_ids,
    entries_of_tables,
    refuse_rows_alone,
    refuse_rows_of_others,
)
from dgtui.engine.datasources.postgres_superuser import superuser_notes
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry
from dgtui.engine.datasources.postgres_tools import fitting_tool, major
from dgtui.engine.errors import RestoreError
from dgtui.engine.model import ToolVersion

if TYPE_CHECKING:
    import psycopg

_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_GRANTS = re.compile(r'(?:"(?:[^"]|"")*"|[^";])+;\n*')
_GRANTEE = re.compile(rf"\b(?:TO|FROM) ({_NAME})(?: WITH GRANT OPTION)?(?: GRANTED BY {_NAME})?;\n*\Z")
_GRANTOR = re.compile(rf"\s*SET SESSION AUTHORIZATION ({_NAME});")
_END_OF_GRANTOR = re.compile(r"\s*RESET SESSION AUTHORIZATION;")
_POLICY = re.compile(
    rf"CREATE POLICY {_NAME} ON {_NAME}(?:\.{_NAME})?(?: AS RESTRICTIVE)?(?: FOR \w+)? TO ({_NAME}(?:, {_NAME})*)"
)
_MAPPING = re.compile(rf"CREATE USER MAPPING FOR ({_NAME}) SERVER ")
_WHO = "SELECT rolsuper, rolname FROM pg_roles WHERE rolname = current_user"
_GRANTING = frozenset({"ACL", "DEFAULT ACL"})
_OF_LARGE_OBJECTS = "LARGE OBJECT"
_OF_SEVERAL = "LARGE OBJECTS "
_ON_THE_FIRST = re.compile(r"\A(\s*(?:GRANT|REVOKE) [A-Z, ]+ ON LARGE OBJECT )\d+")


class RestorePlan(NamedTuple):
    """What pg_restore is told beside the archive and the database."""

    tool: ToolVersion
    arguments: tuple[str, ...]
    entries: tuple[TocEntry, ...] | None
    """The entries to restore, in order; None for all."""
    notes: tuple[str, ...]
    missing: MissingRoles
    narrowed: tuple[TocEntry, ...] = ()
    """Entries that are not restored as the archive defines them, but as these do, after all others."""
    unusable_owners: frozenset[str] = frozenset()
    """Owners whose objects go to the user that restores."""
    handed_over: frozenset[int] = frozenset()
    """Entries whose owner is given by `narrowed` alone."""


def plan_restore(access: Access, toc: Toc, selection: Selection) -> RestorePlan:
    """Look at server and archive, changing nothing; raises where the restore cannot work."""
    with access.connect(maintenance_database(access)) as connection:
        _check_versions(connection, toc)
        tool = fitting_tool(
            "pg_restore",
            major(toc.dump_version),
            access.settings.tools,
            purpose=f"the pg_dump {toc.dump_version} that made the backup",
        )
        entries = list(toc.entries)
        if selection.tables:
            chosen = chosen_ids(toc, selection.tables)
            refuse_rows_alone(toc, chosen)
            if selection.backup_type != "schema_only":
                refuse_rows_of_others(toc, chosen)
            entries = entries_of_tables(toc, selection.tables)
        _check_extensions(connection, entries)
        arguments = []
        if selection.backup_type == "schema_only":
            arguments.append("--schema-only")
            entries = [entry for entry in entries if not entry.tag.startswith(_OF_LARGE_OBJECTS)]
        # A database with a subscription can neither be without its origin nor be dropped.
        arguments += [] if selection.acting else ["--no-subscriptions"]
        roles = usable_roles(connection)
        owners, usable = ownership(entries, roles), _usable(entries, roles)
        notes = [*owners.notes, *usable.notes, *superuser_notes(connection, usable.kept)]
        missing = MissingRoles(
            owners=owners.missing,
            ownerless=owners.objects,
            grantees=usable.grantees,
            left_out=usable.left_out,
        )
        superuser, user = connection.execute(_WHO).fetchall()[0]
        parted = event_triggers_last(usable.kept, owners.unusable)
        kept = Handover(parted.others) if superuser else handover(parted.others, owners.unusable, user)
        return RestorePlan(
            tool,
            (*arguments, *_tablespaces(connection, entries, notes)),
            kept.kept if selection.tables or len(kept.kept) < len(entries) else None,
            tuple(notes),
            missing,
            (*kept.after, *usable.narrowed, *parted.last),
            owners.unusable,
            kept.handed,
        )


def _check_versions(connection: "psycopg.Connection[Any]", toc: Toc) -> None:
    server = connection.info.server_version // 10000
    if major(toc.server_version) > server:
        raise RestoreError(
            f"The backup is of PostgreSQL {toc.server_version}, the server here is {server}: an older server cannot "
            "take it; nothing was changed",
            subject=toc.database,
            hint=f"Restore into a server of version {major(toc.server_version)} or newer",
        )


def _check_extensions(connection: "psycopg.Connection[Any]", entries: Iterable[TocEntry]) -> None:
    needed = {entry.tag for entry in entries if entry.kind == "EXTENSION"}
    available = {name for (name,) in connection.execute("SELECT name FROM pg_available_extensions").fetchall()}
    lacking = sorted(needed - available)
    if lacking:
        raise RestoreError(
            f"The backup needs extensions that this server does not have: {', '.join(lacking)}; nothing was changed",
            subject=lacking[0],
            hint="Install their packages on the server (such as postgresql-NN-postgis-3), then try again",
        )


class _Usable(NamedTuple):
    """What of an archive can be restored with the roles that a server has."""

    kept: tuple[TocEntry, ...]
    narrowed: tuple[TocEntry, ...]
    left_out: tuple[str, ...]
    grantees: tuple[str, ...]
    """The roles for want of which something is left out."""
    notes: tuple[str, ...]


def _usable(entries: list[TocEntry], roles: dict[str, bool]) -> _Usable:
    kept, narrowed, left_out, fewer, notes = list[TocEntry](), list[TocEntry](), list[str](), list[str](), list[str]()
    gone, altered, grantees = set[int](), set[int](), set[str]()
    large_objects = {entry.dump_id: entry.definition.split() for entry in entries if entry.kind == "BLOB METADATA"}
    for entry in entries:
        unusable = _unusable(entry, roles)
        if unusable:
            grantees |= unusable - roles.keys()
            gone.add(entry.dump_id)
            left_out.append(_told(entry, sorted(unusable)))
        elif absent := _absent(entry, roles):
            grantees |= absent
            altered.add(entry.dump_id)
            narrowed.append(_for_each(_without(entry, absent), large_objects))
            (fewer if entry.kind == "POLICY" else left_out).append(_told(entry, sorted(absent)))
        elif entry.kind in ("ACL", "COMMENT") and not altered.isdisjoint(entry.dependencies):
            narrowed.append(entry)
        elif entry.kind != "COMMENT" or gone.isdisjoint(entry.dependencies):
            kept.append(entry)
    if left_out:
        notes.append(f"What is for roles that do not exist on this server is left out: {few(left_out)}")
    if fewer:
        notes.append(
            f"Policies are made for those of their roles alone that exist on this server: without {few(fewer)}"
        )
    left_out += fewer
    return _Usable(tuple(kept), tuple(narrowed), tuple(left_out), tuple(sorted(grantees)), tuple(notes))


def _unusable(entry: TocEntry, roles: dict[str, bool]) -> set[str]:
    """The roles for want of which an entry cannot be restored and is not needed either; empty where it can.

    `roles` tells of those of the server whether our user is a member.
    """
    if entry.kind in _GRANTING:
        absent = _grantees(entry) - roles.keys()
        # Only a member of the role may say what others get of what the role makes.
        foreign = entry.kind == "DEFAULT ACL" and entry.owner and not roles.get(entry.owner, False)
        makers = {entry.owner} if foreign else set()
        # Those to the database of the backup are made with the restored one.
        in_part = not entry.tag.startswith("DATABASE ") and _without(entry, absent).definition
        return makers | (absent if not in_part else set())
    if entry.kind == "USER MAPPING":
        return _names(_MAPPING, entry) - roles.keys() - {"public"}
    if entry.kind == "POLICY":
        named = _names(_POLICY, entry)
        return named if named.isdisjoint(roles) else set()
    return set()


def _absent(entry: TocEntry, roles: dict[str, bool]) -> set[str]:
    """The roles that a server does not have, of a policy or of grants that are also for such as it has.

    Left out, a policy might be what hides rows from these, and grants might be what takes from everybody what a server
    gives by itself; without those roles both do for these what they did.
    """
    if entry.kind in _GRANTING:
        return _grantees(entry) - roles.keys()
    return _names(_POLICY, entry) - roles.keys() if entry.kind == "POLICY" else set()


def _without(entry: TocEntry, absent: set[str]) -> TocEntry:
    if entry.kind in _GRANTING:
        return entry._replace(definition="".join(_grants_without(entry.definition, absent)))
    match = _POLICY.match(entry.definition)
    assert match is not None
    names = ", ".join(name for name in re.findall(_NAME, match[1]) if plain_name(name) not in absent)
    return entry._replace(definition=entry.definition[: match.start(1)] + names + entry.definition[match.end(1) :])


def _for_each(entry: TocEntry, large_objects: dict[int, list[str]]) -> TocEntry:
    """Grants on all of several large objects, for which the archive holds those on the first."""
    if not entry.tag.startswith(_OF_SEVERAL):
        return entry
    numbers = [number for group in entry.dependencies for number in large_objects.get(group, ())]
    statements = [
        _ON_THE_FIRST.sub(rf"\g<1>{number}", statement)
        for number in numbers
        for statement in _GRANTS.findall(entry.definition)
    ]
    return entry._replace(definition="".join(statements))


def _grants_without(definition: str, absent: set[str]) -> Iterator[str]:
    """The statements that are neither of nor for these roles."""
    of_absent = False
    for statement in _GRANTS.findall(definition):
        grantor, grantee = _GRANTOR.match(statement), _GRANTEE.search(statement)
        if grantor is not None:
            of_absent = plain_name(grantor[1]) in absent
        if not of_absent and (grantee is None or plain_name(grantee[1]) not in absent):
            yield statement
        if _END_OF_GRANTOR.match(statement):
            of_absent = False


def _told(entry: TocEntry, roles: list[str]) -> str:
    kind = "policy " if entry.kind == "POLICY" else ""
    preposition = "to" if entry.kind == "ACL" else "of"
    return f"{kind}{entry.schema}.{entry.tag}".replace(" .", " ").lstrip(".") + f" ({preposition} {few(roles)})"


def _grantees(entry: TocEntry) -> set[str]:
    found = map(_GRANTEE.search, _GRANTS.findall(entry.definition))
    return {plain_name(match[1]) for match in found if match is not None} - {"PUBLIC"}


def _names(pattern: re.Pattern[str], entry: TocEntry) -> set[str]:
    """The names in the list that the pattern finds at the beginning of a definition."""
    match = pattern.match(entry.definition)
    return {plain_name(name) for name in re.findall(_NAME, match[1])} if match is not None else set()


def _tablespaces(connection: "psycopg.Connection[Any]", entries: list[TocEntry], notes: list[str]) -> list[str]:
    there = {name for (name,) in connection.execute("SELECT spcname FROM pg_tablespace").fetchall()}
    missing = sorted({entry.tablespace for entry in entries if entry.tablespace} - there)
    if not missing:
        return []
    notes.append(f"The tablespaces {few(missing)} do not exist on this server: everything goes to the default one")
    return ["--no-tablespaces"]
