"""The state folder's disk becomes read-only by an error, or is found so: a real file system that aborts."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from dgtui.engine.errors import EXIT_FAILED
from tests.integration.test_faults_disks import run
from tests.support.gates import GatedTool
from tests.support.homes import PATIENCE_SECONDS, Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import digest_of, postgres_table, whole_backup

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
_MIB = 1 << 20


class Disk:
    """A disk of its own for the state folder of a home."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._state = home.state
        self._image = home.folder / "disk.img"
        self._image.touch()
        os.truncate(self._image, 24 * _MIB)
        run("mkfs.ext4", "-q", "-F", str(self._image))
        self._state.mkdir()
        self.mount()
        self._state.chmod(0o700)

    def mount(self) -> None:
        """As after a start of the machine."""
        run("mount", "-o", "loop", str(self._image), str(self._state))

    def fail(self) -> None:
        """As on an error of the disk: whatever is open for writing, nothing can be written any more."""
        run("mount", "-o", "remount,abort", str(self._state))

    def let_go(self) -> None:
        """Unmount it."""
        run("umount", "-l", str(self._state))

    def mend(self) -> None:
        """Check it, and mount it anew."""
        self._home.close_catalogues()
        subprocess.run(["umount", str(self._state)], check=True)
        subprocess.run(["fsck.ext4", "-y", str(self._image)], check=False, capture_output=True)
        self.mount()


@pytest.fixture
def disk(home: Home) -> Iterator[Disk]:
    """The disk, unmounted again."""
    made = Disk(home)
    try:
        yield made
    finally:
        home.close_catalogues()
        made.let_go()


@pytest.fixture
def shop(home: Home, disk: Disk, postgres_server: PostgresServer, postgres_database: str) -> str:
    """A database that has changed since its backup."""
    postgres_server.execute("CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i", postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    whole_backup(home)
    postgres_server.execute("DELETE FROM t WHERE i > 50", postgres_database)
    return postgres_database


def _cut(home: Home, gate: GatedTool, harm: Callable[[], None], *command: str) -> str:
    """Run a command that fails, with the disk becoming read-only while the tool stands still; what it said."""
    started = subprocess.Popen(
        [sys.executable, "-m", "dgtui", *command],
        env=home.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    gate.wait()
    harm()
    gate.open()
    said, _ = started.communicate(timeout=PATIENCE_SECONDS)
    assert started.returncode == EXIT_FAILED, said
    assert "became read-only" in said
    assert "Traceback" not in said
    assert "for want of memory" not in said
    return said


def _gated(home: Home, server: PostgresServer, shop: str, tool: str) -> GatedTool:
    gate = GatedTool(home.folder / "tools", tool, str(server.binaries / tool))
    home.configure(postgres_table(server, shop, tools=str(gate.folder)))
    return gate


def test_a_backup_is_told_as_cut_and_found_whole_later(
    home: Home, disk: Disk, postgres_server: PostgresServer, shop: str
) -> None:
    _cut(home, _gated(home, postgres_server, shop, "pg_dump"), disk.fail, "run", "nightly")
    home.configure(postgres_table(postgres_server, shop))
    disk.mend()
    listed = home.dgtui("list", "--json")
    assert "was found and registered" in listed.errors
    assert [row["status"] for row in listed.json()] == ["completed"] * 2
    assert home.litter() == []


def test_a_restore_leaves_the_target_as_it_was_and_lists_go_on(
    home: Home, disk: Disk, postgres_server: PostgresServer, shop: str
) -> None:
    before, databases = digest_of(postgres_server, shop), postgres_server.databases()
    gate = _gated(home, postgres_server, shop, "pg_restore")
    _cut(home, gate, disk.fail, "restore", "nightly@latest", "--overwrite", "--yes")
    assert digest_of(postgres_server, shop) == before
    home.configure(postgres_table(postgres_server, shop))
    listed = home.dgtui("list", "--json")
    assert listed.exit_code == 0, listed
    assert len(listed.json()) == 1
    assert "What ended without notice was not recorded" in listed.errors
    assert "mounted read-only" in listed.errors
    disk.mend()
    told = home.dgtui("list").errors
    assert f"{shop} is as it was" in told
    restore = home.engine().restores()[0]
    if restore.placing is not None:
        assert home.dgtui("cleanup-restore", restore.restore_id, "--yes").exit_code == 0
    assert (digest_of(postgres_server, shop), postgres_server.databases()) == (before, databases)
    assert home.litter() == []
