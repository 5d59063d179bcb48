"""Whether and how a restore can be taken back: by what it kept, or by the safety backup."""

from typing import Literal

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.loading import Selection, TargetState
from dgtui.engine.errors import ConfigError, DataGuardianError, RestoreError
from dgtui.engine.model import ENDED, Execution, Record
from dgtui.engine.replaced import safety_of
from dgtui.engine.restore_model import Part, Restore
from dgtui.engine.restore_refusals import cannot_swap
from dgtui.engine.restore_traces import kept_name, undone_by
from dgtui.engine.settling_import import way_back
from dgtui.engine.sizes import first_of

UndoWay = Literal["kept", "safety"]
"""By swapping in what was kept, or by restoring the safety backup."""


class UndoChoice(Record, frozen=True):
    """Whether a restore can be taken back, how, and why not."""

    restore_id: str
    way: UndoWay | None
    """None where it cannot."""
    text: str
    """What will be done, or why nothing can be, for people."""
    hint: str = ""
    """The next step, where the target could not be asked: it may be possible later."""
    kept_as: str | None = None
    execution_id: str | None = None
    """The safety backup of what was there before, where it can be restored."""
    selection: Selection = Selection()
    """What of the safety backup is restored: only what the restore changed."""
    part: Part | None = None
    """What is put back, where that is not the whole target."""
    obstacle: str = ""
    """Why the target cannot be swapped: then the safety backup can only go back in its own place."""
    grants: tuple[str, ...] = ()
    """The commands that would let it be swapped."""
    later: int = 0
    """How many restores into the same target came after it; what they brought is replaced too."""
    backup_warnings: tuple[str, ...] = ()
    """What the safety backup ended with, where it is restored."""

    @property
    def possible(self) -> bool:
        """Whether it can be taken back."""
        return self.way is not None

    @property
    def refusal(self) -> DataGuardianError:
        """The error for whoever orders what is impossible, or is so for now."""
        kind = RestoreError if self.hint else ConfigError
        message = f"Restore {self.restore_id[:8]} cannot be undone{' now' if self.hint else ''}. {self.text}"
        return kind(message, subject=self.restore_id, hint=self.hint)


def undo_choice(catalog: Catalog, config: Config, restore: Restore) -> UndoChoice:
    """Look whether a restore can be undone, and how; asks the datasource, changes nothing."""
    if reason := _forbidden(catalog, config, restore):
        return UndoChoice(restore_id=restore.restore_id, way=None, text=reason)
    safety = safety_of(catalog, restore)
    lost = late = ""
    # Of a part that a former version kept nobody knows what it was: it is not what the whole target held.
    kept_as = kept_name(restore) if restore.part is not None else restore.kept_as
    if kept_as is not None:
        try:
            target = config.datasource(restore.datasource)
            state = target.target_state(kept_as)
            lost = target.unfit_to_swap(kept_as) if state.exists else f"{kept_as} is not there any more"
        except DataGuardianError as error:
            return _not_asked(restore, error)
        # A file that rows were loaded into is kept whole: swapped in, it would take what others wrote to other tables.
        swapped = restore.part is None or restore.part.kind == "objects" or safety is None
        if swapped and not lost:
            return _by_kept(catalog, restore, kept_as, safety)
        late = _written_late(kept_as, state)
    if restore.part is not None:
        return _part_by_safety(catalog, restore, restore.part, safety, lost, late)
    if safety is not None:
        return _by_safety(catalog, config, restore, safety, late)
    return UndoChoice(restore_id=restore.restore_id, way=None, text=_nothing_left(restore, lost))


def _not_asked(restore: Restore, error: DataGuardianError) -> UndoChoice:
    text = f"{restore.datasource}: {error.message}"
    return UndoChoice(restore_id=restore.restore_id, way=None, text=text, hint=error.hint or "Try again later")


def _written_late(kept_as: str, state: TargetState) -> str:
    """Where that lies which no safety backup holds, and nothing brings back; empty where it lies nowhere."""
    if not state.objects:
        return ""
    tables = first_of([entry.name for entry in state.objects])
    return f". What others wrote after that backup was begun, if anything, lies in {kept_as} alone: in {tables}"


def _by_safety(catalog: Catalog, config: Config, restore: Restore, safety: Execution, late: str) -> UndoChoice:
    target = config.datasource(restore.datasource)
    try:
        obstacle = cannot_swap(target, restore.target)
        grants = target.swap_grants(restore.target) if obstacle else ()
    except DataGuardianError as error:
        return _not_asked(restore, error)
    return UndoChoice(
        restore_id=restore.restore_id,
        way="safety",
        text=f"The safety backup {safety.execution_id[:8]} is restored into {restore.target}{late}",
        execution_id=safety.execution_id,
        obstacle=obstacle,
        grants=grants,
        later=_later(catalog, restore),
        backup_warnings=safety.warnings,
    )


