"""Restores in place, their undo, and what they leave, by keyboard alone, over real sources."""

import contextlib
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from textual.containers import Horizontal
from textual.widgets import Button, Input

from dgtui.engine.restore_model import Placing, Restore
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.restore import RestoreScreen
from dgtui.screens.restore_form import RestoreForm
from dgtui.screens.restored import RestoredScreen
from dgtui.screens.undo import UndoScreen
from dgtui.screens.widgets.choice import Choice, Tick
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.ticks import Ticks
from dgtui.wording.words import one_line
from tests.support.changing import changing
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import postgres_table
from tests.tui.conftest import add_rows, orders, sqlite_table
from tests.tui.driver import Driver, screens


async def choose(driver: Driver, selector: str, key: str) -> None:
    """Go to a choice and step to one of its options."""
    choice = driver.widget(selector, Choice)
    choice.focus()
    for _ in choice.options:
        if choice.key == key:
            break
        await driver.press("right")
    assert choice.key == key, [(option.key, option.why_not) for option in choice.options]


async def confirm(driver: Driver, word: str) -> None:
    """Type the word, which opens the button, and go on."""
    assert driver.widget("#go", Button).disabled
    await driver.fill("#confirm", word[:-1])
    await driver.press("enter")
    assert driver.toasts[-1] == f"To confirm, type: {word}"
    await driver.type(word[-1])
    assert not driver.widget("#go", Button).disabled, driver.text("#preview")
    await driver.press("enter")


async def restore_here(driver: Driver, word: str = "shop") -> Restore:
    """Restore the newest backup in its place; the record."""
    await driver.press("r")
    assert isinstance(driver.screen, RestoreScreen)
    await confirm(driver, word)
    panel = await driver.watch_to_end()
    assert panel.snapshot.status == "completed", panel.snapshot.problem
    await driver.press("escape")
    return driver.app.engine.restore(panel.run_id)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_restore_in_place_is_undone_with_u(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    with changing(kind, home, request) as source:
        async with screens(home) as driver:
            await driver.press("r")
            text = driver.text("#preview")
            for said in ("Target", "everything in it will be replaced", "How", "Lost", "Goes", "since_1", "Rows"):
                assert said in text
            assert driver.widget("#safety", Tick).value
            await driver.press("f3")
            assert driver.focused == "objects"
            assert "goes" in driver.rows("#objects")[0]
            assert "since_1" in driver.rows("#objects")[0]
            await driver.press("escape", "escape")
            restore = await restore_here(driver)
            assert source.digest() == source.backed_up
            assert restore.safety_execution_id is not None

            await driver.press("2")
            assert "safety" in driver.rows("#executions")[0], "the safety backup is marked"
            await driver.press("6", "down")
            assert driver.app.current_mode == "history"
            assert ["safety" in row for row in driver.rows("#history")] == [True, False, False]
            assert "restore" in driver.rows("#history")[1]
            details = driver.text("#details")
            assert f"kept as {restore.kept_as} until" in details
            assert f"safety backup {restore.safety_execution_id[:8]}" in details
            assert "undo it at once: u" in details

            await driver.press("u")
            assert isinstance(driver.screen, UndoScreen)
            assert driver.focused == "reason"
            assert restore.kept_as is not None
            assert restore.kept_as in driver.text("#how")
            assert not driver.widget("#safety", Tick).value, "what is swapped out is kept in its turn"
            await driver.type("all was well before")
            await confirm(driver, "shop")
            panel = await driver.watch_to_end()
            assert panel.snapshot.status == "completed", panel.snapshot.problem
            assert source.digest() == source.before
            await driver.press("escape")
            undone = driver.app.engine.restore(panel.run_id)
            assert (undone.undo_of, undone.reason) == (restore.restore_id, "all was well before")
            assert "undo" in driver.rows("#history")[0]
            assert driver.focused == "history"

            driver.widget("#history", Listing).move_to(restore.restore_id)
            await driver.settle()
            assert f"undone by {undone.restore_id[:8]}" in driver.text("#details")
            assert "undo it" not in driver.text("#details")
            await driver.press("enter")
            assert f"undone by {undone.restore_id[:8]}" in driver.text("#text")
            assert "undo it" not in driver.text("#text")


async def test_what_is_kept_is_dropped_and_undo_takes_the_safety_backup(
    home: Home, request: pytest.FixtureRequest
) -> None:
    with changing("sqlite", home, request) as source:
        async with screens(home) as driver:
            restore = await restore_here(driver)
            await driver.press("6", "down", "x")
            assert isinstance(driver.screen, ConfirmScreen)
            assert driver.widget("#yes", Button).disabled
            await driver.fill("#word", restore.restore_id[:8])
            await driver.press("enter")
            assert source.beside() == set()
            assert driver.app.engine.restore(restore.restore_id).dropped_at is not None
            assert driver.screen.check_action("drop", ()) is None, "there is nothing to drop any more"

            await driver.press("u")
            assert "safety backup" in driver.text("#how")
            assert driver.widget("#safety", Tick).value, "what is filled anew is saved first"
            await choose(driver, "#safety-to", "nas")
            await confirm(driver, "shop")
            panel = await driver.watch_to_end()
            assert panel.snapshot.status == "completed", panel.snapshot.problem
            assert source.digest() == source.before
            undone = driver.app.engine.restore(panel.run_id)
            assert undone.safety_execution_id is not None
            again = driver.app.engine.execution(undone.safety_execution_id)
            assert [copy.storage for copy in again.copies] == ["nas"]


async def test_an_undo_tells_what_its_safety_backup_warned_of(home: Home, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{tree}"\n')
    home.back_up()
    (tree / "written since").touch()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tree / "door"))
    async with screens(home) as driver:
        restore = await restore_here(driver)
        engine = driver.app.engine
        assert restore.safety_execution_id is not None
        [warning] = engine.execution(restore.safety_execution_id).warnings
        await driver.press("6", "down", "u")
        assert "ended with" not in driver.text("#how"), "what was kept goes back, whole"
        await driver.press("escape")
        engine.drop_replaced(restore)
        await driver.press("u")
        assert f"the safety backup ended with: {warning}" in one_line(driver.text("#how"))
    told = home.dgtui("undo", restore.restore_id[:8], "--dry-run")
    assert f"Warning  the safety backup ended with: {warning}" in told.output.splitlines(), told


