"""Each codec is read by the standard tool, and nothing that is not exactly whole is unpacked as if it were."""

import gzip
import os
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dgtui.engine.codecs import backup_file_name, compressor, default_threads, part_file_name
from dgtui.engine.errors import ValidationError
from dgtui.engine.settings import Codec, Compression
from dgtui.engine.unpacking import decompress

TOOLS: dict[Codec, list[str]] = {
    "zstd": ["zstd", "-dcq"],
    "gzip": ["gunzip", "-c"],
    "lz4": ["lz4", "-dcq"],
    "none": ["cat"],
}
PACKERS: dict[Codec, list[str]] = {
    "zstd": ["zstd", "-cq"],
    "gzip": ["gzip", "-c"],
    "lz4": ["lz4", "-cq"],
    "none": ["cat"],
}
EVERY_LEVEL = ["zstd:1", "zstd:3", "zstd:9", *(f"gzip:{level}" for level in range(1, 10)), "lz4:0", "lz4:9", "none"]
PACKING: list[Codec] = ["zstd", "gzip", "lz4"]


def dump_like(size: int, seed: int = 1) -> bytes:
    """Text that packs about as well as a dump, and bytes that do not pack at all."""
    source = random.Random(seed)
    lines = [
        b"%d\tcustomer %d\t%s\n" % (i, source.randrange(999), source.randbytes(3).hex().encode()) for i in range(999)
    ]
    text = b"".join(source.choices(lines, k=size // 30 + 1))
    return (
        (text + source.randbytes(size // 4))[:size]
        if size % 2
        else source.randbytes(size // 4) + text[: size - size // 4]
    )


def pack(data: bytes, compression: str, *, block: int = 100_000, threads: int | None = None) -> bytes:
    packer = compressor(Compression.parse(compression), threads=threads)
    packed = [piece for start in range(0, len(data), block) for piece in packer.compress(data[start : start + block])]
    return b"".join([*packed, *packer.finish()])


def unpack(packed: bytes, codec: Codec, expected: int, *, block: int = 70_000) -> bytes:
    blocks = (packed[start : start + block] for start in range(0, len(packed), block))
    return b"".join(decompress(blocks, codec, expected))


@pytest.fixture(scope="module")
def data() -> bytes:
    return dump_like(3_000_001)


@pytest.mark.parametrize("compression", EVERY_LEVEL)
def test_the_standard_tool_reads_it(compression: str, data: bytes) -> None:
    packed = pack(data, compression)
    tool = TOOLS[Compression.parse(compression).codec]
    assert subprocess.run(tool, input=packed, capture_output=True, check=True).stdout == data


@pytest.mark.parametrize("compression", EVERY_LEVEL)
def test_we_read_it(compression: str, data: bytes) -> None:
    assert unpack(pack(data, compression), Compression.parse(compression).codec, len(data)) == data


@pytest.mark.parametrize("codec", ["zstd", "gzip", "lz4", "none"])
def test_we_read_what_the_standard_tool_wrote(codec: Codec, data: bytes) -> None:
    packed = subprocess.run(PACKERS[codec], input=data, capture_output=True, check=True).stdout
    assert unpack(packed, codec, len(data)) == data


@pytest.mark.parametrize("codec", PACKING)
def test_several_frames_are_one_archive_as_the_standard_tool_has_it(codec: Codec, data: bytes) -> None:
    packed = pack(data, codec) + pack(b"second", codec) + pack(b"", codec)
    expected = data + b"second"
    assert subprocess.run(TOOLS[codec], input=packed, capture_output=True, check=True).stdout == expected
    assert unpack(packed, codec, len(expected)) == expected


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_skippable_frames_are_passed_over(codec: Codec) -> None:
    skippable = struct.pack("<II", 0x184D2A53, 5) + b"abcde"
    assert unpack(skippable + pack(b"data", codec) + skippable, codec, 4) == b"data"
    with pytest.raises(ValidationError, match="too early"):
        unpack(pack(b"data", codec) + skippable[:-1], codec, 4)


@given(
    sizes=st.lists(st.integers(0, 40_000), max_size=6),
    compression=st.sampled_from(["zstd:3", "gzip:6", "lz4:0", "none"]),
    block=st.integers(1, 50_000),
)
def test_blocks_of_any_size_come_back(sizes: list[int], compression: str, block: int) -> None:
    packer = compressor(Compression.parse(compression), threads=0)
    blocks = [dump_like(size, seed) for seed, size in enumerate(sizes)]
    packed = b"".join([*(piece for raw in blocks for piece in packer.compress(raw)), *packer.finish()])
    raw = b"".join(blocks)
    assert unpack(packed, Compression.parse(compression).codec, len(raw), block=block) == raw


@pytest.mark.parametrize("codec", PACKING)
@pytest.mark.parametrize("data_size", [0, 5, 200_001])
def test_every_cut_is_found(codec: Codec, data_size: int) -> None:
    raw = dump_like(data_size)
    packed = pack(raw, codec, threads=0)
    lengths = {*range(min(len(packed), 40)), *range(max(len(packed) - 40, 0), len(packed)), len(packed) // 2}
    for length in lengths:
        with pytest.raises(ValidationError, match="damaged"):
            # An empty file is told from an empty archive by the checksum of its part alone.
            unpack(packed[:length], codec, data_size if length else 1)


@pytest.mark.parametrize("codec", PACKING)
def test_the_last_bytes_missing_are_found_although_all_data_came_out(codec: Codec) -> None:
    raw = dump_like(200_001)
    with pytest.raises(ValidationError, match="too early"):
        unpack(pack(raw, codec)[:-1], codec, len(raw))


@pytest.mark.parametrize("codec", PACKING)
def test_a_flipped_bit_is_found(codec: Codec) -> None:
    raw = dump_like(200_001)
    packed = bytearray(pack(raw, codec))
    for position in [0, 1, 2, 3, 20, len(packed) // 3, len(packed) // 2, len(packed) - 1]:
        packed[position] ^= 4
        with pytest.raises(ValidationError):
            unpack(bytes(packed), codec, len(raw))
        packed[position] ^= 4
    assert unpack(bytes(packed), codec, len(raw)) == raw


@pytest.mark.parametrize("codec", PACKING)
@pytest.mark.parametrize("garbage", [b"\0", b"x", b"garbage" * 50_000])
def test_bytes_after_the_end_are_found(codec: Codec, garbage: bytes) -> None:
    with pytest.raises(ValidationError, match="other bytes follow"):
        unpack(pack(b"data", codec) + garbage, codec, 4)


@pytest.mark.parametrize("codec", [*PACKING, "none"])
def test_more_or_less_than_the_manifest_tells_is_found(codec: Codec) -> None:
    packed = pack(b"ten bytes.", codec)
    with pytest.raises(ValidationError, match="more than the 9 bytes"):
        unpack(packed, codec, 9)
    with pytest.raises(ValidationError, match="10 bytes, its manifest tells 11"):
        unpack(packed, codec, 11)


def zeros_frame(total: int) -> bytes:
    """A zstd frame of `total` zeros in blocks of four bytes each, the densest there is."""
    block = ((1 << 17) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    last = ((1 << 17) << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x38" + block * (total // (1 << 17) - 1) + last


def bomb(codec: Codec) -> bytes:
    if codec == "zstd":
        return zeros_frame(1 << 30)
    zeros = bytes(1 << 20)
    return b"".join(pack(zeros * 64, codec, block=1 << 20) for _ in range(16))


def memory_kibibytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


@pytest.mark.parametrize("codec", PACKING)
def test_a_bomb_costs_no_memory(codec: Codec) -> None:
    packed = bomb(codec)
    assert len(packed) < 6 << 20
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory_kibibytes("VmRSS")
    sizes: set[int] = set()
    with pytest.raises(ValidationError, match="more than"):
        sizes.update(len(block) for block in decompress([packed], codec, 600 << 20))
    assert max(sizes) <= 1 << 18
    assert memory_kibibytes("VmHWM") - before < 48 << 10


def test_a_window_larger_than_zstd_itself_accepts_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=3)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = stream.compress(b"data") + stream.flush()
    with pytest.raises(ValidationError, match="memory"):
        unpack(packed, "zstd", 4)


def test_a_zstd_block_of_impossible_size_is_refused() -> None:
    block = ((1 << 17) + 1 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    with pytest.raises(ValidationError, match="too large"):
        unpack(b"\x28\xb5\x2f\xfd\x00\x38" + block, "zstd", 1 << 20)


def test_stored_blocks_are_read_only_as_far_as_needed() -> None:
    packed = pack(os.urandom(2_000_000), "zstd")
    taken = 0

    def blocks() -> Iterator[bytes]:
        nonlocal taken
        for start in range(0, len(packed), 1000):
            taken += 1
            yield packed[start : start + 1000]

    unpacked = decompress(blocks(), "zstd", 2_000_000)
    next(unpacked)
    assert taken < 200


def test_every_zstd_frame_carries_a_checksum() -> None:
    for threads in (0, 2):
        assert zstandard.get_frame_parameters(pack(b"data", "zstd:3", threads=threads)).has_checksum


def test_a_higher_gzip_level_packs_no_worse(data: bytes) -> None:
    sizes = [len(pack(data, f"gzip:{level}")) for level in range(1, 10)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0]
    assert sizes[5] < len(gzip.compress(data, 1))


@pytest.mark.parametrize(
    ("archive_format", "compression", "name"),
    [
        (".dump", "zstd:3", "backup.dump.zst"),
        ("sql", "gzip:6", "backup.sql.gz"),
        (".tar", "lz4:0", "backup.tar.lz4"),
        (".db", "none", "backup.db"),
    ],
)
def test_file_names(archive_format: str, compression: str, name: str) -> None:
    assert backup_file_name(archive_format, Compression.parse(compression)) == name


def test_part_names() -> None:
    assert [part_file_name("backup.sql", number) for number in (1, 12, 999, 1000)] == [
        "backup.sql.part-001",
        "backup.sql.part-012",
        "backup.sql.part-999",
        "backup.sql.part-1000",
    ]


def test_threads_fit_the_machine() -> None:
    assert 1 <= default_threads() <= min(2, os.cpu_count() or 1)


def test_no_codec_library_is_loaded_before_it_is_used() -> None:
    script = "import sys, dgtui.engine.codecs, dgtui.engine.unpacking; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"zstandard", "isal", "lz4"} & set(modules)


def test_slow_levels_of_zstd_work_in_small_pieces() -> None:
    """What a thread has begun cannot be cancelled, so that it must not be much."""
    packer = compressor(Compression.parse("zstd:19"), threads=2)
    data = os.urandom(1 << 20)
    early = b"".join(piece for _ in range(6) for piece in packer.compress(data))
    assert early
    assert zstandard.ZstdDecompressor().decompressobj().decompress(early + b"".join(packer.finish())) == data * 6
