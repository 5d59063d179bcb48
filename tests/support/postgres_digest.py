"""A digest of a PostgreSQL database: all of its schema from the catalogs and all of its data, without pg_dump."""

import hashlib
from typing import Any

import psycopg
from psycopg import sql

_OWN = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
_ACL = "(SELECT array_agg(a::text ORDER BY a::text) FROM unnest({}) a)"

_CATALOGS = {
    "schemas": f"SELECT nspname, pg_get_userbyid(nspowner), {_ACL.format('nspacl')} FROM pg_namespace n WHERE {_OWN}",
    "relations": f"""
        SELECT n.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner), {_ACL.format("c.relacl")},
               c.relpersistence::text, c.relreplident::text, c.relrowsecurity, c.relforcerowsecurity, c.reloptions,
               pg_get_expr(c.relpartbound, c.oid), CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END,
               CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, c.relispopulated
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OWN}""",
    "inheritance": """
        SELECT inhrelid::regclass::text, inhparent::regclass::text, inhseqno FROM pg_inherits""",
    "columns": f"""
        SELECT n.nspname, c.relname, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), a.attname,
               format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
               a.attidentity::text, a.attgenerated::text, a.attcollation::regcollation::text, a.attstorage::text,
               nullif(a.attstattarget, -1), {_ACL.format("a.attacl")},
               (SELECT array_agg(o ORDER BY o) FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg_attver=%')
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE {_OWN} AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraints": f"""
        SELECT n.nspname, conname, conrelid::regclass::text, contypid::regtype::text, pg_get_constraintdef(c.oid),
               convalidated, condeferrable, condeferred
        FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE {_OWN}""",
    "indexes": f"""
        SELECT pg_get_indexdef(i.indexrelid), indisreplident, indisclustered, indisvalid
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_OWN}""",
    "triggers": "SELECT pg_get_triggerdef(oid), tgenabled::text FROM pg_trigger WHERE NOT tgisinternal",
    "event triggers": """
        SELECT evtname, evtevent, evtfoid::regproc::text, evtenabled::text, evttags FROM pg_event_trigger""",
    "rules": f"""
        SELECT pg_get_ruledef(r.oid), ev_enabled::text FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OWN}""",
    "functions": f"""
        SELECT p.oid::regprocedure::text, CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
               pg_get_userbyid(proowner), {_ACL.format("proacl")}
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OWN}""",
    "types": f"""
        SELECT n.nspname, typname, typtype::text, format_type(typbasetype, typtypmod), typnotnull, typdefault,
               pg_get_userbyid(typowner), {_ACL.format("typacl")},
               (SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE {_OWN}""",
    "policies": "SELECT * FROM pg_policies",
    "extensions": "SELECT extname, extversion, extnamespace::regnamespace::text FROM pg_extension",
    "sequences": "SELECT * FROM pg_sequences",
    "statistics": "SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext",
    "publications": "SELECT pubname, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication",
    "default rights": f"""
        SELECT pg_get_userbyid(defaclrole), defaclnamespace::regnamespace::text, defaclobjtype::text,
               {_ACL.format("defaclacl")} FROM pg_default_acl""",
    "comments": """
        SELECT pg_describe_object(classoid, objoid, objsubid), description FROM pg_description WHERE objoid >= 16384""",
    "large objects": f"""
        SELECT oid::int8, pg_get_userbyid(lomowner), {_ACL.format("lomacl")}, md5(lo_get(oid))
        FROM pg_largeobject_metadata""",
}


def postgres_digest(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """One hash for each part of the schema and for each table; equal dictionaries mean equal databases."""
    connection.execute("SET search_path = pg_catalog; SET row_security = off; SET TimeZone = 'UTC'")
    connection.execute("SET extra_float_digits = 3; SET bytea_output = 'hex'; SET IntervalStyle = 'postgres'")
    digest = {name: _hash(connection.execute(query.encode()).fetchall()) for name, query in _CATALOGS.items()}
    tables = connection.execute(
        f"""SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND {_OWN} ORDER BY 1, 2"""
    ).fetchall()
    for schema, table in tables:
        query = sql.SQL(
            "SELECT count(*), md5(coalesce(string_agg(h, '' ORDER BY h), '')) FROM (SELECT md5(t::text) FROM {} t) x(h)"
        ).format(sql.SQL("ONLY {}").format(sql.Identifier(schema, table)))
        digest[f"data of {schema}.{table}"] = _hash(connection.execute(query).fetchall())
    return digest


def _hash(rows: list[Any]) -> str:
    return hashlib.sha256("\n".join(sorted(map(repr, rows))).encode("utf-8", "surrogatepass")).hexdigest()
