"""The commands as a user runs them: real runs on SQLite, data on stdout, the rest on stderr, exit codes.

Each command is `started` once at least; what else it does and says is the same in a copy.
"""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from dgtui.wording.words import size_text
from tests.support.homes import Home, Outcome
from tests.support.sqlite import make_nasty, sqlite_digest


@pytest.fixture
def shop(home: Home) -> Path:
    """A configured home whose datasource `shop` is a database with every hard feature."""
    database = home.folder / "shop.db"
    make_nasty(database)
    home.configure(_sqlite("shop", database), storages=("disk", "nas"))
    return database


def _sqlite(name: str, database: Path, more: str = "") -> str:
    return f'[datasources.{name}]\ntype = "sqlite"\npath = {json.dumps(str(database))}\n{more}\n'


def messages(outcome: Outcome) -> list[dict[str, object]]:
    return [json.loads(line) for line in outcome.output.splitlines()]


@contextlib.contextmanager
def broken_storage(home: Home, name: str) -> Iterator[None]:
    """A storage whose folder cannot be made: a file stands in its place."""
    home.storage(name).write_text("in the way")
    yield
    home.storage(name).unlink()


@pytest.mark.started
def test_run_job_backs_up_and_says_it_in_plain_lines(home: Home, shop: Path) -> None:
    outcome = home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 0, outcome
    assert outcome.output == ""
    assert "Backup nightly · shop: completed" in outcome.errors
    assert "at disk, nas" in outcome.errors
    assert "\x1b" not in outcome.errors
    assert home.litter() == []


@pytest.mark.started
@pytest.mark.parametrize(
    "arguments", [("--run-job", "nightly", "--json"), ("--json", "--run-job", "nightly"), ("run", "nightly", "--json")]
)
def test_the_messages_as_json(home: Home, shop: Path, arguments: tuple[str, ...]) -> None:
    outcome = home.dgtui(*arguments)
    assert outcome.exit_code == 0, outcome
    told = messages(outcome)
    assert {message["kind"] for message in told} >= {"status", "phase", "log", "storage"}
    assert [message["status"] for message in told if message["kind"] == "status"] == ["running", "completed"]
    assert home.engine().execution(str(told[0]["run_id"])).status == "completed"


def test_list_prints_what_scripts_need(home: Home, shop: Path) -> None:
    assert home.dgtui("list", "--json").json() == []
    first, second = home.back_up(), home.back_up()
    rows = home.dgtui("list", "--json").json()
    assert [row["execution_id"] for row in rows] == [second.execution_id, first.execution_id]
    row = rows[0]
    assert (row["job"], row["datasource"], row["datasource_type"]) == ("nightly", "shop", "sqlite")
    assert (row["status"], row["backup_type"]) == ("completed", "full")
    assert row["started_at"].endswith("Z")
    assert row["started_at"] < row["finished_at"]
    assert row["total_size_bytes"] > row["compressed_size_bytes"] > 0
    assert row["checksum"].startswith("sha256:")
    assert [(copy["storage"], copy["status"]) for copy in row["copies"]] == [
        ("disk", "available"),
        ("nas", "available"),
    ]
    assert all((Path(copy["path"]) / "manifest.json").exists() for copy in row["copies"])
    assert len(home.dgtui("list", "--json", "--limit", "1").json()) == 1
    for arguments in (("--job", "nigthly"), ("--datasource", "shp")):
        for form in ((), ("--json",)):
            unknown = home.dgtui("list", *arguments, *form)
            assert (unknown.exit_code, unknown.output) == (2, "")
            assert "did you mean" in unknown.errors
    assert home.dgtui("list", "--json", "--status", "failed").json() == []
    table = home.dgtui("list")
    assert len(table.output.splitlines()) == 3
    assert first.execution_id[:8] in table.output
    none = home.dgtui("list", "--job", "nightly", "--status", "failed")
    assert (none.exit_code, none.output) == (0, "")
    assert "No such backups" in none.errors
    wrong = home.dgtui("list", "--status", "broken")
    assert (wrong.exit_code, wrong.output) == (2, "")
    assert "completed" in wrong.errors


@pytest.mark.started
def test_a_list_names_no_day_that_is_past_as_the_end_of_a_backup(home: Home, shop: Path) -> None:
    made = home.back_up()
    for days, told in ((-1, False), (3, True)):
        ending = msgspec.structs.replace(made, expires_at=made.started_at + timedelta(days=days))
        home.engine().catalog.save_execution(ending)
        assert ("until" in home.dgtui("list").output) == told


