"""MySQL and MariaDB: only a whole dump is taken for one, whatever the tool says, and only tools that fit are used."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from dgtui.engine.errors import BackupCreationError, DataGuardianError, ToolMissing, ToolTooOld, ValidationError
from tests.integration.mysql_pump import dump_to
from tests.support.mariadb import MariadbServer, mariadb_program

CUTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "one byte": lambda whole: whole[:1],
    "60 %": lambda whole: whole[: len(whole) * 6 // 10],
    "without the last line": lambda whole: whole.rstrip().rsplit(b"\n", 1)[0] + b"\n",
    "in the mark": lambda whole: whole[: whole.rindex(b"completed") + 3],
    "without the first line of two": lambda whole: whole.split(b"\n", 2)[2],
    "something behind the mark": lambda whole: whole + b"DROP TABLE t;\n",
    "an error page": lambda _: b"<html>502</html>" * 1000,
    "doubled mark": lambda whole: whole + b"x" * 5000,
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("block", [50, 1 << 20])
def test_only_a_whole_dump_passes(mariadb: MariadbServer, tmp_path: Path, cut: str, block: int) -> None:
    """Wherever it is cut, and in whatever blocks it comes."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES (REPEAT('x', 9000))", database=name)
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "all.sql")
    whole = (tmp_path / "all.sql").read_bytes()

    def check(data: bytes) -> None:
        reader = source.archive_check(tmp_path)
        for start in range(0, len(data), block):
            reader.feed(data[start : start + block])
        reader.finish()

    check(whole)
    check(whole + b"\n\n")
    with pytest.raises(ValidationError):
        check(CUTS[cut](whole))


def fake_tool(folder: Path, script: str, version: str = "10.11.19-MariaDB") -> Path:
    """A `mariadb-dump` that runs the script instead of dumping, beside the real client."""
    folder.mkdir()
    program = folder / "mariadb-dump"
    program.write_text(
        f'#!/bin/bash\n[ "$1" = --version ] && {{ echo "mariadb-dump  Ver 10.19 Distrib {version}"; exit; }}\n'
        f'real() {{ {mariadb_program("mariadb-dump")} "$@"; }}\n{script}\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 0", ValidationError),
        ('real "$@" | head -c 700; exit 0', ValidationError),
        ('real "$@" | sed "/Dump completed/d"; exit 0', ValidationError),
        ('real "$@"; exit 3', BackupCreationError),
        ('real "$@"; kill -9 $$', BackupCreationError),
        ('echo "mariadb-dump: Got errno 28 on write" >&2; exit 5', DataGuardianError),
    ],
)
def test_no_tool_is_believed(
    mariadb: MariadbServer, tmp_path: Path, script: str, expected: type[DataGuardianError]
) -> None:
    """Exit code and end mark must both be right."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a INT)", database=name)
    tools = fake_tool(tmp_path / "bin", script)
    with pytest.raises(expected):
        dump_to(mariadb.datasource(name, tools=str(tools)), tmp_path / "all.sql")


def test_complaints_of_a_dump_that_ends_well_are_warnings(mariadb: MariadbServer, tmp_path: Path) -> None:
    """They are in the summary, so that the run is marked."""
    name = mariadb.create_database()
    tools = fake_tool(tmp_path / "bin", 'echo "mariadb-dump: Error: something odd" >&2; real "$@"')
    summary = dump_to(mariadb.datasource(name, tools=str(tools)), tmp_path / "all.sql")
    assert summary.warnings == ("mariadb-dump: Error: something odd",)


def test_a_missing_tool_and_an_old_one(mariadb: MariadbServer, tmp_path: Path) -> None:
    """Both say which package to install."""
    name = mariadb.create_database()
    (tmp_path / "none").mkdir()
    with pytest.raises(ToolMissing) as missing:
        mariadb.datasource(name, tools=str(tmp_path / "none")).probe()
    assert "apt-get install mariadb-client" in missing.value.hint
    old = fake_tool(tmp_path / "old", "exit 1", version="5.5.68-MariaDB")
    with pytest.raises(ToolTooOld) as too_old:
        mariadb.datasource(name, tools=str(old)).probe()
    assert "5.5.68" in too_old.value.message
    oracle = fake_tool(tmp_path / "oracle", "exit 1", version="9.7.4")
    (oracle / "mariadb-dump").rename(oracle / "mysqldump")
    with pytest.raises(ToolMissing):
        mariadb.datasource(name, tools=str(oracle)).probe()
