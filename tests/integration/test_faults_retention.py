"""Retention while something goes wrong: rivals, kills, failing runs, odd numbers (reliability rows 100 to 102, 106)."""

import io
import signal
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from dgtui.config.model import job_id
from dgtui.engine import starting
from dgtui.engine.cleanup import Scope
from dgtui.engine.cleanup.readers import Readers
from dgtui.engine.facade import Engine
from tests.support.backup_folders import add_backup, mark_storage, some_bytes
from tests.support.forking import forked
from tests.support.homes import Home, wait_until
from tests.support.shops import Shop

JOB = job_id("nightly", None)
START = datetime(2025, 1, 1, 3, tzinfo=UTC)

KILLED_AT = """
import ctypes, os, signal, sys
from pathlib import Path
from dgtui.config import load_config
from dgtui.engine.cleanup import Scope
from dgtui.engine.facade import Engine
from dgtui.engine.storages import local_removal

left = int(sys.argv[3])

def dying(call):
    def wrapper(*arguments, **keys):
        global left
        result = call(*arguments, **keys)
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return wrapper

engine = Engine(load_config(Path(sys.argv[1])), Path(sys.argv[2]))
for name in ("unlink", "rmdir", "fsync"):
    setattr(os, name, dying(getattr(os, name)))
local_removal.rename_folder = dying(local_removal.rename_folder)
assert len(engine.retention.clean_up(Scope()).removed) == 1
"""


