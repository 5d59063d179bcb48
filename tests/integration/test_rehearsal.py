"""Rehearsals on real databases: proven and gone again, whatever happens; the source is never touched."""

import contextlib
import os
import signal
import tempfile
from pathlib import Path

import pytest

from dgtui.engine import starting
from dgtui.engine.catalog.audit import AuditTable
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.catalog.proofs import Proof
from dgtui.engine.datasources import postgres_private
from dgtui.engine.datasources.postgres_private import private_server
from dgtui.engine.errors import StorageError
from dgtui.engine.facade import Engine
from dgtui.engine.messages import Message, PhaseMessage
from dgtui.engine.model import Execution
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.spawning import Start
from tests.support.changing import Changing, changing
from tests.support.forking import forked
from tests.support.homes import Home, wait_until
from tests.support.postgres import PostgresServer

ROWS = {"postgres": 500, "sqlite": 200, "mariadb in its own place": 500}


def rehearsed(source: Changing, **choices: str | bool) -> tuple[Engine, Proof]:
    """Rehearse the source's backup, to the end."""
    engine = source.home.engine()
    run_id = engine.start_rehearsal(source.execution, **choices)  # type: ignore[arg-type]
    source.home.finish(engine, run_id)
    proof = engine.proofs.get(run_id)
    assert proof is not None
    return engine, proof


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "files", "mariadb in its own place"])
def test_a_backup_is_proven_and_nothing_of_it_stays(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    with changing(kind, home, request) as source:
        engine, proof = rehearsed(source, deep=True)
        assert proof.status == "completed", proof.problem
        assert proof.proven_at is not None
        assert proof.duration_seconds is not None
        assert proof.report is not None
        assert {entry.content for entry in proof.report.objects} == {"equal"}
        assert (proof.storage, proof.leftover) == ("disk", None)
        if kind in ROWS:
            assert proof.rows is not None
            assert proof.rows >= ROWS[kind]
        assert source.digest() == source.before, "the source is not touched"
        assert source.beside() == set()
        assert home.litter() == []
        assert engine.restores() == [], "a rehearsal is no restore"
        assert engine.proofs.proven()[source.execution.execution_id].proven_at == proof.proven_at
        kinds = [one.kind for one in Notifications(engine.catalog).listed()]
        assert kinds.count("rehearsal_completed") == 1


def _private_processes() -> set[str]:
    """What belongs to private servers, wherever it is: processes and folders."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = process.joinpath("cmdline").read_bytes()
            if b"/dgtui-rehearsal-" in command:
                found.add(command.decode(errors="replace"))
    for folder in ("/tmp", "/var/tmp"):
        found |= {str(path) for path in Path(folder).glob("dgtui-rehearsal-*")}
    return found


def test_a_private_server_that_gets_no_place_for_its_socket_leaves_nothing(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_private, "_owner", lambda: None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tools = str(postgres_server.binaries)
    with (
        pytest.raises(StorageError, match="Could not make a folder in"),
        private_server("15", 0, scratch, tools, lambda _: None),
    ):
        pytest.fail("it has no place")
    assert list(scratch.iterdir()) == []


def test_a_private_server_proves_a_backup_and_is_gone(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("postgres", home, request) as source:
        before = _private_processes()
        _, proof = rehearsed(source, place="private")
        assert proof.status == "completed", proof.problem
        assert (proof.rows, proof.place, proof.leftover) == (500, "a private PostgreSQL server", None)
        # Those of other tests, which run at the same time, end as well.
        wait_until(lambda: not _private_processes() - before, "the end of all private servers")
        assert home.litter() == []
        assert source.digest() == source.before


def backed_up_with_index(source: Changing, request: pytest.FixtureRequest, statement: str) -> Execution:
    """Back it up with an index whose function does something, but only in a rehearsal."""
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = source.home.engine().config.datasource("shop").database
    condition = "current_database() LIKE '%__dgtui_rehearsal_%'"
    server.execute(
        "CREATE FUNCTION public.odd(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        f"$$ BEGIN IF {condition} THEN {statement}; END IF; RETURN a; END $$",
        name,
    )
    server.execute("CREATE INDEX odd_index ON word (public.odd(id))", name)
    execution = source.home.back_up()
    assert execution.status == "completed", execution.problem
    return execution


def stopped_in(phase: str) -> Start:
    """Starts workers that die of SIGKILL as that phase begins. No catalogue may be open."""

    def prepare() -> None:
        real = RunWriter.write

        def write(writer: RunWriter, message: Message) -> None:
            real(writer, message)
            if isinstance(message, PhaseMessage) and message.phase == phase:
                os.kill(os.getpid(), signal.SIGKILL)

        setattr(RunWriter, "write", write)  # noqa: B010  # in the forked process alone

    return forked(prepare)


def test_a_damaged_copy_fails_is_told_and_leaves_nothing(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("postgres", home, request) as source:
        for storage in ("disk", "nas"):
            (archive,) = home.storage(storage).glob("*/*/backup.dump*")
            content = bytearray(archive.read_bytes())
            content[len(content) // 2] ^= 0xFF
            archive.write_bytes(content)
        outcome = home.dgtui("rehearse", "nightly")
        assert outcome.exit_code == 5, outcome
        engine = home.engine()
        (proof,) = engine.proofs.of(source.execution.execution_id)
        assert (proof.status, proof.leftover, proof.proven_at) == ("failed", None, None)
        (told,) = [one for one in Notifications(engine.catalog).listed() if one.kind == "rehearsal_failed"]
        assert (told.subject_kind, told.subject) == ("job", "nightly")
        assert "damaged" in told.message
        assert [
            (one.outcome, one.object_name) for one in AuditTable(engine.catalog).entries() if one.action == "rehearse"
        ] == [("failed", source.execution.execution_id)]
        assert {copy.status for copy in engine.execution(source.execution.execution_id).copies} == {"corrupt"}
        assert source.beside() == set()
        assert source.digest() == source.before


def test_an_archive_that_does_not_load_fails_and_its_database_goes(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("postgres", home, request) as source:
        execution = backed_up_with_index(source, request, "RAISE EXCEPTION 'not here'")
        engine = home.engine()
        run_id = engine.start_rehearsal(execution)
        assert home.finish(engine, run_id).status == "failed"
        proof = engine.proofs.get(run_id)
        assert proof is not None
        assert proof.report is not None
        assert any("not here" in failure.message for failure in proof.report.failures)
        assert (proof.status, proof.leftover) == ("failed", None)
        assert source.beside() == set()
        assert engine.proofs.proven() == {}


@pytest.mark.parametrize("place", ["", "private"])
def test_cancelled_while_it_loads_nothing_stays(place: str, home: Home, request: pytest.FixtureRequest) -> None:
    with changing("postgres", home, request) as source:
        before = _private_processes()
        execution = backed_up_with_index(source, request, "PERFORM pg_catalog.pg_sleep(60)")
        engine = home.engine()
        run_id = engine.start_rehearsal(execution, place=place or None)
        follower = engine.follower(run_id)

        def loads() -> bool:
            follower.poll()
            return follower.snapshot.phase == "restore"

        wait_until(loads, "the loading")
        engine.cancel(run_id)
        snapshot = home.finish(engine, run_id)
        assert snapshot.status == "cancelled", snapshot.problem
        proof = engine.proofs.get(run_id)
        assert proof is not None
        assert (proof.status, proof.leftover) == ("cancelled", None)
        assert source.beside() == set()
        # Those of other tests, which run at the same time, end as well.
        wait_until(lambda: not _private_processes() - before, "the end of all private servers")
        assert home.litter() == []
        kinds = {one.kind for one in Notifications(engine.catalog).listed()}
        assert not kinds & {"rehearsal_failed", "rehearsal_completed"}


@pytest.mark.parametrize(
    ("kind", "place"), [("postgres", ""), ("postgres", "private"), ("mariadb", ""), ("sqlite", "")]
)
def test_killed_in_the_middle_the_next_start_cleans_up(
    kind: str, place: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with changing(kind, home, request) as source:
        before = _private_processes()
        home.close_catalogues()
        engine = home.engine(fork_workers=True)
        with monkeypatch.context() as patched:
            patched.setattr(starting, "fork_worker", stopped_in("compare"))
            run_id = engine.start_rehearsal(source.execution, place=place or None)
        os.waitpid(int(engine.paths.lock(run_id).read_text()), 0)
        left = source.beside() | (_private_processes() - before) | set(map(str, home.litter()))
        assert left, "it was in the middle"
        again = home.engine()
        assert any("rehearsal" in sentence for sentence in again.reconciled)
        proof = again.proofs.get(run_id)
        assert proof is not None
        assert (proof.status, proof.leftover) == ("interrupted", None)
        assert source.beside() == set()
        # Those of other tests, which run at the same time, end as well.
        wait_until(lambda: not _private_processes() - before, "the end of all private servers")
        assert home.litter() == []
        assert source.digest() == source.before
        assert "rehearsal_failed" in {one.kind for one in Notifications(again.catalog).listed()}
        assert home.engine().reconciled == ()


def test_list_show_and_preview_tell_of_proofs_and_a_restore_by_hand_is_recorded(
    home: Home, request: pytest.FixtureRequest
) -> None:
    with changing("sqlite", home, request) as source:
        identity = source.execution.execution_id
        assert home.dgtui("list", "--json").json()[0]["proven_at"] is None
        outcome = home.dgtui("rehearse", "nightly@latest", "--from", "nas", "--json")
        assert outcome.exit_code == 0, outcome
        assert '"phase":"remove"' in outcome.output.replace(" ", "")
        (row,) = home.dgtui("list", "--json").json()
        assert row["proven_by"] == "rehearsal"
        assert "rehearsed" in home.dgtui("list").output
        shown = home.dgtui("show", identity, "--json").json()
        assert shown["proven_at"] == row["proven_at"]
        assert (shown["proofs"][0]["storage"], shown["proofs"][0]["rows"]) == ("nas", 200)
        assert "Rehearsals:" in home.dgtui("show", identity).output
        preview = home.engine().preview_restore(source.execution)
        assert preview.outlook is not None
        assert preview.outlook.expected_from == "rehearsals"
        assert preview.outlook.expected_seconds == pytest.approx(shown["proofs"][0]["duration_seconds"])
        _mark_by_hand(home, identity)


def _mark_by_hand(home: Home, identity: str) -> None:
    assert home.dgtui("mark-restored", identity, "--reason", "x", "--at", "2001-01-01").exit_code == 2
    assert home.dgtui("mark-restored", identity, "--reason", " ").exit_code == 2
    assert home.dgtui("mark-restored", identity, "--reason", "x", "--at", "soon").exit_code == 2
    done = home.dgtui("mark-restored", identity, "--reason", "disk broken", "--json")
    assert done.exit_code == 0, done
    engine = home.engine()
    (restore,) = engine.restores()
    assert restore.restore_id == done.json()["restore_id"]
    assert (restore.by_hand, restore.reason, restore.status) == (True, "disk broken", "completed")
    assert restore.restored_by
    assert engine.proofs.proven()[identity].how == "rehearsal", "nobody compared what was restored by hand"
    assert "restore_completed" in {one.kind for one in Notifications(engine.catalog).listed()}
    assert "mark restored" in {entry.action for entry in AuditTable(engine.catalog).entries()}
    assert "by hand" in home.dgtui("restores", restore.restore_id).output
    refused = home.dgtui("undo", restore.restore_id, "--yes").errors
    assert "was not kept here" in refused
    assert "held nothing" not in refused, "nobody may remove it because of that"
