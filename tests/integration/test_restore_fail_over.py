"""A restore goes on with the next copy also when the first turns bad only while it is being loaded."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dgtui.engine.datasources.loading import Selection
from tests.support.homes import wait_until
from tests.support.shops import Shop

HOLD = ': > "$here/reached"; while [ ! -e "$here/go" ]; do sleep 0.05; done; exec "$real" "$@"'
"""Stand still before taking a single byte, until the file `go` is there."""


class CopiesOfAShop:
    """A shop with copies at two storages, in many parts, whose first loading can be held while a test spoils one."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        shop.storages = ("disk", "nas")
        shop.job = 'compression = "none"\nmax_file_size_mb = 1'
        shop.write()
        self.execution = shop.home.back_up()
        assert self.execution.status == "completed", self.execution.problem
        self.backed_up = shop.digest()
        shop.server.execute("UPDATE orders SET amount = 0", database=shop.database)
        self.before = shop.digest()

    def folder(self, storage: str) -> Path:
        """The backup folder at a storage."""
        return next(Path(copy.path) for copy in self.execution.copies if copy.storage == storage)

    def hold_the_loading(self) -> None:
        """Let the first pg_restore that loads stand still."""
        tools = self.shop.home.folder / "tools"
        tools.mkdir()
        for name in ("pg_dump", "pg_dumpall", "psql"):
            tools.joinpath(name).symlink_to(self.shop.server.binaries / name)
        fake = tools / "pg_restore"
        fake.write_text(
            f"#!/bin/sh\nreal={self.shop.server.binaries / 'pg_restore'}\nhere={tools}\n"
            f'case " $* " in *" -d "*) ;; *) exec "$real" "$@" ;; esac\n'
            f'[ -e "$here/reached" ] && exec "$real" "$@"\n{HOLD}\n'
        )
        fake.chmod(0o755)
        self.shop.tools = tools
        self.shop.write()

    def restore_while(self, spoil: Callable[[], object]) -> tuple[str, str, str]:
        """Restore in place, spoil while the loading stands still; status, kind of error, storage that was used."""
        self.hold_the_loading()
        engine = self.shop.home.engine()
        run_id = engine.start_restore(self.execution, overwrite=True)
        reached = self.shop.home.folder / "tools" / "reached"
        wait_until(lambda: reached.exists() or not engine.paths.is_alive(run_id), "the loading")
        assert reached.exists(), self.shop.home.finish(engine, run_id)
        spoil()
        reached.with_name("go").touch()
        snapshot = self.shop.home.finish(engine, run_id)
        kind = snapshot.problem.kind if snapshot.problem else ""
        return snapshot.status, kind, engine.restores()[0].storage or ""

    def states(self) -> dict[str, str]:
        """The states of the copies, as the catalogue now knows them."""
        execution = self.shop.home.engine().execution(self.execution.execution_id)
        return {copy.storage: copy.status for copy in execution.copies}

    def cut(self, storage: str) -> None:
        """Cut the last part in its middle, as a disk that loses its blocks would."""
        part = max(self.folder(storage).glob("backup.*"))
        os.truncate(part, part.stat().st_size // 2)

    def flip_last_byte(self, storage: str) -> None:
        """Change the last byte, which no loading of a few tables ever reaches."""
        part = max(self.folder(storage).glob("backup.*"))
        content = part.read_bytes()
        part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    def unplug(self, storage: str) -> None:
        """Take the whole storage away."""
        self.shop.home.storage(storage).rename(self.shop.home.folder / f"unplugged-{storage}")


@pytest.fixture
def copies(shop: Shop) -> CopiesOfAShop:
    """Copies at two storages."""
    return CopiesOfAShop(shop)


def test_a_copy_that_is_cut_while_it_is_read(copies: CopiesOfAShop) -> None:
    assert copies.restore_while(lambda: copies.cut("disk")) == ("completed", "", "nas")
    assert copies.states() == {"disk": "corrupt", "nas": "available"}
    assert copies.shop.digest() == copies.backed_up
    assert copies.shop.home.litter() == []


def test_a_storage_that_vanishes_while_it_is_read(copies: CopiesOfAShop) -> None:
    assert copies.restore_while(lambda: copies.unplug("disk")) == ("completed", "", "nas")
    assert copies.states()["disk"] in ("missing", "unreachable")
    assert copies.shop.digest() == copies.backed_up


def test_all_copies_turn_bad_and_the_target_is_as_it_was(copies: CopiesOfAShop) -> None:
    databases = copies.shop.server.databases()

    def spoil() -> None:
        copies.cut("disk")
        copies.unplug("nas")

    status, kind, _ = copies.restore_while(spoil)
    assert status == "failed"
    assert kind in ("ValidationError", "StorageError")
    assert copies.shop.digest() == copies.before
    assert copies.shop.server.databases() == databases


@pytest.mark.parametrize(
    ("jobs", "tables"), [(1, ()), (2, ()), (1, ("public.customers",)), (2, ("public.customers",))], ids=str
)
def test_a_byte_that_the_loading_did_not_need_is_compared_before_the_target_is_touched(
    copies: CopiesOfAShop, jobs: int, tables: tuple[str, ...]
) -> None:
    copies.flip_last_byte("disk")
    engine = copies.shop.home.engine()
    run_id = engine.start_restore(
        copies.execution, selection=Selection(tables=tables), overwrite=True, jobs=jobs, storage="disk"
    )
    snapshot = copies.shop.home.finish(engine, run_id)
    assert snapshot.problem is not None
    assert (snapshot.status, snapshot.problem.kind) == ("failed", "ValidationError")
    assert copies.shop.digest() == copies.before
    assert copies.states()["disk"] == "corrupt"
    run_id = engine.start_restore(copies.execution, selection=Selection(tables=tables), overwrite=True, jobs=jobs)
    snapshot = copies.shop.home.finish(engine, run_id)
    assert (snapshot.status, snapshot.problem) == ("completed", None)
    assert engine.restores()[0].storage == "nas"
    assert [source.name for source in snapshot.sources] == ["nas"], "the damage was known: it is not loaded again first"
    assert copies.shop.database + "__dgtui_new" not in copies.shop.server.databases()
