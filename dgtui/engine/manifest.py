"""`manifest.json`: what a backup is, so that a storage alone can tell (design.md, "On disk")."""

import hashlib
import re
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from dgtui.engine.child import printable
from dgtui.engine.errors import NewerVersion, ValidationError
from dgtui.engine.model import BackupType, ObjectInfo
from dgtui.engine.settings import COMPRESSION_SUFFIXES, Compression

MANIFEST_VERSION = "1.0"


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """One stored part of the backup file."""

    number: int
    """From 1."""
    file: str
    checksum: str
    """`sha256:` and 64 lowercase hexadecimal digits."""
    size_bytes: int


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that lies beside the backup file and belongs to the backup, such as `globals.sql`."""

    file: str
    checksum: str
    """`sha256:` and 64 lowercase hexadecimal digits."""
    size_bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a manifest; unknown fields are ignored when it is read."""

    version: str = MANIFEST_VERSION
    created_at: datetime
    execution_id: str
    job_id: str
    datasource_type: str
    backup_type: BackupType
    compression: str
    """`zstd:3`, `gzip:6`, `lz4:0` or `none`."""
    total_size_bytes: int
    """Before compression."""
    compressed_size_bytes: int
    """As stored, all chunks together."""
    compression_ratio: float
    """Compressed / total, two decimals."""
    checksum: str
    """Of the chunks as stored, one after the other."""
    chunks: tuple[Chunk, ...]
    files: tuple[StoredFile, ...] = ()
    """What else belongs to the backup."""
    metadata: dict[str, Any] = {}
    """`database_version`, `tables_backed_up`, `rows_approximate` and what the adapter adds."""
    job_name: str = ""
    datasource_name: str = ""
    database: str = ""
    host: str = ""
    dgtui_version: str = ""
    tool: str = ""
    tool_version: str = ""
    duration_seconds: float = 0.0
    encryption: str | None = None
    expires_at: datetime | None = None
    description: str = ""
    objects: tuple[ObjectInfo, ...] = ()
    folder: str = ""
    """Name of the backup folder, so that a folder which was moved or renamed is noticed."""
    status: str = "completed"
    """`partial` where a storage had failed already when it was written."""
    purpose: str = "backup"
    """`safety` where it saves what a restore was about to replace."""
    protected_until: datetime | None = None
    """Until when no rule removes it."""
    warnings: tuple[str, ...] = ()


_LARGEST_MANIFEST = 32 << 20
"""Some 400 000 tables; anything beyond was not written by us, and would only cost memory."""
_LARGEST_NUMBER = 2**63 - 1
_BOM = b"\xef\xbb\xbf"
_CHUNK_FILE = re.compile(r"(?P<base>backup\.[a-z]+(?:\.[a-z0-9]+)*)(?:\.part-(?P<number>[0-9]{3,9}))?", re.ASCII)
_EXTRA_FILE = re.compile(r"(?!backup\.|manifest\.)[a-z][a-z0-9_]{0,39}\.[a-z]{1,10}", re.ASCII)
"""Nothing that a part or the manifest could be called."""
_LONGEST_NAME = 200
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_VERSION = re.compile(r"(?P<major>[0-9]{1,6})\.[0-9]{1,6}", re.ASCII)
_FOLDER = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{6}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_HINT = "Restore from another copy; `dgtui validate` tells the state of each"
_MAJOR_VERSION = int(MANIFEST_VERSION.partition(".")[0])


class _Head(msgspec.Struct, frozen=True):
    """What has to be known before the rest can be understood."""

    version: Any = None


