"""Objects of the configuration that were made on a screen, and are removed there."""

from pathlib import Path

import pytest

from dgtui.config import Table, load_config
from dgtui.config.store import remove_object, save_object
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
