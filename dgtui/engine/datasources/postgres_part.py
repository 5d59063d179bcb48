"""Replacing chosen tables of a live database by those of one that was restored beside it, in one transaction.

The definitions come from the archive, the rows from the database beside, which has been compared with the backup. What
the chosen tables need and the target has already (types, functions, sequences of their own) is left as it is there.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from dgtui.engine.datasources.loading import Announce
from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_late_rows import keep_late_rows
from dgtui.engine.datasources.postgres_locks import PostgresLockWatch, lock_hint
from dgtui.engine.datasources.postgres_names import qualified, table_matches, table_name
from dgtui.engine.datasources.postgres_plan import RestorePlan
from dgtui.engine.datasources.postgres_replication import publishing
from dgtui.engine.datasources.postgres_selection import chosen_ids, entries_of_tables, keys_to_others
from dgtui.engine.datasources.postgres_settling import transaction_mark
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry
from dgtui.engine.datasources.postgres_transfer import copy_rows, make_entry, prepare, refused
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import Part, PartChange

if TYPE_CHECKING:
    import psycopg

_TABLES = frozenset({"TABLE", "MATERIALIZED VIEW", "FOREIGN TABLE"})
_DROPS = {"r": "TABLE", "p": "TABLE", "m": "MATERIALIZED VIEW", "f": "FOREIGN TABLE"}
_BEFORE_ATTACHMENT = frozenset({"CONSTRAINT", "INDEX", "TABLE", "TABLE DATA"})
_FOLLOWS = frozenset({"ACL", "COMMENT", "DEFAULT ACL", "SECURITY LABEL", "SEQUENCE OWNED BY", "SEQUENCE SET"})
"""Kinds of entry that say something about another one, and are left out where that one was there already."""
_OF_WHAT_STAYS = frozenset({"CHECK CONSTRAINT", "CONSTRAINT", "INDEX"})
"""Those of a table or domain that stays are its own matter, though those of its partitions need them."""
_RELATIONS = """
SELECT c.oid::int8, c.relkind::text, n.nspname, c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
"""
_EXTENSION = "SELECT 1 FROM pg_extension WHERE extname = %s"
_FROM_OTHERS = """
SELECT c.conrelid::regclass::text, quote_ident(c.conname), pg_get_constraintdef(c.oid),
       obj_description(c.oid, 'pg_constraint')
FROM pg_constraint c
WHERE c.contype = 'f' AND c.conparentid = 0 AND c.confrelid = ANY(%(oids)s) AND NOT c.conrelid = ANY(%(oids)s)
ORDER BY 1, 2
"""
_PARTITIONS = """
SELECT c.oid::int8, n.nspname, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
       JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = ANY(%(oids)s) AND c.relispartition AND NOT c.oid = ANY(%(oids)s)
"""


class _Present(NamedTuple):
    """A table that the target has."""

    oid: int
    kind: str
    """For DROP."""
    schema: str
    name: str
    wanted: bool = True
    """Whether the backup's takes its place."""

    @property
    def quoted(self) -> str:
        return qualified(self.schema, self.name)


