"""Where a key stands in a TOML text."""

import tomllib
from typing import Any

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from dgtui.config.lines import KeyPath, key_lines

HARD = '''\
# [not.a.table]
top = "# no comment" # comment = 1
"quoted.key" = 'C:\\path' # 3
"esc\\u00e9\\"" = 1
a.b."c d".e = [ # 5
  1, # ] not the end
  "x, ]",
  [2, 3,
   4],
  { k = "v}", l.m = [ "]" ] }, # 10
] # 11

text = """
[inside.text]
key = "value" \\"""
""""
after = \'\'\'
[also inside]
\'\'\'\'
empty = "" # 20
empty2 = \'\'
quotes = """"two quotes at the end"""""
date = 2025-02-13 06:00:01Z # 23
  [ "jobs" . shop-nightly ] # 24
  schedule = "0 3 * * *"
  retention = { keep_last = 7, max_age = "3 d" }
  [jobs.late.sub]
  z = 1
[jobs.late]
y = 1 # 30

[[list]]
n = 1
[[list]]
n = 2
last = 1'''


def paths_in(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    """All keys and list elements of parsed TOML."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return ({path} if path else set()).union(*(paths_in(member, (*path, key)) for key, member in members))


def test_a_hard_document() -> None:
    tomllib.loads(HARD)
    lines = key_lines(HARD)
    expected: dict[KeyPath, int] = {
        ("top",): 2,
        ("quoted.key",): 3,
        ('escé"',): 4,
        ("a", "b", "c d", "e"): 5,
        ("a", "b", "c d", "e", 0): 6,
        ("a", "b", "c d", "e", 2, 2): 9,
        ("a", "b", "c d", "e", 3, "l", "m", 0): 10,
        ("text",): 13,
        ("after",): 17,
        ("empty",): 20,
        ("empty2",): 21,
        ("quotes",): 22,
        ("date",): 23,
        ("jobs", "shop-nightly"): 24,
        ("jobs", "shop-nightly", "retention", "max_age"): 26,
        ("jobs", "late", "sub", "z"): 28,
        ("jobs", "late"): 29,
        ("jobs", "late", "y"): 30,
        ("list",): 32,
        ("list", "n"): 33,
        ("list", "last"): 36,
    }
    assert {path: lines.get(path) for path in expected} == expected
    assert ("inside",) not in lines
    assert ("also inside",) not in lines


scalars = (
    st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats()
    | st.datetimes()
    | st.text(st.characters(exclude_categories=["Cs"]))
)
keys = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(keys, values, max_size=5), st.booleans())
def test_every_key_has_a_line(document: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline)
    lines = key_lines(text)
    wanted = paths_in(tomllib.loads(text))
    if "\n[[" not in f"\n{text}":  # tables of a list have no number here
        assert set(lines) == wanted
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
