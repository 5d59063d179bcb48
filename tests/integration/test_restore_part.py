"""Chosen tables and paths are restored into a live target: they and nothing else change, or nothing at all."""

import contextlib
import os
import shutil
import sqlite3
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.postgres_case import role
from tests.support.homes import Home, Outcome
from tests.support.mariadb import MariadbServer, mysql_digest
from tests.support.part_shops import databases
from tests.support.postgres import PostgresServer
from tests.support.round_trips import digest_of, mysql_table, postgres_table
from tests.support.sqlite import sqlite_digest
from tests.support.trees import tree_digest

_SHOP = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE customers (id integer PRIMARY KEY, name text);
CREATE TABLE orders (id serial PRIMARY KEY, customer integer REFERENCES customers, m mood, note text,
                     twice integer GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE lines (number integer GENERATED ALWAYS AS IDENTITY, of_order integer REFERENCES orders ON DELETE CASCADE);
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := upper(NEW.note); RETURN NEW; END';
CREATE INDEX orders_note ON orders (note);
INSERT INTO customers SELECT i, 'c' || i FROM generate_series(1, 20) i;
INSERT INTO orders (customer, m, note) SELECT i, 'good', E'a\\tb\\\\' || i FROM generate_series(1, 20) i;
INSERT INTO lines (of_order) SELECT i FROM generate_series(1, 20) i;
CREATE TRIGGER louder BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION shout();
COMMENT ON TABLE orders IS 'what people want';
GRANT SELECT ON orders TO PUBLIC;
"""


class PostgresPart:
    """A shop in PostgreSQL, backed up once."""

    def __init__(self, home: Home, server: PostgresServer, database: str) -> None:
        self.home, self.server, self.database = home, server, database
        server.execute(_SHOP, database=database)
        home.configure(postgres_table(server, database))
        assert home.back_up().status == "completed"
        self.backed_up = self.digest()

    def digest(self) -> dict[str, str]:
        """What the database holds."""
        return digest_of(self.server, self.database)

    def restore(self, *arguments: str) -> Outcome:
        """Restore in place."""
        return self.home.dgtui("restore", "nightly@latest", "--yes", *arguments)


@pytest.fixture
def part(home: Home, postgres_server: PostgresServer) -> Iterator[PostgresPart]:
    """A shop in PostgreSQL."""
    with postgres_server.database() as database:
        yield PostgresPart(home, postgres_server, database)


def test_chosen_tables_of_postgres_are_replaced_and_nothing_else(part: PostgresPart) -> None:
    """Also with a foreign key to it from a table that stays, a trigger, an owned sequence, and a client connected."""
    part.server.execute("UPDATE orders SET note = 'spoilt'; DROP INDEX orders_note", database=part.database)
    databases = part.server.databases()
    refused = part.restore("--table", "orders")
    assert refused.exit_code == 1, refused
    assert "--overwrite" in refused.errors
    with part.server.connect(part.database) as client:
        done = part.restore("--table", "orders", "--overwrite")
        assert done.exit_code == 0, done
        assert client.execute("SELECT count(*) FROM orders WHERE note = 'spoilt'").fetchone() == (0,)
    assert part.digest() == part.backed_up
    part.server.execute("INSERT INTO customers VALUES (99, 'since')", database=part.database)
    since = part.digest()
    again = part.restore("--table", "orders", "--overwrite")
    assert again.exit_code == 0, again
    assert part.digest() == since
    assert part.server.databases() == databases
    restore = part.home.dgtui("restores", "--json").json()[0]
    assert (restore["tables"], restore["kept_as"]) == (["orders"], None)
    assert restore["safety_execution_id"] is not None


_PUBLISHED = """
SELECT pubname, prrelid::regclass::text, prattrs::text, pg_get_expr(prqual, prrelid)
FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid ORDER BY 1, 2
"""


def test_a_published_table_of_postgres_is_published_afterwards(part: PostgresPart) -> None:
    """As it was before the restore; a table that is dropped is in no publication any more."""
    part.server.execute(
        'CREATE PUBLICATION "of ours" FOR TABLE orders (id, note) WHERE (id > 3), customers;'
        "CREATE PUBLICATION more FOR TABLE lines, orders",
        database=part.database,
    )
    published = part.server.execute(_PUBLISHED, part.database)
    done = part.restore("--table", "orders", "--table", "lines", "--overwrite")
    assert done.exit_code == 0, done
    assert part.server.execute(_PUBLISHED, part.database) == published
    assert len(published) == 4


_RIGHTS = """
SELECT relname, amname, (SELECT array_agg(DISTINCT a.grantee::regrole::text) FROM aclexplode(relacl) a)
FROM pg_class LEFT JOIN pg_am a ON a.oid = relam
WHERE relname ~ '^(guarded|other)' AND relkind IN ('r', 'S') ORDER BY 1
"""


def test_a_table_of_postgres_has_the_rights_and_the_storage_of_the_backup(
    home: Home, postgres_server: PostgresServer
) -> None:
    """Whatever the default privileges of the live database give to what is made there."""
    with role(postgres_server, "some reader"), postgres_server.database() as database:
        for kind in ("TABLES", "SEQUENCES"):
            postgres_server.execute(
                f'ALTER DEFAULT PRIVILEGES GRANT SELECT ON {kind} TO "some reader", PUBLIC', database
            )
        postgres_server.execute(
            "CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler;"
            "CREATE TABLE guarded (id serial, number int GENERATED ALWAYS AS IDENTITY) USING heap_too;"
            "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;"
            "REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC;"
            'REVOKE ALL ON guarded FROM "some reader"; REVOKE ALL ON SEQUENCE guarded_id_seq FROM "some reader"',
            database,
        )
        rights = postgres_server.execute(_RIGHTS, database)
        home.configure(postgres_table(postgres_server, database))
        assert home.back_up().status == "completed"
        done = home.dgtui("restore", "nightly@latest", "--table", "guarded", "--overwrite", "--yes")
        assert done.exit_code == 0, done
        assert postgres_server.execute(_RIGHTS, database) == rights
        done = home.dgtui("restore", "nightly@latest", "--table", "guarded", "--as", "other", "--yes")
        assert done.exit_code == 0, done
        beside = [(name.replace("guarded", "other"), *more) for name, *more in rights]
        assert postgres_server.execute(_RIGHTS, database) == [*rights, *beside]


_PARTITIONED = """
CREATE TABLE m (at date NOT NULL, v int, PRIMARY KEY (at, v)) PARTITION BY RANGE (at);
CREATE TABLE m24 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE m_rest PARTITION OF m DEFAULT;
CREATE INDEX ON m (v);
CREATE INDEX odd ON m24 ((v + 1));
INSERT INTO m SELECT date '2024-01-01' + i, i FROM generate_series(1, 600) i;
CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER same BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION same();
ALTER TABLE m24 DISABLE TRIGGER same;
"""


@pytest.mark.parametrize("table", ["m24", "m_rest", "m"])
def test_a_partition_of_postgres_alone(home: Home, postgres_server: PostgresServer, table: str) -> None:
    """With the indexes and the triggers that it has of its table, which stays."""
    with postgres_server.database() as database:
        postgres_server.execute(_PARTITIONED, database)
        home.configure(postgres_table(postgres_server, database))
        assert home.back_up().status == "completed"
        backed_up = digest_of(postgres_server, database)
        postgres_server.execute(f"DELETE FROM {table}", database)
        done = home.dgtui("restore", "nightly@latest", "--table", table, "--overwrite", "--yes")
        assert done.exit_code == 0, done
        assert digest_of(postgres_server, database) == backed_up
        other = f"{database}_2"
        done = home.dgtui("restore", "nightly@latest", "--table", table, "--into", other, "--yes")
        try:
            assert done.exit_code == 0, done
            rows = f"SELECT count(*) FROM {table}"
            assert postgres_server.execute(rows, other) == postgres_server.execute(rows, database)
        finally:
            postgres_server.drop_database(other)


@pytest.mark.parametrize("chosen", ['Odd "name', 'app.Odd "name', 'app."Odd ""name"'])
def test_a_table_of_postgres_is_compared_however_its_name_is_written(
    home: Home, postgres_server: PostgresServer, chosen: str
) -> None:
    with postgres_server.database() as database:
        postgres_server.execute(
            "CREATE SCHEMA app; CREATE TABLE app.parent (a int);"
            'CREATE TABLE app."Odd ""name" () INHERITS (app.parent);'
            'INSERT INTO app."Odd ""name" VALUES (1), (2)',
            database,
        )
        home.configure(postgres_table(postgres_server, database))
        assert home.back_up().status == "completed"
        done = home.dgtui("restore", "nightly@latest", "--table", chosen, "--overwrite", "--yes")
        assert done.exit_code == 0, done
        assert "Difference" not in done.errors
        report = home.engine().restores()[0].report
        assert report is not None
        assert [(one.name, one.rows_expected, one.rows_found) for one in report.objects] == [('app."Odd ""name"', 2, 2)]


def test_a_postgres_table_that_is_gone_comes_back_without_overwrite(part: PostgresPart) -> None:
    part.server.execute("DROP TABLE lines", database=part.database)
    done = part.restore("--table", "lines")
    assert done.exit_code == 0, done
    assert part.digest() == part.backed_up


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("CREATE VIEW seen AS SELECT id FROM orders", "seen"),
        ("INSERT INTO orders VALUES (500, 1); INSERT INTO lines (of_order) VALUES (500)", "of_order"),
        ("DELETE FROM lines; DELETE FROM orders; DELETE FROM customers", "customer"),
    ],
)
def test_what_would_break_is_refused_and_nothing_is_changed(part: PostgresPart, change: str, reason: str) -> None:
    """A view upon the table, rows of others that point to rows that were not there, rows that point to nothing."""
    part.server.execute(change, database=part.database)
    before, databases = part.digest(), part.server.databases()
    refused = part.restore("--table", "orders", "--overwrite")
    assert refused.exit_code == 1, refused
    assert reason in refused.errors
    assert "nothing was changed" in refused.errors
    assert part.digest() == before
    assert part.server.databases() == databases


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("CREATE VIEW seen AS SELECT id FROM orders", "view public.seen"),
        ("CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM orders", "materialized view public.kept"),
        (
            "CREATE FUNCTION of_row(o orders) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "function public.of_row(public.orders)",
        ),
        ("CREATE TABLE holding (one orders)", "column one of table public.holding"),
        (
            "CREATE TABLE counted (n int DEFAULT nextval('orders_id_seq'))",
            "column n of table public.counted",
        ),
        ("CREATE TABLE heir () INHERITS (orders)", "table public.heir"),
        ("ALTER TABLE orders RENAME TO former; CREATE VIEW orders AS SELECT 1", "public.orders is no table"),
    ],
)
def test_what_depends_on_a_chosen_table_is_named_before(part: PostgresPart, change: str, named: str) -> None:
    """In the preview, in words and as JSON; and the restore itself says the same before it begins."""
    plain = part.home.dgtui("restore", "nightly@latest", "--table", "orders", "--dry-run")
    assert (plain.exit_code, "cannot work" in plain.output) == (0, False), plain
    part.server.execute(change, database=part.database)
    before = part.digest()
    told = part.home.dgtui("restore", "nightly@latest", "--table", "orders", "--dry-run")
    assert told.exit_code == 1, told
    assert "This restore cannot work" in told.output
    assert named in told.output
    data = part.home.dgtui("restore", "nightly@latest", "--table", "orders", "--dry-run", "--json").json()
    assert named in data["outlook"]["problem"]["message"]
    refused = part.restore("--table", "orders", "--overwrite")
    assert (refused.exit_code, named in refused.errors) == (1, True), refused
    assert part.home.engine().restores()[0].safety_execution_id is None
    assert part.digest() == before


def test_what_goes_with_its_table_or_is_made_anew_is_in_no_way(part: PostgresPart) -> None:
    """A foreign key of another table, and a view on a table that is chosen together with what it needs."""
    part.server.execute("CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM orders", database=part.database)
    assert part.home.back_up().status == "completed"
    told = part.home.dgtui(
        "restore", "nightly@latest", "--table", "orders", "--table", "kept", "--table", "lines", "--dry-run"
    )
    assert told.exit_code == 0, told


def test_a_partition_that_would_go_with_its_table_is_named_before(part: PostgresPart) -> None:
    """One that is newer than the backup; those that the backup has come back with their table."""
    part.server.execute(
        "CREATE TABLE days (d int, t text) PARTITION BY LIST (d);"
        "CREATE TABLE day_1 PARTITION OF days FOR VALUES IN (1);"
        "INSERT INTO days VALUES (1, 'x')",
        database=part.database,
    )
    assert part.home.back_up().status == "completed"
    chosen = ("restore", "nightly@latest", "--table", "days", "--dry-run")
    assert part.home.dgtui(*chosen).exit_code == 0
    part.server.execute("CREATE TABLE day_2 PARTITION OF days FOR VALUES IN (2)", database=part.database)
    told = part.home.dgtui(*chosen)
    assert told.exit_code == 1, told
    assert "public.day_2 is a partition in the target that the backup does not have" in told.output


@pytest.mark.parametrize("kind", ["mariadb", "sqlite"])
def test_a_name_that_means_a_view_now_is_told_before(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    """Where the target has a view under the name of a chosen table."""
    with databases(kind, home, request) as shop:
        shop.run("DROP TABLE b", "CREATE VIEW b AS SELECT 1 AS one")
        told = home.dgtui("restore", "nightly@latest", "--table", "b", "--dry-run")
        assert told.exit_code == 1, told
        assert "b is no table" in told.output


def test_chosen_tables_of_mariadb_change_places_by_a_rename(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE customers (id INT PRIMARY KEY)",
        "CREATE TABLE orders (id INT PRIMARY KEY, customer INT, note TEXT, "
        "CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE)",
        "CREATE TABLE log (id INT)",
        "CREATE VIEW seen AS SELECT id FROM orders",
        "INSERT INTO customers VALUES (1), (2)",
        "INSERT INTO orders VALUES (1, 1, 'x'), (2, 2, 'y')",
        database=name,
    )
    home.configure(mysql_table(mariadb, name))
    assert home.back_up().status == "completed"
    backed_up = mysql_digest(mariadb, name)
    mariadb.execute("DELETE FROM orders", database=name)
    done = home.dgtui("restore", "nightly@latest", "--table", "orders", "--overwrite", "--yes")
    assert done.exit_code == 0, done
    assert mysql_digest(mariadb, name) == backed_up
    restore = home.dgtui("restores", "--json").json()[0]
    assert restore["kept_as"] is None
    assert mariadb.execute("SELECT COUNT(*) FROM orders", database=restore["part_kept_as"]) is not None
    mariadb.drop_database(restore["part_kept_as"])
    mariadb.execute("DELETE FROM customers WHERE id = 2", database=name)
    for table, reason in (("orders", "a foreign key constraint fails"), ("customers", "of_customer|orders")):
        before = mysql_digest(mariadb, name)
        refused = home.dgtui("restore", "nightly@latest", "--table", table, "--overwrite", "--yes")
        assert refused.exit_code == 1, refused
        assert any(word in refused.errors for word in reason.split("|")), refused
        assert mysql_digest(mariadb, name) == before
    mariadb.execute("CREATE TRIGGER t BEFORE INSERT ON log FOR EACH ROW SET NEW.id = 1", database=name)
    refused = home.dgtui("restore", "nightly@latest", "--table", "log", "--overwrite", "--yes")
    assert "triggers" in refused.errors, refused


def test_a_key_to_a_table_that_is_gone_is_told(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT, CONSTRAINT its FOREIGN KEY (id) REFERENCES parent (id))",
        database=name,
    )
    home.configure(mariadb.config(name))
    assert home.back_up().status == "completed"
    mariadb.execute("DROP TABLE child", "DROP TABLE parent", "CREATE TABLE other (a INT)", database=name)
    before = mysql_digest(mariadb, name)
    refused = home.dgtui("restore", "nightly@latest", "--table", "child", "--overwrite", "--yes")
    assert refused.exit_code == 1, refused
    assert "foreign key (`its`) to `parent`" in refused.errors
    assert "Choose `parent` too" in refused.errors
    assert mysql_digest(mariadb, name) == before
    both = home.dgtui("restore", "nightly@latest", "--table", "child", "--table", "parent", "--overwrite", "--yes")
    assert both.exit_code == 0, both


def test_a_merge_table_of_mariadb_goes_with_its_tables(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE one (id INT) ENGINE=MyISAM",
        "INSERT INTO one VALUES (1)",
        "CREATE TABLE both_of (id INT) ENGINE=MERGE UNION=(one)",
        database=name,
    )
    home.configure(mariadb.config(name))
    assert home.back_up().status == "completed"
    before = mysql_digest(mariadb, name)
    alone = home.dgtui("restore", "nightly@latest", "--table", "both_of", "--overwrite", "--yes")
    assert alone.exit_code == 1, alone
    assert "tables of its UNION" in alone.errors
    assert mysql_digest(mariadb, name) == before
    mariadb.execute("DELETE FROM one", database=name)
    done = home.dgtui("restore", "nightly@latest", "--table", "both_of", "--table", "one", "--overwrite", "--yes")
    assert done.exit_code == 0, done
    assert mysql_digest(mariadb, name) == before


@pytest.mark.parametrize("default", ["NEXTVAL(numbers)", "LASTVAL(numbers) + 1", "SETVAL(numbers, 5)"])
def test_a_table_of_mariadb_that_takes_a_default_from_a_sequence(
    home: Home, mariadb: MariadbServer, default: str
) -> None:
    """After a rename its default would still mean the sequence of the database that it was loaded into."""
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE SEQUENCE numbers",
        f"CREATE TABLE numbered (id INT PRIMARY KEY, number INT DEFAULT ({default}))",
        "INSERT INTO numbered VALUES (1, 7)",
        database=name,
    )
    home.configure(mysql_table(mariadb, name))
    assert home.back_up().status == "completed"
    before = mysql_digest(mariadb, name)
    refused = home.dgtui("restore", "nightly@latest", "--table", "numbered", "--overwrite", "--yes")
    assert "default from a sequence" in refused.errors, refused
    assert mysql_digest(mariadb, name) == before
    copied = home.dgtui("restore", "nightly@latest", "--into", "copy", "--yes")
    assert copied.exit_code == 0, copied
    assert mysql_digest(mariadb, "copy") == before


class SqlitePart:
    """A shop in SQLite, backed up once."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.path = home.folder / "shop.db"
        self.run(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)",
            "CREATE TABLE orders (a, customer REFERENCES customers(id), twice AS (a * 2))",
            "CREATE INDEX by_a ON orders (a)",
            "CREATE TRIGGER told AFTER INSERT ON orders BEGIN INSERT INTO log VALUES (NEW.a); END",
            "CREATE TABLE log (a)",
            "INSERT INTO customers (name) VALUES ('x'), ('y')",
            "INSERT INTO orders (rowid, a, customer) VALUES (7, 1, 1), (9, 2, 2)",
        )
        home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = "{self.path}"\n')
        assert home.back_up().status == "completed"
        self.backed_up = sqlite_digest(self.path)

    def run(self, *statements: str) -> None:
        """Run statements, committed."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)


def test_chosen_tables_of_sqlite_under_the_eyes_of_a_reader(home: Home) -> None:
    shop = SqlitePart(home)
    shop.run("DROP TABLE orders", "CREATE TABLE orders (other TEXT)", "INSERT INTO orders VALUES ('spoilt')")
    with contextlib.closing(sqlite3.connect(shop.path)) as reader:
        assert reader.execute("SELECT other FROM orders").fetchall() == [("spoilt",)]
        done = home.dgtui("restore", "nightly@latest", "--table", "orders", "--overwrite", "--yes")
        assert done.exit_code == 0, done
        assert reader.execute("SELECT rowid, a, twice FROM orders").fetchall() == [(7, 1, 2), (9, 2, 4)]
    assert sqlite_digest(shop.path) == shop.backed_up
    shop.run("DELETE FROM orders", "DELETE FROM customers WHERE id = 2")
    before = sqlite_digest(shop.path)
    [kept] = home.folder.glob(".shop*")
    refused = home.dgtui("restore", "nightly@latest", "--table", "orders", "--overwrite", "--yes")
    assert refused.exit_code == 1, refused
    assert "customers" in refused.errors
    assert sqlite_digest(shop.path) == before
    assert list(home.folder.glob(".shop*")) == [kept], "what the first one keeps"


def test_a_table_of_sqlite_comes_back_with_what_analyze_found_out(home: Home) -> None:
    """Without it queries would take other ways than at the time of the backup."""
    shop = SqlitePart(home)
    shop.run("ANALYZE")
    assert home.back_up().status == "completed"
    figures = "SELECT * FROM sqlite_stat1 ORDER BY tbl, idx"
    with contextlib.closing(sqlite3.connect(shop.path)) as connection:
        before = connection.execute(figures).fetchall()
    shop.run("DELETE FROM orders", "DELETE FROM sqlite_stat1")
    done = home.dgtui("restore", "nightly@latest", "--table", "orders", "--overwrite", "--yes")
    assert done.exit_code == 0, done
    with contextlib.closing(sqlite3.connect(shop.path)) as connection:
        assert connection.execute(figures).fetchall() == [row for row in before if row[0] == "orders"]
    shop.run("DROP TABLE sqlite_stat1")
    done = home.dgtui("restore", "nightly@latest", "--table", "orders", "--table", "customers", "--overwrite", "--yes")
    assert done.exit_code == 0, done
    with contextlib.closing(sqlite3.connect(shop.path)) as connection:
        assert connection.execute(figures).fetchall() == [row for row in before if row[0] != "log"]


def test_tables_of_sqlite_whose_rows_pointed_nowhere_in_the_backup(home: Home) -> None:
    """They come back as they were, mended or not since; a row that would point nowhere anew is refused."""
    shop = SqlitePart(home)
    shop.run("INSERT INTO orders (rowid, a, customer) VALUES (11, 3, 77)")
    assert home.back_up().status == "completed"
    backed_up = sqlite_digest(shop.path)
    shop.run("DELETE FROM orders WHERE rowid = 11")
    both = home.dgtui("restore", "nightly@latest", "--table", "orders", "--table", "customers", "--overwrite", "--yes")
    assert both.exit_code == 0, both
    assert sqlite_digest(shop.path) == backed_up
    shop.run("DELETE FROM orders WHERE rowid = 11")
    alone = home.dgtui("restore", "nightly@latest", "--table", "orders", "--overwrite", "--yes")
    assert alone.exit_code == 1, alone
    assert "customers" in alone.errors


@pytest.mark.parametrize("change", ["index", "encoding"])
@pytest.mark.parametrize("choice", ["--table", "--data-only"])
def test_a_table_that_does_not_fit_into_a_database_of_sqlite(home: Home, change: str, choice: str) -> None:
    """That is not told as if the database could not be read."""
    shop = SqlitePart(home)
    if change == "index":
        shop.run("DROP INDEX by_a", "CREATE INDEX by_a ON log (a)")
    else:
        shop.path.unlink()
        shop.run("PRAGMA encoding = 'UTF-16le'", "CREATE TABLE orders (a, customer)", "CREATE TABLE log (a)")
    before = sqlite_digest(shop.path)
    choices = ["--data-only", "--table", "orders"] if choice == "--data-only" else ["--table", "orders"]
    refused = home.dgtui("restore", "nightly@latest", *choices, "--overwrite", "--yes")
    if (change, choice) == ("index", "--data-only"):
        assert refused.exit_code == 0, refused
        return
    assert refused.exit_code == 1, refused
    assert "does not fit" in refused.errors
    assert "--into NAME" in refused.errors
    assert "integrity_check" not in refused.errors
    assert sqlite_digest(shop.path) == before


def test_a_database_of_sqlite_that_is_spoilt_is_replaced_without_a_backup_of_it(home: Home) -> None:
    """Nothing of it can be backed up, and who wants a good backup back is told how to go on."""
    shop = SqlitePart(home)
    shop.path.write_bytes(b"spoilt")
    refused = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert refused.exit_code == 1, refused
    assert "go on with --no-safety" in refused.errors
    done = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes", "--no-safety")
    assert done.exit_code == 0, done
    assert sqlite_digest(shop.path) == shop.backed_up


@pytest.fixture
def tree(home: Home) -> Path:
    """A tree, backed up once."""
    root = home.folder / "tree"
    for name in ("docs/a.txt", "docs/deep/b.txt", "conf/c.txt", "top.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{root}"\n')
    assert home.back_up().status == "completed"
    return root


def spoil(root: Path) -> None:
    """Changes, removals, and files that the backup does not have."""
    (root / "docs/a.txt").write_text("spoilt")
    (root / "docs/deep/b.txt").unlink()
    (root / "docs/new.txt").write_text("since")
    (root / "top.txt").write_text("since")


def test_chosen_paths_are_exchanged_and_the_old_ones_kept(home: Home, tree: Path) -> None:
    spoil(tree)
    absent = home.dgtui("restore", "nightly@latest", "--table", "docs/none", "--overwrite", "--yes")
    assert absent.exit_code == 1, absent
    assert "by its path from the top of the tree" in absent.errors
    chosen = ("--table", "/docs/a.txt", "--table", "docs/deep")
    done = home.dgtui("restore", "nightly@latest", *chosen, "--overwrite", "--yes")
    assert done.exit_code == 0, done
    assert (tree / "docs/a.txt").read_text() == "content of docs/a.txt"
    assert (tree / "docs/deep/b.txt").read_text() == "content of docs/deep/b.txt"
    assert (tree / "docs/new.txt").read_text() == "since"
    assert (tree / "top.txt").read_text() == "since"
    kept = Path(home.dgtui("restores", "--json").json()[0]["part_kept_as"])
    assert (kept / "docs/a.txt").read_text() == "spoilt"


def test_a_merge_leaves_all_other_files_alone(home: Home, tree: Path) -> None:
    spoil(tree)
    done = home.dgtui("restore", "nightly@latest", "--merge", "--yes")
    assert done.exit_code == 0, done
    assert (tree / "docs/new.txt").read_text() == "since"
    (tree / "docs/new.txt").unlink()
    for name in ("docs/a.txt", "docs/deep/b.txt", "conf/c.txt", "top.txt"):
        assert (tree / name).read_text() == f"content of {name}"
    kept = Path(home.dgtui("restores", "--json").json()[0]["part_kept_as"])
    assert (kept / "top.txt").read_text() == "since"
    assert not (kept / "docs/new.txt").exists()


@pytest.mark.parametrize("choice", [("--merge",), ("--table", "docs/deep/b.txt", "--overwrite")])
def test_a_folder_that_is_made_for_a_file_is_as_it_was(home: Home, tree: Path, choice: tuple[str, ...]) -> None:
    """With its time, its mode and its attributes, although it is not moved as one."""
    deep = tree / "docs" / "deep"
    os.setxattr(deep, "user.team", b"blue")
    deep.chmod(0o2750)
    os.utime(deep, ns=(1, 1_234_567_890_123_456_789))
    assert home.back_up().status == "completed"
    shutil.rmtree(deep)
    # Of what is made in a folder with such a list everything gets it, and lets others in.
    entries = [(1, 7, -1), (2, 7, 12345), (4, 5, -1), (16, 7, -1), (32, 5, -1)]
    given = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(tree / "docs", "system.posix_acl_default", given)
    done = home.dgtui("restore", "nightly@latest", *choice, "--yes")
    assert done.exit_code == 0, done
    assert os.listxattr(deep) == ["user.team"]
    assert os.getxattr(deep, "user.team") == b"blue"
    found = deep.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o2750, 1_234_567_890_123_456_789)


def test_a_merge_that_cannot_end_well_is_taken_back(home: Home, tree: Path) -> None:
    spoil(tree)
    (tree / "top.txt").unlink()
    (tree / "top.txt").mkdir()
    before = tree_digest(tree)
    refused = home.dgtui("restore", "nightly@latest", "--merge", "--yes")
    assert refused.exit_code == 1, refused
    assert "top.txt" in refused.errors
    assert tree_digest(tree) == before
    assert [path.name for path in home.folder.glob(".tree*")] == []
