"""A RENAME TABLE that is lost with its connection, and that the server reads only once it was settled."""

from pathlib import Path

import pytest

from dgtui.engine.datasources.mysql_inside import inside_name
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.reporting import SilentReporter
from dgtui.engine.restore_model import PartChange
from tests.integration.mysql_pump import dump_to, load_from
from tests.support.cutting import cutting
from tests.support.mariadb import MariadbServer, mysql_digest


@pytest.mark.parametrize("way", ["swap", "inside", "tables", "another name"])
def test_what_was_found_stays(way: str, mariadb: MariadbServer, tmp_path: Path) -> None:
    """A rename of which it was said that it was not made is not made any more."""
    name = mariadb.create_database()
    beside, keep_as = f"{name}__new", f"{name}__old"
    mariadb.execute(f"CREATE DATABASE {beside}")
    for database, rows in ((name, 2), (beside, 3)):
        mariadb.execute(f"CREATE TABLE {database}.word (id INT)")
        mariadb.execute(f"INSERT INTO {database}.word SELECT seq FROM seq_1_to_{rows}", database=database)
    before = mysql_digest(mariadb, name)
    place = inside_name(name) if way == "inside" else beside
    if way == "inside":
        dump_to(mariadb.datasource(beside), tmp_path / "archive")
        assert load_from(mariadb.datasource(name), tmp_path / "archive", place).errors == ()
    change = PartChange(
        database=name,
        beside=beside,
        keep_as=keep_as,
        tables=("word",),
        name_as="word_then" if way == "another name" else None,
    )
    marks: list[str] = []
    with cutting(mariadb.port, (b"RENAME TABLE",), "late", lambda: None) as proxy:
        target = mariadb.datasource(name, port=proxy.port, tls="disable")

        def rename() -> None:
            if way in ("swap", "inside"):
                target.swap(place, name, keep_as, SilentReporter())
            else:
                target.replace_part(change, None, SilentReporter(), lambda mark, _: marks.append(mark))

        with pytest.raises(DataGuardianError):
            rename()
        assert proxy.has_cut
        found = target.settle_part(marks[0], change) if marks else target.settle_swap("", place, name, keep_as)
        proxy.deliver()
    assert found == "old"
    if way == "inside":
        mariadb.datasource(name).drop_target(place)
    assert mysql_digest(mariadb, name) == before
