"""The catalogue: executions, copies and restores, in SQLite.

It is a cache of what the manifests at the storages say, with what only this machine knows beside it: failed runs, the
state each copy was last found in, restores, and which storage carried which marker.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from dgtui.engine.catalog.conditions import IS_RESTORABLE
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.listing import Tell, execution_pages, listed_executions
from dgtui.engine.catalog.newest import last_ids
from dgtui.engine.catalog.past import move_to_past
from dgtui.engine.catalog.rows import columns_of, executions_of
from dgtui.engine.catalog.statements import Sql, equal, rows_at_most, text_beginning, words
from dgtui.engine.catalog.writing import drop_copy, write_copy, write_execution, write_restore
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, UNDER_WAY, Copy, CopyStatus, Execution, Purpose
from dgtui.engine.restore_model import Restore

KNOWN_TO_BE_LOST: tuple[CopyStatus, ...] = ("missing", "corrupt")
"""States of copies that a storage which does not answer changes nothing of."""
_PIECE = 1000
_NEWEST_FIRST = "ORDER BY started_at DESC, sequence DESC"
_IS_UNDER_WAY = f"status IN {words(UNDER_WAY)}"


class Catalog(Database):
    """What is known of backups, their copies and their restores."""

    def save_execution(self, execution: Execution) -> None:
        """Add an execution, or bring its row and its copies up to date."""
        with self.transaction() as connection:
            write_execution(connection, execution)

    def save_executions(self, executions: Sequence[Execution]) -> None:
        """The same of some, together or not at all; nobody else writes meanwhile."""
        with self.transaction() as connection:
            for execution in executions:
                write_execution(connection, execution)

    def save_copy(self, execution_id: str, copy: Copy) -> None:
        """Store the state that a copy was found in."""
        with self.transaction() as connection:
            write_copy(connection, execution_id, copy)

    def save_copies(self, copies: Mapping[str, Copy]) -> None:
        """Store the states that copies of several executions were found in, as far as they are known still.

        In pieces, between which others write: however many there are, nobody waits for long.
        """
        rows = [{"execution_id": execution_id, **columns_of(copy)} for execution_id, copy in copies.items()]
        statement = """
            UPDATE copies SET status = :status, path = :path, checked_at = :checked_at, problem = :problem
            WHERE execution_id = :execution_id AND storage = :storage
        """
        for start in range(0, len(rows), _PIECE):
            with self.transaction() as connection:
                connection.executemany(statement, rows[start : start + _PIECE])

    def save_silence(self, storage: str, status: CopyStatus, at: datetime) -> None:
        """Store that a storage tells nothing of its copies now; what is known to be gone or damaged stays so."""
        statement = f"""
            UPDATE copies SET status = :status, checked_at = :checked_at, problem = NULL
            WHERE storage = :storage AND path != '' AND status != :status AND status NOT IN {words(KNOWN_TO_BE_LOST)}
        """
        values = {"storage": storage, "status": status, "checked_at": time_text(at)}
        with self.transaction() as connection:
            connection.execute(statement, values)

    def remove_copy(self, execution_id: str, storage: str) -> None:
        """Forget a copy that was deleted; an execution that lies nowhere else counts among the past ones."""
        with self.transaction() as connection:
            drop_copy(connection, execution_id, storage)

    def forget_execution(self, execution_id: str) -> None:
        """List an execution and its copies no more; it counts among the past ones."""
        with self.transaction() as connection:
            move_to_past(connection, execution_id, at=now())

    def executions(
        self,
        *,
        job: str | None = None,
        datasource: str | None = None,
        status: str | None = None,
        purpose: Purpose | None = None,
        limit: int | None = None,
    ) -> list[Execution]:
        """Executions with their copies, the newest first."""
        chosen = equal(job=job, datasource=datasource, status=status, purpose=purpose)
        return self.select_executions(_in_order(chosen, limit))

    def execution_texts(
        self,
        *,
        job: str | None = None,
        datasource: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> Iterator[str]:
        """Executions as JSON objects with commas between, some at a time, the newest first.

        Beside what each is itself they say when and how it was proven last.
        """
        return execution_pages(self, _sequences(equal(job=job, datasource=datasource, status=status), limit))

    def listed(
        self,
        tell: Tell,
        *,
        job: str | None = None,
        datasource: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> Iterator[str]:
        """What is told of executions, many at a time, the newest first."""
        return listed_executions(self, _sequences(equal(job=job, datasource=datasource, status=status), limit), tell)

    def execution_count(
        self, *, job: str | None = None, datasource: str | None = None, status: str | None = None
    ) -> int:
        """How many there are."""
        chosen = equal(job=job, datasource=datasource, status=status)
        with self.transaction() as connection:
            return int(connection.scalar(f"SELECT count(*) FROM executions {chosen.where}", chosen.values))

    def backup_counts(self) -> dict[str, int]:
        """How many restorable executions each datasource has."""
        query = f"SELECT datasource, count(*) FROM executions WHERE {IS_RESTORABLE} GROUP BY datasource"
        with self.transaction() as connection:
            return {str(datasource): int(count) for datasource, count in connection.execute(query)}

    def storage_usage(self) -> dict[str, tuple[int, int]]:
        """Number and bytes of the backups at each storage."""
        query = f"""
            SELECT copies.storage, count(*), sum(executions.compressed_size_bytes)
            FROM copies JOIN executions ON executions.execution_id = copies.execution_id
            WHERE copies.path != '' AND copies.status != 'missing' AND executions.{IS_RESTORABLE}
            GROUP BY copies.storage
        """
        with self.transaction() as connection:
            return {storage: (count, size or 0) for storage, count, size in connection.execute(query)}

    def unfinished(self) -> list[Execution]:
        """Executions that are recorded as not ended."""
        return self.select_executions(Sql(f"WHERE {_IS_UNDER_WAY}"))

    def execution(self, execution_id: str) -> Execution | None:
        """One execution by its whole id."""
        found = self.select_executions(Sql("WHERE execution_id = :execution_id", {"execution_id": execution_id}))
        return found[0] if found else None

    def newest_restorable(self, job: str) -> Execution | None:
        """The backup of a job that can be restored and was made last, whatever the clock said."""
        chosen = f"WHERE job = :job AND {IS_RESTORABLE} ORDER BY sequence DESC LIMIT 1"
        found = self.select_executions(Sql(chosen, {"job": job}))
        return found[0] if found else None

    def newest_run(self, job: str) -> Execution | None:
        """What a job does now, else what it did last, however that ended."""
        chosen = f"WHERE job = :job ORDER BY {_IS_UNDER_WAY} DESC, sequence DESC LIMIT 1"
        found = self.select_executions(Sql(chosen, {"job": job}))
        return found[0] if found else None

    def last_runs(self, jobs: Sequence[str], *, purpose: Purpose | None = None) -> dict[str, Execution]:
        """Of each of these jobs what it did last or does now, however that ended; see `last_ids`."""
        last = last_ids(jobs, equal(purpose=purpose))
        found = self.select_executions(Sql(f"WHERE execution_id IN ({last.text})", last.values))
        return {run.job: run for run in found}

    def last_runs_gone_wrong(self, jobs: Sequence[str]) -> dict[str, Execution]:
        """Of each of these jobs the newest run that has ended, where that was not as it should be."""
        newest = last_ids(jobs, Sql(f"status IN {words(ENDED)} AND purpose = 'backup'"))
        gone_wrong = words(("failed", "interrupted", "partial"))
        chosen = f"WHERE execution_id IN ({newest.text}) AND status IN {gone_wrong}"
        found = self.select_executions(Sql(chosen, newest.values))
        return {run.job: run for run in found}

    def execution_in_folder(self, job: str, folder: str) -> Execution | None:
        """The newest execution of a job whose backup folder has this name."""
        found = self.select_executions(_in_order(equal(job=job, folder=folder), 1))
        return found[0] if found else None

    def executions_by_prefix(self, prefix: str) -> list[Execution]:
        """Executions whose id begins with these characters."""
        beginning = text_beginning("execution_id", prefix)
        return self.select_executions(Sql(f"WHERE {beginning.text} ORDER BY sequence DESC LIMIT 10", beginning.values))

    def select_executions(self, chosen: Sql) -> list[Execution]:
        """The executions that are chosen, in the words that follow the name of their table, with their copies."""
        with self.transaction() as connection:
            return executions_of(connection, chosen)

    def save_restore(self, restore: Restore) -> None:
        """Add a restore, or bring it up to date; one that proves its backup is a proof from then on."""
        with self.transaction() as connection:
            write_restore(connection, restore)

    def restore_count(self) -> int:
        """How many restores there were."""
        with self.transaction() as connection:
            return int(connection.scalar("SELECT count(*) FROM restores"))

    def restores(self, execution_id: str | None = None, *, limit: int | None = None) -> list[Restore]:
        """Restores, the newest first."""
        chosen = equal(execution_id=execution_id)
        query = f"SELECT record FROM restores {chosen.where} ORDER BY sequence DESC LIMIT :limit"
        with self.transaction() as connection:
            records = connection.scalars(query, {**chosen.values, "limit": rows_at_most(limit)})
        return [msgspec.json.decode(record, type=Restore) for record in records]

    def restore(self, restore_id: str) -> Restore | None:
        """One restore by its whole id."""
        query = "SELECT record FROM restores WHERE restore_id = :restore_id"
        with self.transaction() as connection:
            record = connection.scalar(query, {"restore_id": restore_id})
        return None if record is None else msgspec.json.decode(record, type=Restore)

    def storage_marker(self, storage: str) -> str | None:
        """The id of the marker that a storage carried when it was last used."""
        with self.transaction() as connection:
            found = connection.scalar("SELECT marker_id FROM storages WHERE name = :name", {"name": storage})
        return None if found is None else str(found)

    def save_storage_marker(self, storage: str, marker_id: str) -> None:
        """Remember the marker of a storage."""
        with self.transaction() as connection:
            connection.upsert("storages", {"name": storage, "marker_id": marker_id}, key="name")


def _in_order(chosen: Sql, limit: int | None) -> Sql:
    values = {**chosen.values, "limit": rows_at_most(limit)}
    return Sql(f"{chosen.where} {_NEWEST_FIRST} LIMIT :limit", values)


def _sequences(chosen: Sql, limit: int | None) -> Sql:
    in_order = _in_order(chosen, limit)
    return Sql(f"SELECT sequence FROM executions {in_order.text}", in_order.values)
