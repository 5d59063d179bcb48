"""Durations, sizes and compressions as people write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgtui.engine.settings import ByteSize, Compression, Duration

SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hours": 3600, "d": 86400, "days": 86400, "w": 604800}
BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@given(st.integers(0, 5000), st.sampled_from(sorted(SECONDS)), st.sampled_from(["", " ", "  "]))
def test_durations(number: int, unit: str, gap: str) -> None:
    duration = Duration.parse(f" {number}{gap}{unit} ")
    assert duration == number * SECONDS[unit]
    assert type(duration) is Duration
    assert Duration.parse(int(duration)) == duration


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(sorted(SECONDS))), min_size=1, max_size=4))
def test_durations_in_several_parts(parts: list[tuple[int, str]]) -> None:
    text = " ".join(f"{number} {unit}" for number, unit in parts)
    assert Duration.parse(text) == sum(number * SECONDS[unit] for number, unit in parts)


@given(st.integers(0, 10**6), st.sampled_from(sorted(BYTES)))
def test_sizes(number: int, unit: str) -> None:
    assert ByteSize.parse(f"{number} {unit}") == number * BYTES[unit]
    assert ByteSize.parse(f"{number} {unit.upper()}") == number * BYTES[unit]


@given(st.integers(0, 10**9), st.integers(0, 999))
def test_fractions_are_exact(whole: int, thousandths: int) -> None:
    assert ByteSize.parse(f"{whole}.{thousandths:03} kB") == whole * 1000 + thousandths


@pytest.mark.parametrize("kind", [Duration, ByteSize])
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "x",
        "5",
        "5 parsecs",
        "-1 d",
        "1,5 h",
        "1 d x",
        "d",
        "1e3 s",
        -1,
        True,
        None,
        1.5,
        [],
        "9" * 5000 + " d",
        10**30,
    ],
)
def test_what_is_neither(kind: type[Duration] | type[ByteSize], value: object) -> None:
    with pytest.raises(ValueError, match=f"expected a {'duration' if kind is Duration else 'size'} such as"):
        kind.parse(value)


@given(st.text())
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert Duration.parse(text) >= 0


@pytest.mark.parametrize(
    ("text", "full", "codec", "level"),
    [
        ("zstd", "zstd:3", "zstd", 3),
        ("zstd:19", "zstd:19", "zstd", 19),
        ("zstd:", "zstd:3", "zstd", 3),
        ("gzip", "gzip:6", "gzip", 6),
        ("gzip:01", "gzip:1", "gzip", 1),
        ("lz4", "lz4:0", "lz4", 0),
        ("none", "none", "none", 0),
    ],
)
def test_compressions(text: str, full: str, codec: str, level: int) -> None:
    compression = Compression.parse(text)
    assert (compression, compression.codec, compression.level) == (full, codec, level)
    assert Compression.parse(str(compression)) == compression


@pytest.mark.parametrize(
    "value", ["", "zip", "ZSTD", "zstd:0", "zstd:20", "gzip:-1", "zstd:3:4", "zstd:²", "none:1", 3, None]
)
def test_what_is_no_compression(value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        Compression.parse(value)
