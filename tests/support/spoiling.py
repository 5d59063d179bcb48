"""The ways in which a backup folder can be spoiled; `damage.py` gives them names."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Damage = Callable[[Path], None]

MANIFEST = "manifest.json"
EXTRA = "globals.sql"
_BOMB_BYTES = 1 << 30


def read(folder: Path) -> dict[str, Any]:
    """The manifest as plain data."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    return manifest


def write(folder: Path, manifest: object) -> None:
    """Put a manifest in place, unchecked."""
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2))


def parts(folder: Path) -> list[Path]:
    """The stored parts, in order."""
    return [folder / chunk["file"] for chunk in read(folder)["chunks"]]


def rehash(folder: Path) -> None:
    """Make the manifest agree with the bytes that are there."""
    manifest = read(folder)
    whole = hashlib.sha256()
    for chunk, path in zip(manifest["chunks"], parts(folder), strict=True):
        content = path.read_bytes()
        whole.update(content)
        chunk.update(checksum=f"sha256:{hashlib.sha256(content).hexdigest()}", size_bytes=len(content))
    manifest["checksum"] = f"sha256:{whole.hexdigest()}"
    manifest["compressed_size_bytes"] = sum(chunk["size_bytes"] for chunk in manifest["chunks"])
    write(folder, manifest)


@contextlib.contextmanager
def editing(folder: Path) -> Iterator[dict[str, Any]]:
    manifest = read(folder)
    yield manifest
    write(folder, manifest)


def flip(position: Callable[[int], int]) -> Damage:
    def damage(folder: Path) -> None:
        path = parts(folder)[-1]
        content = bytearray(path.read_bytes())
        content[position(len(content))] ^= 1
        path.write_bytes(content)

    return damage


def last_part(change: Callable[[bytes], bytes]) -> Damage:
    def damage(folder: Path) -> None:
        path = parts(folder)[-1]
        path.write_bytes(change(path.read_bytes()))

    return damage


def chunk_missing(folder: Path) -> None:
    parts(folder)[-1].unlink()


def chunk_is_a_folder(folder: Path) -> None:
    chunk_missing(folder)
    parts(folder)[-1].mkdir()


def chunk_is_a_fifo(folder: Path) -> None:
    chunk_missing(folder)
    os.mkfifo(parts(folder)[-1])


def chunk_is_a_link(folder: Path) -> None:
    """The link leads to the very bytes: only that it is a link is wrong."""
    path = parts(folder)[-1]
    elsewhere = folder.parent / f"elsewhere-{path.name}"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


def chunk_links_to(target: str) -> Damage:
    def damage(folder: Path) -> None:
        chunk_missing(folder)
        parts(folder)[-1].symlink_to(target)

    return damage


def chunks_swapped(folder: Path) -> None:
    first, second = two_parts(folder)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def chunks_swapped_and_rehashed(folder: Path) -> None:
    """Each part has its right hash, and so has the whole: only the archive is in the wrong order."""
    chunks_swapped(folder)
    rehash(folder)


def chunk_hashes_swapped(folder: Path) -> None:
    """The parts agree with their hashes, the whole does not."""
    chunks_swapped(folder)
    checksum = read(folder)["checksum"]
    rehash(folder)
    with editing(folder) as manifest:
        manifest["checksum"] = checksum


def two_parts(folder: Path) -> list[Path]:
    if len(found := parts(folder)) < 2:
        raise ValueError("this damage needs a backup of two parts or more")
    return found[:2]


def last_part_left_out(folder: Path) -> None:
    """The manifest forgets the last part, and agrees with itself."""
    two_parts(folder)
    with editing(folder) as manifest:
        manifest["chunks"].pop()
    rehash(folder)