async def test_what_somebody_else_dropped_meanwhile_is_not_offered_any_more(home: Home, shop: Path) -> None:
    home.back_up()
    add_rows(shop, 3)
    async with screens(home) as driver:
        restore = await restore_here(driver)
        await driver.press("6", "down", "x")
        driver.app.engine.drop_replaced(restore)
        await driver.fill("#word", f"{restore.restore_id[:8]} ")  # as a terminal pastes it
        await driver.press("enter")
        assert "keeps nothing" in driver.toasts[-1]
        assert driver.screen.check_action("drop", ()) is None
        assert "it was dropped" in driver.text("#details")


async def test_an_undo_by_what_was_kept_is_told_in_words_that_fit(home: Home, shop: Path) -> None:
    home.back_up()
    add_rows(shop, 3)
    async with screens(home) as driver:
        restore = await restore_here(driver)
        await driver.press("6", "down", "u")
        await confirm(driver, "shop")
        run_id = (await driver.watch_to_end()).run_id
        known = driver.app.known_run(run_id)
        assert known is not None
        assert known.info.title == f"undoing {restore.restore_id[:8]} into {restore.target}"
        await driver.press("escape", "home", "enter")
        assert isinstance(driver.screen, RestoredScreen)
        text = driver.text("#text")
        assert "what was kept was swapped in again" in text
        assert "Backup " not in text, "none was read"


async def test_a_restore_that_cannot_be_undone_says_why(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "r")
        await choose(driver, "#target", "new")
        driver.widget("#go", Button).focus()
        await driver.press("enter")
        assert (await driver.watch_to_end()).snapshot.status == "completed"
        await driver.press("escape", "6", "u")
        assert isinstance(driver.screen, UndoScreen)
        assert "held nothing before" in driver.text("#how")
        assert driver.widget("#go", Button).disabled
        assert not driver.screen.query_one("#confirm-row").display
        assert not driver.screen.query_one("#reason-row").display, "there is nothing to give a reason for"
        assert driver.focused == "no"
        await driver.press("escape", "end")
        assert driver.screen.check_action("undo", ()) is None, "a backup is not undone"


