"""What is looked at before retention decides: only what its decision can concern."""

import os
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dgtui.config import Config, load_config
from dgtui.engine.catalog import Catalog, backups
from dgtui.engine.catalog.proofs import Proof, Proofs
from dgtui.engine.catalog.retention import RetentionTable, jobs_of_datasources
from dgtui.engine.cleanup import Cleanup, Look, Scope, looking
from dgtui.engine.cleanup.readers import Readers
from dgtui.engine.locks import Lock, take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import Backup, Copy, Execution, Problem
from dgtui.engine.orders import ValidateOrder
from dgtui.engine.restore_model import Restore
from dgtui.engine.runs import RunPaths
from tests.support.homes import Home
from tests.support.statements import plans_of_reading

START = datetime(2025, 1, 1, 3, tzinfo=UTC)
TABLES = """
[datasources.shop]
type = "sqlite"
path = "/nowhere/shop.db"
[datasources.crm]
type = "sqlite"
path = "/nowhere/crm.db"
"""
CRM = """
[jobs.crm]
datasource = "crm"
storages = ["disk", "nas"]
"""


class Place:
    """A catalogue and a configuration in which `nightly` has rules and `crm` has none."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.paths = RunPaths(home.state)
        self.paths.make()
        self.catalog = Catalog(home.state)
        self.number = 0
        self.configure()

    def configure(self, room: str = "") -> None:
        """With a largest size of the storage `nas` where one is given."""
        self.home.configure(TABLES, storages=("disk", "nas"), job="retention = { keep_last = 1 }", more=CRM)
        if room:
            text = self.home.config_path.read_text()
            more = f"[storages.nas]\nretention = {{ max_total_size = '{room}' }}\n"
            self.home.config_path.write_text(text.replace("[storages.nas]\n", more))

    @property
    def config(self) -> Config:
        """As it is now."""
        return load_config(self.home.config_path)

    def add(self, job: str, **changes: object) -> str:
        """A backup of 100 bytes at both storages; its id."""
        self.number += 1
        execution_id = f"e{self.number}"
        copies = tuple(Copy(storage=name, status="available", path=f"/{name}") for name in ("disk", "nas"))
        one = Execution(
            execution_id=execution_id,
            job_id=self.config.job_id(job),
            job=job,
            datasource="crm" if job == "crm" else "shop",
            datasource_type="sqlite",
            status="completed",
            backup_type="full",
            started_at=START + timedelta(days=self.number),
            compressed_size_bytes=100,
            folder=f"{START + timedelta(days=self.number):%Y-%m-%d_%H%M%S}",
            copies=copies,
        )
        self.catalog.save_execution(msgspec.structs.replace(one, **changes))
        return execution_id

    @property
    def look(self) -> Look:
        """A new one."""
        return Look(self.catalog, self.config, self.paths)

    def plan(self, **scope: object) -> dict[str, set[str]]:
        """By backup at `disk`: what keeps it whatever the rules say; nothing of those that go."""
        plan = self.look.plan(Scope(**scope), now=now(), live=False)  # type: ignore[arg-type]  # names of its fields
        kept = {one.execution_id: {hold.kind for hold in one.holds} for one in plan.kept if one.storage == "disk"}
        return {name: set(kinds) for name, kinds in kept.items()}


@pytest.fixture
def place(home: Home) -> Place:
    """Three backups of each job."""
    made = Place(home)
    for _ in range(3):
        made.add("nightly")
        made.add("crm")
    return made


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many executions each question of the catalogue gave."""
    counts: list[int] = []
    for name in ("all_backups", "backups_of"):
        monkeypatch.setattr(looking, name, _counted(getattr(backups, name), counts))
    return counts


def _counted(load: Callable[..., list[Backup]], counts: list[int]) -> Callable[..., list[Backup]]:
    def counted(*wanted: object, **also: object) -> list[Backup]:
        found = load(*wanted, **also)
        counts.append(len(found))
        return found

    return counted


def test_a_job_without_rules_is_not_loaded(place: Place, loaded: list[int]) -> None:
    assert place.plan() == {"e5": {"newest"}}
    assert loaded == [3]
    assert set(place.plan(everything=True)) == {"e2", "e4", "e5", "e6"}
    assert place.plan(jobs=("crm",)) == {"e2": {"no_rule"}, "e4": {"no_rule"}, "e6": {"no_rule", "newest"}}


