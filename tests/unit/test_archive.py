"""What is stored is read back exactly, and no damage to it goes unnoticed."""

import gc
import hashlib
import io
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import pytest

from dgtui.engine.archive import StoredArchive, check_parts
from dgtui.engine.datasources.dumping import ArchiveCheck
from dgtui.engine.errors import Cancelled, DiskSpaceError, StorageError, ValidationError
from dgtui.engine.manifest import Chunk, Manifest
from dgtui.engine.pipeline import PipelineCounters, PipelineResult, run_pipeline
from dgtui.engine.settings import Compression
from dgtui.engine.storages.base import FolderRef, Storage
from tests.support.folder_writer import FolderWriter
from tests.support.homes import wait_until

RAW = b"".join(b"%d\tcustomer %d\n" % (number, number * 7919 % 1009) for number in range(60_000)) + os.urandom(400_000)
REF = FolderRef(job_id="0e8e2c9a-5ca3-4b49-a2a7-fd1a5a3a3c6e", folder="2025-02-13_060001")
EVERY_CODEC = ["zstd:3", "gzip:6", "lz4:0", "none"]


class FolderStorage:
    """Just enough of a storage to read a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[str] = []

    def open_file(self, ref: FolderRef, file_name: str) -> BinaryIO:
        assert ref == REF
        self.opened.append(file_name)
        try:
            return (self.folder / file_name).open("rb")
        except FileNotFoundError:
            raise ValidationError(f"{file_name} is missing", subject=file_name) from None


class Backup:
    """A backup in a folder, as the pipeline wrote it."""

    def __init__(self, folder: Path, compression: str, max_part_bytes: int | None) -> None:
        self.folder = folder / "backup"
        self.scratch = folder / "scratch"
        self.scratch.mkdir(mode=0o700)
        (folder / "raw").write_bytes(RAW)
        with (folder / "raw").open("rb") as source:
            result = run_pipeline(
                source.fileno(),
                [FolderWriter("disk", self.folder)],
                file_name="backup.dump.x",
                compression=Compression.parse(compression),
                threads=None,
                max_part_bytes=max_part_bytes,
                tap=None,
                counters=PipelineCounters(),
                cancelled=threading.Event(),
                idle_timeout=60,
            )
        self.manifest = manifest_of(result, compression)
        self.storage = FolderStorage(self.folder)
        self.cancelled = threading.Event()

    def path(self, number: int) -> Path:
        return self.folder / self.manifest.chunks[number - 1].file

    def archive(self, **changes: Any) -> StoredArchive:
        manifest = msgspec.structs.replace(self.manifest, **changes)
        return StoredArchive(cast(Storage[Any], self.storage), REF, manifest, self.scratch, self.cancelled)

    def open_file(self, file_name: str) -> BinaryIO:
        return self.storage.open_file(REF, file_name)

    def rehashed(self) -> dict[str, Any]:
        """The fields of a manifest that agrees with whatever lies in the folder now."""
        parts = [(self.folder / chunk.file).read_bytes() for chunk in self.manifest.chunks]
        chunks = tuple(
            Chunk(number=chunk.number, file=chunk.file, checksum=sha256(part), size_bytes=len(part))
            for chunk, part in zip(self.manifest.chunks, parts, strict=True)
        )
        return {"chunks": chunks, "checksum": sha256(b"".join(parts))}


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def manifest_of(result: PipelineResult, compression: str) -> Manifest:
    return Manifest(
        created_at=datetime(2025, 2, 13, 6, 0, 1, tzinfo=UTC),
        execution_id="8b1c8a4e-51a4-43c0-9c0a-2b6f3b0c1d2e",
        job_id=REF.job_id,
        datasource_type="postgres",
        backup_type="full",
        compression=str(Compression.parse(compression)),
        total_size_bytes=result.total_size_bytes,
        compressed_size_bytes=result.compressed_size_bytes,
        compression_ratio=1.0,
        checksum=result.checksum,
        chunks=result.chunks,
    )


class RecordingCheck(ArchiveCheck):
    """Keeps what it is fed, and how it ended; with `refuse`, finds the first block bad."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.seen = b""
        self.ended: list[str] = []
        self._refuse = refuse

    def feed(self, block: bytes) -> None:
        if self._refuse:
            raise ValidationError("The reader stumbled", subject="reader")
        self.seen += block

    def finish(self) -> None:
        self.ended.append("finish")

    def stop(self) -> None:
        self.ended.append("stop")


