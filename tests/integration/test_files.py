"""File trees: everything comes back as it was, what could not be read is said, and nothing is written elsewhere."""

import contextlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.file_tree import Patterns, included
from dgtui.engine.datasources.files import FilesDatasource
from dgtui.engine.datasources.files_target import FilesSettings
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.places import shown, unshown
from dgtui.engine.errors import BackupCreationError, ConfigError
from dgtui.engine.reporting import SilentReporter
from tests.support.nobody import as_nobody
from tests.support.pump import BLOCK, check_archive, dump_to, load_into
from tests.support.trees import (
    HOLE,
    NASTY_NAMES,
    bind_socket,
    tree_digest,
    tree_listing,
)

AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="needs root")


def datasource(path: Path, **settings: Any) -> FilesDatasource:
    return FilesDatasource("tree", FilesSettings(type="files", path=str(path), **settings))


def names_below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@needs_root
def test_round_trip_is_exact(tree_nasty: Path, tmp_path: Path, scratch: Path) -> None:
    source, archive, target = datasource(tree_nasty), tmp_path / "backup.tar", tmp_path / "restored"
    expected = tree_listing(tree_nasty)

    summary = dump_to(source, archive, scratch=scratch)

    assert summary.warnings == ()
    assert list(scratch.iterdir()) == []
    assert archive.stat().st_size < HOLE // 100
    check_archive(source, archive, scratch)
    outcome = load_into(source, archive, str(target), scratch=scratch)
    assert (outcome.errors, outcome.error_count) == ((), 0)
    assert tree_listing(target) == expected
    assert tree_listing(tree_nasty) == expected
    assert source.inventory(str(target)) == summary.objects
    assert not list(tmp_path.rglob("PWNED"))


@needs_root
def test_estimate_is_near_the_size_of_the_archive(tree_nasty: Path, tmp_path: Path, scratch: Path) -> None:
    (tree_nasty / "large").write_bytes(os.urandom(3_000_000))
    archive = tmp_path / "backup.tar"
    probe = datasource(tree_nasty).probe()
    dump_to(datasource(tree_nasty), archive, scratch=scratch)
    assert probe.estimated_dump_bytes == pytest.approx(archive.stat().st_size, rel=0.02)


def test_members_of_the_archive_are_its_objects(small_tree: Path, tmp_path: Path, scratch: Path) -> None:
    source, archive = datasource(small_tree), tmp_path / "backup.tar"
    summary = dump_to(source, archive, scratch=scratch)
    assert {entry.name: entry.rows for entry in summary.objects} == {"a": 5, "b": 5, "top.tmp": 1, "top.txt": 1}
    assert summary.objects == source.probe().objects == source.inventory(str(small_tree))


def test_single_file_comes_back_as_a_file(tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / "-one file"
    path.write_bytes(b"content")
    path.chmod(0o640)
    source, archive = datasource(path), tmp_path / "backup.tar"
    summary = dump_to(source, archive, scratch=scratch)
    assert summary.objects == source.probe().objects or [entry.name for entry in summary.objects] == ["."]
    new, keep = source.beside_name(str(path), "__new"), source.beside_name(str(path), "__old")
    path.write_bytes(b"spoiled")
    assert load_into(source, archive, new, scratch=scratch).errors == ()
    assert source.inventory(new) == summary.objects
    source.swap(new, str(path), keep, SilentReporter())
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o640
    assert Path(keep).read_bytes() == b"spoiled"


def test_empty_folder(tmp_path: Path, scratch: Path) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    archive = tmp_path / "backup.tar"
    summary = dump_to(datasource(root), archive, scratch=scratch)
    assert summary.objects == ()
    load_into(datasource(root), archive, str(tmp_path / "restored"), scratch=scratch)
    assert tree_digest(tmp_path / "restored") == tree_digest(root)


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"exclude": ("*.tmp",)}, {"a", "a/one.txt", "a/cache", "a/cache/x.bin", "b", "b/cache", "b/cache/deep",
                                   "b/cache/deep/y.bin", "b/three.txt", "top.txt"}),
        ({"exclude": ("cache", "./top.*")}, {"a", "a/one.txt", "a/two.tmp", "b", "b/three.txt"}),
        ({"exclude": ("a/cache/", "*/*.txt")}, {"a", "a/two.tmp", "b", "b/cache", "b/cache/deep",
                                                "b/cache/deep/y.bin", "top.txt", "top.tmp"}),
        ({"include": ("*.txt",)}, {"a", "a/one.txt", "b", "b/three.txt", "top.txt"}),
        ({"include": ("b", "top.*"), "exclude": ("deep",)}, {"b", "b/cache", "b/three.txt", "top.txt", "top.tmp"}),
        ({"include": ("b/cache",)}, {"b", "b/cache", "b/cache/deep", "b/cache/deep/y.bin"}),
        ({"include": ("[ab]/?n*.txt",)}, {"a", "a/one.txt"}),
        ({"include": ("/a/one.txt", "./?/c*/deep")}, {"a", "a/one.txt", "b", "b/cache", "b/cache/deep",
                                                      "b/cache/deep/y.bin"}),
    ],
    ids=lambda value: str(sorted(value))[:40],
)  # fmt: skip
def test_patterns(
    small_tree: Path, tmp_path: Path, scratch: Path, settings: dict[str, tuple[str, ...]], left: set[str]
) -> None:
    source, archive, target = datasource(small_tree, **settings), tmp_path / "backup.tar", tmp_path / "restored"
    summary = dump_to(source, archive, scratch=scratch)
    load_into(source, archive, str(target), scratch=scratch)
    assert names_below(target) == left
    assert source.inventory(str(target)) == summary.objects
    probe = source.probe()
    if "include" not in settings:
        assert probe.objects == summary.objects
    for name in left:
        assert (target / name).stat().st_mtime_ns == (small_tree / name).stat().st_mtime_ns


