"""Undo of a restore that changed a part: only that part goes back, whatever was written elsewhere since stays."""

import os
import shutil
from pathlib import Path

import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.places import shown
from dgtui.engine.datasources.tree_steps import Step, TreeSteps
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer
from tests.support.part_shops import databases, tree_shop
from tests.support.postgres import PostgresServer
from tests.support.trees import tree_digest


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "mariadb"])
def test_chosen_tables(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    """What was replaced comes back, what was not there goes again; the undo can be undone, and that one too."""
    with databases(kind, home, request) as shop:
        shop.run("UPDATE a SET word = 'changed'", "DROP TABLE b", "INSERT INTO c VALUES (2, 'two')")
        before = shop.content()
        restore = shop.restore(selection=Selection(tables=("a", "b")))
        assert shop.content() == {**shop.backed_up, "c": before["c"]}
        shop.run("INSERT INTO c VALUES (3, 'since')", "DELETE FROM a WHERE id = 1")
        written = shop.content()
        assert shop.way(restore) == ("safety" if kind == "postgres" else "kept")
        undone = shop.undo(restore)
        assert shop.content() == {**before, "c": written["c"]}
        assert shop.way(restore) is None
        shop.run("INSERT INTO c VALUES (4, 'later')")
        again = shop.undo(undone)
        assert shop.content() == {**written, "c": [*written["c"], shop.content()["c"][-1]]}
        shop.undo(again)
        assert {name: shop.content().get(name) for name in "ab"} == {"a": before["a"], "b": None}
        # What is kept does not hold on to the rows of the tables that stay.
        shop.run("DELETE FROM a", "DELETE FROM c")


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "mariadb"])
def test_rows_alone(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    """The rows of the tables that were loaded come back, those of the others stay."""
    with databases(kind, home, request) as shop:
        shop.run("UPDATE a SET word = 'changed'", "INSERT INTO c VALUES (2, 'two')")
        before = shop.content()
        restore = shop.restore(selection=Selection(backup_type="data_only", tables=("a",)))
        assert shop.content() == {**before, "a": shop.backed_up["a"]}
        shop.run("INSERT INTO c VALUES (3, 'since')", "DELETE FROM a WHERE id = 1", "ALTER TABLE b ADD COLUMN more INT")
        written = shop.content()
        assert shop.way(restore) == "safety"
        undone = shop.undo(restore)
        assert shop.content() == {**written, "a": before["a"]}
        shop.undo(undone)
        assert shop.content() == written


def test_rows_alone_without_a_safety_backup(home: Home, request: pytest.FixtureRequest) -> None:
    """Where the whole former file is kept, the rows come from there, and no others."""
    with databases("sqlite", home, request) as shop:
        shop.run("UPDATE a SET word = 'changed'")
        before = shop.content()
        restore = shop.restore(selection=Selection(backup_type="data_only", tables=("a",)), safety=False)
        shop.run("INSERT INTO c VALUES (3, 'since')")
        written = shop.content()
        assert shop.way(restore) == "kept"
        shop.undo(restore)
        assert shop.content() == {**written, "a": before["a"]}


def test_rows_alone_that_nothing_has_kept(home: Home, request: pytest.FixtureRequest) -> None:
    """Of tables that held rows nobody is told that they held nothing, and could be removed by hand."""
    with databases("postgres", home, request) as shop:
        restore = shop.restore(selection=Selection(backup_type="data_only", tables=("a",)), safety=False)
        choice = home.engine().undo_choice(restore)
        assert not choice.possible
        assert choice.text == f"What it replaced in {restore.target} was not saved"


@pytest.mark.parametrize("choice", ["paths", "merge"])
@pytest.mark.parametrize("kept", [True, False])
def test_files(choice: str, kept: bool, home: Home) -> None:
    """Chosen paths and a merge: by what was kept, and once that is gone from the safety backup."""
    shop, root = tree_shop(home)
    shop.run(a_1="changed")
    shutil.rmtree(root / "b" / "deep")
    before = shop.content()
    if choice == "paths":
        restore = shop.restore(selection=Selection(tables=("a", "b/deep")))
    else:
        restore = shop.restore(merge=True)
    assert shop.content() == shop.backed_up
    shop.run(c_2="since", a_2="changed since")
    written = shop.content()
    if not kept:
        shutil.rmtree(str(restore.part_kept_as))
    assert shop.way(restore) == ("kept" if kept else "safety")
    undone = shop.undo(restore)
    assert shop.content() == {**before, "c/2": "since"}
    again = shop.undo(undone)
    assert shop.content() == written
    shop.undo(again)
    assert shop.content() == {**before, "c/2": "since"}


@pytest.mark.parametrize("filled", [False, True])
def test_a_folder_that_was_made_for_a_file_goes_with_it(filled: bool, home: Home) -> None:
    """Unless somebody has put something else into it; and it comes back where the undo is undone."""
    shop, root = tree_shop(home)
    name = "b/odd\n\\name/7"
    (root / name).parent.mkdir()
    (root / name).write_text("odd")
    shop.execution = home.back_up()
    shutil.rmtree(root / "b")
    before = shop.content()
    restore = shop.restore(selection=Selection(tables=(shown(name),)))
    restored = shop.content()
    assert restored[name] == "odd"
    if filled:
        shop.run(b_8="since")
    undone = shop.undo(restore)
    if filled:
        assert shop.content() == {**before, "b": None, "b/8": "since"}
        return
    assert shop.content() == before
    shop.undo(undone)
    assert shop.content() == restored


def test_a_merge_gives_folders_the_times_of_the_backup_and_its_undo_those_they_had(home: Home) -> None:
    """As tar and rsync do; where it fails, they have those that they had."""
    shop, root = tree_shop(home)
    folders = [root, root / "a", root / "b", root / "b" / "deep", root / "c"]
    _set_times(folders, 1_000_000_000)
    shop.execution = home.back_up()
    shop.run(a_1=None, b_more="since")
    shutil.rmtree(root / "c")
    _set_times(folders[:-1], 2_000_000_000)
    before = tree_digest(root)
    restore = shop.restore(merge=True)
    assert [path.stat().st_mtime for path in folders] == [1_000_000_000] * 5
    undone = shop.undo(restore)
    assert tree_digest(root) == before
    shop.undo(undone)
    assert [path.stat().st_mtime for path in folders] == [1_000_000_000] * 5


def test_an_exchange_that_fails_leaves_the_times_of_folders(tmp_path: Path) -> None:
    """Nothing tells then that anything was tried."""
    live, beside = tmp_path / "live", tmp_path / "beside"
    for root in (live, beside):
        (root / "a" / "empty").mkdir(parents=True)
        (root / "a" / "file").write_text(root.name)
    (beside / "b").mkdir()
    (beside / "gone").mkdir()
    (beside / "gone" / "file").touch()
    _set_times([live / "a" / "empty", live / "a", live], 1_000_000_000)
    before = tree_digest(live)
    steps = TreeSteps(
        beside,
        live,
        [
            Step.folder("b", beside / "b"),
            Step.of("exchange", "a/file", beside / "a/file"),
            Step.no_folder("a/empty", live / "a/empty"),
            Step.of("add", "gone/file", beside / "gone/file"),
        ],
    )
    with pytest.raises(OSError, match="No such file"):
        steps.go_on()
    steps.take_back()
    assert tree_digest(live) == before


def _set_times(folders: list[Path], seconds: int) -> None:
    for path in folders:
        os.utime(path, (seconds, seconds))


def test_what_was_kept_damaged_is_not_promised(home: Home, request: pytest.FixtureRequest) -> None:
    """A swap would refuse it, so the safety backup is the way, and where there is none it is said why."""
    with databases("sqlite", home, request) as shop:
        for safety, way in ((True, "safety"), (False, None)):
            restore = shop.restore(safety=safety)
            assert shop.way(restore) == "kept"
            Path(f"{restore.kept_as}-wal").write_bytes(b"half")
            choice = home.engine().undo_choice(restore)
            assert (choice.way, "was damaged and is kept" in choice.text) == (way, not safety)


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_one_that_only_removes_and_fails_leaves_nothing_beside(
    kind: str, home: Home, request: pytest.FixtureRequest
) -> None:
    """Without that an empty database stood beside the target until somebody removed it by hand."""
    server: PostgresServer | MariadbServer = request.getfixturevalue(f"{kind}_server" if kind == "postgres" else kind)
    with databases(kind, home, request) as shop:
        shop.run("DROP TABLE b")
        restore = shop.restore(selection=Selection(tables=("b",)), safety=False)
        shop.run("CREATE TABLE beside_a (id INTEGER PRIMARY KEY, of_b INTEGER REFERENCES b(id))")
        written, there = shop.content(), server.databases()
        engine = home.engine()
        run_id = engine.start_undo(restore)
        snapshot = home.finish(engine, run_id)
        assert snapshot.status == "failed", snapshot
        assert shop.content() == written
        assert engine.restore(run_id).placing is None
        assert server.databases() == there
        shop.run("DROP TABLE beside_a")
        shop.undo(restore)
        assert "b" not in shop.content()
