"""MySQL and MariaDB: what goes in comes out."""

import subprocess
from pathlib import Path

import pytest

from dgtui.engine.datasources import mysql_estimate
from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.mysql_archive import table_names
from dgtui.engine.datasources.mysql_connection import Access
from dgtui.engine.datasources.mysql_letters import changed_text
from dgtui.engine.errors import ConfigError
from tests.integration.mysql_pump import FileArchive, Listener, copy_database, dump_to, load_from
from tests.support.mariadb import MariadbServer, mysql_digest, mysql_nasty, quoted

HOSTILE_NAMES = (
    'we"ird; --x',
    "--help",
    "`tick``s`",
    "größe ☃ 日本",
    "two  spaces 'q' \"d\"",
    "back\\slash\\n",
    "$(touch x)",
    "50%_off",
    "a.b",
    "-",
    "x" * 64,
)


def test_everything_hard_comes_back_exactly(mariadb: MariadbServer, tmp_path: Path) -> None:
    """Schema and data are equal by a digest that knows nothing of the dump tool; the server's packets are small."""
    name = mariadb.create_database()
    mysql_nasty(mariadb, name, big_row_bytes=26_000_000)
    before = mysql_digest(mariadb, name)
    packet = mariadb.execute("SELECT @@GLOBAL.max_allowed_packet")
    outcome = copy_database(mariadb.datasource(name), f"{name}_copy", tmp_path)
    assert outcome.errors == ()
    assert mysql_digest(mariadb, f"{name}_copy") == before
    assert mysql_digest(mariadb, name) == before
    assert mariadb.execute("SELECT @@GLOBAL.max_allowed_packet") == packet


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_database_name_is_data(mariadb: MariadbServer, tmp_path: Path, name: str) -> None:
    """No name is taken for an option, for SQL or for the shell."""
    mariadb.create_database(name)
    mariadb.execute(
        "CREATE TABLE t (a INT PRIMARY KEY, b TEXT)", "INSERT INTO t VALUES (1, 'x'), (2, NULL)", database=name
    )
    source = mariadb.datasource(name)
    copy = source.beside_name(name, "__new")
    assert len(copy) <= 64
    outcome = copy_database(source, copy, tmp_path)
    assert outcome.errors == ()
    assert mysql_digest(mariadb, copy) == mysql_digest(mariadb, name)
    assert [entry.name for entry in source.inventory(copy)] == ["t"]


def test_lines_for_the_plain_client_restore_as_well(mariadb: MariadbServer, tmp_path: Path) -> None:
    """What RESTORE.txt says works in a shell, for a name that a shell would stumble over."""
    name = mariadb.create_database("odd; `x` $HOME")
    mysql_nasty(mariadb, name)
    before = mysql_digest(mariadb, name)
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "the backup.sql")
    lines = source.manual_restore("the backup.sql", name)
    mariadb.drop_database(name)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert mysql_digest(mariadb, name) == before


def test_chosen_tables_only(mariadb: MariadbServer, tmp_path: Path) -> None:
    """A selection brings back these tables with their triggers, and nothing else."""
    name = mariadb.create_database()
    mysql_nasty(mariadb, name)
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "all.sql")
    mariadb.create_database(f"{name}_part")
    chosen = ("words", "two\nlines", 'we`ird; -- "x"')
    outcome = load_from(source, tmp_path / "all.sql", f"{name}_part", Selection(tables=chosen))
    assert outcome.errors == ()
    whole, part = mysql_digest(mariadb, name), mysql_digest(mariadb, f"{name}_part")
    assert {entry.name for entry in source.inventory(f"{name}_part")} == set(chosen)
    for table in chosen:
        assert part[f"rows of {table}"] == whole[f"rows of {table}"]
    assert {key for key in part if key.startswith("trigger")} == {"trigger before_words", "trigger after_words"}
    outcome = load_from(source, tmp_path / "all.sql", f"{name}_part", Selection(tables=("nowhere",)))
    assert [error.message for error in outcome.errors] == ["The backup holds no table nowhere"]


def test_schema_then_data_make_the_whole(mariadb: MariadbServer, tmp_path: Path) -> None:
    """Structure alone holds no row; data alone fills it; both without triggers acting in between."""
    name = mariadb.create_database()
    mysql_nasty(mariadb, name)
    mariadb.execute("DROP TRIGGER before_words", "DROP TRIGGER after_words", database=name)
    before = mysql_digest(mariadb, name)
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "all.sql")
    source.create_target(f"{name}_two", like=name)
    schema, data = Selection(backup_type="schema_only"), Selection(backup_type="data_only")
    assert load_from(source, tmp_path / "all.sql", f"{name}_two", schema).errors == ()
    assert all(entry.rows == 0 for entry in source.inventory(f"{name}_two"))
    assert load_from(source, tmp_path / "all.sql", f"{name}_two", data).errors == ()
    assert mysql_digest(mariadb, f"{name}_two") == before


