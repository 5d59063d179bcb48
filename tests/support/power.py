"""Power cuts, computed: what a disk holds after each system call of a real run where nothing unsynced has survived.

The calls are those that strace has seen. A name is safe once its folder was synced, bytes are safe once their file was;
at a power cut the disk may have lost all that is not safe, or only the bytes and not the names. Both are looked at.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.homes import Home

_WRITES = frozenset({"write", "pwrite64", "writev", "pwritev", "ftruncate"})
_COPIES = frozenset({"copy_file_range", "sendfile", "splice"})
_NAMES = frozenset({"rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "rmdir"})
_CALLS = _WRITES | _COPIES | _NAMES | {"open", "openat", "creat", "mkdir", "mkdirat", "fsync", "fdatasync", "syncfs"}
_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")
_FILE = re.compile(r'(?:(AT_FDCWD|\d+)<([^>]*)>)|"((?:[^"\\]|\\.)*)"')


@dataclass(eq=False)
class Node:
    """A file or folder, whatever its name is."""

    folder: bool = False
    dirty: bool = False
    """Whether it holds bytes that no sync has made safe."""
    entries: dict[str, "Node"] = field(default_factory=dict)
    safe: dict[str, "Node"] = field(default_factory=dict)
    """The entries that a power cut leaves."""

    def sync(self) -> None:
        """Make its bytes or names safe."""
        self.dirty, self.safe = False, dict(self.entries)

    def sync_all(self) -> None:
        """The same of all below it."""
        self.sync()
        for child in self.entries.values():
            child.sync_all()


Content = dict[str, Node]
"""The files below a place, by their path."""


@dataclass(frozen=True)
class Moment:
    """The disk after a system call."""

    call: str
    disk: "Disk"

    def contents(self, place: Path) -> Iterator[Content | None]:
        """What is at a place after a power cut; None where nothing is. A file whose bytes are lost is a new node."""
        for surely in (True, False):
            node = self.disk.find(place, surely=surely)
            yield None if node is None else dict(_files(node, "", surely=surely))


class Disk:
    """All below one folder."""

    def __init__(self, root: Path) -> None:
        """As it is now, all of it safe."""
        self._root = root
        self._top = _as_it_is(root)

    def find(self, path: Path, *, surely: bool = False) -> Node | None:
        """What has this name; `surely` after a power cut."""
        node: Node | None = self._top
        for part in path.relative_to(self._root).parts:
            node = None if node is None else (node.safe if surely else node.entries).get(part)
        return node

    def dirty_files(self) -> list[str]:
        """The files whose bytes are not safe."""
        return [name for name, node in _files(self._top, "", surely=False) if node.dirty]

    def apply(self, name: str, arguments: str) -> None:
        """Do what a system call did."""
        descriptors = [Path(match[2]) for match in _FILE.finditer(arguments) if match[2]]
        paths = _paths(arguments)
        if name in ("fsync", "fdatasync"):
            self._sync(descriptors[0])
        elif name == "syncfs":
            self._top.sync_all()
        elif name in _WRITES:
            self._write(descriptors[0])
        elif name in _COPIES:
            self._write(descriptors[0 if name == "sendfile" else -1])
        elif name in ("mkdir", "mkdirat"):
            self._put(paths[0], Node(folder=True))
        elif name in ("open", "openat", "creat"):
            self._open(paths[0], arguments)
        elif name.startswith("rename"):
            self._rename(paths[0], paths[1], exchange="RENAME_EXCHANGE" in arguments)
        elif name.startswith("link"):
            self._put(paths[1], self._at(paths[0]))
        else:
            self._put(paths[0], None)

    def _ours(self, path: Path) -> bool:
        return path.is_relative_to(self._root) and path != self._root

    def _at(self, path: Path) -> Node | None:
        return self.find(path) if path.is_relative_to(self._root) else None

    def _put(self, path: Path, node: Node | None) -> None:
        parent = self._at(path.parent)
        if parent is None or not self._ours(path):
            return
        if node is None:
            parent.entries.pop(path.name, None)
        else:
            parent.entries[path.name] = node

    def _open(self, path: Path, arguments: str) -> None:
        node = self._at(path)
        if node is None and "O_CREAT" in arguments:
            self._put(path, Node())
        elif node is not None and "O_TRUNC" in arguments:
            node.dirty = True

    def _write(self, path: Path) -> None:
        if (node := self._at(path)) is not None:
            node.dirty = True

    def _sync(self, path: Path) -> None:
        if (node := self._at(path)) is not None:
            node.sync()

    def _rename(self, source: Path, destination: Path, *, exchange: bool) -> None:
        moved, replaced = self._at(source), self._at(destination)
        self._put(source, replaced if exchange else None)
        self._put(destination, moved)


def _as_it_is(path: Path) -> Node:
    if path.is_symlink() or not path.is_dir():
        return Node()
    entries = {child.name: _as_it_is(child) for child in path.iterdir()}
    return Node(folder=True, entries=entries, safe=dict(entries))


def _files(node: Node, path: str, *, surely: bool) -> Iterator[tuple[str, Node]]:
    if not node.folder:
        yield path, Node() if node.dirty and surely else node
    for name, child in (node.safe if surely else node.entries).items():
        yield from _files(child, f"{path}/{name}", surely=surely)


def _paths(arguments: str) -> list[Path]:
    """The names in a call's arguments, each below the folder that stands before it."""
    base, found = Path("/"), []
    for match in _FILE.finditer(arguments):
        if match[2] is not None:
            base = Path(match[2])
        else:
            found.append(base / match[3])
    return found


def moments(home: Home, *arguments: str) -> Iterator[Moment]:
    """Run the program to its end, and give the disk after each call of it that changes a disk."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("not installed: strace (apt-get install strace)")
    disk = Disk(home.folder)
    log = home.folder.parent / f"{home.folder.name}.strace"
    command = [strace, "-f", "-y", "-s", "0", "-o", str(log), "-e", f"trace={','.join(sorted(_CALLS))}"]
    done = subprocess.run(
        [*command, sys.executable, "-m", "dgtui", *arguments],
        env=home.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in done.stderr:
        pytest.skip(f"strace may not be used here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done
    for name, text in _calls(log):
        disk.apply(name, text)
        yield Moment(f"{name}({text})", disk)


def _calls(log: Path) -> Iterator[tuple[str, str]]:
    """The calls that succeeded, in the order in which they ended."""
    begun: dict[str, str] = {}
    for line in log.read_text(errors="surrogateescape").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, text = match[1], match[2]
        if text.endswith("<unfinished ...>"):
            begun[thread] = text.removesuffix("<unfinished ...>").rstrip()
            continue
        if resumed := _RESUMED.match(text):
            text = begun.pop(thread, "") + resumed[2]
        call = _CALL.match(text)
        if call is not None and call[1] in _CALLS and int(call[3]) >= 0:
            yield call[1], call[2]
