"""An import in place over a server made of plain data, which fails where a test wants it, and real backups."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from dgtui.engine.archive import StoredArchive
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.loading import LoadError, LoadOutcome, TargetState
from dgtui.engine.errors import DatabaseConnectionError, RestoreError, SwapImpossible
from dgtui.engine.manifest import encode_manifest
from dgtui.engine.model import Execution, ObjectInfo
from dgtui.engine.orders import RestoreOrder
from dgtui.engine.restore_copy import CopyChoice, GoodCopy
from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_place import Placement
from dgtui.engine.restore_task import RestoreTask, started_restore
from dgtui.engine.safety_copy import SafetyCopy
from dgtui.engine.storages.local import LocalSettings, LocalStorage
from dgtui.engine.stored import folder_of, read_known_manifest
from tests.support.backup_folders import JOB_ID, make_backup, mark_storage, new_id

FORMER = {"orders": 5, "words": 2}
RESTORED = {"orders": 3}
OWN = "utf8mb4, of shop_owner"
AT = datetime(2025, 2, 13, 6, tzinfo=UTC)
NEW, LIKE = "shop__dgtui_new", "shop__dgtui_like"
BROKEN = LoadOutcome(errors=(LoadError(message="it was injected"),))
GONE = DatabaseConnectionError("The server is gone")


class Database(msgspec.Struct):
    """A database: its properties, and the rows of each table."""

    like: str
    rows: dict[str, int] = {}


class PlainServer:
    """A server that cannot rename what `shop` holds, and whose loadings and droppings fail as the test says."""

    swaps_everything = False
    options = frozenset[str]()
    name = "crm"

    def __init__(self) -> None:
        self.databases = {"shop": Database(OWN, dict(FORMER)), NEW: Database(OWN, dict(RESTORED))}
        self.loads: list[LoadOutcome | Exception | dict[str, int] | None] = []
        """How the next loadings end; None, or no more of them, for well, and rows for what arrives without a word."""
        self.keeps_when_dropped: list[dict[str, int]] = []
        """What stays of the target where dropping it fails."""
        self.lost: tuple[str, ...] = ()
        self.missing: tuple[str, ...] = ()
        self.asked: list[str] = []
        self.before_drop: Callable[[], object] = lambda: None

    def beside_name(self, database: str, suffix: str) -> str:
        return database + suffix

    def name_to_keep(self, _beside: str, database: str, suffix: str) -> str:
        return self.beside_name(database, suffix)

    def swap_obstacles(self, _: str) -> tuple[str, ...]:
        return ("a view",)

    def lies_in_target(self, _: str) -> bool:
        return False

    def for_database(self, _: str) -> "PlainServer":
        return self

    def missing_rights(self) -> tuple[str, ...]:
        return self.missing

    def never_again(self, _: str) -> tuple[str, ...]:
        return self.lost

    def kept_inside(self, _: str) -> tuple[str, ...]:
        return ()

    def swap_grants(self, _: str) -> tuple[str, ...]:
        return ("GRANT ALL;",)

    def swap_mark(self, _: str) -> str:
        return "mark"

    def swap(self, *_: object) -> None:
        raise SwapImpossible("shop holds a view")

    def target_state(self, name: str) -> TargetState:
        found = self.databases.get(name)
        return TargetState(exists=found is not None, objects=tuple(self.inventory(name)) if found else ())

    def inventory(self, name: str) -> list[ObjectInfo]:
        return [ObjectInfo(name=key, rows=n, rows_exact=True) for key, n in self.databases[name].rows.items()]

    def create_target(self, name: str, like: str | None = None) -> None:
        assert name not in self.databases
        self.databases[name] = Database(self.databases[like].like if like else "latin1, of nobody")

    def drop_target(self, name: str) -> None:
        if name == "shop":
            self.before_drop()
            if self.keeps_when_dropped:
                self.databases[name].rows = self.keeps_when_dropped.pop(0)
                raise RestoreError("Lock wait timeout")
        self.databases.pop(name, None)

    def load(self, archive: StoredArchive, database: str, *_: object, **__: object) -> LoadOutcome:
        found = self.databases[database]
        assert not found.rows
        end = self.loads.pop(0) if self.loads else None
        found.rows = {"orders": 1}
        content = json.loads(b"".join(archive.blocks()))
        if isinstance(end, Exception):
            raise end
        if isinstance(end, LoadOutcome):
            return end
        found.rows = content if end is None else end
        return LoadOutcome()


class _Run:
    """Hears what is said, and shows nothing."""

    def __init__(self, said: list[str]) -> None:
        self._said = said

    def log(self, text: str, level: str = "info") -> None:
        self._said.append(text)

    def _quiet(self, *_: object, **__: object) -> None:
        pass

    phase = storage = start_progress = stop_progress = _quiet


class SavedPlacement(Placement):
    """A placement whose safety backup was made by the test."""

    safety: SafetyCopy
    saved = 0

    def save_former_content(self) -> SafetyCopy:
        self.saved += 1
        return self.safety


class ImportCase:
    """A restore over `shop` whose new content lies beside it, with two copies of it and of the safety backup."""

    def __init__(self, folder: Path, **order: Any) -> None:
        self.folder = folder
        self.server = PlainServer()
        self.catalog = Catalog(folder)
        self.said: list[str] = []
        self.storages = [
            LocalStorage(name, LocalSettings(type="local", path=str(folder / name))) for name in ("disk", "nas")
        ]
        self.execution = self._backed_up("2025-02-13_050000", RESTORED)
        safety = self._backed_up("2025-02-13_060000", FORMER)
        chosen: dict[str, Any] = {"in_place": True, "overwrite": True, **order}
        self.cancellation = Cancellation()
        self.cancellation.begin()
        order_of_it = RestoreOrder(
            run_id="r1-a-restore",
            ordered_at=AT,
            execution_id=self.execution.execution_id,
            datasource="crm",
            database="shop",
            **chosen,
        )
        parts: dict[str, Any] = {"target": self.server, "safety_job": None, "run": _Run(self.said)}
        self.task = RestoreTask(
            order=order_of_it,
            safety_storages=(),
            catalog=self.catalog,
            cancellation=self.cancellation,
            scratch=folder,
            late_rows=folder / "late_rows.sql",
            execution=self.execution,
            storages=self.storages,
            processes=None,
            **parts,
        )
        self.copies = CopyChoice(self.task)
        self.place = SavedPlacement(self.task, started_restore(self.task.order), self.copies)
        self.place.safety = SafetyCopy(safety, self.storages)

    def _backed_up(self, name: str, rows: dict[str, int]) -> Execution:
        execution_id = new_id()
        for storage in self.storages:
            folder = self.folder / storage.name / JOB_ID / name
            made = make_backup(folder, json.dumps(rows).encode(), compression="none", datasource_type="mysql")
            objects = tuple(ObjectInfo(name=key, rows=n, rows_exact=True) for key, n in rows.items())
            made = msgspec.structs.replace(made, execution_id=execution_id, folder=name, objects=objects)
            (folder / "manifest.json").write_bytes(encode_manifest(made))
            mark_storage(self.folder / storage.name)
        return Execution(
            execution_id=execution_id, job_id=JOB_ID, job="j", datasource="crm", datasource_type="mysql",
            status="completed", backup_type="full", started_at=AT, folder=name,
        )  # fmt: skip

    def put_in_place(self, storage: int = 0) -> None:
        """Put what lies beside into the target's place, from one of the copies on."""
        chosen = self.storages[storage]
        manifest, _ = read_known_manifest(chosen, self.execution)
        archive = StoredArchive(chosen, folder_of(self.execution), manifest, self.folder, threading.Event())
        self.place.put_in_place(NEW, GoodCopy(chosen, archive, manifest), self.server.target_state("shop"))

    def spoil(self, storage: str, execution: Execution) -> None:
        """Change a byte of a copy that does not show before all of it is read."""
        (path,) = (self.folder / storage / JOB_ID / str(execution.folder)).glob("backup.*")
        path.write_bytes(path.read_bytes()[:-1] + b"]")

    @property
    def known(self) -> Restore:
        """The record as others would find it now."""
        found = self.catalog.restore("r1-a-restore")
        assert found is not None
        return found

    def holds(self, rows: dict[str, int], *beside: str) -> None:
        """Assert what the target holds, that it has its own properties, and what lies beside it."""
        assert self.server.databases["shop"] == Database(OWN, rows)
        assert set(self.server.databases) == {"shop", *beside}
