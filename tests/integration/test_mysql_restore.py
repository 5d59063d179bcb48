"""MySQL and MariaDB: targets, rights, loading that fails, and the swap."""

import threading
from pathlib import Path

import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.errors import DatabaseConnectionError, PermissionDenied, RestoreError
from dgtui.engine.reporting import SilentReporter
from tests.integration.mysql_pump import FileArchive, copy_database, dump_to, load_from
from tests.support.homes import PATIENCE_SECONDS
from tests.support.mariadb import KEEPER, MariadbServer, make_keeper, mysql_digest, mysql_nasty, quoted


def plain_database(server: MariadbServer, name: str | None = None, marker: int = 1) -> str:
    """Tables with foreign keys in a circle, and nothing besides."""
    name = server.create_database(name)
    server.execute(
        "CREATE TABLE hen (id INT PRIMARY KEY, egg INT)",
        "CREATE TABLE `e``gg` (id INT PRIMARY KEY, hen INT, CONSTRAINT laid FOREIGN KEY (hen) REFERENCES hen (id))",
        "ALTER TABLE hen ADD CONSTRAINT hatched FOREIGN KEY (egg) REFERENCES `e``gg` (id)",
        "CREATE TABLE history (a INT) WITH SYSTEM VERSIONING",
        f"INSERT INTO hen VALUES ({marker}, NULL)",
        f"INSERT INTO `e``gg` VALUES (1, {marker})",
        "UPDATE hen SET egg = 1",
        f"INSERT INTO history VALUES ({marker})",
        "UPDATE history SET a = a + 1",
        database=name,
    )
    return name


def rewritten(source: Path, target: Path, old: bytes, new: bytes) -> Path:
    """A copy of a dump with something else in it."""
    data = source.read_bytes()
    assert old in data
    target.write_bytes(data.replace(old, new, 1))
    return target


def test_the_state_of_a_target(mariadb: MariadbServer) -> None:
    """There or not, empty or not, and who is connected; a view alone is already something."""
    source = mariadb.datasource("any")
    assert not source.target_state("nowhere").exists
    name = mariadb.create_database()
    assert source.target_state(name).exists
    assert source.target_state(name).empty
    mariadb.execute("CREATE VIEW v AS SELECT 1", database=name)
    assert not source.target_state(name).empty
    mysql_nasty(mariadb, name)
    with mariadb.connect(name):
        state = source.target_state(name)
    assert len(state.clients) == 1
    assert {"bytes", "v (view)", "plus_one (routine)", "never (event)"} <= {entry.name for entry in state.objects}


def test_the_rows_of_a_versioned_table_are_counted_with_its_history(mariadb: MariadbServer) -> None:
    """As the server's own statistics do, which a backup records: else each restore would seem to lack rows."""
    name = plain_database(mariadb)
    rows = {entry.name: entry.rows for entry in mariadb.datasource(name).inventory(name)}
    assert rows == {"hen": 1, "e`gg": 1, "history": 2}


def test_a_new_database_is_like_the_old_one(mariadb: MariadbServer) -> None:
    """Character set and collation are taken over."""
    mariadb.create_database("first", "CHARACTER SET greek COLLATE greek_bin")
    mariadb.datasource("first").create_target("second", like="first")
    assert mysql_digest(mariadb, "second") == mysql_digest(mariadb, "first")
    with pytest.raises(RestoreError, match="second"):
        mariadb.datasource("first").create_target("second")


@pytest.mark.parametrize("name", ["mysql", "SYS", "information_schema", "performance_schema"])
def test_the_servers_own_databases_are_out_of_reach(mariadb: MariadbServer, tmp_path: Path, name: str) -> None:
    """Neither dropped, nor created, nor loaded into, nor swapped."""
    source = mariadb.datasource("any")
    (tmp_path / "x.sql").write_bytes(b"")
    for act in (
        lambda: source.drop_target(name),
        lambda: source.create_target(name),
        lambda: source.check_restore(FileArchive(tmp_path / "x.sql"), name, Selection()),
        lambda: load_from(source, tmp_path / "x.sql", name),
        lambda: source.swap(name, "a", "b", SilentReporter()),
    ):
        with pytest.raises(RestoreError, match="belongs to the server"):
            act()


