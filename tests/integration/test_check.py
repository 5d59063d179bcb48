"""`dgtui check` of a setup that somebody spoilt: it names what is wrong, says what mends it, and changes nothing."""

import contextlib
import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import msgspec
import pytest

from dgtui.config import config_path, files, load_config
from dgtui.engine import Engine, tools
from dgtui.engine.check import Finding
from dgtui.engine.datasources import postgres_tools
from dgtui.engine.datasources.postgres import PostgresDatasource
from dgtui.engine.secrets import fetch_secret
from dgtui.engine.settings import SecretReference
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer
from tests.support.nobody import as_nobody
from tests.support.receivers import LOGIN, Authority, mail_server, web_server
from tests.support.shops import Shop

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners, mounts and immutable folders need root")


@pytest.fixture
def tree(home: Home) -> Home:
    """A home that backs up a file."""
    home.folder.joinpath("files").mkdir()
    home.folder.joinpath("files", "a").write_text("content" * 1000)
    configure(home)
    return home


def configure(home: Home, *, more: str = "") -> None:
    """Back up the files, with more in the configuration."""
    path = json.dumps(str(home.folder / "files"))
    home.configure(f'[datasources.shop]\ntype = "files"\npath = {path}\n', more=more)


def findings(home: Home, area: str, level: str = "error") -> list[Finding]:
    """What an examination finds of one kind; it must leave everything as it is."""
    before = traces(home)
    engine = home.engine(look_only=True)
    found = engine.check()
    engine.close()
    assert traces(home) == before
    return [finding for finding in found if (finding.area, finding.level) == (area, level)]


def the_finding(home: Home, area: str, level: str = "error") -> Finding:
    """The only one; it says how to mend it."""
    [found] = findings(home, area, level)
    assert found.mend
    return found


def traces(home: Home) -> dict[str, tuple[int, int]]:
    """All files with their sizes and times of change; those of the program's own state by their names alone."""
    return {
        str(path): (0, 0) if path.is_relative_to(home.state) else (status.st_size, status.st_ctime_ns)
        for path in home.folder.rglob("*")
        for status in [path.lstat()]
    }


def test_a_healthy_setup(tree: Home) -> None:
    assert [finding.level for finding in tree.engine().check()] == ["ok", "ok", "ok", "ok"]
    assert "does not exist yet" in findings(tree, "storage", "ok")[0].message
    tree.back_up()
    assert "bytes free" in findings(tree, "storage", "ok")[0].message


def test_a_file_of_metrics_that_cannot_be_written(tree: Home, small_mount: Path) -> None:
    """The daemon alone would tell of it, in a log."""
    folder = tree.folder / "collector's"

    def found(path: Path) -> list[tuple[str, str, str]]:
        tree.config_path.write_text(f'{known}\n[guardian]\nmetrics_file = "{path}"\n')
        return [(one.level, one.message, one.mend) for one in tree.engine().check() if one.area == "metrics"]

    known = tree.config_path.read_text()
    ((level, message, mend),) = found(folder / "dgtui.prom")
    assert (level, message) == ("error", "its folder is not there")
    assert mend == f"mkdir -p {shlex.quote(str(folder))}, or correct guardian.metrics_file"
    folder.mkdir()
    assert [one[0] for one in found(folder / "dgtui.prom")] == ["ok"]
    assert list(folder.iterdir()) == []
    (folder / "folder.prom").mkdir()
    assert [one[0] for one in found(folder / "folder.prom")] == ["error"]
    subprocess.run(["mount", "-o", "remount,ro", str(small_mount)], check=True)
    ((level, message, _),) = found(small_mount / "dgtui.prom")
    assert level == "error"
    assert "read-only" in message.lower()


def test_a_state_folder_that_others_can_write_to(tree: Home) -> None:
    tree.state.mkdir(0o700)
    assert findings(tree, "state", "warning") == []
    tree.state.chmod(0o770)
    found = the_finding(tree, "state", "warning")
    assert "others can write there" in found.message
    subprocess.run(["sh", "-c", found.mend], check=True)
    assert findings(tree, "state", "warning") == []


