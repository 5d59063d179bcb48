"""Whether a restore can be taken back, by which way, what comes back, and why not."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dgtui.config import Config, load_config
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import ConfigError, RestoreError
from dgtui.engine.model import Copy, Execution
from dgtui.engine.orders import RestoreOrder
from dgtui.engine.restore_model import Part, Placing, Restore
from dgtui.engine.undo import only_removes
from dgtui.engine.undo_choice import UndoChoice, undo_choice

SAFETY_ID = "5afe0000-51a4-43c0-9c0a-2b6f3b0c1d2e"
ORDERS = Part(kind="objects", replaced=("orders",))


class Records:
    """A catalogue, and a database whose restores it holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.target = make_database(folder / "shop.db")
        self.catalog = Catalog(folder)
        self.config = configured(folder, self.target)
        self._saved = 0

    def save(self, name: str = "r1", **more: Any) -> Restore:
        """A restore that came to its end, unless it is said otherwise; each begins after the one before."""
        self._saved += 1
        known: dict[str, Any] = {"target": self.target, "status": "completed", "in_place": True, "datasource": "crm"}
        at = datetime(2025, 2, 13, 6, tzinfo=UTC) + timedelta(hours=self._saved)
        restore = Restore(restore_id=name, execution_id="e", started_at=at, **{**known, **more})
        self.catalog.save_restore(restore)
        return restore

    def save_safety(self, **more: Any) -> str:
        """A safety backup; its id."""
        known: dict[str, Any] = {
            "status": "partial",
            "copies": (Copy(storage="disk", path="/b/1", status="available"),),
            "warnings": ("The storage nas took nothing",),
        }
        at = datetime(2025, 2, 13, 5, tzinfo=UTC)
        safety = Execution(
            execution_id=SAFETY_ID,
            job_id="j",
            job="safety-crm",
            datasource="crm",
            datasource_type="sqlite",
            backup_type="full",
            started_at=at,
            purpose="safety",
            **{**known, **more},
        )
        self.catalog.save_execution(safety)
        return SAFETY_ID

    def keep(self) -> str:
        """What a restore kept; its name."""
        return make_database(self.folder / "shop.db__dgtui_old")

    def choice(self, restore: Restore) -> UndoChoice:
        """What is found for a restore."""
        return undo_choice(self.catalog, self.config, restore)


def make_database(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)")
    return str(path)


def configured(folder: Path, path: str) -> Config:
    config = folder / "config.toml"
    config.write_text(f'[datasources.crm]\ntype = "sqlite"\npath = "{path}"\n')
    config.chmod(0o600)
    return load_config(config)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    made = Records(tmp_path)
    yield made
    made.catalog.close()


SWAPPING = Placing(beside="shop__dgtui_new", keep_as="shop__dgtui_old", mark="m")
LOADED = Placing(beside="shop__dgtui_new")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"status": "running"}, "still under way"),
        ({"status": "queued", "in_place": False}, "still under way"),
        ({"placing": SWAPPING}, "not known yet; settle it: dgtui cleanup-restore r1"),
        ({"status": "failed", "in_place": False}, "It ended failed and changed nothing in"),
        ({"status": "cancelled", "in_place": False, "placing": LOADED}, "It ended cancelled and changed nothing in"),
        ({"datasource": "gone"}, "name it gone again in the configuration, or restore what was there before"),
    ],
)
def test_what_cannot_be_taken_back_says_why(records: Records, more: dict[str, Any], told: str) -> None:
    """Although there is a safety backup, and what it replaced is kept."""
    choice = records.choice(records.save(kept_as=records.keep(), safety_execution_id=records.save_safety(), **more))
    assert not choice.possible
    assert told in choice.text
    with pytest.raises(ConfigError, match=r"Restore r1 cannot be undone\. "):
        raise choice.refusal


