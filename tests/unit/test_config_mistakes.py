"""What is said about a configuration that is wrong."""

from pathlib import Path

import msgspec
import pytest

from dgtui.config import load_config
from dgtui.config.files import ConfigFile, Source, parse_source, read_source
from dgtui.config.mistakes import Mistake
from dgtui.config.tables import TableReader
from dgtui.engine.settings import Secret
from tests.unit.config_support import DATASOURCE, JOB, STORAGE, WHOLE, mistakes_of, write_config

KINDS = "'postgres', 'mysql', 'sqlite' or 'files'"


def mistakes_in(folder: Path, content: str | bytes) -> list[str]:
    return mistakes_of(write_config(folder, content))


def mistakes_in_job(folder: Path, *lines: str) -> list[str]:
    """Mistakes of a job with these further lines, each without its place."""
    mistakes = mistakes_in(folder, WHOLE.rstrip() + "\n" + "\n".join(lines))
    return [mistake.partition(": jobs.nightly")[2].lstrip(".") for mistake in mistakes]


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    write_config(tmp_path, '[storages.tape]\ntype = "tape"\n', "conf.d/tape.toml")
    text = """# comment
[storages.disk]
type = "local"
path = "/var/backups"

[datasources.shop]
type = "postgres"
prot = 5432
[job]

[jobs.shop-nightly]
datasource = "shp"
storages = ["disk",
   "dsk"]
compresion = "zstd"
verify = "ful"
id = "1"
schedule = "0 25 * * *"
retention = { keep_last = 0, keep_weakly = 4, max_age = "2 fortnights" }
"""
    found = mistakes_in(tmp_path, text)
    found = [mistake.partition(" such as ")[0] if "UUID" in mistake else mistake for mistake in found]
    assert found == [
        "conf.d/tape.toml:2: storages.tape.type: expected 'local'",
        "config.toml:6: datasources.shop: the key 'database' is missing",
        "config.toml:8: datasources.shop.prot: unknown key; did you mean 'port'?",
        "config.toml:9: job: unknown table; did you mean 'jobs'?",
        "config.toml:12: jobs.shop-nightly.datasource: there is no datasource 'shp'; did you mean 'shop'?",
        "config.toml:14: jobs.shop-nightly.storages[1]: there is no storage 'dsk'; did you mean 'disk'?",
        "config.toml:15: jobs.shop-nightly.compresion: unknown key; did you mean 'compression'?",
        "config.toml:16: jobs.shop-nightly.verify: expected 'none', 'size' or 'full'; did you mean 'full'?",
        "config.toml:17: jobs.shop-nightly.id: expected a UUID",
        "config.toml:18: jobs.shop-nightly.schedule: '25' is no hour; expected *, or 0 to 23, also as 1-5, 1,3 or */2",
        "config.toml:19: jobs.shop-nightly.retention.keep_weakly: unknown key; did you mean 'keep_weekly'?",
        "config.toml:19: jobs.shop-nightly.retention.keep_last: expected a whole number of at least 1",
        "config.toml:19: jobs.shop-nightly.retention.max_age: expected a duration such as 90, '30d', '5 min' or '2 h'",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("enabled = 1", "enabled: expected true or false, not a whole number"),
        ("description = 2025-02-13", "description: expected text, not a date"),
        ("tables = 'orders'", "tables: expected a list, not text"),
        ("tables = ['a', '']", "tables: expected names, and none that is empty"),
        ("exclude_tables = ['']", "exclude_tables: expected names, and none that is empty"),
        ("tables = ['a', 3]", "tables[1]: expected text, not a whole number"),
        ("before = 'sync now'", "before: expected a list, not text"),
        ("after = ['']", "after: expected a program and its arguments"),
        ("backup_type = 'incremental'", "backup_type: expected 'full', 'schema_only' or 'data_only'"),
        ("backup_type = 3", "backup_type: expected 'full', 'schema_only' or 'data_only'"),
        ("compression = 'zip'", "compression: expected 'zstd', 'gzip', 'lz4' or 'none', with a level as in 'zstd:3'"),
        ("compression = 'zstd:99'", "compression: expected a level of zstd from 1 to 19"),
        ("compression_threads = 0", "compression_threads: expected a whole number of at least 1"),
        ("restore_jobs = 257", "restore_jobs: expected a whole number of at most 256"),
        ("max_file_size_mb = -1", "max_file_size_mb: expected a whole number of at least 1"),
        ("max_file_size_mb = 1.5", "max_file_size_mb: expected a whole number, not a number with a fraction"),
        ("idle_timeout = 0", "idle_timeout: expected more than 0"),
        ("idle_timeout = true", "idle_timeout: expected a duration such as 90, '30d', '5 min' or '2 h'"),
        ("timezone = 'Europe/Zuerich'", "did you mean 'Europe/Zurich'?"),
        ("timezone = '../../etc/passwd'", "timezone: expected a time zone such as 'Europe/Zurich'"),
        ("timezone = 'Europe'", "timezone: expected a time zone such as 'Europe/Zurich'"),
        ("schedule = 'dayly at 03:00'", "schedule: expected five cron fields such as '0 3 * * *', or words such as"),
        ("retention = {}", "retention: expected at least one rule, such as keep_last = 7"),
        ("retention = 7", "retention: expected a table, not a whole number"),
        ("retention.max_age = '0 d'", "retention.max_age: expected more than 0"),
        ("retention.max_total_size = 0", "retention.max_total_size: expected more than 0"),
        ("retention.max_total_size = '2 GX'", "retention.max_total_size: expected a size such as 1024, '500 MB'"),
        ("encryption = 'age'", "encryption: backups cannot be encrypted yet; remove this key"),
        (
            "nonsense = 1",
            "nonsense: unknown key; known: 'after', 'after_timeout', 'backup_type', 'before', 'before_timeout', ",
        ),
        ("Enabled = true", "Enabled: unknown key; did you mean 'enabled'?"),
    ],
)
def test_a_key_of_a_job(tmp_path: Path, line: str, expected: str) -> None:
    (mistake,) = mistakes_in_job(tmp_path, line)
    assert expected in mistake