def test_the_last_line_of_a_restore_tells_what_was_read_and_from_where(home: Home, shop: Path) -> None:
    """And not what its safety backup wrote, and where to."""
    execution = home.back_up()
    stored = next(copy for copy in execution.copies if copy.storage == "disk")
    shop.unlink()
    with contextlib.closing(sqlite3.connect(shop)) as connection:
        connection.execute("CREATE TABLE tiny (id)")
    restored = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert restored.exit_code == 0, restored
    size = size_text(Path(stored.path, "backup.db.zst").stat().st_size)
    sizes = re.escape(f"{size_text(execution.total_size_bytes or 0)}, {size}")
    assert re.search(rf"completed in [\d.:]+ ?s?, {sizes} from disk  \[", restored.errors.splitlines()[-1])


@pytest.mark.started
def test_backup_without_a_job(home: Home, shop: Path) -> None:
    outcome = home.dgtui(
        "backup", "shop", "--to", "disk", "--to", "nas", "--compression", "gzip:1", "--description", "before the move"
    )
    assert outcome.exit_code == 0, outcome
    [row] = home.dgtui("list", "--json", "--datasource", "shop").json()
    assert row["description"] == "before the move"
    assert all(list(Path(copy["path"]).glob("backup.db.gz")) for copy in row["copies"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("backup", "shop"), "there is: disk, nas"),
        (("backup", "shop", "--to", "dsk"), "disk"),
        (("backup", "nosuch", "--to", "disk"), "shop"),
        (("backup", "shop", "--to", "disk", "--compression", "rar"), "zstd"),
        (("backup", "shop", "--to", "disk", "--schema-only", "--data-only"), "exclude each other"),
        (("backup", "shop", "--to", "disk", "--data-only"), "Leave out --data-only"),
        (("list", "--datasource", "shpo"), "shop"),
        (("list", "--job", "nightl"), "nightly"),
        (("--run-job", "nightl"), "nightly"),
        (("--run-job",), "--run-job"),
        (("--run-job", "nightly", "list"), "stand alone"),
        (("--json",), "--help"),
        (("frobnicate",), "frobnicate"),
        (("show", "nightly@latest"), "dgtui list"),
        (("restore", "12345678", "--yes"), "dgtui list"),
        (("scan", "dsk"), "disk"),
        (("validate", ".", "--storage", "disk"), "--storage"),
    ],
)
def test_wrong_usage_ends_with_2_and_the_next_step(
    home: Home, shop: Path, arguments: tuple[str, ...], told: str
) -> None:
    outcome = home.dgtui(*arguments)
    assert outcome.exit_code == 2, outcome
    assert outcome.output == ""
    assert told in outcome.errors
    assert "Traceback" not in outcome.errors
    assert home.engine().executions() == []


def test_a_broken_configuration_names_file_and_line(home: Home) -> None:
    home.config_path.write_text("[storages.disk]\ntype = 'local'\npth = '/x'\n")
    outcome = home.dgtui("jobs")
    assert outcome.exit_code == 2
    assert f"{home.config_path}:3" in outcome.errors
    assert "hint:" in outcome.errors


def test_partial_ends_with_3_and_all_failed_with_1(home: Home, shop: Path) -> None:
    with broken_storage(home, "nas"):
        partial = home.dgtui("--run-job", "nightly")
        assert partial.exit_code == 3, partial
        assert "partial" in partial.errors
        assert "nas" in partial.errors
        with broken_storage(home, "disk2"):
            failed = home.dgtui("backup", "shop", "--to", "nas")
    assert failed.exit_code == 1, failed
    assert "hint:" in failed.errors


@pytest.mark.started
def test_show_tells_everything_and_the_way_by_hand(home: Home, shop: Path) -> None:
    backup = home.back_up()
    shown = home.dgtui("show", "nightly@latest")
    assert shown.exit_code == 0, shown
    for part in (backup.execution_id, "shop (sqlite)", "completed", str(home.storage("disk")), "sha256sum", "zstd"):
        assert part in shown.output
    data = home.dgtui("show", backup.execution_id[:8], "--json").json()
    assert data["execution_id"] == backup.execution_id
    assert "sha256sum" in data["restore_by_hand"]
    assert data["restores"] == []
    copy = Path(backup.copies[0].path)
    copy.rename(copy.with_name("away"))
    states = {
        copy["storage"]: copy["status"] for copy in home.dgtui("show", "nightly@latest", "--json").json()["copies"]
    }
    assert states == {"disk": "missing", "nas": "available"}