@pytest.mark.parametrize(
    "more",
    [
        {"status": "failed"},
        {"status": "completed", "in_place": False},
        {"status": "interrupted", "in_place": False, "partly_filled": True},
        {"placing": LOADED},
    ],
)
def test_what_came_to_its_place_can_be_taken_back(records: Records, more: dict[str, Any]) -> None:
    """Whatever it ended with, what was kept takes its place again."""
    choice = records.choice(records.save(kept_as=records.keep(), safety_execution_id=records.save_safety(), **more))
    assert (choice.way, choice.kept_as, choice.execution_id) == ("kept", records.keep(), SAFETY_ID)


def test_one_that_was_taken_back_names_the_one_that_did(records: Records) -> None:
    restore = records.save(kept_as=records.keep())
    records.save("u0", undo_of="r1", status="failed", in_place=False)
    assert records.choice(restore).possible, "that undo changed nothing"
    records.save("u1", undo_of="r1")
    choice = records.choice(restore)
    assert (choice.possible, choice.text) == (False, "It was undone already, by u1; that one can be undone")
    records.save("u2", undo_of="u1")
    assert records.choice(restore).possible, "its undo was taken back in its turn"


def test_what_a_cut_undo_had_saved_is_no_way_back(records: Records) -> None:
    cut = {"status": "interrupted", "in_place": False, "partly_filled": True}
    first = records.save("r1", safety_execution_id=records.save_safety(), **cut)
    second = records.save("r2", undo_of="r1", safety_execution_id=SAFETY_ID, **cut)
    assert records.choice(first).possible
    choice = records.choice(second)
    assert not choice.possible
    assert "not whole: undo r1, which left" in choice.text


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"by_hand": True}, "It was done by hand"),
        ({"kept_as": "gone"}, "gone is not there any more, and there is no safety backup of it"),
        ({"dropped_at": datetime(2025, 2, 14, tzinfo=UTC)}, "What it replaced was dropped, and there is no safety"),
        ({"safety_execution_id": SAFETY_ID}, "Its safety backup 5afe0000 is not there any more"),
        ({"part": ORDERS}, "was not saved"),
        ({"part": Part(kind="objects", removed=("orders",))}, "was not saved"),
        ({}, "held nothing before, so there is nothing to put back"),
    ],
)
def test_where_nothing_is_left_it_says_what_became_of_it(records: Records, more: dict[str, Any], told: str) -> None:
    if "kept_as" in more:
        more = {"kept_as": str(records.folder / "gone")}
    choice = records.choice(records.save(**more))
    assert not choice.possible
    assert told in choice.text
    assert choice.execution_id is None


def test_a_kept_part_of_which_no_more_is_known_never_takes_the_place_of_all(records: Records) -> None:
    """As former versions wrote it down: what lies there are a few tables, and the target has others."""
    kept = records.keep()
    choice = records.choice(records.save(part_kept_as=kept, tables=("orders",)))
    assert (choice.way, choice.kept_as) == (None, None)
    assert choice.text == f"There is no safety backup; the part that was replaced lies in {kept}"
    saved = records.save_safety()
    choice = records.choice(records.save(part_kept_as=kept, tables=("orders",), safety_execution_id=saved))
    assert (choice.way, choice.execution_id) == ("safety", saved)


def test_a_safety_backup_that_cannot_be_restored_is_none(records: Records) -> None:
    restore = records.save(safety_execution_id=records.save_safety(status="failed"))
    assert not records.choice(restore).possible
    for status in ("missing", "corrupt"):
        records.save_safety(copies=(Copy(storage="disk", path="/b/1", status=status),))
        assert not records.choice(restore).possible
    records.save_safety(copies=(Copy(storage="disk", path="/b/1", status="unreachable"),))
    assert records.choice(restore).way == "safety"


