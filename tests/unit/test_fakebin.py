"""The fake dump programs do what their modes say: tests that use them prove nothing otherwise."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.fakebin import write_fake
from tests.support.homes import wait_until

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A well-behaved dump program."""
    program = tmp_path / "real-dump"
    (tmp_path / "content").write_bytes(CONTENT)
    program.write_text(
        "#!/bin/sh\n"
        '[ "$1" = --version ] && echo "real 15.1" && exit 0\n'
        'echo "dumping $*" >&2\n'
        f'cat "{tmp_path}/content"\n'
    )
    program.chmod(0o755)
    return program


def run(
    tmp_path: Path, real: Path, mode: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    fake = write_fake(tmp_path / "bin", "fake-dump", mode, real=str(real))
    return subprocess.run(
        [fake, *arguments], capture_output=True, check=False, timeout=60, env={**os.environ, **environment}
    )


@pytest.mark.parametrize(
    ("mode", "code", "size"),
    [
        ("empty", 0, 0),
        ("cut0:1", 0, 1),
        ("cut0:60%", 0, 153_600),
        ("cut0:-1", 0, 255_999),
        ("cut1:70000", 1, 70_000),
        ("kill:100", -signal.SIGKILL, 100),
        ("flood", 0, 256_000),
        ("err0", 0, 256_000),
        ("leak", 0, 256_000),
        ("leak1", 1, 0),
        ("slow:5000000", 0, 256_000),
    ],
)
def test_modes(tmp_path: Path, real: Path, mode: str, code: int, size: int) -> None:
    result = run(tmp_path, real, mode)
    assert result.returncode == code
    assert result.stdout == CONTENT[:size]


def test_what_the_real_tool_says_and_gets(tmp_path: Path, real: Path) -> None:
    assert b"dumping --clean shop" in run(tmp_path, real, "err0", "--clean", "shop").stderr
    assert b"error:" in run(tmp_path, real, "err0").stderr
    assert len(run(tmp_path, real, "flood").stderr) >= 4 << 20


def test_versions(tmp_path: Path, real: Path) -> None:
    assert run(tmp_path, real, "version:pg_dump (PostgreSQL) 9.6.1", "--version").stdout == (
        b"pg_dump (PostgreSQL) 9.6.1\n"
    )
    assert run(tmp_path, real, "version:pg_dump 9").stdout == CONTENT
    assert run(tmp_path, real, "empty", "--version").stdout == b"real 15.1\n"


def test_leaks(tmp_path: Path, real: Path) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text("host:5432:db:user:from-passfile\n")
    options = tmp_path / "my.cnf"
    options.write_text('[client]\nuser=u\npassword="from-options"\n')
    result = run(
        tmp_path,
        real,
        "leak",
        f"--defaults-extra-file={options}",
        PGPASSWORD="from-environment",
        PGPASSFILE=str(passfile),
    )
    for secret in (b"from-environment", b"from-passfile", b"from-options"):
        assert secret in result.stderr


def test_a_hanging_one_has_to_be_killed_with_its_group(tmp_path: Path, real: Path) -> None:
    fake = write_fake(tmp_path / "bin", "fake-dump", "hang:1000", real=str(real))
    process = subprocess.Popen([fake], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.read(1000) == CONTENT[:1000]
        until_members(process.pid, 2)
        os.killpg(process.pid, signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.kill()
        process.wait(10)
        until_members(process.pid, 1)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.stdout.read() == b""


def until_members(group: int, count: int) -> None:
    """Wait until a process group has so many members."""
    wait_until(lambda: len(members(group)) == count, f"{count} in group {group}")


def members(group: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = path.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of_group) == group and state != "Z":
            found.append(int(path.parent.name))
    return found
