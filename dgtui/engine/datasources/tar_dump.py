"""The dump of a file tree: GNU tar, what it complained about, and what it put into the archive."""

import contextlib
import re
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from dgtui.engine.child import Child, describe_exit, printable, widen_pipe
from dgtui.engine.datasources.dumping import Dump, DumpSummary
from dgtui.engine.datasources.file_tree import ITSELF, Tally
from dgtui.engine.errors import BackupCreationError
from dgtui.engine.model import ObjectInfo
from dgtui.engine.reporting import Reporter
from dgtui.engine.threads import Thread

_LINES_KEPT = 20_000
_NAMED = 10
_END_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_LONGEST_PATH = 4095

_COMPLAINTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (what, re.compile(pattern))
    for what, pattern in (
        ("changed while they were read, so that each may be a mixture", r"file changed as we read it$"),
        ("shrank while they were read, and end with zeros", r"File shrank by \d+ bytes"),
        (
            "vanished before they were read",
            r"(File removed before we read it|Cannot (open|stat|read\w*): No such file or directory)$",
        ),
        ("are sockets, which no archive holds", r"socket ignored$"),
        ("are of a kind that no archive holds", r"(door|Unknown file type; file) ignored$"),
        ("are on other file systems and left out", r"(file|directory) is on a different filesystem"),
        (
            "could not be read and are MISSING or incomplete in the backup",
            r"(Cannot (open|stat|read\w*|savedir|\w*(get|list)xattr\w*|acl_\S+)|Read error at byte \d+).*: .+$",
        ),
    )
)
"""How GNU tar says that one file is not in the archive as it should be, and what that means; all else is fatal."""

_MEMBER = re.compile(
    rb"(?P<kind>.)\S{9,10}\s+\S+/\S+\s+(?P<size>\d+)(?:,\s*\d+)?\s+-?\d+-\d\d-\d\d \d\d:\d\d "
    rb'"(?P<name>(?:[^"\\]|\\.)*)"'
)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"?": b"\x7f"}


class TarDump(Dump):
    """GNU tar at work. Its list of members goes to a scratch file, its complaints are collected."""

    def __init__(
        self,
        arguments: Sequence[str],
        index: Path,
        root: Path,
        reporter: Reporter,
        *,
        pass_fds: Sequence[int],
        devices: bool,
    ) -> None:
        """`pass_fds` are descriptors that `arguments` refer to; `devices` says that a restore may make device nodes."""
        self._index = index
        self._root = root
        self._reporter = reporter
        self._devices = devices
        self._prefix = f"{arguments[0]}: "
        self._lines: list[str] = []
        self._ended = threading.Event()
        self._child = Child(arguments, on_line=self._on_line, pass_fds=pass_fds)
        widen_pipe(self._child.stdout_fd)
        self._watcher = Thread(target=self._watch, name="current file", daemon=True)
        self._watcher.start()

    @property
    def fd(self) -> int:
        """The output of tar."""
        return self._child.stdout_fd

    def finish(self) -> DumpSummary:
        """Look at the exit code and at every complaint."""
        try:
            code = self._child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.stop()
            raise self._failed("tar did not end after its last byte") from None
        try:
            warnings = self._judge(code)
            listed = _read_index(self._index, devices=self._devices)
        finally:
            self.stop()
        return DumpSummary(objects=listed[0], warnings=(*warnings, *listed[1]))

    def stop(self) -> None:
        """End tar and remove the list."""
        self._ended.set()
        self._child.stop()
        self._watcher.join()
        with contextlib.suppress(OSError):
            self._index.unlink(missing_ok=True)

    def _on_line(self, line: str) -> None:
        # A line that is longer than the reader takes arrives in pieces.
        text = line.removeprefix(self._prefix)
        if text == line and self._lines:
            self._lines[-1] += line
        elif len(self._lines) < _LINES_KEPT:
            self._lines.append(text)
            self._reporter.log(text, origin="tar", level="info" if text.endswith("socket ignored") else "warning")

    def _judge(self, code: int) -> tuple[str, ...]:
        """The warnings; raises where the archive is not whole.

        GNU tar ends with 1 where a file changed, with 2 where one could not be read: the archive itself is whole then,
        and an administrator wants it, with the list of what is missing.
        """
        groups: dict[str, list[str]] = {}
        unknown = []
        for line in self._lines:
            text = line.removeprefix("Warning: ")
            what = next((what for what, pattern in _COMPLAINTS if pattern.search(text)), None)
            if what is not None:
                groups.setdefault(what, []).append(_named(text))
            elif not text.startswith("Exiting with failure status due to previous errors"):
                unknown.append(line)
        if code not in (0, 1, 2) or (code == 2 and (unknown or not groups)):
            raise self._failed(f"tar ended with {describe_exit(code)}: {(unknown or ['no reason was given'])[-1]}")
        return tuple(
            f"Files that {what} ({len(names)}): {', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''}"
            for what, names in groups.items()
        )

    def _failed(self, message: str) -> BackupCreationError:
        return BackupCreationError(
            message,
            subject=str(self._root),
            hint=f"Look at the lines of tar; try: tar -cf /dev/null {self._root}",
            detail=tuple(self._child.tail),
        )

    def _watch(self) -> None:
        """Say which file tar has open now; to let it print each name would cost it time."""
        descriptors = Path(f"/proc/{self._child.process.pid}/fd")
        while not self._ended.wait(_LOOK_SECONDS):
            with contextlib.suppress(OSError, ValueError):
                opened = [str(link.readlink()) for link in descriptors.iterdir()]
                name = max((path for path in opened if path.startswith(f"{self._root}/")), key=len)
                self._reporter.current_object(printable(str(Path(name).relative_to(self._root))))


def _read_index(index: Path, *, devices: bool) -> tuple[tuple[ObjectInfo, ...], tuple[str, ...]]:
    """What the archive holds, from tar's own list, and what to know about it."""
    tally = Tally()
    too_long = device_nodes = members = 0
    root = False
    with index.open("rb") as lines:
        for line in lines:
            match = _MEMBER.match(line)
            if match is None:
                raise BackupCreationError(
                    "The list that tar made of the archive cannot be read",
                    subject=printable(line[:200].decode("utf-8", "backslashreplace")),
                    hint="Is it GNU tar? Try: tar --version",
                )
            members += 1
            kind, name = match["kind"], _member_name(match["name"])
            root = root or not name
            too_long += len(name) > _LONGEST_PATH
            device_nodes += kind in b"bc"
            tally.add(name, int(match["size"]) if kind == b"-" else 0)
    objects = tally.objects()
    if members == 1 and not root:
        objects = (ObjectInfo(name=ITSELF, rows=1, bytes=tally.bytes, rows_exact=True),)
    notes = []
    if too_long:
        notes.append(f"{too_long} paths are longer than {_LONGEST_PATH} bytes: tar stores them, but cannot unpack them")
    if device_nodes and not devices:
        notes.append(f"{device_nodes} device nodes are in the backup; a restore needs `device_nodes = true`")
    return objects, tuple(notes)


def _member_name(text: bytes) -> bytes:
    if b"\\" in text:
        text = _ESCAPE.sub(_unescape, text)
    return text.removeprefix(b"./").rstrip(b"/")


def _named(complaint: str) -> str:
    """The file that a complaint is about, as tar escapes it."""
    return complaint.split('": ', 1)[0].lstrip('"') if complaint.startswith('"') else complaint.split(": ", 1)[0]


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes((int(code, 8),)) if len(code) == 3 else _LETTERS.get(code, code)