@pytest.mark.parametrize(
    ("include", "looked_into"),
    [
        (("a/one.txt",), [".", "a"]),
        (("b/cache",), [".", "b"]),
        (("?/cache/y",), [".", "a", "b", "a/cache", "b/cache"]),
        (("b", "*/none/x"), [".", "a", "a/cache"]),
        (("[b]/none",), [".", "a", "b", "a/cache", "b/cache", "b/cache/deep"]),
        (("y.bin",), [".", "a", "b", "a/cache", "b/cache", "b/cache/deep"]),
    ],
    ids=str,
)
def test_only_folders_are_looked_into_where_something_may_be_included(
    small_tree: Path, monkeypatch: pytest.MonkeyPatch, include: tuple[str, ...], looked_into: list[str]
) -> None:
    seen: set[str] = set()
    scandir = os.scandir

    def look(folder: Path) -> Any:
        seen.add(str(Path(folder).relative_to(small_tree)))
        return scandir(folder)

    monkeypatch.setattr("dgtui.engine.datasources.file_tree.os.scandir", look)
    included(small_tree, Patterns(include), Patterns(()), one_file_system=False)
    assert seen == set(looked_into)


@pytest.mark.parametrize("name", [name for name in NASTY_NAMES if b"*" not in name], ids=repr)
def test_hostile_names_as_patterns_and_selections(tmp_path: Path, scratch: Path, name: bytes) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    for existing in (name, b"stays"):
        (root / os.fsdecode(existing)).write_bytes(existing)
    escaped = os.fsdecode(name).replace("\\", "\\\\")
    archive = tmp_path / "backup.tar"
    dump_to(datasource(root, exclude=(escaped,)), archive, scratch=scratch)
    with tarfile.open(archive, errors="surrogateescape", encoding="utf-8") as tar:
        assert sorted(tar.getnames()) == [".", "./stays"]
    summary = dump_to(datasource(root), archive, scratch=scratch)
    source, target = datasource(root), tmp_path / "restored"
    label = shown(name)
    assert unshown(label) == name
    assert label.isprintable()
    assert label in {entry.name for entry in summary.objects}
    outcome = load_into(source, archive, str(target), Selection(tables=(label,)), scratch=scratch)
    assert outcome.errors == ()
    assert os.listdir(os.fsencode(target)) == [name]  # noqa: PTH208  # names as bytes
    assert not list(tmp_path.rglob("PWNED"))


def test_include_that_fits_nothing_is_an_error(small_tree: Path, tmp_path: Path, scratch: Path) -> None:
    with pytest.raises(BackupCreationError, match="fits `include`"):
        dump_to(datasource(small_tree, include=("*.nothing",)), tmp_path / "x", scratch=scratch)
    assert list(scratch.iterdir()) == []


def test_socket_is_left_out_and_listed(small_tree: Path, tmp_path: Path, scratch: Path) -> None:
    bind_socket(small_tree / "so\nck")
    summary = dump_to(datasource(small_tree), tmp_path / "x.tar", scratch=scratch)
    assert len(summary.warnings) == 1
    assert "sockets" in summary.warnings[0]
    assert "so\\nck" in summary.warnings[0]


