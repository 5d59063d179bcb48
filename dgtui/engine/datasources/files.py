"""File trees: GNU tar writes and unpacks them, with links, holes, owners, times, attributes and any name."""

import contextlib
import os
import shlex
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec

from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.base import Datasource, not_in_backup
from dgtui.engine.datasources.datasource_settings import DatasourceSettings, SettingRules, path_mistake
from dgtui.engine.datasources.dumping import Archive, ArchiveCheck, Dump, DumpOptions, Probe
from dgtui.engine.datasources.file_health import ask_tree
from dgtui.engine.datasources.file_tree import ITSELF, OTHERS, Entry, Patterns, Sizes, TooLong, included, walk
from dgtui.engine.datasources.loading import Announce, LoadOutcome, Selection, TargetState
from dgtui.engine.datasources.places import (
    beside,
    free_bytes,
    mark_of,
    need_parent,
    need_room,
    need_sight,
    real_path,
    safe_target,
    shown,
)
from dgtui.engine.datasources.tar_contents import archive_checksums, tree_checksums
from dgtui.engine.datasources.tar_dump import TarDump
from dgtui.engine.datasources.tar_program import dump_arguments, find_tar, from_list, name_list
from dgtui.engine.datasources.tar_reader import TarReader
from dgtui.engine.datasources.tar_restore import unpack
from dgtui.engine.datasources.tree_part import replace_paths, settle_paths
from dgtui.engine.datasources.tree_steps import STEPS
from dgtui.engine.datasources.tree_swap import make_folder_like, remove_tree, settle_trees, swap_trees
from dgtui.engine.errors import BackupCreationError, ConfigError, PermissionDenied, RestoreError
from dgtui.engine.files import file_error
from dgtui.engine.model import ObjectInfo
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import PartChange

_LOOK_SECONDS = 10.0
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


