"""Restores over what is there: the safety backup before, what is kept after, and the way back."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dgtui.engine.audit import verify_audit
from dgtui.engine.errors import EXIT_USAGE, ConfigError
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.replaced_duty import ReplacedDuty
from dgtui.engine.restore_model import Placing
from dgtui.wording.restored_text import can_be_undone
from tests.support.changing import KINDS, changing
from tests.support.homes import Home, wait_until
from tests.support.postgres import PostgresServer
from tests.support.postgres_writers import writers_at_work
from tests.support.round_trips import postgres_table
from tests.unit.test_cut_imports import restore as cut


@pytest.mark.parametrize("kind", KINDS)
def test_undo_puts_back_what_was_there(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    """By what was kept, or from the safety backup; the undo can be undone, and so on, each time to the last row."""
    with changing(kind, home, request) as source:
        engine, restore, snapshot = source.restore(reason="a bad migration")
        assert restore.status == "completed", snapshot.problem
        assert source.digest() == source.backed_up
        assert restore.safety_execution_id is not None
        safety = engine.execution(restore.safety_execution_id)
        assert (safety.purpose, safety.status) == ("safety", "completed")
        assert {copy.storage for copy in safety.copies} == {"disk", "nas"}
        assert (safety.protected_until or safety.started_at) > datetime.now(UTC) + timedelta(days=6)
        assert (restore.kept_as is None) == (kind == "mariadb in its own place")
        assert restore.placing is None
        assert (restore.restored_by != "", restore.seconds is not None, restore.storage) == (True, True, "disk")
        choice = engine.undo_choice(restore)
        by_safety = kind in ("mariadb in its own place", "mariadb within itself")
        assert choice.way == ("safety" if by_safety else "kept")

        engine, undone, snapshot = source.undo(restore)
        assert undone.status == "completed", snapshot.problem
        assert source.digest() == source.before
        assert undone.undo_of == restore.restore_id
        # What was kept came back: nobody has read the safety backup for that.
        assert (undone.storage is not None) == by_safety
        assert by_safety or safety.execution_id not in engine.proofs.proven_executions()
        assert not engine.undo_choice(engine.restore(restore.restore_id)).possible

        engine, again, snapshot = source.undo(undone)
        assert again.status == "completed", snapshot.problem
        assert source.digest() == source.backed_up
        assert home.litter() == []


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "files", "mariadb"])
def test_undo_from_the_safety_backup(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    """What was kept was dropped; `dgtui undo` restores the safety backup, and makes another one before."""
    with changing(kind, home, request) as source:
        _, restore, _ = source.restore()
        short = restore.restore_id[:8]
        assert home.dgtui("drop-replaced", short, "--yes").exit_code == 0
        assert source.beside() == set()
        assert verify_audit(home.engine().catalog).damage == ()
        done = home.dgtui("undo", short, "--yes", "--reason", "all was well before")
        assert done.exit_code == 0, done
        assert "safety backup" in done.errors
        assert source.digest() == source.before
        engine = home.engine()
        undone = engine.restores()[0]
        assert (undone.undo_of, undone.reason) == (restore.restore_id, "all was well before")
        assert undone.execution_id == restore.safety_execution_id
        assert undone.safety_execution_id not in (None, restore.safety_execution_id)
        assert engine.undo_choice(undone).possible


@pytest.mark.parametrize("kind", ["sqlite", "files"])
def test_undo_where_somebody_removed_the_target_since(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    """There is nothing to be saved, and what was there before comes back all the same."""
    with changing(kind, home, request) as source:
        _, restore, _ = source.restore()
        target = Path(restore.target)
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        _, undone, snapshot = source.undo(restore)
        assert (undone.status, undone.safety_execution_id) == ("completed", None), snapshot.problem
        assert source.digest() == source.before
        assert source.beside() == set()


def test_an_undo_that_failed_leaves_what_is_kept_alone(home: Home, request: pytest.FixtureRequest) -> None:
    """It is the only way back where no safety backup was made, and nobody is told to remove it."""
    with changing("sqlite", home, request) as source:
        _, restore, _ = source.restore(safety=False)
        with closing(sqlite3.connect(home.folder / "data" / "shop.db")) as application:
            application.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            engine, undo, snapshot = source.undo(restore)
        assert (undo.status, undo.placing) == ("failed", None), snapshot.problem
        assert "cleanup-restore" not in home.dgtui("check").output
        # As former versions wrote it down.
        assert restore.kept_as is not None
        kept = Placing(beside=restore.kept_as, disposable=False)
        engine.catalog.save_restore(msgspec.structs.replace(undo, placing=kept))
        done = home.dgtui("cleanup-restore", undo.restore_id, "--yes")
        assert (done.exit_code, "was removed" in done.errors, "Remove " in done.errors) == (0, False, False), done
        assert home.engine().restore(undo.restore_id).placing is None
        _, again, snapshot = source.undo(restore)
        assert (again.status, source.digest()) == ("completed", source.before), snapshot.problem


def test_to_clean_up_where_nothing_is_left_asks_for_nothing(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("sqlite", home, request) as source:
        _, restore, _ = source.restore()
        done = home.dgtui("cleanup-restore", restore.restore_id)
        assert (done.exit_code, "nothing is left beside it" in done.errors) == (0, True), done
        refused = home.dgtui("cleanup-restore", restore.restore_id, "--finish")
        assert refused.exit_code == EXIT_USAGE, refused
        assert "has not left" in refused.errors
        assert "now partly filled" not in refused.errors


def test_to_clean_up_a_database_whose_removal_was_cut(home: Home, postgres_server: PostgresServer) -> None:
    """As of PostgreSQL 15.4 it takes no connection any more; it is what the command is there for."""
    with postgres_server.database() as name:
        home.configure(postgres_table(postgres_server, name))
        execution = home.back_up()
        left = Placing(beside=f"{name}__dgtui_new")
        restore = cut(
            "r1", execution_id=execution.execution_id, target=name, partly_filled=False, placing=left, datasource="shop"
        )
        home.engine().catalog.save_restore(restore)
        postgres_server.execute(f'CREATE DATABASE "{name}__dgtui_new"')
        postgres_server.execute(f"UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{name}__dgtui_new'")
        done = home.dgtui("cleanup-restore", "r1", "--yes")
        assert (done.exit_code, f"{name}__dgtui_new was removed" in done.errors) == (0, True), done
        assert f"{name}__dgtui_new" not in postgres_server.databases()


def test_an_undo_can_be_looked_at_before(home: Home, request: pytest.FixtureRequest) -> None:
    """Also where nobody is there to be asked, and where there is no way."""
    with changing("sqlite", home, request) as source:
        _, restore, _ = source.restore()
        shown = home.dgtui("undo", restore.restore_id, "--dry-run")
        assert shown.exit_code == 0, shown
        assert "the former content, takes the place of" in shown.output
        assert home.dgtui("undo", restore.restore_id, "--dry-run", "--json").json()["way"] == "kept"
        assert len(home.engine().restores()) == 1, "nothing was done"
        assert home.dgtui("undo", restore.restore_id, "--yes").exit_code == 0
        again = home.dgtui("undo", restore.restore_id, "--dry-run")
        assert again.exit_code == 1
        assert "It was undone already" in again.output


def test_without_a_safety_backup(home: Home, request: pytest.FixtureRequest) -> None:
    """It is said what that means; what is kept still undoes it, and once that is dropped nothing does."""
    with changing("sqlite", home, request) as source:
        done = home.dgtui("restore", "nightly@latest", "--overwrite", "--no-safety", "--yes")
        assert done.exit_code == 0, done
        assert "nothing can once that is dropped" in done.errors
        engine = home.engine()
        restore = engine.restores()[0]
        assert restore.safety_execution_id is None
        assert engine.undo_choice(restore).way == "kept"
        engine.drop_replaced(restore)
        restore = engine.restores()[0]
        assert restore.dropped_at is not None
        choice = engine.undo_choice(restore)
        assert (choice.possible, "no safety backup" in choice.text) == (False, True)
        with pytest.raises(ConfigError, match="cannot be undone"):
            engine.start_undo(restore)
        assert source.digest() == source.backed_up


def test_in_its_own_place_only_with_a_safety_backup(home: Home, request: pytest.FixtureRequest) -> None:
    """Where no swap is possible, nothing else could bring back what was there."""
    with changing("mariadb in its own place", home, request) as source:
        _, restore, snapshot = source.restore(safety=False)
        assert restore.status == "failed"
        assert snapshot.problem is not None
        assert "--no-safety" in snapshot.problem.hint
        assert source.digest() == source.before
        assert source.beside() == set()


def test_a_failed_safety_backup_ends_the_restore(home: Home, request: pytest.FixtureRequest) -> None:
    """Nothing is touched and nothing is left beside; another storage takes it where one is chosen."""
    with changing("postgres", home, request) as source:
        shutil.rmtree(home.storage("nas"))
        home.storage("nas").write_text("no folder")
        _, restore, snapshot = source.restore(safety_to="nas")
        assert (restore.status, source.digest() == source.before) == ("failed", True)
        assert snapshot.problem is not None
        assert "safety backup" in snapshot.problem.message
        assert source.beside() == set()
        engine, restore, snapshot = source.restore(safety_to="disk")
        assert restore.status == "completed", snapshot.problem
        assert restore.safety_execution_id is not None
        assert [copy.storage for copy in engine.execution(restore.safety_execution_id).copies] == ["disk"]


def test_what_is_kept_is_listed_and_goes_when_its_time_is_over(home: Home, request: pytest.FixtureRequest) -> None:
    """Each datasource says for how long; the safety backup is marked in the list, and a scan elsewhere knows it too."""
    with changing("files", home, request) as source:
        engine, first, _ = source.restore()
        assert [(one.restore_id, one.kept_as) for one in engine.kept_replaced()] == [(first.restore_id, first.kept_as)]
        assert engine.drop_expired_replaced() == ([], [])
        source.configure('keep_replaced = "1s"')
        source.change(2)
        engine, second, _ = source.restore()
        moment = (second.kept_until or datetime.now(UTC)) + timedelta(seconds=1)
        _drop_expired(engine_home=home, moment=moment)
        assert [one.restore_id for one in home.engine().kept_replaced()] == [first.restore_id]
        assert Path(first.kept_as or "").is_dir()
        assert "full, safety" in home.dgtui("list").output
        shutil.rmtree(home.state)
        assert home.dgtui("scan", "disk").exit_code == 0
        purposes = {row["purpose"]: row["protected_until"] for row in home.dgtui("list", "--json").json()}
        assert set(purposes) == {"backup", "safety"}
        assert purposes["safety"] is not None


def _drop_expired(*, engine_home: Home, moment: datetime) -> None:
    engine = engine_home.engine()
    lines: list[str] = []
    context = DutyContext(engine.config, engine.catalog, engine.paths, log=lambda text, _level: lines.append(text))
    duty = ReplacedDuty(context)
    assert duty.next_due(moment) == moment
    duty.run(moment)
    assert [line.startswith("Dropped the former content of") for line in lines] == [True]
    assert duty.next_due(moment) == moment + timedelta(hours=1)


def test_nothing_is_kept_where_the_datasource_says_so(home: Home, request: pytest.FixtureRequest) -> None:
    """The safety backup alone undoes it then."""
    with changing("sqlite", home, request) as source:
        source.configure("keep_replaced = 0")
        engine, restore, _ = source.restore()
        assert (restore.status, restore.kept_as, source.beside()) == ("completed", None, set())
        assert engine.undo_choice(restore).way == "safety"


def test_a_restore_into_an_empty_place_leaves_nothing_to_undo(home: Home, request: pytest.FixtureRequest) -> None:
    """Nothing was there, so nothing is saved, kept or put back."""
    with changing("sqlite", home, request) as source:
        engine, restore, _ = source.restore(database=str(home.folder / "data" / "other.db"))
        assert (restore.status, restore.kept_as, restore.safety_execution_id) == ("completed", None, None)
        assert not engine.undo_choice(restore).possible


def test_what_replaced_its_target_can_be_undone_whatever_its_status(home: Home, request: pytest.FixtureRequest) -> None:
    """Earlier versions called it cancelled or failed where only the tidying up was."""
    with changing("sqlite", home, request) as source:
        engine, restore, _ = source.restore()
        engine.catalog.save_restore(msgspec.structs.replace(restore, status="cancelled"))
        restore = engine.restore(restore.restore_id)
        assert can_be_undone(restore)
        assert engine.undo_choice(restore).way == "kept"
        _, undone, snapshot = source.undo(restore)
        assert (undone.status, source.digest()) == ("completed", source.before), snapshot.problem
        assert not engine.undo_choice(engine.restore(restore.restore_id)).possible


def _damage_kept(kind: str, kept_as: str, request: pytest.FixtureRequest) -> None:
    """Damage what is kept, as a disk or a person might."""
    if kind == "postgres":
        request.getfixturevalue("postgres_server").execute("DELETE FROM word", kept_as)
    elif kind == "mariadb":
        request.getfixturevalue("mariadb").execute("DROP TABLE word", database=kept_as)
    elif kind == "sqlite":
        size = Path(kept_as).stat().st_size
        with Path(kept_as).open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
    else:
        shutil.rmtree(Path(kept_as) / "sub")


@pytest.mark.parametrize(
    ("kind", "safety"),
    [("postgres", True), ("sqlite", True), ("files", True), ("mariadb", True), ("sqlite", False)],
)
def test_what_was_kept_damaged_is_not_swapped_in(
    kind: str, home: Home, request: pytest.FixtureRequest, *, safety: bool
) -> None:
    """The safety backup is taken in its place, and that is said; where there is none, nothing is changed."""
    with changing(kind, home, request) as source:
        engine, restore, _ = source.restore(safety=safety)
        assert restore.kept_as is not None
        assert engine.undo_choice(restore).way == "kept"
        _damage_kept(kind, restore.kept_as, request)
        _, undone, snapshot = source.undo(restore)
        if safety:
            assert (undone.status, source.digest()) == ("completed", source.before), snapshot.problem
            assert any("is not what was kept any more" in sentence for sentence in undone.differences)
            assert undone.safety_execution_id is not None
        else:
            assert (undone.status, source.digest()) == ("failed", source.backed_up)
            assert undone.problem is not None
            assert "is not what was kept any more" in undone.problem.message


def test_an_undo_says_what_of_the_former_content_is_there(home: Home, request: pytest.FixtureRequest) -> None:
    """Object by object; rows that were written after the safety backup are no damage."""
    with changing("sqlite", home, request) as source:
        _, restore, _ = source.restore()
        with sqlite3.connect(restore.kept_as or "") as connection:
            connection.execute("INSERT INTO word VALUES (777, 'written in the last moment')")
        connection.close()
        _, undone, snapshot = source.undo(restore)
        assert (undone.status, undone.execution_id) == ("completed", restore.safety_execution_id), snapshot.problem
        assert undone.report is not None
        outcomes = {entry.name: entry.outcome for entry in undone.report.objects}
        assert outcomes == {"since_1": "restored", "word": "other rows"}


def test_the_only_way_back_stays_until_it_was_taken(home: Home, request: pytest.FixtureRequest) -> None:
    """No rule and no hand removes the safety backup of a restore that left its target partly filled."""
    with changing("sqlite", home, request) as source:
        engine, restore, _ = source.restore()
        assert restore.safety_execution_id is not None
        safety = engine.execution(restore.safety_execution_id)
        # As the undo of an import in place leaves it that failed a week ago.
        engine.drop_replaced(restore)
        cut = {"status": "failed", "undo_of": "r", "partly_filled": True, "in_place": False}
        engine.catalog.save_restore(msgspec.structs.replace(engine.restore(restore.restore_id), **cut))
        engine.catalog.save_execution(msgspec.structs.replace(safety, protected_until=safety.started_at))
        folders = [Path(copy.path) for copy in safety.copies]
        cleaned = home.dgtui("cleanup", "--yes")
        assert cleaned.exit_code == 0, cleaned
        refused = home.dgtui("delete", safety.execution_id, "--yes")
        assert (refused.exit_code, f"dgtui undo {restore.restore_id[:8]}" in refused.errors) == (2, True), refused
        assert all(folder.is_dir() for folder in folders)
        # Of two copies either may go.
        assert home.dgtui("delete", safety.execution_id, "--storage", "nas", "--yes").exit_code == 0
        assert [folder.is_dir() for folder in folders] == [True, False]
        _, undone, snapshot = source.undo(engine.restore(restore.restore_id))
        assert undone.status == "completed", snapshot.problem
        assert source.digest() == source.before
        assert home.dgtui("cleanup", "--yes").exit_code == 0
        assert not any(folder.is_dir() for folder in folders)


def test_writers_at_work_during_a_swap(
    home: Home, postgres_server: PostgresServer, request: pytest.FixtureRequest
) -> None:
    """Exactly the backup afterwards, nothing of theirs half in; what they wrote is in what is kept, in whole pairs."""
    with changing("postgres", home, request) as source:
        name = source.home.engine().manifest(source.execution).database
        postgres_server.execute("CREATE TABLE written (at timestamptz DEFAULT clock_timestamp())", name)
        statement = "INSERT INTO written DEFAULT VALUES"
        with writers_at_work(postgres_server, name, statement, home.folder) as files:
            wait_until(lambda: all(file.stat().st_size for file in files), "all writers write")
            _, restore, snapshot = source.restore()
            assert restore.status == "completed", snapshot.problem
            assert source.digest() == source.backed_up
        assert source.digest() == source.backed_up
        assert restore.kept_as is not None
        written = postgres_server.execute("SELECT count(*) FROM written", restore.kept_as)[0][0]
        promised = sum(len(file.read_text().split()) for file in files)
        # A writer that was cut off at its commit does not know whether it was made.
        assert written % 2 == 0
        assert promised * 2 <= written <= promised * 2 + 2 * len(files)
