"""Damaged backups: functions that spoil a good backup folder, each in one named way.

Each takes the path of a backup folder of one or several parts. `DAMAGES` are those that have to be refused, in five
groups by what finds them at the latest: `MANIFEST_DAMAGES` by reading the manifest, `CHUNK_DAMAGES` and
`EXTRA_FILE_DAMAGES` by the sizes and hashes of the parts and of the files beside them, `ARCHIVE_DAMAGES` (all hashes
are right) by unpacking and reading the archive, and `NO_MANIFEST`, which is no complete backup at all. `TOLERATED` are
oddities that may work or be refused clearly.
Those in `NEED_TWO_PARTS` spoil only a backup of two parts or more, and raise ValueError for another.
"""

import json
from pathlib import Path

from tests.support import spoiling as spoil
from tests.support.spoiling import Damage

_DEPTH = 200_000

NO_MANIFEST: dict[str, Damage] = {"manifest_missing": spoil.manifest_missing}

MANIFEST_DAMAGES: dict[str, Damage] = {
    "manifest_empty": spoil.manifest_text(lambda _: b""),
    "manifest_half": spoil.manifest_text(lambda old: old[: len(old) // 2]),
    "manifest_last_byte_missing": spoil.manifest_text(lambda old: old.rstrip()[:-1]),
    "manifest_not_json": spoil.manifest_text(lambda _: b"this is no JSON\n"),
    "manifest_zeroed": spoil.manifest_text(lambda old: bytes(len(old))),
    "manifest_list": spoil.manifest_text(lambda _: b"[]"),
    "manifest_null": spoil.manifest_text(lambda _: b"null"),
    "manifest_no_utf8": spoil.manifest_text(lambda old: old.replace(b"shop", b"\xff\xfe")),
    "manifest_is_a_link": spoil.manifest_is_a_link,
    "manifest_is_a_fifo": spoil.manifest_is_a_fifo,
    "manifest_is_a_folder": spoil.manifest_is_a_folder,
    "manifest_future_version": spoil.field("version", "2.0"),
    "manifest_version_0": spoil.field("version", "0.9"),
    "manifest_version_number": spoil.field("version", 1),
    "manifest_no_version": spoil.without("version"),
    "manifest_no_hashes": spoil.no_hashes,
    "manifest_short_hash": spoil.chunk_field("checksum", lambda old: old[:-1]),
    "manifest_empty_hash": spoil.chunk_field("checksum", lambda _: ""),
    "manifest_other_hash": spoil.chunk_field("checksum", lambda old: old.replace("sha256", "md5")),
    "manifest_whole_hash_empty": spoil.field("checksum", ""),
    "manifest_no_chunks": spoil.field("chunks", []),
    "manifest_chunks_null": spoil.field("chunks", None),
    "manifest_chunk_number_0": spoil.chunk_field("number", lambda _: 0),
    "manifest_chunk_number_2": spoil.chunk_field("number", lambda _: 2),
    "manifest_naive_time": spoil.field("created_at", "2025-02-13T06:00:01"),
    "manifest_no_such_day": spoil.field("created_at", "2025-02-30T06:00:01Z"),
    "manifest_unknown_codec": spoil.field("compression", "rar:9"),
    "manifest_other_codec": spoil.field("compression", "lz4:0"),
    "manifest_job_id_traversal": spoil.field("job_id", "../../x"),
    "manifest_execution_id_traversal": spoil.field("execution_id", "../x"),
    "manifest_folder_traversal": spoil.field("folder", "../2025-02-13_060001"),
    "size_wrong_sum": spoil.chunk_field("size_bytes", lambda old: old + 1),
    "size_negative": spoil.chunk_field("size_bytes", lambda old: -old),
    "size_text": spoil.chunk_field("size_bytes", str),
    "size_huge": spoil.chunk_field("size_bytes", lambda _: 10**30),
    "size_null": spoil.chunk_field("size_bytes", lambda _: None),
    "size_fraction": spoil.chunk_field("size_bytes", lambda old: old + 0.5),
    "size_total_negative": spoil.field("total_size_bytes", -1),
    "size_total_huge": spoil.field("total_size_bytes", 10**30),
    "size_total_nan": spoil.raw("total_size_bytes", b"NaN"),
    "size_total_infinite": spoil.raw("total_size_bytes", b"1e999"),
    "size_total_100000_digits": spoil.raw("total_size_bytes", b"9" * 100_000),
    "size_total_4000_digits": spoil.raw("total_size_bytes", b"9" * 4_000),
    "ratio_nan": spoil.raw("compression_ratio", b"NaN"),
    "ratio_negative": spoil.field("compression_ratio", -0.5),
    "json_deep": spoil.raw("extra", b"[" * _DEPTH + b"]" * _DEPTH),
    "json_deep_metadata": spoil.raw("metadata", b'{"a":' * _DEPTH + b"1" + b"}" * _DEPTH),
    "json_60_mb": spoil.raw("extra", b'"' + b"x" * 60_000_000 + b'"'),
    "json_100000_digits_metadata": spoil.raw("metadata", b'{"rows": ' + b"9" * 100_000 + b"}"),
    "name_parent": spoil.name("../backup.tar.zst"),
    "name_deep_parent": spoil.name("../../../../../../etc/passwd"),
    "name_absolute": spoil.name("/etc/passwd"),
    "name_dev_zero": spoil.name("/dev/zero"),
    "name_environment": spoil.name("/proc/self/environ"),
    "name_subfolder": spoil.name("sub/backup.tar.zst"),
    "name_dot": spoil.name("."),
    "name_empty": spoil.name(""),
    "name_nul": spoil.name("backup.tar.zst\0"),
    "name_newline": spoil.name("backup.tar.zst\n"),
    "name_option": spoil.name("--help"),
    "name_url": spoil.name("https://example.com/backup.tar.zst"),
    "name_5000_bytes": spoil.name("backup." + "a" * 5000),
    "name_backslash": spoil.name("..\\backup.tar.zst"),
    "name_escape_codes": spoil.name("\x1b[2J\x1b]0;title\x07backup.tar.zst"),
    "name_shell": spoil.name("backup.tar.zst;touch PWNED"),
    "name_manifest": spoil.name("manifest.json"),
    "name_hidden": spoil.name(".backup.tar.zst"),
    "name_null": spoil.chunk_field("file", lambda _: None),
}

MANIFEST_DAMAGES |= {
    "extra_name_parent": spoil.extra_files({"file": "../globals.sql"}),
    "extra_name_absolute": spoil.extra_files({"file": "/etc/passwd"}),
    "extra_name_hidden": spoil.extra_files({"file": ".globals.sql"}),
    "extra_name_manifest": spoil.extra_files({"file": "manifest.json"}),
    "extra_name_of_a_part": spoil.extra_files({"file": "backup.tar"}),
    "extra_name_newline": spoil.extra_files({"file": "globals.sql\n"}),
    "extra_name_shell": spoil.extra_files({"file": "globals.sql;touch PWNED"}),
    "extra_file_twice": spoil.extra_files({}, {}),
    "extra_file_no_hash": spoil.extra_files({"checksum": ""}),
    "extra_file_size_negative": spoil.extra_files({"size_bytes": -1}),
    "extra_file_size_huge": spoil.extra_files({"size_bytes": 10**30}),
    "extra_files_null": spoil.field("files", None),
}

EXTRA_FILE_DAMAGES: dict[str, Damage] = {
    "extra_file_missing": spoil.extra_file(Path.unlink),
    "extra_file_flipped": spoil.extra_file(spoil.flip_first),
    "extra_file_shorter": spoil.extra_file(lambda path: path.write_bytes(path.read_bytes()[:-1])),
    "extra_file_longer": spoil.extra_file(lambda path: path.write_bytes(path.read_bytes() + b"x")),
    "extra_file_is_a_link": spoil.extra_file(spoil.replace_by_link),
}

CHUNK_DAMAGES: dict[str, Damage] = {
    "bitflip_first": spoil.flip(lambda _: 0),
    "bitflip_middle": spoil.flip(lambda size: size // 2),
    "bitflip_last": spoil.flip(lambda size: size - 1),
    "chunk_missing": spoil.chunk_missing,
    "chunk_empty": spoil.last_part(lambda _: b""),
    "chunk_shorter": spoil.last_part(lambda old: old[:-1]),
    "chunk_longer": spoil.last_part(lambda old: old + b"\0"),
    "chunk_doubled": spoil.last_part(lambda old: old + old),
    "chunk_zeroed": spoil.last_part(lambda old: bytes(len(old))),
    "chunk_is_a_folder": spoil.chunk_is_a_folder,
    "chunk_is_a_fifo": spoil.chunk_is_a_fifo,
    "chunk_is_a_link": spoil.chunk_is_a_link,
    "chunk_links_to_dev_zero": spoil.chunk_links_to("/dev/zero"),
    "chunk_links_to_nothing": spoil.chunk_links_to("/nonexistent"),
    "chunks_swapped": spoil.chunks_swapped,
    "chunk_hashes_swapped": spoil.chunk_hashes_swapped,
    "hash_of_whole_wrong": spoil.field("checksum", f"sha256:{'0' * 64}"),
    "hash_of_part_wrong": spoil.chunk_field("checksum", lambda _: f"sha256:{'0' * 64}"),
}

ARCHIVE_DAMAGES: dict[str, Damage] = {
    "garbage_rehashed": spoil.garbage_rehashed,
    "cut_rehashed": spoil.cut_rehashed,
    "chunks_swapped_rehashed": spoil.chunks_swapped_and_rehashed,
    "last_part_left_out": spoil.last_part_left_out,
    "bomb_rehashed": spoil.bomb(claimed=False),
    "bomb_claimed": spoil.bomb(claimed=True),
    "total_size_too_small": spoil.field("total_size_bytes", 1),
    "total_size_too_large": spoil.field("total_size_bytes", 1 << 40),
}

DAMAGES: dict[str, Damage] = {
    **NO_MANIFEST,
    **MANIFEST_DAMAGES,
    **CHUNK_DAMAGES,
    **EXTRA_FILE_DAMAGES,
    **ARCHIVE_DAMAGES,
}

NEED_TWO_PARTS = frozenset({"chunks_swapped", "chunk_hashes_swapped", "chunks_swapped_rehashed", "last_part_left_out"})


TOLERATED: dict[str, Damage] = {
    "byte_order_mark": spoil.manifest_text(lambda old: b"\xef\xbb\xbf" + old),
    "crlf": spoil.manifest_text(lambda old: old.replace(b"\n", b"\r\n")),
    "one_line": spoil.manifest_text(lambda old: json.dumps(json.loads(old)).encode()),
    "unknown_keys": spoil.raw("from_the_future", b'{"a": [1, null, {"b": 1e300}]}'),
    "duplicate_keys": spoil.duplicate_keys,
    "newer_minor_version": spoil.field("version", "1.7"),
    "upper_case_hashes": spoil.upper_case_hashes,
    "stray_files": spoil.stray_files,
    "escape_codes_in_description": spoil.field("description", "\x1b[2J\x1b]0;owned\x07[bold]x[/bold]"),
    "escape_codes_in_objects": spoil.field("objects", [{"name": "\x1b[31mred\n", "rows": 1, "bytes": None}]),
}
