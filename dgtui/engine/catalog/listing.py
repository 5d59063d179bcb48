"""Executions as `list` prints them: as JSON, and what a line of its table needs."""

from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.json_pages import copies_text, json_pages, literal, members, moment_text
from dgtui.engine.catalog.proofs import proofs
from dgtui.engine.model import Execution, Listed

_listed = msgspec.json.Decoder(list[Listed])


def execution_pages(database: Database, chosen: sa.Select[tuple[int]]) -> Iterator[str]:
    """The chosen executions (by their sequences, in their order) as JSON objects with commas between, page by page.

    Each is as msgspec writes it, with its copies, and after those when and how it was proven last.
    """
    names = (name for name in Execution.__struct_fields__ if name not in ("copies", "sequence"))
    own = sa.func.json_object(*members(names, tables.executions.c))
    # As members of the object the copies would be read once more, which takes as long as all the rest. What comes
    # before them ends with the reason of a pin: in quotes, or null.
    text = sa.func.printf(
        literal('%s,"copies":[%s],"sequence":%d,%s}'),
        sa.func.rtrim(own, literal("}")),
        copies_text(),
        tables.executions.c.sequence,
        sa.func.coalesce(_proof_text(), literal('"proven_at":null,"proven_by":null')),
    )
    return json_pages(database, chosen, text)


def listed_executions(database: Database, chosen: sa.Select[tuple[int]]) -> Iterator[list[Listed]]:
    """What a line tells of each of the chosen executions (by their sequences, in their order), page by page."""
    columns = tables.executions.c
    reckoned: dict[str, sa.ColumnElement[Any]] = {"warnings": sa.func.json_array_length(columns.warnings)}
    text = sa.func.json_array(*(reckoned.get(name, columns[name]) for name in Listed.__struct_fields__))
    # To put them into words takes as long as to read them.
    for page in json_pages(database, chosen, text):
        yield _listed.decode(f"[{page}]")


def _proof_text() -> sa.ScalarSelect[Any]:
    proven_at = sa.func.json_quote(moment_text(proofs.c.proven_at))
    text = sa.func.printf(literal('"proven_at":%s,"proven_by":"%s"'), proven_at, proofs.c.how)
    newest = sa.select(text).where(
        proofs.c.execution_id == tables.executions.c.execution_id, proofs.c.outcome.op("||")("") == "completed"
    )
    return newest.order_by(proofs.c.proven_at.desc(), proofs.c.sequence.desc()).limit(1).scalar_subquery()