async def test_enter_shows_a_restore_whole_and_its_next_steps(home: Home, shop: Path) -> None:
    home.back_up()
    add_rows(shop, 3)
    async with screens(home) as driver:
        await driver.press("2", "r")
        driver.widget("#deep", Tick).focus()
        await driver.press("space")
        await driver.fill("#reason", "wrong prices")
        await driver.fill("#confirm", "shop")
        await driver.press("enter")
        panel = await driver.watch_to_end()
        assert panel.snapshot.status == "completed", panel.snapshot.problem
        restore = driver.app.engine.restore(panel.run_id)
        assert restore.report is not None
        assert restore.report.deep
        await driver.press("escape", "6", "down", "enter")
        assert isinstance(driver.screen, RestoredScreen)
        text = driver.text("#text")
        for said in (
            restore.restore_id,
            "wrong prices",
            "swapped in",
            "equal",
            "orders",
            "Next     undo it at once: u",
        ):
            assert said in text
        await driver.press("l")
        assert driver.focused == "search"
        await driver.press("escape", "enter", "u")
        assert restore.target in driver.text("#how")


async def test_what_an_interrupted_restore_left_is_named_and_cleaned_up(home: Home, shop: Path) -> None:
    execution = home.back_up()
    left = shop.with_name("shop.db__dgtui_new")
    left.write_bytes(b"half of it")
    async with screens(home) as driver:
        record = Restore(
            restore_id="12345678-0000-4000-8000-000000000000",
            execution_id=execution.execution_id,
            datasource="shop",
            target=str(shop),
            status="interrupted",
            started_at=execution.started_at,
            placing=Placing(beside=str(left)),
        )
        driver.app.engine.catalog.save_restore(record)
        driver.app.data_changed()
        await driver.press("6")
        row = next(row for row in driver.screen.query_one("#history").rows if row.key == record.restore_id)  # type: ignore[attr-defined]
        driver.screen.query_one("#history").move_to(row.key)  # type: ignore[attr-defined]
        await driver.settle()
        assert str(left) in driver.text("#details")
        assert "remove what it left: c" in driver.text("#details")
        await driver.press("c")
        assert isinstance(driver.screen, ConfirmScreen)
        await driver.press("y")
        assert not left.exists()
        assert any("was removed" in toast for toast in driver.toasts), driver.toasts
        assert driver.app.engine.restore(record.restore_id).placing is None
        assert driver.screen.check_action("clean_up", ()) is False


async def test_what_is_only_partly_filled_is_filled_to_its_end(home: Home, shop: Path) -> None:
    before = orders(shop)
    execution = home.back_up()
    with contextlib.closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("DELETE FROM orders WHERE id % 2 = 0")
    async with screens(home) as driver:
        record = Restore(
            restore_id="12345678-0000-4000-8000-000000000000",
            execution_id=execution.execution_id,
            datasource="shop",
            target=str(shop),
            status="interrupted",
            started_at=execution.started_at,
            partly_filled=True,
            placing=Placing(beside=str(shop.with_name("shop.db__dgtui_new"))),
        )
        driver.app.engine.catalog.save_restore(record)
        driver.app.data_changed()
        await driver.press("6")
        driver.screen.query_one("#history").move_to(record.restore_id)  # type: ignore[attr-defined]
        await driver.settle()
        for way in ("only partly filled: u", "to its end: c"):
            assert way in driver.text("#details")
        await driver.press("c")
        assert isinstance(driver.screen, ConfirmScreen)
        await driver.fill("#word", "shop")
        await driver.press("enter")
        panel = await driver.watch_to_end()
        assert panel.snapshot.status == "completed", panel.snapshot.problem
        assert orders(shop) == before
        assert "12345678" in driver.app.engine.restore(panel.run_id).reason


