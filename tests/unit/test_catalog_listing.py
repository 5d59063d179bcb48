"""The executions of a catalogue as JSON that SQLite writes: field for field what msgspec would write."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dgtui.engine.catalog import Catalog, json_pages
from dgtui.engine.catalog.backups import all_backups
from dgtui.engine.catalog.helping import read_pages
from dgtui.engine.catalog.proofs import Proof, Proofs, ProofWay
from dgtui.engine.errors import CatalogError
from dgtui.engine.model import Alike, Backup, Copy, CopyStatus, Execution, Listed, Problem, copies_of

MOMENT = datetime(2025, 2, 13, 6, 0, 1, tzinfo=UTC)
ODD = 'ein "Zitat" \\ und \x1b[31m Ä\n, {"copies":[]}'


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """A catalogue of its own."""
    catalog = Catalog(tmp_path)
    yield catalog
    catalog.close()


def an_execution(number: int, **changes: Any) -> Execution:
    """A backup of some night."""
    plain = Execution(
        execution_id=f"{number:04}",
        job_id="job-id",
        job="nightly",
        datasource="shop",
        datasource_type="postgres",
        status="completed",
        backup_type="full",
        started_at=MOMENT + timedelta(minutes=number),
        copies=(Copy(storage="disk", status="available", path="/x", checked_at=MOMENT),),
    )
    return msgspec.structs.replace(plain, **changes)


def a_proof(number: int, how: ProofWay, moment: datetime, *, good: bool = True) -> Proof:
    """A rehearsal or restore of a backup."""
    return Proof(
        proof_id=f"{number}{how}{moment}{good}",
        execution_id=f"{number:04}",
        how=how,
        status="completed" if good else "failed",
        started_at=moment,
        finished_at=moment,
    )


def listed(catalog: Catalog, **chosen: Any) -> list[Any]:
    """What a reader of the whole text sees."""
    found: list[Any] = json.loads(f"[{','.join(catalog.execution_texts(**chosen))}]")
    return found


def expected(catalog: Catalog, **chosen: Any) -> list[Any]:
    """The same by way of objects."""
    proven = Proofs(catalog).proven()
    found = []
    for one in catalog.executions(**chosen):
        proof = proven.get(one.execution_id)
        known = {"proven_at": proof and proof.proven_at, "proven_by": proof and proof.how}
        found.append(json.loads(msgspec.json.encode({**msgspec.to_builtins(one), **known})))
    return found


def test_executions_as_texts_are_what_they_are_as_json(catalog: Catalog) -> None:
    for number in range(3):
        copies = tuple(
            Copy(storage=name, status="corrupt", path=ODD, problem=Problem(kind="StorageError", message=ODD))
            for name in ("nas", "disk")[:number]
        )
        catalog.save_execution(
            an_execution(
                number,
                copies=copies,
                finished_at=MOMENT,
                description=ODD,
                warnings=(ODD, "two"),
                problem=Problem(kind="StorageError", message=ODD, detail=(ODD,)),
                protected_until=MOMENT + timedelta(microseconds=7),
                pin=ODD,
                total_size_bytes=2**60,
            )
        )
    catalog.save_execution(an_execution(3, started_at=MOMENT + timedelta(microseconds=7)))
    [text] = catalog.execution_texts()
    assert json.loads(f"[{text}]") == expected(catalog)
    executions = catalog.executions()
    # To the byte, and in the order of the fields: what is no part of it comes after them.
    own = b",\n".join(msgspec.json.encode(one)[:-1] + b',"proven_at":null,"proven_by":null}' for one in executions)
    assert text.encode() == own


def test_the_newest_good_proof_is_told_of(catalog: Catalog) -> None:
    for number in range(3):
        catalog.save_execution(an_execution(number))
    proofs = Proofs(catalog)
    later = MOMENT + timedelta(days=1, microseconds=120_000)
    for proof in (
        a_proof(0, "restore", later),
        a_proof(0, "rehearsal", MOMENT),
        a_proof(0, "rehearsal", later + timedelta(days=1), good=False),
        a_proof(1, "rehearsal", MOMENT, good=False),
        a_proof(2, "rehearsal", MOMENT),
    ):
        proofs.save(proof)
    assert listed(catalog) == expected(catalog)
    assert [row["proven_by"] for row in listed(catalog)] == ["rehearsal", None, "restore"]


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_a_list_read_page_by_page_is_the_whole_list(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(json_pages, "PAGE", page)
    for number in range(40):
        # Many began at the same moment, and not in the order in which they were recorded.
        started_at = MOMENT - timedelta(minutes=number * 7 % 40 // 5)
        names = {"job": "hourly", "status": "failed"} if number % 3 else {}
        catalog.save_execution(an_execution(number, started_at=started_at, **names))
    hourly, completed = {"job": "hourly"}, {"status": "completed"}
    for chosen in (dict[str, str](), hourly, completed, hourly | completed):
        assert listed(catalog, **chosen) == expected(catalog, **chosen)
    for limit in (1, 2, 3, 5, 40, 41):
        assert listed(catalog, limit=limit) == expected(catalog, limit=limit)


class Told:
    """Executions told as JSON."""

    def __init__(self, pages: Iterable[list[Listed]]) -> None:
        self._all = [one for page in pages for one in page]
        self.needed = [len(self._all)]

    def text(self, needed: Sequence[int], *, begins: bool) -> str:
        """All of them."""
        return msgspec.json.encode(self._all).decode()


@pytest.mark.parametrize("page", [1, 3, 1000])
def test_the_lines_of_a_list_are_those_of_its_executions(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(json_pages, "PAGE", page)
    states: tuple[CopyStatus, ...] = ("available", "missing", "corrupt")
    for number in range(20):
        copies = tuple(Copy(storage=name, status=states[number % 3], path=ODD) for name in ("nas", ODD)[: number % 3])
        one = an_execution(number, started_at=MOMENT - timedelta(minutes=number // 3), copies=copies)
        pin, end = (ODD, None) if number % 2 else (None, MOMENT)
        catalog.save_execution(
            msgspec.structs.replace(one, job=ODD, warnings=(ODD,) * (number % 4), pin=pin, expires_at=end)
        )
    catalog.save_execution(an_execution(20, status="failed", copies=(), purpose="safety", total_size_bytes=2**60))
    for chosen in (dict[str, Any](), {"job": ODD}, {"status": "failed"}, {"limit": 7}):
        found = [one for text in catalog.listed(Told, **chosen) for one in msgspec.json.decode(text, type=list[Listed])]
        executions = catalog.executions(**chosen)
        for line, one in zip(found, executions, strict=True):
            told = [(copy.storage, copy.status) for copy in copies_of(line.kind.where)]
            assert told == [(copy.storage, copy.status) for copy in one.copies]
            kind = {name: getattr(one, name) for name in Alike.__struct_fields__ if name != "where"}
            assert line.kind == Alike(**kind, where=line.kind.where)
            known: dict[str, Any] = {"warnings": len(one.warnings), "alike": line.alike}
            names = Listed.__struct_fields__
            assert line == Listed(**{name: known[name] if name in known else getattr(one, name) for name in names})
    assert list(catalog.listed(Told, job="nobody's")) == ["[]"]


def test_what_is_removed_meanwhile_is_left_out(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pages, "PAGE", 2)
    # A helper would read ahead.
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    for number in range(40):
        catalog.save_execution(an_execution(number))
    texts = catalog.execution_texts()
    first = next(texts)
    for number in range(3):
        catalog.forget_execution(f"{number:04}")
    found = [row["execution_id"] for row in json.loads(f"[{','.join([first, *texts])}]")]
    assert found == [f"{number:04}" for number in reversed(range(3, 40))]


def usual(folder: str) -> tuple[Copy, ...]:
    """A copy where a storage lays it."""
    return (Copy(storage="disk", status="available", path=f"/srv/job-id/{folder}"),)


def test_backups_are_read_as_what_their_executions_are(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pages, "PAGE", 2)
    problem = Problem(kind="StorageError", message=ODD, detail=(ODD,))
    later = MOMENT + timedelta(microseconds=7)
    nas = Copy(storage="nas", status="unknown", path=ODD, checked_at=later, problem=problem)
    for one in (
        an_execution(0, copies=(nas,), pin=ODD, folder="2025-02-13_060001"),
        an_execution(1, copies=(), job=ODD, compressed_size_bytes=2**60),
        an_execution(2, status="failed"),
        an_execution(3, purpose="safety", protected_until=MOMENT, status="partial", copies=usual("another")),
        an_execution(4, folder="2025-02-13_060005", copies=usual("2025-02-13_060005")),
        an_execution(5, folder="2025-02-13_060006", copies=usual("2025-02-13_060006")),
    ):
        catalog.save_execution(one)
    wanted = sorted((one for one in catalog.executions() if one.status != "failed"), key=lambda one: one.sequence)
    found = all_backups(catalog)
    for backup, one in zip(found, wanted, strict=True):
        names = [name for name in Backup.__struct_fields__ if name != "where"]
        assert [getattr(backup, name) for name in names] == [getattr(one, name) for name in names]
        for known, copy in zip(backup.copies, one.copies, strict=True):
            assert (known.storage, known.status, backup.path(known)) == (copy.storage, copy.status, copy.path)
            assert known.judged == (copy.status == "corrupt" or copy.problem is not None)
    # Where they lie as storages lay them, they share one text.
    assert [copy.place for one in found for copy in one.copies][-2:] == ["/srv/\x1f"] * 2
    assert found[-1].where == found[-2].where


# With a helper


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper is worth it, whatever machine this is and whatever other tests have left running."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(threading, "active_count", lambda: 1)


PAGES = [str(number) for number in range(20)]


def by(page: str) -> str:
    """A page, and who has read it; large enough that nobody can be far ahead."""
    return f"{page} {os.getpid()} {'.' * 300_000}"


class Gate:
    """What one process opens for another."""

    def __init__(self) -> None:
        self._waiting, self._opening = os.pipe()

    def open(self) -> None:
        """Let the other one go on."""
        os.write(self._opening, b".")

    def wait(self) -> None:
        """Wait for the other one."""
        os.read(self._waiting, 1)

    def close(self) -> None:
        """Nobody waits any more."""
        os.close(self._waiting)
        os.close(self._opening)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Between a helper and us."""
    gate = Gate()
    yield gate
    gate.close()


