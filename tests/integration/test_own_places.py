"""A restore never moves away what DataGuardian itself lives by: its storages and its state."""

import json
from pathlib import Path

import pytest

from dgtui.engine.errors import RestoreError
from tests.support.homes import Home


@pytest.fixture
def source(home: Home) -> Path:
    """A tree whose only storage lies in it, left out of the backup."""
    tree = home.folder / "srv"
    tree.mkdir()
    (tree / "page").write_text("first")
    table = f'[datasources.shop]\ntype = "files"\npath = {json.dumps(str(tree))}\nexclude = ["backups"]\n'
    inside = f'[storages.inside]\ntype = "local"\npath = {json.dumps(str(tree / "backups"))}\n'
    home.configure(table, more=inside, job='description = "both"')
    text = home.config_path.read_text()
    home.config_path.write_text(text.replace('storages = ["disk"]', 'storages = ["disk", "inside"]'))
    return tree


def test_a_tree_that_holds_a_storage_is_not_swapped_away_with_it(home: Home, source: Path) -> None:
    execution = home.back_up()
    assert [copy.status for copy in execution.copies] == ["available", "available"]
    outcome = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert outcome.exit_code == 1
    assert "the storage inside lies in" in outcome.errors
    assert "--into" in outcome.errors
    assert home.dgtui("restore", "nightly@latest", "--overwrite", "--dry-run").exit_code == 1
    assert home.dgtui("validate", "nightly@latest", "--storage", "inside").exit_code == 0
    (source / "page").write_text("second")
    assert home.dgtui("restore", "nightly@latest", "--merge", "--yes").exit_code == 0
    assert (source / "page").read_text() == "first"
    (source / "page").write_text("third")
    assert home.dgtui("restore", "nightly@latest", "--table", "page", "--overwrite", "--yes").exit_code == 0
    assert (source / "page").read_text() == "first"
    assert home.dgtui("validate", "nightly@latest").exit_code == 0


@pytest.mark.parametrize("place", ["disk", "disk/below", "state", "linked", "."])
def test_storages_and_state_are_no_targets(home: Home, source: Path, place: str) -> None:
    execution = home.back_up()
    (home.folder / "linked").symlink_to(home.folder / "disk")
    engine = home.engine()
    before = sorted(home.storage().rglob("*"))
    with pytest.raises(RestoreError, match="nothing was changed"):
        engine.start_restore(execution, database=str(home.folder / place), overwrite=True)
    assert sorted(home.storage().rglob("*")) == before
    assert engine.restores() == []


@pytest.mark.parametrize("place", ["disk", "state"])
def test_a_merge_brings_no_older_storage_or_state_into_the_live_one(home: Home, place: str) -> None:
    tree = home.folder
    table = f'[datasources.shop]\ntype = "files"\npath = {json.dumps(str(tree))}\n'
    home.configure(f'{table}include = ["{place}", "page"]\n')
    (tree / "page").write_text("first")
    home.back_up()
    home.back_up()
    (tree / "page").write_text("second")
    outcome = home.dgtui("restore", "nightly@latest", "--merge", "--yes")
    assert outcome.exit_code == 0
    assert f"The {'state folder' if place == 'state' else 'storage disk'} lies in" in outcome.errors
    assert (tree / "page").read_text() == "first"
    restored = home.engine().restores()[0]
    assert "was left as it is" in restored.warnings[-1]
    assert restored.safety_execution_id in {entry["execution_id"] for entry in home.dgtui("list", "--json").json()}
    assert home.dgtui("validate", "nightly@latest").exit_code == 0
    assert home.dgtui("undo", restored.restore_id[:8], "--yes").exit_code == 0
    assert (tree / "page").read_text() == "second"


@pytest.mark.parametrize("chosen", ["state/catalog.db", "sta\\x74e"])
def test_a_part_of_the_state_is_not_exchanged(home: Home, chosen: str) -> None:
    tree = json.dumps(str(home.folder))
    home.configure(f'[datasources.shop]\ntype = "files"\npath = {tree}\ninclude = ["state"]\n')
    home.back_up()
    outcome = home.dgtui("restore", "nightly@latest", "--table", chosen, "--overwrite", "--yes")
    assert outcome.exit_code == 1
    assert "the state folder" in outcome.errors
    assert "nothing was changed" in outcome.errors


def test_an_undo_moves_no_storage_away_that_was_made_in_the_tree_since(home: Home) -> None:
    tree = home.folder / "srv"
    tree.mkdir()
    (tree / "page").write_text("first")
    table = f'[datasources.shop]\ntype = "files"\npath = {json.dumps(str(tree))}\n'
    home.configure(table)
    home.back_up()
    assert home.dgtui("restore", "nightly@latest", "--overwrite", "--yes").exit_code == 0
    restored = home.engine().restores()[0]
    home.configure(table, more=f'[storages.inside]\ntype = "local"\npath = {json.dumps(str(tree / "backups"))}\n')
    outcome = home.dgtui("undo", restored.restore_id[:8], "--yes")
    assert outcome.exit_code == 1
    assert "the storage inside lies in" in outcome.errors
    home.configure(table)
    assert home.dgtui("undo", restored.restore_id[:8], "--yes").exit_code == 0
