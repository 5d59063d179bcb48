"""A server that falls silent while it is loaded: it was waited for without end."""

import contextlib
import itertools
import threading

import pytest

from dgtui.engine.datasources import postgres_silence_watch
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.postgres_connection import Access, PostgresSettings
from dgtui.engine.errors import ServerTimeout
from dgtui.engine.model import RestoreType
from tests.support.cutting import cutting
from tests.support.homes import PATIENCE_SECONDS, Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import digest_of, postgres_table


@pytest.mark.parametrize(("backup_type", "jobs"), [("full", 1), ("full", 2), ("data_only", 1)])
def test_a_server_that_answers_nobody_ends_the_loading(
    home: Home, postgres_server: PostgresServer, backup_type: RestoreType, jobs: int
) -> None:
    """After the job's time; the database that was loaded into is told, since nothing can be removed there now."""
    with (
        postgres_server.database() as name,
        cutting(postgres_server.port, (b"hush now",), "silent", lambda: None) as proxy,
    ):
        postgres_server.execute("CREATE TABLE word (v text)", name)
        postgres_server.execute("INSERT INTO word VALUES ('hush now')", name)
        home.configure(postgres_table(postgres_server, name, port=proxy.port, tls="disable"))
        execution = home.back_up()
        assert execution.status == "completed", execution.problem
        source = postgres_table(postgres_server, name, port=proxy.port, tls="disable", connect_timeout=2)
        home.configure(source, job="idle_timeout = 3")
        postgres_server.execute("DELETE FROM word", name)
        before = digest_of(postgres_server, name)
        engine = home.engine()
        selection = Selection(backup_type=backup_type)
        run_id = engine.start_restore(execution, selection=selection, jobs=jobs, overwrite=True, safety=False)
        snapshot = home.finish(engine, run_id)
        assert proxy.has_cut
        assert snapshot.status == "failed"
        assert snapshot.problem is not None
        assert snapshot.problem.kind == "ServerTimeout"
        assert "answered nothing for " in snapshot.problem.message
        assert backup_type == "data_only" or f"{name}__dgtui_new" in snapshot.problem.hint
        assert digest_of(postgres_server, name) == before
        for other in postgres_server.databases():
            if other.startswith(f"{name}__dgtui"):
                postgres_server.drop_database(other)


@pytest.mark.parametrize("vain", [3, 4])
def test_a_server_is_given_up_by_the_number_of_vain_looks(monkeypatch: pytest.MonkeyPatch, vain: int) -> None:
    """And not by the clock, which goes on where we are stopped ourselves: one look was enough after that."""
    settings = PostgresSettings(type="postgres", database="shop")
    looks, answered, given_up = itertools.count(1), threading.Event(), threading.Event()

    def ask(*_: object) -> None:
        if next(looks) <= vain:
            raise ServerTimeout("no answer", subject="shop")
        answered.set()

    monkeypatch.setattr(postgres_silence_watch, "ask_postgres", ask)
    watch = postgres_silence_watch.SilenceWatch(Access(settings, None), "shop", 0.0, given_up.set)
    with pytest.raises(ServerTimeout) if vain == 4 else contextlib.nullcontext(), watch:
        assert (given_up if vain == 4 else answered).wait(PATIENCE_SECONDS)
    watch._thread.join()
    assert (given_up.is_set(), answered.is_set()) == (vain == 4, vain == 3)
