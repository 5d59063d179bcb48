"""MySQL and MariaDB: whatever goes wrong is noticed, and said in words that help."""

import os
import signal
import threading
from contextlib import closing
from pathlib import Path

import pytest

from dgtui.engine.datasources.dumping import ArchiveCheck, DumpOptions
from dgtui.engine.datasources.mysql import MysqlDatasource
from dgtui.engine.datasources.mysql_dump import MysqlDump
from dgtui.engine.datasources.mysql_errors import translate_error
from dgtui.engine.errors import (
    AuthenticationError,
    BackupCreationError,
    DatabaseConnectionError,
    DataGuardianError,
    PermissionDenied,
    ValidationError,
)
from dgtui.engine.reporting import SilentReporter
from tests.integration.mysql_pump import BLOCK, copy_database, drain, dump_to
from tests.support.homes import PATIENCE_SECONDS
from tests.support.mariadb import MariadbServer, mysql_digest, quoted

PASSWORD = "p\"a'ss #;\\ \\n=é%s  "
LARGE = "INSERT INTO t SELECT seq, REPEAT(MD5(seq), 300) FROM seq_1_to_5000"


def large_database(server: MariadbServer) -> str:
    """About 50 MB, more than any pipe holds."""
    name = server.create_database()
    server.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)", LARGE, database=name)
    return name


def started(source: MysqlDatasource, check: ArchiveCheck | None = None) -> MysqlDump:
    """A dump that is surely in the middle of the data; what it gave until then goes to the check."""
    dump = source.open_dump(source.probe(), DumpOptions(), SilentReporter())
    assert isinstance(dump, MysqlDump)
    seen = 0
    while seen < 1_000_000:
        block = os.read(dump.fd, BLOCK)
        seen += len(block)
        if check is not None:
            check.feed(block)
    return dump


def test_a_wrong_password_is_said_and_not_shown(mariadb: MariadbServer) -> None:
    """The user and the host are named, the password is not, and it is not tried again."""
    name = mariadb.create_database()
    mariadb.execute("CREATE USER backup@'%' IDENTIFIED BY 'right'")
    with pytest.raises(AuthenticationError) as caught:
        mariadb.datasource(name, "wr0ng-s3cret", username="backup").probe()
    error = caught.value
    assert error.retry.tries == 1
    assert "backup" in error.subject
    assert "backup" in error.hint
    assert "wr0ng-s3cret" not in f"{error.message}{error.subject}{error.hint}{error.detail}"


def test_an_expired_password_is_told_apart(mariadb: MariadbServer) -> None:
    """The hint says that it expired."""
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE USER late@'%' IDENTIFIED BY 'old' PASSWORD EXPIRE", f"GRANT ALL ON {quoted(name)}.* TO late@'%'"
    )
    with pytest.raises(AuthenticationError) as caught:
        mariadb.datasource(name, "old", username="late").probe()
    assert "expired" in caught.value.hint


def test_a_missing_database_is_said(mariadb: MariadbServer) -> None:
    """It is named, and where it was looked for."""
    with pytest.raises(DatabaseConnectionError, match="There is no database nowhere"):
        mariadb.datasource("nowhere").probe()


def test_nobody_listens(own_mariadb: MariadbServer) -> None:
    """Host and port are named."""
    name = own_mariadb.create_database()
    own_mariadb.stop()
    with pytest.raises(DatabaseConnectionError, match=f"127.0.0.1:{own_mariadb.port}") as caught:
        own_mariadb.datasource(name, "s3cret").probe()
    assert not isinstance(caught.value, AuthenticationError)
    assert f"listen on 127.0.0.1:{own_mariadb.port}" in caught.value.hint


def test_a_frozen_server_does_not_hold_us(own_mariadb: MariadbServer) -> None:
    """A server that accepts and never answers ends the look within the configured time."""
    name = own_mariadb.create_database()
    own_mariadb.freeze()
    with pytest.raises(DatabaseConnectionError):
        own_mariadb.datasource(name, connect_timeout=1).probe()


def test_a_server_killed_during_the_dump(own_mariadb: MariadbServer) -> None:
    """The dump fails, with the table and the server's last words."""
    dump = started(own_mariadb.datasource(large_database(own_mariadb)))
    own_mariadb.kill()
    for _ in drain(dump):
        pass
    with pytest.raises(DatabaseConnectionError) as caught:
        dump.finish()
    assert any("Lost connection" in line or "gone away" in line for line in caught.value.detail)


