"""Where a command speaks: data on stdout, everything else on stderr.

A reader that went away (`| head -1`, a closed terminal) ends the writing, never the work.
"""

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any, TextIO

_GONE = frozenset({errno.EPIPE, errno.EIO, errno.EBADF})
_LINES_AT_ONCE = 1000
_lost: list[str] = []
"""Why output was lost for another reason than a reader that went away."""


def print_data(text: str) -> None:
    """Add a line to the data on stdout."""
    write(sys.stdout, text + "\n")


def print_lines(lines: Iterable[str]) -> None:
    """Add lines to the data on stdout, many at a time as they come."""
    rest = iter(lines)
    while some := list(islice(rest, _LINES_AT_ONCE)):
        print_data("\n".join(some))


def print_json(value: Any) -> None:
    """Print a value as indented JSON on stdout."""
    import msgspec

    write(sys.stdout, msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def print_json_object(members: Mapping[str, Any]) -> None:
    """Print an object as JSON on stdout; of lists in it one value a line, as there may be a hundred thousand."""
    import msgspec

    before = "{"
    for name, value in members.items():
        write(sys.stdout, f"{before}\n  {msgspec.json.encode(name).decode()}: ")
        if isinstance(value, list | tuple):
            _write_array(_json_texts(value, between=",\n    "), before="[\n    ", between=",\n    ", end="\n  ]")
        else:
            write(sys.stdout, msgspec.json.encode(value).decode())
        before = ","
    write(sys.stdout, "\n}\n")


def print_json_rows(values: Iterable[Any]) -> None:
    """Print values as a JSON array on stdout, one a line, as they come: however many, they are never all in memory."""
    print_json_texts(_json_texts(values, between=",\n"))


def _json_texts(values: Iterable[Any], *, between: str) -> Iterator[str]:
    """Some values at a time as JSON, with this between them."""
    import msgspec

    encoder, rest, separator = msgspec.json.Encoder(), iter(values), between.encode()
    while some := list(islice(rest, _LINES_AT_ONCE)):
        # Each is followed by the end of a line, of which there is none within a value.
        yield encoder.encode_lines(some)[:-1].replace(b"\n", separator).decode()


def print_json_texts(texts: Iterable[str]) -> None:
    """Print what is JSON already as a JSON array on stdout; each text is one value, or several with commas between."""
    _write_array(texts, before="[\n", between=",\n", end="\n]")
    write(sys.stdout, "\n")


def _write_array(texts: Iterable[str], *, before: str, between: str, end: str) -> None:
    is_empty = True
    for text in texts:
        write(sys.stdout, (before if is_empty else between) + text)
        is_empty = False
    write(sys.stdout, "[]" if is_empty else end)


def say_how_many_more(shown: int, total: int) -> None:
    """Say what a list left out, and how to see it."""
    if total > shown:
        say(f"{total - shown:,} more: --limit {total} shows them all, --json as well")


def say(text: str) -> None:
    """Tell a person something, on stderr."""
    write(sys.stderr, text + "\n")


def write(stream: TextIO | None, text: str) -> None:
    """Write at once; what the stream's encoding cannot hold is escaped. Never raises for a stream that is gone."""
    if stream is None or stream.closed:
        return
    try:
        try:
            # Another way to treat what it cannot hold lets it through, or loses it.
            stream.write(text if text.isascii() or stream.errors == "strict" else _escaped(stream, text))
        except UnicodeEncodeError:
            stream.write(_escaped(stream, text))
        stream.flush()
    except OSError as error:
        if error.errno not in _GONE:
            _lost.append(f"{getattr(stream, 'name', 'output')}: {error.strerror}")
        _silence(stream)


def _escaped(stream: TextIO, text: str) -> str:
    encoding = stream.encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def let_go() -> None:
    """Where the terminal is gone, what the screens left unwritten goes nowhere: it would change the exit code."""
    for stream in (sys.__stdout__, sys.__stderr__):
        write(stream, "")


def lost_output() -> list[str]:
    """What could not be written although somebody was there to read it, each once."""
    return list(dict.fromkeys(_lost))


def _silence(stream: IO[str]) -> None:
    """Send what is still buffered, and all that follows, nowhere: the interpreter flushes once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
