"""What a kind has to be able to do to put something new in the place of what a target holds."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import Announce, LoadOutcome, Selection
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import LateRows, PartChange


class Replacing(ABC):
    """The part of a datasource that replaces content: all of it, chosen parts, or rows alone."""

    label: ClassVar[str]
    """Name for people, such as `PostgreSQL`."""

    swaps_everything: ClassVar[bool] = True
    """Whether `swap` can move whatever a database holds. Where not, an empty target is loaded in its own place."""

    swaps_in_steps: ClassVar[bool] = False
    """Whether something may be missing in a target while it is swapped, and until a swap that was cut is settled."""

    loads_apart: ClassVar[bool] = False
    """Whether what is loaded beside a target is a database of its own, whose loading can touch nothing else."""

    swap_words: ClassVar[str] = "a rename"
    """What a swap is, for people."""
    writers_at_swap: ClassVar[str]
    """What happens at a swap to those who read and write, for people: goes on after a comma."""

    loads_data: ClassVar[bool] = False
    """Whether rows alone can be loaded into tables that are there."""
    loads_data_beside: ClassVar[bool] = False
    """Whether `load_data` makes something of ours under the database's name with `__dgtui_new`."""
    keeps_former_data: ClassVar[bool] = False
    """Whether `load_data` keeps the former content itself, under another name."""

    def load_data(
        self,
        archive: Archive,
        database: str,
        selection: Selection,
        reporter: Reporter,
        *,
        overwrite: bool,
        keep_as: str,
        scratch_folder: Path,
        announce: Announce,
        late: LateRows | None = None,
    ) -> LoadOutcome:
        """Load rows alone into the tables of a database that is there: all of them, or none.

        `announce` is called before they can be there to stay, and before it `late` is written. Tables that already hold
        rows are refused, or with `overwrite` emptied first. After any failure, told by an exception or in the outcome,
        the database is as it was, or `settle_data` brings it there. Raises RestoreError, ConfigError.
        """
        raise NotImplementedError(f"{self.label} does not load data alone")

    def kept_archive(self, kept_as: str) -> Archive:
        """What `load_data` has kept, to take rows back from; only of kinds that do so."""
        raise NotImplementedError(f"{self.label} keeps nothing of this kind")

    @abstractmethod
    def swap(self, new: str, current: str, keep_as: str, reporter: Reporter) -> None:
        """Put `new` in the place of `current`, which is kept under the name `keep_as`.

        Where there is no `current`, `new` takes its name and nothing is kept. After any failure the old content is
        under `current` (or was never moved). Raises RestoreError; SwapImpossible where a rename would lose something.
        """

    def refuse_swap(self, database: str) -> None:  # noqa: B027  # most kinds have nothing against it
        """Raise RestoreError where `swap` would surely refuse to move what is there."""

    def unfit_to_swap(self, new: str) -> str:  # noqa: ARG002  # most kinds keep nothing of this kind
        """Why `swap` would refuse what lies under this name; empty where it would not."""
        return ""

    def check_kept(self, name: str) -> None:  # noqa: B027  # most kinds notice damage where they read
        """Read what was kept under this name to its end. Raises ValidationError where it is damaged."""

    part_words: ClassVar[str] = ""
    """How `replace_part` does its work and what others see of it, for people."""

    keeps_former_part: ClassVar[bool] = False
    """Whether `replace_part` keeps what it replaces, with all that was written until then."""

    keeps_late_rows: ClassVar[bool] = False
    """Whether `replace_part` and `load_data` keep what others write after the safety backup, as a script."""

    def write_mark(self, database: str) -> str:
        """What tells all that is written from now on from what was there before, for `LateRows`.

        Raises DatabaseConnectionError.
        """
        raise NotImplementedError(f"{self.label} does not tell when something was written")

    beside_words: ClassVar[str] = "whoever reads or writes there goes on"
    """What others see of it when a table is put beside the live one, for people."""

    def check_part(self, archive: Archive, database: str, listed: Sequence[str], chosen: Sequence[str]) -> None:  # noqa: B027
        """Raise RestoreError where `replace_part` would surely refuse what was chosen; `listed` are the backup's."""

    def check_loaded(self, change: PartChange) -> None:  # noqa: B027
        """The same once the archive is loaded beside the target, which is not touched yet."""

    def check_name(self, archive: Archive, database: str, table: str, name: str) -> str:
        """Raise RestoreError where `replace_part` would refuse to put a table beside what is there under a new name.

        Says what of the table is left out then. Only with the option `name_as`.
        """
        raise NotImplementedError(f"{self.label} gives nothing another name")

    def holding_rows(self, database: str, names: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        """Which of these tables of a database hold rows already."""
        return ()

    def replace_part(
        self,
        change: PartChange,
        archive: Archive | None,  # noqa: ARG002  # this is what a kind does that cannot do it
        reporter: Reporter,  # noqa: ARG002
        announce: Announce,  # noqa: ARG002
    ) -> bool:
        """Exchange a part of a database and nothing else; what lies beside is used up.

        `archive` is that from which the part beside was loaded; None where it was not, or only something is removed.
        `announce` is called right before the first lasting change, and before it `change.late` is written. After any
        failure the database is as it was, or `settle_part` brings it there. Whether the former part is kept as
        `change.keep_as`. Raises RestoreError.
        """
        raise RestoreError(
            f"A {self.label} datasource cannot replace a part of what is there",
            subject=change.database,
            hint="Restore the part under another name with --into NAME and copy from there",
        )

    def settle_part(self, mark: str, change: PartChange) -> Literal["old", "new"]:
        """After a `replace_part` whose end nobody saw, the same as `settle_swap`; `mark` is what it announced."""
        raise NotImplementedError(f"{self.label} replaces no part")

    def settle_data(self, mark: str, database: str, keep_as: str) -> Literal["old", "new"]:
        """The same after a `load_data`."""
        raise NotImplementedError(f"{self.label} does not load data alone")

    @abstractmethod
    def swap_mark(self, new: str) -> str:
        """What tells this database, file or folder from others whatever its name is, for `settle_swap`."""

    @abstractmethod
    def settle_swap(self, mark: str, new: str, current: str, keep_as: str) -> Literal["old", "new"]:
        """After a swap whose end nobody saw: which content is under `current` now, whole and alone.

        A swap that was cut half-way is brought to its end or taken back. `mark` is the former `swap_mark` of `new`.
        Raises DatabaseConnectionError or RestoreError where it cannot be told; it may be asked again.
        """

    def swap_obstacles(self, database: str) -> tuple[str, ...]:  # noqa: ARG002  # most kinds have none
        """What in a database keeps `swap` from moving it; empty where nothing does."""
        return ()

    def keeps_former(self, database: str) -> bool:  # noqa: ARG002
        """Whether `swap` keeps all that it replaces there; where not, nothing but a safety backup does."""
        return True

    def keeps_former_rows(self, database: str) -> bool:  # noqa: ARG002
        """Whether `load_data` keeps the rows that it replaces there, as they are then."""
        return self.keeps_former_data

    def lies_in_target(self, beside: str) -> bool:  # noqa: ARG002
        """Whether what is loaded under this name lies in the target itself, where it must not stay."""
        return False

    def kept_inside(self, database: str) -> tuple[str, ...]:  # noqa: ARG002
        """What earlier restores keep in a database itself, which goes with it where it is emptied."""
        return ()

    def swap_grants(self, database: str) -> tuple[str, ...]:  # noqa: ARG002
        """The commands that give the user the rights for want of which `swap` cannot move a database."""
        return ()

    def never_again(self, database: str) -> tuple[str, ...]:  # noqa: ARG002
        """What in a database its user could not make again from a backup; where something is, it is not emptied."""
        return ()