def test_a_tool_killed_during_the_dump(mariadb: MariadbServer, tmp_path: Path) -> None:
    """The signal is named, and the archive is found incomplete as well."""
    source = mariadb.datasource(large_database(mariadb))
    check = source.archive_check(tmp_path)
    dump = started(source, check)
    os.kill(dump.pid, signal.SIGKILL)
    for block in drain(dump):
        check.feed(block)
    with pytest.raises(BackupCreationError, match="SIGKILL"):
        dump.finish()
    with pytest.raises(ValidationError, match="incomplete"):
        check.finish()


def test_stopping_leaves_no_session(mariadb: MariadbServer) -> None:
    """After `stop`, again and again, neither the tool nor its session at the server is left."""
    name = large_database(mariadb)
    dump = started(mariadb.datasource(name))
    dump.stop()
    dump.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(dump.pid, 0)


def test_a_right_missing_on_a_table(mariadb: MariadbServer, tmp_path: Path) -> None:
    """The table is named with the GRANT that mends it, and following that command makes the dump work."""
    name = mariadb.create_database("under_score")
    mariadb.execute(
        "CREATE TABLE seen (a INT)",
        "CREATE TABLE hidden (a INT)",
        "CREATE USER reader@'%' IDENTIFIED BY 'pw'",
        f"GRANT SELECT ON {quoted(name)}.seen TO reader@'%'",
        f"GRANT INSERT ON {quoted(name)}.hidden TO reader@'%'",
        database=name,
    )
    source = mariadb.datasource(name, "pw", username="reader")
    with pytest.raises(PermissionDenied) as caught:
        source.probe()
    assert caught.value.subject == "hidden"
    assert "GRANT SELECT" in caught.value.hint
    commands = source.missing_rights()
    assert commands
    mariadb.execute(*commands)
    assert source.missing_rights() == ()
    dump_to(source, tmp_path / "all.sql")
    assert source.probe().warnings == ()


def test_all_rights_on_a_database_show_no_routine_of_another_account(mariadb: MariadbServer, tmp_path: Path) -> None:
    """Before MariaDB 11.3 they do not, and the dump tool would fail at the first one."""
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE FUNCTION four() RETURNS INT DETERMINISTIC RETURN 4",
        "CREATE USER owner@'%' IDENTIFIED BY 'pw'",
        f"GRANT ALL PRIVILEGES ON {quoted(name)}.* TO owner@'%'",
        database=name,
    )
    source = mariadb.datasource(name, "pw", username="owner")
    commands = source.missing_rights()
    assert commands == ("GRANT SELECT ON mysql.proc TO 'owner'@'%';",)
    assert any("mysql.proc" in warning for warning in source.probe().warnings)
    mariadb.execute(*commands)
    assert source.missing_rights() == ()
    dump_to(source, tmp_path / "all.sql")


def test_a_locked_account_is_told_how_to_be_unlocked(mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute("CREATE USER owner@'%' IDENTIFIED BY 'pw' ACCOUNT LOCK")
    with pytest.raises(AuthenticationError, match="account is locked") as caught:
        mariadb.datasource(name, "pw", username="owner").probe()
    assert caught.value.hint == "Unlock it as an administrator: ALTER USER owner ACCOUNT UNLOCK"


def test_a_server_that_is_full_is_not_asked_whether_it_runs(mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE USER owner@'%' IDENTIFIED BY 'pw' WITH MAX_USER_CONNECTIONS 1",
        f"GRANT ALL PRIVILEGES ON {quoted(name)}.* TO owner@'%'",
    )
    with (
        closing(mariadb.connect(name, user="owner", password="pw")),
        pytest.raises(DatabaseConnectionError, match="max_user_connections") as caught,
    ):
        mariadb.datasource(name, "pw", username="owner").probe()
    assert "SHOW PROCESSLIST" in caught.value.hint
    assert "SHOW CREATE USER owner" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "kind", "step"),
    [
        (1040, DatabaseConnectionError, "SHOW PROCESSLIST"),
        (1129, DatabaseConnectionError, "FLUSH HOSTS"),
        (1130, AuthenticationError, "CREATE USER owner@'ITS ADDRESS'"),
    ],
)
def test_what_a_server_refuses_before_the_login_has_its_own_next_step(
    code: int, kind: type[DataGuardianError], step: str
) -> None:
    error = translate_error(code, "No", user="owner", host="db", port=3306, database="any")
    assert type(error) is kind
    assert step in error.hint


