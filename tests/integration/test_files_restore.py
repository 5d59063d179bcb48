"""File trees: an archive is unpacked whole, in its own place, or not at all."""

import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.tar_reader import TarReader
from dgtui.engine.errors import DataGuardianError, RestoreError, ValidationError
from dgtui.engine.reporting import SilentReporter
from tests.integration.test_files import datasource, names_below, needs_root
from tests.support.homes import Home
from tests.support.nobody import as_nobody
from tests.support.pump import BLOCK, FileArchive, check_archive, dump_to, load_into
from tests.support.trees import (
    evil_members,
    tree_digest,
    write_tar,
)


def test_chosen_paths_alone_come_back_and_a_missing_one_is_an_error(
    small_tree: Path, tmp_path: Path, scratch: Path
) -> None:
    source, archive = datasource(small_tree), tmp_path / "backup.tar"
    dump_to(source, archive, scratch=scratch)
    load_into(source, archive, str(tmp_path / "one"), Selection(tables=("a/cache", "top.txt")), scratch=scratch)
    assert names_below(tmp_path / "one") == {"a", "a/cache", "a/cache/x.bin", "top.txt"}
    outcome = load_into(source, archive, str(tmp_path / "two"), Selection(tables=("nothing",)), scratch=scratch)
    assert outcome.error_count == 1
    assert "nothing" in outcome.errors[0].message


