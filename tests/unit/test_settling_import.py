"""An import in place whose worker died once all was loaded: only what is surely whole is called complete."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dgtui.config import load_config
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.sqlite import SqliteDatasource
from dgtui.engine.errors import DataGuardianError, RestoreError, StorageError, ValidationError
from dgtui.engine.manifest import decode_manifest, encode_manifest
from dgtui.engine.model import Copy, Execution, ObjectInfo, Problem
from dgtui.engine.restore_model import Placing, Restore
from dgtui.engine.settling_import import is_filled, newest_into_each_target, settle_import
from tests.support.backup_folders import EXECUTION_ID, FOLDER, JOB_ID, make_backup, mark_storage

AT = datetime(2025, 2, 13, 7, tzinfo=UTC)
DIED = Problem(kind="Interrupted", message="The worker ended without notice", subject="shop", hint="Look")
EXPECTED = (
    ObjectInfo(name="orders", rows=3, rows_exact=True),
    ObjectInfo(name="customers", rows=1, rows_exact=True),
)


class Imported:
    """A target that was filled to its end, what lies beside it, and two storages that hold the backup."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.target, self.beside, self.like = (str(folder / f"shop.db{end}") for end in ("", "__new", "__like"))
        for name in (self.target, self.beside):
            fill(name, orders=3)
        fill(self.like)
        self.configure("disk", "nas")
        self.catalog = Catalog(folder)
        for name in ("disk", "nas"):
            backup = self.folder_at(name)
            made = make_backup(backup, b"content", datasource_type="sqlite")
            backup.joinpath("manifest.json").write_bytes(
                encode_manifest(msgspec.structs.replace(made, objects=EXPECTED))
            )
            mark_storage(folder / name)
        self.save_backup()

    def configure(self, *storages: str) -> None:
        """Write the configuration, with these storages."""
        config = self.folder / "config.toml"
        tables = "".join(f'[storages.{name}]\ntype = "local"\npath = "{self.folder / name}"\n' for name in storages)
        config.write_text(f'[datasources.crm]\ntype = "sqlite"\npath = "{self.target}"\n{tables}')
        config.chmod(0o600)
        self.config = load_config(config)

    def folder_at(self, storage: str) -> Path:
        return self.folder / storage / JOB_ID / FOLDER

    def save_backup(self) -> None:
        """Let the catalogue know where the backup lies."""
        copies = [Copy(storage=name, path=str(self.folder_at(name)), status="available") for name in ("disk", "nas")]
        execution = Execution(
            execution_id=EXECUTION_ID,
            job_id=JOB_ID,
            job="nightly",
            datasource="crm",
            datasource_type="sqlite",
            status="completed",
            backup_type="full",
            started_at=AT,
            folder=FOLDER,
            copies=tuple(copies),
        )
        self.catalog.save_execution(execution)

    def restore(self, **more: Any) -> Restore:
        """The record as its worker left it, unless it is said otherwise."""
        known: dict[str, Any] = {
            "status": "interrupted",
            "partly_filled": True,
            "placing": Placing(beside=self.beside, like=self.like, filled=True),
            "storage": "nas",
            "problem": DIED,
        }
        restore = Restore(
            restore_id="r1",
            execution_id=EXECUTION_ID,
            datasource="crm",
            target=self.target,
            started_at=AT,
            **{**known, **more},
        )
        self.catalog.save_restore(restore)
        return restore

    def settle(self, restore: Restore) -> Restore:
        """The record as it is settled, which is the one that the catalogue has."""
        settled = settle_import(self.catalog, self.config, self.config.datasource("crm"), restore)
        assert self.catalog.restore("r1") == settled
        return settled

    def left(self) -> list[bool]:
        """Whether the two databases of ours are still there."""
        return [Path(name).exists() for name in (self.beside, self.like)]


def fill(path: str, **rows: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for table in ("orders", "customers"):
            connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY)")
            connection.executemany(f"INSERT INTO {table} VALUES (?)", [(n,) for n in range(rows.get(table, 1))])
        connection.commit()


@pytest.fixture
def imported(tmp_path: Path) -> Iterator[Imported]:
    made = Imported(tmp_path)
    yield made
    made.catalog.close()


def test_where_all_of_it_is_there_it_is_complete(imported: Imported) -> None:
    """Nothing of its failure stays in the record, and nothing beside the target."""
    settled = imported.settle(imported.restore())
    assert (settled.status, settled.in_place, settled.partly_filled) == ("completed", True, False)
    assert (settled.problem, settled.placing, settled.differences) == (None, None, ())
    assert settled.finished_at is not None
    assert settled.report is not None
    assert {entry.name: entry.outcome for entry in settled.report.objects} == {
        "orders": "restored",
        "customers": "restored",
    }
    assert imported.left() == [False, False]


def test_the_moment_of_its_end_is_kept(imported: Imported) -> None:
    assert imported.settle(imported.restore(finished_at=AT)).finished_at == AT


@pytest.mark.parametrize("spoil", ["DELETE FROM orders WHERE id = 1", "DROP TABLE customers"])
def test_what_is_not_whole_is_left_to_the_way_back(imported: Imported, spoil: str) -> None:
    """It is partly filled as before, is known not to be filled, and what the way back needs stays."""
    with closing(sqlite3.connect(imported.target)) as connection:
        connection.execute(spoil)
        connection.commit()
    restore = imported.restore()
    settled = imported.settle(restore)
    assert settled == msgspec.structs.replace(
        restore, placing=Placing(beside=imported.beside, like=imported.like, filled=False)
    )
    assert imported.left() == [True, True]


