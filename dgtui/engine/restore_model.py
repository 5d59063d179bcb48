"""Plain data of restores: what they put where, and what arrived. Times are timezone-aware UTC."""

from datetime import datetime, timedelta
from typing import Literal

from dgtui.engine.model import ExecutionStatus, Problem, Record, RestoreType

PROTECTED_FOR = timedelta(days=7)
"""How long no rule removes a safety backup, nor what was written too late for it."""


class Part(Record, frozen=True):
    """What of its target a restore changed, where that was not all of it; names as the datasource gives them."""

    kind: Literal["objects", "rows"]
    """Whole tables, files or folders, or only the rows of tables."""
    replaced: tuple[str, ...] = ()
    """They were there before, with their former content."""
    added: tuple[str, ...] = ()
    """They were not there before."""
    removed: tuple[str, ...] = ()
    """They were there before and are not any more: an undo took away what a restore had added."""
    made_for_them: tuple[str, ...] = ()
    """The folders that were not there before and that something of all this lies in."""
    complete: bool = True
    """Whether all are named; there may be very many files."""
    everything: bool = False
    """Whether the rows of all tables were replaced, and what goes with all of them."""

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset((*self.replaced, *self.added, *self.removed))


class LateRows(Record, frozen=True):
    """Rows that others write into what is replaced, too late for its safety backup."""

    since: str
    """What the datasource said before that backup was begun, for it to know them by."""
    path: str
    """The script that keeps them; where there are none, it is not made."""


class PartChange(Record, frozen=True):
    """A part of a target that is exchanged."""

    database: str
    """The database, file or folder that holds it."""
    beside: str
    """Where the new one lies."""
    keep_as: str
    """Where the former one is kept, by those kinds that keep it."""
    tables: tuple[str, ...] = ()
    """What is exchanged; the new one has all of it."""
    name_as: str | None = None
    """The name that the one table gets, and that nothing has yet."""
    merge: bool = False
    """Whether it is everything that lies beside."""
    remove: tuple[str, ...] = ()
    """What is taken away besides."""
    remove_empty: tuple[str, ...] = ()
    """The folders that are taken away then where nothing is left in them."""
    back: bool = False
    """Whether `beside` is what another change has kept, and all of that change is taken back."""
    late: LateRows | None = None
    """Where what others write to it meanwhile is kept, by those kinds that can."""


class Placing(Record, frozen=True):
    """What a restore has laid beside its target, so that whoever finds it interrupted can put it right."""

    beside: str
    """The database, file or folder that the archive is loaded into: the target itself where it held nothing."""
    like: str | None = None
    """The empty database that keeps the target's own properties during an import in place."""
    keep_as: str | None = None
    """The name that the former content is about to get; None before the swap."""
    mark: str | None = None
    """What tells the new content from the old one, whatever their names are; None before the swap."""
    existed: bool = True
    """Whether the target was there before."""
    disposable: bool = True
    """Whether `beside` may be removed; a kept former content that is being put back may not."""
    change: PartChange | None = None
    """What is exchanged, where that is only a part of the target."""
    late: LateRows | None = None
    """Where what others wrote into it too late for the safety backup is kept."""
    rows: bool = False
    """Whether rows alone are replaced."""
    filled: bool = False
    """Whether an import in place was loaded to its end, so that only the comparison is missing."""


ObjectOutcome = Literal["restored", "missing", "other rows", "other content", "failed"]
"""How one object came out of a restore; `failed` where a statement about it did."""
ContentVerdict = Literal["not compared", "equal", "different"]


class ObjectReport(Record, frozen=True):
    """One table, file or folder after a restore."""

    name: str
    outcome: ObjectOutcome
    rows_expected: int | None = None
    rows_found: int | None = None
    rows_exact: bool = False
    """Whether both numbers were counted, and not estimated."""
    content: ContentVerdict = "not compared"
    """Whether the checksum of what was restored is that of what the backup holds."""


class FailedStatement(Record, frozen=True):
    """A statement or file that failed to load."""

    message: str
    statement: str = ""


class RestoreReport(Record, frozen=True):
    """What a restore brought back, object by object."""

    objects: tuple[ObjectReport, ...] = ()
    failures: tuple[FailedStatement, ...] = ()
    """The first ones."""
    failure_count: int = 0
    deep: bool = False
    """Whether the content was compared by checksums."""


class Restore(Record, frozen=True):
    """One restore: who, when, why, from which copy, into what, and how it ended."""

    restore_id: str
    execution_id: str
    datasource: str
    """The datasource that was restored into."""
    target: str
    """The database, file or folder that was restored into."""
    status: ExecutionStatus
    started_at: datetime
    finished_at: datetime | None = None
    storage: str | None = None
    reason: str = ""
    restored_by: str = ""
    origin: str = ""
    """Where the person came from: the SSH client's address, else empty."""
    kept_as: str | None = None
    """Name under which the target's former content still lies, where it was replaced."""
    kept_until: datetime | None = None
    """When what was kept may be dropped by itself."""
    dropped_at: datetime | None = None
    """When what was kept was dropped."""
    safety_execution_id: str | None = None
    """The backup of the target's former content, made right before it was replaced."""
    undo_of: str | None = None
    """The restore that this one took back."""
    in_place: bool = False
    """Whether the new content is in place, whole and compared; what follows is only tidying up."""
    partly_filled: bool = False
    """Whether the target was left neither as it was nor as it should be."""
    placing: Placing | None = None
    """What still lies beside the target; None once nothing of the kind does."""
    backup_type: RestoreType = "full"
    """What was restored: everything, the schema or the data."""
    tables: tuple[str, ...] = ()
    """The tables, files or folders that were chosen; empty for all."""
    by_hand: bool = False
    """Whether somebody did it without this program, and told of it."""
    merged: bool = False
    """Whether files were restored over what was there, which kept its other files."""
    part_kept_as: str | None = None
    """Name under which the tables, files or folders lie that were replaced, where only a part was."""
    part: Part | None = None
    """What was changed, where that was not the whole target; from the moment when it may have been."""
    report: RestoreReport | None = None
    """What came back, object by object; None where it did not come to a comparison."""
    differences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What went less well on the way, however it ended: a safety backup that is not at all of its storages."""
    errors: tuple[str, ...] = ()
    problem: Problem | None = None

    @property
    def took_effect(self) -> bool:
        """Whether the new content came to its place, whatever became of the tidying up after that."""
        return self.status == "completed" or self.in_place

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it has not ended."""
        return None if self.finished_at is None else (self.finished_at - self.started_at).total_seconds()
