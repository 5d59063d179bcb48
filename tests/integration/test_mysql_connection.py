"""MySQL and MariaDB: by socket, and over TLS, with our own eyes and with the server's programs."""

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.datasources.mysql_connection import Access
from dgtui.engine.errors import AuthenticationError, ConfigError, DatabaseConnectionError
from tests.integration.mysql_pump import copy_database, dump_to
from tests.support.certificates import make_certificate, need_openssl
from tests.support.homes import wait_until
from tests.support.mariadb import MariadbServer, missing_mariadb, mysql_digest


def open_descriptors() -> list[str]:
    """What this process has open."""
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


@pytest.fixture
def tls_server() -> Iterator[MariadbServer]:
    """A server with a certificate for 127.0.0.1; the authority's certificate is `ca.pem` in its folder."""
    if reason := missing_mariadb():
        pytest.skip(reason)
    need_openssl()
    server = MariadbServer()
    try:
        authority = make_certificate(server.folder, "ca")
        make_certificate(server.folder, "stranger")
        certificate = make_certificate(server.folder, "127.0.0.1", authority=authority)
        for path in server.folder.glob("*.*"):
            shutil.chown(path, server.folder.owner())
        server.add_options(f"--ssl-cert={certificate}", f"--ssl-key={certificate.with_suffix('.key')}")
        server.start()
        yield server
    finally:
        server.remove()


def test_tls_as_it_is_asked_for(tls_server: MariadbServer, tmp_path: Path) -> None:
    """Required encryption works, a trusted certificate is accepted, and a stranger's is refused."""
    name = tls_server.create_database()
    tls_server.execute(
        "CREATE TABLE t (a INT)",
        "INSERT INTO t VALUES (1)",
        "CREATE USER safe@'%' IDENTIFIED BY 'pw' REQUIRE SSL",
        "GRANT ALL ON *.* TO safe@'%'",
        database=name,
    )
    trusted, stranger = tls_server.folder / "ca.pem", tls_server.folder / "stranger.pem"
    for number, mode in enumerate(("prefer", "require", "verify-ca", "verify-full")):
        source = tls_server.datasource(name, "pw", username="safe", tls=mode, tls_ca=str(trusted))
        copy = f"{name}_{number}"
        assert copy_database(source, copy, tmp_path).errors == ()
        assert mysql_digest(tls_server, copy) == mysql_digest(tls_server, name)
    for mode in ("verify-ca", "verify-full"):
        with pytest.raises(DatabaseConnectionError, match=r"No encrypted connection .*certificate") as untrusted:
            tls_server.datasource(name, "pw", username="safe", tls=mode, tls_ca=str(stranger)).probe()
        assert "tls_ca" in untrusted.value.hint
    with pytest.raises(AuthenticationError) as plain:
        tls_server.datasource(name, "pw", username="safe", tls="disable").probe()
    assert 'tls = "require"' in plain.value.hint


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_an_authority_that_cannot_be_read(mariadb: MariadbServer, tmp_path: Path, content: str | None) -> None:
    """It is told as a mistake of the configuration."""
    name, authority = mariadb.create_database(), tmp_path / "ca.pem"
    if content is not None:
        authority.write_text(content)
    with pytest.raises(ConfigError, match=re.escape(str(authority))) as caught:
        mariadb.datasource(name, tls="verify-ca", tls_ca=str(authority)).probe()
    assert "`tls_ca`" in caught.value.hint


@pytest.mark.parametrize("tls", ["require", "verify-full"])
def test_encryption_that_cannot_be_had(mariadb: MariadbServer, tls: str) -> None:
    """A server without TLS is not talked to where TLS is required."""
    name = mariadb.create_database()
    with pytest.raises(DatabaseConnectionError, match=r"No encrypted connection .*SSL is required"):
        mariadb.datasource(name, tls=tls).probe()


def test_by_socket(mariadb: MariadbServer, tmp_path: Path) -> None:
    """Host and port are not used where a socket is given."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (7)", database=name)
    source = mariadb.datasource(name, socket=mariadb.socket, host="192.0.2.1", port=1)
    assert source.location == mariadb.socket
    dump_to(source, tmp_path / "all.sql")
    assert copy_database(source, f"{name}_copy", tmp_path).errors == ()
    assert mysql_digest(mariadb, f"{name}_copy") == mysql_digest(mariadb, name)


def test_a_network_that_is_gone_is_noticed_while_an_answer_takes_long(mariadb: MariadbServer) -> None:
    """Within two minutes, as with PostgreSQL; the system itself would begin to ask after two hours."""
    with Access(mariadb.settings("mysql"), None).connect(3600.0) as connection:
        found = connection._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        probes = [
            connection._sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        ]
    assert found
    assert probes == [60, 10, 6]


def test_no_descriptor_is_left_open(mariadb: MariadbServer, tmp_path: Path) -> None:
    """Option files, pipes and connections of a dump and a load are closed at the end."""
    name = mariadb.create_database()
    source = mariadb.datasource(name, "")
    source.probe()
    before = open_descriptors()
    assert copy_database(source, f"{name}_copy", tmp_path).errors == ()
    # Whoever looked for locks meanwhile, here or in a test before, may still hear the server's last answer.
    wait_until(lambda: len(open_descriptors()) <= len(before), "the end of what was opened")
