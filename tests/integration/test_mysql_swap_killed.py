"""A swap of MySQL or MariaDB databases whose process dies after any statement, also in what puts it right."""

import contextlib
import itertools
import re
from collections.abc import Iterator

import pytest

from dgtui.engine.datasources import mysql_objects
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_load import replay_statements
from dgtui.engine.datasources.mysql_script import Script
from dgtui.engine.datasources.mysql_swap import settle_databases, swap_databases
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import Reporter, SilentReporter
from tests.support.mariadb import MariadbServer, mysql_digest

_CHANGES = re.compile(rb"(?m)^(?:/\*!\d+ )?(?:CREATE|DROP|LOCK|UNLOCK|ALTER)\b")
_HENS = (
    "CREATE TABLE farm (id INT PRIMARY KEY)",
    "INSERT INTO farm VALUES (1)",
    (
        "CREATE TABLE hen (id INT PRIMARY KEY, farm INT, "
        "CONSTRAINT lives FOREIGN KEY (farm) REFERENCES farm (id), FOREIGN KEY (farm) REFERENCES farm (id))"
    ),
    "CREATE TABLE egg (hen INT, CONSTRAINT laid FOREIGN KEY (hen) REFERENCES hen (id) ON DELETE CASCADE)",
    "CREATE TRIGGER one BEFORE INSERT ON hen FOR EACH ROW SET NEW.id = NEW.id + NUMBER",
    "CREATE TRIGGER other BEFORE INSERT ON hen FOR EACH ROW SET NEW.id = NEW.id * NUMBER",
    "CREATE TABLE tied (id INT, CONSTRAINT up FOREIGN KEY (id) REFERENCES `OUTSIDE`.parent (id))",
    "CREATE VIEW hens AS SELECT id + NUMBER AS a FROM hen",
    "CREATE FUNCTION many() RETURNS INT DETERMINISTIC RETURN NUMBER",
)
_FORMER = (*_HENS, "CREATE TRIGGER gone AFTER INSERT ON egg FOR EACH ROW SET @a = 1", "INSERT INTO hen VALUES (3, 1)")
_LATER = (
    *_HENS,
    "CREATE TRIGGER come AFTER DELETE ON farm FOR EACH ROW SET @a = 1",
    "CREATE TABLE late (a INT)",
    "CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO DELETE FROM late",
)


class Killed(BaseException):
    """The process is gone."""


class Dying:
    """Lets the process die after the Nth statement that changes something, by us or by the client."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = 0
        self.has_died = False
        execute = Session.execute

        def counted(session: Session, statement: str, arguments: tuple[object, ...] = ()) -> None:
            execute(session, statement, arguments)
            if not statement.startswith("SET "):
                self._count(1)

        monkeypatch.setattr(Session, "execute", counted)
        monkeypatch.setattr(mysql_objects, "replay_statements", self._replay)

    def after(self, number: int) -> None:
        """Die after so many; never for 0."""
        self._left, self.has_died = number, False

    def _count(self, statements: int) -> None:
        if self._left and not self.has_died:
            self._left -= min(statements, self._left)
            if not self._left:
                self.has_died = True
                raise Killed

    def _replay(self, access: Access, text: bytes, script: Script, reporter: Reporter) -> None:
        ends = list(_ends(text))
        cut = ends[self._left - 1] if not self.has_died and 0 < self._left <= len(ends) else len(text)
        try:
            replay_statements(access, text[:cut], script, reporter)
        except RestoreError:
            # A view may not do without what was cut off.
            if cut == len(text):
                raise
        self._count(len(ends))


def _ends(text: bytes) -> Iterator[int]:
    """Where the statements of a script end that change something."""
    start, delimiter = 0, b";\n"
    for line in re.finditer(rb"[^\n]*\n", text):
        if line[0].startswith(b"DELIMITER "):
            delimiter, start = line[0].split()[1] + b"\n", line.end()
        elif line[0].endswith(delimiter):
            if _CHANGES.search(text, start, line.end()):
                yield line.end()
            start = line.end()


@pytest.mark.parametrize("flavour", ["mariadb", "mysql_server"])
def test_the_old_or_the_new_wherever_the_process_dies(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, flavour: str
) -> None:
    """The next one to come finds one of them whole, and what is beside it can be swapped in, to and fro."""
    server: MariadbServer = request.getfixturevalue(flavour)
    current, new, outside = (server.create_database() for _ in range(3))
    server.execute("CREATE TABLE parent (id INT PRIMARY KEY)", database=outside)
    for database, statements, digit in ((current, _FORMER, "7"), (new, _LATER, "8")):
        written = (one.replace("NUMBER", digit).replace("OUTSIDE", outside) for one in statements)
        server.execute(*written, database=database)
    child = f"CREATE TABLE child (hen INT, CONSTRAINT down FOREIGN KEY (hen) REFERENCES `{current}`.hen (id))"
    server.execute(child, database=outside)
    elsewhere = mysql_digest(server, outside)
    contents = mysql_digest(server, current), mysql_digest(server, new)
    there = {*server.databases()} - {new}
    access = server.datasource(current)._access
    dying, outcomes = Dying(monkeypatch), set()
    for number in itertools.count(1):
        keep_as = f"{current}__dgtui_old_{number}"
        dying.after(number)
        try:
            swap_databases(access, new, current, keep_as, SilentReporter())
        except Killed:
            found = _settled(dying, access, new, current, keep_as, number)
        else:
            found = "new"
        whole, died = mysql_digest(server, current), dying.has_died
        assert whole == (contents[1] if found == "new" else contents[0]), number
        if found == "new":
            contents, new = (contents[1], contents[0]), keep_as
        assert server.databases() == there | {new}, number
        assert mysql_digest(server, outside) == elsewhere, number
        outcomes.add(found)
        if number > 1 and not died:
            break
    assert outcomes == {"old", "new"}
    dying.after(0)
    swap_databases(access, new, current, f"{current}__dgtui_old", SilentReporter())
    assert mysql_digest(server, current) == contents[1]


def _settled(dying: Dying, access: Access, new: str, current: str, keep_as: str, number: int) -> str:
    """What is in place, once it was put right; the first who does so may die in that as well."""
    dying.after(number % 5)
    with contextlib.suppress(Killed):
        settle_databases(access, new, current, keep_as)
    dying.after(0)
    dying.has_died = True
    return settle_databases(access, new, current, keep_as)