@pytest.mark.parametrize("why", ["in_use", "newest_proven", "way_back"])
def test_what_is_needed_otherwise_is_held(place: Place, why: str) -> None:
    if why == "in_use":
        _, lock = begin(place.paths, "e1")
    elif why == "newest_proven":
        proof = Proof(proof_id="p", execution_id="e1", how="rehearsal", status="completed", started_at=START)
        Proofs(place.catalog).save(msgspec.structs.replace(proof, finished_at=START))
    else:
        cut = Restore(
            restore_id="r1",
            execution_id="e5",
            datasource="shop",
            target="shop",
            status="interrupted",
            started_at=START,
            partly_filled=True,
            safety_execution_id="e1",
        )
        place.catalog.save_restore(cut)
    assert place.plan() == {"e5": {"newest"}, "e1": {why}}
    if why == "in_use":
        lock.release()
        assert place.plan() == {"e5": {"newest"}}


def test_the_room_of_a_storage_has_all_loaded_only_where_it_is_too_small(place: Place, loaded: list[int]) -> None:
    place.configure(room="700 B")
    place.plan()
    assert loaded == [3]
    place.configure(room="500 B")
    plan = place.look.plan(Scope(), now=now(), live=False)
    assert loaded[-1] == 6
    assert {(one.execution_id, one.storage, one.removed_by) for one in plan.removals} == {
        ("e1", "disk", "not_kept"),
        ("e1", "nas", "not_kept"),
        ("e3", "disk", "not_kept"),
        ("e3", "nas", "not_kept"),
    }
    place.configure(room="250 B")
    plan = place.look.plan(Scope(), now=now(), live=False)
    assert ("e2", "nas", "max_total_size") in {(one.execution_id, one.storage, one.removed_by) for one in plan.removals}


def test_one_backup_is_told_of_by_its_job_alone(place: Place, loaded: list[int]) -> None:
    place.configure(room="700 B")
    execution = place.catalog.execution("e3")
    assert execution is not None
    verdicts = place.look.verdicts_on(execution, now=now())
    assert [(one.storage, one.removed_by) for one in verdicts] == [("disk", "not_kept"), ("nas", "not_kept")]
    assert loaded == [3]


def test_a_datasource_is_told_of_by_the_jobs_that_backed_it_up(place: Place, loaded: list[int]) -> None:
    # The job was of another datasource once: its backups are counted together.
    place.add("nightly", datasource="crm")
    plan = place.look.plan_of_datasource("shop", now=now())
    assert {one.execution_id for one in plan.verdicts} == {"e1", "e3", "e5"}
    assert {one.execution_id for one in plan.removals} == {"e1", "e3", "e5"}
    assert loaded == [4]


def test_the_only_safety_copy_of_a_datasource_stays_and_others_go(place: Place) -> None:
    over = place.add("safety", purpose="safety", protected_until=START)
    other = place.add("safety", purpose="safety", protected_until=START, datasource="crm")
    alone = place.add("safety", purpose="safety", protected_until=START, datasource="gone")
    plan = place.plan()
    assert (over in plan, other in plan, plan[alone]) == (False, False, {"newest"})


def copies(**problems: str) -> tuple[Copy, ...]:
    """At both storages, where no kind of error says why one did not arrive."""
    return tuple(
        Copy(storage=name, status="available", path=f"/{name}")
        if name not in problems
        else Copy(storage=name, status="missing", path="", problem=Problem(kind=problems[name], message="no"))
        for name in ("disk", "nas")
    )


@pytest.mark.parametrize(
    ("last", "held"),
    [
        (lambda place: place.add("nightly", status="partial", copies=copies(disk="StorageError")), True),
        (lambda place: place.add("nightly", status="partial", copies=copies(nas="StorageError")), False),
        (lambda place: place.add("nightly", status="partial", copies=copies(disk="DiskSpaceError")), False),
        (lambda place: place.add("crm", status="partial", copies=copies(disk="StorageError")), True),
        (lambda place: place.add("gone", status="partial", copies=copies(disk="StorageError")), True),
        (lambda place: place.add("nightly", status="failed", copies=(), problem=problem("StorageError")), True),
        (lambda place: place.add("nightly", status="failed", copies=(), problem=problem("ToolMissing")), False),
        (lambda place: place.add("crm", status="failed", copies=(), problem=problem("StorageError")), False),
    ],
    ids=["here", "elsewhere", "full", "another job", "a job that is gone", "all failed", "no storage's fault", "crm"],
)
def test_nothing_goes_where_the_last_upload_failed(place: Place, last: Callable[[Place], str], held: bool) -> None:
    last(place)
    assert ("upload_failed" in place.plan(jobs=("nightly",)).get("e1", set())) is held
    # A newer one that arrived ends it.
    place.add("nightly")
    assert "e1" not in place.plan(jobs=("nightly",))


