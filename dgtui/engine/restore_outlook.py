"""What a restore would change, how long it would take, and what stands against it; looked up without a change."""

import dataclasses
import statistics
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from dgtui.config import Config
from dgtui.engine.archive import StoredArchive
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.newest import newest_backup
from dgtui.engine.catalog.proofs import Proofs
from dgtui.engine.comparison import is_selected, may_be_equal
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.dumping import Client
from dgtui.engine.datasources.loading import MissingRoles, Selection, TargetState
from dgtui.engine.errors import DataGuardianError, StorageError
from dgtui.engine.manifest import Manifest
from dgtui.engine.messages import now
from dgtui.engine.model import RESTORABLE, Execution, ObjectInfo, Problem, Record
from dgtui.engine.problems import problem_of
from dgtui.engine.restore_refusals import IntendedRestore, refuse_backup, refuse_target
from dgtui.engine.stored import folder_of, read_known_manifest

_COUNTED_BYTES = 256 << 20
"""A target up to this size is counted row by row; of a larger one its own statistics are shown."""
_LIKE_SIZED = 4
"""Only restores of backups at most so many times larger or smaller tell how long this one takes."""
_MEASURED_AT_MOST = 200

ObjectSide = Literal["both", "only in the backup", "only in the target"]
OtherRows = Literal["yes", "no", "perhaps", "unknown"]
DurationSource = Literal["restores", "rehearsals", "unknown"]


class ObjectChange(Record, frozen=True):
    """A table, file or folder in the backup, in the target, or in both."""

    name: str
    side: ObjectSide
    backup_rows: int | None = None
    backup_rows_exact: bool = False
    target_rows: int | None = None
    target_rows_exact: bool = False

    @property
    def other_rows(self) -> OtherRows:
        """Whether both sides have other numbers of rows: estimates that are near each other tell nothing."""
        before, after = self.backup_rows, self.target_rows
        if before is None or after is None:
            return "unknown"
        if before == after:
            return "no"
        estimated = not (self.backup_rows_exact and self.target_rows_exact)
        return "perhaps" if estimated and may_be_equal(before, after) else "yes"


class RestoreOutlook(Record, frozen=True):
    """What a restore would change."""

    execution_id: str
    taken_at: datetime
    """The moment whose content would come back."""
    looked_at: datetime
    size_bytes: int | None = None
    """Of the backup before compression."""
    storage: str | None = None
    """The copy that was looked at: the first whose manifest could be read."""
    objects: tuple[ObjectChange, ...] = ()
    newest_execution_id: str | None = None
    """The newest backup of the same datasource that is later than this one."""
    newest_taken_at: datetime | None = None
    expected_seconds: float | None = None
    """None where nothing comparable was ever measured."""
    expected_from: DurationSource = "unknown"
    clients: tuple[Client, ...] = ()
    missing_roles: MissingRoles = MissingRoles()
    comes_along: tuple[str, ...] = ()
    """With a selection: what else is restored because the chosen tables need it."""
    backup_warnings: tuple[str, ...] = ()
    """What the backup was made with all the same: what it lacks, or holds as it was not."""
    notes: tuple[str, ...] = ()
    rows_come: bool = True
    """Whether rows come back at all, and not the structure alone."""
    problem: Problem | None = None
    """Why the restore could not work."""

    @property
    def overwritten_seconds(self) -> float:
        """How long ago the backup was taken: what was written since then would be replaced."""
        return (self.looked_at - self.taken_at).total_seconds()

    def named(self, side: ObjectSide) -> tuple[str, ...]:
        """The objects on one side, or on both."""
        return tuple(entry.name for entry in self.objects if entry.side == side)


class OutlookQuestion(Record, frozen=True):
    """Which restore is asked about."""

    execution: Execution
    storages: tuple[str, ...]
    """The storages that may be read, in order."""
    database: str
    selection: Selection = Selection()
    name_as: str | None = None
    merge: bool = False
    safety: bool = True
    in_place: bool = False


def look_ahead(
    config: Config, catalog: Catalog, target: Datasource[Any], state: TargetState, question: OutlookQuestion
) -> RestoreOutlook:
    """Look at backup and target; what stands against the restore is in the answer."""
    execution = question.execution
    seconds, source = expected_seconds(catalog, execution, target.name, question.selection)
    newest = _newest_since(catalog, execution)
    outlook = RestoreOutlook(
        execution_id=execution.execution_id,
        taken_at=execution.started_at,
        looked_at=now(),
        size_bytes=execution.total_size_bytes,
        newest_execution_id=newest.execution_id if newest else None,
        newest_taken_at=newest.started_at if newest else None,
        expected_seconds=seconds,
        expected_from=source,
        clients=state.clients,
    )
    try:
        with _first_archive(config, question) as (storage, archive, manifest):
            from_storage = msgspec.structs.replace(outlook, storage=storage)
            return _with_archive(from_storage, target, state, archive, manifest, question)
    except DataGuardianError as error:
        return msgspec.structs.replace(outlook, problem=problem_of(error))


