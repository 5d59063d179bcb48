"""A RENAME TABLE that MariaDB leaves made by half, as it does where its session is killed or the server shut down."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pymysql
import pytest

from dgtui.engine.datasources import mysql_exchange, mysql_inside, mysql_inside_kept, mysql_part, mysql_swap
from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_inside import inside_name
from dgtui.engine.datasources.mysql_rename import Move, end_rename, rename_tables
from dgtui.engine.datasources.mysql_waiting import waiting_session
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import SilentReporter
from dgtui.engine.restore_model import PartChange
from tests.integration.mysql_pump import dump_to, load_from
from tests.support.mariadb import MariadbServer, mysql_digest

_TABLES = """
CREATE TABLE alone (id INT PRIMARY KEY, t TEXT);
CREATE TABLE first (id INT PRIMARY KEY);
CREATE TABLE second (id INT PRIMARY KEY, f INT, FOREIGN KEY (f) REFERENCES first (id));
INSERT INTO first VALUES (1), (2);
INSERT INTO second VALUES (1, 1), (2, 2)
"""
_OBJECTS = """
CREATE VIEW both_of_them AS SELECT second.id FROM first JOIN second ON f = first.id;
CREATE TRIGGER counting BEFORE INSERT ON first FOR EACH ROW SET NEW.id = NEW.id + 1;
CREATE TRIGGER filling BEFORE INSERT ON alone FOR EACH ROW SET NEW.t = 'x'
"""
_SINCE = """
INSERT INTO alone VALUES (7, 'since');
CREATE TABLE young (id INT PRIMARY KEY);
INSERT INTO young VALUES (3)
"""


def cut_after(moves_made: int, cut: list[int]) -> Callable[[Session, Sequence[Move], int], None]:
    """A rename that is left after so many tables; how many it would have moved is kept where it is cut."""

    def rename(session: Session, moves: Sequence[Move], lock_timeout: int) -> None:
        if len(moves) <= moves_made:
            rename_tables(session, moves, lock_timeout)
            return
        rename_tables(session, moves[:moves_made], lock_timeout)
        cut.append(len(moves))
        raise RestoreError("The tables could not be swapped: Lost connection", subject="x")

    return rename


@pytest.mark.parametrize("objects", [False, True])
def test_the_former_content_is_whole_again(
    objects: bool, mariadb: MariadbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever had been moved: it was told that the new one is in place, or what was moved away was dropped."""
    name = mariadb.create_database()
    beside, keep_as = f"{name}__dgtui_new", f"{name}__dgtui_old_20260101000000"
    target = mariadb.datasource(name)
    mariadb.execute(*_TABLES.split(";\n"), *(_OBJECTS.split(";\n") if objects else ()), database=name)
    dump_to(target, tmp_path / "archive")
    mariadb.execute(*_SINCE.strip().split(";\n"), database=name)
    before = mysql_digest(mariadb, name)
    made = 1
    while True:
        target.create_target(beside)
        assert load_from(target, tmp_path / "archive", beside).errors == ()
        cut: list[int] = []
        with monkeypatch.context() as patched:
            for module in mysql_exchange, mysql_swap:
                patched.setattr(module, "rename_tables", cut_after(made, cut))
            with contextlib.suppress(RestoreError):
                target.swap(beside, name, keep_as, SilentReporter())
        if not cut:
            break
        assert target.settle_swap("", beside, name, keep_as) == "old", made
        assert mysql_digest(mariadb, name) == before, made
        assert keep_as not in mariadb.databases()
        mariadb.execute(f"DROP DATABASE {beside}")
        made += 1
    assert made > 6
    assert mysql_digest(mariadb, name) != before
    mariadb.execute(f"DROP DATABASE {keep_as}")


