"""A user of one MariaDB database, who may make no other beside it: it is exchanged within itself, or left as it is."""

import contextlib
import itertools
import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.datasources.dumping import Dump, DumpOptions
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.mysql import MysqlDatasource
from dgtui.engine.datasources.mysql_contents import dump_blocks
from dgtui.engine.datasources.mysql_inside import exchange_inside, inside_name, remove_loaded, settle_within
from dgtui.engine.reporting import SilentReporter
from tests.integration.test_mysql_swap_killed import Dying, Killed
from tests.integration.test_mysql_triggers import Writers
from tests.integration.test_restore_in_place import HANG
from tests.support.homes import Home, wait_until
from tests.support.mariadb import MariadbServer, as_user, mariadb_program, mysql_digest

_HENS = (
    "CREATE TABLE farm (id INT PRIMARY KEY, note TEXT COMMENT 'INSERT INTO `hen` VALUES')",
    "INSERT INTO farm VALUES (1, '\\nINSERT INTO `hen` VALUES\\n(1)\\nUNLOCK TABLES;\\n'), (2, 'CREATE TABLE `hen` (')",
    (
        "CREATE TABLE hen (id INT AUTO_INCREMENT PRIMARY KEY, farm INT, eggs INT DEFAULT 0, CHECK (eggs >= 0), "
        "CONSTRAINT `li``ves` FOREIGN KEY (farm) REFERENCES farm (id), FOREIGN KEY (farm) REFERENCES farm (id))"
    ),
    "INSERT INTO hen (farm) VALUES (1), (2)",
    (
        "CREATE TABLE `e``gg ``` (hen INT, up INT, KEY (up), CONSTRAINT laid FOREIGN KEY (hen) REFERENCES hen (id), "
        "CONSTRAINT again FOREIGN KEY (hen) REFERENCES hen (id) ON DELETE CASCADE)"
    ),
    "CREATE TABLE self (id INT PRIMARY KEY, up INT, CONSTRAINT up FOREIGN KEY (up) REFERENCES self (id))",
    "INSERT INTO self VALUES (1, 1), (2, 1)",
    "UPDATE self SET up = 2 WHERE id = 1",
    "CREATE TABLE past (a INT) WITH SYSTEM VERSIONING",
    "INSERT INTO past VALUES (1), (2)",
    "DELETE FROM past WHERE a = 1",
    "CREATE TABLE parts (a INT) PARTITION BY HASH (a) PARTITIONS 3",
    "INSERT INTO parts SELECT seq FROM seq_1_to_50",
    "CREATE TABLE plain (a INT) ENGINE=MyISAM",
    "INSERT INTO plain VALUES (7)",
    "CREATE TABLE seen (id INT)",
    "CREATE TRIGGER `be``fore` BEFORE INSERT ON hen FOR EACH ROW SET NEW.eggs = NEW.eggs + 1",
    "CREATE TRIGGER twice BEFORE INSERT ON `hen` FOR EACH ROW SET NEW.eggs = NEW.eggs * 10",
    "CREATE TRIGGER noted AFTER INSERT ON hen FOR EACH ROW INSERT INTO seen VALUES (NEW.id)",
    (
        "CREATE TRIGGER laying  AFTER\nINSERT ON `e``gg ``` FOR  EACH ROW BEGIN\n"
        "-- TRIGGER x AFTER INSERT ON hen FOR EACH ROW\nUPDATE hen SET eggs = eggs + NUMBER WHERE id = NEW.hen;\nEND"
    ),
    "CREATE VIEW hens AS SELECT id + NUMBER AS a FROM hen",
    "CREATE VIEW few AS SELECT a FROM hens WHERE a < 9 WITH CHECK OPTION",
    "CREATE FUNCTION many() RETURNS INT DETERMINISTIC RETURN NUMBER",
    "CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO DELETE FROM seen WHERE id = NUMBER",
)


_TABLES = 8
"""So many there are in what is backed up, and once it was changed too."""


class OneDatabase:
    """A database whose user may do all in it and nothing elsewhere; backed up, and changed since."""

    user = "tenant"

    def __init__(self, server: MariadbServer) -> None:
        self.server = server
        self.name = server.create_database()
        literal = self.name.replace("_", "\\_")
        server.execute(
            f"CREATE USER IF NOT EXISTS {self.user}@'%'",
            f"GRANT ALL ON `{literal}`.* TO {self.user}@'%'",
        )

    def run(self, *statements: str) -> None:
        """Run statements as that user, whose views and triggers they are."""
        with self.server.connect(self.name, user=self.user) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def fill(self, number: str) -> None:
        """Make what is backed up."""
        self.run(*(one.replace("NUMBER", number) for one in _HENS))

    def change(self) -> None:
        """Change it, in every kind of object."""
        self.run(
            "DROP TRIGGER laying",
            "CREATE TRIGGER gone AFTER DELETE ON farm FOR EACH ROW SET @a = 1",
            "DROP VIEW few",
            "DROP VIEW hens",
            "CREATE TABLE hens (a INT, CONSTRAINT other FOREIGN KEY (a) REFERENCES farm (id))",
            "DROP TABLE parts",
            "CREATE VIEW parts AS SELECT 1 AS a",
            "CREATE PROCEDURE newer() SELECT 1",
            "DROP EVENT yearly",
            "DELETE FROM plain",
        )

    def digest(self) -> dict[str, str]:
        """What it holds."""
        return mysql_digest(self.server, self.name)


