"""Unpacking chosen hard links whose content an archive holds under another name, which was not chosen."""

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import LoadOutcome
from dgtui.engine.datasources.places import shown, unshown
from dgtui.engine.datasources.tar_reader import TarReader
from dgtui.engine.datasources.tar_restore import unpack
from dgtui.engine.datasources.tree_swap import remove_tree
from dgtui.engine.file_errors import file_error
from dgtui.engine.model import ToolVersion
from dgtui.engine.reporting import Reporter

_LACKING = "Cannot hard link to"


def unpack_with_contents(
    tool: ToolVersion, archive: Archive, target: Path, chosen: Sequence[str], reporter: Reporter, *, device_nodes: bool
) -> LoadOutcome:
    """Unpack what is chosen, and leave nothing else; raises ValidationError, RestoreError, StorageError.

    An archive holds the content of several names once, under the first of them. Where only others of them are chosen,
    is known when tar lacks it: the archive is then read once more for all such names, and unpacked anew with them.
    """
    outcome = unpack(tool, archive, target, chosen, reporter, device_nodes=device_nodes)
    if not chosen or not any(_LACKING in error.message for error in outcome.errors):
        return outcome
    contents = _contents_elsewhere(archive, [_plain(name) for name in chosen])
    if not contents:
        return outcome
    reporter.log(f"Chosen files have their content under other names ({len(contents)}): unpacking once more with them")
    for entry in target.iterdir():
        remove_tree(entry)
    names = (*chosen, *map(shown, contents))
    outcome = unpack(tool, archive, target, names, reporter, device_nodes=device_nodes)
    if not outcome.errors:
        _take_away(target, contents, [_plain(name) for name in chosen])
    return outcome


def _plain(name: str) -> bytes:
    return os.path.normpath(unshown(name).strip(b"/"))


def _contents_elsewhere(archive: Archive, chosen: Sequence[bytes]) -> list[bytes]:
    """The members that hold the content of chosen hard links, and were not chosen."""
    found: set[bytes] = set()

    def on_hard_link(name: bytes, content: bytes) -> None:
        if _is_among(name, chosen) and not _is_among(content, chosen):
            found.add(content)

    reader = TarReader(refuse_at_once=True, on_hard_link=on_hard_link)
    for block in archive.blocks():
        reader.feed(block)
    reader.finish()
    return sorted(found)


def _is_among(path: bytes, chosen: Sequence[bytes]) -> bool:
    return any(path == one or path.startswith(one + b"/") for one in chosen)


def _take_away(target: Path, contents: Sequence[bytes], chosen: Sequence[bytes]) -> None:
    """Remove names that were not chosen, with the folders that only they needed."""
    kept = {b""} | {b"/".join(one.split(b"/")[:count]) for one in chosen for count in range(1, one.count(b"/") + 1)}
    for content in contents:
        path = target / os.fsdecode(content)
        try:
            _remove_name(path)
            above = content.rpartition(b"/")[0]
            while above not in kept and not _is_among(above, chosen):
                # One that still holds the name of another content goes with that.
                if any((target / os.fsdecode(above)).iterdir()):
                    break
                _remove_name(target / os.fsdecode(above))
                above = above.rpartition(b"/")[0]
        except OSError as error:
            raise file_error(error, path, "remove") from error


def _remove_name(path: Path) -> None:
    """Remove a file or an empty folder; the folder that it lies in has the mode and the time that it had."""
    folder = path.parent
    known = folder.lstat()
    mode = stat.S_IMODE(known.st_mode)
    folder.chmod(mode | stat.S_IWUSR | stat.S_IXUSR)
    try:
        if path.is_dir() and not path.is_symlink():
            path.chmod(stat.S_IRWXU)
            path.rmdir()
        else:
            path.unlink()
    finally:
        with contextlib.suppress(OSError):
            folder.chmod(mode)
            os.utime(folder, ns=(known.st_atime_ns, known.st_mtime_ns))
