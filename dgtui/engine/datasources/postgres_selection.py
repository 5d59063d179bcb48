"""Which entries of an archive belong to chosen tables: their data, and everything they need to work."""

import re
from collections.abc import Iterable, Sequence

from dgtui.engine.datasources.postgres_names import quoted, shown, table_matches, table_name
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry
from dgtui.engine.errors import ConfigError

_TABLES = frozenset({"TABLE", "MATERIALIZED VIEW", "FOREIGN TABLE"})
_OF_THE_TABLE = frozenset(
    {
        "CHECK CONSTRAINT", "CONSTRAINT", "DEFAULT", "INDEX", "MATERIALIZED VIEW DATA", "POLICY",
        "ROW SECURITY", "RULE", "SEQUENCE", "STATISTICS", "STATISTICS DATA", "TABLE DATA",
        "TRIGGER",
    }
)  # fmt: skip
"""Kinds of entry that are restored with a table they depend on."""
_OF_ANYTHING = frozenset({"ACL", "COMMENT", "SECURITY LABEL", "SEQUENCE SET"})
"""Kinds of entry that are restored with whatever they are about."""
_BETWEEN_TABLES = frozenset({"FK CONSTRAINT", "INDEX ATTACH", "TABLE ATTACH"})
"""Kinds of entry that fail unless every table they are about is there."""
_WITH_OPERATOR_CLASSES = frozenset({"btree_gist", "intarray", "pg_trgm"})
"""Extensions that let constraints exclude values of the server's own types; an archive does not tell which needs them.

Where one is of a type of an extension, the table itself depends on that.
"""
_EXCLUDES = re.compile(r" EXCLUDE USING | WITHOUT OVERLAPS\)")


def tables_in(toc: Toc) -> tuple[str, ...]:
    """The names of the tables and materialised views inside an archive."""
    names = {table_name(entry.schema, entry.tag) for entry in toc.entries if entry.kind in {*_TABLES, "TABLE DATA"}}
    return tuple(sorted(names))


def entries_of_tables(toc: Toc, tables: Sequence[str]) -> list[TocEntry]:
    """The entries to restore, in the archive's order; raises ConfigError where a table is not in it."""
    by_id = {entry.dump_id: entry for entry in toc.entries}
    chosen = chosen_ids(toc, tables)
    wanted = _with_needs(chosen, by_id)
    while True:
        more = {
            entry.dump_id
            for entry in toc.entries
            if entry.dump_id not in wanted and _goes_along(entry, chosen, wanted, by_id)
        }
        if not more:
            return [entry for entry in toc.entries if entry.dump_id in wanted]
        wanted |= _with_needs(more, by_id)


_RELATIONS = frozenset({*_TABLES, "DOMAIN", "SEQUENCE", "TYPE", "VIEW"})
"""Kinds whose tag is a plain name; that of a function has its arguments with it."""
_NAMED_NEEDS = {
    "AGGREGATE": "aggregate", "COLLATION": "collation", "DOMAIN": "domain", "EXTENSION": "extension",
    "FOREIGN TABLE": "foreign table", "FUNCTION": "function", "MATERIALIZED VIEW": "materialised view",
    "OPERATOR": "operator", "PROCEDURE": "procedure", "SCHEMA": "schema", "SEQUENCE": "sequence", "TABLE": "table",
    "TYPE": "type", "VIEW": "view",
}  # fmt: skip


def needed_by(toc: Toc, tables: Sequence[str]) -> tuple[str, ...]:
    """What goes with the chosen tables because they depend on it, each with its kind; tables go without their rows.

    And the foreign keys between them and tables that are not chosen.
    """
    chosen = chosen_ids(toc, tables)
    needs = []
    for entry in entries_of_tables(toc, tables):
        if entry.dump_id in chosen or entry.kind not in _NAMED_NEEDS:
            continue
        tag = shown(entry.tag) if entry.kind in _RELATIONS else entry.tag
        name = f"{shown(entry.schema)}.{tag}" if entry.schema else tag
        empty = ", without its rows" if entry.kind in _TABLES else ""
        needs.append(f"{_NAMED_NEEDS[entry.kind]} {name}{empty}")
    return (*needs, *_keys_left_out(toc, chosen))