@pytest.fixture
def shop(mariadb: MariadbServer) -> OneDatabase:
    """Such a database."""
    return OneDatabase(mariadb)


@pytest.mark.parametrize("deep", [(), ("--deep",)])
def test_it_is_exchanged_within_itself_and_back(home: Home, shop: OneDatabase, deep: tuple[str, ...]) -> None:
    """Exactly the backup, and by its safety backup exactly what was there before; the preview says how."""
    shop.fill("7")
    home.configure(as_user(shop.server.config(shop.name), shop.user))
    assert home.back_up().status == "completed"
    backed_up = shop.digest()
    shop.change()
    before, databases = shop.digest(), shop.server.databases()
    refused = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes", "--no-safety")
    assert refused.exit_code == 1, refused
    assert "without a safety backup" in refused.errors
    done = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes", *deep)
    assert done.exit_code == 0, done
    assert "may make no database beside it" in done.errors
    drop_kept_ones(home)
    assert shop.digest() == backed_up
    restore = home.engine().restores()[0]
    assert (restore.placing, restore.report is not None) == (None, True)
    undone = home.dgtui("undo", restore.restore_id[:8], "--yes")
    assert undone.exit_code == 0, undone
    drop_kept_ones(home)
    assert shop.digest() == before
    assert (shop.server.databases(), home.litter()) == (databases, [])


def drop_kept_ones(home: Home) -> None:
    """Drop what the newest restore has kept."""
    restore = home.engine().restores()[0]
    assert restore.kept_as is not None
    dropped = home.dgtui("drop-replaced", restore.restore_id[:8], "--yes")
    assert dropped.exit_code == 0, dropped


def test_no_write_misses_its_trigger(home: Home, shop: OneDatabase) -> None:
    """What is written meanwhile is written to the old tables or the new ones, with their triggers."""
    shop.fill("7")
    home.configure(as_user(shop.server.config(shop.name), shop.user))
    shop.run("TRUNCATE TABLE seen", "DELETE FROM hen")
    assert home.back_up().status == "completed"
    writers = Writers(shop.server, shop.name)
    with writers.at_work():
        done = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
        assert done.exit_code == 0, done
    assert writers.errors == []
    hens = shop.server.execute("SELECT id, eggs FROM hen ORDER BY id", database=shop.name)
    assert {eggs for _, eggs in hens} == {10}
    assert [one for one, _ in hens] == [
        number for (number,) in shop.server.execute("SELECT id FROM seen ORDER BY id", database=shop.name)
    ]


def test_what_was_loaded_when_it_was_killed_is_in_no_backup_and_goes_by_itself(
    home: Home, mariadb: MariadbServer
) -> None:
    """A backup in that moment leaves it out; the next start removes it, and says that nothing was changed."""
    shop = OneDatabase(mariadb)
    shop.fill("7")
    shop.run("INSERT INTO seen SELECT seq FROM seq_1_to_20000")
    tools = NastyTools(home, shop)
    assert home.back_up().status == "completed"
    shop.change()
    before = shop.digest()
    tools.hang()
    engine = home.engine()
    run_id = engine.start_restore(engine.executions(job="nightly")[0], overwrite=True)
    wait_until(lambda: tools.folder.joinpath("reached").exists(), "the tool that stands still")
    assert shop.digest() != before
    dumped = b"".join(dump_blocks(dump_of(shop), 60.0))
    assert b"__dgtui" not in dumped
    os.kill(int(engine.paths.lock(run_id).read_text()), signal.SIGKILL)
    wait_until(lambda: not engine.paths.is_alive(run_id), "the death of the worker")
    told = home.dgtui("list")
    assert f"{shop.name} is as it was" in told.errors, told
    assert shop.digest() == before
    restore = home.engine().restore(run_id)
    assert (restore.status, restore.placing) == ("interrupted", None)