@pytest.fixture(params=EVERY_CODEC)
def any_backup(request: pytest.FixtureRequest, tmp_path: Path) -> Backup:
    return Backup(tmp_path, request.param, 200_000)


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    return Backup(tmp_path, "zstd:3", 200_000)


def test_the_bytes_come_back_each_time_they_are_asked_for(any_backup: Backup) -> None:
    assert len(any_backup.manifest.chunks) > 2
    archive = any_backup.archive()
    assert archive.total_size_bytes == len(RAW)
    assert b"".join(archive.blocks()) == RAW
    assert b"".join(archive.blocks()) == RAW
    assert any_backup.storage.opened == [chunk.file for chunk in any_backup.manifest.chunks] * 2


@pytest.mark.parametrize("compression", EVERY_CODEC)
def test_a_backup_of_one_part_comes_back(compression: str, tmp_path: Path) -> None:
    backup = Backup(tmp_path, compression, None)
    assert b"".join(backup.archive().blocks()) == RAW
    check_parts(backup.open_file, backup.manifest.chunks, cancelled=backup.cancelled, checksum=backup.manifest.checksum)


def test_the_blocks_are_small_and_never_empty(any_backup: Backup) -> None:
    sizes = [len(block) for block in any_backup.archive().blocks()]
    assert 0 < min(sizes) <= max(sizes) <= 1 << 18


def test_the_file_is_made_once_for_us_alone_and_removed(backup: Backup) -> None:
    old_mask = os.umask(0)
    try:
        archive = backup.archive()
        path = archive.as_file()
    finally:
        os.umask(old_mask)
    assert path.parent == backup.scratch
    assert path.read_bytes() == RAW
    assert path.stat().st_mode & 0o777 == 0o600
    opened = len(backup.storage.opened)
    assert archive.as_file() == path
    assert len(backup.storage.opened) == opened
    archive.close()
    assert list(backup.scratch.iterdir()) == []
    archive.close()


def test_no_file_is_left_of_a_damaged_archive(backup: Backup) -> None:
    flip(backup.path(2))
    with pytest.raises(ValidationError):
        backup.archive().as_file()
    assert list(backup.scratch.iterdir()) == []


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_scratch_folder_is_told_and_left_empty(backup: Backup) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", backup.scratch], check=True)
    try:
        with pytest.raises(DiskSpaceError, match="No space left") as caught:
            backup.archive().as_file()
        assert caught.value.subject == str(backup.scratch)
        assert list(backup.scratch.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", backup.scratch], check=True)


def flip(path: Path, position: int | None = None) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if position is None else position] ^= 1
    path.write_bytes(data)


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "first bit": lambda path: flip(path, 0),
    "middle bit": flip,
    "last bit": lambda path: flip(path, -1),
    "empty": lambda path: path.write_bytes(b""),
    "shorter": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "doubled": lambda path: path.write_bytes(path.read_bytes() * 2),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "missing": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("number", [1, 2, -1])
@pytest.mark.parametrize("compression", ["zstd:3", "none"])
def test_damage_to_a_part_is_found_and_the_part_named(
    damage: str, number: int, compression: str, tmp_path: Path
) -> None:
    backup = Backup(tmp_path, compression, 200_000)
    number = number if number > 0 else len(backup.manifest.chunks)
    path = backup.path(number)
    DAMAGES[damage](path)
    check = RecordingCheck()
    for read in (
        lambda: check_parts(backup.open_file, backup.manifest.chunks, cancelled=backup.cancelled),
        lambda: b"".join(backup.archive().blocks()),
        lambda: backup.archive().check(check),
    ):
        with pytest.raises(ValidationError) as caught:
            read()
        assert caught.value.subject == path.name
    assert check.ended == ["stop"]


