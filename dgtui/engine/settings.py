"""The kinds of value a configuration can hold: secrets by reference, sizes, durations, compression.

Each is written as people write it (`"2 GB"`, `"5 min"`, `"zstd:3"`) and checked when it is read.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import msgspec

_DURATION_UNITS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
    "w": 604800, "week": 604800, "weeks": 604800,
}  # fmt: skip
_SIZE_UNITS = {
    "b": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_LONGEST_DURATION = 100 * 366 * 86400
"""No timer of the system takes much more, and a date stays within the calendar."""
_LARGEST_SIZE = 2**63 - 1
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*")


class Duration(int):
    """A span of time in whole seconds, written as `90`, `"30d"`, `"5 min"` or `"1 h 30 min"`."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a duration; raises ValueError with the accepted forms."""
        expected = "a duration such as 90, '30d', '5 min' or '2 h'"
        return cls(_parse_quantity(value, _DURATION_UNITS, expected, _LONGEST_DURATION))


class ByteSize(int):
    """A number of bytes, written as `1024`, `"2 GB"` or `"512 MiB"`."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a size; raises ValueError with the accepted forms."""
        return cls(_parse_quantity(value, _SIZE_UNITS, "a size such as 1024, '500 MB' or '2 GiB'", _LARGEST_SIZE))


def _parse_quantity(value: object, units: dict[str, int], expected: str, most: int) -> int:
    total = Decimal(0)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        total = Decimal(value)
    elif isinstance(value, str) and value.strip():
        position = 0
        while position < len(value):
            match = _QUANTITY.match(value, position)
            if match is None or match[2].lower() not in units:
                raise ValueError(f"expected {expected}")
            # Decimal, because 1.001 kB in binary floating point is 1000.999... bytes.
            total += Decimal(match[1]) * units[match[2].lower()]
            position = match.end()
    else:
        raise ValueError(f"expected {expected}")
    if total > most:
        raise ValueError(f"expected {expected}, and none so large")
    return int(total)


Codec = Literal["zstd", "gzip", "lz4", "none"]

_CODEC_LEVELS: dict[str, tuple[int, int, int]] = {
    "zstd": (1, 3, 19),
    "gzip": (1, 6, 9),
    "lz4": (0, 0, 12),
    "none": (0, 0, 0),
}
"""Lowest, default and highest level of each codec."""


class Compression(str):
    """How the bytes of a dump are packed: `"zstd"`, `"zstd:3"`, `"gzip:6"`, `"lz4"` or `"none"`, in its full form."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a compression; raises ValueError with the accepted forms."""
        codec, _, level = value.partition(":") if isinstance(value, str) else ("", "", "")
        if codec not in _CODEC_LEVELS:
            raise ValueError("expected 'zstd', 'gzip', 'lz4' or 'none', with a level as in 'zstd:3'")
        lowest, default, highest = _CODEC_LEVELS[codec]
        if level and not (level.isdecimal() and lowest <= int(level) <= highest):
            raise ValueError(f"expected a level of {codec} from {lowest} to {highest}")
        return cls(codec if codec == "none" else f"{codec}:{int(level) if level else default}")

    @property
    def codec(self) -> Codec:
        """The codec's name."""
        return self.partition(":")[0]  # type: ignore[return-value]  # only `parse` makes these, and it checked

    @property
    def level(self) -> int:
        """The codec's level; 0 for `none`."""
        return int(self.partition(":")[2] or 0)


DEFAULT_COMPRESSION = Compression.parse("zstd")

COMPRESSION_SUFFIXES: dict[Codec, str] = {"zstd": ".zst", "gzip": ".gz", "lz4": ".lz4", "none": ""}
"""What each codec adds to the name of a backup's file."""


class SecretReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret is found; exactly one of the four ways is given."""

    env: str | None = None
    """Name of an environment variable."""
    file: str | None = None
    """Path of a file whose first line is the secret."""
    command: tuple[str, ...] | str | None = None
    """A program and its arguments; the first line of its output is the secret. A text is split as a shell would."""
    keyring: str | None = None
    """`service/user` in the system's keyring."""

    def __post_init__(self) -> None:
        if sum(way is not None for way in (self.env, self.file, self.command, self.keyring)) != 1:
            raise ValueError("a secret is given by exactly one of env, file, command or keyring")


Secret = str | SecretReference
"""A literal secret (refused where the file that holds it is readable by others), or a reference to one."""

PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


def decode_setting(kind: type, value: Any) -> Any:
    """Build our own kinds of value for msgspec (its `dec_hook`)."""
    if kind in (Duration, ByteSize, Compression):
        return kind.parse(value)
    raise NotImplementedError(kind)


def encode_setting(value: Any) -> Any:
    """Write our own kinds of value (msgspec's `enc_hook`)."""
    if isinstance(value, Duration | ByteSize):
        return int(value)
    if isinstance(value, Compression):
        return str(value)
    raise NotImplementedError(type(value))