def manifest_text(change: Callable[[bytes], bytes]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / MANIFEST
        path.write_bytes(change(path.read_bytes()))

    return damage


def manifest_is_a_folder(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).mkdir()


def manifest_is_a_fifo(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    os.mkfifo(folder / MANIFEST)


def manifest_is_a_link(folder: Path) -> None:
    elsewhere = folder.parent / f"elsewhere-{MANIFEST}"
    shutil.move(folder / MANIFEST, elsewhere)
    (folder / MANIFEST).symlink_to(elsewhere)


def manifest_missing(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def field(name: str, value: object) -> Damage:
    def damage(folder: Path) -> None:
        with editing(folder) as manifest:
            manifest[name] = value

    return damage


def without(name: str) -> Damage:
    def damage(folder: Path) -> None:
        with editing(folder) as manifest:
            del manifest[name]

    return damage


def chunk_field(name: str, change: Callable[[Any], object]) -> Damage:
    def damage(folder: Path) -> None:
        with editing(folder) as manifest:
            manifest["chunks"][0][name] = change(manifest["chunks"][0][name])

    return damage


def no_hashes(folder: Path) -> None:
    with editing(folder) as manifest:
        for item in (manifest, *manifest["chunks"]):
            del item["checksum"]


def extra_files(*changes: dict[str, object]) -> Damage:
    """A good file beside the backup for each of the changes to its entry in the manifest."""

    def damage(folder: Path) -> None:
        content = b"-- roles"
        entry = {"file": EXTRA, "checksum": f"sha256:{hashlib.sha256(content).hexdigest()}", "size_bytes": len(content)}
        (folder / EXTRA).write_bytes(content)
        with editing(folder) as manifest:
            manifest["files"] = [{**entry, **change} for change in changes]

    return damage


def extra_file(spoil: Callable[[Path], object]) -> Damage:
    """What is done to a file beside the backup; it is made where there is none."""

    def damage(folder: Path) -> None:
        if not read(folder).get("files"):
            extra_files({})(folder)
        spoil(folder / read(folder)["files"][0]["file"])

    return damage


def flip_first(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def replace_by_link(path: Path) -> None:
    elsewhere = path.parent.parent / f"elsewhere-{path.name}"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


def name(name: str) -> Damage:
    return chunk_field("file", lambda _: name)


def raw(name: str, text: bytes) -> Damage:
    """A field whose value is written as it stands, also where it is no sensible JSON."""

    def damage(folder: Path) -> None:
        manifest = read(folder)
        manifest[name] = "@value@"
        (folder / MANIFEST).write_bytes(json.dumps(manifest, indent=2).encode().replace(b'"@value@"', text, 1))

    return damage


def garbage_rehashed(folder: Path) -> None:
    size = sum(path.stat().st_size for path in parts(folder))
    noise = hashlib.shake_256(b"garbage").digest(size)
    for path in parts(folder):
        length = path.stat().st_size
        path.write_bytes(noise[:length])
        noise = noise[length:]
    rehash(folder)


def cut_rehashed(folder: Path) -> None:
    """The stored file ends at 60 %, and the manifest agrees."""
    path = parts(folder)[-1]
    os.truncate(path, path.stat().st_size * 6 // 10)
    rehash(folder)


def bomb(*, claimed: bool) -> Damage:
    """1 GiB of one byte in a small file; with `claimed` the manifest says so."""

    def damage(folder: Path) -> None:
        paths = parts(folder)
        bomb = pack_bomb(_BOMB_BYTES, read(folder)["compression"])
        paths[0].write_bytes(bomb)
        with editing(folder) as manifest:
            manifest["chunks"] = manifest["chunks"][:1]
            if claimed:
                manifest["total_size_bytes"] = _BOMB_BYTES
        rehash(folder)

    return damage


def pack_bomb(size: int, compression: str) -> bytes:
    """One byte over and over, packed; without a codec only as many as are no burden.

    Not zeros: a tar of zeros is a whole archive without members.
    """
    if compression == "none":
        return b"\xaa" * min(size, 64 << 20)
    if compression.startswith("zstd"):
        import zstandard

        block = b"\xaa" * (1 << 20)
        packer = zstandard.ZstdCompressor(level=3).compressobj(size=size)
        return b"".join([*(packer.compress(block) for _ in range(size >> 20)), packer.flush()])
    from dgtui.engine.codecs import compressor
    from dgtui.engine.settings import Compression

    stream = compressor(Compression.parse(compression))
    blocks = [piece for _ in range(size >> 20) for piece in stream.compress(b"\xaa" * (1 << 20))]
    return b"".join([*blocks, *stream.finish()])


def upper_case_hashes(folder: Path) -> None:
    with editing(folder) as manifest:
        for item in (manifest, *manifest["chunks"]):
            item["checksum"] = "sha256:" + item["checksum"].removeprefix("sha256:").upper()


def stray_files(folder: Path) -> None:
    (folder / "notes.txt").write_text("do not delete, the boss")
    (folder / "backup.tar.zst.part-999").write_bytes(b"stray")
    (folder / ".hidden").mkdir()
    (folder.parent / "stray").write_bytes(b"")


def duplicate_keys(folder: Path) -> None:
    text = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(text.replace(b"{", b'{"total_size_bytes": 1, "version": "1.0",', 1))
