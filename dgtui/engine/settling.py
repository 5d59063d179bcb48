"""Telling which content an interrupted restore left in place, and bringing a cut swap to its end or back."""

from datetime import timedelta
from typing import Any, Literal, Protocol

import msgspec

from dgtui.engine.catalog import Catalog
from dgtui.engine.check import Finding
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.errors import DatabaseConnectionError, DataGuardianError, EndNotKnown
from dgtui.engine.late_rows import drop_late_rows, kept_late_rows
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED
from dgtui.engine.restore_model import Placing, Restore
from dgtui.engine.restore_telling import Warn, tell_verdict
from dgtui.engine.restore_traces import cleanup_command, left_behind
from dgtui.engine.settling_import import way_back

_Target = Datasource[Any]


class _Log(Protocol):
    def log(self, text: str) -> None:
        """Say a line."""


def in_place_after(target: _Target, placing: Placing, database: str) -> Literal["old", "new"]:
    """Ask the target which content is in place after a change whose end nobody saw. Raises DataGuardianError."""
    assert placing.mark is not None
    assert placing.keep_as is not None
    if placing.change is not None:
        return target.settle_part(placing.mark, placing.change)
    if placing.rows:
        return target.settle_data(placing.mark, database, placing.keep_as)
    return target.settle_swap(placing.mark, placing.beside, database, placing.keep_as)


def not_known(database: str, *, in_steps: bool = False) -> str:
    """What is said where a swap was cut and the target cannot be asked."""
    how = "of which something may be missing" if in_steps else "whole"
    return f"{database} holds its former content or the restored one, {how}, and which of them cannot be told now"


def not_settled(target: _Target, database: str, error: DataGuardianError) -> str:
    """What is said where a swap was cut and cannot be brought to an end now, because of an error."""
    if not target.swaps_in_steps or isinstance(error, EndNotKnown):
        return not_known(database)
    return not_known(database, in_steps=True) if isinstance(error, DatabaseConnectionError) else in_between(database)


def in_between(database: str) -> str:
    """What is said where a swap was cut between its steps and can neither be ended nor taken back now."""
    return f"{database} is between its former content and the restored one, and lacks what was not made anew yet"


def way_to_settle(error: DataGuardianError, command: str) -> str:
    """What to do about a swap that cannot be settled because of an error."""
    if isinstance(error, DatabaseConnectionError):
        return f"Once it can be reached: {command}"
    first = error.hint.rstrip(". ") or "Mend what the error tells"
    return f"{first}. Then: {command}"


def not_placed(placing: Placing) -> Placing | None:
    """What still lies beside the target to be removed, once it is known that its content was not exchanged.

    None where that is what a restore keeps: an undo that failed may be tried again.
    """
    if not placing.disposable:
        return None
    return msgspec.structs.replace(placing, keep_as=None, mark=None, change=None, rows=False, late=None)


def settle_and_tell(catalog: Catalog, target: _Target, restore: Restore, warn: Warn) -> Restore:
    """Settle a restore that was told of as it ended, and tell the verdict. Raises as `settle` does."""
    settled = settle(catalog, target, restore)
    if settled != restore:
        tell_verdict(catalog, settled, warn)
    return settled


def settle(catalog: Catalog, target: _Target, restore: Restore) -> Restore:
    """Find out which content is in place after a swap whose end nobody saw; the record as it is then.

    A swap that was cut half-way is brought to its end or taken back. Raises DataGuardianError where the target cannot
    be asked; then the record stays as it was.
    """
    placing = restore.placing
    if placing is None or placing.mark is None or placing.keep_as is None:
        return restore
    if placing.change is not None or placing.rows:
        return _settle_part(catalog, target, restore, placing)
    if target.settle_swap(placing.mark, placing.beside, restore.target, placing.keep_as) == "new":
        settled = _swapped(catalog, target, restore, placing)
    else:
        settled = _as_it_was(restore, not_placed(placing))
    catalog.save_restore(settled)
    return settled


def _as_it_was(restore: Restore, left: Placing | None) -> Restore:
    """The record once it is known that the swap was not made; `left` is what still lies beside the target."""
    problem = restore.problem
    if problem is not None:
        known = problem.message
        database = restore.target
        for unknown in (not_known(database), not_known(database, in_steps=True), in_between(database)):
            known = known.replace(unknown, f"{database} is as it was")
        clean_up = f"Remove what it left with: {cleanup_command(restore)}. " if left is not None else ""
        problem = msgspec.structs.replace(problem, message=known, hint=f"{clean_up}Start it again when it suits")
    return msgspec.structs.replace(restore, placing=left, problem=problem)


