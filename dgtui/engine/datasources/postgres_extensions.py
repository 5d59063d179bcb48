"""Tables of extensions whose rows are the user's own, in full or in part, and so are in a dump.

An extension brings the table with it, and may fill it too: PostGIS does so with `spatial_ref_sys`. What the extension
itself said of such a table (`pg_extension_config_dump`) tells the rows that a dump holds from those that it brings.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

_OWN_ROWS = """
SELECT n.nspname, c.relname, coalesce(conditions.text, '')
FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS conditions(id, text)
JOIN pg_class c ON c.oid = conditions.id AND c.relkind IN ('r', 'p') JOIN pg_namespace n ON n.oid = c.relnamespace
"""


def own_rows(connection: "psycopg.Connection[Any]") -> dict[tuple[str, str], str]:
    """By schema and name of such tables, the condition (`WHERE ...`) of the rows that are dumped; empty for all."""
    return {(schema, name): text for schema, name, text in connection.execute(_OWN_ROWS).fetchall()}
