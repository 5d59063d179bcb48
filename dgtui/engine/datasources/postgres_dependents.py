"""What of a live database keeps chosen tables from being replaced, asked before anything is done."""

from collections.abc import Sequence

from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_names import shown, table_matches, table_name
from dgtui.engine.datasources.postgres_queries import with_partitions
from dgtui.engine.errors import RestoreError
from dgtui.engine.sizes import first_of

_RELATIONS = """
SELECT c.oid::int8, c.relkind::text, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
_REPLACED = ("r", "p", "m", "f")
_DEPENDENTS = """
WITH RECURSIVE gone(classid, objid) AS (
    SELECT 'pg_class'::regclass::oid, unnest(%(oids)s::int8[])::oid
    UNION
    SELECT d.classid, d.objid FROM pg_depend d JOIN gone g ON d.refclassid = g.classid AND d.refobjid = g.objid
    WHERE d.deptype IN ('a', 'i', 'P', 'S')
), held AS (
    SELECT d.classid, d.objid, d.objsubid, r.ev_class
    FROM pg_depend d JOIN gone g ON d.refclassid = g.classid AND d.refobjid = g.objid
    LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    WHERE d.deptype = 'n' AND NOT EXISTS (SELECT 1 FROM gone o WHERE o.classid = d.classid AND o.objid = d.objid)
    AND NOT EXISTS (SELECT 1 FROM gone o WHERE o.classid = 'pg_class'::regclass AND o.objid = r.ev_class)
    AND NOT EXISTS (SELECT 1 FROM pg_constraint c
                    WHERE d.classid = 'pg_constraint'::regclass AND c.oid = d.objid AND c.contype = 'f')
)
SELECT DISTINCT CASE WHEN ev_class IS NULL THEN pg_describe_object(classid, objid, objsubid)
                     ELSE pg_describe_object('pg_class'::regclass, ev_class, 0) END
FROM held ORDER BY 1
"""
"""What goes with the tables goes; foreign keys of others are made anew; all else that depends on them is in the way."""


def refuse_dependents(access: Access, database: str, listed: Sequence[str], chosen: Sequence[str]) -> None:
    """Raise RestoreError where something that was not chosen depends on the live tables, or one is no table.

    And where a live table has partitions that the backup, whose tables are `listed`, does not have.
    """
    with access.connect(database) as connection:
        names = with_partitions(connection, chosen)
        found = [
            (oid, kind, schema, name)
            for oid, kind, schema, name in connection.execute(_RELATIONS).fetchall()
            if any(table_matches(wanted, schema, name) for wanted in names)
        ]
        for _, kind, schema, name in found:
            full = table_name(schema, name)
            if kind not in _REPLACED:
                raise RestoreError(
                    f"{full} is no table in {shown(database)}; nothing was changed",
                    subject=full,
                    hint="Restore under another name with --as NAME, or elsewhere with --into NAME",
                )
            part_of_chosen = not any(table_matches(wanted, schema, name) for wanted in chosen)
            if kind == "r" and part_of_chosen and listed and full not in listed:
                raise RestoreError(
                    f"{full} is a partition in the target that the backup does not have; nothing was changed",
                    subject=full,
                    hint="It would be dropped with its table. Detach it, or restore elsewhere with --into NAME",
                )
        oids = [oid for oid, *_ in found]
        dependents = [str(one) for (one,) in connection.execute(_DEPENDENTS, {"oids": oids}).fetchall()]
    if dependents:
        raise RestoreError(
            f"The chosen tables of {shown(database)} cannot be replaced: {first_of(dependents)} "
            f"{'depends' if len(dependents) == 1 else 'depend'} on them; nothing was changed",
            subject=database,
            hint="Choose it as well where it is a table; or restore under another name with --as NAME, and copy the "
            "rows; or drop it first and make it again",
            detail=dependents,
        )
