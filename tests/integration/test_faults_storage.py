"""What storages do wrong, and what a run makes of it (reliability rows 40 to 44 and 57 to 61)."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.facade import Engine
from dgtui.engine.health.judging import judge
from dgtui.engine.health_model import HealthCheck, Watched
from dgtui.engine.messages import now
from dgtui.engine.runs import RunPaths
from tests.support.homes import PATIENCE_SECONDS, Home, wait_until
from tests.support.shops import Shop, fill_up

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and immutable files need root")


def two_storages(shop: Shop, second: Path) -> None:
    """Let the job write to `disk` and to a storage at `second`."""
    shop.storages = ("disk",)
    shop.more = f'[storages.second]\ntype = "local"\npath = "{second}"\n'
    shop.write()
    text = shop.home.config_path.read_text().replace('storages = ["disk"]', 'storages = ["disk", "second"]')
    shop.home.config_path.write_text(text)


def test_one_of_two_storages_is_full(shop: Shop, small_mount: Path) -> None:
    shop.job = 'compression = "none"'
    two_storages(shop, small_mount)
    outcome = shop.home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 3, outcome
    assert "second" in outcome.errors
    assert "free" in outcome.errors
    execution = shop.home.engine().execution("nightly@latest")
    assert execution.status == "partial"
    assert {copy.storage: copy.status for copy in execution.copies} == {"disk": "available", "second": "missing"}
    assert execution.problem is not None
    assert execution.problem.kind == "DiskSpaceError"
    assert [path for path in small_mount.rglob("*") if path.is_file() and not path.name.startswith(".dgtui")] == []
    assert shop.home.dgtui("validate", "nightly@latest").exit_code == 0
    shop.nothing_left()


def test_all_storages_are_full(shop: Shop, small_mount: Path) -> None:
    """What was there before stays: retention makes no room beyond its rule."""
    shop.job = 'compression = "zstd"\nbackup_type = "schema_only"\nretention = { keep_last = 1 }'
    only_the_second(shop, small_mount)
    earlier = shop.home.back_up()
    assert earlier.status == "completed"
    kept = files_at(small_mount)
    shop.job = 'compression = "none"\nretention = { keep_last = 1 }'
    only_the_second(shop, small_mount)
    outcome = shop.home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 1, outcome
    assert shop.home.engine().executions()[0].status == "failed"
    assert files_at(small_mount) == kept
    assert shop.home.dgtui("validate", earlier.execution_id).exit_code == 0


def only_the_second(shop: Shop, second: Path) -> None:
    """Let the job write to the storage at `second` alone."""
    two_storages(shop, second)
    shop.home.config_path.write_text(shop.home.config_path.read_text().replace('["disk", "second"]', '["second"]'))


def files_at(storage: Path) -> set[Path]:
    """All files of a storage but its own marks."""
    return {path for path in storage.rglob("*") if path.is_file() and not path.name.startswith(".dgtui")}


@needs_root
def test_an_error_of_the_disk_is_never_tried_until_it_passes(home: Home) -> None:
    """Each fsync of what is stored fails once, one after the other: what was not surely written is no backup."""
    source = home.folder / "files"
    source.mkdir()
    source.joinpath("a").write_text("content")
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n', job=home.gate)
    home.open_gate()
    good = home.back_up()
    assert good.status == "completed"
    home.close_gate()
    engine = home.engine()
    failed = []
    for number in range(1, 20):
        run_id = engine.start_job("nightly")
        with failing_fsync(engine, run_id, number) as logs:
            home.open_gate()
            snapshot = home.finish(engine, run_id)
        home.close_gate()
        calls = [line for log in logs.iterdir() for line in log.read_text().splitlines()]
        injected = [line for line in calls if "INJECTED" in line]
        if not any(str(home.storage()) in line for line in injected):
            assert snapshot.status == "completed", (injected, snapshot.problem)
            break
        failed += injected
        assert snapshot.status == "failed", injected
        assert snapshot.problem is not None
        assert (snapshot.problem.kind, bool(snapshot.problem.hint)) == ("StorageError", True)
        assert [path.parent.name for path in home.storage().glob("*/*/manifest.json")] == [good.folder]
        assert home.litter() == []
    else:
        pytest.fail("the run never came to its end")
    assert any("backup.tar" in line for line in failed)
    assert any("manifest.json" in line for line in failed)


@contextlib.contextmanager
def failing_fsync(engine: Engine, run_id: str, number: int) -> Iterator[Path]:
    """Let that fsync of each thread of a worker fail; a folder with what each thread called."""
    follower = engine.follower(run_id)

    def stands_at_the_gate() -> bool:
        follower.poll()
        return any(line.text.startswith("Running before") for line in follower.snapshot.log)

    wait_until(stands_at_the_gate, "the worker at the gate")
    worker = engine.paths.lock(run_id).read_text().split()[0]
    logs = engine.paths.state / f"strace-{number}"
    logs.mkdir()
    # In one log for all threads, the outcome of a call that another one's came between would lie apart from its file.
    tracer = subprocess.Popen(
        ["strace", "-ff", "-y", "-p", worker, "-o", str(logs / "of"), "-e", "trace=fsync",
         "-e", f"inject=fsync:error=EIO:when={number}"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with tracer:
        assert tracer.stderr is not None
        if "attached" not in (said := tracer.stderr.readline()):
            pytest.skip(f"strace cannot trace here: {said}")
        yield logs


def test_a_mount_that_vanished_is_not_written_to(shop: Shop, small_mount: Path) -> None:
    two_storages(shop, small_mount)
    shop.job = 'compression = "zstd:19"\nbackup_type = "schema_only"'
    two_storages(shop, small_mount)
    assert shop.home.back_up().status == "completed"
    subprocess.run(["umount", "-l", str(small_mount)], check=True)
    outcome = shop.home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 3, outcome
    assert "not mounted" in outcome.errors
    assert list(small_mount.iterdir()) == []
    listed = shop.home.dgtui("show", "nightly@latest")
    assert listed.exit_code == 0, listed


def test_two_names_of_one_folder_make_one_copy_and_say_so(shop: Shop, tmp_path: Path) -> None:
    link = tmp_path / "link"
    two_storages(shop, link)
    shop.home.storage().mkdir(exist_ok=True)
    link.symlink_to(shop.home.storage())
    outcome = shop.home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 3, outcome
    assert "what counts as two copies would be one" in outcome.errors
    execution = shop.home.engine().execution("nightly@latest")
    assert {copy.storage: copy.status for copy in execution.copies} == {"disk": "available", "second": "missing"}
    assert shop.home.dgtui("validate", "nightly@latest").exit_code == 0


@needs_root
def test_a_folder_that_cannot_be_written(shop: Shop, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    if subprocess.run(["chattr", "+i", str(second)], check=False, capture_output=True).returncode:
        pytest.skip("this file system knows no immutable folders")
    try:
        two_storages(shop, second)
        outcome = shop.home.dgtui("--run-job", "nightly")
        assert outcome.exit_code == 3, outcome
        assert str(second) in outcome.errors
    finally:
        subprocess.run(["chattr", "-i", str(second)], check=True)


def test_a_storage_that_answers_no_more_is_left_out_and_others_go_on(shop: Shop, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.write_text("a file in the place of a folder")
    two_storages(shop, second)
    execution = shop.home.back_up()
    assert execution.status == "partial"
    assert second.read_text() == "a file in the place of a folder"


def test_the_state_of_each_copy_is_told_honestly(home: Home) -> None:
    source = home.folder / "files"
    source.mkdir()
    source.joinpath("a").write_text("content")
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n', storages=("disk", "nas", "tape"))
    execution = home.back_up()
    assert execution.status == "completed"
    by_name = {copy.storage: Path(copy.path) for copy in execution.copies}
    shutil.rmtree(by_name["nas"])
    shutil.rmtree(home.storage("tape"))
    engine = home.engine()
    assert {copy.storage: copy.status for copy in engine.live_copies(execution)} == {
        "disk": "available",
        "nas": "missing",
        "tape": "unreachable",
    }


def test_without_room_for_its_state_no_run_begins_and_that_is_said(shop: Shop, small_mount: Path) -> None:
    shop.home.state = small_mount / "state"
    assert shop.home.back_up().status == "completed"
    shop.home.close_catalogues()
    before = shop.folders()
    filler = fill_up(small_mount)
    outcome = shop.home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 1, outcome
    assert "state folder is full" in outcome.errors
    assert "df -h" in outcome.errors
    assert "Traceback" not in outcome.errors
    assert shop.folders() == before
    filler.unlink()
    assert shop.home.dgtui("--run-job", "nightly").exit_code == 0
    assert len(shop.folders()) == 2
    shop.nothing_left()


def test_without_room_for_its_state_health_says_why_it_knows_no_newer_check(shop: Shop, small_mount: Path) -> None:
    shop.home.state = small_mount / "state"
    engine = shop.home.engine()
    subject = Watched(kind="datasource", name="shop")
    old = HealthCheck(subject=subject, checked_at=now() - timedelta(days=2), result="ok")
    HealthRecords(engine.catalog).record([(old, lambda former, _: judge(former, old, None))])
    (state,) = shop.home.dgtui("health", "shop", "--json").json()
    assert "Nobody has checked it since" in state["message"]
    # Another program has the catalogue open, as a daemon would: without one it cannot be read at all.
    fill_up(small_mount)
    outcome = shop.home.dgtui("health", "shop", "--json")
    assert outcome.output, outcome
    (state,) = outcome.json()
    assert "none can be: the disk of the state folder is full; it was healthy" in state["message"]
    assert state["hint"] == f"Make room there: df -h {shop.home.state}"
    found = engine.figures.overview(daemon_running=True).attention
    (told,) = [one for one in found if one.place == "datasources"]
    assert "unknown: the disk of the state folder is full, no check written since 20" in told.text
    assert told.hint == f"df -h {shop.home.state}"


def test_a_backup_that_cannot_be_recorded_is_whole_and_found_by_the_next_start(shop: Shop, small_mount: Path) -> None:
    """The disk of the state folder becomes full while the run is under way."""
    shop.home.state = small_mount / "state"
    shop.job = shop.home.gate
    shop.write()
    assert shop.home.dgtui("list").exit_code == 0
    running = subprocess.Popen(
        [sys.executable, "-m", "dgtui", "--run-job", "nightly"],
        env=shop.home.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    runs = shop.home.state / "runs"
    wait_until(lambda: any(b'"running"' in path.read_bytes() for path in runs.glob("*.jsonl")), "the run")
    filler = fill_up(small_mount)
    shop.home.open_gate()
    output, errors = running.communicate(timeout=PATIENCE_SECONDS)
    assert running.returncode == 0, output + errors
    assert "could not be recorded" in errors
    (folder,) = shop.folders()
    filler.unlink()
    paths = RunPaths(shop.home.state)
    wait_until(lambda: not any(map(paths.is_alive, paths.with_locks())), "the worker's exit")
    listed = shop.home.dgtui("list", "--json")
    assert "was found and registered" in listed.errors
    (known,) = listed.json()
    assert known["status"] == "completed"
    assert [copy["path"] for copy in known["copies"]] == [str(folder)]
    assert shop.home.dgtui("validate", "nightly@latest").exit_code == 0


def test_a_storage_rebuilds_the_catalogue_of_another_machine(shop: Shop) -> None:
    first = shop.home.back_up()
    shutil.rmtree(shop.home.state)
    engine = shop.home.engine()
    assert any("1 at disk" in sentence for sentence in engine.reconciled)
    report = engine.scan("disk")
    assert (report.added, report.known, report.damaged) == (0, 1, ())
    found = engine.execution(first.execution_id[:8])
    for name in ("job", "datasource", "datasource_type", "checksum", "total_size_bytes", "folder", "manifest_sha256"):
        assert getattr(found, name) == getattr(first, name), name
    engine.catalog.forget_execution(first.execution_id)
    assert engine.scan("disk").added == 1


def test_a_partial_backup_is_partial_on_another_machine_too(home: Home) -> None:
    source = home.folder / "files"
    source.mkdir()
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n', storages=("disk", "nas"))
    home.storage("nas").write_text("a file in the place of a folder")
    assert home.back_up().status == "partial"
    home.state = home.folder / "another state"
    assert home.engine().execution("nightly@latest").status == "partial"
