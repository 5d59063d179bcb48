"""File trees with every hard feature, a digest of one, and archives that try to reach out of their folder."""

import errno
import hashlib
import io
import os
import socket
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HOLE = 1 << 30
NASTY_NAMES = (
    b"new\nline",
    b"-rf",
    b"--checkpoint-action=exec=touch PWNED",
    b" leading and trailing ",
    b"tab\tbell\x07escape\x1b[31m",
    b"latin1-\xe4\xf6\xfc",
    b"not utf-8 \xff\xfe\x80",
    "кириллица 日本 é é".encode(),
    b"back\\slash\\n\\101",
    b"quote'\"`$(touch PWNED)",
    b"star*?[a-z]{b,c}",
    b"a -> b",
    b"n" * 255,
    b"\xe4" * 255,
)


def make_tree(root: Path) -> None:
    """A tree below `root`, which must not exist; as root with owners and device nodes besides."""
    root.mkdir()
    _names(root / "names")
    _links(root)
    _contents(root)
    _modes(root)
    deep = root
    while len(os.fsencode(deep)) < 3800:
        deep /= "deep" * 40
    deep.mkdir(parents=True)
    (deep / "bottom").write_bytes(b"here")
    os.mkfifo(root / "fifo")
    _times(root)


def _names(folder: Path) -> None:
    folder.mkdir()
    for number, name in enumerate(NASTY_NAMES):
        (folder / os.fsdecode(name)).write_bytes(b"%d" % number)
        (folder / os.fsdecode(name[:250] + b".dir")).mkdir()
    (folder / "l -> m").symlink_to("a -> b")


def _links(root: Path) -> None:
    (root / "links").mkdir()
    (root / "one").write_bytes(b"one and the same")
    os.link(root / "one", root / "links" / "two")
    os.link(root / "one", root / "zz-three")
    (root / "links" / "relative").symlink_to("../one")
    (root / "links" / "absolute").symlink_to("/etc/passwd")
    (root / "links" / "dangling").symlink_to("nowhere/at/all")
    (root / "links" / "loop").symlink_to("..")
    os.link(root / "links" / "dangling", root / "links" / "dangling too", follow_symlinks=False)


