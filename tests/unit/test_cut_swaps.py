"""Whether a database may be backed up beside a swap into it that is under way, or was cut."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.cut_swaps import refuse_swapping, swaps_into
from dgtui.engine.errors import (
    BackupCreationError,
    DatabaseConnectionError,
    EndNotKnown,
    RestoreError,
    SourceChanged,
    SourceSettled,
)
from dgtui.engine.restore_model import Restore
from dgtui.engine.runs import RunPaths
from tests.unit.test_settling import LOADING, SWAPPING, FakeServer, catalog, swapping

__all__ = ["catalog"]


class Swapped:
    """A database of which a restore is recorded whose swap was not seen to end."""

    def __init__(self, catalog: Catalog, state: Path) -> None:
        self.catalog = catalog
        self.server = FakeServer({"shop": "old"})
        self.server.swaps_in_steps = True  # type: ignore[attr-defined]
        self.paths = RunPaths(state)
        self.paths.make()
        self.restore = msgspec.structs.replace(swapping(), status="failed")
        catalog.save_restore(self.restore)

    def refuse(self) -> None:
        """Begin a backup."""
        config: Any = SimpleNamespace(datasource=lambda _: self.server)
        restores = swaps_into(self.catalog.restores(), self.restore.datasource, self.restore.target)
        refuse_swapping(self.catalog, config, self.paths, self.restore.datasource, restores, lambda _: None)


@pytest.fixture
def swapped(catalog: Catalog, tmp_path: Path) -> Swapped:
    return Swapped(catalog, tmp_path)


def test_what_is_settled_meanwhile_is_dumped_anew(swapped: Swapped) -> None:
    with pytest.raises(SourceSettled, match="dumped anew"):
        swapped.refuse()
    swapped.refuse()


def test_a_restore_that_still_works_is_waited_for(swapped: Swapped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunPaths, "is_alive", lambda *_: True)
    with pytest.raises(SourceChanged, match="at this moment") as raised:
        swapped.refuse()
    assert raised.value.retry.tries > 1


def test_what_cannot_be_settled_is_not_backed_up(swapped: Swapped) -> None:
    """Where the server says why; where it cannot be reached that is said; whole is what nobody can tell any more."""
    swapped.server.in_place = RestoreError("The disk is full", hint="Make room")
    with pytest.raises(BackupCreationError, match="between its former content") as raised:
        swapped.refuse()
    assert raised.value.hint.startswith("Make room. Then: dgtui cleanup-restore")
    swapped.server.in_place = DatabaseConnectionError("Nobody answers")
    with pytest.raises(DatabaseConnectionError, match="Nobody answers"):
        swapped.refuse()
    swapped.server.in_place = EndNotKnown("It was removed")
    swapped.refuse()


def test_what_is_swapped_at_once_is_whole_at_any_time(swapped: Swapped) -> None:
    swapped.server.swaps_in_steps = False  # type: ignore[attr-defined]
    swapped.server.in_place = RestoreError("The disk is full")
    swapped.refuse()


def test_only_an_open_swap_into_the_same_database_counts() -> None:
    def found(restore: Restore) -> bool:
        return bool(swaps_into([restore], restore.datasource, "shop"))

    swap = swapping()
    assert found(swap)
    assert not found(msgspec.structs.replace(swap, placing=LOADING))
    assert not found(msgspec.structs.replace(swap, placing=msgspec.structs.replace(SWAPPING, mark=None)))
    assert not found(msgspec.structs.replace(swap, placing=None))
    assert not found(msgspec.structs.replace(swap, target="other"))
