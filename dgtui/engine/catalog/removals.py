"""Removals in the catalogue, from before the first byte goes until all is written down and told: a kill loses none."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.writing import drop_copy
from dgtui.engine.model import CopyStatus, Record
from dgtui.engine.notification_model import Actor

removals = sa.Table(
    "removals",
    tables.metadata,
    # Of what is no backup its path.
    sa.Column("execution_id", sa.String, primary_key=True),
    sa.Column("storage", sa.String, primary_key=True),
    sa.Column("record", sa.String, nullable=False),
)


class BegunRemoval(Record, frozen=True):
    """A folder that is being removed: what its line in the storage's log and its audit entry will say."""

    execution_id: str
    """Empty for what is no backup."""
    job_id: str
    job: str
    storage: str
    folder: str
    path: str
    bytes: int
    rule: str
    actor: str
    origin: str = ""
    program: str = "dgtui"
    kind: Literal["retention", "by hand", "leftover", "orphan"] = "retention"
    left: tuple[str, ...] = ()
    """The storages at which a deletion by hand had still to delete after it."""
    line: str = ""
    """Its line in the storage's log, known once it is gone."""
    ended: bool = False
    """Whether it is gone and has its line; a cleanup still tells what it freed, a deletion by hand that it was made."""
    unwritten: bool = False
    """Whether its line is still to be written: its storage could not take it."""
    told: bool = False
    """Whether all is told, and only its line is not written."""

    @property
    def by(self) -> Actor:
        """Who removes it."""
        return Actor(user=self.actor, origin=self.origin, program=self.program)

    @property
    def key(self) -> str:
        """What it is known by, with the storage."""
        return self.execution_id or self.path


class RemovalTable:
    """The removals that are not over."""

    def __init__(self, catalog: Database) -> None:
        self._catalog = catalog

    def begin(self, removal: BegunRemoval) -> None:
        """Write down that something is being removed; from now on nobody is told that the copy is there."""
        with self._catalog.transaction() as connection:
            _save(connection, removal)
            _set_status(connection, removal, "missing")

    def save(self, removal: BegunRemoval) -> None:
        """Write down how far it is."""
        with self._catalog.transaction() as connection:
            _save(connection, removal)

    def end(self, connection: sa.Connection, removal: BegunRemoval) -> None:
        """It is gone, as part of a transaction."""
        _save(connection, msgspec.structs.replace(removal, ended=True))
        if removal.execution_id:
            drop_copy(connection, removal.execution_id, removal.storage)

    def end_now(self, removal: BegunRemoval) -> None:
        """It is gone."""
        with self._catalog.transaction() as connection:
            self.end(connection, removal)

    def forget(self, connection: sa.Connection, told: Sequence[BegunRemoval]) -> None:
        """All is told of these, or they did not take place, as part of a transaction; a line that is owed stays."""
        for one in told:
            if one.unwritten:
                _save(connection, msgspec.structs.replace(one, told=True))
        over = [one for one in told if not one.unwritten]
        if over:
            connection.execute(
                sa.delete(removals).where(
                    removals.c.execution_id == sa.bindparam("key"), removals.c.storage == sa.bindparam("at")
                ),
                [{"key": one.key, "at": one.storage} for one in over],
            )

    def settle_line(self, removal: BegunRemoval) -> None:
        """The line that was owed is there, or never will be: nothing is left to do."""
        with self._catalog.transaction() as connection:
            self.forget(connection, [msgspec.structs.replace(removal, unwritten=False)])

    def take_back(self, removal: BegunRemoval, status: CopyStatus = "available") -> None:
        """The removal did not take place: the copy is there."""
        with self._catalog.transaction() as connection:
            _set_status(connection, removal, status)
            self.forget(connection, [removal])

    def leave_in_doubt(self, removal: BegunRemoval) -> None:
        """Whether it took place cannot be told now."""
        with self._catalog.transaction() as connection:
            _set_status(connection, removal, "unreachable")

    def is_empty(self) -> bool:
        """Whether there are none but those whose line alone is not written."""
        with self._catalog.transaction() as connection:
            return connection.scalar(sa.select(removals.c.storage).where(~_is("told")).limit(1)) is None

    def begun(self) -> list[BegunRemoval]:
        """Those of which it is open whether they took place, or which have not all their records."""
        return self._read(~_is("ended"))

    def ended(self) -> list[BegunRemoval]:
        """Those that took place and were not told yet."""
        return self._read(_is("ended") & ~_is("told"))

    def unwritten(self) -> list[BegunRemoval]:
        """Those of which all is told, and only the line is not written."""
        return self._read(_is("told"))

    def _read(self, chosen: sa.ColumnElement[bool]) -> list[BegunRemoval]:
        query = sa.select(removals.c.record).where(chosen).order_by(sa.text("rowid"))
        with self._catalog.transaction() as connection:
            records = connection.scalars(query).all()
        return [msgspec.json.decode(record, type=BegunRemoval) for record in records]


def _is(state: str) -> sa.ColumnElement[bool]:
    return sa.func.coalesce(sa.func.json_extract(removals.c.record, f"$.{state}"), 0) == 1


def _save(connection: sa.Connection, removal: BegunRemoval) -> None:
    values = {
        "execution_id": removal.key,
        "storage": removal.storage,
        "record": msgspec.json.encode(removal).decode(),
    }
    statement = insert(removals).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["execution_id", "storage"], set_=values))


def _set_status(connection: sa.Connection, removal: BegunRemoval, status: CopyStatus) -> None:
    columns = tables.copies.c
    connection.execute(
        sa.update(tables.copies)
        .where(columns.execution_id == removal.execution_id, columns.storage == removal.storage)
        .values(status=status)
    )
