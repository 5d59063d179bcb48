"""Removals in the catalogue, from before the first byte goes until all is written down and told: a kill loses none."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.writing import drop_copy
from dgtui.engine.model import CopyStatus, Record
from dgtui.engine.notification_model import Actor

# A record that was written before there was such a state has none.
_ENDED = "coalesce(json_extract(record, '$.ended'), 0) = 1"
_TOLD = "coalesce(json_extract(record, '$.told'), 0) = 1"


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

    def end(self, connection: Connection, removal: BegunRemoval) -> None:
        """It is gone, as part of a transaction."""
        _save(connection, msgspec.structs.replace(removal, ended=True))
        if removal.execution_id:
            drop_copy(connection, removal.execution_id, removal.storage)

    def end_now(self, removal: BegunRemoval) -> None:
        """It is gone."""
        with self._catalog.transaction() as connection:
            self.end(connection, removal)

    def forget(self, connection: Connection, told: Sequence[BegunRemoval]) -> None:
        """All is told of these, or they did not take place, as part of a transaction; a line that is owed stays."""
        for one in told:
            if one.unwritten:
                _save(connection, msgspec.structs.replace(one, told=True))
            else:
                over = {"key": one.key, "storage": one.storage}
                connection.execute("DELETE FROM removals WHERE execution_id = :key AND storage = :storage", over)

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
            return connection.scalar(f"SELECT storage FROM removals WHERE NOT ({_TOLD}) LIMIT 1") is None

    def begun(self) -> list[BegunRemoval]:
        """Those of which it is open whether they took place, or which have not all their records."""
        return self._read(f"NOT ({_ENDED})")

    def ended(self) -> list[BegunRemoval]:
        """Those that took place and were not told yet."""
        return self._read(f"{_ENDED} AND NOT ({_TOLD})")

    def unwritten(self) -> list[BegunRemoval]:
        """Those of which all is told, and only the line is not written."""
        return self._read(_TOLD)

    def _read(self, chosen: str) -> list[BegunRemoval]:
        with self._catalog.transaction() as connection:
            records = connection.scalars(f"SELECT record FROM removals WHERE {chosen} ORDER BY rowid")
        return [msgspec.json.decode(record, type=BegunRemoval) for record in records]


def _save(connection: Connection, removal: BegunRemoval) -> None:
    values = {
        "execution_id": removal.key,
        "storage": removal.storage,
        "record": msgspec.json.encode(removal).decode(),
    }
    connection.upsert("removals", values, key="execution_id, storage")


def _set_status(connection: Connection, removal: BegunRemoval, status: CopyStatus) -> None:
    connection.execute(
        "UPDATE copies SET status = :status WHERE execution_id = :execution_id AND storage = :storage",
        {"status": status, "execution_id": removal.execution_id, "storage": removal.storage},
    )