def test_what_was_kept_and_is_lost_leaves_the_safety_backup(records: Records) -> None:
    """It says with which warnings that backup ended."""
    kept = records.keep()
    restore = records.save(kept_as=kept, safety_execution_id=records.save_safety())
    Path(kept).unlink()
    choice = records.choice(restore)
    assert (choice.way, choice.kept_as, choice.execution_id) == ("safety", None, SAFETY_ID)
    assert choice.backup_warnings == ("The storage nas took nothing",)
    assert (choice.obstacle, choice.grants, choice.part) == ("", (), None)


def test_what_was_kept_damaged_is_not_swapped_in(records: Records) -> None:
    """A damaged database is kept with its side files; without a safety backup that is why nothing can be done."""
    kept = records.keep()
    Path(f"{kept}-wal").write_bytes(b"damage")
    choice = records.choice(records.save(kept_as=kept))
    assert not choice.possible
    assert f"{kept} was damaged and is kept with its -wal, and there is no safety backup of it" in choice.text
    assert records.choice(records.save("r2", kept_as=kept, safety_execution_id=records.save_safety())).way == "safety"


def test_a_datasource_that_cannot_be_asked_is_asked_again_later(records: Records) -> None:
    """It is no refusal for good: the error says so, and what to do."""
    records.config = unanswered(records.folder)
    for more in ({"kept_as": "shop__dgtui_old"}, {"safety_execution_id": records.save_safety()}):
        choice = records.choice(records.save(target="shop", **more))
        assert not choice.possible
        assert choice.text.startswith("crm: ")
        assert choice.hint
        with pytest.raises(RestoreError, match=r"Restore r1 cannot be undone now\. crm: ") as caught:
            raise choice.refusal
        assert caught.value.hint == choice.hint


def unanswered(folder: Path) -> Config:
    config = folder / "config.toml"
    config.write_text('[datasources.crm]\ntype = "mysql"\nhost = "127.0.0.1"\nport = 1\ndatabase = "shop"\n')
    return load_config(config)


@pytest.mark.parametrize(
    ("part", "tables", "told"),
    [
        (ORDERS, ("orders",), "From the safety backup 5afe0000 come back orders. All else"),
        (
            Part(kind="objects", replaced=("a",), removed=("b",), added=("c",)),
            ("a", "b"),
            "come back a, b; c, which was not there before, is removed. All else",
        ),
        (Part(kind="objects", replaced=tuple("abcdefg")), tuple("abcdefg"), "come back a, b, c, d, e and 2 more. All"),
        (Part(kind="objects", replaced=tuple("abcde")), tuple("abcde"), "come back a, b, c, d, e. All"),
        (Part(kind="rows", replaced=("orders",)), ("orders",), "come back the rows of orders. All else"),
        (Part(kind="rows", replaced=("orders",), everything=True), (), "come back the rows of orders. All else"),
    ],
)
def test_of_a_part_only_what_was_changed_comes_back(
    records: Records, part: Part, tables: tuple[str, ...], told: str
) -> None:
    choice = records.choice(records.save(part=part, safety_execution_id=records.save_safety()))
    assert (choice.way, choice.part, choice.execution_id) == ("safety", part, SAFETY_ID)
    assert told in choice.text
    assert choice.selection.tables == tables
    assert choice.selection.backup_type == ("data_only" if part.kind == "rows" else "full")
    assert choice.backup_warnings == ("The storage nas took nothing",)


def test_what_was_only_added_is_taken_away_without_any_backup(records: Records) -> None:
    choice = records.choice(records.save(part=Part(kind="objects", added=("orders",))))
    assert (choice.way, choice.execution_id) == ("safety", None)
    assert choice.text.startswith("orders, which was not there before, is removed. All else")
    choice = records.choice(
        records.save(part=Part(kind="objects", added=("orders",)), safety_execution_id=records.save_safety())
    )
    assert choice.backup_warnings == (), "nothing of that backup is needed"


