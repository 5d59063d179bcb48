"""Looking at a file tree: patterns, a walk that cannot be led astray, and a tally of what lies in it."""

import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dgtui.engine.datasources.places import shown
from dgtui.engine.model import ObjectInfo

_BLOCK = 512
_RECORD = 20 * _BLOCK
_LISTED_OBJECTS = 500
OTHERS = "(all others)"
ITSELF = "."


class Patterns:
    """Shell patterns on paths relative to the tree's root.

    `*` and `?` do not cross a slash, `[a-z]` and `\\*` are as in the shell. A pattern without a slash fits a name at
    any depth; one with a slash fits a path from the root on. What lies in a folder goes with it.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        cleaned = [re.sub(r"^(\./+)+", "", pattern.rstrip("/")) for pattern in patterns]
        self.names = tuple(pattern for pattern in cleaned if pattern and "/" not in pattern)
        self.paths = tuple(pattern.lstrip("/") for pattern in cleaned if "/" in pattern)
        self._name = _any_of(self.names)
        self._path = _any_of(self.paths)
        # A slash may stand in a set or behind a backslash: what is above such a path is not looked for.
        plain = not any(character in pattern for pattern in self.paths for character in "[\\")
        self._above = (
            _any_of([*{above for pattern in self.paths for above in _folders_above(pattern)}]) if plain else None
        )
        self._anywhere = bool(self.names) or not plain

    def __bool__(self) -> bool:
        return bool(self.names or self.paths)

    def fit(self, relative: str) -> bool:
        """Whether a path relative to the root is meant."""
        name = relative.rpartition("/")[2]
        return bool(self._name and self._name.fullmatch(name)) or bool(self._path and self._path.fullmatch(relative))

    def may_fit_below(self, folder: str) -> bool:
        """Whether a pattern may mean something in a folder, or deeper; what goes with its folder does not count."""
        return not folder or self._anywhere or bool(self._above and self._above.fullmatch(folder))


def _folders_above(pattern: str) -> Iterator[str]:
    parts = pattern.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _any_of(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{_regular(pattern)})" for pattern in patterns), re.DOTALL) if patterns else None


def _regular(pattern: str) -> str:
    """A shell pattern as a regular expression, as `fnmatch(3)` reads it with FNM_PATHNAME."""
    out, position = [], 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "\\" and position < len(pattern):
            out.append(re.escape(pattern[position]))
            position += 1
        elif (
            character == "["
            and (end := pattern.find("]", position + 1 + (pattern[position : position + 1] in "!^"))) > 0
        ):
            inside = pattern[position:end].replace("\\", "\\\\").replace("[", "\\[").replace("&&", "&\\&")
            negated = inside[:1] in ("!", "^")
            out.append(f"(?!/)[{'^' if negated else ''}{inside[1:] if negated else inside}]")
            position = end + 1
        else:
            out.append(re.escape(character))
    return "".join(out)


class Entry:
    """One file, folder or other thing of a tree."""

    __slots__ = ("error", "relative", "status")

    def __init__(self, relative: str, status: os.stat_result, error: OSError | None = None) -> None:
        self.relative = relative
        """Path from the root, without `./`; empty for the root."""
        self.status = status
        self.error = error
        """Why a folder could not be read."""


class TooLong(Exception):
    """The walk took longer than it may."""


def walk(
    root: Path,
    exclude: Patterns | None = None,
    *,
    one_file_system: bool = False,
    seconds: float | None = None,
    enter: Callable[[str], bool] | None = None,
) -> Iterator[Entry]:
    """The root and all below it, following no link; raises OSError for the root itself, and TooLong.

    `enter` is asked of each folder, after that was given, whether what lies in it is wanted.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    status = root.lstat()
    yield Entry("", status)
    stack = [""] if stat.S_ISDIR(status.st_mode) else []
    device = status.st_dev
    while stack:
        folder = stack.pop()
        if deadline is not None and time.monotonic() > deadline:
            raise TooLong(str(root))
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    relative = f"{folder}/{entry.name}" if folder else entry.name
                    if exclude and exclude.fit(relative):
                        continue
                    found = _entry(entry, relative)
                    if found is None:
                        continue
                    yield found
                    if not stat.S_ISDIR(found.status.st_mode) or (one_file_system and found.status.st_dev != device):
                        continue
                    if enter is None or enter(relative):
                        stack.append(relative)
        except OSError as error:
            if not folder:
                raise
            yield Entry(folder, status, error)