def once_it_reads(gate: Gate, read: Callable[[str], str]) -> Callable[[str], str]:
    """`read`, for us not before the helper has begun with a page."""
    us, ours = os.getpid(), list[str]()

    def reading(page: str) -> str:
        if os.getpid() != us:
            gate.open()
        elif not ours:
            gate.wait()
            ours.append(page)
        return read(page)

    return reading


@pytest.mark.usefixtures("two_processors")
def test_two_read_and_the_helper_is_gone_afterwards(gate: Gate) -> None:
    let_go: list[int] = []
    texts = read_pages(PAGES, once_it_reads(gate, by), lambda: let_go.append(os.getpid()))
    found = [text.split() for text in texts]
    assert [page for page, _, _ in found] == PAGES
    its = {who for _, who, _ in found} - {str(os.getpid())}
    assert len(its) == 1
    assert let_go == [os.getpid()]
    with pytest.raises(ProcessLookupError):
        os.kill(int(its.pop()), 0)


@pytest.mark.usefixtures("two_processors")
def test_who_has_more_to_do_finds_almost_all_of_it_read(gate: Gate) -> None:
    us = os.getpid()

    def read(page: str) -> str:
        if page == PAGES[-1]:
            gate.open()
        return f"{page} {os.getpid()}"

    texts = read_pages(PAGES, read, lambda: None)
    found = [next(texts)]
    gate.wait()
    found += texts
    assert [text.split()[0] for text in found] == PAGES
    assert [text.split()[1] for text in found].count(str(us)) <= 4


