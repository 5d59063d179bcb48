"""A power cut at any moment: what was synced is there, and it is the old content or the new one."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.changing import changing
from tests.support.homes import Home
from tests.support.power import Content, Moment, moments

PLACES = {"sqlite": "shop.db", "files": "tree"}


@pytest.mark.parametrize("kind", PLACES)
def test_a_restore_and_its_undo(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    """Old or new after each call, and surely new once success was told; what comes first is recorded first."""
    with changing(kind, home, request) as source:
        place = home.folder / "data" / PLACES[kind]
        restoring = ("restore", "nightly@latest", "--overwrite", "--yes")
        _judge(place, moments(home, *restoring))
        assert source.digest() == source.backed_up
        restore = home.engine().restores()[0]
        home.close_catalogues()
        _judge(place, moments(home, "undo", restore.restore_id[:8], "--yes"))
        assert source.digest() == source.before


def _judge(place: Path, run: Iterable[Moment]) -> None:
    contents: list[tuple[str, Content | None]] = []
    last: Moment | None = None
    for last in run:
        swaps = last.call.startswith("rename") and place.name in last.call and "__dgtui_new" in last.call
        if swaps:
            assert [name for name in last.disk.dirty_files() if name.endswith("-wal")] == [], "recorded before"
        contents += [(last.call, found) for found in last.contents(place)]
    assert last is not None
    node = last.disk.find(place)
    assert node is not None
    before, after = contents[0][1], contents[-1][1]
    assert before != after
    assert [call for call, found in contents if found not in (before, after)] == []
    assert [found for found in last.contents(place) if found != after] == []


@pytest.mark.parametrize("kind", PLACES)
def test_a_backup(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    """A folder with its final name is a whole backup, or it is not there; success is told of one that surely is."""
    with changing(kind, home, request) as source:
        home.close_catalogues()
        job_folder = Path(source.execution.copies[0].path).parent
        known = {path.name for path in job_folder.iterdir()}
        seen: list[tuple[str, set[str]]] = []
        last: Moment | None = None
        for last in moments(home, "--run-job", "nightly"):
            for content in last.contents(job_folder):
                files = {name for name in content or {} if name.split("/")[1] not in known}
                lost = {name for name, node in (content or {}).items() if name in files and node.dirty}
                seen.append((last.call, {name for name in files - lost if not name.startswith("/.partial-")}))
        assert last is not None
        final = seen[-1][1]
        assert {Path(name).name for name in final} >= {"manifest.json"}
        assert [call for call, files in seen if files not in (set(), final)] == []
        assert seen[-2][1] == final, "all of it was synced"