_CHECK_AS_NOBODY = """
import sys
from pathlib import Path
from dgtui.engine.check.state import examine_state
from dgtui.config import Config
[found] = examine_state(Config(), Path(sys.argv[1]), {})
print(found.level, found.kind, found.message, found.mend)
"""


@needs_root
def test_a_state_folder_that_cannot_be_written_or_made() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for state in (folder, f"{folder}/state"):
            told = as_nobody(_CHECK_AS_NOBODY, state)
            assert told.startswith(f"error StorageError Could not write to {folder}: Permission denied Give the user")


@needs_root
def test_a_state_folder_on_a_disk_that_is_mounted_read_only(tree: Home, small_mount: Path) -> None:
    tree.state = small_mount / "state"
    assert findings(tree, "state") == []
    subprocess.run(["mount", "-o", "remount,ro", str(small_mount)], check=True)
    found = the_finding(tree, "state")
    assert "Read-only file system" in found.message
    assert "findmnt -T" in found.mend


@needs_root
def test_files_that_belong_to_somebody_else(tree: Home) -> None:
    """They are told, and used all the same: what a container is given belongs to whoever runs it."""
    secret = tree.folder / "of the shop"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    shop = f'[datasources.other]\ntype = "postgres"\ndatabase = "x"\npassword = {{ file = "{secret.name}" }}\n'
    configure(tree, more=f"{shop}enabled = false\n")
    assert findings(tree, "configuration", "warning") == []
    for path in (tree.config_path, secret):
        os.chown(path, 12345, 12345)
    told = findings(tree, "configuration", "warning")
    assert [(one.subject, one.message) for one in told] == [
        (str(tree.config_path), "belongs to 12345, who can change it, and so have dgtui do whatever it can"),
        (str(secret), "belongs to 12345, who can read this secret, and change it"),
    ]
    assert fetch_secret(SecretReference(file=str(secret))) == "hunter2"
    for one in told:
        subprocess.run(["sh", "-c", one.mend], check=True)
    assert findings(tree, "configuration", "warning") == []


def test_two_names_of_one_folder_are_no_two_copies(tree: Home) -> None:
    tree.storage("nas").symlink_to(tree.storage("disk"))
    tree.storage("disk").mkdir()
    path = json.dumps(str(tree.folder / "files"))
    tree.configure(f'[datasources.shop]\ntype = "files"\npath = {path}\n', storages=("disk", "nas"))
    assert "the same folder" in the_finding(tree, "job").message


def test_two_storages_that_the_first_backup_would_make_on_one_disk(tree: Home) -> None:
    """As where the disk of one of them is not mounted yet."""
    path = json.dumps(str(tree.folder / "files"))
    tree.configure(f'[datasources.shop]\ntype = "files"\npath = {path}\n', storages=("disk", "nas"))
    for missing in (tree.storage("disk"), tree.storage("nas")):
        found = the_finding(tree, "job", "warning")
        assert "on the same disk" in found.message
        assert f"Is the disk of {missing} mounted?" in found.mend
        missing.mkdir()
    assert the_finding(tree, "job", "warning").mend == "Choose a storage on another disk or machine"


def test_roots_of_two_disks_are_two_folders(tree: Home, small_mount: Path) -> None:
    """They may well have the same number, each on its own disk."""
    path = json.dumps(str(tree.folder / "files"))
    tree.configure(f'[datasources.shop]\ntype = "files"\npath = {path}\n', storages=("disk", "nas"))
    tree.storage("disk").mkdir()
    tree.storage("nas").symlink_to(small_mount)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tree.storage("disk"))], check=True)
    try:
        assert tree.storage("disk").stat().st_ino == small_mount.stat().st_ino
        assert findings(tree, "job") == findings(tree, "job", "warning") == []
    finally:
        subprocess.run(["umount", str(tree.storage("disk"))], check=True)


