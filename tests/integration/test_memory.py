"""The memory of a worker does not grow with what it backs up."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest

from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import parts, postgres_table, table

pytestmark = pytest.mark.started

MEGABYTE = 1_000_000
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


def peak_kibibytes(home: Home, *, dumped: int, in_parts: bool) -> int:
    """Back up; the worker's peak resident memory. `dumped` is how many bytes the dump has at least."""
    engine = home.engine()
    execution = home.back_up()
    assert execution.status == "completed", execution.problem
    assert execution.total_size_bytes is not None
    assert execution.total_size_bytes > dumped
    assert (parts(execution) > 1) is in_parts
    for copy in execution.copies:
        engine.delete(execution, storage=copy.storage, force=True)
    found = _PEAK.search(_status_of_the_worker(home).read_text())
    assert found is not None
    return int(found[1])


def _status_of_the_worker(home: Home) -> Path:
    return home.folder / "status-of-the-worker"


def job(home: Home, part_megabytes: int) -> str:
    """Keys of the job; what it runs at its end writes down how much memory the worker, which waits for it, ever had."""
    look = f"cat /proc/$PPID/status > {shlex.quote(str(_status_of_the_worker(home)))}"
    return (
        f'compression = "zstd:3"\ncompression_threads = 2\nmax_file_size_mb = {part_megabytes}\n'
        f'after = ["sh", "-c", {json.dumps(look)}]'
    )


def assert_flat(small: int, large: int) -> None:
    """The same memory for 200 MB and for 2 GB."""
    assert large < 150 * 1024
    assert large <= small * 1.1


def test_memory_stays_flat(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    home.configure(
        table("shop", type="files", path=str(source)),
        storages=("disk", "nas"),
        job=job(home, 10),
    )
    lines = b"".join(b"%d\tcustomer %d\n" % (number, number * 7919 % 1009) for number in range(900_000))
    block = lines[: 19 * MEGABYTE] + os.urandom(20 * MEGABYTE - len(lines[: 19 * MEGABYTE]))

    def peak_of(repeats: int) -> int:
        with (source / "large").open("wb") as file:
            for _ in range(repeats):
                file.write(block)
        return peak_kibibytes(home, dumped=repeats * len(block), in_parts=True)

    assert_flat(peak_of(10), peak_of(100))


def test_memory_stays_flat_with_a_database_and_its_live_check(home: Home, postgres_server: PostgresServer) -> None:
    """The rows are small where they are stored and large where they are dumped."""
    with postgres_server.database() as database:
        home.configure(postgres_table(postgres_server, database), storages=("disk", "nas"), job=job(home, 100))
        postgres_server.execute("CREATE TABLE wide (id integer, words text)", database)

        def peak_of(rows: int) -> int:
            row = "SELECT i, repeat(md5(i::text) || md5((i + 1)::text), 1600) FROM generate_series(1, %s) i"
            postgres_server.execute("TRUNCATE wide", database)
            postgres_server.execute(f"INSERT INTO wide {row % rows}", database)
            return peak_kibibytes(home, dumped=rows * 100_000, in_parts=False)

        assert_flat(peak_of(2_000), peak_of(20_000))
