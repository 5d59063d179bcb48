"""Objects of the configuration that were made on a screen, and are removed there."""

from pathlib import Path

import pytest

from dgtui.config import Config, Table, load_config
from dgtui.config.store import is_ours, remove_object, save_object
from dgtui.engine.errors import ConfigError


def _disk(folder: Path) -> dict[str, object]:
    return {"type": "local", "path": str(folder)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration whose datasource and one of its storages are both called `shop`."""
    path = tmp_path / "config.toml"
    path.write_text("")
    datasource = {"type": "sqlite", "path": str(tmp_path / "shop.db")}
    save_object(load_config(path), "datasources", "shop", datasource, new=True)
    for name in ("shop", "disk"):
        save_object(load_config(path), "storages", name, _disk(tmp_path / name), new=True)
    save_object(load_config(path), "jobs", "nightly", {"datasource": "shop", "storages": ["disk"]}, new=True)
    return path


def test_what_no_job_needs_is_removed_though_one_needs_something_of_the_same_name(path: Path) -> None:
    remove_object(load_config(path), "storages", "shop")
    assert set(load_config(path).storages) == {"disk"}


@pytest.mark.parametrize(("table", "name"), [("datasources", "shop"), ("storages", "disk")])
def test_what_a_job_needs_stays(path: Path, table: Table, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is used by nightly"):
        remove_object(load_config(path), table, name)
    assert name in getattr(load_config(path), table)


@pytest.mark.parametrize(
    "more",
    [
        "# as agreed with the auditors\n",
        'schedule = "daily" # as agreed\n',
        '[storages.tape]\ntype = "local"\npath = "/srv/tape"\n',
        "[guardian]\nmax_concurrent = 1\n",
        '[jobs.other]\ndatasource = "shop"\nstorages = ["disk"]\n',
    ],
)
def test_what_a_person_added_to_a_file_of_ours_is_not_lost(path: Path, more: str) -> None:
    file = path.parent / "conf.d" / "job-nightly.toml"
    text = file.read_text() + more
    file.write_text(text)
    config = load_config(path)
    assert not is_ours(config, "jobs", "nightly")
    with pytest.raises(ConfigError, match="written by a person"):
        save_object(config, "jobs", "nightly", {"datasource": "shop", "storages": ["disk"]}, new=False)
    with pytest.raises(ConfigError, match="written by a person"):
        remove_object(config, "jobs", "nightly")
    assert file.read_text() == text


@pytest.mark.parametrize("change", [("nightly", "nightly"), ('"disk"', "'disk'"), ('"shop"', '"\\u0073hop"')])
def test_a_file_of_ours_with_another_value_or_spelling_is_ours_still(path: Path, change: tuple[str, str]) -> None:
    values = {"datasource": "shop", "storages": ["disk"], "description": "no. #1\nof two"}
    save_object(load_config(path), "jobs", "nightly", values, new=False)
    file = path.parent / "conf.d" / "job-nightly.toml"
    file.write_text(file.read_text().replace(*change))
    config = load_config(path)
    assert is_ours(config, "jobs", "nightly")
    remove_object(config, "jobs", "nightly")
    assert not file.exists()


def test_a_main_file_that_is_away_for_a_moment_is_not_begun_anew(tmp_path: Path) -> None:
    path, away = tmp_path / "config.toml", tmp_path / "away"
    path.write_text('[storages.disk]\ntype = "local"\npath = "/srv/disk"\n')
    config = load_config(path)
    path.rename(away)
    with pytest.raises(ConfigError, match=r"config\.toml was removed by somebody else meanwhile"):
        save_object(config, "storages", "nas", _disk(tmp_path / "nas"), new=True)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["away"]


def test_a_first_object_that_is_wrong_leaves_no_main_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with pytest.raises(ConfigError):
        save_object(Config(path=path), "jobs", "nightly", {"datasource": "shop", "storages": ["disk"]}, new=True)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