def _entry(entry: os.DirEntry[str], relative: str) -> Entry | None:
    try:
        return Entry(relative, entry.stat(follow_symlinks=False))
    except OSError:
        return None  # it vanished meanwhile


class Tally:
    """Counts entries and bytes of each entry of the root; the same from a folder and from an archive of it."""

    def __init__(self) -> None:
        self._tops: dict[bytes, list[int]] = {}
        self.count = 0
        self.bytes = 0

    def add(self, relative: bytes, size: int) -> None:
        """One more entry; the root itself is left out."""
        if not relative:
            return
        top = self._tops.setdefault(relative.partition(b"/")[0], [0, 0])
        top[0] += 1
        top[1] += size
        self.count += 1
        self.bytes += size

    def objects(self) -> tuple[ObjectInfo, ...]:
        """The entries of the root with what lies in them, the first ones by name, the rest as one."""
        names = sorted(self._tops)
        listed = [(shown(name), self._tops[name][0], self._tops[name][1]) for name in names[:_LISTED_OBJECTS]]
        rest = [self._tops[name] for name in names[_LISTED_OBJECTS:]]
        if rest:
            listed.append((OTHERS, sum(entry[0] for entry in rest), sum(entry[1] for entry in rest)))
        return tuple(ObjectInfo(name=name, rows=rows, bytes=size, rows_exact=True) for name, rows, size in listed)


class Sizes:
    """Tallies a walk, and how long its archive will be."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.unreadable: list[str] = []
        self._links: set[tuple[int, int]] = set()
        self._archive = 0

    def add(self, entry: Entry) -> None:
        """Take one entry of the walk."""
        if entry.error is not None:
            self.unreadable.append(shown(entry.relative))
            return
        status = entry.status
        if stat.S_ISSOCK(status.st_mode):
            return
        size = self._data(status)
        self.tally.add(os.fsencode(entry.relative), size)
        # The header; before it, in a header and a block of its own, what does not fit there, such as nanoseconds.
        self._archive += _BLOCK + (2 * _BLOCK if status.st_mtime_ns % 10**9 or len(entry.relative) > 97 else 0)
        self._archive += -(-min(size, status.st_blocks * _BLOCK) // _BLOCK) * _BLOCK

    @property
    def archive_bytes(self) -> int:
        """Length of the archive so far."""
        return -(-(self._archive + 2 * _BLOCK) // _RECORD) * _RECORD

    def _data(self, status: os.stat_result) -> int:
        if not stat.S_ISREG(status.st_mode):
            return 0
        if status.st_nlink > 1:
            key = (status.st_dev, status.st_ino)
            if key in self._links:
                return 0
            self._links.add(key)
        return status.st_size


def included(root: Path, include: Patterns, exclude: Patterns, *, one_file_system: bool) -> tuple[list[str], list[str]]:
    """What the include patterns mean: the folders above, and the chosen files and folders."""
    above: dict[str, None] = {"": None}
    chosen: dict[str, None] = {}

    def enter(folder: str) -> bool:
        return folder not in chosen and include.may_fit_below(folder)

    for entry in walk(root, exclude, one_file_system=one_file_system, enter=enter):
        if not entry.relative or entry.error is not None or not include.fit(entry.relative):
            continue
        chosen[entry.relative] = None
        parent = entry.relative.rpartition("/")[0]
        for cut in range(len(parent) + 1):
            if cut == len(parent) or parent[cut] == "/":
                above[parent[:cut]] = None
    return list(above), list(chosen)
