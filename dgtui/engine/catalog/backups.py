"""The backups of the catalogue as retention has to know them: all of them, when room has to be made."""

from collections.abc import Collection, Iterable

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.json_pages import json_pages, json_ranges, literal
from dgtui.engine.model import OWN_FOLDERS, RESTORABLE, Backup

_RESTORABLE = tables.executions.c.status.in_(sorted(RESTORABLE))
_backups = msgspec.json.Decoder(list[Backup])


def all_backups(database: Database) -> list[Backup]:
    """The executions that left a backup, in the order of the catalogue."""
    return _decoded(json_ranges(database, _text(), _RESTORABLE))


def backups_of(
    database: Database, job_ids: Collection[str], *, safety_of: Collection[str] | None = None
) -> list[Backup]:
    """The backups of these jobs, and the safety copies of these datasources; None for those of all."""
    columns = tables.executions.c
    chosen = columns.job_id.in_(sorted(job_ids))
    safety = columns.purpose == "safety"
    if safety_of is not None:
        safety &= columns.datasource.in_(sorted(safety_of))
    return _select(database, _RESTORABLE, sa.or_(chosen, safety))


def _select(database: Database, *chosen: sa.ColumnElement[bool]) -> list[Backup]:
    sequence = tables.executions.c.sequence
    return _decoded(json_pages(database, sa.select(sequence).where(*chosen).order_by(sequence), _text()))


def _decoded(pages: Iterable[str]) -> list[Backup]:
    return [one for page in pages for one in _backups.decode(f"[{page}]")]


def _text() -> sa.ColumnElement[str]:
    """A backup as an array, as its type says: names would have to be read a hundred thousand times."""
    own = (tables.executions.c[name] for name in Backup.__struct_fields__ if name != "where")
    return sa.func.json_array(*own, _where_text())


def _where_text() -> sa.ColumnElement[str]:
    """The copies of an execution as the JSON of their `KnownCopy`, as a text within the text."""
    executions, copies = tables.executions.c, tables.copies.c
    judged = (copies.status == "corrupt") | ((copies.status == "unknown") & copies.problem.is_not(None))
    own_folders = executions.job_id + literal("/") + executions.folder
    copy = sa.func.json_array(
        copies.storage,
        copies.status,
        sa.func.json(sa.case((judged, literal("true")), else_=literal("false"))),
        sa.func.coalesce(sa.func.replace(copies.path, own_folders, literal(OWN_FOLDERS)), copies.path),
    )
    text = sa.select(sa.func.json_group_array(copy)).where(copies.execution_id == executions.execution_id)
    return text.scalar_subquery().op("||")(literal(""))
