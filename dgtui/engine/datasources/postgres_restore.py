"""Loading an archive: with one pg_restore or several at once, and once more where that failed."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from dgtui.engine.datasources.dumping import ArchiveBlocks
from dgtui.engine.datasources.loading import LoadError, LoadOutcome
from dgtui.engine.datasources.postgres_complaints import LONGEST_STATEMENT
from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_copy_watch import CopyWatch
from dgtui.engine.datasources.postgres_counting import loaded_rows
from dgtui.engine.datasources.postgres_creation import create_database
from dgtui.engine.datasources.postgres_databases import drop_database
from dgtui.engine.datasources.postgres_frozen_rows import refuses_frozen_rows, with_frozen_rows
from dgtui.engine.datasources.postgres_inner_options import has_inner_options, without_inner_options
from dgtui.engine.datasources.postgres_load_hints import is_full, load_hint
from dgtui.engine.datasources.postgres_parallel import ParallelLoad
from dgtui.engine.datasources.postgres_paths import misses_path, users_path, with_path_of_session
from dgtui.engine.datasources.postgres_plan import RestorePlan
from dgtui.engine.datasources.postgres_process import Hear, RestoreCommand
from dgtui.engine.datasources.postgres_properties import properties
from dgtui.engine.datasources.postgres_silence_watch import SilenceWatch
from dgtui.engine.datasources.postgres_toc import Toc, definition_bytes
from dgtui.engine.reporting import Reporter


def _unheard(_: str) -> None:
    """Where the reading of the archive tells how far the loading is, no line has to."""


class Loader:
    """Loads one archive into one database."""

    def __init__(
        self,
        access: Access,
        archive: ArchiveBlocks,
        toc: Toc,
        database: str,
        plan: RestorePlan,
        reporter: Reporter,
        folder: Path,
        patience: float,
    ) -> None:
        """A server that answers nothing for `patience` seconds is given up."""
        self.counted: dict[str, int] = {}
        """Rows of the tables, by the server's account of what they took in."""
        self._access = access
        self._archive = archive
        self._database = database
        self._toc = toc
        self._plan = plan
        self._reporter = reporter
        self._patience = patience
        self._blanks_options = has_inner_options(toc)
        self._entries = plan.entries if plan.entries is not None else toc.entries
        self._folder = folder

    def _command(self) -> RestoreCommand:
        tables = sum(entry.kind == "TABLE DATA" for entry in self._entries)
        return RestoreCommand(self._access, self._database, self._plan, self._reporter, self._folder, tables)

    def load(self, jobs: int) -> LoadOutcome:
        """In parallel where several jobs are asked for, and once more serially where that failed but for lack of room.

        And once more with the path of the database's users where something was not found without it.
        """
        notes: list[str] = []
        if jobs > 1:
            outcome = self._in_parallel(jobs)
            if outcome.error_count and not misses_path(outcome) and not is_full(outcome):
                again = "it was done again with one"
                outcome = self._again(outcome, f"The restore with {jobs} processes failed ({{}}); {again}", notes)
        else:
            outcome = self._serially(_unheard, self._with_frozen_rows())
            if refuses_frozen_rows(outcome):
                outcome = self._again(
                    outcome, "The rows cannot be loaded as frozen ({}); they were loaded plainly", notes
                )
        if misses_path(outcome):
            with self._access.connect(self._database) as connection:
                path = users_path(connection, self._entries)
            again = f"It was loaded again with the search path {path}"
            outcome = self._again(
                outcome, f"Something was not found without a search path ({{}}). {again}", notes, path
            )
        outcome = self._with_rows(outcome)
        hint = load_hint(outcome.errors, self._access.acting(self._database))
        return msgspec.structs.replace(outcome, notes=(*notes, *outcome.notes), hint=hint)

    def _again(self, failed: LoadOutcome, told: str, notes: list[str], path: str | None = None) -> LoadOutcome:
        note = told.format(failed.errors[0].message if failed.errors else "unknown reason")
        self._reporter.log(note, level="warning")
        notes.append(note)
        self._empty_database()
        with self._watching() as watch:
            blocks = self._blocks() if path is None else with_path_of_session(self._blocks())
            return self._serially(watch.hearing(in_parallel=False), blocks, path)

    def _empty_database(self) -> None:
        like = properties(self._access, self._database)
        drop_database(self._access, self._database)
        create_database(self._access, self._database, like)

    def _with_rows(self, outcome: LoadOutcome) -> LoadOutcome:
        outcome = outcome if outcome.error_count else self._with_narrowed(outcome)
        self.counted = {} if outcome.error_count else loaded_rows(self._access, self._database, self._entries)
        return outcome

    def _with_narrowed(self, outcome: LoadOutcome) -> LoadOutcome:
        import psycopg

        if not self._plan.narrowed:
            return outcome
        errors: list[LoadError] = []
        with self._access.connect(self._database) as connection:
            texts = [entry for entry in self._toc.entries if entry.kind == "STDSTRINGS"]
            for entry in (*texts, *self._plan.narrowed):
                try:
                    connection.execute(definition_bytes(entry))
                except psycopg.OperationalError:
                    raise
                except psycopg.Error as error:
                    errors.append(LoadError(message=str(error).strip(), statement=entry.definition[:LONGEST_STATEMENT]))
        return LoadOutcome(errors=tuple(errors), error_count=len(errors), notes=outcome.notes)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[CopyWatch]:
        watch = CopyWatch(self._access, self._database, self._entries, self._reporter)
        try:
            yield watch
        finally:
            watch.stop()

    def _in_parallel(self, jobs: int) -> LoadOutcome:
        with self._watching() as watch:
            load = ParallelLoad(
                self._command(), self._entries, self._blocks, self._toc, self._archive.object_bytes, watch
            )
            with self._given_up_if_silent(load.give_up):
                return load.load(jobs)

    def _given_up_if_silent(self, give_up: Callable[[], None]) -> SilenceWatch:
        return SilenceWatch(self._access, self._database, self._patience, give_up)

    def _serially(self, hear: Hear, blocks: Iterator[bytes], path: str | None = None) -> LoadOutcome:
        process = self._command().start(hear, self._plan.entries, path=path)
        try:
            with self._given_up_if_silent(process.kill):
                process.feed(blocks)
                # What pg_restore had no need of is read as well: the bytes are known to be good at their end only.
                for _ in blocks:
                    pass
                return process.outcome()
        finally:
            process.stop()

    def _with_frozen_rows(self) -> Iterator[bytes]:
        return with_frozen_rows(self._blocks(), self._toc, self._entries, self._archive.object_bytes)

    def _blocks(self) -> Iterator[bytes]:
        blocks = self._archive.blocks()
        return without_inner_options(blocks, self._toc) if self._blanks_options else blocks
