"""A PostgreSQL shop and a home that backs it up, with dump programs that can be made to misbehave."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fakebin import write_fake
from tests.support.gates import GatedTool
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.postgres_digest import postgres_digest

PASSWORD = "Se3cret'\"\\ %41"
"""A password that no log, message or file may ever hold."""

_TABLES = """
CREATE TABLE orders (id integer PRIMARY KEY, item text NOT NULL, amount numeric(10, 2));
INSERT INTO orders SELECT i, md5(i::text) || repeat('x', 200), i * 1.5 FROM generate_series(1, {rows}) i;
CREATE TABLE customers (id integer PRIMARY KEY, name text);
INSERT INTO customers SELECT i, 'customer ' || i FROM generate_series(1, 500) i;
ANALYZE;
"""


class Shop:
    """One database, and the home whose job `nightly` backs it up."""

    def __init__(self, home: Home, server: PostgresServer, database: str) -> None:
        self.home = home
        self.server = server
        self.database = database
        self.storages: tuple[str, ...] = ("disk",)
        self.job = ""
        self.more = ""
        self.settings = ""
        self.tools: Path | None = None
        self.port = server.port
        self.write()

    def write(self) -> None:
        """Write the configuration as it now is."""
        tools = f"tools = {json.dumps(str(self.tools))}\n" if self.tools else ""
        host = "" if "host" in self.settings else f"socket = {json.dumps(str(self.server.folder))}\n"
        self.home.configure(
            f'[datasources.shop]\ntype = "postgres"\n{host}port = {self.port}\nusername = "postgres"\n'
            f"database = {json.dumps(self.database)}\n{tools}{self.settings}\n",
            storages=self.storages,
            job=self.job,
            more=self.more,
        )

    def misbehave(self, mode: str) -> None:
        """Let pg_dump misbehave from now on; the other programs are the real ones."""
        folder = self.home.folder / "tools"
        folder.mkdir(exist_ok=True)
        for name in ("pg_restore", "pg_dumpall", "psql"):
            link = folder / name
            link.unlink(missing_ok=True)
            link.symlink_to(self.server.binaries / name)
        write_fake(folder, "pg_dump", mode, real=str(self.server.binaries / "pg_dump"))
        self.tools = folder
        self.write()

    def bytes_sent(self) -> int | None:
        """How many bytes a pg_dump that now stands still or hangs has given; None before it does."""
        assert self.tools is not None
        sent = self.tools / "sent"
        return int(sent.read_text()) if sent.exists() else None

    def behave(self) -> None:
        """The real tools again."""
        self.tools = None
        self.write()

    def digest(self, database: str | None = None) -> dict[str, str]:
        """Digest of schema and data."""
        with self.server.connect(database or self.database) as connection:
            return postgres_digest(connection)

    def folders(self, storage: str = "disk") -> list[Path]:
        """The backup folders at a storage."""
        return sorted(path.parent for path in self.home.storage(storage).glob("*/*/manifest.json"))

    def nothing_left(self) -> None:
        """Assert that a failed run left no litter and the secrets stayed secret."""
        assert self.home.litter() == []
        # By another process: to open and close the catalogue's file in this one would free the locks of our engines.
        places = [str(self.home.state), str(self.home.storage())]
        found = subprocess.run(
            ["grep", "-rslFa", "-e", PASSWORD, "--", *places], capture_output=True, text=True, check=False
        )
        assert found.stdout == ""


@pytest.fixture
def shop(home: Home, postgres_server: PostgresServer) -> Iterator[Shop]:
    """A shop of about 5 MB."""
    with postgres_server.database() as database:
        with postgres_server.connect(database) as connection:
            connection.execute(_TABLES.format(rows=20000).encode())
        yield Shop(home, postgres_server, database)


@pytest.fixture
def gate(shop: Shop) -> GatedTool:
    """What the shop's dump stands still at in the middle of its rows, however long it takes to disturb it."""
    made = GatedTool(shop.home.folder / "tools", "pg_dump", str(shop.server.binaries / "pg_dump"))
    for name in ("pg_restore", "pg_dumpall", "psql"):
        made.folder.joinpath(name).symlink_to(shop.server.binaries / name)
    shop.tools = made.folder
    shop.write()
    return made


@pytest.fixture
def small_mount(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB of its own; needs root."""

    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("this system does not let us mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def fill_up(folder: Path) -> Path:
    """Leave no byte free on a small file system; the file that takes them."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return filler
