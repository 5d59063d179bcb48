"""What a manifest has to be before a name or a number in it is used."""

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dgtui.engine.errors import EXIT_DAMAGED, ValidationError
from dgtui.engine.manifest import (
    Manifest,
    StoredFile,
    decode_manifest,
    encode_manifest,
    joined_name,
    manifest_sha256,
    uncompressed_name,
)
from dgtui.engine.model import ObjectInfo
from tests.support.backup_folders import EXECUTION_ID, FOLDER, JOB_ID, make_backup, some_bytes
from tests.support.damage import ARCHIVE_DAMAGES, CHUNK_DAMAGES, MANIFEST_DAMAGES, NEED_TWO_PARTS, TOLERATED

CONTENT = some_bytes(20_000)
NOT_READ_HERE = {"manifest_is_a_link", "manifest_is_a_fifo", "manifest_is_a_folder"}
"""Refused by the storage, before there is anything to decode."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def read(folder: Path) -> Manifest:
    return decode_manifest((folder / "manifest.json").read_bytes())


def content_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Kind and bytes of everything in a folder."""
    found = {path.name: (path, path.lstat().st_mode) for path in folder.iterdir()}
    return {name: (mode, path.read_bytes() if stat.S_ISREG(mode) else b"") for name, (path, mode) in found.items()}


@pytest.mark.parametrize("parts", [1, 3])
def test_what_is_written_is_read_again(folder: Path, parts: int) -> None:
    written = make_backup(folder, CONTENT, parts=parts)
    assert read(folder) == written


@pytest.mark.parametrize("name", sorted(MANIFEST_DAMAGES.keys() - NOT_READ_HERE))
@pytest.mark.parametrize("parts", [1, 3])
def test_a_damaged_manifest_is_refused(folder: Path, name: str, parts: int) -> None:
    make_backup(folder, CONTENT, parts=parts)
    MANIFEST_DAMAGES[name](folder)
    with pytest.raises(ValidationError) as caught:
        read(folder)
    error = caught.value
    assert error.exit_code == EXIT_DAMAGED
    assert error.subject == "manifest.json"
    assert error.hint
    assert len(error.message) < 300
    assert error.message.isprintable()


@pytest.mark.parametrize("name", sorted(TOLERATED))
def test_an_oddity_does_no_harm(folder: Path, name: str) -> None:
    written = make_backup(folder, CONTENT, parts=2)
    TOLERATED[name](folder)
    found = read(folder)
    assert found.chunks == written.chunks
    assert found.checksum == written.checksum


@pytest.mark.parametrize("name", sorted(CHUNK_DAMAGES | ARCHIVE_DAMAGES))
def test_other_damages_leave_a_manifest_that_can_be_read(folder: Path, name: str) -> None:
    make_backup(folder, CONTENT, parts=2)
    before = content_of(folder)
    (CHUNK_DAMAGES | ARCHIVE_DAMAGES)[name](folder)
    assert content_of(folder) != before
    read(folder)


@pytest.mark.parametrize("name", sorted(NEED_TWO_PARTS))
def test_a_damage_that_needs_two_parts_says_so(folder: Path, name: str) -> None:
    make_backup(folder, CONTENT)
    with pytest.raises(ValueError, match="two parts"):
        (CHUNK_DAMAGES | ARCHIVE_DAMAGES)[name](folder)


def test_a_newer_version_is_told_apart_from_damage(folder: Path) -> None:
    make_backup(folder, CONTENT)
    MANIFEST_DAMAGES["manifest_future_version"](folder)
    with pytest.raises(ValidationError, match="made by a newer version of DataGuardian") as caught:
        read(folder)
    assert "damaged" not in caught.value.message


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        ("manifest_naive_time", "created_at"),
        ("size_negative", "size_bytes"),
        ("size_wrong_sum", "compressed_size_bytes"),
        ("name_parent", "chunks[0].file"),
        ("manifest_no_hashes", "checksum"),
        ("ratio_negative", "compression_ratio"),
        ("manifest_chunk_number_2", "chunks[0].number"),
    ],
)
def test_the_error_names_the_field(folder: Path, damage: str, field: str) -> None:
    make_backup(folder, CONTENT)
    MANIFEST_DAMAGES[damage](folder)
    with pytest.raises(ValidationError) as caught:
        read(folder)
    assert field in caught.value.message


def parts_renamed(*names: str) -> Callable[[dict[str, Any]], object]:
    """Other names for the parts, one after the other."""
    return lambda plain: [chunk.update(file=name) for chunk, name in zip(plain["chunks"], names, strict=True)]


