"""Disks that fail under a running backup: full at any step, frozen (reliability rows 42 and 59)."""

import contextlib
import io
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from dgtui.cli.outcome import exit_code_of_run
from dgtui.engine.archive import read_parts
from dgtui.engine.facade import Engine
from dgtui.engine.lanes import Lane
from dgtui.engine.model import Execution
from dgtui.engine.storages.deadline import with_deadline
from dgtui.engine.storages.local import LocalStorage
from dgtui.engine.storages.local_writer import LocalWriter
from dgtui.wording.panel import storage_words
from tests.support.homes import Home, wait_until

_SHORT_SECONDS = 3.0
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


@pytest.fixture
def short_of_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forked workers soon give up the storage `second`; they wait as long as ever for the sound one and the source."""
    began = Lane.__init__

    def begin(lane: Lane, name: str, *, depth: int, idle_timeout: float, cancelled: threading.Event) -> None:
        seconds = _SHORT_SECONDS if name == "storage second" else idle_timeout
        began(lane, name, depth=depth, idle_timeout=seconds, cancelled=cancelled)

    def answer(step: partial[Any], seconds: float, *, subject: str, cancelled: threading.Event) -> object:
        seconds = _SHORT_SECONDS if "/second/" in f"{subject}/" else seconds
        return with_deadline(step, seconds, subject=subject, cancelled=cancelled)

    def read_back(open_file: Any, *arguments: Any, idle_timeout: float, **others: Any) -> Iterator[bytes]:
        seconds = _SHORT_SECONDS if open_file.__self__.storage == "second" else idle_timeout
        return read_parts(open_file, *arguments, idle_timeout=seconds, **others)

    monkeypatch.setattr(Lane, "__init__", begin)
    monkeypatch.setattr("dgtui.engine.destinations.with_deadline", answer)
    monkeypatch.setattr("dgtui.engine.destinations.read_parts", read_back)
    prepared = property(lambda storage: _SHORT_SECONDS if storage.name == "second" else 60.0)
    monkeypatch.setattr(LocalStorage, "prepare_seconds", prepared)


@pytest.mark.usefixtures("short_of_patience")
def test_a_disk_that_is_frozen(home: Home) -> None:
    second = home.folder / "second"
    second.mkdir()
    with own_disk(second) as device:
        run("mount", device, str(second))
        configure(home, second, source_bytes=8_000_000, job='compression = "none"')
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


class Freezer:
    """A second disk that freezes when the run's worker comes to a certain step there."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.folder = home.folder / "second"
        self._monkeypatch = monkeypatch

    def freeze_at(self, method: str) -> None:
        """From now on the disk freezes right before this call of its writer; for workers that are forked."""
        real = getattr(LocalWriter, method)
        folder, frozen = str(self.folder), self.home.folder / "frozen"

        def freeze(writer: LocalWriter, *arguments: object) -> object:
            if writer.storage == "second" and not frozen.exists():
                subprocess.run(["fsfreeze", "--freeze", folder], check=True)
                frozen.touch()
            return real(writer, *arguments)

        self._monkeypatch.setattr(LocalWriter, method, freeze)

    def thaw(self) -> None:
        """Let the disk answer again."""
        subprocess.run(["fsfreeze", "--unfreeze", str(self.folder)], check=False, capture_output=True)

    def start(self) -> tuple[Engine, str]:
        """Start the job."""
        self.home.close_catalogues()
        engine = self.home.engine(fork_workers=True)
        return engine, engine.start_job("nightly")


@pytest.fixture
def freezer(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Freezer]:
    monkeypatch.setattr("dgtui.engine.destinations._REMOVAL_SECONDS", 1.0)
    made = Freezer(home, monkeypatch)
    made.folder.mkdir()
    with own_disk(made.folder) as device:
        run("mount", device, str(made.folder))
        yield made
        made.thaw()


@pytest.mark.usefixtures("short_of_patience")
@pytest.mark.parametrize("step", ["write", "close_part", "commit"])
def test_a_disk_that_freezes_during_the_run(freezer: Freezer, step: str) -> None:
    """The other storage has its backup, the run ends although the disk is still frozen, and nothing is left of it."""
    home = freezer.home
    configure(home, freezer.folder, source_bytes=8_000_000, job='compression = "none"')
    freezer.freeze_at(step)
    engine, run_id = freezer.start()
    snapshot = home.finish(engine, run_id)
    assert snapshot.status == "partial", snapshot.problem
    assert exit_code_of_run(snapshot) == 3
    assert snapshot.problem is not None
    assert "does not answer" in snapshot.problem.message
    assert any("could not be removed" in line.text and "dgtui cleanup" in line.text for line in snapshot.log)
    execution = engine.execution(run_id)
    assert copies(execution) == {"disk": "available", "second": "missing"}
    freezer.thaw()
    assert home.dgtui("validate", run_id).exit_code == 0
    assert list(freezer.folder.rglob("manifest.json")) == []
    with home.config_path.open("a") as config:
        config.write('[guardian]\nleftovers_grace = "0 s"\n')
    assert home.dgtui("cleanup", "--yes").exit_code == 0
    assert home.litter() == []


