"""Damage is found before the target is touched (reliability rows 63 to 76)."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dgtui.cli.outcome import exit_code_of_run
from dgtui.engine.errors import ValidationError
from dgtui.engine.facade import Engine
from dgtui.engine.model import Execution
from tests.support import spoiling
from tests.support.damage import DAMAGES, NEED_TWO_PARTS, NO_MANIFEST, TOLERATED
from tests.support.homes import PATIENCE_SECONDS, Home
from tests.support.sqlite import sqlite_digest
from tests.support.trees import evil_members, tree_digest, write_tar


class Damaged:
    """A home with one backup that a test may spoil, and a target whose content has moved on since."""

    def __init__(self, home: Home, *, job: str = "", storages: tuple[str, ...] = ("disk",)) -> None:
        self.home = home
        self.source = home.folder / "shop.db"
        with sqlite3.connect(self.source) as connection:
            connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
            connection.executemany("INSERT INTO t VALUES (?, randomblob(400))", ((i,) for i in range(4000)))
        connection.close()
        home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = "{self.source}"\n', storages=storages, job=job)
        self.execution: Execution = home.back_up()
        assert self.execution.status == "completed"
        with sqlite3.connect(self.source) as connection:
            connection.execute("DELETE FROM t WHERE a % 2")
        connection.close()
        self.digest = sqlite_digest(self.source)

    def folder(self, storage: str = "disk") -> Path:
        """The backup folder."""
        return next(Path(copy.path) for copy in self.execution.copies if copy.storage == storage)

    def restore(self, engine: Engine) -> tuple[str, str]:
        """Restore over the target; status and kind of error."""
        snapshot = self.home.finish(engine, engine.start_restore(self.execution, overwrite=True))
        return snapshot.status, snapshot.problem.kind if snapshot.problem else ""


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    """One backup in two parts, made once; each test works on a fresh copy of its folder."""
    damaged = Damaged(Home(tmp_path_factory.mktemp("spoilt")), job="max_file_size_mb = 1")
    assert len(list(damaged.folder().glob("*.part-*"))) == 2
    shutil.copytree(damaged.folder(), damaged.home.folder / "good", symlinks=True)
    return damaged


@pytest.fixture
def fresh(spoilt: Damaged) -> Damaged:
    """The backup as it was made."""
    folder = spoilt.folder()
    for path in [folder, *folder.parent.glob("elsewhere-*")]:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    shutil.copytree(spoilt.home.folder / "good", folder, symlinks=True)
    return spoilt


def state_by(damage: str) -> str:
    """What the copy is then."""
    if damage == "manifest_future_version":
        return "unknown"
    return "missing" if damage in NO_MANIFEST else "corrupt"


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_every_damage_is_found_and_the_target_left_alone(fresh: Damaged, name: str) -> None:
    DAMAGES[name](fresh.folder())
    engine = fresh.home.engine()
    try:
        # The exit code 5 of `validate FOLDER`.
        with pytest.raises(ValidationError):
            engine.validate_folder(fresh.folder())
        status, kind = fresh.restore(engine)
        assert (status, kind) == ("failed", "ValidationError")
        assert sqlite_digest(fresh.source) == fresh.digest
        found = engine.execution(fresh.execution.execution_id).copies[0].status
        assert found == state_by(name)
    finally:
        engine.close()
    assert sorted(path.name for path in fresh.home.folder.glob(".shop*")) == []
    assert fresh.home.litter() == []


@pytest.mark.parametrize("name", ["chunk_missing", "bitflip_middle", "manifest_half", "manifest_future_version"])
def test_the_commands_say_damage_with_exit_code_5(fresh: Damaged, name: str) -> None:
    DAMAGES[name](fresh.folder())
    identity = fresh.execution.execution_id
    validated = fresh.home.dgtui("validate", identity)
    assert validated.exit_code == 5, validated
    restored = fresh.home.dgtui("restore", identity, "--overwrite", "--yes")
    assert restored.exit_code == 5, restored
    by_folder = fresh.home.dgtui("validate", str(fresh.folder()))
    assert by_folder.exit_code == 5, by_folder
    assert sqlite_digest(fresh.source) == fresh.digest


@pytest.mark.parametrize("name", sorted(TOLERATED))
def test_what_does_no_harm_is_tolerated_or_refused_clearly(fresh: Damaged, name: str) -> None:
    TOLERATED[name](fresh.folder())
    outcome = fresh.home.dgtui("validate", str(fresh.folder()))
    assert outcome.exit_code in (0, 5), outcome
    assert "Traceback" not in outcome.errors
    assert "\x1b" not in outcome.output + outcome.errors


def test_names_needing_two_parts_are_among_the_damages() -> None:
    assert set(DAMAGES) >= NEED_TWO_PARTS


def test_a_folder_is_validated_without_changing_anything_of_this_machine(home: Home) -> None:
    damaged = Damaged(home)
    running = msgspec.structs.replace(damaged.execution, status="running", finished_at=None)
    home.engine().catalog.save_execution(running)
    home.close_catalogues()
    outcome = home.dgtui("validate", str(damaged.folder()))
    assert (outcome.exit_code, "note:" in outcome.errors) == (0, False), outcome
    assert home.engine(look_only=True).execution(running.execution_id).status == "running"
    home.state = home.folder / "a fresh machine"
    assert home.dgtui("validate", str(damaged.folder())).exit_code == 0
    assert not home.state.exists()


SEEN_WITHOUT_READING = (
    "manifest_missing",
    "manifest_half",
    "manifest_future_version",
    "chunk_missing",
    "chunk_shorter",
)


@pytest.mark.parametrize("name", SEEN_WITHOUT_READING)
@pytest.mark.parametrize("look", ["scan", "show"])
def test_a_look_tells_what_a_damaged_copy_is(fresh: Damaged, name: str, look: str) -> None:
    """By the commands, as later ones list it too; the damage of a part that is as long as it was shows no look."""
    engine = fresh.home.engine()
    engine.catalog.save_execution(fresh.execution)
    fresh.home.close_catalogues()
    DAMAGES[name](fresh.folder())
    identity = fresh.execution.execution_id
    looked = fresh.home.dgtui(look, *(["disk"] if look == "scan" else [identity]), "--json")
    if look == "scan":
        assert looked.json()["gone"] == (1 if name == "manifest_missing" else 0)
        assert len(looked.json()["damaged"]) == (0 if name == "manifest_missing" else 1)
    for command in (["show", identity], ["list"]):
        told = fresh.home.dgtui(*command, "--json").json()
        (copy,) = (told[0] if command == ["list"] else told)["copies"]
        assert copy["status"] == state_by(name), command


def test_damage_that_a_check_found_is_not_taken_back_by_a_scan(home: Home) -> None:
    damaged = Damaged(home)
    DAMAGES["bitflip_middle"](damaged.folder())
    assert home.dgtui("validate", damaged.execution.execution_id).exit_code == 5
    assert home.dgtui("scan", "disk").exit_code == 0
    assert home.engine().execution("nightly@latest").copies[0].status == "corrupt"


def test_a_scan_takes_up_what_was_thought_to_be_interrupted(home: Home) -> None:
    """Its storage could not be asked when the run was found dead."""
    damaged = Damaged(home)
    engine = home.engine()
    lost = msgspec.structs.replace(
        damaged.execution, status="interrupted", folder=None, manifest_sha256=None, copies=()
    )
    engine.catalog.save_execution(lost)
    assert engine.scan("disk").added == 1
    found = engine.execution("nightly@latest")
    assert (found.execution_id, found.status, found.folder) == (
        damaged.execution.execution_id,
        "completed",
        damaged.execution.folder,
    )
    assert [copy.status for copy in found.copies] == ["available"]


def test_a_good_copy_elsewhere_is_taken_and_the_damage_told(home: Home) -> None:
    damaged = Damaged(home, storages=("disk", "nas"))
    DAMAGES["bitflip_middle"](damaged.folder("disk"))
    engine = home.engine()
    run_id = engine.start_restore(damaged.execution, overwrite=True)
    snapshot = home.finish(engine, run_id)
    assert snapshot.status == "completed"
    assert any("disk" in line.text and "damaged" in line.text for line in snapshot.log)
    assert {copy.storage: copy.status for copy in engine.execution(damaged.execution.execution_id).copies} == {
        "disk": "corrupt",
        "nas": "available",
    }
    restored = engine.restores()[0]
    assert restored.storage == "nas"
    assert sqlite_digest(damaged.source) != damaged.digest


@pytest.mark.parametrize("move", [lambda folder, other: folder.rename(other / folder.name)])
def test_a_backup_moved_under_another_job_is_refused(home: Home, move: Callable[[Path, Path], object]) -> None:
    damaged = Damaged(home)
    other = damaged.folder().parent.parent / "11111111-2222-4333-8444-555555555555"
    other.mkdir(mode=0o700)
    name = damaged.folder().name
    move(damaged.folder(), other)
    outcome = home.dgtui("validate", str(other / name))
    assert outcome.exit_code == 5, outcome
    report = home.engine().scan("disk")
    assert [folder.path for folder in report.damaged] == [str(other / name)]
    assert report.added == 0


@pytest.mark.parametrize("target", ["/tmp/dgtui-canary", "../dgtui-canary", "../../../../../../tmp/dgtui-canary"])
def test_what_a_manifest_names_outside_its_folder_is_not_even_opened(fresh: Damaged, target: str) -> None:
    if subprocess.run(["strace", "-o", os.devnull, "true"], check=False, capture_output=True).returncode:
        pytest.skip("strace cannot trace here")
    spoiling.name(target)(fresh.folder())
    log = fresh.home.folder / "opened"
    done = subprocess.run(
        ["strace", "-f", "-o", str(log), "-e", "trace=%file",
         sys.executable, "-m", "dgtui", "validate", str(fresh.folder())],
        env=fresh.home.environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    opened = log.read_text()
    assert "manifest.json" in opened
    assert "dgtui-canary" not in opened


@pytest.mark.parametrize("names", [("escape_codes_in_description", "escape_codes_in_objects"), ("name_escape_codes",)])
def test_escape_codes_in_a_manifest_never_reach_the_terminal(fresh: Damaged, names: tuple[str, ...]) -> None:
    for name in names:
        {**TOLERATED, **DAMAGES}[name](fresh.folder())
    known = fresh.home.state
    fresh.home.state = fresh.home.folder / f"state-{names[0]}"
    try:
        identity = fresh.execution.execution_id
        for command in (("scan", "disk"), ("list",), ("show", identity), ("validate", identity)):
            outcome = fresh.home.dgtui(*command)
            assert "\x1b" not in outcome.output + outcome.errors
            assert "Traceback" not in outcome.errors
    finally:
        fresh.home.state = known


def test_a_tar_that_reaches_out_is_refused_although_its_hashes_are_right(home: Home) -> None:
    outside, tree = home.folder / "outside", home.folder / "tree"
    for folder in (outside, tree):
        folder.mkdir()
        folder.joinpath("canary").write_bytes(b"alive")
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{tree}"\n', job='compression = "none"')
    execution = home.back_up()
    assert execution.status == "completed"
    before = {folder: tree_digest(folder) for folder in (outside, tree)}
    backup = Path(execution.copies[0].path)
    for name in ("up", "link then through it", "hard link outside"):
        [archive] = spoiling.parts(backup)
        write_tar(archive, evil_members(outside / "canary")[name])
        spoiling.field("total_size_bytes", archive.stat().st_size)(backup)
        spoiling.rehash(backup)
        # A machine that made the backup knows its manifest; one that never saw it has to take it at its word.
        home.state = home.folder / f"state-{name}"
        engine = home.engine()
        engine.scan("disk")
        snapshot = home.finish(engine, engine.start_restore(execution, overwrite=True))
        assert (snapshot.status, exit_code_of_run(snapshot)) == ("failed", 5), name
        assert snapshot.problem is not None
        assert "reach out" in snapshot.problem.message, name
        assert snapshot.problem.detail, name
        assert {folder: tree_digest(folder) for folder in (outside, tree)} == before, name
    assert sorted(path.name for path in home.folder.glob("tree*")) == ["tree"]
    assert home.litter() == []
