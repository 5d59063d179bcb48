"""Swaps of MySQL and MariaDB databases while others write: no write misses its trigger."""

import contextlib
import threading
from collections.abc import Iterator

import pytest

from tests.support.homes import Home, wait_until
from tests.support.mariadb import MariadbServer, mysql_digest

_WRITERS = 3
_FARM = (
    "CREATE TABLE farm (id INT PRIMARY KEY)",
    "INSERT INTO farm VALUES (1)",
    "CREATE TABLE seen (id INT)",
    (
        "CREATE TABLE hen (id INT AUTO_INCREMENT PRIMARY KEY, farm INT, eggs INT DEFAULT 0, CHECK (eggs >= 0), "
        "CONSTRAINT `li``ves` FOREIGN KEY (farm) REFERENCES farm (id), FOREIGN KEY (farm) REFERENCES farm (id))"
    ),
    (
        "CREATE TABLE egg (hen INT, CONSTRAINT laid FOREIGN KEY (hen) REFERENCES hen (id), "
        "CONSTRAINT again FOREIGN KEY (hen) REFERENCES hen (id) ON DELETE CASCADE)"
    ),
    "CREATE TRIGGER `be``fore` BEFORE INSERT ON hen FOR EACH ROW SET NEW.eggs = NEW.eggs + 1",
    "CREATE TRIGGER twice BEFORE INSERT ON hen FOR EACH ROW SET NEW.eggs = NEW.eggs * 10",
    "CREATE TRIGGER noted AFTER INSERT ON hen FOR EACH ROW INSERT INTO seen VALUES (NEW.id)",
    "CREATE TRIGGER laying AFTER INSERT ON egg FOR EACH ROW UPDATE hen SET eggs = eggs + 1 WHERE id = NEW.hen",
    "CREATE VIEW hens AS SELECT id FROM hen",
)


class Writers:
    """Others who write to a table all the time."""

    def __init__(self, server: MariadbServer, database: str) -> None:
        self._server = server
        self._database = database
        self._end = threading.Event()
        self.written = [0] * _WRITERS
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(_WRITERS)]

    def _write(self, number: int) -> None:
        try:
            with self._server.connect(self._database) as connection, connection.cursor() as cursor:
                while not self._end.is_set():
                    cursor.execute("INSERT INTO hen (farm) VALUES (1)")
                    self.written[number] += 1
        except Exception as error:
            self.errors.append(repr(error))
            raise

    def all_write(self) -> None:
        """Wait until each has written once more."""
        before = list(self.written)
        wait_until(lambda: all(map(int.__lt__, before, self.written)) or bool(self.errors), "each to write")

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """For the block."""
        for thread in self._threads:
            thread.start()
        try:
            self.all_write()
            yield
            self.all_write()
        finally:
            self._end.set()
            for thread in self._threads:
                thread.join()


@pytest.mark.parametrize("flavour", ["mariadb", "mysql_server"])
def test_no_write_misses_its_trigger(home: Home, request: pytest.FixtureRequest, flavour: str) -> None:
    """At a swap and at its undo: what was written is in the one content or the other, each time with its trigger."""
    server: MariadbServer = request.getfixturevalue(flavour)
    name = server.create_database()
    server.execute(*_FARM, database=name)
    home.configure(server.config(name))
    assert home.back_up().status == "completed"
    backed_up = mysql_digest(server, name)
    server.execute("CREATE TABLE since (a INT)", "DROP TRIGGER laying", database=name)
    writers = Writers(server, name)
    with writers.at_work():
        done = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes", "--no-safety")
        assert done.exit_code == 0, done
        writers.all_write()
        restore = home.engine().restores()[0]
        assert restore.kept_as is not None
        first_kept = rows(server, restore.kept_as)
        undone = home.dgtui("undo", restore.restore_id[:8], "--yes", "--no-safety")
        assert undone.exit_code == 0, undone
    assert writers.errors == []
    second_kept = home.engine().restores()[0].kept_as
    assert second_kept is not None
    contents = [first_kept, rows(server, second_kept), rows(server, name)]
    for hens, seen, eggs in contents:
        assert len(hens) > 0
        assert (seen, eggs) == (hens, {10})
    assert len(contents[2][0] - first_kept[0]) + len(contents[1][0]) + len(first_kept[0]) == sum(writers.written)
    server.execute("TRUNCATE TABLE seen", "SET foreign_key_checks = 0", "TRUNCATE TABLE hen", database=second_kept)
    again = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert again.exit_code == 0, again
    assert mysql_digest(server, name) == backed_up


def rows(server: MariadbServer, database: str) -> tuple[set[int], set[int], set[int]]:
    """The rows that were written, those that the trigger saw, and what the triggers before it made of them."""
    one, other, third = (
        {number for (number,) in server.execute(f"SELECT {column} FROM {table}", database=database)}
        for column, table in (("id", "hen"), ("id", "seen"), ("eggs", "hen"))
    )
    return one, other, third
