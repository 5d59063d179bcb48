"""RESTORE.txt is followed to the letter by a shell, and no name in it can become a command."""

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from dgtui.engine.manifest import Manifest, uncompressed_name
from dgtui.engine.restore_text import restore_text
from tests.support.backup_folders import make_backup, some_bytes
from tests.support.damage import CHUNK_DAMAGES

CONTENT = some_bytes(100_000)


def follow(folder: Path, manifest: Manifest, out: Path) -> subprocess.CompletedProcess[str]:
    """Write the text beside the backup and have a shell follow it in that folder."""
    lines = [f"cp {uncompressed_name(manifest)} '{out}'"]
    (folder / "RESTORE.txt").write_bytes(restore_text(manifest, lines))
    temporary = folder.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    return subprocess.run(
        ["sh", "-e", "RESTORE.txt"],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(temporary), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("compression", ["zstd:3", "gzip:6", "lz4:0", "none"])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_shell_restores_by_it(tmp_path: Path, compression: str, parts: int) -> None:
    folder = tmp_path / "a folder, with 'quotes'"
    manifest = make_backup(folder, CONTENT, parts=parts, compression=compression)
    before = sorted(folder.iterdir())
    result = follow(folder, manifest, tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert sorted(path for path in folder.iterdir() if path.name != "RESTORE.txt") == before


@pytest.mark.parametrize("damage", ["bitflip_middle", "chunk_missing", "chunks_swapped", "chunk_shorter"])
def test_it_stops_before_restoring_what_is_damaged(tmp_path: Path, damage: str) -> None:
    manifest = make_backup(tmp_path / "backup", CONTENT, parts=2)
    CHUNK_DAMAGES[damage](tmp_path / "backup")
    result = follow(tmp_path / "backup", manifest, tmp_path / "out")
    assert result.returncode != 0
    assert not (tmp_path / "out").exists()


def test_it_checks_the_whole_as_well(tmp_path: Path) -> None:
    manifest = make_backup(tmp_path / "backup", CONTENT, parts=2)
    manifest = msgspec.structs.replace(manifest, checksum=f"sha256:{'0' * 64}")
    result = follow(tmp_path / "backup", manifest, tmp_path / "out")
    assert "backup.tar.zst: FAILED" in result.stdout
    assert not (tmp_path / "out").exists()


def test_names_are_no_commands(tmp_path: Path) -> None:
    evil = "x\ntouch PWNED\n$(touch PWNED) `touch PWNED`\r\ttouch PWNED\x1b[2J\udcff"
    manifest = msgspec.structs.replace(
        make_backup(tmp_path / "backup", CONTENT),
        database=evil,
        job_name=evil,
        host=evil,
        tool=evil,
        metadata={"database_version": evil},
    )
    result = follow(tmp_path / "backup", manifest, tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.rglob("PWNED"))
    assert "\x1b" not in (tmp_path / "backup" / "RESTORE.txt").read_text()


def test_it_says_what_it_is_for(tmp_path: Path) -> None:
    manifest = make_backup(tmp_path / "backup", CONTENT, parts=2)
    text = restore_text(manifest, ["load it"]).decode()
    for expected in ("shop", "2025-02-13 06:00:01 UTC", manifest.execution_id, "part-002", "load it"):
        assert expected in text
