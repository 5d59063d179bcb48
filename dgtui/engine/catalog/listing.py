"""Executions as `list` prints them: as JSON, and what a line of its table needs."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.halves import Measured, tell_in_halves
from dgtui.engine.catalog.json_pages import copies_text, json_pages, members, moment_text, page_reader, pages_of
from dgtui.engine.catalog.statements import Sql
from dgtui.engine.model import Execution, Listed

Tell = Callable[[Iterable[list[Listed]]], Measured]
"""What puts pages of executions into words."""
_listed = msgspec.json.Decoder(list[Listed])
_NEWEST_PROOF = f"""(
    SELECT printf('"proven_at":%s,"proven_by":"%s"', json_quote({moment_text("proven_at")}), how)
    FROM proofs WHERE proofs.execution_id = executions.execution_id AND outcome || '' = 'completed'
    ORDER BY proven_at DESC, proofs.sequence DESC LIMIT 1
)"""


def execution_pages(database: Database, chosen: Sql) -> Iterator[str]:
    """The chosen executions (by their sequences, in their order) as JSON objects with commas between, page by page.

    Each is as msgspec writes it, with its copies, and after those when and how it was proven last.
    """
    names = (name for name in Execution.__struct_fields__ if name not in ("copies", "sequence"))
    # As members of the object the copies would be read once more, which takes as long as all the rest. What comes
    # before them ends with the reason of a pin: in quotes, or null.
    text = f"""printf(
        '%s,"copies":[%s],"sequence":%d,%s}}',
        rtrim(json_object({members("executions", names)}), '}}'),
        {copies_text()},
        sequence,
        coalesce({_NEWEST_PROOF}, '"proven_at":null,"proven_by":null')
    )"""
    return json_pages(database, chosen, text)


def listed_executions(database: Database, chosen: Sql, tell: Tell) -> Iterator[str]:
    """What is told of the chosen executions (by their sequences, in their order), in one text or two.

    To put them into words takes longer than to read them: the helper does that too.
    """
    reckoned = {"warnings": "json_array_length(warnings)"}
    text = f"json_array({', '.join(reckoned.get(name, name) for name in Listed.__struct_fields__)})"
    read = page_reader(database, text)

    def told(pages: Sequence[str]) -> Measured:
        return tell(_listed.decode(f"[{read(page)}]") for page in pages)

    return tell_in_halves(pages_of(database, chosen), told, database.close)