_head_decoder = msgspec.json.Decoder(_Head)
_decoder = msgspec.json.Decoder(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as it is stored; never one that `decode_manifest` refuses. Raises ValidationError."""
    try:
        encoded = msgspec.json.encode(manifest)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(_without_surrogates(msgspec.to_builtins(manifest)))
    encoded = msgspec.json.format(encoded, indent=2) + b"\n"
    decode_manifest(encoded)
    return encoded


def manifest_sha256(encoded: bytes) -> str:
    """The SHA-256 of a manifest as it is stored, as 64 hexadecimal digits."""
    return hashlib.sha256(encoded).hexdigest()


def decode_manifest(encoded: bytes) -> Manifest:
    """Read a stored manifest and check all of it, so that its names and sizes can be used.

    Raises ValidationError, which says what is wrong with which field.
    """
    if len(encoded) > _LARGEST_MANIFEST:
        raise _damaged(f"it is larger than {_LARGEST_MANIFEST >> 20} MiB")
    encoded = encoded.removeprefix(_BOM)
    if not encoded.strip():
        raise _damaged("it is empty")
    _check_version(_decode(_head_decoder, encoded).version)
    manifest = _decode(_decoder, encoded)
    manifest = msgspec.structs.replace(
        manifest,
        checksum=manifest.checksum.lower(),
        chunks=tuple(msgspec.structs.replace(chunk, checksum=chunk.checksum.lower()) for chunk in manifest.chunks),
        files=tuple(msgspec.structs.replace(file, checksum=file.checksum.lower()) for file in manifest.files),
    )
    _check_identity(manifest)
    _check_numbers(manifest)
    _check_chunks(manifest)
    _check_files(manifest)
    return manifest


def uncompressed_name(manifest: Manifest) -> str:
    """The name of the backup's file once it is put together and unpacked, such as `backup.dump`."""
    name = joined_name(manifest)
    return name.removesuffix(COMPRESSION_SUFFIXES[Compression.parse(manifest.compression).codec])


def joined_name(manifest: Manifest) -> str:
    """The name of the backup's file once its parts are put together, such as `backup.dump.zst`."""
    match = _CHUNK_FILE.fullmatch(manifest.chunks[0].file)
    assert match is not None, "decode_manifest checked the names"
    return match["base"]


DecodedT = TypeVar("DecodedT")


def _decode(decoder: msgspec.json.Decoder[DecodedT], encoded: bytes) -> DecodedT:
    try:
        return decoder.decode(encoded)
    except msgspec.ValidationError as error:
        raise _damaged(printable(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(f"it is no JSON text ({printable(str(error))})") from error
    except RecursionError as error:
        raise _damaged("it is nested too deeply") from error


def _damaged(reason: str, field: str = "") -> ValidationError:
    where = f"field `{field}` " if field else ""
    return ValidationError(f"The manifest is damaged: {where}{reason}", subject="manifest.json", hint=_HINT)


def _shown(value: object) -> str:
    return printable(repr(value)[:80])


def _check_version(version: object) -> None:
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if match is None:
        raise _damaged(f"is no version: {_shown(version)}", "version")
    if int(match["major"]) > _MAJOR_VERSION:
        raise NewerVersion(
            f"The backup was made by a newer version of DataGuardian (its manifest has version {version})",
            subject="manifest.json",
            hint="Install the newest DataGuardian to read it; nothing deletes it until then",
        )
    if int(match["major"]) < _MAJOR_VERSION:
        raise _damaged(f"has an unknown version: {_shown(version)}", "version")


def _check_identity(manifest: Manifest) -> None:
    for field, pattern, value in (
        ("execution_id", _UUID, manifest.execution_id),
        ("job_id", _UUID, manifest.job_id),
        ("datasource_type", _KIND, manifest.datasource_type),
        ("checksum", _CHECKSUM, manifest.checksum),
    ):
        if not pattern.fullmatch(value):
            raise _damaged(f"has an impossible value: {_shown(value)}", field)
    if manifest.folder and not _FOLDER.fullmatch(manifest.folder):
        raise _damaged(f"has an impossible value: {_shown(manifest.folder)}", "folder")
    for field in ("created_at", "expires_at", "protected_until"):
        moment = getattr(manifest, field)
        if moment is not None and moment.tzinfo is None:
            raise _damaged("has no time zone", field)
    try:
        Compression.parse(manifest.compression)
    except ValueError:
        raise _damaged(f"has an unknown value: {_shown(manifest.compression)}", "compression") from None


def _check_numbers(manifest: Manifest) -> None:
    for field, number in (
        ("total_size_bytes", manifest.total_size_bytes),
        ("compressed_size_bytes", manifest.compressed_size_bytes),
        ("compression_ratio", manifest.compression_ratio),
        ("duration_seconds", manifest.duration_seconds),
    ):
        # A NaN fails this comparison as well.
        if not 0 <= number <= _LARGEST_NUMBER:
            raise _damaged(f"has an impossible value: {_shown(number)}", field)


def _check_chunks(manifest: Manifest) -> None:
    if not manifest.chunks:
        raise _damaged("is empty", "chunks")
    base = ""
    for position, chunk in enumerate(manifest.chunks, start=1):
        field = f"chunks[{position - 1}]"
        match = _CHUNK_FILE.fullmatch(chunk.file) if len(chunk.file) <= _LONGEST_NAME else None
        if match is None:
            raise _damaged(f"is no name of a backup file: {_shown(chunk.file)}", f"{field}.file")
        if chunk.number != position:
            raise _damaged(f"should be {position}, not {_shown(chunk.number)}", f"{field}.number")
        base = base or match["base"]
        part = match["number"] if len(manifest.chunks) > 1 else match["number"] or "001"
        if match["base"] != base or part != f"{position:03d}":
            raise _damaged(f"is not part {position} of {base}: {_shown(chunk.file)}", f"{field}.file")
        _check_content(chunk, field)
    stored = sum(chunk.size_bytes for chunk in manifest.chunks)
    if stored != manifest.compressed_size_bytes:
        raise _damaged(f"is not the sum of the chunks, {stored}", "compressed_size_bytes")
    suffix = COMPRESSION_SUFFIXES[Compression.parse(manifest.compression).codec]
    if not base.endswith(suffix):
        raise _damaged(f"does not fit the file {base}", "compression")


def _check_files(manifest: Manifest) -> None:
    names: set[str] = set()
    for position, file in enumerate(manifest.files):
        field = f"files[{position}]"
        if not _EXTRA_FILE.fullmatch(file.file) or file.file in names:
            raise _damaged(f"is no name of a file beside the backup: {_shown(file.file)}", f"{field}.file")
        names.add(file.file)
        _check_content(file, field)


def _check_content(file: Chunk | StoredFile, field: str) -> None:
    if not _CHECKSUM.fullmatch(file.checksum):
        raise _damaged(f"is no SHA-256: {_shown(file.checksum)}", f"{field}.checksum")
    if not 0 <= file.size_bytes <= _LARGEST_NUMBER:
        raise _damaged(f"has an impossible value: {_shown(file.size_bytes)}", f"{field}.size_bytes")


def _without_surrogates(value: Any) -> Any:
    """Escape what is no Unicode text, such as a command-line argument in another encoding."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    return value
