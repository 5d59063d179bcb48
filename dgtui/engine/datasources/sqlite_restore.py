"""Writing an SQLite archive, or a part of it, to an empty file."""

import os
from collections.abc import Iterator
from pathlib import Path

from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.sqlite_check import HeaderCheck, check_file
from dgtui.engine.datasources.sqlite_selection import chosen_tables, reduce_database
from dgtui.engine.datasources.sqlite_snapshot import SIDE_FILES, side_file
from dgtui.engine.errors import RestoreError
from dgtui.engine.file_errors import file_error
from dgtui.engine.files import write_all


def load_part(archive: Archive, target: Path, selection: Selection, scratch_folder: Path) -> None:
    """Write the chosen part of an archive to the empty file `target`; raises ValidationError, sqlite3.Error."""
    full = scratch_folder / f"full-{os.getpid()}-{os.urandom(4).hex()}.db"
    try:
        full.touch(mode=0o600, exist_ok=False)
        write_archive(archive.blocks(), full)
        check_file(full, "The archive")
        keep = chosen_tables(full, selection.tables, ()) if selection.tables else None
        reduce_database(full, target, keep, schema_only=selection.backup_type == "schema_only")
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        for ending in ("", *SIDE_FILES):
            side_file(full, ending).unlink(missing_ok=True)


def write_archive(blocks: Iterator[bytes], target: Path) -> None:
    """Write blocks to a file that exists and is empty, and make them durable."""
    header = HeaderCheck()
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for block in blocks:
                header.feed(block)
                write_all(descriptor, block)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise file_error(error, target, "write") from error
    header.finish()


def need_empty(target: Path) -> None:
    """Raise RestoreError where a target is anything but an empty file."""
    if target.is_symlink() or not target.is_file() or target.stat().st_size:
        raise RestoreError(
            f"{target} is no empty file", subject=str(target), hint="Restore under another name, or with --overwrite"
        )