async def test_only_rows_are_loaded_into_the_tables_that_are_there(home: Home, shop: Path) -> None:
    before = orders(shop)
    home.back_up()
    with contextlib.closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("DELETE FROM orders WHERE id % 2 = 0")
        connection.execute("CREATE TABLE since (a)")
    async with screens(home) as driver:
        await driver.press("2", "r")
        await choose(driver, "#what", "data_only")
        assert "rows are loaded into the tables of a copy" in driver.text("#preview")
        assert "rows that are there now in orders" in driver.text("#preview")
        assert driver.widget("#deep", Tick).why_not
        await confirm(driver, "shop")
        panel = await driver.watch_to_end()
        assert panel.snapshot.status == "completed", panel.snapshot.problem
        assert driver.app.engine.restore(panel.run_id).backup_type == "data_only"
    assert orders(shop) == before
    with contextlib.closing(sqlite3.connect(shop)) as connection:
        assert connection.execute("SELECT count(*) FROM since").fetchone() == (0,), "other tables stay"


async def test_chosen_tables_are_exchanged_in_place_and_the_others_stay(home: Home, shop: Path) -> None:
    before = orders(shop)
    home.back_up()
    add_rows(shop, 7)
    with contextlib.closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("INSERT INTO notes VALUES ('written since')")
    async with screens(home) as driver:
        await driver.press("2", "r")
        await choose(driver, "#what", "tables")
        assert "Tick at least one" in driver.text("#wrong")
        driver.widget("#tables", Ticks).focus()
        await driver.press("end", "space")
        assert driver.widget("#tables", Ticks).ticked == ("orders",)
        assert "only what is chosen" in driver.text("#preview")
        await confirm(driver, "shop")
        panel = await driver.watch_to_end()
        assert panel.snapshot.status == "completed", panel.snapshot.problem
    assert orders(shop) == before
    with contextlib.closing(sqlite3.connect(shop)) as connection:
        assert connection.execute("SELECT * FROM notes").fetchall() == [("written since",)]


async def test_a_chosen_table_is_put_beside_the_live_one(home: Home, shop: Path) -> None:
    """Under the name that is typed; nothing is replaced, so nothing is confirmed; a name that is there is told."""
    home.back_up()
    before = orders(shop)
    add_rows(shop, 7)
    now = orders(shop)
    async with screens(home) as driver:
        await driver.press("2", "r")
        await choose(driver, "#what", "tables")
        assert not driver.widget("#as-row", Horizontal).display
        driver.widget("#tables", Ticks).focus()
        await driver.press("end", "space")
        assert driver.widget("#as-row", Horizontal).display
        await driver.fill("#as", "notes")
        assert "has notes already" in driver.text("#preview")
        assert driver.widget("#go", Button).disabled
        driver.widget("#as", Input).value = ""
        await driver.fill("#as", "orders_was")
        assert "orders_was comes without foreign keys" in driver.text("#preview")
        assert "other writers wait" in driver.text("#preview")
        assert not driver.screen.query_one("#safety-rows").display, "nothing is replaced that had to be saved"
        driver.widget("#go", Button).press()
        panel = await driver.watch_to_end()
        assert panel.snapshot.status == "completed", panel.snapshot.problem
    assert orders(shop) == now
    with contextlib.closing(sqlite3.connect(shop)) as connection:
        assert connection.execute("SELECT * FROM orders_was").fetchall() == before