@pytest.mark.parametrize(
    ("storages", "expected"),
    [
        ("[]", "storages: expected a list with at least 1 in it"),
        ("['disk', 'disk']", "storages: 'disk' stands here a second time"),
        ("'disk'", "storages: expected a list, not text"),
        ("[1]", "storages[0]: expected text, not a whole number"),
    ],
)
def test_storages_of_a_job(tmp_path: Path, storages: str, expected: str) -> None:
    found = mistakes_in(tmp_path, WHOLE.replace('["disk"]', storages))
    assert found == [f"config.toml:12: jobs.nightly.{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n[storages]\ndisk = 3", "config.toml:3: storages.disk: expected a table, [storages.disk]"),
        ("jobs = 3", "config.toml:1: jobs: expected tables such as [jobs.NAME]"),
        ("[[jobs]]\n", "config.toml:1: jobs: expected tables such as [jobs.NAME]"),
        (
            "version = 1",
            "config.toml:1: version: unknown table; known: 'channels', 'datasources', 'guardian', 'jobs', 'storages'",
        ),
        ("[storages.x]\npath='/'", "config.toml:1: storages.x: the key 'type' is missing; expected 'local'"),
        ("[storages.x]\ntype=1", "config.toml:2: storages.x.type: expected 'local'"),
        (
            "[datasources.x]\ntype='postgresql'",
            f"config.toml:2: datasources.x.type: expected {KINDS}; did you mean 'postgres'?",
        ),
        (
            "[datasources.x]\ntype='mongodb'",
            f"config.toml:2: datasources.x.type: expected {KINDS}",
        ),
        (
            DATASOURCE.replace("shop]", "a.b]"),
            f"config.toml:2: datasources.a: the key 'type' is missing; expected {KINDS}",
        ),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes_in(tmp_path, text) == [expected]


@pytest.mark.parametrize("name", ["-x", ".x", "a/b", "..", "", "a b", "ü", "x" * 101, "a@b", r"a\u001b[31mb", r"a\nb"])
def test_names_that_would_not_do_in_a_path_or_a_command(tmp_path: Path, name: str) -> None:
    (mistake,) = mistakes_in(tmp_path, STORAGE.replace("disk", f'"{name}"'))
    assert mistake.startswith("config.toml:2: storages.")
    assert "expected a name of at most 100 ASCII letters, digits, '_', '-' and '.'" in mistake
    assert mistake.isprintable()


def test_a_job_name_with_a_dot_has_to_be_quoted(tmp_path: Path) -> None:
    found = mistakes_in(tmp_path, STORAGE + DATASOURCE + JOB.replace("nightly", "shop.nightly"))
    assert found[0].startswith(
        "config.toml:10: jobs.shop.nightly: unknown key; known: 'after', 'after_timeout', 'backup_type'"
    )
    assert found[0].endswith(", 'timezone', 'verify', 'window' (a name with a dot in it stands in quotes)")
    assert found[1:] == [
        "config.toml:10: jobs.shop: the key 'datasource' is missing",
        "config.toml:10: jobs.shop: the key 'storages' is missing",
    ]