class PartReplacement:
    """One replacement of chosen tables; the transaction either does all of it or nothing."""

    def __init__(
        self, access: Access, change: PartChange, loaded: tuple[Toc, RestorePlan] | None, reporter: Reporter
    ) -> None:
        """`loaded` is what the database beside was loaded from; None where tables are only removed."""
        self._access = access
        self._change = change
        self._reporter = reporter
        self._there: set[int] = set()
        """What the chosen tables need and the target had already."""
        self._present: list[_Present] = []
        self._chosen: set[int] = set()
        self._entries: list[TocEntry] = []
        if loaded is None:
            return
        tables = change.tables
        self._toc, self._plan = toc, plan = loaded
        self._chosen = chosen_ids(toc, tables)
        narrowed = {entry.dump_id: entry for entry in plan.narrowed}
        kept = {entry.dump_id for entry in plan.entries} | narrowed.keys() if plan.entries is not None else None
        wanted = {entry.dump_id for entry in entries_of_tables(toc, tables) if kept is None or entry.dump_id in kept}
        others = keys_to_others(toc, self._chosen)
        entries = [narrowed.get(entry.dump_id, entry) for entry in toc.entries if entry.dump_id in wanted | others]
        # Rights come last, as pg_restore has them too: an owner may have taken from itself what the loading needs.
        self._entries = sorted(_attached_late(entries, others), key=lambda entry: entry.kind == "ACL")

    def carry_out(self, announce: Announce) -> None:
        """Replace the tables by those beside. Raises RestoreError, with nothing changed."""
        import psycopg

        beside, database = self._change.beside, self._change.database
        with (
            self._access.connect(beside, seconds=None) as source,
            self._access.connect(database, seconds=None) as live,
        ):
            # A snapshot from before the tables were locked would not show what was written until then.
            live.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            try:
                with (
                    PostgresLockWatch(self._access, database, live, self._reporter),
                    source.transaction(),
                    live.transaction(),
                ):
                    prepare(self._access, source, live, self._toc if self._entries else None)
                    self._present = [*self._found(live), *self._unwanted(live)]
                    self._keep_late_rows(live)
                    published = publishing(live, [one.oid for one in self._present if one.wanted], self._reporter)
                    others = self._take_out(live)
                    for entry in self._entries:
                        self._bring(entry, source, live)
                    for statement in published:
                        _run(live, statement)
                    for table, name, definition, comment in others:
                        _run(live, f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
                        if comment is not None:
                            live.execute(f"COMMENT ON CONSTRAINT {name} ON {table} IS {_literal(comment)}".encode())
                    announce(transaction_mark(live), self._part())
            except psycopg.Error as error:
                if live.broken or source.broken:
                    raise
                hint = lock_hint(self._access, database, [one.oid for one in self._present], error)
                raise refused(database, error, hint) from error

    def _keep_late_rows(self, live: "psycopg.Connection[Any]") -> None:
        tables = [one for one in self._present if one.kind == "TABLE"]
        if self._change.late is None or not tables:
            return
        _run(live, f"LOCK TABLE {', '.join(one.quoted for one in tables)} IN ACCESS EXCLUSIVE MODE")
        keep_late_rows(live, [one.oid for one in tables], self._change.late, self._reporter)

    def _take_out(self, live: "psycopg.Connection[Any]") -> list[tuple[str, str, str, str | None]]:
        """Drop the chosen tables, and before the foreign keys of others to them; those keys come back at the end."""
        present = self._present
        oids = {"oids": [one.oid for one in present]}
        strangers = [table_name(schema, name) for _, schema, name in live.execute(_PARTITIONS, oids).fetchall()]
        if strangers:
            raise RestoreError(
                f"{', '.join(strangers[:5])} is a partition in the target that the backup does not have",
                subject=strangers[0],
                hint="It would be dropped with its table. Detach it, or restore under another name with --into NAME",
            )
        others = live.execute(_FROM_OTHERS, oids).fetchall()
        for table, name, _, _ in others:
            _run(live, f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        if others:
            told = ", ".join(f"{name} of {table}" for table, name, _, _ in others)
            self._reporter.log(f"Foreign keys of other tables are made anew, and checked: {told}")
        for kind in sorted({one.kind for one in present}):
            _run(live, f"DROP {kind} {', '.join(one.quoted for one in present if one.kind == kind)}")
        return others

    def _found(self, live: "psycopg.Connection[Any]") -> list["_Present"]:
        """The chosen tables that the target has."""
        names = {(e.schema, e.tag) for e in self._entries if e.dump_id in self._chosen and e.kind in _TABLES}
        found = []
        for schema, tag in sorted(names):
            row = live.execute(f"{_RELATIONS} WHERE n.nspname = %s AND c.relname = %s", (schema, tag)).fetchone()
            if row is None:
                continue
            if row[1] not in _DROPS:
                raise RestoreError(
                    f"{table_name(schema, tag)} is no table in the target",
                    subject=tag,
                    hint="Restore under another name with --into NAME",
                )
            found.append(_Present(row[0], _DROPS[row[1]], schema, tag))
        return found

    def _unwanted(self, live: "psycopg.Connection[Any]") -> list["_Present"]:
        """The tables that are taken away besides, as far as they are there."""
        if not self._change.remove:
            return []
        relations = live.execute(f"{_RELATIONS} WHERE c.relkind = ANY(%s)", (list(_DROPS),)).fetchall()
        return [
            _Present(oid, _DROPS[kind], schema, name, wanted=False)
            for oid, kind, schema, name in relations
            if any(table_matches(one, schema, name) for one in self._change.remove)
        ]

    def _part(self) -> Part:
        """What this changes."""
        chosen = [entry for entry in self._entries if entry.dump_id in self._chosen and entry.kind in _TABLES]
        names = {table_name(entry.schema, entry.tag) for entry in chosen}
        there = {table_name(one.schema, one.name) for one in self._present if one.wanted}
        return Part(
            kind="objects",
            replaced=tuple(sorted(there)),
            added=tuple(sorted(names - there)),
            removed=tuple(sorted(table_name(one.schema, one.name) for one in self._present if not one.wanted)),
        )

    def _bring(self, entry: TocEntry, source: "psycopg.Connection[Any]", live: "psycopg.Connection[Any]") -> None:
        if entry.kind == "TABLE DATA":
            self._reporter.current_object(table_name(entry.schema, entry.tag))
            copy_rows(entry.schema, entry.tag, source, live)
            return
        ours = self._is_ours(entry)
        follows = _FOLLOWS if ours else _FOLLOWS | _OF_WHAT_STAYS
        if not entry.definition:
            return
        if entry.kind in follows and self._there.intersection(entry.dependencies):
            self._there.add(entry.dump_id)
            return
        if entry.kind == "EXTENSION" and live.execute(_EXTENSION, (entry.tag,)).fetchone() is not None:
            self._there.add(entry.dump_id)
        elif ours:
            self._make(entry, live)
        else:
            self._make_where_missing(entry, live)

    def _is_ours(self, entry: TocEntry) -> bool:
        """Whether it is a chosen table, or belongs to one."""
        return entry.dump_id in self._chosen or not self._chosen.isdisjoint(entry.dependencies)

    def _make(self, entry: TocEntry, live: "psycopg.Connection[Any]") -> None:
        make_entry(entry, live, self._plan.arguments)

    def _make_where_missing(self, entry: TocEntry, live: "psycopg.Connection[Any]") -> None:
        import psycopg

        already = (
            psycopg.errors.DuplicateObject,
            psycopg.errors.DuplicateTable,
            psycopg.errors.DuplicateSchema,
            psycopg.errors.DuplicateFunction,
        )
        try:
            with live.transaction():
                self._make(entry, live)
        except (*already, psycopg.errors.UniqueViolation) as error:
            # Of two text search dictionaries of one name the server says no more than that its catalog has it.
            if not isinstance(error, already) and error.diag.schema_name != "pg_catalog":
                raise
            self._there.add(entry.dump_id)
            if entry.kind == "SEQUENCE":
                name = table_name(entry.schema, entry.tag)
                self._reporter.log(f"The sequence {name} is there and was left as it is", level="warning")
        else:
            if entry.kind not in _FOLLOWS:
                name = f"{entry.schema}.{entry.tag}".lstrip(".")
                self._reporter.log(f"{entry.kind.lower()} {name} was not there and was made, because it is needed")


def _attached_late(entries: list[TocEntry], others: Collection[int]) -> list[TocEntry]:
    """Have partitions attached to tables that stay once they have their indexes: an attachment makes what lacks."""
    late = [entry for entry in entries if entry.kind == "TABLE ATTACH" and entry.dump_id in others]
    kept = [entry for entry in entries if entry not in late]
    last = max((number for number, one in enumerate(kept, 1) if one.kind in _BEFORE_ATTACHMENT), default=len(kept))
    return [*kept[:last], *late, *kept[last:]]


def _run(connection: "psycopg.Connection[Any]", statement: str) -> None:
    connection.execute(statement.encode())


def _literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
