"""What a job may hand to a dump tool."""

import pytest

from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.mysql_dump import DumpFacts
from dgtui.engine.datasources.mysql_dump import dump_arguments as mysql_arguments
from dgtui.engine.datasources.postgres_connection import Access, PostgresSettings
from dgtui.engine.datasources.postgres_dump import dump_arguments as postgres_arguments
from dgtui.engine.errors import ConfigError
from dgtui.engine.model import ToolVersion


def for_postgres(*arguments: str) -> list[str]:
    tool = ToolVersion(name="pg_dump", path="/bin/pg_dump", version="15.1")
    access = Access(PostgresSettings(type="postgres", database="shop"), None)
    return postgres_arguments(tool, access, "shop", DumpOptions(extra_arguments=arguments))


def for_mysql(*arguments: str) -> list[str]:
    tool = ToolVersion(name="mariadb-dump", path="/bin/mariadb-dump", version="10.11.6-MariaDB")
    return mysql_arguments(tool, "shop", DumpOptions(extra_arguments=arguments), DumpFacts(), 3)


@pytest.mark.parametrize("argument", ["--fil=/tmp/x", "--schema-only", "--schema-o", "-s", "-sa", "--data-only", "--"])
def test_a_full_backup_of_postgres_stays_a_full_one(argument: str) -> None:
    with pytest.raises(ConfigError):
        for_postgres(argument)


@pytest.mark.parametrize(
    "argument", ["--no-data", "--no_data", "-d", "-t", "--result-file=x", "-rx", "--tab=x", "--loose-no-data", "--xml"]
)
def test_a_full_backup_of_mariadb_stays_a_full_one(argument: str) -> None:
    with pytest.raises(ConfigError):
        for_mysql(argument)


def test_a_password_among_the_arguments_is_refused_and_not_shown() -> None:
    for argument in ("--password=s3cret", "-ps3cret"):
        with pytest.raises(ConfigError) as caught:
            for_mysql(argument)
        assert "s3cret" not in f"{caught.value} {caught.value.subject} {caught.value.hint}"


def test_other_arguments_are_handed_over() -> None:
    for argument in ("--schema=app", "-napp", "--no-owner", "--exclude-table-data=log", "--no-publications"):
        assert argument in for_postgres(argument)
    for argument in ("--skip-events", "--where=id > 5", "--ignore-table=shop.log", "--no-autocommit", "-C"):
        assert argument in for_mysql(argument)