def test_chosen_tables_are_the_former_ones_again(
    mariadb: MariadbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not in the database, one that goes, and those that are exchanged."""
    name = mariadb.create_database()
    beside, keep_as = f"{name}__dgtui_new", f"{name}__dgtui_part_20260101000000"
    target = mariadb.datasource(name)
    mariadb.execute(*_TABLES.split(";\n"), database=name)
    dump_to(target, tmp_path / "archive")
    mariadb.execute(*_SINCE.strip().split(";\n"), "DROP TABLE alone", database=name)
    before = mysql_digest(mariadb, name)
    tables = ("alone", "first", "second")
    change = PartChange(database=name, beside=beside, keep_as=keep_as, tables=tables, remove=("young",))
    marks: list[str] = []
    for made in range(1, 7):
        target.create_target(beside)
        assert load_from(target, tmp_path / "archive", beside).errors == ()
        cut: list[int] = []
        with monkeypatch.context() as patched:
            patched.setattr(mysql_part, "rename_tables", cut_after(made, cut))
            with contextlib.suppress(RestoreError):
                target.replace_part(change, None, SilentReporter(), lambda mark, _: marks.append(mark))
        assert cut == ([6] if made < 6 else [])
        if cut:
            assert target.settle_part(marks[-1], change) == "old", made
            assert mysql_digest(mariadb, name) == before, made
            assert keep_as not in mariadb.databases()
            mariadb.execute(f"DROP DATABASE {beside}")
    assert mysql_digest(mariadb, name) != before
    mariadb.execute(f"DROP DATABASE {keep_as}")


def test_within_a_database_all_tables_have_their_names_again(
    mariadb: MariadbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written down of the former ones was dropped, and some lay under names of our own."""
    name = mariadb.create_database()
    target, place = mariadb.datasource(name), inside_name(name)
    mariadb.execute(*_TABLES.split(";\n"), *_OBJECTS.split(";\n"), database=name)
    dump_to(target, tmp_path / "archive")
    mariadb.execute(*_SINCE.strip().split(";\n"), database=name)
    before = mysql_digest(mariadb, name)
    for made in range(1, 9):
        assert load_from(target, tmp_path / "archive", place).errors == ()
        cut: list[int] = []
        with monkeypatch.context() as patched:
            patched.setattr(mysql_inside, "rename_tables", cut_after(made, cut))
            with contextlib.suppress(RestoreError):
                target.swap(place, name, "", SilentReporter())
        assert cut == ([8] if made < 8 else [])
        if cut:
            assert target.settle_swap("", place, name, "") == "old", made
            target.drop_target(place)
            assert mysql_digest(mariadb, name) == before, made
    assert mysql_digest(mariadb, name) != before


def test_within_a_database_all_former_tables_are_kept(
    mariadb: MariadbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or none of them are yet, and the next look keeps all."""
    name = mariadb.create_database()
    target, place = mariadb.datasource(name), inside_name(name)
    mariadb.execute(*_TABLES.split(";\n"), database=name)
    dump_to(target, tmp_path / "archive")
    before = mysql_digest(mariadb, name)
    for made in range(1, 5):
        assert load_from(target, tmp_path / "archive", place).errors == ()
        keep_as = target.name_to_keep(place, name, f"__dgtui_old_{made}")
        cut: list[int] = []
        with monkeypatch.context() as patched:
            patched.setattr(mysql_inside_kept, "rename_tables", cut_after(made, cut))
            with contextlib.suppress(RestoreError):
                target.swap(place, name, keep_as, SilentReporter())
        assert cut == ([4] if made < 4 else [])
        assert target.settle_swap("", place, name, keep_as) == "new"
        assert len(target.target_state(keep_as).objects) == 3
        target.drop_target(keep_as)
        assert mysql_digest(mariadb, name) == before, made


def test_our_own_rename_is_interrupted_and_its_session_not_killed(mariadb: MariadbServer) -> None:
    """MariaDB takes back a rename that is interrupted, and leaves one by half whose session is killed."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (i INT)", database=name)
    errors: list[int] = []

    def rename() -> None:
        with mariadb.connect(name) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"RENAME TABLE {name}.t TO {name}.`kept`")
            except pymysql.MySQLError as error:
                errors.append(error.args[0])

    with mariadb.connect(name) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM t")
        renaming = threading.Thread(target=rename)
        renaming.start()
        waiting = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'RENAME TABLE %'"
        while not mariadb.execute(waiting):
            time.sleep(0.01)
        with waiting_session(mariadb.datasource(name)._access) as session:
            end_rename(session, "kept", name)
        renaming.join()
    assert errors == [1317], "the query was interrupted; 2013 and 1927 tell of a session that was killed"
