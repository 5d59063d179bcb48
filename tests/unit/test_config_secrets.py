"""Secrets that are typed on a screen: in files of their own, which change and go with the object they belong to."""

import os
from pathlib import Path

import pytest

from dgtui.config import load_config
from dgtui.config.store import remove_object, save_object
from dgtui.engine.errors import ConfigError, DiskSpaceError
from dgtui.engine.secrets import HiddenText
from tests.support.shops import fill_up


def save(path: Path, name: str, password: object, *, new: bool) -> None:
    values = {"type": "mysql", "database": name, "password": password}
    save_object(load_config(path), "datasources", name, values, new=new)


def secrets(folder: Path) -> dict[str, str]:
    """What the files of secrets hold."""
    return {file.name: file.read_text() for file in folder.glob("secrets/*")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text("")
    path.chmod(0o600)
    save(path, "shop", HiddenText("first"), new=True)
    save(path, "shop-password", HiddenText("another"), new=True)
    return path


def test_a_change_that_is_refused_leaves_the_secret_as_it_was(path: Path) -> None:
    before = secrets(path.parent)
    config = load_config(path)
    path.write_text("[jobs.wrong]\n")
    values = {"type": "mysql", "database": "other", "password": HiddenText("second")}
    for name, new in (("shop", False), ("third", True)):
        with pytest.raises(ConfigError):
            save_object(config, "datasources", name, values, new=new)
    assert secrets(path.parent) == before
    assert not (path.parent / "conf.d/datasource-third.toml").exists()


def test_a_secret_goes_with_its_object_and_no_other_one(path: Path) -> None:
    remove_object(load_config(path), "datasources", "shop")
    assert secrets(path.parent) == {"datasource-shop-password-password": "another\n"}


def test_a_secret_that_is_taken_from_elsewhere_now_is_not_kept(path: Path) -> None:
    save(path, "shop", HiddenText("second"), new=False)
    assert secrets(path.parent)["datasource-shop-password"] == "second\n"
    save(path, "shop", {"env": "SHOP_PASSWORD"}, new=False)
    assert secrets(path.parent) == {"datasource-shop-password-password": "another\n"}


@pytest.mark.root
def test_a_disk_that_fills_meanwhile_changes_nothing(small_mount: Path) -> None:
    """At whichever file of a save it becomes full: no secret lies there that nothing refers to, and none is changed."""
    path = small_mount / "config.toml"
    path.write_text("")
    path.chmod(0o600)
    save(path, "shop", HiddenText("first"), new=True)
    filler, before = fill_up(small_mount), kept_files(small_mount)
    saved = 0
    for name, new in (("third", True), ("shop", False)):
        for _ in range(10):
            try:
                save(path, name, HiddenText("second"), new=new)
            except DiskSpaceError:
                assert kept_files(small_mount) == before
                os.truncate(filler, filler.stat().st_size - 4096)
            else:
                saved += 1
                break
        fill_up(small_mount)
        before = kept_files(small_mount)
    assert saved == 2


def kept_files(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != "filler"}