def _part_by_safety(
    catalog: Catalog, restore: Restore, part: Part, safety: Execution | None, lost: str, late: str
) -> UndoChoice:
    """Only what was changed comes back; whatever was written elsewhere since stays."""
    if not part.complete:
        many = "So many paths were changed that the record does not name them"
        return UndoChoice(restore_id=restore.restore_id, way=None, text=f"{lost}. {many}".lstrip(". "))
    wanted = (*part.replaced, *part.removed)
    if safety is None and wanted:
        return UndoChoice(restore_id=restore.restore_id, way=None, text=_nothing_left(restore, lost))
    steps = []
    if wanted:
        assert safety is not None
        rows = "the rows of " if part.kind == "rows" else ""
        steps.append(f"From the safety backup {safety.execution_id[:8]} come back {rows}{first_of(wanted)}")
    if part.added:
        steps.append(f"{first_of(part.added)}, which was not there before, is removed")
    return UndoChoice(
        restore_id=restore.restore_id,
        way="safety",
        text=f"{'; '.join(steps)}. All else in {restore.target} stays{late}",
        execution_id=safety.execution_id if safety is not None else None,
        selection=Selection(
            backup_type="data_only" if part.kind == "rows" else "full", tables=() if part.everything else wanted
        ),
        part=part,
        later=_later(catalog, restore),
        backup_warnings=safety.warnings if safety is not None and wanted else (),
    )


def _by_kept(catalog: Catalog, restore: Restore, kept_as: str, safety: Execution | None) -> UndoChoice:
    text = f"{kept_as}, the former content, takes the place of {restore.target}, which is kept in its turn"
    if restore.part is not None:
        what = first_of((*restore.part.replaced, *restore.part.removed, *restore.part.added)) or "what was changed"
        rows = "The rows of " if restore.part.kind == "rows" else ""
        text = f"{rows}{what} come back as they are in {kept_as}; all else in {restore.target} stays"
    return UndoChoice(
        restore_id=restore.restore_id,
        way="kept",
        text=text,
        part=restore.part,
        kept_as=kept_as,
        execution_id=safety.execution_id if safety is not None else None,
        later=_later(catalog, restore),
    )


def _forbidden(catalog: Catalog, config: Config, restore: Restore) -> str:
    if restore.status not in ENDED:
        return "It is still under way"
    if restore.placing is not None and restore.placing.mark is not None:
        return f"Which content is in place is not known yet; settle it: dgtui cleanup-restore {restore.restore_id[:8]}"
    if not restore.took_effect and not restore.partly_filled:
        return f"It ended {restore.status} and changed nothing in {restore.target}"
    back = way_back(catalog.restores(), restore) if restore.partly_filled else restore
    if back is not restore:
        return f"What it had saved is not whole: undo {back.restore_id[:8]}, which left {restore.target} partly filled"
    if restore.datasource not in config.datasources:
        return _without_datasource(catalog, config, restore)
    by = undone_by(restore, catalog.restores())
    return f"It was undone already, by {by.restore_id[:8]}; that one can be undone" if by is not None else ""


def _without_datasource(catalog: Catalog, config: Config, restore: Restore) -> str:
    """Somebody renamed it since, or took it out: what the safety backup holds can go elsewhere."""
    name, safety = restore.datasource, safety_of(catalog, restore)
    again = f"The datasource {name} is not configured any more: name it {name} again in the configuration"
    if safety is None:
        return again
    others = config.datasources_of(safety.datasource_type)
    where = f"--to {others[0]}" if len(others) == 1 else "--to DATASOURCE"
    return f"{again}, or restore what was there before elsewhere: dgtui restore {safety.execution_id[:8]} {where}"


def _nothing_left(restore: Restore, lost: str) -> str:
    if restore.by_hand:
        return f"It was done by hand: what {restore.target} held before was not kept here"
    if lost or restore.dropped_at is not None:
        return f"{lost or 'What it replaced was dropped'}, and there is no safety backup of it"
    if restore.part_kept_as is not None and restore.part is None:
        return f"There is no safety backup; the part that was replaced lies in {restore.part_kept_as}"
    if restore.safety_execution_id is not None:
        return f"Its safety backup {restore.safety_execution_id[:8]} is not there any more"
    if restore.part is not None and (restore.part.replaced or restore.part.removed):
        return f"What it replaced in {restore.target} was not saved"
    return f"{restore.target} held nothing before, so there is nothing to put back; remove it by hand if it is unwanted"


def _later(catalog: Catalog, restore: Restore) -> int:
    count = 0
    for other in catalog.restores():
        if other.restore_id == restore.restore_id:
            return count
        same = (other.datasource, other.target) == (restore.datasource, restore.target)
        count += same and (other.took_effect or other.partly_filled) and _overlap(other.part, restore.part)
    return count


def _overlap(first: Part | None, second: Part | None) -> bool:
    """Whether two restores changed something in common, as far as that is known."""
    if first is None or second is None or not (first.complete and second.complete):
        return True
    return not first.names.isdisjoint(second.names)
