"""The places of the tables in an archive that went through a pipe, against those that pg_dump tells in a file."""

import subprocess
from pathlib import Path

import pytest

from dgtui.engine.datasources.postgres_places import tell_places
from dgtui.engine.datasources.postgres_toc import Toc, read_toc
from tests.support.postgres import PostgresServer
from tests.support.pump import FileArchive


def dump(server: PostgresServer, database: str, *arguments: str) -> list[str]:
    return [
        str(server.binaries / "pg_dump"), "-Fc", *arguments,
        "-h", "127.0.0.1", "-U", "postgres", "-p", str(server.port), database,
    ]  # fmt: skip


def toc_of(path: Path) -> Toc:
    return read_toc(FileArchive(path).blocks())


def places(path: Path) -> dict[str, bytes]:
    content = path.read_bytes()
    toc = toc_of(path)
    return {
        f"{entry.kind} {entry.schema}.{entry.tag}": content[entry.place_at : entry.place_at + 1 + toc.offset_bytes]
        for entry in toc.entries
    }


@pytest.mark.parametrize(
    "arguments", [("-Z0",), ("-Z0", "--inserts"), ("-Z0", "--encoding=LATIN1", "--exclude-schema=*dot")]
)
def test_the_places_are_those_that_pg_dump_tells(
    postgres_server: PostgresServer, postgres_nasty_database: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    told, piped = tmp_path / "told", tmp_path / "piped"
    command = dump(postgres_server, postgres_nasty_database, *arguments)
    subprocess.run([*command, "-f", str(told)], check=True)
    piped.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    before = piped.read_bytes()
    tell_places(piped, toc_of(piped))
    assert piped.read_bytes() != before
    assert places(piped) == places(told)


def test_of_a_packed_archive_nothing_is_told(
    postgres_server: PostgresServer, postgres_nasty_database: str, tmp_path: Path
) -> None:
    piped = tmp_path / "piped"
    piped.write_bytes(
        subprocess.run(dump(postgres_server, postgres_nasty_database), check=True, capture_output=True).stdout
    )
    before = piped.read_bytes()
    tell_places(piped, toc_of(piped))
    assert piped.read_bytes() == before