@pytest.mark.parametrize("backup_type", ["schema_only", "data_only"])
def test_a_dump_of_one_half(mariadb: MariadbServer, tmp_path: Path, backup_type: str) -> None:
    """The dump itself can be of the structure or of the data."""
    name = mariadb.create_database()
    mysql_nasty(mariadb, name)
    source = mariadb.datasource(name)
    options = DumpOptions(backup_type="schema_only" if backup_type == "schema_only" else "data_only")
    dump_to(source, tmp_path / "half.sql", options)
    text = (tmp_path / "half.sql").read_bytes()
    assert (b"INSERT INTO" in text.replace(b"INSERT INTO audit", b"")) == (backup_type == "data_only")
    assert (b"CREATE TABLE" in text) == (backup_type == "schema_only")
    assert (b"plus_one" in text) == (backup_type == "schema_only")
    tables = table_names(FileArchive(tmp_path / "half.sql").blocks())
    assert "words" in tables
    assert "two\nlines" in tables


def test_tables_and_excluded_tables(mariadb: MariadbServer, tmp_path: Path) -> None:
    """A job may name the tables it wants, or those it does not want."""
    name = mariadb.create_database("dots.and -- dashes")
    mariadb.execute(
        *(f"CREATE TABLE {quoted(table)} (a INT)" for table in ("a", "--all-databases", "c d")), database=name
    )
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "a.sql", DumpOptions(tables=("--all-databases", "a")))
    assert set(table_names(FileArchive(tmp_path / "a.sql").blocks())) == {"--all-databases", "a"}
    summary = dump_to(source, tmp_path / "b.sql", DumpOptions(exclude_tables=("c d",)))
    assert set(table_names(FileArchive(tmp_path / "b.sql").blocks())) == {"--all-databases", "a"}
    assert {entry.name for entry in summary.objects} == {"--all-databases", "a"}
    with pytest.raises(ConfigError, match="no table missing"):
        source.probe(DumpOptions(tables=("a", "missing")))


def test_sections_are_found_however_the_stream_is_cut(mariadb: MariadbServer, tmp_path: Path) -> None:
    """Blocks of a few bytes give the same tables and the same database as large ones."""
    name = mariadb.create_database()
    mysql_nasty(mariadb, name)
    source = mariadb.datasource(name)
    dump_to(source, tmp_path / "all.sql")
    whole = table_names(FileArchive(tmp_path / "all.sql").blocks())
    assert "evil" not in whole
    assert "x" not in whole
    for block in (1, 13, 1000):
        assert table_names(FileArchive(tmp_path / "all.sql", block).blocks()) == whole
    source.create_target(f"{name}_cut", like=name)
    assert load_from(source, tmp_path / "all.sql", f"{name}_cut", block=29).errors == ()
    assert mysql_digest(mariadb, f"{name}_cut") == mysql_digest(mariadb, name)


def test_a_copy_does_not_touch_its_source(mariadb: MariadbServer, tmp_path: Path) -> None:
    """The dump names the source in ALTER DATABASE and in defaults from sequences; a copy must not act on it."""
    name = mariadb.create_database()
    mysql_nasty(mariadb, name)
    source = mariadb.datasource(name)
    assert copy_database(source, f"{name}_copy", tmp_path).errors == ()
    assert quoted(name).encode() in (tmp_path / "backup.sql").read_bytes()
    mariadb.drop_database(name)
    mariadb.execute("INSERT INTO made (a) VALUES (5)", database=f"{name}_copy")
    shown = mariadb.execute("SHOW CREATE TABLE made", database=f"{name}_copy")[0][1]
    assert f"nextval({quoted(name + '_copy')}.`counter`)" in shown
    # The archive alone still makes the whole, with the source gone.
    source.create_target(f"{name}_late", like=f"{name}_copy")
    assert load_from(source, tmp_path / "backup.sql", f"{name}_late").errors == ()
    assert name not in mariadb.databases()


def test_the_probe_tells_what_is_there(mariadb: MariadbServer) -> None:
    """Product, version, tables, clients, tool, and what the dump will lose."""
    name = mariadb.create_database()
    mysql_nasty(mariadb, name)
    mariadb.execute("CREATE TABLE old (a INT) ENGINE=MyISAM", database=name)
    with mariadb.connect(name):
        probe = mariadb.datasource(name).probe()
    assert probe.product == f"MariaDB {probe.version}"
    assert probe.tool is not None
    assert probe.tool.name == "mariadb-dump"
    assert {"bytes", "two\nlines", "history"} <= {entry.name for entry in probe.objects}
    assert not {"zeta", "counter"} & {entry.name for entry in probe.objects}
    assert [client.user for client in probe.clients] == ["root"]
    told = " | ".join(probe.warnings)
    assert "Not transactional: old" in told
    assert "numbers.f" in told
    assert "CHECK OPTION" in told


