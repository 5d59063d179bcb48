"""What libpq and the tools of PostgreSQL say becomes the right error."""

import pytest

from dgtui.engine.datasources.postgres_failures import known_failure
from dgtui.engine.datasources.postgres_states import failure_by_state
from dgtui.engine.errors import (
    AuthenticationError,
    BackupCreationError,
    ConfigError,
    DatabaseConnectionError,
    DataGuardianError,
    PermissionDenied,
    ToolTooOld,
)
from dgtui.engine.tools import version_in, version_numbers

SAID: tuple[tuple[str, type[DataGuardianError], str], ...] = (
    (
        'connection to server at "db", port 5432 failed: FATAL:  password authentication failed for user "backup"',
        AuthenticationError,
        "refuses the user backup",
    ),
    ('connection to server at "db" failed: FATAL:  role "backup" does not exist', AuthenticationError, "backup"),
    (
        'connection to server at "db" failed: FATAL:  no pg_hba.conf entry for host "10.0.0.7", user "backup"',
        AuthenticationError,
        "10.0.0.7",
    ),
    ("FATAL:  connection requires a valid client certificate", AuthenticationError, "wants a certificate"),
    ('connection to server at "db", port 5432 failed: Connection refused', DatabaseConnectionError, "refused"),
    ('connection to server at "db", port 5432 failed: timeout expired', DatabaseConnectionError, "timeout expired"),
    (
        'connection to server on socket "/x/.s.PGSQL.5432" failed: No such file or directory',
        DatabaseConnectionError,
        "No such file",
    ),
    (
        'could not translate host name "nowhere" to address: Name or service not known',
        DatabaseConnectionError,
        "nowhere",
    ),
    ("FATAL:  sorry, too many clients already", DatabaseConnectionError, "takes no more connections"),
    ('FATAL:  too many connections for role "backup"', DatabaseConnectionError, "takes no more connections"),
    ("FATAL:  the database system is starting up", DatabaseConnectionError, "is not ready"),
    ("FATAL:  the database system is not accepting connections", DatabaseConnectionError, "is not ready"),
    ("server does not support SSL, but SSL was required", DatabaseConnectionError, "No encrypted connection"),
    ("FATAL:  unsupported startup parameter: options", DatabaseConnectionError, "is a pool of connections"),
    ('FATAL:  database "shop" does not exist', ConfigError, "shop"),
    ("server closed the connection unexpectedly", DatabaseConnectionError, "lost"),
    ("FATAL:  terminating connection due to administrator command", DatabaseConnectionError, "administrator"),
    ("ERROR:  canceling statement due to conflict with recovery", DatabaseConnectionError, "is a standby"),
    ("FATAL:  terminating connection due to conflict with recovery", DatabaseConnectionError, "is a standby"),
    ("ERROR:  permission denied for table orders", PermissionDenied, "table orders"),
    ("ERROR:  permission denied for schema hidden", PermissionDenied, "schema hidden"),
    ("ERROR:  permission denied for large object 12", PermissionDenied, "large object 12"),
    (
        'ERROR:  query would be affected by row-level security policy for table "orders"',
        PermissionDenied,
        "Row-level security",
    ),
    (
        "pg_dump: detail: server version: 18.4; pg_dump version: 15.18 (Debian 15.18-0+deb12u1)",
        ToolTooOld,
        "pg_dump 15.18 is older than the server 18.4",
    ),
    ("ERROR:  out of shared memory", BackupCreationError, "locks"),
)


def test_a_server_that_wants_encryption_is_told_from_one_that_wants_nobody() -> None:
    said = 'FATAL:  pg_hba.conf rejects connection for host "10.0.0.7", user "backup", database "shop", {}'
    for way, hint in (("no encryption", "Set `tls"), ("SSL encryption", "Add a line")):
        error = known_failure(said.format(way), server="db:5432", user="backup")
        assert error is not None
        assert error.hint.startswith(hint)


