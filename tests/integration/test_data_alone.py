"""Rows alone, through the engine: into tables that are there, all of them or none."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.errors import EXIT_DONE, EXIT_FAILED
from dgtui.engine.model import Execution, Problem
from dgtui.engine.restore_model import Restore
from tests.integration.postgres_case import role
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest
from tests.support.postgres import PostgresServer
from tests.support.round_trips import (
    comes_back,
    digest_of,
    mysql_table,
    postgres_table,
    restored,
    table,
    whole_backup,
)
from tests.support.sqlite import make_nasty, sqlite_digest

DATA = Selection(backup_type="data_only")
SCHEMA = Selection(backup_type="schema_only")
_SHOP = """
CREATE TABLE people (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text, friend int, twice text);
CREATE TABLE "Or'ders" (id int PRIMARY KEY, "who\nbuys" int NOT NULL REFERENCES people, note text);
ALTER TABLE people ADD last_order int REFERENCES "Or'ders";
ALTER TABLE people ADD FOREIGN KEY (friend) REFERENCES people DEFERRABLE;
CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := ''spoilt''; RETURN NEW; END';
INSERT INTO people (name) SELECT 'person ' || i || E'\\n\\\\.\\n' FROM generate_series(1, 500) i;
INSERT INTO "Or'ders" SELECT i, i, repeat('x', 2000) || E'\\t\\\\' FROM generate_series(1, 500) i;
UPDATE people SET last_order = id, friend = 501 - id;
INSERT INTO parts SELECT i, date '2020-01-01' + i FROM generate_series(0, 700) i;
CREATE TRIGGER spoil BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION spoil();
ALTER TABLE people ENABLE ALWAYS TRIGGER spoil;
CREATE MATERIALIZED VIEW first AS SELECT count(*) AS n FROM people;
CREATE MATERIALIZED VIEW a_second AS SELECT n + 1 AS m FROM first;
"""


@pytest.fixture
def shop(postgres_server: PostgresServer) -> Iterator[str]:
    """A database whose tables refer to each other in a circle."""
    with postgres_server.database("shop") as name:
        with postgres_server.connect(name) as connection:
            connection.execute(_SHOP)
        yield name
        postgres_server.drop_database("other")


def failure(home: Home, execution: Execution, **choices: object) -> Problem:
    """How a restore fails."""
    engine = home.engine()
    snapshot = home.finish(engine, engine.start_restore(execution, **choices))  # type: ignore[arg-type]
    assert snapshot.status == "failed"
    assert snapshot.problem is not None
    assert snapshot.problem.hint
    assert home.litter() == []
    return snapshot.problem


def spoil(server: PostgresServer, database: str) -> None:
    """Change the rows of the shop's tables."""
    with server.connect(database) as connection:
        connection.execute("UPDATE people SET name = 'changed', last_order = NULL WHERE id > 100")
        connection.execute("""DELETE FROM "Or'ders" WHERE id > 200""")
        connection.execute("INSERT INTO parts VALUES (9, '2020-02-02')")
        connection.execute("SELECT setval('people_id_seq', 9999)")
        connection.execute("REFRESH MATERIALIZED VIEW first")


def test_postgres_rows_of_a_full_backup_go_into_empty_tables(
    home: Home, postgres_server: PostgresServer, shop: str
) -> None:
    before = digest_of(postgres_server, shop)
    home.configure(postgres_table(postgres_server, shop))
    execution = whole_backup(home)
    refused = failure(home, execution, database="other", selection=DATA)
    assert "no tables" in refused.message
    assert "--schema-only" in refused.hint
    assert "other" not in postgres_server.databases()
    restored(home, execution, database="other", selection=SCHEMA)
    restored(home, execution, database="other", selection=DATA)
    assert digest_of(postgres_server, "other") == before
    again = failure(home, execution, database="other", selection=DATA)
    assert "already hold rows" in again.message
    assert "--overwrite" in again.hint
    assert digest_of(postgres_server, "other") == before


def test_postgres_rows_of_a_data_backup_replace_those_that_are_there(
    home: Home, postgres_server: PostgresServer, shop: str
) -> None:
    before = digest_of(postgres_server, shop)
    home.configure(postgres_table(postgres_server, shop), job='backup_type = "data_only"')
    execution = whole_backup(home)
    spoil(postgres_server, shop)
    assert digest_of(postgres_server, shop) != before
    record: Restore = restored(home, execution, overwrite=True)
    assert digest_of(postgres_server, shop) == before
    assert record.safety_execution_id is not None
    assert record.storage == "disk"
    assert record.report is not None
    assert {"public.people", "public.parts_1"} <= {entry.name for entry in record.report.objects}
    assert {(entry.outcome, entry.content) for entry in record.report.objects} == {("restored", "not compared")}
    assert home.engine().execution(record.safety_execution_id).status == "completed"