def test_two_definitions_of_one_object(tmp_path: Path) -> None:
    write_config(tmp_path, "\n" + JOB, "conf.d/more.toml")
    found = mistakes_in(tmp_path, WHOLE)
    assert found == [f"conf.d/more.toml:3: jobs.nightly: this is already defined in {tmp_path}/config.toml:10"]


def test_one_id_for_two_jobs(tmp_path: Path) -> None:
    identity = 'id = "0b6a0f1c-52a5-4c07-9d1e-0f8b8b6d5a11"\n'
    found = mistakes_in(
        tmp_path, WHOLE + identity + JOB.replace("nightly", "weekly") + identity.upper().replace("ID", "id")
    )
    assert found == [
        "config.toml:18: jobs.weekly.id: the job 'nightly' has the same id; their backups would lie in one folder"
    ]


def test_two_storages_in_one_place(tmp_path: Path) -> None:
    second = STORAGE.replace("disk", "nas") + 'description = "forgot to change the path"\n'
    found = mistakes_in(tmp_path, second + WHOLE.replace('["disk"]', '["disk", "nas"]'))
    assert found == ["config.toml:17: jobs.nightly.storages: 'disk' and 'nas' are the same place"]


@pytest.mark.parametrize("path", ["/var/backups/", "/var/./backups", "/var/lib/../backups", "//var/backups"])
def test_one_place_written_in_two_ways(tmp_path: Path, path: str) -> None:
    second = STORAGE.replace("disk", "nas").replace("/var/backups", path)
    found = mistakes_in(tmp_path, second + WHOLE.replace('["disk"]', '["disk", "nas"]'))
    assert found == ["config.toml:16: jobs.nightly.storages: 'disk' and 'nas' are the same place"]


@pytest.mark.parametrize("kind", ["sqlite", "files"])
def test_a_path_that_depends_on_where_one_stands(tmp_path: Path, kind: str) -> None:
    found = mistakes_in(tmp_path, WHOLE.replace('"postgres"\ndatabase = "shop"', f'"{kind}"\npath = "shop.db"'))
    assert found == [
        "config.toml:8: datasources.shop.path: expected an absolute path such as '/srv/shop', or one from ~"
    ]


def test_a_database_whose_name_the_server_would_cut(tmp_path: Path) -> None:
    found = mistakes_in(tmp_path, WHOLE.replace('database = "shop"', f'database = "{"ü" * 32}"\nconnect_timeout = 0'))
    assert found == [
        "config.toml:8: datasources.shop.database: expected at most 63 bytes",
        "config.toml:9: datasources.shop.connect_timeout: expected more than 0",
    ]


def test_an_option_that_the_kind_does_not_know(tmp_path: Path) -> None:
    text = WHOLE.replace('"postgres"\ndatabase = "shop"', '"sqlite"\npath = "/shop.db"') + "globals = true\n"
    (mistake,) = mistakes_in(tmp_path, text)
    assert mistake == "config.toml:13: jobs.nightly.globals: a SQLite datasource knows no such thing; remove the key"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a = 1\n\n[jobs\n", "config.toml:3: not valid TOML: Expected ']' at the end of a table declaration"),
        ("[storages.x]\npath = /var\n", "config.toml:2: not valid TOML: this is no value; text stands in quotes"),
        ("[storages.x]\npath = '/'\npath = '/'\n", "config.toml:3: not valid TOML: this key stands here a second time"),
        (WHOLE + JOB, "config.toml:14: not valid TOML: this table stands here a second time: 'jobs', 'nightly'"),
        ('a = "x\n', "config.toml:1: not valid TOML: Illegal character '\\n'"),
        ("a = [1,\n2,", "config.toml:2: not valid TOML: "),
        ("a = " + "[" * 5000 + "]" * 5000, "config.toml: lists or tables are nested too deeply"),
        ("a = " + "9" * 5000, "config.toml: not valid TOML: "),
        (b"# caf\xe9\n", "config.toml:1: the text is not in UTF-8; save the file in this encoding"),
        (b"a = 1\nb = '\xff'\n", "config.toml:2: the text is not in UTF-8; save the file in this encoding"),
        ("[jobs]\n".encode("utf-16"), "config.toml:1: this is not a text file"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0", "config.toml:1: this is not a text file"),
        (b"SQLite format 3\0\x10\0", "config.toml:1: this is not a text file"),
    ],
)
def test_files_that_are_no_toml(tmp_path: Path, content: str | bytes, expected: str) -> None:
    (mistake,) = mistakes_in(tmp_path, content)
    assert mistake.startswith(expected)


