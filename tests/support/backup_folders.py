"""Backup folders made by hand, for tests that need one and no server."""

import hashlib
import random
import uuid
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dgtui.config.model import job_id
from dgtui.engine.codecs import backup_file_name, compressor, part_file_name
from dgtui.engine.manifest import Chunk, Manifest, encode_manifest
from dgtui.engine.settings import Compression
from dgtui.engine.storages.local_marker import MARKER

FOLDER = "2025-02-13_060001"
JOB_ID = "6f1c1f0e-5b1e-4a8e-9d5c-0c7f6f3b2a11"
EXECUTION_ID = "0b9f7d9a-2f56-4a58-8d24-3f1f2d0a4c77"


def some_bytes(size: int, seed: int = 1) -> bytes:
    """Bytes that pack to about half their size, the same ones for the same seed."""
    return bytes(random.Random(seed).choices(b"0123456789abcdef", k=size))


def pack(content: bytes, compression: str = "zstd:3") -> bytes:
    """The content as the product packs it."""
    packer = compressor(Compression.parse(compression))
    return b"".join([*packer.compress(content), *packer.finish()])


def make_backup(
    folder: Path,
    content: bytes,
    *,
    parts: int = 1,
    compression: str = "zstd:3",
    archive_format: str = "tar",
    datasource_type: str = "files",
) -> Manifest:
    """Write a good backup folder; its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = pack(content, compression)
    name = backup_file_name(archive_format, Compression.parse(compression))
    step = -(-len(stored) // parts)
    chunks = []
    for number in range(1, parts + 1):
        block = stored[(number - 1) * step : number * step]
        file = name if parts == 1 else part_file_name(name, number)
        (folder / file).write_bytes(block)
        chunks.append(Chunk(number=number, file=file, checksum=sha256(block), size_bytes=len(block)))
    manifest = Manifest(
        created_at=datetime(2025, 2, 13, 6, 0, 1, tzinfo=UTC),
        execution_id=EXECUTION_ID,
        job_id=JOB_ID,
        job_name="shop-nightly",
        datasource_type=datasource_type,
        datasource_name="shop",
        database="shop",
        backup_type="full",
        compression=compression,
        total_size_bytes=len(content),
        compressed_size_bytes=len(stored),
        compression_ratio=round(len(stored) / len(content), 2),
        checksum=sha256(stored),
        chunks=tuple(chunks),
        folder=FOLDER,
    )
    (folder / "manifest.json").write_bytes(encode_manifest(manifest))
    return manifest


def add_backup(storage: Path, job: str, taken: datetime, content: bytes = b"content" * 100, *, parts: int = 1) -> Path:
    """Write a whole backup of a job at a local storage, as it would have been made; its folder."""
    job_folder = job_id(job, None)
    folder = storage / job_folder / f"{taken:%Y-%m-%d_%H%M%S}"
    manifest = msgspec.structs.replace(
        make_backup(folder, content, parts=parts),
        execution_id=new_id(),
        job_id=job_folder,
        job_name=job,
        created_at=taken,
        folder=folder.name,
    )
    (folder / "manifest.json").write_bytes(encode_manifest(manifest))
    return folder


def mark_storage(storage: Path) -> None:
    """Mark a folder as a local storage that was used before."""
    (storage / MARKER).write_text(f'{{"storage_id": "{new_id()}"}}')


def sha256(content: bytes) -> str:
    """A checksum as manifests write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def new_id() -> str:
    """An id that nothing else has."""
    return str(uuid.uuid4())