def test_only_what_was_chosen_has_to_be_there(imported: Imported) -> None:
    with closing(sqlite3.connect(imported.target)) as connection:
        connection.execute("DROP TABLE customers")
        connection.execute("DELETE FROM orders")
        connection.commit()
    assert imported.settle(imported.restore(tables=("orders",), backup_type="schema_only")).status == "completed"


def test_rows_that_were_not_backed_up_are_not_missed(imported: Imported) -> None:
    """The backup holds the structure alone, whatever was asked for at its restore."""
    path = imported.folder_at("nas") / "manifest.json"
    bare = msgspec.structs.replace(decode_manifest(path.read_bytes()), backup_type="schema_only")
    path.write_bytes(encode_manifest(bare))
    with closing(sqlite3.connect(imported.target)) as connection:
        connection.execute("DELETE FROM orders")
        connection.commit()
    assert imported.settle(imported.restore()).status == "completed"


@pytest.mark.parametrize("storage", ["nas", "disk"])
def test_the_list_of_another_storage_serves_where_one_is_gone(imported: Imported, storage: str) -> None:
    """Whether it was restored from that one or not."""
    imported.folder_at(storage).joinpath("manifest.json").unlink()
    assert imported.settle(imported.restore()).status == "completed"


def test_the_storage_that_was_restored_from_is_asked_first(imported: Imported) -> None:
    """Another one's list is not looked at, whatever it says."""
    path = imported.folder_at("disk") / "manifest.json"
    other = msgspec.structs.replace(decode_manifest(path.read_bytes()), objects=(ObjectInfo(name="never"),))
    path.write_bytes(encode_manifest(other))
    assert imported.settle(imported.restore(storage="nas")).status == "completed"
    fill(imported.beside)
    fill(imported.like)
    assert imported.settle(imported.restore(storage="disk")).status == "interrupted"


@pytest.mark.parametrize(("configured", "error"), [(True, ValidationError), (False, StorageError)])
def test_what_cannot_be_told_is_not_decided(
    imported: Imported, *, configured: bool, error: type[DataGuardianError]
) -> None:
    """No list can be read, or no storage is known any more: the record and what lies beside stay as they are."""
    for name in ("disk", "nas"):
        imported.folder_at(name).joinpath("manifest.json").write_bytes(b"{}")
    imported.configure(*(("disk", "nas") if configured else ()))
    restore = imported.restore()
    with pytest.raises(error, match="no version" if configured else "No storage of the configuration holds"):
        imported.settle(restore)
    assert imported.catalog.restore("r1") == restore
    assert imported.left() == [True, True]


def test_a_backup_that_the_catalogue_lost_is_no_proof(imported: Imported) -> None:
    restore = msgspec.structs.replace(imported.restore(), execution_id="gone")
    imported.catalog.save_restore(restore)
    with pytest.raises(StorageError, match="No storage of the configuration holds the backup"):
        imported.settle(restore)
    assert imported.left() == [True, True]


def test_tidying_up_alone_asks_no_storage(imported: Imported) -> None:
    """It was compared before its worker died."""
    for name in ("disk", "nas"):
        imported.folder_at(name).joinpath("manifest.json").unlink()
    restore = imported.restore(status="completed", in_place=True, partly_filled=False, problem=None)
    settled = imported.settle(restore)
    assert settled == msgspec.structs.replace(restore, placing=None)
    assert imported.left() == [False, False]


def test_what_cannot_be_removed_now_is_complete_all_the_same(
    imported: Imported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start removes it, and need not compare once more."""

    def refuse(_: SqliteDatasource, database: str) -> None:
        raise RestoreError(f"{database} is in use")

    restore = imported.restore()
    with monkeypatch.context() as patched:
        patched.setattr(SqliteDatasource, "drop_target", refuse)
        with pytest.raises(RestoreError, match="in use"):
            imported.settle(restore)
    known = imported.catalog.restore("r1")
    assert known is not None
    assert (known.status, known.in_place, known.placing) == ("completed", True, restore.placing)
    assert is_filled(known)
    assert imported.settle(known).placing is None
    assert imported.left() == [False, False]


@pytest.mark.parametrize(
    "more",
    [
        {"placing": None},
        {"placing": Placing(beside="b", like="l", filled=False)},
        {"placing": Placing(beside="b", like="l", filled=True), "partly_filled": False},
    ],
)
def test_what_was_not_filled_is_left_alone(imported: Imported, more: dict[str, Any]) -> None:
    restore = imported.restore(**more)
    assert not is_filled(restore)
    assert imported.settle(restore) == restore
    assert imported.left() == [True, True]


def test_the_last_restore_into_each_target_is_looked_at(imported: Imported) -> None:
    """What lies beside a target is of the last one; other targets and other servers have their own."""
    one = imported.restore()
    others = [
        msgspec.structs.replace(one, restore_id="r2", target="other"),
        msgspec.structs.replace(one, restore_id="r3", datasource="another"),
    ]
    before = msgspec.structs.replace(one, restore_id="r0")
    assert newest_into_each_target([one, *others, before]) == [one, *others]
