"""Bringing what an interrupted restore left to a clean end, however often that is interrupted itself."""

import pytest

from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.errors import RestoreError
from dgtui.engine.settling import empty_again

OWN = "utf8mb4, of shop_owner"
HALF = "utf8mb4, of shop_owner, half loaded"


class FakeServer:
    """A server whose databases are the words that tell their properties and content; it fails at a step."""

    def __init__(self, databases: dict[str, str], fails_at: int | None = None) -> None:
        self.databases = databases
        self.fails_at = fails_at
        self._steps = 0

    def beside_name(self, database: str, suffix: str) -> str:
        return database + suffix

    def target_state(self, database: str) -> TargetState:
        return TargetState(exists=database in self.databases)

    def drop_target(self, database: str) -> None:
        self._step()
        self.databases.pop(database, None)

    def create_target(self, database: str, like: str | None = None) -> None:
        self._step()
        assert database not in self.databases
        self.databases[database] = self.databases.get(like or "", "latin1, of nobody").removesuffix(", half loaded")

    def _step(self) -> None:
        self._steps += 1
        if self._steps == self.fails_at:
            raise RestoreError("The server is gone")


def emptied(databases: dict[str, str], fails_at: int | None = None) -> dict[str, str]:
    """The databases after `shop` was emptied, or as far as that came."""
    empty_again(FakeServer(databases, fails_at), "shop")  # type: ignore[arg-type]
    return databases


def test_a_target_that_is_emptied_keeps_its_own_properties() -> None:
    assert emptied({"shop": HALF, "other": OWN}) == {"shop": OWN, "other": OWN}
    assert emptied({"shop": HALF, "shop__dgtui_new": "left by another"}) == {"shop": OWN}


@pytest.mark.parametrize("step", range(1, 6))
def test_emptying_that_was_cut_is_brought_to_its_end(step: int) -> None:
    """Once the target is dropped, what it was like is known by the pattern alone."""
    databases = {"shop": HALF}
    with pytest.raises(RestoreError, match="gone"):
        emptied(databases, step)
    assert emptied(databases) == {"shop": OWN}


def test_what_somebody_removed_is_not_made_anew() -> None:
    assert emptied({"other": OWN}) == {"other": OWN}