def test_a_user_who_may_not_see_all_of_it_exchanges_nothing(home: Home, shop: OneDatabase) -> None:
    """What somebody else has defined would come back from no safety backup: refused, and nothing was changed."""
    shop.fill("7")
    home.configure(as_user(shop.server.config(shop.name), shop.user))
    assert home.back_up().status == "completed"
    shop.server.execute("CREATE SQL SECURITY INVOKER VIEW foreign_view AS SELECT 1 AS a", database=shop.name)
    before = shop.digest()
    refused = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert refused.exit_code == 1, refused
    assert "GRANT SET USER ON *.* TO 'tenant'@'%';" in refused.errors
    assert shop.digest() == before


def test_a_backup_with_a_sequence_needs_a_database_beside(home: Home, shop: OneDatabase) -> None:
    """Which is seen while it is loaded under other names: nothing was changed, nothing is left."""
    shop.run("CREATE TABLE word (id INT)", "CREATE SEQUENCE numbers")
    home.configure(as_user(shop.server.config(shop.name), shop.user))
    assert home.back_up().status == "completed"
    shop.run("DROP SEQUENCE numbers")
    before = shop.digest()
    refused = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert refused.exit_code == 1, refused
    assert "numbers (sequence)" in refused.errors
    assert "GRANT ALL PRIVILEGES ON" in refused.errors
    assert shop.digest() == before


class NastyTools:
    """The programs of the server, one of which can stand still."""

    def __init__(self, home: Home, shop: OneDatabase) -> None:
        self.folder = home.folder / "tools"
        self.folder.mkdir()
        for name in ("mariadb", "mariadb-dump"):
            self.folder.joinpath(name).symlink_to(str(mariadb_program(name)))
        config = as_user(shop.server.config(shop.name), shop.user)
        home.configure(f'{config}tools = "{self.folder}"\n')

    def hang(self) -> None:
        """Let the client load a part, and stand still."""
        client = self.folder / "mariadb"
        client.unlink()
        client.write_text(
            f"#!/bin/sh\nreal={mariadb_program('mariadb')}\nhere={shlex.quote(str(self.folder))}\n"
            f'case " $* " in *" -- "*) {HANG} ;; *) exec "$real" "$@" ;; esac\n'
        )
        client.chmod(0o755)


def dump_of(shop: OneDatabase) -> Dump:
    """A dump of it."""
    datasource = shop.server.datasource(shop.name, username=shop.user)
    return datasource.open_dump(datasource.probe(DumpOptions()), DumpOptions(), SilentReporter())


class _Archive:
    """A dump in memory."""

    def __init__(self, shop: OneDatabase) -> None:
        self._dump = b"".join(dump_blocks(dump_of(shop), 60.0))
        self.total_size_bytes = len(self._dump)

    def blocks(self) -> Iterator[bytes]:
        """Cut everywhere."""
        for start in range(0, len(self._dump), 61):
            yield self._dump[start : start + 61]


def test_the_old_or_the_new_wherever_the_process_dies(shop: OneDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any statement of the swap and of what puts it right; what was loaded goes without a trace."""
    shop.fill("7")
    datasource = shop.server.datasource(shop.name, username=shop.user)
    access, place = datasource._access, inside_name(shop.name)
    archives = [(_Archive(shop), shop.digest())]
    shop.change()
    archives.append((_Archive(shop), shop.digest()))
    dying, outcomes, content = Dying(monkeypatch), set(), 1
    for number in itertools.count(1):
        archive, keep_as = archives[1 - content][0], datasource.name_to_keep(place, shop.name, f"__dgtui_old_{number}")
        dying.after(0)
        load(datasource, archive, place)
        dying.after(number)
        try:
            exchange_inside(access, shop.name, keep_as, SilentReporter())
            found, died = "new", dying.has_died
        except Killed:
            died = True
            dying.after(number % 7)
            with contextlib.suppress(Killed):
                settle_within(access, shop.name, keep_as)
            dying.after(0)
            found = settle_within(access, shop.name, keep_as)
        dying.after(0)
        kept = datasource.target_state(keep_as)
        assert kept.exists == (found == "new"), number
        if found == "new":
            assert len(kept.objects) == _TABLES, number
            datasource.drop_target(keep_as)
            content = 1 - content
        else:
            with access.session() as session:
                remove_loaded(session, shop.name)
        assert shop.digest() == archives[content][1], (number, found)
        outcomes.add(found)
        if not died:
            break
    assert outcomes == {"old", "new"}


def load(datasource: MysqlDatasource, archive: _Archive, place: str) -> None:
    """Load it as a restore does."""
    datasource.drop_target(place)
    outcome = datasource.load(archive, place, Selection(), SilentReporter(), jobs=1, scratch_folder=Path("/tmp"))  # type: ignore[arg-type]
    assert outcome.errors == ()
