"""A dump into a file and back, without the rest of the engine: what the tests of the MySQL adapter share."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from dgtui.engine.datasources.dumping import Dump, DumpOptions, DumpSummary
from dgtui.engine.datasources.loading import LoadOutcome, Selection
from dgtui.engine.datasources.mysql import MysqlDatasource
from dgtui.engine.reporting import SilentReporter

BLOCK = 262_144


class FileArchive:
    """The bytes of a dump in a file."""

    def __init__(self, path: Path, block: int = BLOCK) -> None:
        self.path = path
        self.total_size_bytes = path.stat().st_size
        self.object_bytes = dict[str, int]()
        self._block = block

    def blocks(self) -> Iterator[bytes]:
        """The bytes in order."""
        with self.path.open("rb") as file:
            while block := file.read(self._block):
                yield block

    def as_file(self) -> Path:
        """The file itself."""
        return self.path


class Listener(SilentReporter):
    """Remembers what was said, and which objects were announced."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.objects: list[tuple[str, int, int]] = []

    def log(self, text: str, *, origin: str = "dgtui", level: Literal["info", "warning", "error"] = "info") -> None:
        """Remember the line."""
        self.lines.append(text)

    def current_object(self, name: str, *, number: int = 0, count: int = 0) -> None:
        """Remember the name."""
        self.objects.append((name, number, count))


def drain(dump: Dump) -> Iterator[bytes]:
    """The bytes of a running dump."""
    while block := os.read(dump.fd, BLOCK):
        yield block


def dump_to(
    source: MysqlDatasource, path: Path, options: DumpOptions | None = None, reporter: SilentReporter | None = None
) -> DumpSummary:
    """Dump a datasource into a file, checked as the engine checks it."""
    options = options or DumpOptions()
    dump = source.open_dump(source.probe(options), options, reporter or SilentReporter())
    check = source.archive_check(path.parent)
    try:
        with path.open("wb") as file:
            for block in drain(dump):
                file.write(block)
                check.feed(block)
        summary = dump.finish()
        check.finish()
    finally:
        check.stop()
        dump.stop()
    return summary


def load_from(
    source: MysqlDatasource, path: Path, database: str, selection: Selection | None = None, block: int = BLOCK
) -> LoadOutcome:
    """Load a file into a database that exists."""
    return source.load(
        FileArchive(path, block),
        database,
        selection or Selection(),
        SilentReporter(),
        jobs=1,
        scratch_folder=path.parent,
    )


def copy_database(
    source: MysqlDatasource, target: str, folder: Path, selection: Selection | None = None
) -> LoadOutcome:
    """Dump a datasource and load it under another name."""
    dump_to(source, folder / "backup.sql")
    source.create_target(target, like=source.database)
    return load_from(source, folder / "backup.sql", target, selection)
