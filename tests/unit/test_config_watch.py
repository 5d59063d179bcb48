"""Changes of the configuration's files are taken up once they are complete, and each once."""

from pathlib import Path

from dgtui.engine.guardian.config_watch import ConfigWatch


def test_a_change_is_told_once_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[jobs.a]\n")
    watch = ConfigWatch(path)
    assert not watch.changed()
    for half in ("", "[jobs.a]\n[jobs.b]\n", "[jobs.a]\n[jobs.b]\n[jobs.c]\n"):
        path.write_text(half)
        assert not watch.changed(), "it is still being written"
    assert watch.changed()
    assert not watch.changed()


def test_a_file_that_is_as_it_was_is_no_change(tmp_path: Path) -> None:
    path, other = tmp_path / "config.toml", tmp_path / "conf.d" / "job.toml"
    path.touch()
    other.parent.mkdir()
    watch = ConfigWatch(path)
    other.touch()
    assert not watch.changed()
    other.unlink()
    assert not watch.changed()
    assert not watch.changed()


def test_what_was_taken_up_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    watch = ConfigWatch(path)
    path.touch()
    watch.take()
    assert not watch.changed()
    assert not watch.changed()