def keys_to_others(toc: Toc, chosen: set[int]) -> set[int]:
    """The foreign keys and attachments of chosen tables to tables that are not chosen."""
    by_id = {entry.dump_id: entry for entry in toc.entries}
    names = {(by_id[number].schema, by_id[number].tag) for number in chosen if by_id[number].kind in _TABLES}
    found = set()
    for entry in toc.entries:
        between = entry.kind in _BETWEEN_TABLES or _of_attached(entry)
        if not between or chosen.isdisjoint(entry.dependencies):
            continue
        # An attachment bears its table's name; a key bears that of its table and its own.
        if any(schema == entry.schema and f"{entry.tag} ".startswith(f"{name} ") for schema, name in names):
            found.add(entry.dump_id)
    return found


def _keys_left_out(toc: Toc, chosen: set[int]) -> list[str]:
    by_id = {entry.dump_id: entry for entry in toc.entries}
    left_out = []
    for entry in toc.entries:
        if entry.kind != "FK CONSTRAINT":
            continue
        about = {number for number in _with_needs({entry.dump_id}, by_id) if by_id[number].kind in _TABLES}
        if about & chosen and not about <= chosen:
            others = ", ".join(sorted(table_name(by_id[n].schema, by_id[n].tag) for n in about - chosen))
            left_out.append(f"foreign key {entry.tag.rpartition(' ')[2]}, where {others} is there too")
    return left_out


def chosen_ids(toc: Toc, tables: Sequence[str]) -> set[int]:
    """The dump ids of the named tables, of their partitions, and of the data of both."""
    chosen: set[int] = set()
    for name in tables:
        found = {
            entry.dump_id
            for entry in toc.entries
            if entry.kind in {*_TABLES, "TABLE DATA"} and table_matches(name, entry.schema, entry.tag)
        }
        if not found:
            raise ConfigError(
                f"There is no table {name} in the backup",
                subject=name,
                hint="`dgtui show` lists the tables of a backup; names are taken literally, with their case",
            )
        chosen |= found
    # A partition's attachment depends on both tables, and bears the partition's name.
    attachments = [entry for entry in toc.entries if entry.kind == "TABLE ATTACH"]
    tables_by_name = {(entry.schema, entry.tag): entry.dump_id for entry in toc.entries if entry.kind in _TABLES}
    grown = True
    while grown:
        grown = False
        for entry in attachments:
            child = tables_by_name.get((entry.schema, entry.tag), 0)
            if child not in chosen and not chosen.isdisjoint(set(entry.dependencies) - {child}):
                chosen.add(child)
                grown = True
    return chosen


def partitions_of(toc: Toc, tables: Sequence[str]) -> tuple[str, ...]:
    """The partitions of chosen tables that are not chosen by their own names. Raises as `chosen_ids` does."""
    chosen = chosen_ids(toc, tables)
    found = {(entry.schema, entry.tag) for entry in toc.entries if entry.dump_id in chosen}
    return tuple(
        table_name(schema, tag)
        for schema, tag in sorted(found)
        if not any(table_matches(name, schema, tag) for name in tables)
    )


def refuse_rows_alone(toc: Toc, chosen: set[int]) -> None:
    """Raise ConfigError where the archive has rows of a chosen table, but not the table: an extension makes that."""
    defined = {(entry.schema, entry.tag) for entry in toc.entries if entry.kind in _TABLES}
    for entry in toc.entries:
        if entry.dump_id in chosen and (entry.schema, entry.tag) not in defined:
            name = table_name(entry.schema, entry.tag)
            raise ConfigError(
                f"{name} is not in the backup, only its rows are: an extension makes it",
                subject=name,
                hint="Restore its rows with --data-only, or all of the backup",
            )


