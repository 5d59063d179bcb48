"""A throw-away MySQL of Oracle's, which is no package of Debian stable and is looked for where somebody has put it."""

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mariadb import MariadbServer
from tests.support.ports import free_port

ROOT_VARIABLE = "DGTUI_TEST_MYSQL_ROOT"
_HOW = (
    f"no MySQL is there; {ROOT_VARIABLE} may name a folder made by: mmdebstrap --variant=extract "
    "--include=mysql-server-core,mysql-client-core sid FOLDER"
)
_PROGRAMS = ("mysqld", "mysqldump", "mysql")


def mysql_root() -> Path | None:
    """The folder of a foreign system with MySQL in it."""
    root = Path(os.environ.get(ROOT_VARIABLE, "/nonexistent"))
    return root if (root / "usr/sbin/mysqld").exists() else None


class MysqlServer(MariadbServer):
    """A server of its own in a folder of its own, with `root` and no password; its programs bring their libraries."""

    def __init__(self, root: Path) -> None:
        self.port = free_port()
        self._process = None
        self.folder = Path(tempfile.mkdtemp(prefix="dgoracle-", dir="/tmp"))
        self.socket = str(self.folder / "s.sock")
        self.scratch = self.folder / "tmp"
        self.tools = self.folder / "bin"
        """Its own `mysqldump` and `mysql`."""
        for folder in (self.scratch, self.tools):
            folder.mkdir()
        self.folder.chmod(0o755)
        for name in _PROGRAMS:
            self._wrap(root, name)
        self._base = [
            str(self.tools / "mysqld"), "--no-defaults", f"--basedir={root / 'usr'}",
            f"--lc-messages-dir={root / 'usr/share/mysql'}",
            f"--character-sets-dir={root / 'usr/share/mysql/charsets'}",
            f"--plugin-dir={root / 'usr/lib/mysql/plugin'}", f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.scratch}", "--secure-file-priv=", "--innodb-redo-log-capacity=8M",
        ]  # fmt: skip
        if os.geteuid() == 0:
            owner = pwd.getpwnam("mysql" if "mysql" in {entry.pw_name for entry in pwd.getpwall()} else "nobody")
            for folder in (self.folder, self.scratch):
                shutil.chown(folder, owner.pw_name)
            self._base = [
                "setpriv", f"--reuid={owner.pw_name}", f"--regid={owner.pw_gid}", "--clear-groups", *self._base
            ]  # fmt: skip
        subprocess.run([*self._base, "--initialize-insecure"], check=True, capture_output=True, cwd="/tmp")

    def _wrap(self, root: Path, name: str) -> None:
        program = next(path for path in (root / "usr/sbin" / name, root / "usr/bin" / name) if path.exists())
        [loader] = (root / "usr").glob("lib*/ld-linux*.so.?")
        [libraries] = (root / "usr/lib").glob("*-linux-gnu")
        words = [str(loader), "--library-path", str(libraries), str(program)]
        wrapper = self.tools / name
        wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        wrapper.chmod(0o755)

    def start(self) -> None:
        """Start it, and return once it answers."""
        self.run_command(
            [
                *self._base, f"--socket={self.socket}", f"--pid-file={self.folder / 'pid'}", f"--port={self.port}",
                "--bind-address=127.0.0.1", "--mysqlx=OFF", "--innodb-buffer-pool-size=32M",
                "--performance-schema=OFF", "--innodb-flush-log-at-trx-commit=0",
            ]
        )  # fmt: skip

    def config(self, database: str, name: str = "shop") -> str:
        """The TOML table of a datasource on this server, with its own tools."""
        return f'{super().config(database, name)}tools = "{self.tools}"\n'


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[MysqlServer]:
    """A server for the whole session; tests make databases of their own."""
    root = mysql_root()
    if root is None:
        pytest.skip(_HOW)
    server = MysqlServer(root)
    try:
        server.start()
        yield server
    finally:
        server.remove()
