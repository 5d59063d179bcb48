"""Triggers as the dump tool writes them: in the words of whoever made them, with their database where he named it."""

import re

_BODY = re.compile(rb"(?m)^(DELIMITER ;;\n)")
_GAP = rb"(?:\s|/\*(?!!).*?\*/|--\s[^\n]*\n|#[^\n]*\n)*"
_NAME = rb"(?:`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\"|[\w$\x80-\xff]+)"
_DATABASE = rb"(?:" + _NAME + _GAP + rb"\." + _GAP + rb")?"
_HEAD = re.compile(
    rb"(?is)((?:/\*!\d+ )?CREATE\b.{0,2000}?\bTRIGGER\b" + _GAP + rb"(?:IF\s+NOT\s+EXISTS\b" + _GAP + rb")?)"
    + _DATABASE + rb"(" + _NAME + _GAP + rb"(?:BEFORE|AFTER)\b[^;]{0,2000}?\bON\b" + _GAP + rb")"
    + _DATABASE + rb"(" + _NAME + _GAP + rb"FOR\b" + _GAP + rb"EACH\b" + _GAP + rb"ROW\b)"
)  # fmt: skip


def without_databases(section: bytes) -> bytes:
    """The same statements, each of which makes its trigger in the database that they are replayed in.

    A trigger that was made as `shop.audited ON shop.orders` is dumped so, and replayed elsewhere it would be made in
    the live database. It is never on a table of another database, so that nothing is lost by the names.
    """
    return b"".join(map(_without, _BODY.split(section)))


def _without(body: bytes) -> bytes:
    match = _HEAD.match(body)
    return body if match is None else b"".join(match.groups()) + body[match.end() :]