def refuse_rows_of_others(toc: Toc, chosen: set[int]) -> None:
    """Raise ConfigError where a chosen materialised view reads tables that would come along without their rows."""
    by_id = {entry.dump_id: entry for entry in toc.entries}
    filled = {
        number for entry in toc.entries if entry.kind == "MATERIALIZED VIEW DATA" for number in entry.dependencies
    }
    for number in sorted(chosen & filled):
        if by_id[number].kind != "MATERIALIZED VIEW":
            continue
        read = [by_id[needed] for needed in _with_needs({number}, by_id) - chosen]
        names = sorted(table_name(one.schema, one.tag) for one in read if one.kind in ("TABLE", "MATERIALIZED VIEW"))
        if names:
            name = table_name(by_id[number].schema, by_id[number].tag)
            choice = " ".join(f"--table {one}" for one in names)
            raise ConfigError(
                f"The rows of the materialised view {name} are computed from {', '.join(names)}",
                subject=name,
                hint=f"Choose that as well: {choice}; or refresh the view where it is",
            )


def _goes_along(entry: TocEntry, chosen: set[int], wanted: set[int], by_id: dict[int, TocEntry]) -> bool:
    if _of_attached(entry):
        attachments = (by_id[number] for number in wanted if by_id[number].kind == "TABLE ATTACH")
        return any(chosen.intersection(entry.dependencies, one.dependencies) for one in attachments)
    if entry.kind in _OF_THE_TABLE:
        return not chosen.isdisjoint(entry.dependencies) or _of_domain(entry, wanted, by_id)
    if entry.kind in _OF_ANYTHING:
        return not wanted.isdisjoint(entry.dependencies)
    if entry.kind == "SEQUENCE OWNED BY":
        # It depends on its sequence alone; which table that belongs to, only its text tells.
        return not wanted.isdisjoint(entry.dependencies) and any(
            owner in entry.definition for number in chosen for owner in _owners(by_id[number])
        )
    if entry.kind in _BETWEEN_TABLES:
        needed = {number for number in _with_needs({entry.dump_id}, by_id) if by_id[number].kind in _TABLES}
        return bool(needed) and needed <= chosen
    return (
        entry.tag in _WITH_OPERATOR_CLASSES and entry.kind == "EXTENSION" and any(_excludes(by_id[n]) for n in wanted)
    )


def _of_domain(entry: TocEntry, wanted: set[int], by_id: dict[int, TocEntry]) -> bool:
    """Whether it is a constraint of a domain that comes along: one that is not valid for all rows stands apart."""
    return entry.kind == "CHECK CONSTRAINT" and any(
        by_id[number].kind == "DOMAIN" and entry.tag.startswith(f"{by_id[number].tag} ")
        for number in wanted.intersection(entry.dependencies)
    )


def _excludes(entry: TocEntry) -> bool:
    return entry.kind == "CONSTRAINT" and _EXCLUDES.search(entry.definition) is not None


def _of_attached(entry: TocEntry) -> bool:
    """Whether it changes a trigger that a partition has of its table, once it is attached."""
    return entry.kind == "TRIGGER" and entry.definition.lstrip().startswith("ALTER TABLE ")


def _owners(table: TocEntry) -> tuple[str, str]:
    """The ways in which a sequence names its table: a key word is quoted like an odd name."""
    return (
        f" OWNED BY {table_name(table.schema, table.tag)}.",
        f" OWNED BY {shown(table.schema)}.{quoted(table.tag)}.",
    )


def _with_needs(start: Iterable[int], by_id: dict[int, TocEntry]) -> set[int]:
    """These entries and everything that they depend on, directly or not; other tables without their data."""
    found: set[int] = set()
    waiting = list(start)
    while waiting:
        number = waiting.pop()
        if number in by_id and number not in found:
            found.add(number)
            waiting += [
                needed
                for needed in by_id[number].dependencies
                if needed in by_id and by_id[needed].kind not in {"TABLE DATA", "MATERIALIZED VIEW DATA"}
            ]
    return found
