"""Where a configuration is found, and what it gives when it is right."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import msgspec
import pytest

from dgtui.config import Config, JobSettings, RetentionSettings, config_path, files, load_config, state_folder
from dgtui.engine.datasources import DATASOURCE_TYPES, datasource_adapter
from dgtui.engine.datasources.datasource_settings import DatasourceSettings, ServerSettings
from dgtui.engine.errors import ConfigError
from dgtui.engine.settings import SecretReference, decode_setting, encode_setting
from dgtui.engine.storages import STORAGE_TYPES, storage_adapter
from tests.unit.config_support import DATASOURCE, JOB, STORAGE, WHOLE, write_config


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any configuration."""
    monkeypatch.delenv("DGTUI_CONFIG", raising=False)
    monkeypatch.delenv("DGTUI_STATE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(files, "SYSTEM_CONFIG", tmp_path / "etc/config.toml")
    return tmp_path / "home"


def test_the_example_of_the_design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "x'\"y")
    path = write_config(
        tmp_path,
        """
[storages.disk]
type = "local"
path = "/var/backups"

[datasources.shop]
type = "postgres"
host = "127.0.0.1"
database = "shop"
username = "backup"
password = { env = "SHOP_PASSWORD" }      # or { file = "..." }, { command = "..." }, { keyring = "..." }

[jobs.shop-nightly]
datasource = "shop"
storages = ["disk"]
schedule = "0 3 * * *"
compression = "zstd"
max_file_size_mb = 4096
retention = { keep_last = 7, keep_weekly = 4, keep_monthly = 12 }
""",
    )
    config = load_config(path)
    assert config.path == path
    job = config.job("shop-nightly")
    assert (job.compression, job.max_file_size_mb, job.idle_timeout) == ("zstd:3", 4096, 600)
    assert job.retention == RetentionSettings(keep_last=7, keep_weekly=4, keep_monthly=12)
    settings = config.require_datasource("shop")
    assert isinstance(settings, ServerSettings)
    assert settings.password == SecretReference(env="SHOP_PASSWORD")
    assert config.datasource("shop").database == "shop"
    assert config.storage("disk").name == "disk"
    assert config.origin("jobs", "shop-nightly").line == 13
    assert config.origin("datasources", "shop").file == path


def test_every_key_of_a_job(tmp_path: Path) -> None:
    text = """
id = "0B6A0F1C-52A5-4C07-9D1E-0F8B8B6D5A11"
enabled = false
description = "Bücher"
backup_type = "schema_only"
compression = "gzip:9"
compression_threads = 2
max_file_size_mb = 1
verify = "size"
tables = ["a b", 'c"d']
exclude_tables = ["-x"]
extra_arguments = ["--no-comments"]
globals = true
idle_timeout = "1 h 30 min"
restore_jobs = 4
schedule = "sundays at 04:30"
timezone = "Europe/Zurich"
window = "22:00-06:00"
jitter = "10 min"
grace = "12 h"
retries = 5
before = ["sync-on", "--now"]
before_timeout = "5 min"
after = ["sync-off"]
after_timeout = 30
heartbeat = { env = "PING_URL" }
rehearse = "every 10"
rehearse_in = "private"

[jobs.nightly.retention]
keep_last = 1
keep_hourly = 2
keep_daily = 3
keep_weekly = 4
keep_monthly = 5
keep_yearly = 6
max_age = "2 w"
max_total_size = "1.5 GiB"
"""
    config = load_config(write_config(tmp_path, WHOLE.rstrip() + text))
    job = config.job("nightly")
    assert config.job_id("nightly") == "0b6a0f1c-52a5-4c07-9d1e-0f8b8b6d5a11"
    assert job.idle_timeout == 5400
    assert job.tables == ("a b", 'c"d')
    assert job.before == ("sync-on", "--now")
    assert job.retention is not None
    assert (job.retention.max_age, job.retention.max_total_size) == (1209600, 3 * 2**29)
    given = {field for field in msgspec.structs.asdict(job) if f"\n{field} = " in WHOLE + text} | {"retention"}
    assert given == set(JobSettings.__struct_fields__), "this test has to know all keys"
    as_json = msgspec.json.encode(job, enc_hook=encode_setting)
    assert msgspec.json.decode(as_json, type=JobSettings, dec_hook=decode_setting) == job


