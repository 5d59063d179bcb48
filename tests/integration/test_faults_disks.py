"""Disks that fail under a running backup: full at any step, frozen (reliability rows 42 and 59)."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.model import Execution
from dgtui.engine.storages.local import LocalStorage
from tests.support.homes import Home, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")


def run(*command: str, text: str | None = None) -> str:
    """Run a command of the system; skips the test where the system does not let us."""
    done = subprocess.run(command, capture_output=True, text=True, input=text, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} does not work here: {done.stderr.strip()}")
    return done.stdout.strip()


def configure(home: Home, second: Path, *, source_bytes: int = 10_000, job: str = "") -> None:
    """Back up random files to a sound storage and to the one that fails."""
    source = home.folder / "files"
    source.mkdir()
    source.joinpath("a").write_bytes(os.urandom(source_bytes))
    home.configure(
        f'[datasources.shop]\ntype = "files"\npath = "{source}"\n'
        f'[storages.second]\ntype = "local"\npath = "{second}"\n',
        job=job,
    )
    text = home.config_path.read_text().replace('storages = ["disk"]', 'storages = ["disk", "second"]')
    home.config_path.write_text(text)


def copies(execution: Execution) -> dict[str, str]:
    """The state of the copy at each storage."""
    return {copy.storage: copy.status for copy in execution.copies}


def test_a_storage_that_is_full_at_any_step(home: Home) -> None:
    """Each run finds room for one file more, until it has enough: no manifest before, a whole backup then."""
    second = home.folder / "second"
    second.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(second))
    try:
        configure(home, second)
        assert copies(home.back_up()) == {"disk": "available", "second": "available"}
        for more in range(20):
            used = len([second, *second.rglob("*")])
            run("mount", "-o", f"remount,nr_inodes={used + more}", str(second))
            before = sorted(second.rglob("manifest.json"))
            execution = home.back_up()
            if execution.status == "completed":
                break
            assert execution.status == "partial"
            assert copies(execution) == {"disk": "available", "second": "missing"}
            assert execution.problem is not None
            assert execution.problem.kind == "DiskSpaceError"
            assert sorted(second.rglob("manifest.json")) == before
            assert home.litter() == []
        else:
            pytest.fail("it never had room enough")
        assert more > 2
        assert home.dgtui("validate", "nightly@latest").exit_code == 0
    finally:
        run("umount", "-l", str(second))


@contextlib.contextmanager
def own_disk(folder: Path) -> Iterator[str]:
    """A file system on a loop device, mounted at a folder; the device."""
    if any(shutil.which(name) is None for name in ("losetup", "mkfs.ext4", "fsfreeze")):
        pytest.skip("no losetup, mkfs.ext4 or fsfreeze (Debian: apt-get install util-linux e2fsprogs)")
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(64 << 20)
    run("mkfs.ext4", "-q", "-O", "^has_journal", str(image))
    device = run("losetup", "--find", "--show", str(image))
    try:
        yield device
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
        subprocess.run(["losetup", "--detach", device], check=False)


def test_a_disk_that_is_frozen(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalStorage, "prepare_seconds", 3.0)
    second = home.folder / "second"
    second.mkdir()
    with own_disk(second) as device:
        run("mount", device, str(second))
        configure(home, second, source_bytes=8_000_000, job='compression = "none"\nidle_timeout = "3 s"')
        assert home.back_up().status == "completed"
        home.close_catalogues()
        engine = home.engine(fork_workers=True)
        run("fsfreeze", "--freeze", str(second))
        try:
            run_id = engine.start_job("nightly")
            follower = engine.follower(run_id, log_lines=200)

            def ended() -> bool:
                follower.poll()
                return follower.snapshot.ended

            wait_until(ended, "the end of the run although the disk does not answer")
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", str(second)], check=True)
        assert follower.snapshot.status == "partial", follower.snapshot.problem
        wait_until(lambda: not engine.paths.is_alive(run_id), "the end of the worker")
        execution = engine.execution(run_id)
        assert copies(execution)["disk"] == "available"
        assert execution.problem is not None
        assert "second" in execution.problem.message + execution.problem.subject
        assert home.back_up().status == "completed"
        assert home.litter() == []