def problem(kind: str) -> Problem:
    return Problem(kind=kind, message="no")


def test_the_days_of_what_has_no_rule_any_more_are_forgotten(place: Place) -> None:
    for execution_id in ("e2", "e6"):
        execution = place.catalog.execution(execution_id)
        assert execution is not None
        place.catalog.save_execution(msgspec.structs.replace(execution, expires_at=START))
    Cleanup(place.catalog, place.config, place.paths).run(Scope(), strays=False)
    assert {one.expires_at for one in place.catalog.executions(job="crm")} == {None}


def begin(paths: RunPaths, execution_id: str, *, age: float = 0.0) -> tuple[str, Lock]:
    """A run that reads a backup and lives until its lock is given back."""
    run_id = str(uuid.uuid4())
    order = ValidateOrder(run_id=run_id, ordered_at=now(), execution_id=execution_id)
    paths.request(run_id).write_bytes(msgspec.json.encode(order))
    lock = take_lock(paths.lock(run_id), purpose="run")
    moment = time.time() - age
    os.utime(paths.lock(run_id), (moment, moment))
    return run_id, lock


def test_what_is_read_is_known_also_of_runs_that_begin_later(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.make()
    _, ended = begin(paths, "e0", age=60)
    ended.release()
    _, first = begin(paths, "e1", age=60)
    readers = Readers(paths)
    assert readers.executions() == {"e1"}
    _, second = begin(paths, "e2")
    assert readers.executions() == {"e1", "e2"}
    first.release()
    assert readers.executions() == {"e2"}
    second.release()
    assert readers.executions() == set()


def test_what_is_read_is_known_also_where_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = RunPaths(tmp_path)
    paths.make()
    readers = Readers(paths)
    with monkeypatch.context() as patched:
        ahead = time.time_ns() + 3600 * 10**9
        patched.setattr(time, "time_ns", lambda: ahead)
        assert readers.executions() == set()
    _, lock = begin(paths, "e1")
    assert readers.executions() == {"e1"}
    lock.release()


def test_ended_runs_are_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = RunPaths(tmp_path)
    paths.make()
    for _ in range(20):
        begin(paths, "e0", age=60)[1].release()
    _, living = begin(paths, "e1", age=60)
    looks: list[str] = []
    is_alive = RunPaths.is_alive

    def counted(self: RunPaths, run_id: str) -> bool:
        looks.append(run_id)
        return is_alive(self, run_id)

    monkeypatch.setattr(RunPaths, "is_alive", counted)
    readers = Readers(paths)
    for _ in range(10):
        assert readers.executions() == {"e1"}
    assert len(looks) == 21 + 10
    living.release()


def test_a_storage_that_has_not_all_of_them_takes_what_lies_there(place: Place, loaded: list[int]) -> None:
    place.add("crm", copies=(Copy(storage="disk", status="available", path="/disk"),))
    place.configure(room="650 B")
    place.plan()
    assert loaded == [3]
    place.configure(room="550 B")
    place.plan()
    assert loaded == [3, 7]


def test_most_backups_are_read_as_few_are(place: Place) -> None:
    place.add("nightly", status="failed")
    safety = place.add("other", purpose="safety")
    jobs = {name: place.config.job_id(name) for name in ("nightly", "crm", "other")}
    everything = backups.all_backups(place.catalog)
    assert len(everything) == 7
    few = backups.backups_of(place.catalog, [jobs["crm"]], safety_of=["crm"])
    assert list(few) == [one for one in everything if one.job == "crm"]
    most = backups.backups_of(place.catalog, [jobs["crm"], jobs["nightly"]], safety_of=["crm"])
    assert list(most) == [one for one in everything if one.execution_id != safety]
    assert list(backups.backups_of(place.catalog, [jobs["crm"], jobs["nightly"]])) == list(everything)


def test_few_backups_of_many_are_found_without_looking_through_all_executions(place: Place) -> None:
    with plans_of_reading() as plans:
        assert backups.backups_of(place.catalog, [place.config.job_id("crm")])
        assert backups.backups_of(place.catalog, [place.config.job_id("crm")], safety_of=["crm"])
        assert jobs_of_datasources(place.catalog) == frozenset()
        assert not RetentionTable(place.catalog).has_safety_copies("crm")
    assert plans != []
    assert "SCAN executions" not in plans