_DUMP_AS_NOBODY = """
import sys
from pathlib import Path
from tests.integration.test_files import datasource
from tests.support.pump import dump_to
summary = dump_to(datasource(Path(sys.argv[1])), Path(sys.argv[2]) / "backup.tar", scratch=Path(sys.argv[2]))
print(*summary.warnings, sep="|")
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@needs_root
@pytest.mark.root
def test_unreadable_files_and_folders_are_listed_and_the_rest_is_kept(open_folder: Path) -> None:
    root, out = open_folder / "tree", open_folder / "out"
    (root / "closed").mkdir(parents=True)
    (root / "closed" / "inside").touch()
    (root / "closed").chmod(0o700)
    (root / "secret").write_text("secret")
    (root / "secret").chmod(0o600)
    (root / "open").write_text("open")
    out.mkdir()
    out.chmod(0o777)
    said = as_nobody(_DUMP_AS_NOBODY, str(root), str(out))
    assert said.startswith("Files that could not be read and are MISSING or incomplete in the backup (2): ")
    assert "./secret" in said
    assert "./closed" in said
    with tarfile.open(out / "backup.tar") as tar:
        assert sorted(tar.getnames()) == [".", "./open"]


def test_files_that_vanish_and_change_while_they_are_read(tmp_path: Path, scratch: Path) -> None:
    """Files come and go and grow all the time: each dump is whole or says what is not, and can be unpacked."""
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(300):
        (root / f"{number:03}").write_bytes(os.urandom(20_000))
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            for number in range(0, 300, 3):
                path = root / f"{number:03}"
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                path.write_bytes(b"again" * number)
                with (root / f"{number + 1:03}").open("ab") as file:
                    file.write(b"more")

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        warnings = [
            warning
            for round_number in range(8)
            for warning in _dump_and_unpack(root, tmp_path / f"{round_number}.tar", scratch)
        ]
    finally:
        stop.set()
        disturber.join()
    assert all(warning.startswith("Files that ") for warning in warnings)


def _dump_and_unpack(root: Path, archive: Path, scratch: Path) -> tuple[str, ...]:
    summary = dump_to(datasource(root), archive, scratch=scratch)
    check_archive(datasource(root), archive, scratch)
    target = archive.with_suffix(".restored")
    assert load_into(datasource(root), archive, str(target), scratch=scratch).errors == ()
    assert datasource(root).inventory(str(target)) == summary.objects
    return summary.warnings


def test_file_that_is_gone_between_list_and_read_is_a_warning(tmp_path: Path, scratch: Path) -> None:
    """The pipe is full with the first file, so the others can be changed while tar waits."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / "only").write_bytes(os.urandom(8 << 20))
    source = datasource(root)
    options = DumpOptions(scratch_folder=str(scratch))
    dump = source.open_dump(source.probe(), options, SilentReporter())
    try:
        os.read(dump.fd, BLOCK)
        with (root / "only").open("r+b") as file:
            file.truncate(5 << 20)
        while os.read(dump.fd, BLOCK):
            pass
        summary = dump.finish()
    finally:
        dump.stop()
    assert len(summary.warnings) >= 1
    assert any("./only" in warning and "zeros" in warning for warning in summary.warnings)


def test_killed_tar_is_a_failure(tmp_path: Path, scratch: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "large").write_bytes(bytes(20 << 20))
    os.truncate(root / "large", 20 << 20)
    source = datasource(root)
    dump = source.open_dump(source.probe(), DumpOptions(scratch_folder=str(scratch)), SilentReporter())
    try:
        os.read(dump.fd, BLOCK)
        killer = dump._child.process  # type: ignore[attr-defined]
        killer.kill()
        while os.read(dump.fd, BLOCK):
            pass
        with pytest.raises(BackupCreationError, match="SIGKILL"):
            dump.finish()
    finally:
        dump.stop()
    assert list(scratch.iterdir()) == []


def test_missing_source_and_wrong_options(tmp_path: Path, small_tree: Path, scratch: Path) -> None:
    with pytest.raises(BackupCreationError, match="There is no"):
        datasource(tmp_path / "nothing").probe()
    with pytest.raises(ConfigError):
        dump_to(datasource(small_tree), tmp_path / "x", DumpOptions(backup_type="schema_only"), scratch=scratch)


@needs_root
@pytest.mark.root
def test_other_file_systems_are_left_out_where_wanted_and_listed(
    small_tree: Path, tmp_path: Path, scratch: Path
) -> None:
    mounted = small_tree / "a" / "mounted"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", mounted], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (mounted / "inside").touch()
        summary = dump_to(datasource(small_tree, one_file_system=True), tmp_path / "one.tar", scratch=scratch)
        assert "./a/mounted" in summary.warnings[0]
        with tarfile.open(tmp_path / "one.tar") as tar:
            assert "./a/mounted/inside" not in tar.getnames()
        assert dump_to(datasource(small_tree), tmp_path / "all.tar", scratch=scratch).warnings == ()
        with tarfile.open(tmp_path / "all.tar") as tar:
            assert "./a/mounted/inside" in tar.getnames()
    finally:
        subprocess.run(["umount", "-l", mounted], check=True)