def test_a_storage_or_the_state_in_the_tree_that_is_backed_up(tree: Home) -> None:
    table = f'[datasources.shop]\ntype = "files"\npath = {json.dumps(str(tree.folder))}\n'
    tree.configure(f'{table}exclude = ["state"]\n')
    assert "The storage disk lies in what it backs up" in the_finding(tree, "job", "warning").message
    tree.configure(f'{table}exclude = ["disk"]\n')
    assert "The state folder lies in what it backs up" in the_finding(tree, "job", "warning").message
    for left_out in ('exclude = ["disk", "state"]', 'exclude = ["/di*", "/state"]', 'include = ["files"]'):
        tree.configure(f"{table}{left_out}\n")
        assert findings(tree, "job", "warning") == []


def test_it_says_where_a_configuration_is_missing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DGTUI_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(home.folder))
    monkeypatch.setattr(files, "SYSTEM_CONFIG", home.folder / "system" / "config.toml")
    with contextlib.closing(Engine(load_config(), home.state, look_only=True)) as engine:
        [missing] = [one for one in engine.check() if one.level == "error"]
    assert missing.message == "There is no configuration yet"
    assert missing.subject == str(config_path())
    assert Path(missing.subject).is_relative_to(home.folder)


def test_a_file_that_configures_nothing(home: Home) -> None:
    home.config_path.write_text("# cut off\n")
    found = the_finding(home, "configuration", "warning")
    assert (found.subject, found.message) == (str(home.config_path), "Nothing is configured")
    assert home.dgtui("check").exit_code == 0


def test_a_fresh_machine_stays_as_it_is(tree: Home) -> None:
    outcome = tree.dgtui("check")
    assert outcome.exit_code == 0, outcome
    assert "All is well" in outcome.errors
    assert not tree.state.exists()
    assert not tree.storage().exists()


def test_what_ended_without_notice_is_left_for_others_to_put_right(tree: Home) -> None:
    execution = tree.back_up()
    tree.engine().catalog.save_execution(msgspec.structs.replace(execution, status="running", finished_at=None))
    tree.close_catalogues()
    listing = sorted(tree.state.rglob("*"))
    outcome = tree.dgtui("check")
    assert (outcome.exit_code, "note:" in outcome.errors) == (0, False), outcome
    assert sorted(tree.state.rglob("*")) == listing
    assert tree.engine(look_only=True).execution(execution.execution_id).status == "running"
    assert tree.engine().execution(execution.execution_id).status != "running"


def test_a_storage_that_is_not_mounted(tree: Home) -> None:
    tree.back_up()
    shutil.rmtree(tree.storage())
    tree.storage().mkdir()
    found = the_finding(tree, "storage")
    assert "not mounted" in found.message
    assert "Mount the disk" in found.mend


def test_a_storage_that_others_may_change(tree: Home) -> None:
    tree.storage().mkdir()
    tree.storage().chmod(0o777)
    assert the_finding(tree, "storage", "warning").mend == f"chmod go-w {tree.storage()}"


def test_a_storage_that_is_a_file(tree: Home) -> None:
    tree.storage().write_text("no folder")
    assert "Not a directory" in the_finding(tree, "storage").message


@needs_root
@pytest.mark.parametrize("used", [False, True])
def test_a_storage_without_the_right_to_write(tree: Home, used: bool) -> None:
    if used:
        tree.back_up()
    tree.storage().mkdir(exist_ok=True)
    if subprocess.run(["chattr", "+i", str(tree.storage())], check=False, capture_output=True).returncode:
        pytest.skip("this file system knows no immutable folders")
    try:
        found = the_finding(tree, "storage")
        assert "write" in found.message
        assert f"chattr -i {tree.storage()}" in found.mend
    finally:
        subprocess.run(["chattr", "-i", str(tree.storage())], check=True)