@needs_root
def test_every_cut_of_an_archive_is_found(tree_nasty: Path, tmp_path: Path, scratch: Path) -> None:
    archive = tmp_path / "backup.tar"
    dump_to(datasource(tree_nasty), archive, scratch=scratch)
    content = archive.read_bytes()
    end = len(content.rstrip(b"\x00"))
    marks = -(-end // 512) * 512
    for cut in [*range(0, marks + 512, 512), 1, 100, 700, end - 1]:
        reader = TarReader()
        with pytest.raises(ValidationError):
            _feed(reader, content[:cut])
    _feed(TarReader(), content[: marks + 1024])


@needs_root
@pytest.mark.parametrize("size", [1, 7, 511, 512, 513, 10_240])
def test_reader_takes_blocks_of_any_size(tree_nasty: Path, tmp_path: Path, scratch: Path, size: int) -> None:
    archive = tmp_path / "backup.tar"
    (tree_nasty / "large").write_bytes(os.urandom(100_000))
    summary = dump_to(datasource(tree_nasty), archive, scratch=scratch)
    content = archive.read_bytes()[: 400_000 if size < 500 else None]
    reader = TarReader()
    for start in range(0, len(content), size):
        reader.feed(content[start : start + size])
    if size >= 500:
        reader.finish()
        assert reader.tally.objects() == summary.objects


def _feed(reader: TarReader, content: bytes) -> None:
    for start in range(0, len(content), BLOCK):
        reader.feed(content[start : start + BLOCK])
    reader.finish()


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize("evil", sorted(evil_members(Path("/x/canary"))))
def test_evil_archive_is_refused_and_writes_nothing_outside(
    tmp_path: Path, scratch: Path, evil: str, form: int
) -> None:
    canary = tmp_path / "outside" / "canary"
    canary.parent.mkdir()
    canary.write_bytes(b"alive")
    outside = tree_digest(canary.parent)
    archive = tmp_path / "evil.tar"
    write_tar(archive, evil_members(canary)[evil], form=form)
    source = datasource(tmp_path / "tree")
    with pytest.raises(ValidationError, match="reach out") as refusal:
        check_archive(source, archive, scratch)
    assert refusal.value.detail
    with pytest.raises(ValidationError, match="reach out"):
        load_into(source, archive, str(tmp_path / "restored"), scratch=scratch)
    assert tree_digest(canary.parent) == outside
    assert {path.name for path in tmp_path.iterdir()} == {"outside", "evil.tar", "scratch", "restored"}


@needs_root
def test_device_nodes_are_made_only_where_the_configuration_says_so(tmp_path: Path, scratch: Path) -> None:
    root, archive = tmp_path / "tree", tmp_path / "backup.tar"
    root.mkdir()
    try:
        os.mknod(root / "null", 0o666 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("no device nodes can be made here")
    summary = dump_to(datasource(root), archive, scratch=scratch)
    assert "device_nodes" in summary.warnings[0]
    with pytest.raises(RestoreError, match=r"device nodes: \./null"):
        load_into(datasource(root), archive, str(tmp_path / "one"), scratch=scratch)
    assert not (tmp_path / "one" / "null").exists()
    willing = datasource(root, device_nodes=True)
    assert dump_to(willing, archive, scratch=scratch).warnings == ()
    assert load_into(willing, archive, str(tmp_path / "two"), scratch=scratch).errors == ()
    assert tree_digest(tmp_path / "two") == tree_digest(root)
    (root / "dev").mkdir()
    (root / "null").rename(root / "dev" / "null")
    (root / "device").write_text("no device")
    dump_to(willing, archive, scratch=scratch)
    with pytest.raises(RestoreError, match=r"device nodes: \./dev/null"):
        load_into(datasource(root), archive, str(tmp_path / "three"), Selection(tables=("dev",)), scratch=scratch)
    assert not (tmp_path / "three" / "dev" / "null").exists()
    beside = load_into(
        datasource(root), archive, str(tmp_path / "four"), Selection(tables=("device",)), scratch=scratch
    )
    assert (beside.errors, beside.notes) == ((), ())


@pytest.mark.parametrize("chosen", ["once", "twice/deep", "z", "z/z"])
def test_chosen_hard_links_come_back_without_the_name_that_holds_their_content(
    tmp_path: Path, scratch: Path, chosen: str
) -> None:
    root, archive = tmp_path / "tree", tmp_path / "backup.tar"
    root.mkdir()
    names = ("once", "a/b/one", "a/link", "twice/other", "twice/deep/first", "twice/deep/second", "z/z", "z/y")
    for name in names:
        (root / name).parent.mkdir(exist_ok=True, parents=True)
    (root / "once").write_text("one and the same")
    for name in names[1:]:
        os.link(root / "once", root / name)
    (root / "loop").symlink_to("loop")
    os.link(root / "loop", root / "twice" / "deep" / "loop", follow_symlinks=False)
    for folder in (root / "a" / "b", root / "twice" / "deep", root / "twice", root / "z", root):
        os.utime(folder, ns=(0, 10**18 + 123456789))
    dump_to(datasource(root), archive, scratch=scratch)
    target = tmp_path / "one"
    outcome = load_into(datasource(root), archive, str(target), Selection(tables=(chosen,)), scratch=scratch)
    assert outcome.errors == ()
    top = root / chosen.partition("/")[0]
    wanted = {str(path.relative_to(root)) for path in (root / chosen, *(root / chosen).rglob("*"))}
    assert names_below(target) == wanted | {str(top.relative_to(root))}
    for name in wanted | {top.name}:
        assert (target / name).lstat().st_mtime_ns == (root / name).lstat().st_mtime_ns, name
        if (root / name).is_file():
            assert (target / name).read_text() == "one and the same"


@pytest.mark.parametrize("position", [148, 124, 156, 0])
def test_flipped_header_is_found(small_tree: Path, tmp_path: Path, scratch: Path, position: int) -> None:
    archive = tmp_path / "backup.tar"
    dump_to(datasource(small_tree), archive, scratch=scratch)
    content = bytearray(archive.read_bytes())
    content[position] ^= 0x41
    archive.write_bytes(content)
    with pytest.raises(ValidationError):
        check_archive(datasource(small_tree), archive, scratch)


def test_swap_and_what_is_kept(small_tree: Path, tmp_path: Path, scratch: Path) -> None:
    source, archive = datasource(small_tree), tmp_path / "backup.tar"
    dump_to(source, archive, scratch=scratch)
    backup = tree_digest(small_tree)
    (small_tree / "later").write_text("later")
    later = tree_digest(small_tree)
    new, keep = source.beside_name(str(small_tree), "__new"), source.beside_name(str(small_tree), "__old")
    load_into(source, archive, new, scratch=scratch)
    source.swap(new, str(small_tree), keep, SilentReporter())
    assert tree_digest(small_tree) == backup
    assert tree_digest(Path(keep)) == later
    assert not Path(new).exists()
    source.drop_target(keep)
    assert not Path(keep).exists()


def test_swap_is_refused_where_something_is_in_the_way(small_tree: Path, tmp_path: Path) -> None:
    source = datasource(small_tree)
    before = tree_digest(small_tree)
    source.create_target(str(tmp_path / "new"))
    (tmp_path / "keep").mkdir()
    (tmp_path / "link").symlink_to(small_tree)
    with pytest.raises(RestoreError, match="in the way"):
        source.swap(str(tmp_path / "new"), str(small_tree), str(tmp_path / "keep"), SilentReporter())
    with pytest.raises(RestoreError, match="symbolic link"):
        source.swap(str(tmp_path / "new"), str(tmp_path / "link"), str(tmp_path / "other"), SilentReporter())
    assert tree_digest(small_tree) == before
    assert (tmp_path / "new").is_dir()


@needs_root
@pytest.mark.root
def test_mount_point_is_neither_swapped_nor_removed(small_tree: Path, tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    if subprocess.run(["mount", "--bind", small_tree, mounted], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        source = datasource(mounted)
        source.create_target(str(tmp_path / "new"))
        with pytest.raises(RestoreError, match="mount point") as refusal:
            source.swap(str(tmp_path / "new"), str(mounted), str(tmp_path / "keep"), SilentReporter())
        assert "rsync" in refusal.value.hint
        with pytest.raises(RestoreError, match="a mount"):
            source.drop_target(str(mounted))
    finally:
        subprocess.run(["umount", "-l", mounted], check=True)
    assert "top.txt" in names_below(small_tree)


@needs_root
@pytest.mark.root
def test_what_is_mounted_in_a_tree_neither_moves_away_nor_is_removed(home: Home, tmp_path: Path) -> None:
    """A bind mount from the same disk looks like any folder to whoever removes the former tree later."""
    tree, elsewhere = tmp_path / "tree", tmp_path / "elsewhere"
    (tree / "app" / "uploads").mkdir(parents=True)
    (tree / "app" / "code").write_text("1")
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{tree}"\n')
    assert home.back_up().status == "completed"
    mounted = tree / "app" / "uploads"
    if subprocess.run(["mount", "--bind", elsewhere, mounted], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        for choice in ((), ("--table", "app")):
            refused = home.dgtui("restore", "nightly@latest", *choice, "--overwrite", "--yes")
            assert refused.exit_code == 1, refused
            assert f"umount {mounted}" in refused.errors
            assert "nothing was changed" in refused.errors
        source = datasource(tree)
        with pytest.raises(RestoreError, match="is mounted there"):
            source.drop_target(str(tree))
        source.create_target(str(tmp_path / "new"))
        with pytest.raises(RestoreError, match="would move away"):
            source.swap(str(tmp_path / "new"), str(tree), str(tmp_path / "keep"), SilentReporter())
        assert (mounted / "precious").exists()
        (tree / "app" / "code").write_text("2")
        merged = home.dgtui("restore", "nightly@latest", "--table", "app/code", "--overwrite", "--yes")
        assert merged.exit_code == 0, merged
        assert (tree / "app" / "code").read_text() == "1"
        assert (mounted / "precious").exists()
    finally:
        subprocess.run(["umount", "-l", mounted], check=True)
    assert (elsewhere / "precious").exists()


def test_a_path_that_is_too_long_is_told_in_few_words(home: Home, tmp_path: Path) -> None:
    """The backup has told that tar cannot unpack it; at the restore each line of tar holds the whole path."""
    tree, name = tmp_path / "tree", "d" * 250
    tree.mkdir()
    folder = os.open(tree, os.O_RDONLY)
    for _ in range(17):
        os.mkdir(name, dir_fd=folder)
        inner = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    try:
        home.configure(f'[datasources.shop]\ntype = "files"\npath = "{tree}"\n')
        execution = home.back_up()
        assert [warning for warning in execution.warnings if "cannot unpack" in warning]
        refused = home.dgtui("restore", "nightly@latest", "--into", str(tmp_path / "new"), "--yes")
        assert refused.exit_code == 1, refused
        assert "no path of more than 4095 bytes" in refused.errors
        assert max(map(len, refused.errors.splitlines())) < 1000
    finally:
        subprocess.run(["rm", "-rf", tree], check=True)


def test_targets_that_are_refused(small_tree: Path, tmp_path: Path, scratch: Path) -> None:
    source, archive = datasource(small_tree), tmp_path / "backup.tar"
    dump_to(source, archive, scratch=scratch)
    (tmp_path / "link").symlink_to(small_tree)
    stored = FileArchive(archive)
    attempts = [
        lambda: source.create_target(str(tmp_path / "link" / "x")),
        lambda: source.create_target("/"),
        lambda: source.create_target(str(small_tree)),
        lambda: source.drop_target("/"),
        lambda: source.drop_target("/etc"),
        lambda: source.drop_target(str(tmp_path / "link")),
        lambda: source.drop_target(str(tmp_path / "link" / "a")),
        lambda: source.check_restore(stored, str(tmp_path / "link" / "a"), Selection()),
        lambda: source.check_restore(stored, str(tmp_path / "nothing" / "x"), Selection()),
        lambda: source.load(
            stored, str(small_tree), Selection(), SilentReporter(), jobs=1, scratch_folder=scratch
        ),
    ]  # fmt: skip
    before = tree_digest(small_tree)
    for attempt in attempts:
        with pytest.raises(DataGuardianError) as refusal:
            attempt()  # type: ignore[no-untyped-call]
        assert refusal.value.hint
    assert tree_digest(small_tree) == before


def test_target_state(small_tree: Path, tmp_path: Path) -> None:
    source = datasource(small_tree)
    assert not source.target_state(str(tmp_path / "nothing")).exists
    (tmp_path / "empty").mkdir()
    assert source.target_state(str(tmp_path / "empty")).empty
    assert not source.target_state(str(small_tree)).empty
    (tmp_path / "file").touch()
    assert not source.target_state(str(tmp_path / "file")).empty


def test_tree_deeper_than_a_path_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "deep"
    top.mkdir()
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(top)
        for _ in range(620):
            os.mkdir("deeper")  # noqa: PTH102  # relative to where we are
            os.chdir("deeper")
    finally:
        os.fchdir(here)
        os.close(here)
    datasource(tmp_path).drop_target(str(top))
    assert not top.exists()


@needs_root
def test_what_is_immutable_and_cannot_be_removed_is_told_with_what_helps(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "fixed").touch()
    if subprocess.run(["chattr", "+i", str(tree / "fixed")], capture_output=True, check=False).returncode != 0:
        pytest.skip("this file system knows no immutable files")
    try:
        with pytest.raises(RestoreError) as failure:
            datasource(tree).drop_target(str(tree))
    finally:
        subprocess.run(["chattr", "-i", str(tree / "fixed")], check=True)
    assert "immutable" in failure.value.hint
    assert f"chattr -R -i -a {tree}" in failure.value.hint


def test_manual_restore_by_hand(small_tree: Path, tmp_path: Path, scratch: Path) -> None:
    source = datasource(small_tree)
    dump_to(source, tmp_path / "backup.tar", scratch=scratch)
    target = tmp_path / "by hand's place"
    script = "set -e\n" + "\n".join(source.manual_restore("backup.tar", str(target)))
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert tree_digest(target) == tree_digest(small_tree)


_AS_OWNER = """
import os
import sys
from pathlib import Path
from dgtui.engine.datasources.tree_part import replace_paths
from dgtui.engine.datasources.tree_swap import remove_tree
from dgtui.engine.restore_model import PartChange

root = Path(sys.argv[1])
for name in ("live", "beside"):
    (root / name / "closed" / "moved").mkdir(parents=True)
    (root / name / "closed" / "file").write_text(name)
(root / "beside" / "closed" / "lost" / "deep").mkdir(parents=True)
(root / "beside" / "closed" / "lost" / "deep" / "file").write_text("lost")
for path in (*root.glob("*/closed/lost/deep"), *root.glob("*/closed/*"), *root.glob("*/closed")):
    if path.is_dir():
        path.chmod(0o555)

def tell():
    found = sorted((root / "live").glob("**/*"))
    print(*(f"{path.name}={path.stat().st_mode & 0o777:o}" for path in found if path.is_dir()), end=";")

def put(beside, keep_as, **how):
    change = PartChange(database=str(root / "live"), beside=str(root / beside), keep_as=str(root / keep_as), **how)
    replace_paths(change, remove_tree, lambda mark, part: None)
    tell()

tell()
if sys.argv[2] == "merge":
    put("beside", "kept", merge=True)
else:
    put("beside", "kept", tables=("closed/file", "closed/moved", "closed/lost"))
put("kept", "again", back=True)
put("again", "last", back=True)
remove_tree(root / "last")
print((root / "last").exists())
"""


@needs_root
@pytest.mark.root
@pytest.mark.parametrize("how", ["merge", "tables"])
def test_folders_for_reading_alone_are_no_obstacle_for_their_owner(how: str) -> None:
    """A part goes in and out again, they keep their modes, and what is kept of them can be removed."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o777)
        said = as_nobody(_AS_OWNER, folder, how)
    before, after = "closed=555 moved=555", "closed=555 lost=555 deep=555 moved=555"
    assert said == f"{before};{after};{before};{after};False\n"


_CLOSED_ROOT = """
import sys
from pathlib import Path
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.reporting import SilentReporter
from tests.integration.test_files import datasource
from tests.support.pump import FileArchive, dump_to

folder = Path(sys.argv[1])
root, new, archive = folder / "tree", folder / "new", folder / "backup.tar"
root.mkdir()
(root / "file").write_text("all")
root.chmod(0o555)
source = datasource(root)
dump_to(source, archive, scratch=folder)
source.create_target(str(new), like=str(root))
source.load(FileArchive(archive), str(new), Selection(), SilentReporter(), jobs=1, scratch_folder=folder)
print((new / "file").read_text(), f"{new.stat().st_mode & 0o777:o}")
for path in (root, new):
    path.chmod(0o755)
"""


@needs_root
@pytest.mark.root
def test_a_tree_that_is_for_reading_alone_itself_is_unpacked_by_its_owner() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o777)
        assert as_nobody(_CLOSED_ROOT, folder) == "all 555\n"
