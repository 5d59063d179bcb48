"""File trees: GNU tar writes and unpacks them, with links, holes, owners, times, attributes and any name."""

import contextlib
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.datasource_settings import DatasourceSettings
from dgtui.engine.datasources.dumping import WHOLE, ArchiveCheck, Dump, DumpOptions, Probe
from dgtui.engine.datasources.file_health import ask_tree
from dgtui.engine.datasources.file_tree import Entry, Patterns, Sizes, TooLong, included, walk
from dgtui.engine.datasources.files_target import FilesSettings, FilesTarget
from dgtui.engine.datasources.places import (
    need_sight,
    real_path,
    shown,
)
from dgtui.engine.datasources.tar_dump import TarDump
from dgtui.engine.datasources.tar_program import dump_arguments, find_tar, from_list, name_list
from dgtui.engine.datasources.tar_reader import TarReader
from dgtui.engine.errors import BackupCreationError, ConfigError, PermissionDenied
from dgtui.engine.file_errors import file_error, nearest_folder
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter

_LOOK_SECONDS = 10.0


class FilesDatasource(FilesTarget):
    """One folder with all below it, or one file."""

    kind: ClassVar[str] = "files"
    label: ClassVar[str] = "files"
    object_noun: ClassVar[str] = "files and folders"
    new_target: ClassVar[str] = "new folder"
    objects_are_paths: ClassVar[bool] = True
    archive_format: ClassVar[str] = "tar"
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

        def enter(folder: str) -> bool:
            return not include or folder in inside or include.may_fit_below(folder)

        try:
            for entry in self._walk(source, _LOOK_SECONDS, enter):
                if include and entry.relative and not _is_included(entry.relative, include, inside):
                    continue
                sizes.add(entry)
        except TooLong:
            return sizes, False
        except OSError as error:
            raise file_error(error, source, "read") from error
        return sizes, True

    def _walk(self, source: Path, seconds: float, enter: Callable[[str], bool]) -> Iterator[Entry]:
        one_file_system = self.settings.one_file_system
        return walk(source, self._exclude, one_file_system=one_file_system, seconds=seconds, enter=enter)

    @property
    def left_out(self) -> str:
        """The patterns, and other file systems."""
        keys = ("include", "exclude", "one_file_system")
        return " and ".join(f"`{key}`" for key in keys if getattr(self.settings, key))

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

    def manual_restore(
        self,
        archive_file: str,
        database: str,
        properties: DatabaseProperties | None = None,  # noqa: ARG002
        dumped: DumpOptions = WHOLE,  # noqa: ARG002
    ) -> Sequence[str]:
        """Check to the end, make the folder, unpack where nothing is."""
        archive, target = shlex.quote(archive_file), shlex.quote(database)
        free = f'[ -z "$(ls -A -- {target})" ]'
        in_the_way = shlex.quote(f"{database} is not empty, and files in it would be lost: move them away first")
        options = "--same-permissions --numeric-owner --xattrs --xattrs-include='*' --acls --delay-directory-restore"
        if self._source.is_file():
            # The archive holds the file under its own name.
            target = shlex.quote(str(Path(database).parent))
            free = f"[ ! -e {shlex.quote(database)} ]"
            in_the_way = shlex.quote(f"{database} is there, and would be lost: move it away first")
        return (
            f"tar --list --file={archive} > /dev/null",
            "# Into an empty folder; as root, so that the owners come back.",
            f"mkdir -p -- {target}",
            f"{free} || {{ printf '%s\\n' {in_the_way} >&2; false; }}",
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
            f"There is no {source}",
            subject=str(source),
            hint=f"Is its disk mounted? See: findmnt -T {nearest_folder(source)}",
        )
    if not os.access(source, os.R_OK | (os.X_OK if source.is_dir() else 0)):
        raise PermissionDenied(
            f"{shown(str(source))} cannot be read",
            subject=str(source),
            hint=f"Let our user read it, or run as root. See: ls -ld {source}",
        )