def test_postgres_rows_without_a_superuser(home: Home, postgres_server: PostgresServer) -> None:
    with role(postgres_server, "owner of all", "LOGIN CREATEDB") as owner, postgres_server.database("shop") as shop:
        postgres_server.execute(f'ALTER DATABASE shop OWNER TO "{owner}"; GRANT ALL ON SCHEMA public TO PUBLIC', shop)
        postgres_server.execute("GRANT ALL ON SCHEMA public TO PUBLIC", shop)
        with postgres_server.connect(shop, user=owner) as connection:
            connection.execute(_SHOP)
        before = digest_of(postgres_server, shop)
        home.configure(postgres_table(postgres_server, shop, username=owner))
        execution = whole_backup(home)
        spoil(postgres_server, shop)
        restored(home, execution, selection=DATA, overwrite=True)
        assert digest_of(postgres_server, shop) == before
        postgres_server.drop_database(shop)


def test_postgres_chosen_tables_alone(home: Home, postgres_server: PostgresServer, shop: str) -> None:
    home.configure(postgres_table(postgres_server, shop), job='backup_type = "data_only"')
    before = digest_of(postgres_server, shop)
    execution = whole_backup(home)
    spoil(postgres_server, shop)
    spoilt = digest_of(postgres_server, shop)
    parts = Selection(backup_type="data_only", tables=("public.parts",))
    restored(home, execution, selection=parts, overwrite=True)
    after = digest_of(postgres_server, shop)
    assert {name for name in after if after[name] != spoilt[name]} == {"data of public.parts_1"}
    assert after["data of public.parts_1"] == before["data of public.parts_1"]
    saved = home.engine().executions(purpose="safety")
    refused = failure(home, execution, selection=Selection(backup_type="data_only", tables=("people",)), overwrite=True)
    assert "refers to them" in refused.message
    assert home.engine().executions(purpose="safety") == saved, "it is refused before all of the database is saved"
    foretold = home.dgtui("restore", execution.execution_id, "--data-only", "--table", "people", "--dry-run")
    assert "refers to them" in foretold.output
    assert digest_of(postgres_server, shop) == after
    missing = failure(home, execution, selection=Selection(backup_type="data_only", tables=("nothing",)))
    assert "no table nothing" in missing.message