def a_tar() -> bytes:
    """With one file in it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        content = some_bytes(5000)
        member = tarfile.TarInfo("./a.bin")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def add(home: Home, taken: datetime) -> Path:
    """A whole backup of the job `nightly` at `disk`, as it would have been made."""
    return add_backup(home.storage(), "nightly", taken, a_tar(), parts=3)


@pytest.fixture
def engine(home: Home) -> Engine:
    """Of which only the newest of two backups is kept."""
    source = home.folder / "tree"
    source.mkdir()
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n', job="retention = { keep_last = 1 }")
    add(home, START)
    add(home, START - timedelta(days=1))
    mark_storage(home.storage())
    made = home.engine()
    made.scan("disk")
    assert len(listed(made)) == 2
    return made


def listed(engine: Engine) -> dict[str, str]:
    """The backups that are said to be there, by folder: their ids."""
    return {
        one.folder or "": one.execution_id
        for one in engine.executions()
        if any(copy.status == "available" for copy in one.copies)
    }


def test_a_removal_that_is_killed_at_any_step_leaves_no_half_backup(home: Home, engine: Engine) -> None:
    """Each time another backup goes, and its removal dies one step later than that of the last one."""
    newest = START
    for step in count(1):
        engine.close()
        program = [sys.executable, "-c", KILLED_AT, str(home.config_path), str(home.state), str(step)]
        ended = subprocess.run(program, check=False, capture_output=True)
        # What has a manifest is whole, whatever the catalogue knows of it.
        whole = [manifest.parent for manifest in (home.storage() / JOB).glob("2*/manifest.json")]
        for folder in whole:
            engine.validate_folder(folder)
        engine = home.engine()
        assert set(listed(engine)) <= {folder.name for folder in whole}
        assert engine.retention.clean_up(Scope()).not_removed == ()
        assert [one.folder for one in engine.executions()] == list(listed(engine)) == [f"{newest:%Y-%m-%d_%H%M%S}"]
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        newest += timedelta(days=1)
        add(home, newest)
        assert engine.scan("disk").added == 1
    # The rename and its fsync, the manifest and its fsync, three parts and the folder at least.
    assert step > 8
    log = (home.storage() / "_system" / "cleanup.log").read_text().splitlines()
    assert len({line.split()[2] for line in log}) == step, "each removal is told"


@pytest.mark.parametrize("seen", [True, False], ids=["the reader is seen", "the reader began just after the look"])
def test_a_reader_and_a_removal_of_the_same_backup(home: Home, monkeypatch: pytest.MonkeyPatch, seen: bool) -> None:
    (home.folder / "tree").mkdir()
    (home.folder / "tree" / "a.bin").write_bytes(some_bytes(200_000))
    table = f'[datasources.shop]\ntype = "files"\npath = "{home.folder / "tree"}"\n'
    home.configure(table)
    doomed, newest = home.back_up(), home.back_up()
    home.configure(table, job="retention = { keep_last = 1 }")
    looked = home.folder / "looked"

    def overlooked(_: Readers) -> frozenset[str]:
        looked.touch()
        return frozenset()

    # Else it may be at its end before the look, and what was restored well counts for more than another.
    monkeypatch.setattr(starting, "fork_worker", forked(lambda: wait_until(looked.exists, "the look")))
    if not seen:
        monkeypatch.setattr(Readers, "executions", overlooked)
    home.close_catalogues()
    engine = home.engine(fork_workers=True)
    target = home.folder / "restored"
    run_id = engine.start_restore(doomed, database=str(target))
    report = engine.retention.clean_up(Scope())
    looked.touch()
    removed = [one.execution_id for one in report.removed]
    snapshot = home.finish(engine, run_id)
    if seen:
        assert (removed, snapshot.status) == ([], "completed")
    else:
        assert removed == [doomed.execution_id], report
        assert list(listed(engine)) == [newest.folder]
    if snapshot.status == "completed":
        assert (target / "a.bin").read_bytes() == some_bytes(200_000)
    else:
        assert snapshot.problem is not None
        assert not target.exists()
    left = {newest.folder, doomed.folder} if seen else {newest.folder}
    assert {path.name for path in (home.storage() / JOB).iterdir()} == left


def test_the_last_good_one_outlives_every_failing_run(shop: Shop) -> None:
    shop.storages = ("disk", "nas")
    shop.job = 'retention = { keep_last = 1, max_age = "1 s" }'
    shop.write()
    good = shop.home.back_up()
    for mode in ("empty", "cut0:60%", "cut1:60%", "kill:50%", "empty"):
        shop.misbehave(mode)
        assert shop.home.back_up().status == "failed"
        engine = shop.home.engine()
        assert engine.retention.preview(Scope()).plan.removals == ()
        assert engine.retention.clean_up(Scope()).removed == ()
    assert [path.name for path in shop.folders()] == [path.name for path in shop.folders("nas")] == [good.folder]
    shop.behave()
    # A partial one is the newest where it is; elsewhere the good one stays, and here too while that is in doubt.
    shop.home.storage("nas").rename(shop.home.folder / "away")
    partial = shop.home.back_up()
    assert partial.status == "partial"
    assert [path.name for path in shop.folders()] == [good.folder, partial.folder]
    (shop.home.folder / "away").rename(shop.home.storage("nas"))
    engine = shop.home.engine()
    engine.retention.clean_up(Scope())
    assert [path.name for path in shop.folders("nas")] == [good.folder]
    # Once a newer one is whole at both, the older ones go.
    newest = shop.home.back_up()
    assert newest.status == "completed"
    assert [path.name for path in shop.folders()] == [path.name for path in shop.folders("nas")] == [newest.folder]


def test_a_newest_one_that_is_damaged_protects_nothing_and_takes_nothing(home: Home, engine: Engine) -> None:
    """The manifest of the newest is gone, or its bytes are wrong: the one before it is the newest good one."""
    newest = home.storage() / JOB / "2025-01-01_030000"
    part = next(path for path in newest.iterdir() if path.name != "manifest.json")
    part.write_bytes(b"\0" * part.stat().st_size)
    run_id = engine.start_validate(engine.execution(listed(engine)[newest.name]))
    assert home.finish(engine, run_id).status == "failed"
    assert engine.retention.clean_up(Scope()).removed == ()
    assert list(listed(engine)) == ["2024-12-31_030000"]
    (newest / "manifest.json").unlink()
    assert engine.retention.clean_up(Scope()).removed == ()
    assert (home.storage() / JOB / "2024-12-31_030000" / "manifest.json").exists()


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "'7'", "true"])
def test_numbers_that_keep_nothing_are_refused(home: Home, engine: Engine, number: str) -> None:
    text = home.config_path.read_text().replace("keep_last = 1", f"keep_last = {number}")
    home.config_path.write_text(text)
    refused = home.dgtui("cleanup", "--yes")
    assert (refused.exit_code, "keep_last" in refused.errors) == (2, True), refused
    assert len(listed(engine)) == 2


def test_huge_numbers_keep_everything_and_a_pin_is_stronger_than_small_ones(home: Home, engine: Engine) -> None:
    huge = 10**30
    rules = ", ".join(f"keep_{each} = {huge}" for each in ("last", "hourly", "daily", "weekly", "monthly", "yearly"))
    text = home.config_path.read_text()
    home.config_path.write_text(
        text.replace("keep_last = 1", f"{rules}, max_age = '36500 d', max_total_size = '9000000 TB'")
    )
    shown = home.dgtui("cleanup", "--dry-run", "--all", "--json")
    assert (shown.exit_code, shown.json()["to_remove"], len(shown.json()["kept"])) == (0, [], 2), shown
    home.config_path.write_text(text.replace("keep_last = 1", "max_age = '1 s', max_total_size = '1 B'"))
    oldest = listed(engine)["2024-12-31_030000"]
    assert home.dgtui("pin", oldest).exit_code == 0
    assert home.dgtui("cleanup", "--yes").exit_code == 0
    assert len(listed(home.engine())) == 2
