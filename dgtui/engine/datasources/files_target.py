"""File trees as what a restore writes to: looked at, filled, exchanged and removed; and their settings."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec

from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.datasource_settings import DatasourceSettings, SettingRules, path_mistake
from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.file_tree import ITSELF, OTHERS, Sizes, TooLong, walk
from dgtui.engine.datasources.loading import Announce, LoadOutcome, Selection, TargetState
from dgtui.engine.datasources.own_names import PART_SUFFIX
from dgtui.engine.datasources.places import (
    beside,
    free_bytes,
    mark_of,
    need_parent,
    need_room,
    real_path,
    safe_target,
    unshown,
)
from dgtui.engine.datasources.tar_contents import archive_checksums, tree_checksums
from dgtui.engine.datasources.tar_links import unpack_with_contents
from dgtui.engine.datasources.tar_program import find_tar
from dgtui.engine.datasources.target import not_in_backup
from dgtui.engine.datasources.tree_part import replace_paths, settle_paths
from dgtui.engine.datasources.tree_steps import STEPS
from dgtui.engine.datasources.tree_swap import make_folder_like, refuse_mounts, remove_tree, settle_trees, swap_trees
from dgtui.engine.errors import RestoreError
from dgtui.engine.file_errors import file_error
from dgtui.engine.model import ObjectInfo
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import PartChange

_GLANCE_SECONDS = 2.0


class FilesSettings(DatasourceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a file tree.

    A pattern without a slash (`*.tmp`) fits a name at any depth, one with a slash (`cache/*`) fits a path from the root
    of the tree; `*` does not cross a slash. What lies in a folder that fits goes with it.
    """

    rules: ClassVar[SettingRules] = {**DatasourceSettings.rules, "path": path_mistake}
    counted_by_walking: ClassVar[bool] = True

    path: Annotated[str, msgspec.Meta(description="The folder, or a single file", min_length=1)]
    include: Annotated[tuple[str, ...], msgspec.Meta(description="Only what fits one of these patterns")] = ()
    exclude: Annotated[tuple[str, ...], msgspec.Meta(description="Nothing that fits one of these patterns")] = ()
    one_file_system: Annotated[bool, msgspec.Meta(description="Leave out what is mounted below")] = False
    device_nodes: Annotated[bool, msgspec.Meta(description="Whether a restore may make device nodes")] = False

    @property
    def source(self) -> str:
        """The folder or file."""
        return self.path


