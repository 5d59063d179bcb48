"""What an execution has in common with others, as an `Alike` tells it, which the catalogue itself keeps beside it.

To put it together from the copies of a hundred thousand executions takes four times as long as to read it. Triggers do
it in the transaction of each change, whoever makes it: what is read is never older than the copies.
"""

from collections.abc import Iterable

from dgtui.engine.catalog.connection import Connection
from dgtui.engine.model import OWN_FOLDERS, Alike

_OWN = [name for name in Alike.__struct_fields__ if name != "where"]
_OF_COPIES = ["storage", "status", "path", "problem"]
_KNOWN_COPY = f"""json_array(
    copies.storage,
    copies.status,
    copies.status = 'corrupt' OR (copies.status = 'unknown' AND copies.problem IS NOT NULL),
    coalesce(
        replace(copies.path, executions.job_id || '/' || executions.folder, char({ord(OWN_FOLDERS)})), copies.path
    )
)"""
_WHERE = f"""(
    SELECT coalesce(group_concat({_KNOWN_COPY}), '') FROM copies
    WHERE copies.execution_id = executions.execution_id
)"""
"""The copies as the JSON of their `KnownCopy` with commas between, in the order of the key of their table."""
_PUT_TOGETHER = f"UPDATE executions SET alike = json_array({', '.join(_OWN)}, {_WHERE})"


def keep_alike(connection: Connection) -> None:
    """Put it together, as the JSON of an `Alike`, for the executions there are, and from now on with each change."""
    of_new = "execution_id = NEW.execution_id"
    of_both = "execution_id IN (OLD.execution_id, NEW.execution_id)"
    for name, event, which in (
        ("alike_of_new", "INSERT ON executions", of_new),
        ("alike_of_changed", _change("executions", [*_OWN, "execution_id", "folder"]), of_new),
        ("alike_with_copy", "INSERT ON copies", of_new),
        ("alike_with_changed_copy", _change("copies", _OF_COPIES), of_new),
        ("alike_with_moved_copy", _change("copies", ["execution_id"]), of_both),
        ("alike_without_copy", "DELETE ON copies", "execution_id = OLD.execution_id"),
    ):
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        connection.execute(f"CREATE TRIGGER {name} AFTER {event} BEGIN {_PUT_TOGETHER} WHERE {which}; END")
    connection.execute(_PUT_TOGETHER)


def _change(table: str, columns: Iterable[str]) -> str:
    """An update that changes any of these: what a look finds as it was is written often, and for many at once."""
    differs = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)
    return f"UPDATE OF {', '.join(columns)} ON {table} WHEN {differs}"