def test_restore_replaces_only_with_overwrite_and_confirmation(home: Home, shop: Path) -> None:
    digest = sqlite_digest(shop)
    home.back_up()
    with contextlib.closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("DROP TABLE log")
    broken = sqlite_digest(shop)
    unasked = home.dgtui("restore", "nightly@latest", "--overwrite")
    assert unasked.exit_code == 2, unasked
    assert "--yes" in unasked.errors
    refused = home.dgtui("restore", "nightly@latest", "--yes")
    assert refused.exit_code == 1, refused
    assert "holds 11 objects; nothing was changed" in refused.errors
    assert "--overwrite" in refused.errors
    other = home.folder / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE alone (a)")
    refused = home.dgtui("restore", "nightly@latest", "--into", str(other), "--yes")
    assert "holds 1 object; nothing was changed" in refused.errors
    assert sqlite_digest(shop) == broken
    done = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes", "--reason", "lost log", "--from", "nas")
    assert done.exit_code == 0, done
    assert f"Into     {shop}" in done.errors
    assert "will be replaced" in done.errors
    assert sqlite_digest(shop) == digest
    shown = home.dgtui("show", "nightly@latest").output
    assert "lost log" in shown
    assert "kept as" in shown


def test_restore_into_a_new_place_and_another_datasource(home: Home, shop: Path) -> None:
    other = home.folder / "other.db"
    home.configure(_sqlite("shop", shop) + _sqlite("other", other))
    digest = sqlite_digest(shop)
    home.back_up()
    new = home.folder / "new.db"
    into = home.dgtui("restore", "nightly@latest", "--into", str(new), "--yes", "--json")
    assert into.exit_code == 0, into
    assert messages(into)[-1]["status"] == "completed"
    to = home.dgtui("restore", "nightly@latest", "--to", "other", "--yes")
    assert to.exit_code == 0, to
    assert sqlite_digest(new) == sqlite_digest(other) == digest
    nowhere = home.dgtui("restore", "nightly@latest", "--into", str(home.folder / "x.db"), "--from", "tape", "--yes")
    assert nowhere.exit_code == 2, nowhere
    assert "disk" in nowhere.errors


@pytest.mark.started
@pytest.mark.parametrize(
    "arguments", [("validate", "nightly@latest"), ("delete", "nightly@latest", "--storage", "nas", "--yes")]
)
def test_these_load_what_they_need_too(home: Home, shop: Path, arguments: tuple[str, ...]) -> None:
    home.back_up()
    outcome = home.dgtui(*arguments)
    assert outcome.exit_code == 0, outcome