def test_expected_and_found_checksum_are_told(backup: Backup) -> None:
    flip(backup.path(2))
    with pytest.raises(ValidationError) as caught:
        check_parts(backup.open_file, backup.manifest.chunks, cancelled=backup.cancelled)
    assert backup.manifest.chunks[1].checksum in caught.value.message
    assert sha256(backup.path(2).read_bytes()) in caught.value.message


def test_swapped_parts_of_equal_size_are_found(backup: Backup) -> None:
    swap(backup.path(1), backup.path(2))
    with pytest.raises(ValidationError) as caught:
        b"".join(backup.archive().blocks())
    assert caught.value.subject == backup.manifest.chunks[0].file


def test_a_checksum_of_the_whole_that_does_not_fit_is_found(any_backup: Backup) -> None:
    with pytest.raises(ValidationError, match="as a whole"):
        b"".join(any_backup.archive(checksum=sha256(b"")).blocks())
    with pytest.raises(ValidationError, match="as a whole"):
        check_parts(
            any_backup.open_file, any_backup.manifest.chunks, cancelled=any_backup.cancelled, checksum=sha256(b"")
        )


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_total_that_does_not_fit_is_found(any_backup: Backup, difference: int) -> None:
    total = len(RAW) + difference
    sizes: list[int] = []
    with pytest.raises(ValidationError, match=f"{total}"):
        sizes.extend(len(block) for block in any_backup.archive(total_size_bytes=total).blocks())
    assert sum(sizes) <= total


def test_sizes_from_the_manifest_allocate_nothing(backup: Backup) -> None:
    chunks = tuple(msgspec.structs.replace(chunk, size_bytes=2**62) for chunk in backup.manifest.chunks)
    with pytest.raises(ValidationError, match="expected 4611686018427387904 bytes, found 200000"):
        b"".join(backup.archive(chunks=chunks, total_size_bytes=2**63 - 1).blocks())


def test_garbage_with_matching_hashes_is_found(any_backup: Backup) -> None:
    if any_backup.manifest.compression == "none":
        any_backup.path(1).write_bytes(os.urandom(100))
    else:
        any_backup.path(1).write_bytes(os.urandom(200_000))
    with pytest.raises(ValidationError, match="archive is damaged"):
        b"".join(any_backup.archive(**any_backup.rehashed()).blocks())


def test_the_archives_own_reader_gets_all_of_it(any_backup: Backup) -> None:
    check = RecordingCheck()
    any_backup.archive().check(check)
    assert check.seen == RAW
    assert check.ended == ["finish", "stop"]


def test_the_archives_own_reader_has_its_say(backup: Backup) -> None:
    check = RecordingCheck(refuse=True)
    with pytest.raises(ValidationError, match="stumbled"):
        backup.archive().check(check)
    assert check.ended == ["stop"]


def test_a_damaged_part_is_told_rather_than_what_the_reader_stumbled_over(backup: Backup) -> None:
    flip(backup.path(3))
    with pytest.raises(ValidationError) as caught:
        backup.archive().check(RecordingCheck(refuse=True))
    assert caught.value.subject == backup.manifest.chunks[2].file


def test_cancelling_ends_the_reading(backup: Backup) -> None:
    blocks = backup.archive().blocks()
    next(blocks)
    backup.cancelled.set()
    with pytest.raises(Cancelled):
        list(blocks)
    with pytest.raises(Cancelled):
        check_parts(backup.open_file, backup.manifest.chunks, cancelled=backup.cancelled)


def test_a_storage_that_cannot_be_read_is_no_damage(backup: Backup) -> None:
    class Unreadable(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, _buffer: Any) -> int:
            raise OSError(5, "Input/output error")

    def open_file(_name: str) -> BinaryIO:
        return cast(BinaryIO, Unreadable())

    with pytest.raises(StorageError, match="Input/output error"):
        check_parts(open_file, backup.manifest.chunks, cancelled=backup.cancelled)


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    gc.collect()
    before = set(Path("/proc/self/fd").iterdir())
    yield
    gc.collect()  # an exception that was caught holds the frames it went through, and their files, in a circle
    # Threads of earlier tests may have something open for a moment.
    wait_until(lambda: set(Path("/proc/self/fd").iterdir()) <= before, "the end of all descriptors of this test")
