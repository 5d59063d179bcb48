"""Loading, comparing, and the report of both: object by object, what came back and what failed."""

import re
from collections.abc import Callable, Sequence

import msgspec

from dgtui.engine.comparison import Comparison, compare_objects
from dgtui.engine.datasources.loading import LoadOutcome
from dgtui.engine.errors import DataGuardianError, RestoreError
from dgtui.engine.restore_copy import GoodCopy
from dgtui.engine.restore_load import LoadFailed, compare_with, load_into, not_as_backed_up
from dgtui.engine.restore_model import FailedStatement, ObjectReport, RestoreReport
from dgtui.engine.restore_task import RestoreTask

Listener = Callable[[RestoreReport], None]


def load_and_compare(
    task: RestoreTask, database: str, copy: GoodCopy, hear: Listener, loaded: Callable[[], None] = lambda: None
) -> Comparison:
    """Load a copy into an empty database and compare; `hear` gets the report, also where this raises RestoreError.

    `loaded` is called between the two.
    """
    selection, manifest = task.order.selection, copy.manifest
    try:
        load_into(task, database, copy.archive, manifest, selection)
    except LoadFailed as error:
        hear(_report_of_failure(task, database, copy, error.outcome))
        raise
    loaded()
    comparison = compare_with(
        task, database, manifest, selection, hear=lambda found: hear(RestoreReport(objects=found.objects))
    )
    if task.order.deep:
        report = _compare_contents(task, database, copy, comparison.objects)
        hear(report)
        different = [f"{entry.name} has another content" for entry in report.objects if entry.content == "different"]
        if different:
            raise not_as_backed_up(database, different)
    return comparison


def _report_of_failure(task: RestoreTask, database: str, copy: GoodCopy, outcome: LoadOutcome) -> RestoreReport:
    failed = failures_of(outcome)
    objects: tuple[ObjectReport, ...] = ()
    try:
        found = task.target.inventory(database)
    except DataGuardianError as error:
        task.run.log(f"What was restored could not be looked at: {error.message}", level="warning")
    else:
        manifest, selection = copy.manifest, task.order.selection
        objects = compare_objects(manifest.objects, found, selection, manifest.backup_type).objects
    return msgspec.structs.replace(failed, objects=tuple(_with_failures(entry, failed.failures) for entry in objects))


def failures_of(outcome: LoadOutcome) -> RestoreReport:
    """The report of a loading that left nothing to look at: what failed."""
    failures = tuple(FailedStatement(message=error.message, statement=error.statement) for error in outcome.errors)
    return RestoreReport(failures=failures, failure_count=outcome.error_count or len(failures))


def _with_failures(entry: ObjectReport, failures: Sequence[FailedStatement]) -> ObjectReport:
    """A failure belongs to the objects that its statement or message names."""
    bare = entry.name.rpartition(".")[2].strip('"')
    named = re.compile(rf"(?<!\w){re.escape(bare)}(?!\w)")
    if entry.outcome == "restored" and any(named.search(f"{one.statement}\n{one.message}") for one in failures):
        return msgspec.structs.replace(entry, outcome="failed")
    return entry


def _compare_contents(
    task: RestoreTask, database: str, copy: GoodCopy, objects: Sequence[ObjectReport]
) -> RestoreReport:
    """Checksums of the archive's own content and of what was restored from it, for each object.

    The archive's SHA-256 stands in the manifest and was checked, so what is computed from it was backed up.
    """
    task.run.log("Comparing the content of each object by a checksum")
    selection = task.order.selection
    expected = task.target.archive_checksums(copy.archive, selection, task.scratch)
    if not expected and objects:
        raise RestoreError(
            "The content of this backup cannot be compared by checksums",
            subject=database,
            hint="Restore without --deep: tables and rows are compared all the same",
        )
    found = task.target.content_checksums(database, tuple(expected), task.scratch)
    # A path in a tree is compared although the manifest, which knows the entries of the root, does not count it.
    listed = {entry.name for entry in objects}
    more = [ObjectReport(name=name, outcome="restored") for name in expected if name not in listed]
    judged = [
        _judged(entry, equal=expected[entry.name] == found.get(entry.name)) if entry.name in expected else entry
        for entry in (*objects, *more)
    ]
    return RestoreReport(objects=tuple(judged), deep=True)


def _judged(entry: ObjectReport, *, equal: bool) -> ObjectReport:
    outcome = entry.outcome if equal or entry.outcome != "restored" else "other content"
    return msgspec.structs.replace(entry, content="equal" if equal else "different", outcome=outcome)
