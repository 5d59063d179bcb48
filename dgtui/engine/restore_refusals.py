"""What forbids a restore, as a look at its target and at the backup tells it.

The restore asks it before it begins, and so does whoever wants to know beforehand: a preview that says nothing against
a restore is one that the restore itself says nothing against.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import Selection, TargetState
from dgtui.engine.datasources.own_names import is_own
from dgtui.engine.errors import ConfigError, DiskSpaceError, PermissionDenied, RestoreError
from dgtui.engine.manifest import Manifest
from dgtui.engine.model import Execution
from dgtui.engine.sizes import first_of


@dataclass(frozen=True, kw_only=True)
class IntendedRestore:
    """What shall be restored into what."""

    target: Datasource[Any]
    execution: Execution
    database: str
    chosen: Selection
    name_as: str | None = None
    """The name under which the one chosen table shall be put beside what is there."""
    merge: bool = False
    safety: bool = True
    """Whether what is there is backed up first."""
    in_place: bool = False
    """Whether what cannot be swapped may be emptied and filled in its own place."""
    overwrite: bool | None = None
    """Whether what is there may be replaced; None where that is only asked later."""

    @property
    def rows_alone(self) -> bool:
        """Whether it is for rows without their tables."""
        return "data_only" in (self.chosen.backup_type, self.execution.backup_type)

    @property
    def part(self) -> bool:
        """Whether only a part of what the target holds is replaced."""
        whole = self.chosen.backup_type == self.execution.backup_type == "full"
        return whole and (self.merge or bool(self.chosen.tables))

    @property
    def selection(self) -> Selection:
        """What of the archive is loaded."""
        return msgspec.structs.replace(self.chosen, backup_type="data_only") if self.rows_alone else self.chosen


def refuse_target(intended: IntendedRestore, state: TargetState) -> None:
    """Raise RestoreError or ConfigError where the target as it is now cannot take it, however it is asked for."""
    target, database = intended.target, intended.database
    if is_own(database):
        raise RestoreError(
            f"{database} is called as what dgtui itself makes and keeps beside a target: other restores and undos "
            "would take what lies there for theirs; nothing was changed",
            subject=database,
            hint="Choose another name with --into NAME. What a restore has replaced and kept, dgtui undo puts back",
        )
    if intended.merge and "merge" not in target.options:
        raise ConfigError(
            f"A {target.label} datasource cannot be merged into",
            subject=target.name,
            hint="Leave --merge out; choose tables with --table",
        )
    if intended.name_as is not None:
        _refuse_name(intended, intended.name_as, state)
    if intended.rows_alone:
        _refuse_rows_alone(intended, state)
    elif not state.empty and not intended.part and (intended.chosen.backup_type != "full" or intended.chosen.tables):
        raise RestoreError(
            f"Restoring a part would replace all of {database}; nothing was changed",
            subject=database,
            hint="Restore the part under another name with --into NAME and copy from there",
        )
    if not state.empty and not intended.part:
        _refuse_unsaved(intended)


def _refuse_name(intended: IntendedRestore, name: str, state: TargetState) -> None:
    """What a table under another name cannot go with."""
    if "name_as" not in intended.target.options:
        raise ConfigError(
            f"A {intended.target.label} datasource gives nothing another name",
            subject=name,
            hint="Leave out --as; what is chosen can be restored into another place with --into",
        )
    refuse_nameless(intended.execution, intended.chosen, name, merge=intended.merge)
    if state.empty:
        raise ConfigError(
            f"{intended.database} holds nothing beside which a table could lie under another name",
            subject=intended.database,
            hint="Leave out --as",
        )
    if name in {entry.name for entry in state.objects}:
        raise name_taken(intended.database, name)


def refuse_nameless(execution: Execution, chosen: Selection, name: str, *, merge: bool) -> None:
    """Raise ConfigError where there is not the one table that shall get another name."""
    kinds = {chosen.backup_type, execution.backup_type}
    if len(chosen.tables) != 1 or merge or kinds != {"full"}:
        raise ConfigError(
            "--as names a new table beside the live one, and needs exactly one --table",
            subject=name,
            hint="Name that table with --table, of a full backup, without --data-only, --schema-only and --merge",
        )


def name_taken(database: str, name: str) -> RestoreError:
    """The error where a table shall get a name that something has."""
    return RestoreError(
        f"{database} has {name} already; nothing was changed", subject=name, hint="Give another name with --as"
    )


def _refuse_unsaved(intended: IntendedRestore) -> None:
    """What is not kept beside its target has to be saved, and that whole."""
    target, database = intended.target, intended.database
    if not intended.rows_alone:
        target.refuse_swap(database)
    if not intended.rows_alone and (cannot := cannot_swap(target, database)):
        if intended.in_place and not intended.safety:
            raise safety_needed(database, cannot)
        need_way_back(target, database)
        if not intended.in_place:
            raise swap_needed(database, cannot, target.swap_grants(database))
        refuse_kept_inside(target, database)
    elif not intended.rows_alone and not target.keeps_former(database):
        if not intended.safety:
            raise safety_needed(database, f"{database} can only be exchanged within itself, which keeps rows alone")
        need_way_back(target, database)
    elif intended.safety and intended.rows_alone:
        need_all_rights(target, database)


def cannot_swap(target: Datasource[Any], database: str) -> str:
    """Why a target cannot be swapped, for people; empty where it can."""
    obstacles = target.swap_obstacles(database)
    return f"{database} cannot be swapped: that would not carry over {'; '.join(obstacles)}" if obstacles else ""


def swap_needed(database: str, obstacle: str, grants: Sequence[str]) -> RestoreError:
    """The error where a target cannot be swapped, and nobody asked to fill it in its own place."""
    rights = f"Give the rights: {' '.join(grants)} or" if grants else "Either"
    return RestoreError(
        f"{obstacle}; nothing was changed",
        subject=database,
        hint=f"{rights} restore under another name with --into NAME; or with --in-place: then {database} is backed up, "
        "emptied and filled in its own place, and a kill or power cut in that leaves it partly filled until dgtui "
        "starts again, which puts the former content back",
    )


def safety_needed(database: str, obstacle: str) -> RestoreError:
    """The error where a target would have to be filled in its own place, and nothing of it was saved."""
    return RestoreError(
        f"{obstacle}. Filled in its own place, its former content would be nowhere without a safety backup",
        subject=database,
        hint="Leave --no-safety out, or restore under another name with --into NAME",
    )


def refuse_kept_inside(target: Datasource[Any], database: str) -> None:
    """Raise RestoreError where something of earlier restores would go with a target that is emptied, unseen."""
    if kept := target.kept_inside(database):
        raise RestoreError(
            f"{database} would be emptied, and with it would go what earlier restores keep in it, which may be all "
            f"there is of what others wrote late: {first_of(kept)}; nothing was changed",
            subject=database,
            hint="Take from there what is needed, and let it go: dgtui drop-replaced --list names it; or restore under "
            "another name with --into NAME",
        )


def need_way_back(target: Datasource[Any], database: str) -> None:
    """Refuse to fill a target in its own place whose safety backup could not be put back. Raises PermissionDenied."""
    need_all_rights(target, database)
    if lost := target.never_again(database):
        raise PermissionDenied(
            f"{database} cannot be swapped, and from a safety backup it would not come back whole: "
            f"{'; '.join(lost)}; nothing was changed",
            subject=database,
            hint=f"Give the rights: {' '.join(target.swap_grants(database))} or restore under another name with "
            "--into NAME",
            detail=lost,
        )


def need_all_rights(target: Datasource[Any], database: str) -> None:
    """Refuse a safety backup that would lack what its user cannot see. Raises PermissionDenied."""
    if missing := target.for_database(database).missing_rights():
        raise PermissionDenied(
            f"A safety backup of {database} would not be whole: a right is missing; nothing was changed",
            subject=database,
            hint=missing[0],
            detail=missing,
        )


def refuse_deep(execution: Execution, chosen: Selection) -> None:
    """Raise ConfigError where there will be no content that a checksum could compare."""
    kinds = (chosen.backup_type, execution.backup_type)
    if "schema_only" in kinds:
        reason = "A schema has no content to be compared by checksums"
    elif "data_only" in kinds:
        reason = "Rows that are loaded alone are counted, and not compared by checksums: others may write meanwhile"
    else:
        return
    raise ConfigError(reason, subject=execution.execution_id, hint="Leave out --deep")


def _refuse_rows_alone(intended: IntendedRestore, state: TargetState) -> None:
    execution, database = intended.execution, intended.database
    if "schema_only" in (intended.chosen.backup_type, execution.backup_type):
        raise ConfigError(
            "There is nothing to restore: one of backup and order is for the schema alone, the other for data alone",
            subject=execution.execution_id,
            hint="Choose another backup, or leave out --data-only and --schema-only",
        )
    if not intended.target.loads_data:
        raise ConfigError(
            f"A {intended.target.label} backup cannot be restored as data alone",
            subject=intended.target.name,
            hint="Leave out --data-only",
        )
    if state.empty:
        raise RestoreError(
            f"{database} has no tables to load rows into; nothing was changed",
            subject=database,
            hint="Leave out --data-only to restore everything, or first restore the schema with --schema-only"
            if execution.backup_type == "full"
            else "This backup holds rows alone: first restore the schema from a full or a schema-only backup",
        )


def refuse_backup(
    intended: IntendedRestore, archive: Archive, manifest: Manifest, state: TargetState
) -> tuple[str, ...]:
    """What the user should know of this backup and this target. Raises where the one cannot go into the other."""
    target, database, selection = intended.target, intended.database, intended.selection
    unsure = target.refuse_unknown(archive, tuple(entry.name for entry in manifest.objects), selection)
    if state.free_bytes is not None and state.free_bytes < manifest.total_size_bytes and not selection.tables:
        raise DiskSpaceError(
            f"{database} needs {manifest.total_size_bytes} bytes, {state.free_bytes} are free there",
            subject=database,
            hint="Make room, or restore to another place with --into",
        )
    notes = list(target.check_restore(archive, database, selection))
    if target.left_out and not state.empty and not intended.merge:
        notes.append(_left_out(target))
    listed = tuple(entry.name for entry in manifest.objects)
    if intended.name_as is not None:
        notes.append(target.check_name(archive, database, selection.tables[0], intended.name_as))
    elif intended.part and not state.empty:
        target.check_part(archive, database, listed, selection.tables)
    if intended.rows_alone and (full := target.holding_rows(database, selection.tables or listed)):
        names = first_of(full)
        if intended.overwrite is False:
            raise RestoreError(
                f"{names} in {database} already hold rows; nothing was changed",
                subject=full[0],
                hint="Replace them with --overwrite, choose other tables with --table, or empty them first",
            )
        if intended.overwrite is None:
            notes.append(f"{names} in {database} already hold rows, which are replaced with --overwrite alone")
    return (*notes, *(f"Whether the backup holds {name} is only seen once it is read to its end" for name in unsure))


def _left_out(target: Datasource[Any]) -> str:
    """What becomes of that of the target which no backup holds."""
    rest = "once replaced, it lies in the former content alone, for as long as `keep_replaced` says"
    if not target.settings.keep_replaced:
        rest = "once replaced, it is gone, as `keep_replaced` is 0"
    return f"What {target.left_out} of {target.name} leaves out is in no backup, the safety backup neither: {rest}"