class FilesTarget(Datasource[FilesSettings]):
    """What the adapter does with a folder or file that a restore writes to."""

    keeps_former_part: ClassVar[bool] = True
    part_words: ClassVar[str] = "by exchanging each of them at one stroke"
    swaps_in_steps = True
    swap_words: ClassVar[str] = "exchanging the two folders"
    writers_at_swap: ClassVar[str] = (
        "a program that has a file open, or stands in the folder, goes on in the former one, which is kept"
    )

    def target_state(self, database: str) -> TargetState:
        """Look at a path, which may be a folder or a file."""
        target = Path(os.path.abspath(database))  # noqa: PTH100  # a link at its end is itself the target
        free = free_bytes(target)
        if not os.path.lexists(target):
            return TargetState(exists=False, free_bytes=free)
        sizes = Sizes()
        try:
            for entry in walk(target, seconds=_GLANCE_SECONDS):
                sizes.add(entry)
            objects = sizes.tally.objects()
        except TooLong:
            objects = tuple(msgspec.structs.replace(one, rows_exact=False) for one in sizes.tally.objects())
        except OSError as error:
            raise file_error(error, target, "read") from error
        if not target.is_dir() or target.is_symlink():
            objects = (ObjectInfo(name=ITSELF, rows=1, bytes=target.lstat().st_size),)
        return TargetState(exists=True, objects=objects, size_bytes=sizes.tally.bytes, free_bytes=free)

    def beside_name(self, database: str, suffix: str) -> str:
        """A hidden name in the same folder, so that a rename can bring it into place."""
        return str(beside(Path(os.path.abspath(database)), suffix))  # noqa: PTH100

    def check_restore(self, archive: Archive, database: str, selection: Selection) -> tuple[str, ...]:
        """Is there a place, room, and the tool?"""
        find_tar()
        if selection.backup_type != "full":
            raise RestoreError(
                f"A file tree cannot be restored as {selection.backup_type}",
                subject=database,
                hint="Restore everything, or choose files with --table",
            )
        target = safe_target(database)
        need_parent(target)
        need_room(target, archive.total_size_bytes if not selection.tables else 0)
        notes = []
        if target.is_symlink():
            raise RestoreError(
                f"{target} is a symbolic link", subject=str(target), hint=f"Name the real path: {real_path(database)}"
            )
        if os.geteuid() != 0:
            notes.append("Owners are restored by root alone: everything will belong to our user")
        return tuple(notes)

    def refuse_unknown(self, archive: Archive, listed: Sequence[str], selection: Selection) -> tuple[str, ...]:  # noqa: ARG002
        """Only the entries of the root are listed, and of very many not all."""
        unsure = []
        for path in selection.tables:
            top, deeper, _ = path.strip("/").partition("/")
            if deeper or top not in listed:
                unsure.append(path)
            if listed and top not in listed and OTHERS not in listed:
                raise not_in_backup(path, "file or folder")
        return tuple(unsure)

    def create_target(self, database: str, like: str | None = None) -> None:
        """Make an empty folder; what is unpacked gives it its mode, and makes it a file where a file was stored."""
        target = safe_target(database)
        need_parent(target)
        make_folder_like(target, None if like is None else Path(like))

    def drop_target(self, database: str) -> None:
        """Remove a folder or file whole; never a mount, a link's target, or the root."""
        target = safe_target(database)
        remove_tree(target)
        if PART_SUFFIX in target.name:
            target.with_name(target.name + STEPS).unlink(missing_ok=True)

    def load(
        self,
        archive: Archive,
        database: str,
        selection: Selection,
        reporter: Reporter,
        *,
        jobs: int,  # noqa: ARG002  # tar works alone
        scratch_folder: Path,  # noqa: ARG002
    ) -> LoadOutcome:
        """Unpack into the empty folder `database`; every member is judged before tar sees it."""
        target = safe_target(database)
        if target.is_symlink() or not target.is_dir() or any(target.iterdir()):
            raise RestoreError(
                f"{target} is no empty folder",
                subject=str(target),
                hint="Restore under another name, or with --overwrite",
            )
        return unpack_with_contents(
            find_tar(), archive, target, selection.tables, reporter, device_nodes=self.settings.device_nodes
        )

    def inventory(self, database: str) -> tuple[ObjectInfo, ...]:
        """The entries of the folder, with what lies in them."""
        target = Path(os.path.abspath(database))  # noqa: PTH100
        sizes = Sizes()
        try:
            for entry in walk(target):
                sizes.add(entry)
            if not stat.S_ISDIR(target.lstat().st_mode):
                return (ObjectInfo(name=ITSELF, rows=1, bytes=target.lstat().st_size, rows_exact=True),)
        except OSError as error:
            raise file_error(error, target, "read") from error
        return sizes.tally.objects()

    def replace_part(
        self,
        change: PartChange,
        archive: Archive | None,  # noqa: ARG002  # the folder beside has it all
        reporter: Reporter,  # noqa: ARG002
        announce: Announce,
    ) -> bool:
        """Exchange the chosen paths, or put every file into its place; what was replaced is kept."""
        new, live = safe_target(change.beside), safe_target(change.database)
        safe_target(change.keep_as)
        if not (new.is_dir() and live.is_dir()) or live.is_symlink():
            raise RestoreError(
                f"{live} is no folder", subject=str(live), hint="Restore under another name with --into NAME"
            )
        return replace_paths(change, remove_tree, announce)

    def settle_part(self, mark: str, change: PartChange) -> Literal["old", "new"]:
        """Bring it to its end, by what is where."""
        return settle_paths(mark, change, remove_tree)

    def archive_checksums(self, archive: Archive, selection: Selection, scratch_folder: Path) -> dict[str, str]:  # noqa: ARG002
        """The names, kinds and bytes of all that is in the archive."""
        return archive_checksums(archive.blocks(), selection.tables)

    def content_checksums(self, database: str, names: Sequence[str], scratch_folder: Path) -> dict[str, str]:  # noqa: ARG002
        """The same of a folder."""
        return tree_checksums(Path(database), names)

    def swap(self, new: str, current: str, keep_as: str, reporter: Reporter) -> None:  # noqa: ARG002
        """Let the two change places at one stroke, then give the old one its new name."""
        swap_trees(safe_target(new), safe_target(current), safe_target(keep_as))

    def refuse_swap(self, database: str) -> None:
        """What is mounted in it would move away with it."""
        refuse_mounts(safe_target(database))

    def check_part(self, archive: Archive, database: str, listed: Sequence[str], chosen: Sequence[str]) -> None:  # noqa: ARG002
        """The same of each chosen folder."""
        for name in chosen:
            refuse_mounts(safe_target(database) / os.fsdecode(unshown(name)).strip("/"))

    def swap_mark(self, new: str) -> str:
        """Its place on the disk, which a rename does not change."""
        return mark_of(safe_target(new))

    def settle_swap(self, mark: str, new: str, current: str, keep_as: str) -> Literal["old", "new"]:
        """Finish or take back, by what is where."""
        return settle_trees(mark, safe_target(new), safe_target(current), safe_target(keep_as))
