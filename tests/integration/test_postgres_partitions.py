"""Chosen partitioned tables of PostgreSQL: their partitions are restored, so they are foretold and compared as well."""

import pytest

from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import postgres_table, whole_backup

_PARTED = """
CREATE SCHEMA "o ld";
CREATE TABLE parted (i int) PARTITION BY RANGE (i);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE "o ld".part_2 PARTITION OF parted FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (i);
CREATE TABLE "o ld"."Part 3" PARTITION OF "o ld".part_2 FOR VALUES FROM (10) TO (15);
CREATE TABLE other (i int); INSERT INTO other VALUES (1), (2), (3); INSERT INTO parted VALUES (1), (2), (11);
"""
_PARTITIONS = ['"o ld"."Part 3"', "public.part_1"]


@pytest.fixture
def parted(home: Home, postgres_server: PostgresServer, postgres_database: str) -> Home:
    """A home with a backup of a partitioned table, into which more rows were written since."""
    postgres_server.execute(_PARTED, postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    whole_backup(home)
    postgres_server.execute("INSERT INTO parted VALUES (3), (4)", postgres_database)
    return home


@pytest.mark.parametrize("what", [(), ("--data-only",)])
def test_the_partitions_of_a_chosen_table_are_foretold_and_compared(parted: Home, what: tuple[str, ...]) -> None:
    order = ("restore", "nightly@latest", "--table", "parted", "--overwrite", *what)
    told = parted.dgtui(*order, "--dry-run", "--json").json()["outlook"]["objects"]
    assert [(one["name"], one["target_rows"], one["backup_rows"]) for one in told] == [
        ('"o ld"."Part 3"', 1, 1),
        ("public.part_1", 4, 2),
    ]
    done = parted.dgtui(*order, "--yes")
    assert done.exit_code == 0, done.errors
    record = parted.engine().restores()[0]
    assert record.tables == ("parted",)
    compared = [(one.name, one.rows_found) for one in record.report.objects] if record.report else []
    assert compared == [('"o ld"."Part 3"', 1), ("public.part_1", 2)]


def test_rows_in_a_partition_of_a_chosen_table_stand_against_rows_alone(parted: Home) -> None:
    told = parted.dgtui("restore", "nightly@latest", "--table", "parted", "--data-only", "--dry-run")
    assert '"o ld"."Part 3", public.part_1 in ' in told.output, told.output
    assert "already hold rows, which are replaced with --overwrite alone" in told.output


_BY_AN_ENUM = """
CREATE TYPE letter AS ENUM ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
CREATE TABLE dealt (l letter, i int, PRIMARY KEY (l, i)) PARTITION BY HASH (l);
CREATE TABLE dealt_0 PARTITION OF dealt FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE dealt_1 PARTITION OF dealt FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO dealt
    SELECT l, i FROM unnest(enum_range(NULL::letter)) WITH ORDINALITY AS all_of(l, n), generate_series(1, n) i;
"""
_DEALT = "SELECT l::text, i FROM dealt ORDER BY 1, 2"


def test_rows_by_the_hash_of_an_enum_come_back_in_whatever_partition(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """The hash is of the value's own number, which is new in each database: the rows are divided up anew."""
    server, database = postgres_server, postgres_database
    server.execute(_BY_AN_ENUM, database)
    before = server.execute(_DEALT, database)
    home.configure(postgres_table(server, database))
    whole_backup(home)
    # By chance all might lie as they did, once.
    for _ in range(3):
        done = home.dgtui("rehearse", "nightly", "--deep")
        assert done.exit_code == 0, done
    server.execute("DELETE FROM dealt WHERE i > 2", database)
    done = home.dgtui("restore", "nightly@latest", "--overwrite", "--deep", "--yes")
    assert done.exit_code == 0, done
    assert server.execute(_DEALT, database) == before
    server.execute("DELETE FROM dealt WHERE i > 2", database)
    done = home.dgtui("restore", "nightly@latest", "--overwrite", "--data-only", "--yes")
    assert done.exit_code == 0, done
    assert server.execute(_DEALT, database) == before
    assert "Difference" not in done.output + done.errors