def test_damage_ends_with_5_and_touches_nothing(home: Home, shop: Path) -> None:
    backup = home.back_up()
    assert home.dgtui("validate", "nightly@latest").exit_code == 0
    folder = Path(backup.copies[0].path)
    assert home.dgtui("validate", str(folder)).exit_code == 0
    part = next(folder.glob("backup.db*"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    by_folder = home.dgtui("validate", str(folder))
    assert by_folder.exit_code == 5, by_folder
    by_name = home.dgtui("validate", "nightly@latest", "--storage", "disk", "--json")
    assert by_name.exit_code == 5, by_name
    assert messages(by_name)[-1]["status"] == "failed"
    assert home.dgtui("validate", "nightly@latest", "--storage", "nas").exit_code == 0
    digest = sqlite_digest(shop)
    restored = home.dgtui("restore", "nightly@latest", "--from", "disk", "--overwrite", "--yes")
    assert restored.exit_code == 5, restored
    assert sqlite_digest(shop) == digest
    shown = {
        copy["storage"]: copy["status"] for copy in home.dgtui("show", "nightly@latest", "--json").json()["copies"]
    }
    assert shown == {"disk": "corrupt", "nas": "available"}


def test_delete_asks_and_keeps_the_last_good_one(home: Home, shop: Path) -> None:
    first, second = home.back_up(), home.back_up()
    assert home.dgtui("delete", first.execution_id).exit_code == 2
    assert Path(first.copies[0].path).exists()
    deleted = home.dgtui("delete", first.execution_id, "--yes", "--json")
    assert deleted.exit_code == 0, deleted
    assert deleted.json()["freed_bytes"] > 0
    assert not Path(first.copies[0].path).exists()
    last = home.dgtui("delete", second.execution_id, "--yes")
    assert last.exit_code == 2, last
    assert "--force" in last.errors
    assert Path(second.copies[0].path).exists()
    assert home.dgtui("delete", second.execution_id, "--storage", "nas", "--yes").exit_code == 0
    assert [copy["storage"] for copy in home.dgtui("list", "--json").json()[0]["copies"]] == ["disk"]


@pytest.mark.started
def test_the_list_is_rebuilt_on_a_machine_that_never_saw_it(home: Home, shop: Path) -> None:
    backup = home.back_up()
    before = home.dgtui("list", "--json").json()
    home.close()
    home.state.rename(home.folder / "lost state")
    listed = home.dgtui("list", "--json")
    assert "There was no catalogue. Rebuilt from the storages, backups: 1 at disk, 1 at nas" in listed.errors
    [row] = listed.json()
    scanned = home.dgtui("scan", "disk", "--json")
    assert scanned.exit_code == 0, scanned
    assert (scanned.json()["known"], scanned.json()["added"]) == (1, 0)
    assert home.dgtui("scan", "nas").exit_code == 0
    assert row["execution_id"] == backup.execution_id
    for field in ("job", "datasource", "datasource_type", "backup_type", "total_size_bytes", "checksum", "started_at"):
        assert row[field] == before[0][field]
    assert {copy["storage"] for copy in row["copies"]} == {"disk", "nas"}


@pytest.mark.started
def test_check_says_what_mends(home: Home, shop: Path) -> None:
    good = home.dgtui("check", "--json")
    assert good.exit_code == 0, good
    assert {finding["area"] for finding in good.json()} >= {"configuration", "datasource", "storage"}
    shop.unlink()
    bad = home.dgtui("check")
    assert bad.exit_code == 1, bad
    assert "x error" in bad.output or "✖ error" in bad.output
    assert "to mend" in bad.errors


def test_a_configuration_that_is_not_there(home: Home) -> None:
    outcome = home.dgtui("check")
    assert outcome.exit_code == 2, outcome
    assert "hint:" in outcome.errors


def test_names_that_try_to_steer_the_terminal_are_shown_literally(home: Home) -> None:
    database = home.folder / "a\x1b[2J[bold]x.db"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute('CREATE TABLE "evil\x1b[31m" (a)')
    home.configure(
        _sqlite("shop", database), job=f"description = {json.dumps('esc ' + chr(27) + '[31m ' + chr(0x202E))}"
    )
    for arguments in (("--run-job", "nightly"), ("list",), ("show", "nightly@latest"), ("check",)):
        outcome = home.dgtui(*arguments)
        assert outcome.exit_code == 0, outcome
        assert "\x1b" not in outcome.output + outcome.errors
        assert "\u202e" not in outcome.output + outcome.errors


def test_a_folder_that_can_be_no_backup_is_refused_with_what_one_looks_like(home: Home, shop: Path) -> None:
    outcome = home.dgtui("validate", "/tmp")
    assert outcome.exit_code == 1, outcome
    assert "STORAGE/JOB-ID" in outcome.errors


@pytest.mark.started
def test_demo_makes_breaks_and_restores(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # As after scripts/demo: the program is on no PATH.
    monkeypatch.setenv("PATH", os.defpath)
    folder = home.folder / "a demo"
    outcome = home.dgtui("demo", "--folder", str(folder))
    assert outcome.exit_code == 0, outcome
    assert "equal to before" in outcome.output
    assert str(folder) in outcome.output
    # The backup, and the safety backup of the broken state, at both disks.
    assert len(list(folder.glob("*disk/*/*/manifest.json"))) == 4
    tried = outcome.output.partition("Try it yourself:")[2].partition("The folder stays")[0]
    done = subprocess.run(["sh", "-e", "-c", tried], capture_output=True, text=True, check=False)
    assert (done.returncode, "shop-nightly" in done.stdout) == (0, True), done.stderr
    again = home.dgtui("demo", "--folder", str(folder))
    assert again.exit_code == 2, again
    assert "not an empty folder" in again.errors