def test_progress_names_each_table(mariadb: MariadbServer, tmp_path: Path) -> None:
    """The tool's own words give the current table and its number of how many."""
    name = mariadb.create_database()
    mariadb.execute(*(f"CREATE TABLE t{number} (a INT)" for number in range(5)), database=name)
    listener = Listener()
    dump_to(mariadb.datasource(name), tmp_path / "t.sql", reporter=listener)
    assert listener.objects == [(f"t{number}", number + 1, 5) for number in range(5)]


@pytest.mark.parametrize("analyzed", [False, True])
def test_the_estimate_is_near_the_size(
    mariadb: MariadbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, analyzed: bool
) -> None:
    """Within 15 % for numbers, growing text with many escapes, blobs and JSON, also where the server takes its time."""
    monkeypatch.setattr(mysql_estimate, "_BUDGET_SECONDS", 0.0)
    monkeypatch.setattr(mysql_estimate, "_LARGEST_BUDGET_SECONDS", 60.0)
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE numbers (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, d DOUBLE, c CHAR(200), t DATETIME)",
        "INSERT INTO numbers (a, d, c, t) SELECT seq * 37, seq / 7, 'pad', NOW() FROM seq_1_to_60000",
        "CREATE TABLE logs (id INT PRIMARY KEY, line TEXT)",
        "INSERT INTO logs SELECT seq, CONCAT(REPEAT('it''s \"x\"\\n', 1 + seq DIV 2000), UUID()) FROM seq_1_to_20000",
        "CREATE TABLE blobs (id INT PRIMARY KEY, b MEDIUMBLOB)",
        "INSERT INTO blobs SELECT seq, REPEAT(UNHEX(MD5(seq)), 2000) FROM seq_1_to_300",
        "CREATE TABLE docs (k VARCHAR(20) PRIMARY KEY, j JSON)",
        "INSERT INTO docs SELECT UUID_SHORT(), JSON_OBJECT('n', seq, 't', REPEAT('z', seq % 300)) FROM seq_1_to_9000",
        *(["ANALYZE TABLE numbers, logs, blobs, docs"] if analyzed else []),
        database=name,
    )
    source = mariadb.datasource(name)
    estimate = source.probe().estimated_dump_bytes
    dump_to(source, tmp_path / "all.sql")
    size = (tmp_path / "all.sql").stat().st_size
    assert estimate is not None
    assert abs(estimate - size) <= 0.15 * size, f"{estimate} for {size}"


@pytest.mark.parametrize(
    ("charset", "lost", "kept"),
    [("cp1250", "8183", "e1"), ("sjis", "835c5c", "835c"), ("gbk", "a2a0", "c4e3"), ("greek", "d2", "e1")],
)
def test_text_that_a_dump_changes_is_told(
    mariadb: MariadbServer, tmp_path: Path, charset: str, lost: str, kept: str
) -> None:
    """Bytes without a letter in Unicode, or with one that has others: the dump has another text, without a word."""
    name = mariadb.create_database()
    mariadb.execute(
        "SET sql_mode = ''",
        f"CREATE TABLE t (`a``b` VARCHAR(20) CHARACTER SET {charset}, e ENUM('x') CHARACTER SET {charset})",
        f"INSERT INTO t VALUES (UNHEX('{kept}'), 'x'), (NULL, NULL)",
        database=name,
    )
    source, path = mariadb.datasource(name), tmp_path / "all.sql"
    assert dump_to(source, path).warnings == ()
    mariadb.execute("SET sql_mode = ''", f"INSERT INTO t VALUES (UNHEX('{lost}'), 'x')", database=name)
    assert [warning for warning in dump_to(source, path).warnings if f"t.a`b ({charset})" in warning]
    assert dump_to(source, path, DumpOptions(backup_type="schema_only")).warnings == ()


def test_text_in_a_character_set_that_loses_nothing_is_not_looked_at(mariadb: MariadbServer) -> None:
    """The server is asked for its bytes once; the rows of a large table take as long as its dump."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a TEXT CHARACTER SET latin2, b TEXT CHARACTER SET koi8r)", database=name)
    listener = Listener()
    tables = mariadb.datasource(name).probe().objects
    assert changed_text(Access(mariadb.settings(name), None), tables, listener) == ()
    assert listener.lines == []


def test_text_that_cannot_be_looked_at_is_told(mariadb: MariadbServer) -> None:
    """Another session holds the table: after lock_timeout that is said, and the dump itself judges the lock."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a TEXT CHARACTER SET sjis)", database=name)
    source = mariadb.datasource(name, lock_timeout=1)
    tables = source.probe().objects
    with mariadb.connect(name) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES t WRITE")
        listener = Listener()
        told = changed_text(Access(mariadb.settings(name, lock_timeout=1), None), tables, listener)
    assert [warning for warning in told if "could not be looked at: Lock wait timeout" in warning]
    assert listener.lines == ["Looking whether the text in 1 column survives utf8mb4, in which it is dumped"]
