"""The shortest way of a backup: dump into a file, and an archive read from that file."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.dumping import DumpOptions, DumpSummary
from dgtui.engine.datasources.loading import LoadOutcome, Selection
from dgtui.engine.reporting import SilentReporter

BLOCK = 256 << 10


class FileArchive:
    """An archive that lies uncompressed in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.total_size_bytes = path.stat().st_size
        self.object_bytes = dict[str, int]()

    def blocks(self) -> Iterator[bytes]:
        """The bytes in order."""
        with self._path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block

    def as_file(self) -> Path:
        """The file itself."""
        return self._path


def dump_to(
    datasource: Datasource[Any], path: Path, options: DumpOptions | None = None, *, scratch: Path
) -> DumpSummary:
    """Back up a datasource into a file, with the reader that runs beside a live dump."""
    options = msgspec.structs.replace(options or DumpOptions(), scratch_folder=str(scratch))
    dump = datasource.open_dump(datasource.probe(options), options, SilentReporter())
    check = datasource.live_check(scratch)
    try:
        with path.open("wb") as file:
            while block := os.read(dump.fd, BLOCK):
                check.feed(block)
                file.write(block)
        summary = dump.finish()
        check.finish()
    finally:
        dump.stop()
        check.stop()
    return summary


def check_archive(datasource: Datasource[Any], path: Path, scratch: Path) -> None:
    """Read an archive as `validate` does."""
    check = datasource.archive_check(scratch)
    try:
        for block in FileArchive(path).blocks():
            check.feed(block)
        check.finish()
    finally:
        check.stop()


def load_into(
    datasource: Datasource[Any], archive: Path, target: str, selection: Selection | None = None, *, scratch: Path
) -> LoadOutcome:
    """Restore an archive into a new target."""
    selection = selection or Selection()
    stored = FileArchive(archive)
    datasource.check_restore(stored, target, selection)
    datasource.create_target(target)
    return datasource.load(stored, target, selection, SilentReporter(), jobs=1, scratch_folder=scratch)