def test_a_part_that_the_record_does_not_name_is_not_guessed(records: Records) -> None:
    """To bring back some of it would look like an undo and be none."""
    part = Part(kind="objects", replaced=("a",), complete=False)
    choice = records.choice(records.save(part=part, safety_execution_id=records.save_safety()))
    assert (choice.way, choice.text) == (None, "So many paths were changed that the record does not name them")
    gone = str(records.folder / "gone")
    choice = records.choice(records.save(part=part, part_kept_as=gone, safety_execution_id=SAFETY_ID))
    assert choice.text.startswith(f"{gone} is not there any more. So many paths")
    choice = records.choice(records.save(part=part, part_kept_as=records.keep()))
    assert choice.way == "kept", "what was kept holds all of it"


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (Part(kind="objects", replaced=("a",), removed=("b",), added=("c",)), "a, b, c come back as they are in"),
        (Part(kind="rows", replaced=("a",)), "The rows of a come back as they are in"),
        (Part(kind="objects"), "what was changed come back as they are in"),
    ],
)
def test_of_what_was_kept_of_a_part(records: Records, part: Part, told: str) -> None:
    choice = records.choice(records.save(part=part, part_kept_as=records.keep()))
    assert (choice.way, choice.part, choice.text.startswith(told)) == ("kept", part, True), choice


def test_rows_come_from_the_safety_backup_where_there_is_one(records: Records) -> None:
    """What is kept is all of the file: swapped in, it would take what others wrote to other tables since."""
    rows = Part(kind="rows", replaced=("orders",))
    restore = records.save(part=rows, part_kept_as=records.keep())
    assert records.choice(restore).way == "kept"
    restore = records.save(part=rows, part_kept_as=records.keep(), safety_execution_id=records.save_safety())
    choice = records.choice(restore)
    assert (choice.way, choice.kept_as) == ("safety", None)


ROWS_OF_OTHERS = Part(kind="rows", replaced=("others",))


@pytest.mark.parametrize(
    ("own", "later", "count"),
    [
        ({}, [], 0),
        ({}, [{}, {"partly_filled": True, "status": "interrupted", "in_place": False}], 2),
        ({}, [{"status": "failed", "in_place": False}, {"target": "elsewhere"}, {"datasource": "another"}], 0),
        ({}, [{"part": ORDERS}], 1),
        ({"part": ORDERS}, [{}], 1),
        ({"part": ORDERS}, [{"part": ROWS_OF_OTHERS}, {"part": Part(kind="rows", replaced=("orders", "others"))}], 1),
        ({"part": ORDERS}, [{"part": Part(kind="objects", replaced=("others",), complete=False)}], 1),
    ],
)
def test_restores_that_came_after_it_are_counted(
    records: Records, own: dict[str, Any], later: list[dict[str, Any]], count: int
) -> None:
    """What they brought is replaced too: those into the same target, which changed something that it changed."""
    records.save("r0")
    restore = records.save("r1", safety_execution_id=records.save_safety(), **own)
    kept = records.save("r1b", kept_as=records.keep(), **own) if not own else None
    for number, more in enumerate(later, start=2):
        records.save(f"r{number}", **more)
    assert records.choice(restore).later == count + (kept is not None)
    if kept is not None:
        assert records.choice(kept).later == count


@pytest.mark.parametrize(
    ("part", "alone"),
    [
        (Part(kind="objects", added=("a",)), True),
        (Part(kind="objects", added=("a",), replaced=("b",)), False),
        (Part(kind="objects", added=("a",), removed=("b",)), False),
        (Part(kind="rows", added=("a",)), False),
        (None, False),
    ],
)
def test_an_undo_that_puts_nothing_back_needs_no_backup(part: Part | None, *, alone: bool) -> None:
    """Any other one does, and is not mistaken for it."""
    at = datetime(2025, 2, 13, tzinfo=UTC)
    order = RestoreOrder(run_id="u", ordered_at=at, execution_id="", datasource="crm", database="shop", part=part)
    assert only_removes(order) == alone
