"""Loading an archive into an empty database, and comparing what arrived with what was backed up."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dgtui.engine.archive import StoredArchive
from dgtui.engine.comparison import Comparison, compare_objects, is_selected
from dgtui.engine.datasources.loading import LoadOutcome, MissingRoles, Selection
from dgtui.engine.errors import RestoreError
from dgtui.engine.manifest import Manifest
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_progress import LoadProgress
from dgtui.engine.restore_task import SHOWN_AT_MOST, RestoreTask
from dgtui.engine.run_writer import ProgressSource, RunWriter
from dgtui.engine.sizes import counted

_PARALLEL_FROM_BYTES = 32 << 20
_JOBS_AT_MOST = 4
_FULL = re.compile(
    "No space left on device|disk (is )?full|Disk quota exceeded|The table '[^']*' is full", re.IGNORECASE
)
"""What servers and tools say where there is no room."""


class LoadFailed(RestoreError):
    """Statements failed while an archive was loaded."""

    def __init__(self, outcome: LoadOutcome, message: str, **more: Any) -> None:
        """`outcome` holds the statements, the rest is as for every error."""
        super().__init__(message, **more)
        self.outcome = outcome


@contextlib.contextmanager
def archive_progress(run: RunWriter, archive: StoredArchive) -> Iterator[None]:
    """Report how much of the archive was read."""
    source = ProgressSource(total=archive.total_size_bytes, total_kind="exact")
    run.start_progress(lambda: archive.bytes_read, source)
    try:
        yield
    finally:
        run.stop_progress()


@contextlib.contextmanager
def _loading_progress(
    run: RunWriter, archive: StoredArchive, manifest: Manifest, selection: Selection, jobs: int
) -> Iterator[Reporter]:
    """Report how far the loading is: by what is read of the archive, or where several processes load by their objects.

    Gives who has to be told of the loading.
    """
    if jobs == 1:
        with archive_progress(run, archive):
            yield run
        return
    rows = "schema_only" not in (selection.backup_type, manifest.backup_type)
    wanted = [entry for entry in manifest.objects if rows and is_selected(entry.name, selection.tables)]
    progress = LoadProgress(run, wanted)
    source = ProgressSource(total=progress.total, total_kind="estimated") if progress.total else ProgressSource()
    run.start_progress(lambda: progress.done, source)
    try:
        yield progress
    finally:
        run.stop_progress()


def load_jobs(task: RestoreTask, manifest: Manifest) -> int:
    """How many processes load at once: as many as are asked for, else as fit the archive and this machine."""
    if "parallel_restore" not in task.target.options:
        return 1
    if task.processes is not None:
        return task.processes
    return fitting_jobs(manifest.total_size_bytes, processors=os.cpu_count() or 1)


def fitting_jobs(archive_bytes: int, *, processors: int) -> int:
    """How many processes load an archive in the shortest time; each unpacks all of it."""
    return 1 if archive_bytes < _PARALLEL_FROM_BYTES else min(processors, _JOBS_AT_MOST)


def refuse_missing_roles(missing: MissingRoles, database: str) -> None:
    """Raise RestoreError where something would be left out for want of a role."""
    if not missing.costs_something:
        return
    names = sorted({*missing.owners, *missing.grantees})
    lost = [f"This would belong to the user that restores: {name}" for name in missing.ownerless]
    lost += [f"This would be left out: {name}" for name in missing.left_out]
    raise RestoreError(
        f"Roles of the backup do not exist on this server: {', '.join(names[:SHOWN_AT_MOST])}; nothing was changed",
        subject=database,
        hint="Make them first (globals.sql of a backup with `globals = true`), or go on without their owners and "
        "grants with --without-roles",
        detail=lost[:SHOWN_AT_MOST],
    )


def load_into(
    task: RestoreTask, database: str, archive: StoredArchive, manifest: Manifest, selection: Selection
) -> None:
    """Load the archive into an empty database. Raises RestoreError where as much as one statement failed."""
    task.run.phase("restore")
    task.run.log(f"Loading into {database}")
    jobs = load_jobs(task, manifest)
    archive.begin_loading()
    with _loading_progress(task.run, archive, manifest, selection, jobs) as reporter:
        outcome = task.target.load(archive, database, selection, reporter, jobs=jobs, scratch_folder=task.scratch)
    judge(task, database, outcome)


def compare_with(
    task: RestoreTask,
    database: str,
    manifest: Manifest,
    selection: Selection,
    hear: Callable[[Comparison], None] = lambda _: None,
) -> Comparison:
    """What differs between the manifest and the database, which `hear` gets in any case.

    Raises RestoreError where something is surely missing.
    """
    task.run.phase("compare")

    def compare() -> Comparison:
        return compare_objects(manifest.objects, task.target.inventory(database), selection, manifest.backup_type)

    comparison = compare()
    if comparison.sentences:
        # Rows may have been told by the server, as what it took in: now they are counted.
        comparison = compare()
    hear(comparison)
    for sentence in comparison.sentences:
        task.run.log(f"Difference: {sentence}", level="warning")
    if not comparison.whole:
        raise not_as_backed_up(database, comparison.sentences)
    return comparison


def not_as_backed_up(database: str, sentences: Sequence[str]) -> RestoreError:
    """The error of a restore that loaded without one and brought back something else."""
    return RestoreError(
        f"What was loaded into {database} is not what was backed up",
        subject=database,
        hint="Try another copy with --from, or another backup",
        detail=sentences[:SHOWN_AT_MOST],
    )


def judge(task: RestoreTask, database: str, outcome: LoadOutcome) -> None:
    """Tell what happened at the loading. Raises RestoreError where as much as one statement failed."""
    for note in outcome.notes:
        task.run.log(note, level="warning")
    count = outcome.error_count or len(outcome.errors)
    if not count:
        return
    told = [f"{error.message}: {error.statement}".rstrip(": ") for error in outcome.errors[:SHOWN_AT_MOST]]
    for line in told:
        task.run.log(line, level="error")
    raise LoadFailed(
        outcome,
        f"{counted(count, 'errors')} while loading into {database}",
        subject=database,
        hint="Make room where the server keeps its data, then try again"
        if any(_FULL.search(line) for line in told)
        else outcome.hint or "Look at the first error: those after it may only follow from it",
        detail=told,
    )
