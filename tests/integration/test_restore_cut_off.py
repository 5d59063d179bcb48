"""The connection is lost at any step: the old content or the new, and the program finds out which."""

import contextlib
import itertools
from collections.abc import Callable, Iterator

import pytest

from dgtui.engine.settling import unsettled
from tests.support.cutting import Cut, CuttingProxy, cutting
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest
from tests.support.postgres import PostgresServer
from tests.support.round_trips import digest_of, mysql_table, postgres_table

Digest = Callable[[], dict[str, str]]


@contextlib.contextmanager
def _behind(
    kind: str, cut: Cut, home: Home, request: pytest.FixtureRequest, *, at_words: bool = True
) -> Iterator[tuple[CuttingProxy, Digest, Callable[[str], object]]]:
    """A database behind a proxy that cuts at the swap or where the test says so; its digest; what runs a statement."""
    if kind == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dgtui'"
        words = (b"RENAME TO", b"COMMIT") if at_words else ()
        with (
            postgres.database() as name,
            cutting(postgres.port, words, cut, lambda: postgres.execute(ending)) as proxy,
        ):
            home.configure(postgres_table(postgres, name, port=proxy.port, tls="disable"))
            yield proxy, lambda: digest_of(postgres, name), lambda text: postgres.execute(text, name)
            for other in postgres.databases():
                if other.startswith(f"{name}__dgtui"):
                    postgres.drop_database(other)
        return
    mariadb: MariadbServer = request.getfixturevalue("mariadb")
    name = mariadb.create_database()

    def end_all() -> None:
        for (number,) in mariadb.execute(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER = 'root'"
        ):
            mariadb.execute(f"KILL {number}")

    with cutting(mariadb.port, (b"RENAME TABLE",) if at_words else (), cut, end_all) as proxy:
        home.configure(mysql_table(mariadb, name, port=proxy.port, tls="disable"))
        yield proxy, lambda: mysql_digest(mariadb, name), lambda text: mariadb.execute(text, database=name)


@pytest.mark.parametrize("cut", ["before", "after", "terminated", "down"])
@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_cut_off_at_the_swap(kind: str, cut: Cut, home: Home, request: pytest.FixtureRequest) -> None:
    """What the record says is what is there; where the server cannot be asked, the next start asks it."""
    with _behind(kind, cut, home, request) as (proxy, digest, run):
        run("CREATE TABLE word (id INT PRIMARY KEY)")
        run("INSERT INTO word VALUES (1), (2), (3)")
        execution = home.back_up()
        assert execution.status == "completed", execution.problem
        backed_up = digest()
        run("DELETE FROM word WHERE id = 2")
        before = digest()
        engine = home.engine()
        run_id = engine.start_restore(execution, overwrite=True, safety=False)
        snapshot = home.finish(engine, run_id)
        assert proxy.has_cut
        if cut == "down":
            assert snapshot.status == "failed"
            assert snapshot.problem is not None
            assert "cannot be told now" in snapshot.problem.message
            assert "as it was" not in snapshot.problem.message
            assert ("something may be missing" in snapshot.problem.message) == (kind == "mariadb")
            assert f"dgtui cleanup-restore {run_id[:8]}" in snapshot.problem.hint
            assert not engine.undo_choice(engine.restore(run_id)).possible
            proxy.open = True
        restore = home.engine().restore(run_id)
        assert digest() == (backed_up if restore.status == "completed" else before)
        assert restore.placing is None or restore.placing.mark is None
        again = home.engine()
        snapshot = home.finish(again, again.start_restore(execution, overwrite=True, safety=False))
        assert snapshot.status == "completed", snapshot.problem
        assert digest() == backed_up
        assert unsettled(again.catalog) == []


@pytest.mark.parametrize("first", [1, 2, 3])
@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_cut_off_at_every_step(kind: str, first: int, home: Home, request: pytest.FixtureRequest) -> None:
    """Each step opens connections of its own: all are lost when the Nth is asked for, until a restore needs no more.

    Looking, saving, loading beside, comparing, ending sessions, renaming, what comes after, and dropping.
    """
    with _behind(kind, "down", home, request, at_words=False) as (proxy, digest, run):
        run("CREATE TABLE word (id INT PRIMARY KEY)")
        run("INSERT INTO word VALUES (1), (2), (3)")
        run("CREATE VIEW words AS SELECT id FROM word")
        execution = home.back_up()
        assert execution.status == "completed", execution.problem
        backed_up = digest()
        ended = set()
        for number in itertools.count(first, 3):
            if digest() == backed_up:
                run("DELETE FROM word WHERE id = 2")
            before = digest()
            engine = home.engine()
            proxy.cut_at(number)
            run_id = engine.start_restore(execution, overwrite=True)
            status = home.finish(engine, run_id).status
            was_cut, asked = proxy.has_cut, proxy.connections
            proxy.cut_at(0)
            again = home.engine()
            restore = again.restore(run_id)
            step = f"{number} of {asked}: {restore.problem}"
            assert digest() == (backed_up if restore.status == "completed" else before), step
            assert restore.placing is None or restore.placing.mark is None, step
            assert restore.status in {"completed", "failed"}, step
            assert not restore.partly_filled, step
            if restore.placing is not None:
                assert any(f"dgtui cleanup-restore {run_id[:8]}" in line for line in again.reconciled), step
            ended.add(restore.status)
            if not was_cut:
                assert status == "completed", step
                break
        assert ended == {"completed", "failed"}
        assert unsettled(home.engine().catalog) == []