@pytest.mark.parametrize(("text", "kind", "told"), SAID)
def test_known_failures(text: str, kind: type[DataGuardianError], told: str) -> None:
    error = known_failure(text, server="db:5432", user="backup", detail=["a line"])
    assert type(error) is kind
    assert told in error.message
    assert error.hint
    assert error.detail == ("a line",)


@pytest.mark.parametrize(
    ("state", "kind", "hint"),
    [
        ("08006", DatabaseConnectionError, "network"),
        ("25006", ConfigError, "standby"),
        ("28P01", AuthenticationError, "password"),
        ("3D000", ConfigError, "psql -l"),
        ("40P01", DatabaseConnectionError, "try again"),
        ("42501", PermissionDenied, "dgtui check"),
        ("53100", DatabaseConnectionError, "df -h"),
        ("53200", DatabaseConnectionError, "memory"),
        ("53300", DatabaseConnectionError, "max_connections"),
        ("53400", DatabaseConnectionError, "log"),
        ("55P03", DatabaseConnectionError, "holds a lock"),
        ("57014", DatabaseConnectionError, "cancelled"),
        ("57P01", DatabaseConnectionError, "stopped or restarted"),
        ("57P03", DatabaseConnectionError, "recovered"),
        ("58030", DatabaseConnectionError, "file system"),
        ("XX001", DatabaseConnectionError, "damage"),
    ],
)
def test_what_a_code_stands_for(state: str, kind: type[DataGuardianError], hint: str) -> None:
    """In whatever language the server says it."""
    error = failure_by_state(state, "FATAL:  zu viele Verbindungen", server="db:5432", user="backup")
    assert type(error) is kind
    assert error.message.startswith("db:5432: FATAL:  zu viele Verbindungen")
    assert hint in error.hint


def test_the_right_that_lets_into_a_database() -> None:
    text = 'FATAL:  permission denied for database "shop"'
    error = known_failure(text, server="db:5432", user="backup")
    assert error is not None
    assert error.hint == 'Run as its owner: GRANT CONNECT ON DATABASE "shop" TO backup;'


@pytest.mark.parametrize(
    "text",
    [
        'ERROR:  role "owner" does not exist',
        'ERROR:  could not open extension control file "/x/y.control": No such file or directory',
        'ERROR:  relation "t" already exists',
    ],
)
def test_errors_of_statements_are_no_failures_of_the_connection(text: str) -> None:
    assert known_failure(text, server="db:5432", user="backup") is None


@pytest.mark.parametrize(
    ("printed", "version", "numbers"),
    [
        ("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.18", (15, 18)),
        ("pg_dump (PostgreSQL) 18beta1", "18beta1", (18,)),
        ("mariadb-dump from 10.11.19-MariaDB, client 10.19 for debian-linux-gnu", "10.11.19-MariaDB", (10, 11, 19)),
        ("mysqldump  Ver 10.19 Distrib 10.11.6-MariaDB, for debian-linux-gnu", "10.11.6-MariaDB", (10, 11, 6)),
        ("mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)", "8.0.36", (8, 0, 36)),
        ("tar (GNU tar) 1.34", "1.34", (1, 34)),
        ("no version at all", "", ()),
    ],
)
def test_versions_as_programs_print_them(printed: str, version: str, numbers: tuple[int, ...]) -> None:
    assert version_in(printed) == version
    assert version_numbers(version) == numbers


@pytest.mark.parametrize(
    ("what", "way"),
    [
        ("does not exist", "CREATE ROLE \"backup\" LOGIN PASSWORD '...';"),
        ("is not permitted to log in", 'ALTER ROLE "backup" LOGIN;'),
    ],
)
def test_a_role_that_may_not_log_in_is_no_question_of_its_password(what: str, way: str) -> None:
    error = known_failure(f'FATAL:  role "backup" {what}', server="db:5432", user="backup")
    assert error is not None
    assert error.message == f'db:5432 refuses the user backup: role "backup" {what}'
    assert error.hint.endswith(way)
    assert "password authentication" not in error.hint
    assert "expired" not in error.hint