def test_a_broken_file_does_not_make_others_look_wrong(tmp_path: Path) -> None:
    write_config(tmp_path, STORAGE + "broken", "conf.d/storage.toml")
    found = mistakes_in(tmp_path, DATASOURCE + JOB)
    assert [mistake.partition(": ")[0] for mistake in found] == ["conf.d/storage.toml:5"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "conf.d/a.toml").mkdir(parents=True)
    assert mistakes_in(tmp_path, "") == ["conf.d/a.toml: cannot be read: Is a directory"]


def test_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.toml").symlink_to("nowhere")
    assert mistakes_in(tmp_path, "") == ["conf.d/a.toml: cannot be read: No such file or directory"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_literal_secret_in_a_file_that_others_can_read(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "it's here"
    path = write_config(folder, DATASOURCE + 'password = "hunter2"\n', mode=mode)
    (mistake,) = mistakes_of(path)
    assert mistake.startswith("config.toml:5: datasources.shop.password: a secret in plain text")
    assert mistake.endswith(f"chmod 600 '{tmp_path}/it'\"'\"'s here/config.toml'")
    assert "hunter2" not in mistake


def test_a_file_that_anybody_can_change(tmp_path: Path) -> None:
    found = mistakes_of(write_config(tmp_path, WHOLE, mode=0o646))
    assert found == [f"config.toml: anybody can change it, and with it what is run: chmod o-w {tmp_path}/config.toml"]


def test_a_reference_may_stand_in_a_file_that_others_can_read(tmp_path: Path) -> None:
    path = write_config(tmp_path, DATASOURCE + 'password = { env = "X" }\n', mode=0o644)
    assert load_config(path).datasources


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("3", "password: expected text or a table, not a whole number"),
        ("{}", "password: a secret is given by exactly one of env, file, command or keyring"),
        ("{ env = 'A', file = 'b' }", "password: a secret is given by exactly one of env, file, command or keyring"),
        ("{ enf = 'A' }", "password.enf: unknown key; did you mean 'env'?"),
        ("{ env = 3 }", "password.env: expected text, not a whole number"),
        ("{ env = '' }", "password.env: expected the name of an environment variable"),
        ("{ file = '' }", "password.file: expected the path of a file"),
        ("{ keyring = 'x' }", "password.keyring: expected 'service/user'"),
        ("{ command = [] }", "password.command: expected a program and its arguments"),
        ("{ command = 'a \"b' }", "password.command: a quotation mark is not closed"),
        ("{ command = './a' }", "password.command: expected a program of the PATH, or its absolute path"),
        ("{ command = ['a', 1] }", "password.command[1]: expected text, not a whole number"),
    ],
)
def test_references_to_secrets(tmp_path: Path, password: str, expected: str) -> None:
    found = mistakes_in(tmp_path, f"{DATASOURCE}password = {password}\n")
    assert found == [f"config.toml:5: datasources.shop.{expected}"]


class Checked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings with a rule that only the whole can tell."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    password: Secret | None = None

    def __post_init__(self) -> None:
        if self.include and self.exclude:
            raise ValueError("exclude: cannot stand beside include")
        if self.include == ("x",):
            raise ValueError("this can not be")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a]\ninclude = ['x']\nexclude = ['y']", "config.toml:3: a.exclude: cannot stand beside include"),
        ("[a]\ninclude = ['x']", "config.toml:1: a: this can not be"),
        ("[a]\npassword.file = 'x'", None),
    ],
)
def test_what_only_the_whole_can_tell(tmp_path: Path, text: str, expected: str | None) -> None:
    source = read_source(write_config(tmp_path, text))
    assert isinstance(source, Source)
    file = parse_source(source)
    assert isinstance(file, ConfigFile)
    mistakes: list[Mistake] = []
    settings = TableReader(file, mistakes).read(Checked, file.tables["a"], ("a",))
    assert [str(mistake) for mistake in mistakes] == ([f"{tmp_path}/{expected}"] if expected else [])
    assert (settings is None) == (expected is not None)