def test_dropping_what_is_not_there(mariadb: MariadbServer) -> None:
    """It does nothing; and a database with a strange name is dropped alone."""
    source = mariadb.datasource("any")
    source.drop_target("nowhere")
    for name in ("a`; DROP DATABASE b; -- ", "b"):
        mariadb.create_database(name.strip() if name.endswith(" ") else name)
    source.drop_target("a`; DROP DATABASE b; --")
    assert "b" in mariadb.databases()
    assert "a`; DROP DATABASE b; --" not in mariadb.databases()


def test_names_beside_a_database() -> None:
    """Within 64 characters, and different for different databases."""
    source = MariadbServer.__new__(MariadbServer)
    source.port = 1
    adapter = source.datasource("any")
    assert adapter.beside_name("shop", "__dgtui_new") == "shop__dgtui_new"
    first, second = (adapter.beside_name("é" * 63 + end, "__dgtui_new") for end in "ab")
    assert first != second
    assert len(first) == len(second) == 64
    assert first.endswith("__dgtui_new")


def test_a_statement_that_fails_stops_the_load_and_is_named(mariadb: MariadbServer, tmp_path: Path) -> None:
    """The first error is in the outcome, with the section of the archive; nothing after it is loaded."""
    name = plain_database(mariadb)
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "all.sql")
    bad = rewritten(tmp_path / "all.sql", tmp_path / "bad.sql", b"CREATE TABLE `hen` (", b"CREATE TABEL `hen` (")
    source.create_target("bad", like=name)
    outcome = load_from(source, bad, "bad")
    assert outcome.error_count == 1
    assert "1064" in outcome.errors[0].message
    assert outcome.errors[0].statement.startswith("table hen (line ")
    assert [entry.name for entry in source.inventory("bad")] == ["e`gg"]


def test_rows_that_do_not_arrive_are_an_error(mariadb: MariadbServer, tmp_path: Path) -> None:
    """The client ends well, but the database counts other rows than the archive holds."""
    name = plain_database(mariadb)
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "all.sql")
    bad = rewritten(
        tmp_path / "all.sql",
        tmp_path / "bad.sql",
        b"/*!40000 ALTER TABLE `hen` ENABLE KEYS */;\n",
        b"/*!40000 ALTER TABLE `hen` ENABLE KEYS */;\nDELETE FROM hen;\n",
    )
    source.create_target("bad", like=name)
    outcome = load_from(source, bad, "bad")
    assert [error.message for error in outcome.errors] == ["0 rows of hen are in the database, 1 were in the backup"]


@pytest.mark.parametrize(
    "planted", ["USE victim;\n", "use victim;\n", "CREATE DATABASE pwned;\n", "DROP DATABASE victim;\n"]
)
def test_an_archive_stays_in_its_database(mariadb: MariadbServer, tmp_path: Path, planted: str) -> None:
    """A statement between the sections that would leave the target is refused."""
    mariadb.create_database("victim")
    name = plain_database(mariadb)
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "all.sql")
    mark = b"CREATE TABLE `hen` ("
    bad = rewritten(tmp_path / "all.sql", tmp_path / "bad.sql", mark, planted.encode() + mark)
    source.create_target("bad", like=name)
    with pytest.raises(RestoreError, match="outside of the database"):
        load_from(source, bad, "bad")
    assert mariadb.execute("SHOW TABLES", database="victim") == []
    assert "pwned" not in mariadb.databases()


@pytest.mark.parametrize("command", ["\\! touch {}", "system touch {}", "source {}", "\\T {}", "tee {}"])
@pytest.mark.parametrize("mark", [b"CREATE TABLE `hen` (", b"/*!40000 ALTER TABLE `hen` ENABLE KEYS"])
def test_an_archive_runs_no_program(mariadb: MariadbServer, tmp_path: Path, command: str, mark: bytes) -> None:
    """The client's own commands are just bytes that fail."""
    name = plain_database(mariadb)
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "all.sql")
    planted = command.format(tmp_path / "PWNED").encode() + b"\n"
    bad = rewritten(tmp_path / "all.sql", tmp_path / "bad.sql", mark, planted + mark)
    source.create_target("bad", like=name)
    try:
        outcome = load_from(source, bad, "bad")
    except RestoreError as error:
        assert "outside of the database" in error.message  # noqa: PT017  # either answer is right
    else:
        assert outcome.errors
    assert not (tmp_path / "PWNED").exists()


