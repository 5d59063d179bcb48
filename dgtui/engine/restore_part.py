"""Restoring chosen tables, files or folders into a target that holds more, and merging files into a tree."""

from dgtui.engine.comparison import is_selected
from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.datasources.own_names import PART_SUFFIX, dated
from dgtui.engine.errors import RestoreError
from dgtui.engine.manifest import Manifest
from dgtui.engine.messages import now
from dgtui.engine.orders import RestoreOrder
from dgtui.engine.own_places import own_members
from dgtui.engine.restore_copy import GoodCopy
from dgtui.engine.restore_late_rows import late_rows_of, late_rows_told
from dgtui.engine.restore_model import PartChange
from dgtui.engine.restore_place import Placement
from dgtui.engine.restore_task import RestoreTask

_NAMES_SHOWN = 5


def refuse_present(manifest: Manifest, state: TargetState, order: RestoreOrder) -> None:
    """Raise RestoreError where something that was chosen is in the target already."""
    chosen = order.selection.tables
    there = {entry.name for entry in state.objects}
    wanted = [entry.name for entry in manifest.objects if is_selected(entry.name, chosen)]
    # A path in a tree is not among the objects, which are the entries of its root.
    present = [name for name in wanted if name in there]
    present += [path for path in chosen if path.strip("/").split("/")[0] in there and path not in present]
    if present or not (wanted or state.empty):
        raise RestoreError(
            f"{order.database} has {', '.join(present[:_NAMES_SHOWN] or chosen[:_NAMES_SHOWN])}; nothing was changed",
            subject=order.database,
            hint="Replace it with --overwrite, or restore under another name with --into NAME",
        )


def put_part_in_place(task: RestoreTask, place: Placement, beside: str, copy: GoodCopy) -> None:
    """After a safety backup exchange what was chosen; the target is the old one or the new one, whatever happens."""
    order = task.order
    late = late_rows_of(task) if order.name_as is None else None
    change = PartChange(
        database=order.database,
        beside=beside,
        keep_as=place.free_name(dated(PART_SUFFIX, now())),
        tables=order.selection.tables,
        name_as=order.name_as,
        merge=order.merge,
        remove=order.part.added if order.part is not None else (),
        remove_empty=order.part.made_for_them if order.part is not None else (),
        late=late,
    )
    task.target.check_loaded(change)
    _leave_own_places(task, place, beside)
    if order.safety and order.name_as is None:
        place.save_former_content()
    with late_rows_told(place, late):
        place.exchange_part(change, copy.archive)


def _leave_own_places(task: RestoreTask, place: Placement, beside: str) -> None:
    """Take out of what is merged all that would come into our state or a storage, and say so."""
    for what, member in own_members(task.own_places, task.order.database, beside):
        left_out = f"{what[0].upper()}{what[1:]} lies in {task.order.database} and was left as it is"
        task.run.log(f"{left_out}: the backup holds files of it", level="warning")
        task.target.drop_target(str(member))
        place.note(warnings=(*place.record.warnings, left_out))