@pytest.mark.usefixtures("two_processors")
def test_who_waits_for_the_helper_reads_on_but_not_all(gate: Gate) -> None:
    us, read_by_this_one = os.getpid(), list[str]()

    def read(page: str) -> str:
        read_by_this_one.append(page)
        if os.getpid() != us and len(read_by_this_one) == 1:
            gate.wait()
        elif os.getpid() == us and len(read_by_this_one) == 4:
            gate.open()
        return by(page)

    assert [text.split()[0] for text in read_pages(PAGES, read, lambda: None)] == PAGES


@pytest.mark.usefixtures("two_processors")
def test_what_a_helper_that_died_leaves_is_read_all_the_same(gate: Gate) -> None:
    us = os.getpid()

    def read(page: str) -> str:
        if os.getpid() != us:
            os.kill(os.getpid(), signal.SIGKILL)
        return by(page)

    found = [text.split() for text in read_pages(PAGES, once_it_reads(gate, read), lambda: None)]
    assert [page for page, _, _ in found] == PAGES
    assert {who for _, who, _ in found} == {str(us)}


@pytest.mark.usefixtures("two_processors")
def test_what_fails_fails_here() -> None:
    def read(page: str) -> str:
        if page == "7":
            raise CatalogError("no")
        return page

    found: list[str] = []
    with pytest.raises(CatalogError):
        found += read_pages(PAGES, read, lambda: None)
    assert found == PAGES[: min(len(found), 7)]


@pytest.mark.usefixtures("two_processors")
def test_a_reader_that_goes_away_leaves_no_helper(gate: Gate) -> None:
    texts = read_pages(PAGES, once_it_reads(gate, by), lambda: None)
    helper = next(who for who in (int(text.split()[1]) for text in texts) if who != os.getpid())
    texts.close()  # type: ignore[attr-defined]  # it is a generator
    with pytest.raises(ProcessLookupError):
        os.kill(helper, 0)


@pytest.mark.usefixtures("two_processors")
def test_the_list_of_two_processes_is_the_whole_list(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pages, "PAGE", 2)
    for number in range(41):
        catalog.save_execution(an_execution(number))
    assert listed(catalog) == expected(catalog)
    catalog.forget_execution("0000")
    assert listed(catalog) == expected(catalog)


def test_a_program_with_threads_reads_all_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert {text.split()[1] for text in read_pages(PAGES, by, lambda: None)} == {str(os.getpid())}
