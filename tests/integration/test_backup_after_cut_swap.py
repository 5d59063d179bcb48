"""A MariaDB database whose swap was cut: no backup is made of it that lacks what was not made anew yet."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from tests.support.cutting import CuttingProxy, cutting
from tests.support.homes import Home, Outcome
from tests.support.mariadb import MariadbServer, mariadb_program, mysql_digest
from tests.support.round_trips import mysql_table

_OF_A_FULL_DISK = f"""#!/bin/sh
case " $* " in *" -- "*) ;; *) exec {mariadb_program("mariadb")} "$@" ;; esac
cat > /dev/null
echo 'ERROR 3 (HY000) at line 1: Error writing file (Errcode: 28 "No space left on device")' >&2
exit 1
"""


class CutShop:
    """A database with a view and a function, whose restore lost its server in the midst of the swap."""

    def __init__(self, home: Home, server: MariadbServer, database: str, proxy: CuttingProxy) -> None:
        self.home = home
        self.server = server
        self.database = database
        self.proxy = proxy
        self.configure()
        server.execute(
            "CREATE TABLE word (id INT PRIMARY KEY)",
            "CREATE VIEW words AS SELECT * FROM word",
            "CREATE FUNCTION answer() RETURNS INT DETERMINISTIC RETURN 42",
            database=database,
        )
        assert home.back_up().status == "completed"
        self.whole = self.digest()
        cut = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
        assert cut.exit_code == 1, cut
        proxy.open = True
        assert self.digest() != self.whole

    def configure(self, **more: str) -> None:
        """The datasource behind the proxy."""
        self.home.configure(mysql_table(self.server, self.database, port=self.proxy.port, tls="disable", **more))

    def digest(self) -> dict[str, str]:
        """What the database holds."""
        return mysql_digest(self.server, self.database)

    def archives(self) -> list[bytes]:
        """What the backups hold that are listed as completed, the newest first."""
        listed = self.home.dgtui("list", "--job", "nightly", "--json").json()
        folders = [
            self.home.storage() / one["job_id"] / one["folder"] for one in listed if one["status"] == "completed"
        ]
        return [
            zstandard.ZstdDecompressor().decompressobj().decompress((folder / "backup.sql.zst").read_bytes())
            for folder in folders
        ]

    def run(self) -> Outcome:
        """Back it up."""
        return self.home.dgtui("run", "nightly")


@pytest.fixture
def shop(home: Home, mariadb: MariadbServer) -> Iterator[CutShop]:
    """One that lacks its view and its function now."""
    database = mariadb.create_database()
    words = (b"RENAME TABLE", f"DROP VIEW IF EXISTS `{database}`.".encode(), b"FUNCTION")
    with cutting(mariadb.port, words, "down", lambda: None) as proxy:
        yield CutShop(home, mariadb, database, proxy)


def test_the_next_backup_holds_what_is_made_anew(shop: CutShop) -> None:
    """The dump begins beside what puts the database right: it is made once more, and says why."""
    done = shop.run()
    assert done.exit_code == 0, done
    assert "was not whole when the dump began" in done.errors + done.output
    newest, *_ = shop.archives()
    assert b"FUNCTION" in newest
    assert b"VIEW `words`" in newest
    assert shop.digest() == shop.whole


def test_no_backup_while_it_cannot_be_made_anew(shop: CutShop, tmp_path: Path) -> None:
    """As on a server whose disk is full: what lacks is said, and what to do; then all is as ever."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "mariadb-dump").symlink_to(str(mariadb_program("mariadb-dump")))
    (tools / "mariadb").write_text(_OF_A_FULL_DISK)
    (tools / "mariadb").chmod(0o755)
    shop.configure(tools=str(tools))
    refused = shop.run()
    assert refused.exit_code == 1, refused
    assert f"{shop.database} is between its former content and the restored one" in refused.errors
    assert "Make room where the server keeps its data" in refused.errors
    assert "dgtui cleanup-restore" in refused.errors
    assert "whole, and which" not in shop.home.dgtui("restores").errors
    assert len(shop.archives()) == 1
    shop.configure()
    assert shop.run().exit_code == 0
    assert shop.digest() == shop.whole