def _with_archive(
    outlook: RestoreOutlook,
    target: Datasource[Any],
    state: TargetState,
    archive: StoredArchive,
    manifest: Manifest,
    question: OutlookQuestion,
) -> RestoreOutlook:
    """The outlook with all that the archive and its manifest tell."""
    selection, database = question.selection, question.database
    intended = _intended(target, question)
    if state.exists or not intended.rows_alone:
        tables = target.chosen_with_parts(archive, database, intended.selection)
        selection = msgspec.structs.replace(selection, tables=tables)
        intended = dataclasses.replace(intended, chosen=selection)
    there = _objects_of_target(target, state, database)
    rows_come = "schema_only" not in (selection.backup_type, manifest.backup_type)
    coming = manifest.objects if rows_come else [_without_rows(entry) for entry in manifest.objects]
    outlook = msgspec.structs.replace(
        outlook,
        objects=_changes(coming, there, selection, question.name_as),
        rows_come=rows_come,
        backup_warnings=manifest.warnings,
    )
    try:
        refuse_target(intended, state)
        outlook = msgspec.structs.replace(outlook, notes=refuse_backup(intended, archive, manifest, state))
        if not intended.rows_alone:
            outlook = msgspec.structs.replace(outlook, missing_roles=target.missing_roles(archive, selection))
            outlook = msgspec.structs.replace(outlook, comes_along=target.comes_along(archive, selection))
    except DataGuardianError as error:
        return msgspec.structs.replace(outlook, problem=problem_of(error))
    return outlook


def _intended(target: Datasource[Any], question: OutlookQuestion) -> IntendedRestore:
    return IntendedRestore(
        target=target,
        execution=question.execution,
        database=question.database,
        chosen=question.selection,
        name_as=question.name_as,
        merge=question.merge,
        safety=question.safety,
        in_place=question.in_place,
    )


@contextmanager
def _first_archive(config: Config, question: OutlookQuestion) -> Iterator[tuple[str, StoredArchive, Manifest]]:
    """The first copy whose manifest can be read. Raises what is wrong with the last one."""
    last: DataGuardianError = StorageError(
        "No storage of the configuration holds this backup", subject=question.execution.execution_id
    )
    with tempfile.TemporaryDirectory(prefix="dgtui-preview-") as scratch:
        for name in question.storages:
            storage = config.storage(name)
            try:
                manifest, _ = read_known_manifest(storage, question.execution)
                archive = StoredArchive(
                    storage, folder_of(question.execution), manifest, Path(scratch), threading.Event()
                )
                next(archive.blocks(), b"")
            except DataGuardianError as error:
                last = error
                continue
            with closing(archive):
                yield name, archive, manifest
            return
    raise last


def _objects_of_target(target: Datasource[Any], state: TargetState, database: str) -> tuple[ObjectInfo, ...]:
    if state.empty:
        return ()
    if state.size_bytes is not None and state.size_bytes <= _COUNTED_BYTES:
        # To count takes a lock, which somebody may keep for longer than it is waited for: then estimates have to do.
        with suppress(DataGuardianError):
            return target.inventory(database)
    return target.for_database(database).probe().objects


def _without_rows(entry: ObjectInfo) -> ObjectInfo:
    """What comes back of it where the structure does alone: the manifest has the rows of what was dumped."""
    return entry if entry.rows is None else msgspec.structs.replace(entry, rows=0, rows_exact=True)


def _changes(
    backup: Sequence[ObjectInfo], there: Sequence[ObjectInfo], selection: Selection, name_as: str | None
) -> tuple[ObjectChange, ...]:
    wanted = {name_as or entry.name: entry for entry in backup if is_selected(entry.name, selection.tables)}
    present = {entry.name: entry for entry in there}
    changes = []
    for name in sorted(wanted.keys() | (set() if selection.tables else present.keys())):
        before, after = wanted.get(name), present.get(name)
        changes.append(
            ObjectChange(
                name=name,
                side="only in the target" if before is None else "only in the backup" if after is None else "both",
                backup_rows=before.rows if before else None,
                backup_rows_exact=before is not None and before.rows_exact,
                target_rows=after.rows if after else None,
                target_rows_exact=after is not None and after.rows_exact,
            )
        )
    return tuple(changes)


def _newest_since(catalog: Catalog, execution: Execution) -> Execution | None:
    """The newest restorable backup of the same datasource, where it was made after this one."""
    newest = newest_backup(catalog, execution.datasource, RESTORABLE)
    return newest if newest is not None and newest.sequence > execution.sequence else None


def expected_seconds(
    catalog: Catalog, execution: Execution, datasource: str, selection: Selection
) -> tuple[float | None, DurationSource]:
    """How long a restore of everything takes, by what was measured of like-sized backups of this datasource.

    The median of its restores, by size; of its rehearsals where there was none.
    """
    size = execution.total_size_bytes
    if not size or selection != Selection():
        return None, "unknown"
    restores = [
        (restore.execution_id, restore.seconds)
        for restore in catalog.restores()[:_MEASURED_AT_MOST]
        if restore.status == "completed"
        and restore.datasource == datasource
        and not restore.by_hand
        and restore.backup_type == "full"
        and not restore.tables
        and not restore.merged
    ]
    rehearsals = [
        (proof.execution_id, proof.duration_seconds)
        for proof in Proofs(catalog).newest()[:_MEASURED_AT_MOST]
        if proof.status == "completed" and proof.how == "rehearsal" and proof.datasource == datasource
    ]
    sources: tuple[tuple[DurationSource, list[tuple[str, float | None]]], ...] = (
        ("restores", restores),
        ("rehearsals", rehearsals),
    )
    for source, measured in sources:
        scaled = [seconds for one in measured if (seconds := _scaled(catalog, size, *one)) is not None]
        if scaled:
            return statistics.median(scaled), source
    return None, "unknown"


def _scaled(catalog: Catalog, size: int, execution_id: str, seconds: float | None) -> float | None:
    """A measured time as it would be for another size; None where the sizes are too far apart."""
    measured = catalog.execution(execution_id)
    other = measured.total_size_bytes if measured is not None else None
    if seconds is None or not other or size > other * _LIKE_SIZED or other > size * _LIKE_SIZED:
        return None
    return seconds * size / other