def _swapped(catalog: Catalog, target: _Target, restore: Restore, placing: Placing) -> Restore:
    kept = placing.keep_as if placing.existed else None
    # A former version kept nothing of what was exchanged within itself.
    if kept and target.lies_in_target(placing.beside) and not target.target_state(kept).exists:
        kept = None
    if not placing.disposable and restore.undo_of is not None:
        forget_kept(catalog, restore.undo_of)
    return msgspec.structs.replace(
        restore,
        status="completed",
        problem=None,
        finished_at=restore.finished_at or now(),
        placing=None,
        in_place=True,
        kept_as=kept,
        kept_until=now() + _span(target) if kept else None,
    )


def _settle_part(catalog: Catalog, target: _Target, restore: Restore, placing: Placing) -> Restore:
    """The same where only a part was exchanged, or rows alone."""
    if in_place_after(target, placing, restore.target) == "new":
        changed = _exchanged(catalog, target, restore, placing)
    else:
        changed = msgspec.structs.replace(_as_it_was(restore, not_placed(placing)), part=None)
        if placing.late is not None:
            drop_late_rows(placing.late)
    catalog.save_restore(changed)
    if placing.rows and changed.placing is not None:
        target.drop_if_there(placing.beside)
        changed = msgspec.structs.replace(changed, placing=None)
        catalog.save_restore(changed)
    return changed


def _exchanged(catalog: Catalog, target: _Target, restore: Restore, placing: Placing) -> Restore:
    kept = placing.keep_as if placing.keep_as and target.target_state(placing.keep_as).exists else None
    if not placing.disposable and restore.undo_of is not None:
        forget_kept(catalog, restore.undo_of)
    done = msgspec.structs.replace(
        restore,
        status="completed",
        problem=None,
        finished_at=restore.finished_at or now(),
        in_place=True,
        kept_until=now() + _span(target) if kept else None,
        warnings=(*restore.warnings, *kept_late_rows(placing.late)),
    )
    if placing.rows:
        left = msgspec.structs.replace(placing, keep_as=None, mark=None, rows=False)
        return msgspec.structs.replace(done, kept_as=kept, placing=left)
    if placing.disposable:
        target.drop_if_there(placing.beside)
    return msgspec.structs.replace(done, part_kept_as=kept, placing=None)


def _span(target: _Target) -> timedelta:
    return timedelta(seconds=int(target.settings.keep_replaced))


def forget_kept(catalog: Catalog, restore_id: str) -> None:
    """Note that what a restore kept is in place again."""
    restore = catalog.restore(restore_id)
    if restore is not None and (restore.kept_as is not None or restore.part_kept_as is not None):
        catalog.save_restore(msgspec.structs.replace(restore, kept_as=None, part_kept_as=None, kept_until=None))


def settle_earlier(catalog: Catalog, target: _Target, record: Restore, run: _Log) -> None:
    """Settle what interrupted restores of the same target left, before anything beside it is removed."""
    for earlier in same_target(catalog, record):
        if earlier.placing is not None and earlier.placing.mark is not None:
            try:
                settled = settle_and_tell(catalog, target, earlier, run.log)
            except EndNotKnown as error:
                error.hint = f"Look at them. Where that was done, say so with: {cleanup_command(earlier)}"
                raise
            run.log(f"Restore {earlier.restore_id[:8]}, which was interrupted at its swap, is {settled.status}")


def forget_leftovers(catalog: Catalog, record: Restore) -> None:
    """Note that what earlier restores left beside the target is gone: this one used the same names."""
    for earlier in same_target(catalog, record):
        if earlier.placing is not None and earlier.placing.mark is None:
            catalog.save_restore(msgspec.structs.replace(earlier, placing=None))


def same_target(catalog: Catalog, record: Restore) -> list[Restore]:
    """The other restores into the same place that have ended, the newest first."""
    return [
        restore
        for restore in catalog.restores()
        if restore.restore_id != record.restore_id
        and (restore.datasource, restore.target) == (record.datasource, record.target)
        and restore.status in ENDED
    ]


def unsettled(catalog: Catalog) -> list[Restore]:
    """The restores that have ended and left something beside their target, the newest first."""
    return [restore for restore in catalog.restores() if restore.status in ENDED and restore.placing is not None]


def restore_findings(catalog: Catalog) -> list[Finding]:
    """What interrupted restores have left, each with the command that mends it."""
    findings = []
    for restore in unsettled(catalog):
        short = restore.restore_id[:8]
        if restore.partly_filled:
            message = f"{restore.target} is only partly filled since restore {short} was interrupted"
            mend, level = f"dgtui undo {way_back(catalog.restores(), restore).restore_id[:8]}", "error"
        else:
            message = f"Restore {short} into {restore.target} left {', '.join(left_behind(restore))} behind"
            mend, level = cleanup_command(restore), "warning"
        findings.append(
            Finding(area="datasource", subject=restore.datasource, level=level, message=message, mend=mend)  # type: ignore[arg-type]  # the two words above
        )
    return findings
