"""Unpacking an archive into an empty folder with GNU tar, after each member was judged."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dgtui.engine.child import Child, describe_exit
from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import LoadError, LoadOutcome
from dgtui.engine.datasources.places import unshown
from dgtui.engine.datasources.tar_program import attribute_options, from_list, name_list
from dgtui.engine.datasources.tar_reader import TarReader
from dgtui.engine.errors import IdleTimeout, RestoreError
from dgtui.engine.file_errors import file_error
from dgtui.engine.files import fsync_folder
from dgtui.engine.model import ToolVersion
from dgtui.engine.reporting import Reporter

_ERRORS_KEPT = 100
_LINES_KEPT = 10_000
_LONGEST_SHOWN = 300
_IDLE_SECONDS = 600.0
_HINTS = {
    "File name too long": "tar unpacks no path of more than 4095 bytes: choose the others with --table, and shorten "
    "that one at the source",
    "Not found in archive": "Name what the backup holds by its path from the top of the tree, literally and with its "
    "case; tar -t lists all paths of an archive",
}
_HARMLESS = ("implausibly old time stamp", "time stamp ", "Ignoring unknown extended header keyword")


def unpack(
    tool: ToolVersion, archive: Archive, target: Path, chosen: Sequence[str], reporter: Reporter, *, device_nodes: bool
) -> LoadOutcome:
    """Unpack what is chosen (everything, if nothing is) into `target`; raises ValidationError, RestoreError.

    Where the archive holds a single file and not its folder, `target` itself becomes that file.
    """
    reader = TarReader(refuse_at_once=True)
    lines: list[str] = []
    with name_list(_above(chosen)) as above, name_list(b"./" + _path(name) for name in chosen) as names:
        arguments = [
            tool.path,
            "--extract",
            "--file=-",
            f"--directory={target}",
            "--same-permissions",
            "--numeric-owner",
            *attribute_options(tool.path),
            "--delay-directory-restore",
            "--quoting-style=c",
            *(("--no-recursion", *from_list(above), "--recursion", *from_list(names)) if chosen else ()),
        ]
        child = Child(
            arguments,
            on_line=_collector(lines, reporter, f"{tool.path}: "),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=(above, names),
        )
        try:
            child.feed(_judged(archive, reader, chosen, device_nodes), idle_timeout=_IDLE_SECONDS)
            code = child.wait(_IDLE_SECONDS)
        except subprocess.TimeoutExpired:
            raise IdleTimeout(
                "tar did not end", subject=str(target), hint="Is the disk frozen? See: dmesg | tail"
            ) from None
        finally:
            child.stop()
    if not reader.has_root and not chosen and reader.tally.count == 1:
        _become_file(target)
    _make_durable(target)
    return _outcome(code, lines, _chosen_devices(reader, chosen))


def _path(name: str) -> bytes:
    """A chosen path as it stands in the archive, behind `./`."""
    return os.path.normpath(unshown(name).strip(b"/"))


def _above(chosen: Sequence[str]) -> list[bytes]:
    """The folders above what is chosen: a private one must not come back open to all."""
    paths = (_path(name).split(b"/")[:-1] for name in chosen)
    found = {b"/".join((b".", *parts[:count])) for parts in paths for count in range(1, len(parts) + 1)}
    return sorted(found)


def _judged(archive: Archive, reader: TarReader, chosen: Sequence[str], device_nodes: bool) -> Iterator[bytes]:
    """The blocks of the archive, each after the reader found nothing against it."""
    for block in archive.blocks():
        reader.feed(block)
        if not device_nodes and (devices := _chosen_devices(reader, chosen)):
            raise RestoreError(
                f"The archive holds device nodes: {', '.join(devices[:5])}",
                subject=devices[0],
                hint="If they belong there, set `device_nodes = true` in the datasource, and restore as root",
            )
        yield block
    reader.finish()


def _chosen_devices(reader: TarReader, chosen: Sequence[str]) -> list[str]:
    """The device nodes that went by and are unpacked; the archive may hold others."""
    paths = [os.path.normpath(unshown(name)) for name in chosen] or [b"."]
    return [
        device
        for device in reader.devices
        if any(path == b"." or (os.path.normpath(unshown(device)) + b"/").startswith(path + b"/") for path in paths)
    ]


def _collector(lines: list[str], reporter: Reporter, prefix: str) -> Callable[[str], None]:
    def take(line: str) -> None:
        text = line.removeprefix(prefix)
        if text == line and lines:  # a line that is longer than the reader takes arrives in pieces
            lines[-1] += line
        elif len(lines) < _LINES_KEPT:
            lines.append(text)
        reporter.log(_shortened(text), origin="tar", level="warning")

    return take


def _become_file(target: Path) -> None:
    """Put the only file of a folder in the folder's place."""
    only = next(target.iterdir())
    aside = target.with_name(f"{target.name[:200]}.{os.urandom(4).hex()}")
    try:
        only.rename(aside)
        target.rmdir()
        aside.rename(target)
    except OSError as error:
        raise file_error(error, target, "put the restored file at") from error


def _make_durable(target: Path) -> None:
    """Write what was unpacked to the disk: after a swap the old tree may go."""
    child = Child(["sync", "--file-system", "--", str(target)])
    try:
        code = child.wait()
    finally:
        child.stop()
    if code != 0:
        raise RestoreError(
            f"{target} could not be made durable: {describe_exit(code)}",
            subject=str(target),
            hint="Is the disk failing? See: dmesg | tail",
            detail=tuple(child.tail),
        )
    fsync_folder(target.parent)


def _outcome(code: int, lines: Sequence[str], devices: Sequence[str]) -> LoadOutcome:
    notes = tuple(line for line in lines if any(harmless in line for harmless in _HARMLESS))
    errors = [line for line in lines if line not in notes and "Exiting with failure status" not in line]
    if code != 0 and not errors:
        errors = [f"tar ended with {describe_exit(code)}"]
    if code == 0:
        notes, errors = (*notes, *errors), []
    if devices and not errors:
        notes = (*notes, f"{len(devices)} device nodes were made: {', '.join(devices[:5])}")
    return LoadOutcome(
        errors=tuple(
            LoadError(message=_shortened(line), statement=_shortened(_member(line))) for line in errors[:_ERRORS_KEPT]
        ),
        error_count=len(errors),
        hint=next((hint for said, hint in _HINTS.items() if any(said in line for line in errors)), ""),
        notes=notes[:_ERRORS_KEPT],
    )


def _shortened(text: str) -> str:
    """A text that can be read at a glance, whose middle goes where it is long: a path may fill a screen."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN // 2]} … {text[-_LONGEST_SHOWN // 2 :]}"


def _member(line: str) -> str:
    return line.split('": ', 1)[0].lstrip('"') if '": ' in line else ""
