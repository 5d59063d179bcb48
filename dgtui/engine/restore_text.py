"""RESTORE.txt: how to restore one backup with standard tools, as a text to read that a shell can run as well."""

import shlex
from collections.abc import Sequence

from dgtui.engine.child import as_comment
from dgtui.engine.manifest import Chunk, Manifest, StoredFile, joined_name, uncompressed_name
from dgtui.engine.settings import Codec, Compression

_UNPACK: dict[Codec, str] = {
    "zstd": "zstd -q -d {packed} -o {plain}",
    "gzip": "gunzip -c {packed} > {plain}",
    "lz4": "lz4 -q -d {packed} {plain}",
    "none": "",
}


def restore_text(manifest: Manifest, restore_lines: Sequence[str]) -> bytes:
    """The commands that restore this very backup; `restore_lines` are those of its kind for the unpacked file.

    The unpacked file is called `uncompressed_name(manifest)` and lies in the current folder when they run.
    """
    steps = (_check_parts(manifest), _join(manifest), _unpack(manifest), _load(restore_lines))
    numbered = [[f"# {number}. {step[0]}", *step[1:], ""] for number, step in enumerate(steps, start=1)]
    lines = [*_heading(manifest), "", "set -eu", "", *(line for step in numbered for line in step)]
    return "\n".join(lines).encode("utf-8", "backslashreplace")


def _heading(manifest: Manifest) -> list[str]:
    where = f" at {manifest.host}" if manifest.host else ""
    needed = manifest.compressed_size_bytes + manifest.total_size_bytes
    version = manifest.metadata.get("database_version")
    lines = [
        "# How to restore this backup by hand",
        "#",
        as_comment(f"what     {manifest.datasource_type}: {manifest.database}{where} ({manifest.backup_type})"),
        as_comment(f"taken    {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC by {manifest.tool} {manifest.tool_version}"),
        as_comment(f"job      {manifest.job_name or manifest.job_id}, execution {manifest.execution_id}"),
        as_comment(f"from     version {version}") if version else "",
        "#",
        "# Run the commands in this folder, all at once with:",
        "#",
        "#   sh -e RESTORE.txt",
        "#",
        "# or one after the other in a shell of their own, which ends with the first that fails. Begin it with:",
        "#",
        "#   sh",
        "#",
        f"# They write to a new folder under ${{TMPDIR:-/tmp}}, which needs {needed} bytes; nothing is written here.",
    ]
    return [line for line in lines if line]


def _check_parts(manifest: Manifest) -> list[str]:
    files: tuple[Chunk | StoredFile, ...] = (*manifest.chunks, *manifest.files)
    sums = [f"{file.checksum.removeprefix('sha256:')}  {file.file}" for file in files]
    return ["Check that each file is as it was written", "sha256sum -c - <<'END'", *sums, "END"]


def _join(manifest: Manifest) -> list[str]:
    joined = shlex.quote(joined_name(manifest))
    parts = [shlex.quote(chunk.file) for chunk in manifest.chunks]
    return [
        "Put the parts together, and check the whole",
        'work=$(mktemp -d "${TMPDIR:-/tmp}/restore.XXXXXX")',
        " \\\n    ".join(["cat --", *parts]) + f' > "$work"/{joined}',
        'cd "$work"',
        "sha256sum -c - <<'END'",
        f"{manifest.checksum.removeprefix('sha256:')}  {joined_name(manifest)}",
        "END",
    ]


def _unpack(manifest: Manifest) -> list[str]:
    codec = Compression.parse(manifest.compression).codec
    if codec == "none":
        return ["Unpack it: there is nothing to do, it is not compressed"]
    packed, plain = shlex.quote(joined_name(manifest)), shlex.quote(uncompressed_name(manifest))
    return ["Unpack it", _UNPACK[codec].format(packed=packed, plain=plain)]


def _load(restore_lines: Sequence[str]) -> list[str]:
    return ["Restore it", *restore_lines, 'echo "Restored. These files are no longer needed: $work"']