def test_a_job_id_never_changes() -> None:
    # The folders of backups are named after it: a change of this number loses them.
    assert Config().job_id("shop-nightly") == "df6205f9-4d0b-5c02-a299-dc33d6145abd"
    assert uuid.UUID(Config().job_id("a")).version == 5
    assert Config().job_id("a") != Config().job_id("b")


def test_unknown_names_give_the_nearest(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, WHOLE))
    for look, name, expected in [
        (config.job, "nigthly", "there is no job 'nigthly'; did you mean 'nightly'?"),
        (config.datasource, "Shop", "there is no datasource 'Shop'; did you mean 'shop'?"),
        (config.datasource_options, "sho", "there is no datasource 'sho'; did you mean 'shop'?"),
        (config.storage, "tape", "there is no storage 'tape'; known: 'disk'"),
        (lambda name: config.origin("storages", name), "dis", "there is no storage 'dis'; did you mean 'disk'?"),
        (Config().job, "x", "there is no job 'x'; there is none yet"),
    ]:
        with pytest.raises(ConfigError) as caught:
            look(name)
        assert caught.value.message == expected
        assert caught.value.hint


def test_a_secret_is_fetched_only_when_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_config(tmp_path, STORAGE + DATASOURCE + 'password = { env = "LATER" }' + JOB)
    monkeypatch.delenv("LATER", raising=False)
    config = load_config(path)
    with pytest.raises(ConfigError, match="environment variable LATER is not set") as caught:
        config.datasource("shop")
    assert caught.value.subject == "datasources.shop.password"
    monkeypatch.setenv("LATER", "now")
    assert config.datasource("shop")


def test_relative_secret_files_begin_at_the_configuration(tmp_path: Path, home: Path) -> None:
    text = '[datasources.{0}]\ntype = "mysql"\ndatabase = "d"\npassword = {{ file = "{1}" }}\n'
    write_config(tmp_path, text.format("b", "b.secret"), "conf.d/b.toml")
    path = write_config(tmp_path, text.format("a", "a.secret") + text.format("c", "~/c") + text.format("d", "/d"))
    config = load_config(path)
    servers = {name: settings for name, settings in config.datasources.items() if isinstance(settings, ServerSettings)}
    assert {name: settings.password for name, settings in servers.items()} == {
        "a": SecretReference(file=str(tmp_path / "a.secret")),
        "b": SecretReference(file=str(tmp_path / "conf.d/b.secret")),
        "c": SecretReference(file=str(home / "c")),
        "d": SecretReference(file="/d"),
    }


def test_several_files_are_one_configuration(tmp_path: Path) -> None:
    path = write_config(tmp_path, STORAGE)
    write_config(tmp_path, JOB, "conf.d/a.toml")
    write_config(tmp_path, DATASOURCE, "conf.d/b.toml")
    write_config(tmp_path, "not toml", "conf.d/.#b.toml")
    write_config(tmp_path, "not toml", "conf.d/b.toml~")
    config = load_config(path)
    assert config.files == (path, tmp_path / "conf.d/a.toml", tmp_path / "conf.d/b.toml")
    assert config.origin("jobs", "nightly").file == tmp_path / "conf.d/a.toml"


def test_no_file_is_an_empty_configuration() -> None:
    config = load_config()
    assert config.path is None
    assert not config.files
    assert not config.datasources
    assert not config.storages
    assert not config.jobs


@pytest.mark.parametrize("content", [b"", b"\n", b"# nothing yet\n", b"\xef\xbb\xbf", b"[jobs]\n"])
def test_an_empty_file_is_an_empty_configuration(tmp_path: Path, content: bytes) -> None:
    path = write_config(tmp_path, content)
    assert load_config(path).files == (path,)


def test_a_byte_order_mark_and_lines_of_windows(tmp_path: Path) -> None:
    path = write_config(tmp_path, b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode())
    assert load_config(path).origin("jobs", "nightly").line == 10