def _contents(root: Path) -> None:
    (root / "empty folder").mkdir()
    (root / "empty file").touch()
    (root / "block").write_bytes(b"x" * 512)
    (root / "all bytes").write_bytes(bytes(range(256)) * 300)
    with (root / "hole").open("wb") as file:
        file.truncate(HOLE)
        file.seek(HOLE // 2)
        file.write(b"island")
    with (root / "only hole").open("wb") as file:
        file.truncate(10_000_000)


def _modes(root: Path) -> None:
    for mode in (0o000, 0o400, 0o755, 0o4755, 0o2755, 0o666):
        (root / f"mode {mode:o}").write_bytes(b"m")
        (root / f"mode {mode:o}").chmod(mode)
    (root / "sticky").mkdir()
    (root / "sticky").chmod(0o1777)
    (root / "closed").mkdir()
    (root / "closed" / "inside").write_bytes(b"closed")
    for name, value in ((b"user.plain", b"value"), (b"user.binary", bytes(range(256))), (b"user.empty", b"")):
        for path in (root / "all bytes", root / "empty folder"):
            _set_attribute(path, name, value)
    if os.geteuid() == 0:
        os.chown(root / "block", 12345, 54321)
        os.lchown(root / "links" / "dangling", 1, 2)
        os.chown(root / "empty folder", 65534, 65534)
        # A POSIX access list as the kernel keeps it: user 1234 may read and write, the mask allows it.
        access = b"\x02\x00\x00\x00" + b"".join(
            tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + who.to_bytes(4, "little")
            for tag, bits, who in (
                (1, 6, 0xFFFFFFFF),
                (2, 6, 1234),
                (4, 4, 0xFFFFFFFF),
                (16, 6, 0xFFFFFFFF),
                (32, 4, 0xFFFFFFFF),
            )
        )
        _set_attribute(root / "all bytes", b"system.posix_acl_access", access)
    (root / "closed").chmod(0o000)


def _set_attribute(path: Path, name: bytes, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise


def _times(root: Path) -> None:
    os.utime(root / "block", ns=(1, 1_234_567_890_123_456_789))
    os.utime(root / "empty file", ns=(1, 0))
    os.utime(root / "one", ns=(1, 4_000_000_000_000_000_001))
    os.utime(root / "links" / "dangling", ns=(1, 987_654_321_987_654_321), follow_symlinks=False)
    os.utime(root / "empty folder", ns=(1, 1_111_111_111_111_111_111))


def tree_listing(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Everything that can be asked of each entry but the times of access and change, by its path."""
    groups: dict[tuple[int, int], bytes] = {}
    return {path: _facts(full, path, groups) for path, full in sorted(_entries(os.fsencode(root)))}


def tree_digest(root: Path) -> str:
    """One text for a whole tree."""
    return hashlib.sha256(repr(tree_listing(root)).encode()).hexdigest()


def _entries(root: bytes) -> Iterator[tuple[bytes, bytes]]:
    yield b".", root
    stack = [root]
    while stack:
        folder = stack.pop()
        for entry in os.scandir(folder):
            yield entry.path[len(root) + 1 :], entry.path
            if entry.is_dir(follow_symlinks=False):
                stack.append(entry.path)


def _facts(full: bytes, path: bytes, groups: dict[tuple[int, int], bytes]) -> tuple[object, ...]:
    status = os.lstat(full)
    content: object = None
    if stat.S_ISREG(status.st_mode):
        content = _content(full)
    elif stat.S_ISLNK(status.st_mode):
        content = Path(os.fsdecode(full)).readlink()
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        content = status.st_rdev
    group = path
    if not stat.S_ISDIR(status.st_mode):
        group = groups.setdefault((status.st_dev, status.st_ino), path)
    attributes = [(name, os.getxattr(full, name, follow_symlinks=False)) for name in _attribute_names(full)]
    size = None if stat.S_ISDIR(status.st_mode) else status.st_size
    links = None if stat.S_ISDIR(status.st_mode) else status.st_nlink
    return (status.st_mode, status.st_uid, status.st_gid, size, links, status.st_mtime_ns, group, content, attributes)


def _attribute_names(full: bytes) -> list[str]:
    try:
        return sorted(os.listxattr(full, follow_symlinks=False))
    except OSError:
        return []


def _content(full: bytes) -> object:
    """The islands between the holes, by a hash each; whether there is a hole at all."""
    try:
        descriptor = os.open(full, os.O_RDONLY)
    except PermissionError:
        return "unreadable"
    parts, position, size = [], 0, os.fstat(descriptor).st_size
    try:
        while position < size:
            try:
                start = os.lseek(descriptor, position, os.SEEK_DATA)
            except OSError:
                break
            position = os.lseek(descriptor, start, os.SEEK_HOLE)
            digest = hashlib.sha256()
            for offset in range(start, position, 1 << 20):
                digest.update(os.pread(descriptor, min(1 << 20, position - offset), offset))
            parts.append((start, position, digest.hexdigest()))
    finally:
        os.close(descriptor)
    return tuple(parts)


def bind_socket(path: Path) -> None:
    """A socket in the file system, whatever the length of its path."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"owned") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o644
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info


def evil_members(canary: Path) -> dict[str, list[tarfile.TarInfo]]:
    """Archives, by name, that would write to `canary` (or beside it) in the hands of a careless reader."""
    folder, name = str(canary.parent), canary.name
    up = "../" * 20 + str(canary).lstrip("/")
    return {
        "absolute": [_member(str(canary))],
        "up": [_member(f"./{up}")],
        "up in the middle": [_member(f"./a/../../{'../' * 20}{str(canary).lstrip('/')}")],
        "folder up": [_member("./..", tarfile.DIRTYPE), _member("./../canary")],
        "link then through it": [_member("./l", tarfile.SYMTYPE, folder), _member(f"./l/{name}")],
        "link then itself": [_member("./l", tarfile.SYMTYPE, str(canary)), _member("./l")],
        "link in two steps": [
            _member("./a", tarfile.SYMTYPE, "."),
            _member("./a/b", tarfile.SYMTYPE, ".."),
            _member("./a/b/x"),
        ],
        "hard link outside": [_member("./h", tarfile.LNKTYPE, str(canary)), _member("./h")],
        "hard link up": [_member("./h", tarfile.LNKTYPE, up), _member("./h")],
        "hard link to a link": [
            _member("./l", tarfile.SYMTYPE, folder),
            _member("./h", tarfile.LNKTYPE, "./l"),
            _member(f"./h/{name}"),
        ],
        "long link name": [_member("./l", tarfile.SYMTYPE, folder + "/." * 100), _member(f"./l/{name}")],
        "long absolute name": [_member("/" + "./" * 100 + str(canary).lstrip("/"))],
    }


def write_tar(path: Path, members: list[tarfile.TarInfo], *, form: int = tarfile.PAX_FORMAT) -> None:
    """An archive of these members; files hold the text `owned`."""
    with tarfile.open(path, "w", format=form) as archive:
        archive.addfile(_member("./", tarfile.DIRTYPE))
        for member in members:
            archive.addfile(member, io.BytesIO(b"owned") if member.isreg() else None)


@pytest.fixture
def tree_nasty(tmp_path: Path) -> Iterator[Path]:
    """A tree with every hard feature."""
    root = tmp_path / "tree"
    make_tree(root)
    yield root
    (root / "closed").chmod(0o700)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder for temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    """A few folders and files of the usual kind."""
    root = tmp_path / "tree"
    for name in ("a/one.txt", "a/two.tmp", "a/cache/x.bin", "b/cache/deep/y.bin", "b/three.txt", "top.txt", "top.tmp"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name * 100)
    return root