def test_a_full_storage_and_one_that_is_mounted_read_only(home: Home, small_mount: Path) -> None:
    source = home.folder / "shop.db"
    with sqlite3.connect(source) as connection:
        connection.execute("CREATE TABLE t AS SELECT randomblob(1200000) AS a")
    connection.close()
    home.configure(
        f'[datasources.shop]\ntype = "sqlite"\npath = "{source}"\n[storages.small]\ntype = "local"\n'
        f'path = "{small_mount}"\n',
        storages=(),
    )
    home.config_path.write_text(home.config_path.read_text().replace("storages = []", 'storages = ["small"]'))
    small_mount.chmod(0o700)
    assert findings(home, "storage", "warning") == []
    assert home.back_up().status == "completed"
    found = the_finding(home, "storage", "warning")
    assert "the next backups need about 1,2" in found.message
    with pytest.raises(OSError, match="space"):
        fill(small_mount / "filler")
    found = the_finding(home, "storage")
    assert (found.kind, "df -h" in found.mend) == ("DiskSpaceError", True)
    subprocess.run(["mount", "-o", "remount,ro", str(small_mount)], check=True)
    assert "remount,rw" in the_finding(home, "storage").mend


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as filler:
        while filler.write(b"x" * 4096):
            pass


def test_the_tool_is_missing_or_older_than_the_server(shop: Shop) -> None:
    shop.misbehave("version:pg_dump (PostgreSQL) 9.6.1")
    found = the_finding(shop.home, "datasource")
    assert "9.6.1" in found.message
    assert "apt-get install postgresql-client-" in found.mend
    assert shop.tools is not None
    shutil.rmtree(shop.tools)
    shop.tools.mkdir()
    shop.write()
    found = the_finding(shop.home, "datasource")
    assert "pg_dump is not installed" in found.message
    assert "apt-get install postgresql-client" in found.mend


