"""How closely cleanup looks: by names at what lies there, into all that others go for, and into what it removes."""

import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgtui.config import load_config
from dgtui.config.model import job_id
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.backups import all_backups
from dgtui.engine.cleanup import CleanupReport, Scope
from dgtui.engine.cleanup.presence import Presence
from dgtui.engine.facade import Engine
from dgtui.engine.job_backups import Backups
from dgtui.engine.model import Backup, CopyStatus
from dgtui.engine.storages.base import MANIFEST, FolderRef
from dgtui.engine.storages.local import LocalStorage
from dgtui.engine.storages.local_marker import MARKER
from dgtui.wording.words import size_text, time_text
from tests.support.backup_folders import add_backup, mark_storage
from tests.support.homes import Home

JOB = job_id("nightly", None)
START = datetime(2025, 1, 1, 3, tzinfo=UTC)
DAYS = 6


@pytest.fixture
def engine(home: Home) -> Engine:
    """Six days of backups at two storages, of which two are to be kept."""
    tree = home.folder / "tree"
    tree.mkdir()
    home.configure(
        f'[datasources.shop]\ntype = "files"\npath = "{tree}"\n',
        storages=("disk", "nas"),
        job="retention = { keep_last = 2 }",
    )
    for days in range(DAYS):
        add_backup(home.storage(), "nightly", START + timedelta(days=days))
    shutil.copytree(home.storage(), home.storage("nas"))
    made = home.engine()
    for name in ("disk", "nas"):
        mark_storage(home.storage(name))
        assert made.scan(name).known == DAYS
    return made


def folder(home: Home, day: int, storage: str = "disk") -> Path:
    """The folder of the backup of a day."""
    (found,) = (home.storage(storage) / JOB).glob(f"2025-01-{day:02d}_*")
    return found


def hollow_out(home: Home, day: int, storage: str = "disk") -> None:
    """Leave but the folder of a backup."""
    (folder(home, day, storage) / MANIFEST).unlink()


def going(report: CleanupReport) -> list[tuple[str, int]]:
    """Storage and day of what is to go."""
    return sorted((one.storage, one.taken_at.day) for one in report.plan.removals)


def states(engine: Engine, storage: str) -> dict[int, CopyStatus]:
    """By day what the catalogue knows of the copies."""
    return {
        one.started_at.day: copy.status for one in engine.executions() for copy in one.copies if copy.storage == storage
    }


def test_what_is_kept_is_looked_into_before_others_go_for_it(home: Home, engine: Engine) -> None:
    hollow_out(home, 6)
    hollow_out(home, 4)
    preview = engine.retention.preview(Scope(storages=("disk",)))
    assert [one for one in going(preview) if one[0] == "disk"] == [("disk", 1), ("disk", 2)]
    assert engine.retention.clean_up(Scope(storages=("disk",))).not_removed == ()
    assert [path.name[8:10] for path in sorted((home.storage() / JOB).iterdir())] == ["03", "04", "05", "06"]
    assert states(engine, "disk") == {3: "available", 4: "missing", 5: "available", 6: "missing"}


def test_but_a_folder_is_no_backup_that_could_be_removed(home: Home, engine: Engine) -> None:
    hollow_out(home, 1)
    report = engine.retention.clean_up(Scope(storages=("disk",)))
    assert len(report.removed) == 3
    assert report.not_removed == ()
    assert states(engine, "disk")[1] == "missing"
    assert folder(home, 1).exists()
    assert [one for one in going(engine.retention.preview(Scope())) if one[0] == "disk"] == []