class FilesDatasource(Datasource[FilesSettings]):
    """One folder with all below it, or one file."""

    kind: ClassVar[str] = "files"
    part_words: ClassVar[str] = "by exchanging each of them at one stroke"
    label: ClassVar[str] = "Files"
    archive_format: ClassVar[str] = "tar"
    swap_words: ClassVar[str] = "exchanging the two folders"
    writers_at_swap: ClassVar[str] = (
        "a program that has a file open, or stands in the folder, goes on in the former one, which is kept"
    )
    settings_type: ClassVar[type[DatasourceSettings]] = FilesSettings
    options: ClassVar[frozenset[str]] = frozenset({"extra_arguments", "merge"})

    @property
    def database(self) -> str:
        """The path."""
        return str(Path(self.settings.path).expanduser())

    @property
    def _source(self) -> Path:
        return real_path(self.database)

    @property
    def _exclude(self) -> Patterns:
        return Patterns(self.settings.exclude)

    def probe(self, options: DumpOptions | None = None) -> Probe:  # noqa: ARG002
        """Walk the tree, for a bounded time."""
        source, tool = self._source, find_tar()
        _need_readable(source)
        sizes, complete = self._measure(source)
        warning = f"Folders that cannot be read ({len(sizes.unreadable)}): {', '.join(sizes.unreadable[:10])}"
        return Probe(
            product=f"GNU tar {tool.version}",
            version=tool.version,
            size_bytes=sizes.tally.bytes if complete else None,
            objects=sizes.tally.objects() if complete else (),
            estimated_dump_bytes=sizes.archive_bytes if complete else None,
            estimate_kind="estimated" if complete else "unknown",
            tool=tool,
            warnings=(warning,) if sizes.unreadable else (),
        )

    def _measure(self, source: Path) -> tuple[Sizes, bool]:
        """What will be in the dump, and whether it was all seen in time."""
        sizes, include = Sizes(), Patterns(self.settings.include)
        inside: set[str] = set()
        try:
            for entry in self._walk(source, _LOOK_SECONDS):
                if include and entry.relative and not _is_included(entry.relative, include, inside):
                    continue
                sizes.add(entry)
        except TooLong:
            return sizes, False
        except OSError as error:
            raise file_error(error, source, "read") from error
        return sizes, True

    def _walk(self, source: Path, seconds: float) -> Iterator[Entry]:
        return walk(source, self._exclude, one_file_system=self.settings.one_file_system, seconds=seconds)

    def takes_in(self, folder: str) -> bool:
        """Whether it lies in the tree and no pattern leaves it out."""
        place, source, include = real_path(folder), self._source, Patterns(self.settings.include)
        if not place.is_relative_to(source):
            return False
        parts = place.relative_to(source).parts
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        return not any(map(self._exclude.fit, above)) and (not include or any(map(include.fit, above)))

    def health(self, seconds: float) -> HealthAnswer:  # noqa: ARG002  # the system's own calls know no limit
        """See that it is there and can be read."""
        return ask_tree(self._source)

    def missing_rights(self) -> tuple[str, ...]:
        """What keeps us from reading everything."""
        name = shlex.quote(str(self._source))
        if os.geteuid() == 0:
            return ()
        if not os.access(self._source, os.R_OK):
            return (f"setfacl -R -m u:{os.geteuid()}:rX -- {name}",)
        return ()

    def open_dump(self, probe: Probe, options: DumpOptions, reporter: Reporter) -> Dump:  # noqa: ARG002
        """Start tar."""
        if options.backup_type != "full" or options.tables or options.exclude_tables:
            raise ConfigError(
                "A file tree is backed up whole",
                subject=self.name,
                hint="Choose with `include` and `exclude` of the datasource, and backup_type = 'full'",
            )
        source, tool = self._source, find_tar()
        _need_readable(source)
        handle, index = tempfile.mkstemp(prefix="members-", dir=options.scratch_folder or None)
        os.close(handle)
        arguments = dump_arguments(tool, source, Path(index), self._exclude, self.settings.one_file_system)
        arguments += options.extra_arguments
        try:
            with contextlib.ExitStack() as stack:
                lists = self._chosen(source, stack) if self.settings.include else ()
                arguments += _names(source, lists)
                devices = self.settings.device_nodes
                return TarDump(arguments, Path(index), source, reporter, pass_fds=lists, devices=devices)
        except BaseException:
            Path(index).unlink(missing_ok=True)
            raise

    def _chosen(self, source: Path, stack: contextlib.ExitStack) -> tuple[int, ...]:
        """Lists of the folders above what `include` means, and of what it means."""
        if not source.is_dir():
            raise ConfigError(
                f"{source} is a single file", subject=self.name, hint="Remove `include` of the datasource"
            )
        above, chosen = included(
            source, Patterns(self.settings.include), self._exclude, one_file_system=self.settings.one_file_system
        )
        if not chosen:
            raise BackupCreationError(
                f"Nothing in {source} fits `include`",
                subject=self.name,
                hint="A pattern with a slash begins at the root of the tree. See: dgtui check",
            )
        return tuple(
            stack.enter_context(name_list(os.fsencode(f"./{name}") for name in names)) for names in (above, chosen)
        )

    @classmethod
    def archive_check(cls, scratch_folder: Path) -> ArchiveCheck:  # noqa: ARG003  # nothing is written
        """A walk from header to header to the end mark, which refuses members that reach out of the folder."""
        return TarReader()

    def archive_objects(self, archive: Archive) -> tuple[str, ...]:
        """The entries of the tree's root."""
        reader = TarReader()
        for block in archive.blocks():
            reader.feed(block)
        reader.finish()
        return tuple(entry.name for entry in reader.tally.objects())

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
        if "__dgtui_part_" in target.name:
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
        return unpack(find_tar(), archive, target, selection.tables, reporter, device_nodes=self.settings.device_nodes)

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

    def swap_mark(self, new: str) -> str:
        """Its place on the disk, which a rename does not change."""
        return mark_of(safe_target(new))

    def settle_swap(self, mark: str, new: str, current: str, keep_as: str) -> Literal["old", "new"]:
        """Finish or take back, by what is where."""
        return settle_trees(mark, safe_target(new), safe_target(current), safe_target(keep_as))

    def manual_restore(
        self,
        archive_file: str,
        database: str,
        properties: DatabaseProperties | None = None,  # noqa: ARG002
        *,
        rows_only: bool = False,  # noqa: ARG002
    ) -> Sequence[str]:
        """Check to the end, make the folder, unpack."""
        archive, target = shlex.quote(archive_file), shlex.quote(database)
        options = "--same-permissions --numeric-owner --xattrs --xattrs-include='*' --acls --delay-directory-restore"
        if self._source.is_file():
            # The archive holds the file under its own name.
            target = shlex.quote(str(Path(database).parent))
        return (
            f"tar --list --file={archive} > /dev/null",
            "# Into an empty folder; as root, so that the owners come back.",
            f"mkdir -p -- {target}",
            f"tar --extract --file={archive} --directory={target} {options}",
        )


def _is_included(relative: str, include: Patterns, inside: set[str]) -> bool:
    """Whether an entry is chosen or lies in a chosen folder, which a walk from the top meets first."""
    if relative.rpartition("/")[0] in inside or include.fit(relative):
        inside.add(relative)
        return True
    return False


def _names(source: Path, lists: tuple[int, ...]) -> tuple[str, ...]:
    """The end of tar's command line: what goes into the archive."""
    if lists:
        return ("--no-recursion", *from_list(lists[0]), "--recursion", *from_list(lists[1]))
    return ("--", "." if source.is_dir() else f"./{source.name}")


def _need_readable(source: Path) -> None:
    need_sight(source)
    if not os.path.lexists(source):
        raise BackupCreationError(
            f"There is no {source}", subject=str(source), hint=f"Is its disk mounted? See: findmnt -T {source.parent}"
        )
    if not os.access(source, os.R_OK | (os.X_OK if source.is_dir() else 0)):
        raise PermissionDenied(
            f"{shown(str(source))} cannot be read",
            subject=str(source),
            hint=f"Let our user read it, or run as root. See: ls -ld {source}",
        )
