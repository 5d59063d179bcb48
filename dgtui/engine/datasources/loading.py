"""Loading an archive: what is chosen of it, what its target is like, and how it ended."""

from collections.abc import Callable

from dgtui.engine.datasources.dumping import Client
from dgtui.engine.model import ObjectInfo, Record, RestoreType
from dgtui.engine.restore_model import Part


class Selection(Record, frozen=True):
    """What of a backup is restored."""

    backup_type: RestoreType = "full"
    tables: tuple[str, ...] = ()
    """Only these tables, files or folders; empty for all."""
    acting: bool = True
    """Whether what acts by itself (the events of MySQL) is restored too."""


class TargetState(Record, frozen=True):
    """A database, file or folder that a restore would write to, as it is now."""

    exists: bool
    objects: tuple[ObjectInfo, ...] = ()
    clients: tuple[Client, ...] = ()
    size_bytes: int | None = None
    free_bytes: int | None = None
    """Room where it lies, where that can be had."""

    @property
    def empty(self) -> bool:
        """Whether a restore would replace nothing."""
        return not self.objects


class MissingRoles(Record, frozen=True):
    """Roles and accounts that a backup names and the target's server does not have."""

    owners: tuple[str, ...] = ()
    """Roles that own something."""
    ownerless: tuple[str, ...] = ()
    """What will belong to whoever restores: it cannot belong to its owner, who is named with it."""
    grantees: tuple[str, ...] = ()
    """Roles that were granted something."""
    left_out: tuple[str, ...] = ()
    """The objects whose grants are left out."""
    definers: tuple[str, ...] = ()
    """Accounts in whose name views, triggers and routines act: those are restored, and fail when they are used."""
    definers_known: bool = True
    """Whether the definers were looked for; they lie all over an archive, and a large one is not read for them."""

    @property
    def costs_something(self) -> bool:
        """Whether something of the backup is left out for want of a role."""
        return bool(self.owners or self.grantees)


Announce = Callable[[str, Part], None]
"""Told by whoever is about to change a part of a database: a mark that tells later whether it was done, and what."""


class LoadError(Record, frozen=True):
    """One statement or file that failed to load."""

    message: str
    statement: str = ""


class LoadOutcome(Record, frozen=True):
    """How the loading of an archive ended; anything in `errors` means it did not succeed."""

    errors: tuple[LoadError, ...] = ()
    error_count: int = 0
    """All errors; `errors` holds the first ones."""
    hint: str = ""
    """What helps against the first error, where its kind is known."""
    notes: tuple[str, ...] = ()
    """What was done besides, such as a second try with one process."""
    kept_as: str | None = None
    """Name under which the former content still lies, where it was replaced by something new."""
