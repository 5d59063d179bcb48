"""The memory of a worker does not grow with what it backs up."""

import contextlib
import os
import re
from pathlib import Path

from tests.support.homes import Home, wait_until
from tests.support.round_trips import parts, table

MEGABYTE = 1_000_000
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


def peak_kibibytes(home: Home, source: Path, block: bytes, repeats: int) -> int:
    """Back up a file of so many copies of a block; the worker's peak resident memory."""
    with source.open("wb") as file:
        for _ in range(repeats):
            file.write(block)
    engine = home.engine()
    run_id = engine.start_job("nightly")
    status = Path(f"/proc/{engine.paths.lock(run_id).read_text()}/status")
    peak = 0

    def ended() -> bool:
        nonlocal peak
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # It only ever grows, so the last look tells it; a process that has ended has no memory any more.
            if found := _PEAK.search(status.read_text()):
                peak = max(peak, int(found[1]))
        return not engine.paths.is_alive(run_id)

    wait_until(ended, "the end of the backup")
    execution = engine.execution(run_id)
    assert execution.status == "completed", execution.problem
    assert execution.total_size_bytes is not None
    assert execution.total_size_bytes > repeats * len(block)
    assert parts(execution) > 1
    for copy in execution.copies:
        engine.delete(execution, storage=copy.storage, force=True)
    source.unlink()
    return peak


def test_memory_stays_flat(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    home.configure(
        table("shop", type="files", path=str(source)),
        storages=("disk", "nas"),
        job='compression = "zstd:3"\ncompression_threads = 2\nmax_file_size_mb = 10',
    )
    lines = b"".join(b"%d\tcustomer %d\n" % (number, number * 7919 % 1009) for number in range(900_000))
    block = lines[: 19 * MEGABYTE] + os.urandom(20 * MEGABYTE - len(lines[: 19 * MEGABYTE]))
    small = peak_kibibytes(home, source / "large", block, 10)
    large = peak_kibibytes(home, source / "large", block, 100)
    assert large < 150 * 1024
    assert large <= small * 1.1