def test_a_socket_that_is_not_there_is_named_without_a_port() -> None:
    error = translate_error(2002, "No such file", user="any", host="/run/no.sock", port=3306, database="any")
    assert error.message == "/run/no.sock: No such file"
    assert error.hint == "Is the server running, and is its socket there? See: ls -la /run/no.sock"


def test_what_a_user_cannot_see_is_not_passed_over(mariadb: MariadbServer) -> None:
    """A table without any right is invisible: then the probe warns, because the dump would just lack it."""
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE seen (a INT)",
        "CREATE TABLE invisible (a INT)",
        "CREATE USER half@'%' IDENTIFIED BY 'pw'",
        f"GRANT SELECT ON {quoted(name)}.seen TO half@'%'",
        database=name,
    )
    probe = mariadb.datasource(name, "pw", username="half").probe()
    assert [entry.name for entry in probe.objects] == ["seen"]
    assert any("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT" in warning for warning in probe.warnings)


def test_a_broken_view_is_named(mariadb: MariadbServer, tmp_path: Path) -> None:
    """A view of a dropped table fails the dump, which would lack what comes after it."""
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE gone (a INT)", "CREATE VIEW crooked AS SELECT a FROM gone", "DROP TABLE gone", database=name
    )
    with pytest.raises(BackupCreationError) as caught:
        dump_to(mariadb.datasource(name), tmp_path / "all.sql")
    assert caught.value.subject == "crooked"
    assert "SHOW CREATE VIEW" in caught.value.hint


@pytest.mark.parametrize("event", ["COMMENT 'a;;b' DO SELECT 1", "DO SELECT ';;'"])
def test_an_event_that_the_dump_program_does_not_get_past(mariadb: MariadbServer, tmp_path: Path, event: str) -> None:
    """It would look for the end of the statement for ever; without the events, the rest is backed up."""
    name = mariadb.create_database()
    mariadb.execute(f"CREATE EVENT two ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01' {event}", database=name)
    source = mariadb.datasource(name)
    with pytest.raises(BackupCreationError, match="`;;`: two") as caught:
        source.probe()
    assert "--skip-events" in caught.value.hint
    without = DumpOptions(extra_arguments=("--skip-events",))
    for options in (without, DumpOptions(backup_type="data_only")):
        source.probe(options)
    dump_to(source, tmp_path / "all.sql", without)


def test_a_history_of_transactions_is_named(mariadb: MariadbServer, tmp_path: Path) -> None:
    """The dump program has no way to write it; what it says has a next step, and that works."""
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE precise (id INT PRIMARY KEY, f BIGINT UNSIGNED AS ROW START, u BIGINT UNSIGNED AS ROW END, "
        "PERIOD FOR SYSTEM_TIME (f, u)) WITH SYSTEM VERSIONING ENGINE = InnoDB",
        database=name,
    )
    with pytest.raises(BackupCreationError) as caught:
        dump_to(mariadb.datasource(name), tmp_path / "all.sql")
    assert caught.value.subject == "precise"
    assert "--skip-dump-history" in caught.value.hint
    for options in (
        DumpOptions(extra_arguments=("--skip-dump-history",)),
        DumpOptions(exclude_tables=("precise",)),
    ):
        dump_to(mariadb.datasource(name), tmp_path / "all.sql", options)


def test_a_missing_definer_is_noted(mariadb: MariadbServer, tmp_path: Path) -> None:
    """The definer of a view is gone: the view comes back with it, and the restore says that it fails when used."""
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE t (a INT)",
        "CREATE USER leaver@localhost",
        f"GRANT ALL ON {quoted(name)}.* TO leaver@localhost",
        "CREATE DEFINER = leaver@localhost VIEW orphan AS SELECT a FROM t",
        "CREATE DEFINER = leaver@localhost TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
        "DROP USER leaver@localhost",
        database=name,
    )
    outcome = copy_database(mariadb.datasource(name), f"{name}_copy", tmp_path)
    assert outcome.errors == ()
    assert [note for note in outcome.notes if "leaver@localhost" in note]
    assert mysql_digest(mariadb, f"{name}_copy") == mysql_digest(mariadb, name)


