"""Which of several installed dump programs is taken for which server."""

from pathlib import Path

import pytest

from dgtui.engine.datasources import mysql_tools
from dgtui.engine.datasources.mysql_connection import Server
from dgtui.engine.datasources.mysql_load import client_arguments
from dgtui.engine.datasources.mysql_tools import dump_tool, tool_flavour
from dgtui.engine.errors import ToolMissing, ToolTooOld
from dgtui.engine.model import ToolVersion

MARIADB = Server(flavour="mariadb", version="10.11.19")
MYSQL = Server(flavour="mysql", version="9.7.4")

MARIADB_DUMP = ("mariadb-dump", "mariadb-dump from 11.8.3-MariaDB, client 10.19 for debian-linux-gnu (x86_64)")
POSING = ("mysqldump", "mysqldump  Ver 10.19 Distrib 10.11.14-MariaDB, for debian-linux-gnu (x86_64)")
ORACLE = ("mysqldump", "mysqldump  Ver 9.7.4 for Linux on x86_64 (Debian)")
OLDER_ORACLE = ("mysqldump", "mysqldump  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)")
OLD_ORACLE = ("mysqldump", "mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)")
OLD_MARIADB = ("mysqldump", "mysqldump  Ver 10.16 Distrib 10.2.44-MariaDB, for Linux (x86_64)")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The only folders that are searched, in this order."""
    found = [tmp_path / name for name in ("first", "second", "third")]
    for folder in found:
        folder.mkdir()
    monkeypatch.setattr(mysql_tools, "search_folders", lambda *_: tuple(found))
    return found


def install(folder: Path, program: tuple[str, str]) -> None:
    name, version = program
    folder.joinpath(name).write_text(f"#!/bin/sh\necho '{version}'\n")
    folder.joinpath(name).chmod(0o755)


@pytest.mark.parametrize(
    ("server", "programs", "taken"),
    [
        (MYSQL, (MARIADB_DUMP, ORACLE), "second/mysqldump"),
        (MYSQL, (POSING, ORACLE), "second/mysqldump"),
        (MYSQL, (MARIADB_DUMP, POSING, OLDER_ORACLE), "third/mysqldump"),
        (MYSQL, (OLDER_ORACLE, ORACLE), "second/mysqldump"),
        (MYSQL, (POSING,), "first/mysqldump"),
        (MARIADB, (ORACLE, MARIADB_DUMP), "second/mariadb-dump"),
        (MARIADB, (ORACLE, POSING), "second/mysqldump"),
        (MARIADB, (MARIADB_DUMP, POSING), "second/mysqldump"),
    ],
)
def test_the_program_of_the_servers_own_flavour_is_taken(
    folders: list[Path], server: Server, programs: tuple[tuple[str, str], ...], taken: str
) -> None:
    for folder, program in zip(folders, programs, strict=False):
        install(folder, program)
    tool = dump_tool(server, None)
    assert tool.path.endswith(taken), tool


@pytest.mark.parametrize("program", [MARIADB_DUMP, POSING, OLD_MARIADB])
def test_a_program_of_mariadb_is_known_under_any_name(folders: list[Path], program: tuple[str, str]) -> None:
    install(folders[0], program)
    assert tool_flavour(dump_tool(MYSQL, None)) == "mariadb"


@pytest.mark.parametrize(
    ("server", "program", "error", "told"),
    [
        (MARIADB, ORACLE, ToolMissing, "mariadb-client"),
        (MARIADB, OLD_MARIADB, ToolTooOld, "10.11.19 or newer"),
        (MYSQL, OLD_ORACLE, ToolTooOld, "9.7.4 or newer"),
        (MYSQL, None, ToolMissing, "mysql-client-core"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_package_that_does(
    folders: list[Path],
    server: Server,
    program: tuple[str, str] | None,
    error: type[ToolMissing | ToolTooOld],
    told: str,
) -> None:
    if program is not None:
        install(folders[0], program)
    with pytest.raises(error) as caught:
        dump_tool(server, None)
    assert told in caught.value.hint


def test_the_client_of_mysql_is_asked_for_nothing_that_it_warns_of() -> None:
    oracle = ToolVersion(name="mysql", path="/usr/bin/mysql", version="9.7.4")
    mariadb = ToolVersion(name="mariadb", path="/usr/bin/mariadb", version="11.8.3-MariaDB")
    assert "--loose-sandbox" not in client_arguments(oracle, "shop", 3)
    assert "--loose-sandbox" in client_arguments(mariadb, "shop", 3)
