"""What is decided in the restore dialog."""

from typing import TYPE_CHECKING

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.model import Execution, Record

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine
    from dgtui.engine.preview import RestorePreview


class RestoreQuestion(Record, frozen=True):
    """All on which the look at a restore depends: an answer for another question is out of date."""

    storage: str | None
    datasource: str
    database: str | None
    selection: Selection
    name_as: str | None
    merge: bool
    safety: bool = True
    in_place: bool = False

    def ask(self, engine: "Engine", execution: Execution) -> "RestorePreview":
        """What it would do. Raises DataGuardianError."""
        return engine.preview_restore(
            execution,
            storage=self.storage,
            datasource=self.datasource,
            database=self.database,
            selection=self.selection,
            name_as=self.name_as,
            merge=self.merge,
            safety=self.safety,
            in_place=self.in_place,
        )


class SafetyChoice(Record, frozen=True):
    """Whether the former content is backed up first, and where to; as usual without a storage."""

    wanted: bool = True
    storage: str | None = None


class RestoreChoice(Record, frozen=True):
    """A restore as it was decided."""

    question: RestoreQuestion
    overwrite: bool
    deep: bool
    without_missing_roles: bool
    jobs: int | None
    reason: str
    safety: SafetyChoice

    def start(self, engine: "Engine", execution: Execution) -> str:
        """Start it; its id. Raises DataGuardianError."""
        return engine.start_restore(
            execution,
            storage=self.question.storage,
            datasource=self.question.datasource,
            database=self.question.database,
            selection=self.question.selection,
            name_as=self.question.name_as,
            merge=self.question.merge,
            overwrite=self.overwrite,
            deep=self.deep,
            without_missing_roles=self.without_missing_roles,
            jobs=self.jobs,
            reason=self.reason,
            safety=self.safety.wanted,
            safety_to=self.safety.storage,
            in_place=self.question.in_place,
        )