def test_a_server_killed_during_the_load(own_mariadb: MariadbServer, tmp_path: Path) -> None:
    """The lost connection is raised, not taken for an end."""
    name = own_mariadb.create_database()
    own_mariadb.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, v TEXT)",
        "INSERT INTO t SELECT seq, REPEAT(MD5(seq), 300) FROM seq_1_to_6000",
        database=name,
    )
    source = own_mariadb.datasource(name)
    dump_to(source, tmp_path / "all.sql")
    source.create_target("copy", like=name)
    archive = FileArchive(tmp_path / "all.sql")

    class KillingArchive(FileArchive):
        def blocks(self):  # type: ignore[no-untyped-def]  # as the archive's
            for number, block in enumerate(archive.blocks()):
                if number == 40:
                    own_mariadb.kill()
                yield block

    with pytest.raises(DatabaseConnectionError) as caught:
        source.load(
            KillingArchive(tmp_path / "all.sql"),
            "copy",
            Selection(),
            SilentReporter(),
            jobs=1,
            scratch_folder=tmp_path,
        )
    assert "Its error log tells why it ended: a full disk" in caught.value.hint


def test_rights_and_triggers_are_looked_at_before(mariadb: MariadbServer, tmp_path: Path) -> None:
    """A user who may not write is told so with a GRANT; data alone is not loaded past triggers."""
    name = mariadb.create_database()
    mysql_nasty(mariadb, name)
    mariadb.execute("CREATE USER poor@'%' IDENTIFIED BY 'pw'", f"GRANT SELECT ON {quoted(name)}.* TO poor@'%'")
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "all.sql")
    archive = FileArchive(tmp_path / "all.sql")
    with pytest.raises(PermissionDenied) as caught:
        mariadb.datasource(name, "pw", username="poor").check_restore(archive, name, Selection())
    mariadb.execute(caught.value.hint)
    with pytest.raises(PermissionDenied, match="beside") as beside:
        mariadb.datasource(name, "pw", username="poor").check_restore(archive, name, Selection())
    mariadb.execute(*beside.value.detail)
    notes = mariadb.datasource(name, "pw", username="poor").check_restore(archive, name, Selection())
    assert any("definer" in note for note in notes)
    # One grant is enough for the database of each rehearsal, whose name is never the same.
    mariadb.datasource(name, "pw", username="poor").check_restore(archive, f"{name}__dgtui_rehearsal_1", Selection())
    assert source.check_restore(archive, name, Selection()) == ()
    with pytest.raises(RestoreError, match="after_words"):
        source.check_restore(archive, name, Selection(backup_type="data_only"))


def test_the_right_for_the_databases_of_rehearsals_is_named_for_all_of_them(
    mariadb: MariadbServer, tmp_path: Path
) -> None:
    name = plain_database(mariadb)
    dump_to(mariadb.datasource(name), tmp_path / "all.sql")
    archive = FileArchive(tmp_path / "all.sql")
    mariadb.execute("CREATE USER some@'%' IDENTIFIED BY 'pw'", f"GRANT ALL ON {quoted(name)}.* TO some@'%'")
    user = mariadb.datasource(name, "pw", username="some")
    with pytest.raises(PermissionDenied) as caught:
        user.check_restore(archive, f"{name}__dgtui_rehearsal_1", Selection())
    mariadb.execute(caught.value.hint)
    user.check_restore(archive, f"{name}__dgtui_rehearsal_2", Selection())


def test_another_product_is_noted(mariadb: MariadbServer, tmp_path: Path) -> None:
    """A dump of MySQL, or of a newer MariaDB, is told before it is loaded."""
    name = plain_database(mariadb)
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "all.sql")
    newer = rewritten(tmp_path / "all.sql", tmp_path / "b.sql", b"-- Server version\t10.11", b"-- Server version\t99.1")
    assert "older" in source.check_restore(FileArchive(newer), name, Selection())[0]
    other = tmp_path / "c.sql"
    other.write_bytes(b"-- MySQL dump 10.13  Distrib 8.0.36, for Linux\n--\n--\n-- Server version\t8.0.36\n\n")
    assert "MySQL 8.0.36" in source.check_restore(FileArchive(other), name, Selection())[0]