async def test_files_are_merged_into_a_tree(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("files", home, request):
        root = home.folder / "data" / "tree"
        async with screens(home) as driver:
            await driver.press("2", "r")
            assert "data_only" not in {option.key for option in driver.widget("#what", Choice).options}
            driver.widget("#merge", Tick).focus()
            await driver.press("space")
            assert "everything else stays" in driver.text("#preview")
            await confirm(driver, "shop")
            panel = await driver.watch_to_end()
            assert panel.snapshot.status == "completed", panel.snapshot.problem
            assert driver.app.engine.restore(panel.run_id).merged
        assert (root / "since-1").read_text() == "new", "what was made since stays"
        assert (root / "sub" / "file-1").read_text() == "content 1"


async def test_paths_inside_a_tree_are_restored(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("files", home, request):
        root = home.folder / "data" / "tree"
        (root / "sub" / "file-2").write_text("changed since")
        async with screens(home) as driver:
            await driver.press("2", "r")
            await choose(driver, "#what", "tables")
            await driver.fill("#paths", "sub/file-1")
            await confirm(driver, "shop")
            panel = await driver.watch_to_end()
            assert panel.snapshot.status == "completed", panel.snapshot.problem
        assert (root / "sub" / "file-1").read_text() == "content 1"
        assert (root / "sub" / "file-2").read_text() == "changed since"


async def test_without_the_safety_backup_it_is_said_what_that_means(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "r")
        driver.widget("#safety", Tick).focus()
        await driver.press("space")
        assert "no way back" in driver.text("#preview")
        assert not driver.screen.query_one("#safety-to-row").display
        await driver.fill("#confirm", "shop")
        await driver.press("enter")
        panel = await driver.watch_to_end()
        assert driver.app.engine.restore(panel.run_id).safety_execution_id is None


async def test_missing_roles_are_named_and_have_to_be_accepted(home: Home, postgres_server: PostgresServer) -> None:
    with postgres_server.database() as name:
        postgres_server.execute("CREATE ROLE soon_gone", name)
        postgres_server.execute("CREATE TABLE word (id int)", name)
        postgres_server.execute("ALTER TABLE word OWNER TO soon_gone", name)
        home.configure(postgres_table(postgres_server, name), storages=("disk", "nas"))
        home.back_up()
        postgres_server.execute("ALTER TABLE word OWNER TO postgres", name)
        postgres_server.execute("DROP ROLE soon_gone", name)
        try:
            async with screens(home) as driver:
                await driver.press("r")
                assert "soon_gone" in driver.text("#preview")
                assert "Roles are missing" in driver.text("#wrong")
                await driver.fill("#confirm", "shop")
                assert driver.widget("#go", Button).disabled
                driver.widget("#roles", Tick).focus()
                await driver.press("space")
                assert not driver.widget("#go", Button).disabled
                driver.widget("#go", Button).focus()
                await driver.press("enter")
                panel = await driver.watch_to_end()
                assert panel.snapshot.status == "completed", panel.snapshot.problem
            owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'word'"
            assert postgres_server.execute(owner, name) == [("postgres",)]
        finally:
            for other in postgres_server.databases():
                if other.startswith(f"{name}__dgtui"):
                    postgres_server.drop_database(other)


async def test_an_answer_for_another_choice_is_dropped(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "r")
        screen = driver.screen
        assert isinstance(screen, RestoreScreen)
        assert screen._preview is not None
        late = msgspec.structs.replace(screen._preview, target="the target of before")
        former = screen.form.question
        await choose(driver, "#target", "new")
        screen._take_preview(former, late)
        await driver.settle()
        assert "the target of before" not in driver.text("#preview")
        assert "will be made" in driver.text("#preview")


async def test_the_buttons_are_seen_on_a_small_terminal_whatever_is_chosen(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("2", "r")
        await choose(driver, "#what", "tables")
        for name in ("go", "no"):
            region = driver.widget(f"#{name}", Button).region
            assert region.height == 1
            assert region.bottom <= 23
        before = driver.screen.query_one("#box").scroll_offset.y
        await driver.press("pagedown")
        assert driver.screen.query_one("#box").scroll_offset.y > before
        driver.widget("#confirm", Input).focus()
        await driver.press("escape")
        assert driver.focused == "executions"


@contextlib.contextmanager
def held_open(path: Path) -> Iterator[None]:
    """Another process has the file open."""
    with path.open("rb") as file:
        holder = subprocess.Popen(["sleep", "600"], stdin=file)
    try:
        yield
    finally:
        holder.kill()
        holder.wait()


async def test_what_would_be_refused_cannot_be_begun(home: Home, request: pytest.FixtureRequest) -> None:
    """Somebody has the database open: that is said before, and only what works under them is possible."""
    with changing("sqlite", home, request):
        async with screens(home) as driver:
            with held_open(home.folder / "data" / "shop.db"):
                await driver.press("r")
                assert "is open elsewhere" in driver.text("#preview")
                await driver.fill("#confirm", "shop")
                assert driver.widget("#go", Button).disabled
                await choose(driver, "#what", "tables")
                driver.widget("#tables", Ticks).focus()
                await driver.press("end", "space")
                assert "is open elsewhere" not in driver.text("#preview")
                assert not driver.widget("#go", Button).disabled
                await choose(driver, "#what", "full")
                assert driver.widget("#go", Button).disabled
            await driver.press("f5")
            assert "is open elsewhere" not in driver.text("#preview")
            assert not driver.widget("#go", Button).disabled


async def test_what_is_said_of_chosen_tables_knows_whether_the_current_state_is_saved(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "r")
        await choose(driver, "#what", "tables")
        assert driver.widget("#tables", Ticks).size.height == 3, "as many rows as there are tables, and their header"
        driver.widget("#tables", Ticks).focus()
        await driver.press("space")
        assert "then, after a safety backup, only what was chosen" in driver.text("#preview")
        assert "the former tables are kept beside" in driver.text("#preview")
        driver.widget("#safety", Tick).focus()
        await driver.press("space")
        assert "compared, then only what was chosen is exchanged" in driver.text("#preview")


async def test_no_safety_backup_is_offered_to_a_storage_out_of_reach(home: Home, shop: Path) -> None:
    home.back_up()
    shutil.rmtree(home.storage("nas"))
    async with screens(home) as driver:
        await driver.press("2", "r")
        options = {option.key: option.why_not for option in driver.widget("#safety-to", Choice).options}
        assert options == {"": "", "disk": "", "nas": "unreachable"}
        driver.widget("#safety", Tick).focus()
        await driver.press("space")
        driver.screen.query_one(RestoreForm).take_copies({})
        assert not driver.widget("#safety", Tick).value, "what storages answer later changes nothing of what was chosen"


async def test_the_log_of_a_safety_backup_is_that_of_its_restore(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        restore = await restore_here(driver)
        await driver.press("6")
        safety = next(number for number, row in enumerate(driver.rows("#history")) if "safety" in row)
        await driver.press(*["down"] * safety, "l")
        await driver.until(lambda: len(driver.rows("#log")) > 1, "the log")
        assert any("Restoring from disk" in row for row in driver.rows("#log"))
        assert restore.safety_execution_id is not None


async def test_what_to_do_about_a_restore_that_failed_is_said_in_the_words_of_its_dialog(
    home: Home, shop: Path
) -> None:
    execution, taken = home.back_up(), home.folder / "taken.db"
    shutil.copy(shop, taken)
    advice = "→ Restore into a new place (Into), or replace it once that is confirmed"
    async with screens(home) as driver:
        driver.app.start(lambda engine: engine.start_restore(execution, database=str(taken)), "restore")
        panel = await driver.watch_to_end()
        assert panel.snapshot.problem is not None
        assert "--overwrite" in panel.snapshot.problem.hint, "the commands name their options"
        assert advice in driver.text("#outcome")
        await driver.press("l")
        await driver.until(lambda: any(advice in row for row in driver.rows("#log")), "the end of the log")
        await driver.press("escape", "escape", "6")
        assert advice in driver.text("#details")
        await driver.press("enter")
        assert isinstance(driver.screen, RestoredScreen)
        assert advice.removeprefix("→ ") in driver.text("#text")


async def test_copies_stand_in_the_order_in_which_they_are_tried(home: Home, shop: Path) -> None:
    """That of the configuration, as in the table of the backups."""
    home.configure(sqlite_table("shop", shop), storages=("nas", "disk"))
    home.back_up()
    async with screens(home) as driver:
        await driver.press("r")
        assert [option.key for option in driver.widget("#storage", Choice).options] == ["", "nas", "disk"]
        await driver.press("escape", "2", "v")
        assert [row.split()[0] for row in driver.rows("#copies")] == ["all", "nas", "disk"]
        await driver.press("escape", "6")
        assert driver.rows("#history")[0].endswith("nas, disk")
    told = home.dgtui("restore", "nightly@latest", "--dry-run").output
    assert "the first good copy of nas, disk" in told
    [listed] = [line for line in home.dgtui("list").output.splitlines() if "nightly" in line]
    assert listed.index("nas") < listed.index("disk")
    shown = home.dgtui("show", "nightly@latest").output
    assert shown.index("nas: available") < shown.index("disk: available")
