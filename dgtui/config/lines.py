"""Where in a TOML text each key stands: `tomllib` tells what the keys hold, but not where they are."""

import bisect
import re
import tomllib

KeyPath = tuple[str | int, ...]
"""From the top of the document: names of keys, and numbers of elements in a list."""

_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?\"{3}"{0,2} | '{3}.*?'{3}'{0,2} | "(?:[^"\\]|\\.)*" | '[^']*'""",
    re.DOTALL | re.VERBOSE,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of every table, key and list element of a text that `tomllib` has accepted."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self.lines: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while self._peek():
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _peek(self) -> str:
        """The next character that is neither blank nor in a comment; empty at the end."""
        self._take(_GAP)
        return self._text[self._position : self._position + 1]

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._position)
        assert match is not None
        self._position = match.end()
        return match

    def _line(self) -> int:
        return bisect.bisect_left(self._newlines, self._position) + 1

    def _header(self) -> KeyPath:
        line = self._line()
        brackets = 2 if self._text.startswith("[[", self._position) else 1
        self._position += brackets
        table = self._key((), line)
        self._position += brackets
        if brackets == 1:
            # A table may be named by its own subtables first; its header is where people look.
            self.lines[table] = line
        return table

    def _key(self, path: KeyPath, line: int) -> KeyPath:
        while True:
            part = self._take(_KEY_PART)[1]
            path = (*path, tomllib.loads(f"key = {part}")["key"] if part[0] in "\"'" else part)
            self.lines.setdefault(path, line)
            if self._text[self._position] != ".":
                return path
            self._position += 1

    def _pair(self, table: KeyPath) -> None:
        path = self._key(table, self._line())
        self._position += len("=")
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        start = self._peek()
        if start in ("[", "{"):
            self._position += 1
            self._members(path, "]" if start == "[" else "}")
        elif start in ('"', "'"):
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _members(self, path: KeyPath, end: str) -> None:
        number = 0
        while self._peek() != end:
            if end == "]":
                self.lines[(*path, number)] = self._line()
                self._value((*path, number))
            else:
                self._pair(path)
            number += 1
            if self._peek() == ",":
                self._position += 1
        self._position += 1