@pytest.mark.parametrize("missing", ["pg_dumpall", "pg_restore"])
def test_a_tool_that_only_the_run_needs_is_missing(shop: Shop, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    shop.misbehave("flood")
    shop.job = "globals = true"
    shop.write()
    assert findings(shop.home, "job") == []
    assert shop.tools is not None
    shop.tools.joinpath(missing).unlink()
    # pg_restore is searched everywhere: it reads archives of other machines too.
    monkeypatch.setenv("PATH", str(shop.tools))
    monkeypatch.setattr(postgres_tools, "WELL_KNOWN_FOLDERS", ())
    monkeypatch.setattr(tools, "COMMON_FOLDERS", ())
    monkeypatch.setattr(PostgresDatasource, "_tools_folders", set())
    found = the_finding(shop.home, "job")
    assert (found.subject, found.kind) == ("nightly", "ToolMissing")
    assert f"{missing} is not installed" in found.message


def test_the_tables_of_a_job_are_not_there(shop: Shop) -> None:
    shop.job = 'tables = ["orders"]'
    shop.write()
    assert findings(shop.home, "job") == []
    shop.job = 'tables = ["ordres"]'
    shop.write()
    found = the_finding(shop.home, "job")
    assert "ordres" in found.message
    assert shop.home.dgtui("check").exit_code == 2


def test_no_room_for_the_copy_that_a_backup_begins_with(home: Home, small_mount: Path) -> None:
    source = home.folder / "shop.db"
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("CREATE TABLE t AS SELECT randomblob(2500000) AS a")
    home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = "{source}"\n')
    assert findings(home, "state") == []
    home.state = small_mount / "state"
    found = the_finding(home, "state")
    assert found.kind == "DiskSpaceError"
    assert "a backup of shop copies 2,5" in found.message
    assert "DGTUI_STATE" in found.mend


def test_a_right_is_missing(shop: Shop) -> None:
    with shop.server.connect(shop.database) as connection:
        connection.execute(b"DROP ROLE IF EXISTS looker")
        connection.execute(b"CREATE ROLE looker LOGIN")
        connection.execute(b"GRANT SELECT ON customers TO looker")
    try:
        text = shop.home.config_path.read_text()
        shop.home.config_path.write_text(text.replace('"postgres"\ndatabase', '"looker"\ndatabase'))
        found = the_finding(shop.home, "datasource")
        assert found.mend == "GRANT SELECT ON TABLE public.orders TO looker;"
        shop.server.execute(found.mend, shop.database)
        assert findings(shop.home, "datasource") == []
    finally:
        shop.server.execute("DROP OWNED BY looker", shop.database)
        shop.server.execute("DROP ROLE looker")


def test_mariadb_with_a_wrong_password_and_without_its_tool(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute("CREATE USER watcher@'%' IDENTIFIED BY 'right'", "GRANT ALL ON *.* TO watcher@'%'")
    table = mariadb.config(name).replace('"root"', '"watcher"')
    home.configure(f'{table}password = {{ command = "echo wrong" }}\n')
    found = the_finding(home, "datasource")
    assert found.kind == "AuthenticationError"
    assert "ALTER USER" in found.mend
    assert "wrong'" not in repr(found)
    home.folder.joinpath("none").mkdir()
    home.configure(f'{table}password = {{ command = "echo right" }}\ntools = "{home.folder / "none"}"\n')
    assert "apt-get install mariadb-client" in the_finding(home, "datasource").mend


def test_a_secret_that_cannot_be_had(shop: Shop) -> None:
    secret = shop.home.folder / "secret"
    shop.settings = 'password = { env = "NOBODY_SETS_THIS" }\n'
    shop.write()
    assert "export NOBODY_SETS_THIS=" in the_finding(shop.home, "datasource").mend
    shop.settings = 'password = { file = "secret" }\n'
    shop.write()
    assert f"install -m 600 /dev/stdin {secret}" in the_finding(shop.home, "datasource").mend
    secret.write_text("x")
    secret.chmod(0o644)
    assert the_finding(shop.home, "datasource").mend == f"chmod 600 {secret}"


def test_mistakes_in_the_configuration_are_named_with_file_and_line(tree: Home) -> None:
    text = tree.config_path.read_text()
    wrong = 'storages = ["dsk"]\nschedule = "0 25 * * *"\ncompresion = "zstd"'
    tree.config_path.write_text(text.replace('storages = ["disk"]', wrong).replace('"shop"\nst', '"shp"\nst'))
    outcome = tree.dgtui("check")
    assert outcome.exit_code == 2, outcome
    told = ("did you mean 'disk'", "did you mean 'shop'", "did you mean 'compression'", "'25' is no hour")
    for sentence in told:
        [line] = [line for line in outcome.errors.splitlines() if sentence in line]
        assert f"{tree.config_path}:" in line


def test_channels_are_reached_and_nothing_is_sent(tree: Home, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    secret = tmp_path / "mail.password"
    secret.write_text("not this")
    secret.chmod(0o600)
    with mail_server(starttls=authority.server_context(), login=True) as mail, web_server() as web:
        configure(
            tree,
            more=f'[channels.mail]\ntype = "email"\nhost = "localhost"\nport = {mail.port}\nusername = "{LOGIN[0]}"\n'
            f'password = {{ file = "{secret}" }}\nca_file = "{authority.file}"\n'
            'sender = "a@example.org"\nrecipients = ["b@example.org"]\n'
            f'[channels.hook]\ntype = "webhook"\nurl = "{web.url}"\n',
        )
        refused = the_finding(tree, "channel")
        assert (refused.subject, "not this" in repr(refused)) == ("mail", False)
        secret.write_text(LOGIN[1])
        assert [finding.subject for finding in findings(tree, "channel", "ok")] == ["mail", "hook"]
        assert mail.mails == []
        assert web.requests == []
    gone = findings(tree, "channel")
    assert [finding.subject for finding in gone] == ["mail", "hook"]
    assert all("Connect to" in finding.message and finding.mend for finding in gone)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_the_secret_of_a_channel_and_a_service_nobody_knows(tree: Home) -> None:
    configure(
        tree,
        more='[channels.hook]\ntype = "webhook"\nurl = { env = "NOBODY_SETS_THIS" }\n'
        '[channels.chat]\ntype = "apprise"\nurl = "nonsense://T0KENT0KEN"\n',
    )
    hook, chat = findings(tree, "channel")
    assert "NOBODY_SETS_THIS" in hook.message
    assert hook.mend
    assert "T0KENT0KEN" not in repr(chat)