def set_to(field: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain.update({field: value})


def huge_parts(plain: dict[str, Any]) -> None:
    """Each size by itself could be, and their sum is told rightly."""
    for chunk in plain["chunks"]:
        chunk["size_bytes"] = 2**62
    plain["compressed_size_bytes"] = 2**62 * len(plain["chunks"])


def no_parts(plain: dict[str, Any]) -> None:
    """Unpacked, so that there is no ending which does not fit."""
    plain.update(chunks=[], compressed_size_bytes=0, compression="none")


OTHERWISE_RIGHT: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "kind": (set_to("datasource_type", "../files"), "datasource_type"),
    "kind and more": (set_to("datasource_type", "files/../x"), "datasource_type"),
    "job and more": (set_to("job_id", JOB_ID + "/../x"), "job_id"),
    "execution and more": (set_to("execution_id", EXECUTION_ID + "/../x"), "execution_id"),
    "whole hash and more": (lambda plain: plain.update(checksum=plain["checksum"] + "0"), "checksum"),
    "hash of a part and more": (
        lambda plain: plain["chunks"][0].update(checksum=plain["chunks"][0]["checksum"] + "0"),
        "chunks[0].checksum",
    ),
    "folder and more": (set_to("folder", FOLDER + "/../x"), "folder"),
    "expiry without a time zone": (set_to("expires_at", "2025-02-13T06:00:01"), "expires_at"),
    "protection without a time zone": (set_to("protected_until", "2025-02-13T06:00:01"), "protected_until"),
    "duration": (set_to("duration_seconds", -1.0), "duration_seconds"),
    "sum that no catalogue holds": (huge_parts, "compressed_size_bytes"),
    "no parts": (no_parts, "chunks"),
    "first part named as if it were all": (
        parts_renamed("backup.tar.zst", "backup.tar.zst.part-002"),
        "chunks[0].file",
    ),
    "parts of two files": (
        parts_renamed("backup.tar.zst.part-001", "backup.sql.zst.part-002"),
        "chunks[1].file",
    ),
    "the same part twice": (parts_renamed("backup.tar.zst.part-001", "backup.tar.zst.part-001"), "chunks[1].file"),
    "part without its zeros": (parts_renamed("backup.tar.zst.part-001", "backup.tar.zst.part-0002"), "chunks[1].file"),
    "name of 201 characters": (
        parts_renamed("backup.tar." + "z" * 181 + ".part-001", "backup.tar.zst.part-002"),
        "chunks[0].file",
    ),
}


@pytest.mark.parametrize("name", OTHERWISE_RIGHT)
def test_one_wrong_field_is_enough(folder: Path, name: str) -> None:
    """All else agrees with it, so that nothing but its own check can refuse it."""
    make_backup(folder, CONTENT, parts=2)
    path = folder / "manifest.json"
    plain = json.loads(path.read_bytes())
    spoil, field = OTHERWISE_RIGHT[name]
    spoil(plain)
    path.write_text(json.dumps(plain))
    with pytest.raises(ValidationError) as caught:
        read(folder)
    assert f"field `{field}` " in caught.value.message


def test_what_an_error_quotes_is_made_printable(folder: Path) -> None:
    """The screen shows it, and acts on none of it."""
    make_backup(folder, CONTENT)
    path = folder / "manifest.json"
    plain = json.loads(path.read_bytes()) | {"backup_type": "\x1b[2J\x07"}
    path.write_text(json.dumps(plain))
    with pytest.raises(ValidationError, match="backup_type") as caught:
        read(folder)
    assert caught.value.message.isprintable()


def test_an_empty_manifest_is_called_empty() -> None:
    for text in (b"", b" \n", b"\xef\xbb\xbf\n"):
        with pytest.raises(ValidationError, match="The manifest is damaged: it is empty"):
            decode_manifest(text)


def test_hashes_of_files_beside_may_be_in_capitals(folder: Path) -> None:
    """As those of the parts."""
    manifest = make_backup(folder, CONTENT)
    beside = StoredFile(file="globals.sql", checksum=f"sha256:{'ab' * 32}", size_bytes=1)
    plain = json.loads(encode_manifest(msgspec.structs.replace(manifest, files=(beside,))))
    plain["files"][0]["checksum"] = f"sha256:{'AB' * 32}"
    assert decode_manifest(json.dumps(plain).encode()).files == (beside,)


def test_text_that_is_no_unicode_does_not_fail_the_backup(folder: Path) -> None:
    manifest = make_backup(folder, CONTENT)
    odd = msgspec.structs.replace(
        manifest, description="caf\udce9", objects=(ObjectInfo(name="\udcff"),), metadata={"\udcfe": ["\udcfd"]}
    )
    found = decode_manifest(encode_manifest(odd))
    assert found.description == "caf\\udce9"
    assert found.objects[0].name == "\\udcff"
    assert found.metadata == {"\\udcfe": ["\\udcfd"]}


def test_a_manifest_that_could_not_be_read_is_never_written(folder: Path) -> None:
    manifest = make_backup(folder, CONTENT)
    with pytest.raises(ValidationError, match="compressed_size_bytes"):
        encode_manifest(msgspec.structs.replace(manifest, compressed_size_bytes=1))
    with pytest.raises(ValidationError, match="created_at"):
        encode_manifest(msgspec.structs.replace(manifest, created_at=datetime(2025, 2, 13)))  # noqa: DTZ001


def test_the_format_is_the_documented_one(folder: Path) -> None:
    make_backup(folder, CONTENT, parts=2)
    plain = json.loads((folder / "manifest.json").read_bytes())
    assert plain["version"] == "1.0"
    assert datetime.fromisoformat(plain["created_at"]) == datetime(2025, 2, 13, 6, 0, 1, tzinfo=UTC)
    assert [sorted(chunk) for chunk in plain["chunks"]] == [["checksum", "file", "number", "size_bytes"]] * 2
    assert [chunk["file"] for chunk in plain["chunks"]] == ["backup.tar.zst.part-001", "backup.tar.zst.part-002"]


@pytest.mark.parametrize(
    ("compression", "joined"), [("zstd:3", "backup.tar.zst"), ("gzip:6", "backup.tar.gz"), ("none", "backup.tar")]
)
@pytest.mark.parametrize("parts", [1, 2])
def test_names_of_the_whole_file(folder: Path, compression: str, joined: str, parts: int) -> None:
    manifest = make_backup(folder, CONTENT, parts=parts, compression=compression)
    assert joined_name(manifest) == joined
    assert uncompressed_name(manifest) == "backup.tar"


def test_the_sha256_is_that_of_the_stored_bytes() -> None:
    assert manifest_sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
