"""Removing what ended runs left in `<state>/runs`, and what was cut while it was written: it would grow for ever."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from dgtui.config.kept import kept_folder
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.past import gone_executions
from dgtui.engine.catalog.running import runs_under_way
from dgtui.engine.cut_writes import remove_cut_writes
from dgtui.engine.file_errors import explained
from dgtui.engine.late_rows import prune_late_rows
from dgtui.engine.run_follower import last_status
from dgtui.engine.runs import RunPaths

_HOUR = 3600.0
_MARK = ".pruned"
_SUFFIXES = (".jsonl", ".lock", ".request.json", ".stderr")


def prune_run_files(catalog: Catalog, paths: RunPaths, *, kept_seconds: float, clock: float | None = None) -> int:
    """Remove the files of runs that ended, at most once an hour; how many. Raises StorageError, CatalogError.

    What was asked of a run, its lock and an empty error output go an hour after its end; its log goes with its
    backup, and where it is older than `kept_seconds`. What restores kept of late rows has a time of its own.
    """
    moment = time.time() if clock is None else clock
    with explained(paths.runs, "remove old files of runs in"):
        if not _is_due(paths.runs / _MARK, moment):
            return 0
        ended = {run_id: files for run_id, files in _files(paths).items() if not paths.is_alive(run_id)}
        busy = runs_under_way(catalog) | {folder.name for folder in (paths.state / "scratch").iterdir()}
        busy = busy.union(paths.unrecorded_runs())
        gone = gone_executions(catalog, ended)
        removed = 0
        for run_id, files in ended.items():
            if run_id in busy:
                continue
            for file in _removable(paths, run_id, files, gone=run_id in gone, moment=moment, kept_seconds=kept_seconds):
                file.unlink(missing_ok=True)
                removed += 1
        # In that of the configurations that are kept, a secret may be in one.
        for folder in (paths.state, paths.runs, kept_folder(paths.state)):
            remove_cut_writes(folder)
        removed += prune_late_rows(catalog, paths, moment)
        (paths.runs / _MARK).touch(0o600)
        return removed


def _is_due(mark: Path, moment: float) -> bool:
    try:
        # Where the clock was set back, the mark lies ahead.
        return not 0 <= moment - mark.stat().st_mtime < _HOUR
    except FileNotFoundError:
        return True


def _files(paths: RunPaths) -> dict[str, list[str]]:
    """By run the ends of the names of its files."""
    found: dict[str, list[str]] = {}
    for path in paths.runs.iterdir():
        for suffix in _SUFFIXES:
            if path.name.endswith(suffix):
                found.setdefault(path.name.removesuffix(suffix), []).append(suffix)
    return found


def _removable(
    paths: RunPaths, run_id: str, suffixes: list[str], *, gone: bool, moment: float, kept_seconds: float
) -> Iterator[Path]:
    files = [paths.runs / f"{run_id}{suffix}" for suffix in suffixes]
    with contextlib.suppress(FileNotFoundError):
        age = moment - max(file.stat().st_mtime for file in files)
        if age < _HOUR:
            return
        if gone or age > kept_seconds or ".jsonl" not in suffixes:
            yield from files
            return
        # Without a last word in its log, only what it was asked to do tells that it does not wait for its turn.
        if suffixes != [".jsonl"] and last_status(paths, run_id) is not None:
            for file, suffix in zip(files, suffixes, strict=True):
                if suffix != ".jsonl" and (suffix != ".stderr" or not file.stat().st_size):
                    yield file