def test_a_table_changed_during_the_dump(mariadb: MariadbServer) -> None:
    """A table that is rebuilt while the dump is under way fails it, and the hint is to try again."""
    name = large_database(mariadb)
    mariadb.execute("CREATE TABLE z (id INT PRIMARY KEY, v TEXT)", "INSERT INTO z VALUES (1, 'x')", database=name)
    dump = started(mariadb.datasource(name))
    mariadb.execute("ALTER TABLE z ADD COLUMN w INT, ALGORITHM = COPY", database=name)
    for _ in drain(dump):
        pass
    with pytest.raises(BackupCreationError) as caught:
        dump.finish()
    assert caught.value.subject == "z"
    assert "try again" in caught.value.hint


def test_a_locked_table_does_not_hold_the_dump_for_ever(mariadb: MariadbServer) -> None:
    """After lock_timeout the dump is ended, and the reason is the lock, not the signal."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE a (id INT)", "CREATE TABLE z (id INT)", database=name)
    source = mariadb.datasource(name, lock_timeout=1)
    probe = source.probe()
    with mariadb.connect(name) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES z WRITE")
        dump = source.open_dump(probe, DumpOptions(), SilentReporter())
        for _ in drain(dump):
            pass
        with pytest.raises(BackupCreationError, match="locked") as caught:
            dump.finish()
    assert "lock_timeout" in caught.value.hint
    assert "root" in caught.value.message


def test_a_secret_is_on_no_command_line(mariadb: MariadbServer, tmp_path: Path) -> None:
    """Neither argv nor the environment of the tool holds the password, whatever signs are in it."""
    name = large_database(mariadb)
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER careful@'%%' IDENTIFIED BY %s", (PASSWORD,))
        cursor.execute("GRANT ALL ON *.* TO careful@'%'")
    source = mariadb.datasource(name, PASSWORD, username="careful")
    dump = started(source)
    for part in ("cmdline", "environ"):
        held = Path(f"/proc/{dump.pid}/{part}").read_bytes()
        assert held
        assert b"p\"a'ss" not in held
    dump.stop()
    assert copy_database(source, f"{name}_copy", tmp_path).errors == ()


def test_a_dump_under_writers_is_one_moment(mariadb: MariadbServer, tmp_path: Path) -> None:
    """Money is moved between tables while the dump runs: the copy's total is right, and not older than the start."""
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE account_a (id INT PRIMARY KEY, money INT)",
        "CREATE TABLE account_z (id INT PRIMARY KEY, money INT)",
        "CREATE TABLE middle (id INT PRIMARY KEY, v TEXT)",
        "INSERT INTO account_a SELECT seq, 100 FROM seq_1_to_500",
        "INSERT INTO account_z SELECT seq, 100 FROM seq_1_to_500",
        "INSERT INTO middle SELECT seq, REPEAT(MD5(seq), 300) FROM seq_1_to_3000",
        "CREATE TABLE journal (id INT AUTO_INCREMENT PRIMARY KEY, amount INT)",
        database=name,
    )
    before_end, written = threading.Event(), threading.Event()

    def transfer() -> None:
        with mariadb.connect(name, autocommit=False) as connection, connection.cursor() as cursor:
            number = 0
            while not before_end.is_set():
                number += 1
                account = number % 500 + 1
                cursor.execute("UPDATE account_a SET money = money - 1 WHERE id = %s", (account,))
                cursor.execute("UPDATE account_z SET money = money + 1 WHERE id = %s", (account,))
                cursor.execute("INSERT INTO journal (amount) VALUES (1)")
                connection.commit()
                written.set()

    writer = threading.Thread(target=transfer)
    writer.start()
    try:
        assert written.wait(PATIENCE_SECONDS)
        outcome = copy_database(mariadb.datasource(name), f"{name}_copy", tmp_path)
    finally:
        before_end.set()
        writer.join()
    assert outcome.errors == ()
    copy = f"{name}_copy"
    moved = mariadb.execute("SELECT COUNT(*) FROM journal", database=copy)[0][0]
    assert moved >= 1
    assert mariadb.execute("SELECT SUM(money) FROM account_a", database=copy)[0][0] == 50_000 - moved
    assert mariadb.execute("SELECT SUM(money) FROM account_z", database=copy)[0][0] == 50_000 + moved


def test_a_dump_ignores_the_options_of_the_machine(
    mariadb: MariadbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option file of the user's that takes away comments and rows has no say."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1), (2)", database=name)
    (tmp_path / ".my.cnf").write_text("[mariadb-dump]\nskip-comments\nwhere=a>1\n[client]\nuser=nobody-such\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert copy_database(mariadb.datasource(name), f"{name}_copy", tmp_path).errors == ()
    assert mysql_digest(mariadb, f"{name}_copy") == mysql_digest(mariadb, name)