def test_the_usual_places(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_home = home / ".config/dgtui/config.toml"
    assert config_path() == of_home
    assert state_folder() == home / ".local/state/dgtui"
    write_config(of_home.parent, STORAGE)
    assert load_config().path == of_home

    monkeypatch.setenv("DGTUI_CONFIG", "~/other.toml")
    monkeypatch.setenv("DGTUI_STATE", "~/state")
    assert config_path() == home / "other.toml"
    assert state_folder() == home / "state"
    with pytest.raises(ConfigError, match=r"other\.toml: cannot be read: No such file or directory"):
        load_config()
    write_config(home, DATASOURCE, "other.toml")
    assert set(load_config().datasources) == {"shop"}


def test_the_places_of_root(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    of_system = tmp_path / "etc/config.toml"
    assert config_path() == of_system
    assert state_folder() == Path("/var/lib/dgtui")
    of_home = write_config(home / ".config/dgtui", STORAGE)
    assert config_path() == of_home
    write_config(of_system.parent, STORAGE)
    assert config_path() == of_system


def test_only_conf_d(home: Path) -> None:
    write_config(home / ".config/dgtui/conf.d", STORAGE, "storage-disk.toml")
    config = load_config()
    assert config.path is None
    assert set(config.storages) == {"disk"}


@pytest.mark.parametrize(
    ("target", "reason"),
    [("conf.d", "Too many levels"), ("not-mounted", "No such file"), ("config.toml", "Not a directory")],
)
def test_a_folder_of_files_that_cannot_be_read(tmp_path: Path, target: str, reason: str) -> None:
    path = write_config(tmp_path, STORAGE)
    (tmp_path / "conf.d").symlink_to(target)
    with pytest.raises(ConfigError, match=rf"conf\.d: {reason}") as raised:
        load_config(path)
    assert f"ls -ld {tmp_path / 'conf.d'}" in raised.value.hint


def test_an_explicit_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file or directory"):
        load_config(tmp_path / "none.toml")


def test_every_key_says_what_it_is() -> None:
    kinds: list[type[msgspec.Struct]] = [JobSettings, RetentionSettings]
    kinds += [datasource_adapter(kind).settings_type for kind in DATASOURCE_TYPES]
    kinds += [storage_adapter(kind).settings_type for kind in STORAGE_TYPES]
    for kind in kinds:
        assert kind.__struct_config__.forbid_unknown_fields, kind
        assert kind.__struct_config__.frozen, kind
        for field in msgspec.structs.fields(kind):
            notes = [note for note in getattr(field.type, "__metadata__", ()) if isinstance(note, msgspec.Meta)]
            assert any(note.description for note in notes), f"{kind.__name__}.{field.name}"


def test_a_disabled_datasource_is_read(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, DATASOURCE + "enabled = false"))
    assert config.require_datasource("shop").enabled is False
    assert isinstance(config.require_datasource("shop"), DatasourceSettings)


@pytest.mark.parametrize("act", ["", "load_config(pathlib.Path(sys.argv[1]))"])
def test_nothing_heavy_is_imported(tmp_path: Path, act: str) -> None:
    mysql = WHOLE.replace("shop", "crm").replace("postgres", "mysql")
    others = "".join(f'[datasources.{kind}]\ntype = "{kind}"\npath = "/a"\n' for kind in ("sqlite", "files"))
    path = write_config(tmp_path, DATASOURCE + mysql + others)
    heavy = {"dgtui.engine.catalog", "textual", "rich", "typer", "psycopg", "pymysql", "zstandard", "isal", "keyring"}
    load = f"import sys, pathlib\nfrom dgtui.config import load_config\n{act}\n"
    program = f"{load}print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_a_secret_does_not_show(tmp_path: Path) -> None:
    text = DATASOURCE + 'password = "hunter2"\n'
    config = load_config(write_config(tmp_path, text))
    assert "hunter2" not in repr(config)
    assert "hunter2" not in repr(vars(config.datasource("shop")))
    settings = config.require_datasource("shop")
    assert isinstance(settings, ServerSettings)
    assert settings.password == "hunter2"
