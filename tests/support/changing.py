"""One small source of each kind, backed up, changed, and restored over: what it holds, and what lies beside it."""

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dgtui.engine.facade import Engine
from dgtui.engine.model import Execution
from dgtui.engine.restore_model import Restore
from dgtui.engine.run_follower import RunSnapshot
from tests.support.homes import Home
from tests.support.mariadb import KEEPER, MariadbServer, make_keeper, mysql_digest
from tests.support.postgres import PostgresServer
from tests.support.round_trips import digest_of, mysql_table, postgres_table, table
from tests.support.sqlite import sqlite_digest
from tests.support.trees import tree_digest

_OBJECTS = (
    "CREATE SEQUENCE numbers",
    "CREATE TABLE numbered (id INT DEFAULT (NEXTVAL(numbers)), word_id INT REFERENCES word (id))",
    "CREATE TRIGGER upper_case BEFORE UPDATE ON word FOR EACH ROW SET NEW.word = UPPER(NEW.word)",
    "CREATE FUNCTION longest() RETURNS INT READS SQL DATA RETURN (SELECT MAX(LENGTH(word)) FROM words)",
    "CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO DELETE FROM word WHERE id < 0",
)
KINDS = (
    "postgres",
    "sqlite",
    "files",
    "mariadb",
    "mariadb with a view",
    "mariadb in its own place",
    "mariadb within itself",
)


_KEPT_WITHIN = "__dgtui_carried_old_"


class Changing:
    """A source that holds something else than its backup does."""

    def __init__(
        self,
        home: Home,
        config: str,
        digest: Callable[[], object],
        change: Callable[[int], object],
        beside: Callable[[], set[str]],
    ) -> None:
        self.home = home
        self._config = config
        self.digest = digest
        """What it holds, independent of any dump."""
        self.change = change
        """Change what it holds; a number tells each change from others."""
        self.beside = beside
        """The names of all that the program has laid beside it."""
        self.configure()
        self.execution: Execution = home.back_up()
        assert self.execution.status == "completed", self.execution.problem
        self.backed_up = digest()
        change(1)
        self.before = digest()
        assert self.before != self.backed_up

    @property
    def in_its_own_place(self) -> bool:
        """Whether its user may not swap it, so that it has to be asked for that it is filled in its own place."""
        return f'username = "{KEEPER}"' in self._config

    def configure(self, more: str = "") -> None:
        """Write the configuration, with what is added to the datasource."""
        self.home.configure(f"{self._config}{more}\n", storages=("disk", "nas"))

    def restore(self, **choices: object) -> tuple[Engine, Restore, RunSnapshot]:
        """Restore over it, to the end."""
        engine = self.home.engine()
        run_id = self.start(engine, **choices)
        return self.finished(engine, run_id)

    def start(self, engine: Engine, **choices: object) -> str:
        """Start a restore over it, in the way that its user can go; its id."""
        wanted = {"overwrite": True, "in_place": self.in_its_own_place, **choices}
        return engine.start_restore(self.execution, **wanted)  # type: ignore[arg-type]

    def undo(self, restore: Restore) -> tuple[Engine, Restore, RunSnapshot]:
        """Undo a restore, to the end."""
        engine = self.home.engine()
        return self.finished(engine, self.start_undo(engine, restore))

    def start_undo(self, engine: Engine, restore: Restore) -> str:
        """Start an undo in the same way; its id."""
        return engine.start_undo(restore, in_place=self.in_its_own_place)

    def finished(self, engine: Engine, run_id: str) -> tuple[Engine, Restore, RunSnapshot]:
        """Follow a run to its end; its record."""
        snapshot = self.home.finish(engine, run_id)
        return engine, engine.restore(run_id), snapshot


@contextlib.contextmanager
def changing(kind: str, home: Home, request: pytest.FixtureRequest) -> Iterator[Changing]:
    """A source of a kind; removed again."""
    if kind == "postgres":
        yield from _postgres(home, request.getfixturevalue("postgres_server"))
    elif kind == "sqlite":
        yield _sqlite(home)
    elif kind == "files":
        yield _files(home)
    else:
        yield _mariadb(home, request.getfixturevalue("mariadb"), kind)


def _postgres(home: Home, server: PostgresServer) -> Iterator[Changing]:
    with server.database() as name:
        server.execute("CREATE TABLE word (id int PRIMARY KEY, word text)", name)
        server.execute("INSERT INTO word SELECT i, md5(i::text) FROM generate_series(1, 500) i", name)
        server.execute(f"ALTER DATABASE \"{name}\" SET work_mem = '5MB'")

        def beside() -> set[str]:
            return {other for other in server.databases() if other.startswith(f"{name}__dgtui")}

        def change(number: int) -> None:
            server.execute(f"CREATE TABLE since_{number} AS SELECT * FROM word", name)
            server.execute(f"DELETE FROM word WHERE id % 7 = {number % 7}", name)

        try:
            yield Changing(home, postgres_table(server, name), lambda: digest_of(server, name), change, beside)
        finally:
            for other in beside():
                server.drop_database(other)