def test_postgres_rows_that_a_constraint_was_never_held_against(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """It is for what is written from then on, as before, and with it what is restored."""
    postgres_server.execute(
        "CREATE TABLE people (id int PRIMARY KEY); CREATE TABLE orders (who int); INSERT INTO orders VALUES (7);"
        "ALTER TABLE orders ADD CONSTRAINT whose FOREIGN KEY (who) REFERENCES people ON DELETE CASCADE NOT VALID;"
        "ALTER TABLE orders ADD CONSTRAINT few CHECK (who < 5 AND '{%s}' <> '') NOT VALID;"
        "COMMENT ON CONSTRAINT whose ON orders IS 'it''s for later'; INSERT INTO people VALUES (1)",
        postgres_database,
    )
    comes_back(home, postgres_server, postgres_database, "DELETE FROM orders", "--data-only", "--overwrite")


def test_postgres_views_that_read_one_another_in_a_circle(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """Nobody can read such views, but a materialised one that was made before goes on to be refreshed."""
    postgres_server.execute(
        "CREATE TABLE t (i int); INSERT INTO t VALUES (1); CREATE VIEW one AS SELECT i FROM t;"
        "CREATE MATERIALIZED VIEW a_sum AS SELECT sum(i) FROM t; CREATE MATERIALIZED VIEW held AS SELECT i FROM one;"
        "CREATE VIEW two AS SELECT i FROM one; CREATE VIEW three AS SELECT i FROM two;"
        "CREATE OR REPLACE VIEW two AS SELECT i FROM three; CREATE OR REPLACE VIEW one AS SELECT i FROM held",
        postgres_database,
    )
    comes_back(
        home,
        postgres_server,
        postgres_database,
        "DELETE FROM t; REFRESH MATERIALIZED VIEW a_sum",
        "--data-only",
        "--overwrite",
    )


def test_postgres_a_failure_in_the_middle_leaves_every_row(
    home: Home, postgres_server: PostgresServer, shop: str
) -> None:
    home.configure(postgres_table(postgres_server, shop))
    execution = whole_backup(home)
    postgres_server.execute("UPDATE parts SET id = id + 1", shop)
    postgres_server.execute("UPDATE people SET name = 'other' WHERE id = 400", shop)
    postgres_server.execute("ALTER TABLE people ADD CHECK (name <> 'person 400' || E'\\n\\\\.\\n')", shop)
    before = digest_of(postgres_server, shop)
    problem = failure(home, execution, selection=DATA, overwrite=True)
    assert "check constraint" in "".join(problem.detail)
    assert "as it was" in problem.message
    report = home.engine().restores()[0].report
    assert report is not None
    assert (report.failure_count, report.objects) == (1, ())
    assert "check constraint" in report.failures[0].message
    assert digest_of(postgres_server, shop) == before
    # A row that refers to nothing is noticed although the order of the tables is free.
    postgres_server.execute("ALTER TABLE people DROP CONSTRAINT people_name_check", shop)
    postgres_server.execute("CREATE TABLE days (day date PRIMARY KEY)", shop)
    postgres_server.execute("TRUNCATE parts", shop)
    postgres_server.execute("ALTER TABLE parts ADD FOREIGN KEY (day) REFERENCES days", shop)
    before = digest_of(postgres_server, shop)
    problem = failure(home, execution, selection=DATA, overwrite=True)
    assert "foreign key" in "".join(problem.detail)
    assert digest_of(postgres_server, shop) == before


def test_postgres_a_failure_at_the_end_leaves_every_sequence(
    home: Home, postgres_server: PostgresServer, shop: str
) -> None:
    """Set back without its rows, a sequence would give keys that are taken."""
    postgres_server.execute("CREATE SEQUENCE z_last; SELECT setval('z_last', 1000)", shop)
    home.configure(postgres_table(postgres_server, shop))
    execution = whole_backup(home)
    spoil(postgres_server, shop)
    postgres_server.execute("SELECT setval('z_last', 1); ALTER SEQUENCE z_last MAXVALUE 10", shop)
    before = digest_of(postgres_server, shop)
    assert "out of bounds" in "".join(failure(home, execution, selection=DATA, overwrite=True).detail)
    assert digest_of(postgres_server, shop) == before
    postgres_server.execute("DROP SEQUENCE z_last", shop)
    before = digest_of(postgres_server, shop)
    assert (
        "no sequence public.z_last to set; nothing" in failure(home, execution, selection=DATA, overwrite=True).message
    )
    assert digest_of(postgres_server, shop) == before
    postgres_server.execute("CREATE SEQUENCE z_last", shop)
    restored(home, execution, selection=DATA, overwrite=True)
    assert postgres_server.execute("SELECT last_value FROM people_id_seq", shop) == [(500,)]


def test_rows_alone_by_command(home: Home, postgres_server: PostgresServer, shop: str) -> None:
    before = digest_of(postgres_server, shop)
    home.configure(postgres_table(postgres_server, shop))
    whole_backup(home)
    refused = home.dgtui("restore", "nightly@latest", "--data-only", "--yes")
    assert refused.exit_code == EXIT_FAILED
    assert "already hold rows" in refused.errors + refused.output
    spoil(postgres_server, shop)
    done = home.dgtui("restore", "nightly@latest", "--data-only", "--overwrite", "--yes")
    assert done.exit_code == EXIT_DONE, done
    assert "rows are loaded into its tables" in done.errors
    assert digest_of(postgres_server, shop) == before


# MariaDB

_MARIADB = (
    (
        "CREATE TABLE people (id INT PRIMARY KEY AUTO_INCREMENT, name TEXT, friend INT, FOREIGN KEY (friend) "
        "REFERENCES people (id))"
    ),
    "CREATE TABLE `or``ders` (id INT PRIMARY KEY, who INT, note LONGBLOB, FOREIGN KEY (who) REFERENCES people(id))",
    "CREATE TABLE plain (a INT, b TEXT) ENGINE=MyISAM",
    (
        "INSERT INTO people SELECT seq, CONCAT('human ', seq, '\\n/*!40000 ALTER TABLE `x` DISABLE KEYS */;\\nCOMMIT;')"
        ", NULL FROM seq_1_to_500"
    ),
    "UPDATE people SET friend = 501 - id",
    "INSERT INTO `or``ders` SELECT seq, seq, REPEAT(CHAR(0, 10, 39), 500) FROM seq_1_to_500",
    "INSERT INTO plain VALUES (1, 'x')",
    "CREATE VIEW names AS SELECT name FROM people",
)


@pytest.fixture
def maria_shop(mariadb: MariadbServer) -> str:
    """A database whose tables refer to each other."""
    name = mariadb.create_database("shop")
    mariadb.execute(*_MARIADB, database=name)
    return name


def test_mariadb_rows_of_a_full_backup_go_into_empty_tables(
    home: Home, mariadb: MariadbServer, maria_shop: str
) -> None:
    before = mysql_digest(mariadb, maria_shop)
    home.configure(mysql_table(mariadb, maria_shop))
    execution = whole_backup(home)
    assert "--schema-only" in failure(home, execution, database="other", selection=DATA).hint
    restored(home, execution, database="other", selection=SCHEMA)
    restored(home, execution, database="other", selection=DATA)
    assert mysql_digest(mariadb, "other") == before
    assert "already hold rows" in failure(home, execution, database="other", selection=DATA).message
    assert mysql_digest(mariadb, "other") == before


def test_mariadb_rows_of_a_data_backup_replace_those_that_are_there(
    home: Home, mariadb: MariadbServer, maria_shop: str
) -> None:
    home.configure(mysql_table(mariadb, maria_shop), job='backup_type = "data_only"')
    before = mysql_digest(mariadb, maria_shop)
    execution = whole_backup(home)
    refused = failure(home, execution, overwrite=True)
    assert "MyISAM" in refused.message
    mariadb.execute("TRUNCATE plain", "UPDATE people SET name = 'x'", "DELETE FROM `or``ders`", database=maria_shop)
    record = restored(home, execution, overwrite=True)
    assert mysql_digest(mariadb, maria_shop) == before
    assert record.safety_execution_id is not None
    mariadb.execute("DELETE FROM `or``ders` WHERE id > 7", database=maria_shop)
    restored(home, execution, selection=Selection(tables=("or`ders",)), overwrite=True)
    assert mysql_digest(mariadb, maria_shop) == before


@pytest.mark.parametrize("engine", ["InnoDB", "Aria"])
def test_mariadb_rows_with_their_history(home: Home, mariadb: MariadbServer, engine: str) -> None:
    """A table of which only history is left holds rows; what the refusal says to empty it with, empties it."""
    name = mariadb.create_database("shop")
    mariadb.execute(
        f"CREATE TABLE kept (id INT PRIMARY KEY) ENGINE = {engine} WITH SYSTEM VERSIONING",
        "INSERT INTO kept VALUES (1), (2)",
        "DELETE FROM kept WHERE id = 1",
        database=name,
    )
    before = mysql_digest(mariadb, name)
    home.configure(mysql_table(mariadb, name))
    execution = whole_backup(home)
    mariadb.execute("DELETE FROM kept", database=name)
    assert "already hold rows" in failure(home, execution, selection=DATA).message
    hint = failure(home, execution, selection=DATA, overwrite=True).hint
    mariadb.execute(*hint.partition("(")[2].partition(")")[0].split("; "), database=name)
    restored(home, execution, selection=DATA)
    assert mysql_digest(mariadb, name) == before


def test_mariadb_rows_that_point_nowhere_are_told(home: Home, mariadb: MariadbServer, maria_shop: str) -> None:
    home.configure(mysql_table(mariadb, maria_shop))
    execution = whole_backup(home)
    mariadb.execute("SET foreign_key_checks = 0", "DELETE FROM people WHERE id > 498", database=maria_shop)
    run_id = home.engine().start_restore(
        execution, selection=Selection(backup_type="data_only", tables=("or`ders",)), overwrite=True
    )
    snapshot = home.finish(home.engine(), run_id)
    assert snapshot.status == "completed", snapshot.problem
    assert any("2 rows of or`ders point to rows of people that are not there" in line.text for line in snapshot.log)


def test_mariadb_a_failure_in_the_middle_leaves_every_row(home: Home, mariadb: MariadbServer, maria_shop: str) -> None:
    home.configure(mysql_table(mariadb, maria_shop))
    execution = whole_backup(home)
    mariadb.execute("TRUNCATE plain", "DELETE FROM `or``ders` WHERE id > 3", database=maria_shop)
    mariadb.execute("ALTER TABLE `or``ders` MODIFY id TINYINT", database=maria_shop)
    before = mysql_digest(mariadb, maria_shop)
    problem = failure(home, execution, selection=DATA, overwrite=True)
    assert "as it was" in problem.message
    assert mysql_digest(mariadb, maria_shop) == before
    mariadb.execute(
        "CREATE TRIGGER busy BEFORE INSERT ON people FOR EACH ROW SET NEW.name = 'spoilt'", database=maria_shop
    )
    assert "busy" in failure(home, execution, selection=DATA, overwrite=True).message


# SQLite


def test_sqlite_rows_into_empty_tables_and_over_others(home: Home, tmp_path: Path) -> None:
    source, other = tmp_path / "source.db", tmp_path / "other.db"
    make_nasty(source)
    before = sqlite_digest(source)
    home.configure(table("shop", type="sqlite", path=str(source)))
    execution = whole_backup(home)
    assert "--schema-only" in failure(home, execution, database=str(other), selection=DATA).hint
    assert not other.exists()
    restored(home, execution, database=str(other), selection=SCHEMA)
    restored(home, execution, database=str(other), selection=DATA)
    assert sqlite_digest(other) == before
    assert "already hold rows" in failure(home, execution, database=str(other), selection=DATA).message
    with contextlib.closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("DELETE FROM plain")
        connection.execute("CREATE TABLE more AS SELECT 1 AS a")
    chosen = Selection(backup_type="data_only", tables=("plain",))
    record = restored(home, execution, database=str(other), selection=chosen, overwrite=True)
    with contextlib.closing(sqlite3.connect(other)) as connection, connection:
        assert connection.execute("SELECT a FROM more").fetchall() == [(1,)]
        connection.execute("DROP TABLE more")
    assert sqlite_digest(other) == before
    assert record.kept_as is not None
    with contextlib.closing(sqlite3.connect(record.kept_as)) as connection:
        assert connection.execute("SELECT count(*) FROM plain").fetchone() == (0,)


def test_sqlite_a_failure_in_the_middle_leaves_every_byte(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "source.db"
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES b)")
        connection.execute("CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a)")
        connection.execute("INSERT INTO a VALUES (1, 1), (2, 1)")
        connection.execute("INSERT INTO b VALUES (1, 2)")
    home.configure(table("shop", type="sqlite", path=str(source)))
    execution = whole_backup(home)
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("DELETE FROM b")
        connection.execute("DELETE FROM a")
        connection.execute("CREATE UNIQUE INDEX only_one ON a (b)")
    before = source.read_bytes()
    assert "UNIQUE" in "".join(failure(home, execution, selection=DATA).detail)
    assert source.read_bytes() == before
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("DROP INDEX only_one")
    before = source.read_bytes()
    alone = Selection(backup_type="data_only", tables=("a",))
    assert "refer to rows of b" in "".join(failure(home, execution, selection=alone).detail)
    assert source.read_bytes() == before
    restored(home, execution, selection=DATA)
    with contextlib.closing(sqlite3.connect(source)) as connection:
        assert connection.execute("SELECT count(*) FROM a JOIN b").fetchone() == (2,)


def test_sqlite_rows_that_pointed_nowhere_in_the_backup_come_back(home: Home, tmp_path: Path) -> None:
    """But none that does so only in this target."""
    source = tmp_path / "source.db"
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("CREATE TABLE a (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a)")
        connection.execute("CREATE TABLE c (id TEXT PRIMARY KEY, a INTEGER REFERENCES a) WITHOUT ROWID")
        connection.execute("INSERT INTO a VALUES (1)")
        connection.execute("INSERT INTO b VALUES (1, 1), (2, 99)")
        connection.execute("INSERT INTO c VALUES ('x', 1), ('y', 99)")
    home.configure(table("shop", type="sqlite", path=str(source)))
    execution, before = whole_backup(home), sqlite_digest(source)
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        connection.executescript("DELETE FROM a; DELETE FROM b; DELETE FROM c;")
    alone = Selection(backup_type="data_only", tables=("b",))
    assert "Rows of b refer to rows of a" in "".join(failure(home, execution, selection=alone).detail)
    alone = Selection(backup_type="data_only", tables=("c",))
    assert "Rows of c refer to rows of a" in "".join(failure(home, execution, selection=alone).detail)
    restored(home, execution, selection=DATA)
    assert sqlite_digest(source) == before


def test_files_know_no_rows(home: Home, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("x")
    home.configure(table("shop", type="files", path=str(tmp_path / "tree")))
    problem = failure(home, whole_backup(home), selection=DATA)
    assert "data alone" in problem.message
