"""What a stream cannot hold is written out, whatever the stream itself would make of it."""

import io

import pytest

from dgtui.cli.output import write


@pytest.mark.parametrize("errors", ["strict", "surrogateescape", "replace", "ignore"])
@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("utf-8", "a \u2714", "a \u2714".encode()),
        ("utf-8", "\u2714 \udcff\udc9b31m", "\u2714 ".encode() + rb"\udcff\udc9b31m"),
        ("ascii", "\u00fc \u2714", rb"\xfc \u2714"),
        ("ascii", "\udc9b", rb"\udc9b"),
    ],
)
def test_no_sign_is_lost_and_none_steers_the_terminal(errors: str, encoding: str, text: str, written: bytes) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors=errors)
    write(stream, text)
    assert raw.getvalue() == written