def test_the_swap_moves_everything_at_once(mariadb: MariadbServer, tmp_path: Path) -> None:
    """New in the place of current, the old kept whole; grants and foreign keys hold; a reader sees one or the other."""
    current = plain_database(mariadb, "sw`ap", marker=1)
    other = plain_database(mariadb, "backed_up", marker=2)
    source = mariadb.datasource(other)
    assert copy_database(source, "swap__new", tmp_path).errors == ()
    old, new = mysql_digest(mariadb, current), mysql_digest(mariadb, "swap__new")
    assert old != new
    seen: set[tuple[int, int]] = set()
    broken: list[Exception] = []
    done, begun = threading.Event(), threading.Event()

    def read() -> None:
        try:
            with mariadb.connect(current) as connection, connection.cursor() as cursor:
                while not done.is_set():
                    cursor.execute("SELECT hen.id, e.hen FROM hen JOIN `e``gg` e")
                    seen.update(cursor.fetchall())
                    begun.set()
        except Exception as error:  # noqa: BLE001  # shown by the assertion below
            broken.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(PATIENCE_SECONDS)
    try:
        source.swap("swap__new", current, "swap__old", SilentReporter())
    finally:
        done.set()
        reader.join()
    assert broken == []
    assert seen <= {(1, 1), (2, 2)}
    assert mysql_digest(mariadb, current) == new
    assert mysql_digest(mariadb, "swap__old") == old
    assert "swap__new" not in mariadb.databases()
    with pytest.raises(Exception, match="foreign key"):
        mariadb.execute("DELETE FROM hen", database=current)
    # And back again: the undo.
    source.swap("swap__old", current, "swap__new", SilentReporter())
    assert mysql_digest(mariadb, current) == old


@pytest.mark.parametrize("side", ["new", "current"])
def test_the_swap_refuses_what_it_would_lose(mariadb: MariadbServer, side: str) -> None:
    """Foreign keys of a database where the user may not change them: nothing is touched, the hint names the way out."""
    current, new = plain_database(mariadb, marker=1), plain_database(mariadb, marker=2)
    outside = mariadb.create_database()
    for name in (current, new, "kept"):
        make_keeper(mariadb, name)
    changed = new if side == "new" else current
    mariadb.execute(f"CREATE TABLE child (hen INT, FOREIGN KEY (hen) REFERENCES {changed}.hen (id))", database=outside)
    digests = [mysql_digest(mariadb, name) for name in (current, new)]
    before = mariadb.databases()
    with pytest.raises(RestoreError, match=f"foreign keys to or from {outside}") as caught:
        mariadb.datasource(current, username=KEEPER).swap(new, current, "kept", SilentReporter())
    assert "--into" in caught.value.hint
    assert [mysql_digest(mariadb, name) for name in (current, new)] == digests
    assert mariadb.databases() == before


def test_the_swap_gives_up_when_a_table_is_in_use(mariadb: MariadbServer) -> None:
    """An open transaction holds it: after lock_timeout everything is as before, and no empty database is left."""
    current, new = plain_database(mariadb, marker=1), plain_database(mariadb, marker=2)
    digests = [mysql_digest(mariadb, name) for name in (current, new)]
    before = mariadb.databases()
    with mariadb.connect(current, autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM hen")
        with pytest.raises(RestoreError) as caught:
            mariadb.datasource(current, lock_timeout=1).swap(new, current, "kept", SilentReporter())
        connection.rollback()
    assert "in use" in caught.value.hint
    assert [mysql_digest(mariadb, name) for name in (current, new)] == digests
    assert mariadb.databases() == before


def test_the_swap_does_not_overwrite_what_was_kept(mariadb: MariadbServer) -> None:
    """A name that is taken is refused."""
    current, new, kept = (plain_database(mariadb, marker=number) for number in (1, 2, 3))
    with pytest.raises(RestoreError, match="not empty"):
        mariadb.datasource(current).swap(new, current, kept, SilentReporter())