@pytest.mark.usefixtures("short_of_patience")
def test_a_storage_that_gives_nothing_back_when_it_is_checked(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent = tmp_path / "silent"
    os.mkfifo(silent)
    keep_open = os.open(silent, os.O_RDWR)
    real = LocalWriter.read_back

    def read_back(writer: LocalWriter, file_name: str) -> BinaryIO:
        return silent.open("rb") if writer.storage == "second" else real(writer, file_name)

    monkeypatch.setattr(LocalWriter, "read_back", read_back)
    configure(home, home.folder / "second")
    engine = home.engine(fork_workers=True)
    try:
        snapshot = home.finish(engine, engine.start_job("nightly"))
    finally:
        os.close(keep_open)
    assert snapshot.status == "partial", snapshot.problem
    assert copies(engine.execution("nightly@latest")) == {"disk": "available", "second": "missing"}
    assert home.litter() == []


def test_a_storage_that_gives_back_other_bytes_than_it_took(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the right length, and written without an error: reading back alone tells."""
    real = LocalWriter.read_back

    def read_back(writer: LocalWriter, file_name: str) -> BinaryIO:
        with real(writer, file_name) as file:
            content = bytearray(file.read())
        if writer.storage == "second" and file_name.startswith("backup."):
            content[len(content) // 2] ^= 1
        return io.BytesIO(content)

    monkeypatch.setattr(LocalWriter, "read_back", read_back)
    configure(home, home.folder / "second")
    engine = home.engine(fork_workers=True)
    snapshot = home.finish(engine, engine.start_job("nightly"))
    assert exit_code_of_run(snapshot) == 3
    assert any("second" in line.text and "sha256" in line.text.lower() for line in snapshot.log)
    assert copies(engine.execution("nightly@latest")) == {"disk": "available", "second": "missing"}
    assert list((home.folder / "second").rglob("manifest.json")) == []
    assert home.litter() == []


@pytest.mark.parametrize("step", ["write", "commit"])
def test_cancelling_while_a_disk_is_frozen(freezer: Freezer, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Somebody who cancels does not wait for the disk; what was published by then stays."""
    monkeypatch.setattr("dgtui.engine.storages.deadline._LAST_SECONDS", 0.5)
    home = freezer.home
    configure(home, freezer.folder, source_bytes=8_000_000, job='compression = "none"\nidle_timeout = "1 h"')
    freezer.freeze_at(step)
    engine, run_id = freezer.start()
    wait_until((home.folder / "frozen").exists, "the frozen disk")
    engine.cancel(run_id)
    snapshot = home.finish(engine, run_id)
    assert snapshot.status == ("cancelled" if step == "write" else "partial")
    freezer.thaw()
    assert list(freezer.folder.rglob("manifest.json")) == []


@pytest.mark.parametrize(
    ("part", "step"),
    [(LocalStorage, "prepare"), (LocalWriter, "write"), (LocalWriter, "close_part"), (LocalWriter, "commit")],
)
def test_the_storage_that_a_run_waits_for_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch, part: type, step: str
) -> None:
    monkeypatch.setattr("dgtui.engine.storage_waits._LONG_SECONDS", 0.5)
    monkeypatch.setattr("dgtui.engine.storage_waits._LOOK_SECONDS", 0.1)
    real = getattr(part, step)
    thawed = home.folder / "thawed"

    def hang(storage: LocalStorage | LocalWriter, *arguments: object) -> object:
        if "second" in (getattr(storage, "name", ""), getattr(storage, "storage", "")):
            wait_until(thawed.exists, "the thaw")
        return real(storage, *arguments)

    monkeypatch.setattr(part, step, hang)
    configure(home, home.folder / "second", source_bytes=8_000_000, job='compression = "none"\nidle_timeout = "1 h"')
    engine = home.engine(fork_workers=True)
    run_id = engine.start_job("nightly")
    follower = engine.follower(run_id)

    def silent() -> set[str]:
        follower.poll()
        return {storage.name for storage in follower.snapshot.storages if storage.silent_seconds}

    try:
        wait_until(lambda: silent() == {"second"}, "the name of the one that does not answer")
        second = next(storage for storage in follower.snapshot.storages if storage.name == "second")
        assert "no answer for" in storage_words(second)
    finally:
        thawed.touch()
    snapshot = home.finish(engine, run_id)
    assert snapshot.status == "completed", snapshot.problem
    assert not any(storage.silent_seconds for storage in snapshot.storages)
    assert [storage.state for storage in snapshot.storages] == ["done", "done"]
