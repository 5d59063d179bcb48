"""Restoring over a database that cannot be swapped: a safety copy, an import in its own place, and the way back."""

import os
import re
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pymysql
import pytest

from dgtui.config.model import job_id
from dgtui.engine.facade import Engine
from dgtui.engine.model import Execution
from dgtui.engine.restore_model import Restore
from dgtui.engine.run_follower import RunSnapshot
from tests.support.homes import Home, wait_until
from tests.support.mariadb import (
    KEEPER,
    MariadbServer,
    as_user,
    make_keeper,
    mariadb_program,
    mysql_digest,
    mysql_nasty,
)

FAIL = 'head -c 20000 | "$real" "$@" 2>/dev/null; echo "ERROR 3024 (70100) at line 7: it was injected" >&2; exit 1'
"""Load a part, then fail."""
HANG = 'head -c 20000 | "$real" "$@" 2>/dev/null; : > "$here/reached"; exec sleep 600'
"""Load a part, then stand still."""
WAIT = ': > "$here/reached"; while [ ! -e "$here/go" ]; do sleep 0.05; done; exec "$real" "$@"'
"""Stand still before anything, until the file `go` is there."""


class NastyShop:
    """A database with every kind of object that its user may not swap, backed up once and changed since."""

    user = KEEPER
    in_place = True
    """Whether it is asked for that it is filled in its own place."""

    def __init__(self, home: Home, server: MariadbServer) -> None:
        self.home = home
        self.server = server
        self.database = server.create_database(options="CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        self.tools = home.folder / "tools"
        self._job = ""
        mysql_nasty(server, self.database)
        self.outside = server.create_database()
        # A foreign key of another database follows the table that is swapped out, unless it may be made anew.
        make_keeper(server, self.database)
        child = f"CREATE TABLE child (audit INT, FOREIGN KEY (audit) REFERENCES {self.database}.audit (id))"
        server.execute(child, "INSERT INTO child VALUES (7)", database=self.outside)
        server.execute(f"ALTER DATABASE {self.database} COLLATE utf8mb4_bin")
        self.configure()
        self.execution = home.back_up()
        assert self.execution.status == "completed", self.execution.problem
        self.backed_up = self.digest()
        server.execute(
            "DELETE FROM parts",
            "INSERT INTO words VALUES (77, 'written since')",
            "DROP VIEW `view ``q`",
            "CREATE TABLE since (a INT)",
            "CREATE PROCEDURE newer() SELECT 1",
            database=self.database,
        )
        self.before = self.digest()
        self.databases = server.databases()

    def configure(self, more: str = "", job: str | None = None) -> None:
        """Write the configuration, with what is added to the datasource; the job stays where none is given."""
        self._job = self._job if job is None else job
        config = as_user(self.server.config(self.database), self.user)
        self.home.configure(config + more, storages=("disk", "nas"), job=self._job)

    def block_safety_copies(self, storage: str) -> Path:
        """Let a storage take no safety copy: a file lies where their folder would be."""
        obstacle = self.home.storage(storage) / job_id("safety-shop", None)
        obstacle.touch()
        return obstacle

    def digest(self) -> dict[str, str]:
        """What the database holds."""
        return mysql_digest(self.server, self.database)

    def misbehave(self, *numbers: int, how: str, program: str = "mariadb") -> None:
        """Let a program misbehave when it loads or dumps for the Nth time."""
        self.tools.mkdir(exist_ok=True)
        for name in ("mariadb", "mariadb-dump"):
            self.tools.joinpath(name).unlink(missing_ok=True)
            self.tools.joinpath(name).symlink_to(str(mariadb_program(name)))
        chosen = "|".join(str(number) for number in numbers)
        fake = self.tools / program
        fake.unlink()
        fake.write_text(
            f"#!/bin/sh\nreal={mariadb_program(program)}\nhere={shlex.quote(str(self.tools))}\n"
            'case " $* " in *" -- "*) ;; *) exec "$real" "$@" ;; esac\n'
            'printf x >> "$here/count"\n'
            f'case "$(wc -c < "$here/count")" in {chosen}) {how} ;; *) exec "$real" "$@" ;; esac\n'
        )
        fake.chmod(0o755)
        self.configure(f'tools = "{self.tools}"\n')

    def behave(self) -> None:
        """The real programs again."""
        shutil.rmtree(self.tools, ignore_errors=True)
        self.configure()

    def start(self, execution: Execution | None = None) -> tuple[Engine, str]:
        """Start a restore over the database."""
        engine = self.home.engine()
        wanted = execution or self.execution
        return engine, engine.start_restore(wanted, database=self.database, overwrite=True, in_place=self.in_place)

    def restore(self, execution: Execution | None = None) -> tuple[Restore, RunSnapshot]:
        """Restore over the database, to the end."""
        engine, run_id = self.start(execution)
        snapshot = self.home.finish(engine, run_id)
        return recorded(engine, run_id), snapshot

    def wait_for_the_tool(self, engine: Engine, run_id: str) -> None:
        """Wait until the misbehaving program of a run stands still."""

        def reached() -> bool:
            assert engine.paths.is_alive(run_id), self.home.finish(engine, run_id).problem
            return self.tools.joinpath("reached").exists()

        wait_until(reached, "the tool that stands still")

    def nothing_left(self) -> None:
        """Assert that no database of ours and no litter is left."""
        assert self.server.databases() == self.databases
        assert self.home.litter() == []


@pytest.fixture
def shop(home: Home, mariadb: MariadbServer) -> NastyShop:
    """A database that cannot be swapped."""
    return NastyShop(home, mariadb)


def recorded(engine: Engine, run_id: str) -> Restore:
    """The record of a restore."""
    return next(restore for restore in engine.restores() if restore.restore_id == run_id)


def literal(name: str) -> str:
    """A name for a GRANT command, where `_` stands for anything."""
    return name.replace("_", "\\_")


def safety_of(engine: Engine, restore: Restore) -> Execution:
    """The safety copy of a restore."""
    assert restore.safety_execution_id is not None
    return engine.execution(restore.safety_execution_id)


def test_the_content_is_exchanged_and_the_former_one_is_a_backup(shop: NastyShop) -> None:
    """Exactly the backup afterwards; the safety copy is listed, named in the log, and can be restored.

    A foreign key of another database, which no swap could carry over, still holds.
    """
    done = shop.home.dgtui("restore", "nightly@latest", "--overwrite", "--in-place", "--yes")
    assert done.exit_code == 0, done
    assert any(line.startswith("How ") and "partly filled" in line for line in done.errors.splitlines()), done
    assert shop.digest() == shop.backed_up
    shop.nothing_left()
    with pytest.raises(pymysql.err.IntegrityError, match="child"):
        shop.server.execute("UPDATE audit SET id = 9 WHERE id = 7", database=shop.database)
    engine = shop.home.engine()
    restore = engine.restores()[0]
    safety = safety_of(engine, restore)
    assert (restore.status, restore.kept_as) == ("completed", None)
    assert (safety.status, safety.job, safety.datasource) == ("completed", "safety-shop", "shop")
    assert restore.restore_id[:8] in safety.description
    assert safety in engine.executions(job="safety-shop")
    command = f"dgtui restore {safety.execution_id[:8]} --into {shop.database} --overwrite --in-place"
    assert command in engine.paths.messages(restore.restore_id).read_text()
    assert shop.restore(safety)[0].status == "completed"
    assert shop.digest() == shop.before
    shop.nothing_left()


def test_nothing_is_filled_in_its_own_place_unless_that_is_asked_for(shop: NastyShop) -> None:
    """Refused before anything is touched, and nothing is saved; the GRANT commands that are named let it be swapped."""
    refused = shop.home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    told = shop.home.dgtui("restore", "nightly@latest", "--overwrite", "--dry-run")
    assert (refused.exit_code, told.exit_code) == (1, 1)
    grants = list(dict.fromkeys(re.findall(r"GRANT [^;]* TO [^;]*;", refused.errors)))
    assert grants == [f"GRANT ALTER ON `{literal(shop.outside)}`.* TO 'keeper'@'%';"], refused
    for text in (refused.errors, told.output):
        assert "--in-place" in text
        assert grants[0] in text
        assert "nothing is done without --in-place" in text
    assert (shop.digest(), len(shop.home.engine().executions())) == (shop.before, 1)
    shop.nothing_left()
    shop.server.execute(*grants)
    shop.in_place = False
    restore, snapshot = shop.restore()
    assert restore.status == "completed", snapshot.problem
    assert restore.kept_as is not None
    assert shop.digest() == shop.backed_up


def test_an_undo_in_its_own_place_has_to_be_asked_for_as_well(shop: NastyShop) -> None:
    """It says beforehand that it needs that."""
    restore, _ = shop.restore()
    refused = shop.home.dgtui("undo", restore.restore_id[:8], "--yes")
    assert refused.exit_code == 1, refused
    assert "with --in-place" in refused.errors
    assert "GRANT ALTER ON" in refused.errors
    assert shop.digest() == shop.backed_up
    done = shop.home.dgtui("undo", restore.restore_id[:8], "--in-place", "--yes")
    assert done.exit_code == 0, done
    assert shop.digest() == shop.before
    shop.nothing_left()


def test_a_user_of_one_database_is_told_which_right_it_lacks(home: Home, mariadb: MariadbServer) -> None:
    """Chosen tables need databases beside; with the named command, which reaches no others, it has them."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)", database=name)
    mariadb.execute("CREATE USER tenant@'%'", f"GRANT ALL ON `{literal(name)}`.* TO tenant@'%'")
    home.configure(as_user(mariadb.config(name), "tenant"))
    assert home.back_up().status == "completed"
    content = mysql_digest(mariadb, name)
    mariadb.execute("INSERT INTO t VALUES (2)", database=name)
    before = mysql_digest(mariadb, name)
    refused = home.dgtui("restore", "nightly@latest", "--table", "t", "--overwrite", "--yes")
    assert refused.exit_code == 1, refused
    grant = f"GRANT ALL PRIVILEGES ON `{literal(name + '__dgtui')}%`.* TO 'tenant'@'%';"
    assert grant in refused.errors, refused
    assert (mysql_digest(mariadb, name), len(home.engine().restores())) == (before, 1)
    mariadb.execute(grant)
    done = home.dgtui("restore", "nightly@latest", "--table", "t", "--overwrite", "--yes")
    assert done.exit_code == 0, done
    assert mysql_digest(mariadb, name) == content


def test_a_failed_import_is_put_back(shop: NastyShop) -> None:
    """The archive loaded beside the target, but not in its place: what was there is there again."""
    shop.misbehave(2, how=FAIL)
    restore, snapshot = shop.restore()
    assert (restore.status, snapshot.status) == ("failed", "failed")
    assert restore.problem is not None
    assert restore.problem.kind == "RestoreError"
    assert "put back" in restore.problem.message
    assert any("injected" in line for line in restore.problem.detail)
    assert restore.report is not None
    assert any("injected" in failure.message for failure in restore.report.failures), "not what was loaded beside it"
    assert shop.digest() == shop.before
    shop.nothing_left()


def end_spoiled(shop: NastyShop, spoil: Callable[[Path], object], *storages: str) -> Restore:
    """Restore from copies that turn bad once the target is being saved, when they have been read and were good."""
    shop.configure(job='compression = "none"\nmax_file_size_mb = 1')
    shop.execution = shop.home.back_up()
    assert shop.execution.status == "completed", shop.execution.problem
    shop.backed_up = shop.digest()
    shop.server.execute("INSERT INTO words VALUES (78, 'written later')", database=shop.database)
    shop.before = shop.digest()
    shop.misbehave(1, how=WAIT, program="mariadb-dump")
    engine, run_id = shop.start()
    shop.wait_for_the_tool(engine, run_id)
    for copy in shop.execution.copies:
        if copy.storage in storages:
            spoil(Path(copy.path))
    shop.tools.joinpath("go").touch()
    shop.home.finish(engine, run_id)
    return recorded(engine, run_id)


def shorten(folder: Path) -> None:
    """Cut the last part, so that it shows only once most of the archive was loaded."""
    part = max(folder.glob("backup.*"))
    os.truncate(part, part.stat().st_size // 2)


@pytest.mark.parametrize("spoil", [shorten, shutil.rmtree])
def test_an_import_goes_on_with_the_next_copy(shop: NastyShop, spoil: Callable[[Path], object]) -> None:
    """The copy that was loaded beside the target is bad when it shall be imported: another one is whole."""
    restore = end_spoiled(shop, spoil, "disk")
    assert (restore.status, restore.storage) == ("completed", "nas"), restore.problem
    assert restore.report is not None
    assert {entry.outcome for entry in restore.report.objects} == {"restored"}
    assert shop.digest() == shop.backed_up
    copies = shop.home.engine().execution(shop.execution.execution_id).copies
    states = {copy.storage: copy.status for copy in copies}
    assert states == {"disk": "corrupt" if spoil is shorten else "missing", "nas": "available"}
    shop.nothing_left()


@pytest.mark.parametrize("spoil", [shorten, shutil.rmtree])
def test_no_copy_can_be_imported_any_more(shop: NastyShop, spoil: Callable[[Path], object]) -> None:
    """What was begun is put back; what shows before the target is emptied leaves it alone."""
    restore = end_spoiled(shop, spoil, "disk", "nas")
    assert restore.status == "failed"
    assert not restore.partly_filled
    assert restore.problem is not None
    assert ("was put back" in restore.problem.message) == (spoil is shorten), restore.problem
    assert shop.digest() == shop.before
    shop.nothing_left()


def test_an_import_that_cannot_be_put_back_names_the_way(shop: NastyShop) -> None:
    """Both loads fail: the error names the safety copy, which is whole, and following it gives everything back."""
    shop.misbehave(2, 3, how=FAIL)
    restore, _ = shop.restore()
    assert restore.status == "failed"
    assert restore.problem is not None
    engine = shop.home.engine(put_back=False)
    safety = safety_of(engine, restore)
    folder = Path(safety.copies[0].path)
    assert str(folder) in restore.problem.message
    assert any(f"cd {folder}" in line for line in restore.problem.detail)
    shop.behave()
    words = shlex.split(restore.problem.hint.partition("dgtui ")[2])
    assert shop.home.dgtui(*words, "--yes").exit_code == 0
    assert shop.digest() == shop.before
    shop.nothing_left()


def test_a_cancel_during_the_import_comes_too_late(shop: NastyShop) -> None:
    """From the moment the target is emptied, the restore is brought to its end; others leave its safety copy alone."""
    shop.misbehave(2, how=WAIT)
    engine, run_id = shop.start()
    shop.wait_for_the_tool(engine, run_id)
    engine.cancel(run_id)
    shop.tools.joinpath("go").touch()
    assert shop.home.finish(engine, run_id).status == "completed"
    assert shop.digest() == shop.backed_up
    shop.nothing_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_during_the_safety_copy_touches_nothing(shop: NastyShop, number: signal.Signals) -> None:
    """Others who look meanwhile leave the copy alone; cancelled or killed, no half of it is left."""
    shop.misbehave(1, how=WAIT, program="mariadb-dump")
    engine, run_id = shop.start()
    shop.wait_for_the_tool(engine, run_id)
    meanwhile = shop.home.engine()
    assert meanwhile.reconciled == ()
    assert safety_of(meanwhile, recorded(meanwhile, run_id)).status == "running"
    os.kill(int(engine.paths.lock(run_id).read_text()), number)
    wait_until(lambda: not engine.paths.is_alive(run_id), "the end of the worker")
    again = shop.home.engine()
    restore = recorded(again, run_id)
    ended = "cancelled" if number == signal.SIGTERM else "interrupted"
    assert (restore.status, safety_of(again, restore).status) == (ended, ended)
    assert shop.digest() == shop.before
    assert shop.home.litter() == []


def test_no_safety_copy_no_restore(shop: NastyShop) -> None:
    """Where no storage takes it, nothing is touched; where one does, that one is taken."""
    obstacles = [shop.block_safety_copies(name) for name in ("disk", "nas")]
    restore, _ = shop.restore()
    assert restore.status == "failed"
    assert restore.problem is not None
    assert "safety backup" in restore.problem.message
    assert safety_of(shop.home.engine(), restore).status == "failed"
    assert shop.digest() == shop.before
    shop.nothing_left()
    obstacles[1].unlink()
    restore, snapshot = shop.restore()
    assert restore.status == "completed", snapshot.problem
    safety = safety_of(shop.home.engine(), restore)
    assert [copy.storage for copy in safety.copies if copy.path] == ["nas"]
    assert shop.digest() == shop.backed_up


def test_a_target_in_use_is_left_as_it_is(shop: NastyShop) -> None:
    """A transaction that holds a table: it is waited for, but not for ever, and then nothing was lost."""
    shop.configure("lock_timeout = 1\n")
    with shop.server.connect(shop.database, autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM words")
        restore, _ = shop.restore()
        connection.rollback()
    assert restore.problem is not None
    assert "nothing was changed" in restore.problem.message
    assert shop.digest() == shop.before
    shop.nothing_left()


def test_a_user_who_does_not_see_everything_empties_nothing(home: Home, mariadb: MariadbServer) -> None:
    """What the user cannot see would be missing in the safety copy; the missing right is named."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a INT)", "CREATE SQL SECURITY INVOKER VIEW v AS SELECT a FROM t", database=name)
    home.configure(mariadb.config(name))
    execution = home.back_up()
    mariadb.execute("INSERT INTO t VALUES (1)", database=name)
    before = mysql_digest(mariadb, name)
    mariadb.execute(
        "CREATE USER poor@'%'",
        f"GRANT SELECT, INSERT, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, CREATE VIEW, SHOW VIEW, EXECUTE "
        f"ON `{name}%`.* TO poor@'%'",
        "GRANT SET USER ON *.* TO poor@'%'",
    )
    home.configure(mariadb.config(name).replace('"root"', '"poor"'))
    engine = home.engine()
    outlook = engine.preview_restore(execution, database=name).outlook
    run_id = engine.start_restore(execution, database=name, overwrite=True)
    problem = home.finish(engine, run_id).problem
    assert problem is not None
    assert (problem.kind, "TRIGGER" in problem.hint) == ("PermissionDenied", True), problem
    assert outlook is not None
    assert outlook.problem == problem, "the preview says the same"
    assert mysql_digest(mariadb, name) == before


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE DEFINER = root@localhost SQL SECURITY INVOKER VIEW v AS SELECT a FROM t", "root@localhost"),
        ("CREATE DEFINER = small@'%' FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1", "f (routine), for want of"),
    ],
)
def test_what_could_never_be_put_back_is_not_emptied(home: Home, mariadb: MariadbServer, made: str, named: str) -> None:
    """The user may drop what somebody else has defined, and not make it again: refused, before and by the restore."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a INT)", database=name)
    mariadb.execute(
        "CREATE USER small@'%'",
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, TRIGGER, EVENT, "
        f"SHOW VIEW, CREATE VIEW, EXECUTE, ALTER ROUTINE ON `{name}%`.* TO small@'%'",
        "GRANT SELECT ON mysql.proc TO small@'%'",
    )
    home.configure(as_user(mariadb.config(name), "small"))
    execution = home.back_up()
    assert execution.status == "completed", execution.problem
    mariadb.execute(made, database=name)
    before, databases = mysql_digest(mariadb, name), mariadb.databases()
    engine = home.engine()
    outlook = engine.preview_restore(execution).outlook
    assert outlook is not None
    assert outlook.problem is not None
    assert named in outlook.problem.message
    run_id = engine.start_restore(execution, overwrite=True)
    assert home.finish(engine, run_id).problem == outlook.problem
    assert (mysql_digest(mariadb, name), mariadb.databases()) == (before, databases)


def test_another_database_has_safety_copies_of_its_own(home: Home, mariadb: MariadbServer) -> None:
    """The copy holds what was restored over, not the datasource's own database, and goes back there."""
    name, other = mariadb.create_database(), mariadb.create_database()
    for database, row in ((name, 1), (other, 2)):
        mariadb.execute(
            "CREATE TABLE t (a INT)", f"INSERT INTO t VALUES ({row})", "CREATE VIEW v AS SELECT a FROM t",
            database=database,
        )  # fmt: skip
    home.configure(mariadb.config(name))
    execution = home.back_up()
    content, before = mysql_digest(mariadb, name), mysql_digest(mariadb, other)
    engine = home.engine()
    assert engine.preview_restore(execution, database=other).way == "swap"
    assert engine.preview_restore(execution, database=other, in_place=True).way == "swap or import"
    home.finish(engine, engine.start_restore(execution, database=other, overwrite=True))
    assert mysql_digest(mariadb, other) == content
    restore = engine.restores()[0]
    safety = safety_of(engine, restore)
    assert safety.job == f"safety-shop:{other}"
    home.finish(engine, engine.start_restore(safety, database=other, overwrite=True))
    assert (mysql_digest(mariadb, other), mysql_digest(mariadb, name)) == (before, content)