def test_nothing_goes_whose_other_copy_cannot_be_looked_into(
    home: Home, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = LocalStorage.copy_status

    def broken(storage: LocalStorage, ref: FolderRef) -> CopyStatus:
        bad = storage.name == "nas" and ref.folder == folder(home, 2).name
        return "unreachable" if bad else status(storage, ref)

    monkeypatch.setattr(LocalStorage, "copy_status", broken)
    report = engine.retention.clean_up(Scope(storages=("disk",)))
    assert len(report.removed) == 3
    (left,) = report.not_removed
    assert left.path == str(folder(home, 2))
    assert "its copy at nas is in doubt" in left.problem.message


def test_a_file_in_the_place_of_a_backup_is_none(home: Home, engine: Engine) -> None:
    path = folder(home, 6)
    shutil.rmtree(path)
    path.write_text("")
    assert [one for one in going(engine.retention.preview(Scope())) if one[0] == "disk"] == [
        ("disk", day) for day in (1, 2, 3)
    ]
    assert states(engine, "disk")[6] == "missing"


def test_what_was_missing_counts_again_once_it_is_there_and_whole(home: Home, engine: Engine) -> None:
    elsewhere = home.folder / "elsewhere"
    shutil.move(folder(home, 6), elsewhere)
    assert [day for storage, day in going(engine.retention.preview(Scope())) if storage == "disk"] == [1, 2, 3]
    assert states(engine, "disk")[6] == "missing"
    back = home.storage() / JOB / folder(home, 6, "nas").name
    back.mkdir()
    assert [day for storage, day in going(engine.retention.preview(Scope())) if storage == "disk"] == [1, 2, 3]
    back.rmdir()
    shutil.move(elsewhere, back)
    assert [day for storage, day in going(engine.retention.preview(Scope())) if storage == "disk"] == [1, 2, 3, 4]
    assert states(engine, "disk")[6] == "available"


def test_a_storage_that_tells_nothing_keeps_what_lies_elsewhere_too(home: Home, engine: Engine) -> None:
    shutil.rmtree(folder(home, 2, "nas"))
    assert ("disk", 2) in going(engine.retention.preview(Scope()))
    (home.storage("nas") / MARKER).unlink()
    assert going(engine.retention.preview(Scope())) == [("disk", 2)]
    assert states(engine, "nas") == {2: "missing"} | dict.fromkeys((1, 3, 4, 5, 6), "unreachable")


def test_what_comes_while_the_catalogue_is_read_is_there(home: Home, engine: Engine) -> None:
    elsewhere, path = home.folder / "elsewhere", folder(home, 6)
    catalog = Catalog(home.state)
    presence = Presence(catalog, load_config(home.config_path), START)
    shutil.move(path, elsewhere)
    assert len(list(presence.ahead([JOB]))) == 2
    shutil.move(elsewhere, path)
    shutil.rmtree(folder(home, 1))
    found = presence.as_they_are(all_backups(catalog))
    assert [one.started_at.day for one in present(found, "disk")] == [2, 3, 4, 5, 6]
    assert states(engine, "disk") == {1: "missing"} | dict.fromkeys(range(2, 7), "available")
    catalog.close()


def test_a_storage_that_is_silent_ahead_is_not_asked_again(
    home: Home, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.storage("nas") / MARKER).unlink()
    asked: list[str] = []
    folders = LocalStorage.folders

    def counted(storage: LocalStorage, job_ids: Sequence[str]) -> dict[str, frozenset[str] | None]:
        asked.append(storage.name)
        return folders(storage, job_ids)

    monkeypatch.setattr(LocalStorage, "folders", counted)
    catalog = Catalog(home.state)
    presence = Presence(catalog, load_config(home.config_path), START)
    list(presence.ahead([JOB]))
    assert present(presence.as_they_are(all_backups(catalog)), "nas") == []
    catalog.close()
    assert asked == ["disk", "nas"]
    assert states(engine, "nas") == dict.fromkeys(range(1, 7), "unreachable")


LAYOUTS = st.lists(st.sampled_from(["whole", "whole", "whole", "hollow", "gone", "file"]), min_size=DAYS, max_size=DAYS)


class Everywhere(Presence):
    """Looks into every folder."""

    def as_they_are(self, known: Backups) -> Backups:
        found = super().as_they_are(known)
        return self.without_hollow(found, [(name, present(found, name)) for name in ("disk", "nas")]) or found


def present(backups: Sequence[Backup], storage: str) -> list[Backup]:
    """Those whose copy at a storage is taken to be there."""
    return [
        one for one in backups if any(copy.storage == storage and copy.status == "available" for copy in one.copies)
    ]


def lay_out(home: Home, storage: str, layout: Sequence[str], whole: Path) -> None:
    """Bring the folders of a storage into these states, day by day."""
    shutil.rmtree(home.storage(storage) / JOB, ignore_errors=True)
    shutil.copytree(whole, home.storage(storage) / JOB)
    for day, kind in enumerate(layout, start=1):
        path = folder(home, day, storage)
        if kind == "hollow":
            (path / MANIFEST).unlink()
        elif kind != "whole":
            shutil.rmtree(path)
        if kind == "file":
            path.write_text("")


def test_what_goes_is_what_would_go_had_all_been_looked_into(home: Home, engine: Engine) -> None:
    whole = home.folder / "whole"
    shutil.copytree(home.storage() / JOB, whole)

    @settings(max_examples=40, deadline=None)
    @given(layouts=st.fixed_dictionaries({"disk": LAYOUTS, "nas": LAYOUTS}), keep=st.integers(1, 4))
    def hold(layouts: dict[str, list[str]], keep: int) -> None:
        text = home.config_path.read_text()
        home.config_path.write_text(re.sub("keep_last = [0-9]", f"keep_last = {keep}", text))
        engine.reload()
        for name, layout in layouts.items():
            lay_out(home, name, layout, whole)
        found = going(engine.retention.preview(Scope()))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dgtui.engine.cleanup.looking.Presence", Everywhere)
            wanted = going(engine.retention.preview(Scope()))
        # What is but a folder is found to be none at its turn.
        assert wanted == [(name, day) for name, day in found if layouts[name][day - 1] == "whole"]
        assert len(wanted) == sum(max(0, layout.count("whole") - keep) for layout in layouts.values())

    hold()


def test_many_removals_are_summed_up_where_nobody_asks_for_each(home: Home, engine: Engine) -> None:
    for hours in range(1, 205):
        add_backup(home.storage(), "nightly", START + timedelta(days=DAYS, hours=hours))
    engine.scan("disk")
    shown = home.dgtui("cleanup", "--dry-run")
    each = home.dgtui("cleanup", "--dry-run", "--all")
    data = home.dgtui("cleanup", "--dry-run", "--json").json()
    going, number = data["to_remove"], 208 + 4
    assert len(going) == number
    assert f"{number} to remove, {size_text(sum(one['bytes'] for one in going))} to be freed" in shown.errors
    assert "--all names each" in shown.errors
    header, disk, nas = (line.split() for line in shown.output.splitlines())
    assert header == ["What", "Backups", "From", "To", "Job", "Storage", "Frees", "Why"]
    assert disk[:2] + disk[6:8] == ["remove", "208", "nightly", "disk"]
    assert nas[:2] + nas[6:8] == ["remove", "4", "nightly", "nas"]
    for words, name in ((disk, "disk"), (nas, "nas")):
        moments = [datetime.fromisoformat(one["taken_at"]) for one in going if one["storage"] == name]
        assert " ".join(words[2:4]) == time_text(min(moments))
        assert " ".join(words[4:6]) == time_text(max(moments))
    lines = each.output.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["remove"] * number + ["keep"] * 4
    assert "--all" not in each.errors