def _sqlite(home: Home) -> Changing:
    path = home.folder / "data" / "shop.db"
    path.parent.mkdir()

    def run(*statements: str) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def change(number: int) -> None:
        run(f"CREATE TABLE since_{number} (a)", f"UPDATE word SET word = 'changed {number}' WHERE id % 7 = 0")

    run("PRAGMA journal_mode = WAL", "CREATE TABLE word (id INTEGER PRIMARY KEY, word TEXT)")
    run(*(f"INSERT INTO word VALUES ({number}, 'word {number}')" for number in range(200)))
    return Changing(
        home, table("shop", type="sqlite", path=str(path)), lambda: sqlite_digest(path), change, _others(path)
    )


def _files(home: Home) -> Changing:
    root = home.folder / "data" / "tree"
    (root / "sub").mkdir(parents=True)
    for number in range(20):
        (root / "sub" / f"file-{number}").write_text(f"content {number}")

    def change(number: int) -> None:
        (root / "sub" / f"file-{number}").unlink()
        (root / f"since-{number}").write_text("new")

    return Changing(home, table("shop", type="files", path=str(root)), lambda: tree_digest(root), change, _others(root))


def _others(path: Path) -> Callable[[], set[str]]:
    return lambda: {other.name for other in path.parent.iterdir() if "__dgtui" in other.name}


def _mariadb(home: Home, server: MariadbServer, kind: str) -> Changing:
    name = server.create_database()
    server.execute("CREATE TABLE word (id INT PRIMARY KEY, word TEXT)", database=name)
    server.execute("INSERT INTO word SELECT seq, MD5(seq) FROM seq_1_to_500", database=name)
    if kind == "mariadb within itself":
        return _mariadb_within_itself(home, server, name)
    if kind != "mariadb":
        server.execute("CREATE VIEW words AS SELECT word FROM word", database=name)
    outside = server.create_database()
    if kind == "mariadb with a view":
        server.execute("CREATE TABLE parent (id INT PRIMARY KEY)", "INSERT INTO parent VALUES (1)", database=outside)
        tied = f"CREATE TABLE tied (id INT, CONSTRAINT up FOREIGN KEY (id) REFERENCES `{outside}`.parent (id))"
        server.execute(*_OBJECTS, tied, "INSERT INTO tied VALUES (1)", database=name)
        child = f"CREATE TABLE child (id INT, CONSTRAINT down FOREIGN KEY (id) REFERENCES `{name}`.word (id))"
        server.execute(child, database=outside)
    if kind == "mariadb in its own place":
        # A foreign key of another database follows the table that is swapped out, unless it may be made anew.
        make_keeper(server, name)
        child = f"CREATE TABLE child (id INT, FOREIGN KEY (id) REFERENCES `{name}`.word (id))"
        server.execute(child, database=outside)

    def change(number: int) -> None:
        server.execute(
            f"CREATE TABLE since_{number} (a INT)", f"DELETE FROM word WHERE id % 7 = {number % 7}", database=name
        )
        if kind == "mariadb with a view":
            server.execute(
                "CREATE OR REPLACE VIEW words AS SELECT id FROM word",
                f"CREATE VIEW view_{number} AS SELECT COUNT(*) AS n FROM words",
                f"CREATE PROCEDURE procedure_{number}() SELECT {number}",
                f"CREATE TRIGGER trigger_{number} AFTER DELETE ON word FOR EACH ROW SET @gone = OLD.id",
                database=name,
            )

    return Changing(
        home,
        mysql_table(server, name, username=KEEPER if kind == "mariadb in its own place" else "root"),
        lambda: {**mysql_digest(server, name), **{f"outside {k}": v for k, v in mysql_digest(server, outside).items()}},
        change,
        lambda: {other for other in server.databases() if other.startswith(f"{name}__dgtui")},
    )


def _mariadb_within_itself(home: Home, server: MariadbServer, name: str) -> Changing:
    """Its user may do all in it, and make no database beside it."""
    user, literal = "tenant", name.replace("_", "\\_")
    server.execute(f"CREATE USER IF NOT EXISTS {user}@'%'", f"GRANT ALL ON `{literal}`.* TO {user}@'%'")

    def run(*statements: str) -> None:
        with server.connect(name, user=user) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def change(number: int) -> None:
        run(
            f"CREATE TABLE since_{number} (a INT)",
            f"DELETE FROM word WHERE id % 7 = {number % 7}",
            f"CREATE VIEW view_{number} AS SELECT COUNT(*) AS n FROM words",
            f"CREATE TRIGGER trigger_{number} AFTER DELETE ON word FOR EACH ROW SET @gone = OLD.id",
        )

    def beside() -> set[str]:
        tables = server.execute(f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{name}'")
        return {f"{name}.{table}*" for (table,) in tables if re.fullmatch(rf"{_KEPT_WITHIN}\w[^_]*", table)} | {
            other for other in server.databases() if other.startswith(f"{name}__dgtui")
        }

    run(
        "CREATE VIEW words AS SELECT word FROM word",
        "CREATE TABLE tied (id INT, CONSTRAINT up FOREIGN KEY (id) REFERENCES word (id))",
        "CREATE TRIGGER upper_case BEFORE UPDATE ON word FOR EACH ROW SET NEW.word = UPPER(NEW.word)",
        "CREATE FUNCTION longest() RETURNS INT READS SQL DATA RETURN (SELECT MAX(LENGTH(word)) FROM words)",
    )
    return Changing(
        home,
        mysql_table(server, name, username=user),
        lambda: {key: text for key, text in mysql_digest(server, name).items() if _KEPT_WITHIN not in key},
        change,
        beside,
    )
