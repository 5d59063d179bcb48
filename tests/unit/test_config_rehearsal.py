"""The keys with which a job asks for rehearsals."""

from pathlib import Path

import pytest

from dgtui.config import load_config
from dgtui.config.timetable import rehearsal_count, rehearse_mistake
from dgtui.engine.errors import ConfigError
from tests.unit.config_support import STORAGE, write_config

SOURCES = """
[datasources.shop]
type = "postgres"
database = "shop"
[datasources.other]
type = "postgres"
database = "other"
[datasources.tree]
type = "files"
path = "/srv"
"""


@pytest.mark.parametrize(
    ("text", "count"),
    [("every 10", 10), ("Every 3 backups", 3), ("0 5 * * 0", None), ("every 6 h", None), ("sundays at 04:30", None)],
)
def test_a_schedule_or_a_number_of_backups(text: str, count: int | None) -> None:
    assert rehearse_mistake(text) is None
    assert rehearsal_count(text) == count


@pytest.mark.parametrize(("text", "expected"), [("every 0", "at least one"), ("now and then", "such as 'every 10'")])
def test_what_is_neither(text: str, expected: str) -> None:
    assert expected in (rehearse_mistake(text) or "")


@pytest.mark.parametrize(("source", "place"), [("shop", "other"), ("shop", "private"), ("shop", "shop")])
def test_places(tmp_path: Path, source: str, place: str) -> None:
    assert load_config(_written(tmp_path, source, place)).job("nightly").rehearse_in == place


@pytest.mark.parametrize(
    ("source", "place", "expected"),
    [
        ("shop", "tree", "'tree' is of type 'files'; expected one of type 'postgres'"),
        ("tree", "private", "a files datasource has no private server"),
        ("shop", "othr", "there is no datasource 'othr'"),
    ],
)
def test_wrong_places_are_told_with_line_and_key(tmp_path: Path, source: str, place: str, expected: str) -> None:
    path = _written(tmp_path, source, place)
    line = path.read_text().splitlines().index(f'rehearse_in = "{place}"') + 1
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    told = "\n".join((caught.value.message, *caught.value.detail))
    assert f"{path}:{line}: jobs.nightly.rehearse_in: {expected}" in told


def _written(folder: Path, source: str, place: str) -> Path:
    job = f'[jobs.nightly]\ndatasource = "{source}"\nstorages = ["disk"]\nrehearse_in = "{place}"\n'
    return write_config(folder, STORAGE + SOURCES + job)
