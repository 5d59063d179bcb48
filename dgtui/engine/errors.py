"""The errors of the engine.

DataGuardianError
├── ConfigError                 the configuration is wrong, or names what does not exist
├── ToolMissing                 a dump or restore program is not installed
├── ToolTooOld                  the program does not fit the server's version
├── DatabaseConnectionError     the server cannot be reached, or the connection was lost
│   ├── AuthenticationError     the server refuses the user or the password
│   ├── ServerTimeout           the server is there, and does not answer in time
│   └── IdleTimeout             nothing moved for the configured time
├── BackupCreationError         the dump did not become a whole backup
│   └── SourceChanged           somebody changed a table while it was dumped
├── StorageError                a storage cannot be reached, read or written
│   └── DiskSpaceError          a storage has no room left
├── ValidationError             a check of bytes failed: a backup is damaged or incomplete
│   └── NewerVersion            a newer version made the backup, and only that one can check it
├── PermissionDenied            a right is missing, at the database or in the file system
├── JobBusy                     another run of the same job, or on the same target, is under way
├── RestoreError                a restore did not succeed
│   ├── EndNotKnown             nobody can tell any more which content a change left in place
│   └── SwapImpossible          the new content cannot take the old one's place by a rename; nothing was changed
├── CatalogError                the catalogue cannot be read or written
│   └── CatalogDamaged          its file is damaged
├── DeliveryError               a channel did not take a message
├── OutOfMemory                 the process got no more memory
├── Cancelled                   somebody asked it to stop
└── Stopped                     a signal ended it that nobody sent through this program

One that only the callers of one function tell from its parent is defined beside that function.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PARTIAL = 3
EXIT_BUSY = 4
EXIT_DAMAGED = 5
EXIT_CANCELLED = 130
EXIT_STOPPED = 143


@dataclass(frozen=True)
class Retry:
    """How often an operation that failed is tried, and how long to wait before the second try."""

    tries: int
    first_wait_seconds: float


NO_RETRY = Retry(tries=1, first_wait_seconds=0)


class DataGuardianError(Exception):
    """What happened, to which object, and the next thing to do."""

    exit_code: ClassVar[int] = EXIT_FAILED
    """Exit code of a headless command that ends with this error (design.md, "Errors")."""
    retry: ClassVar[Retry] = NO_RETRY

    def __init__(self, message: str, *, subject: str = "", hint: str = "", detail: Sequence[str] = ()) -> None:
        """`subject` names the object, `hint` the next step, `detail` holds the last lines of the tool."""
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.hint = hint
        self.detail = tuple(detail)

    def reworded(self, message: str) -> Self:
        """The same error, of the same class and with all it carries, under another message."""
        error = type(self).__new__(type(self))
        Exception.__init__(error, message)
        error.__dict__.update(self.__dict__, message=message)
        return error

    @property
    def kind(self) -> str:
        """The name of the class, as messages and the catalogue store it."""
        return type(self).__name__


class ConfigError(DataGuardianError):
    """The configuration is wrong, or names what does not exist."""

    exit_code = EXIT_USAGE


class ToolMissing(DataGuardianError):
    """A dump or restore program is not installed."""

    exit_code = EXIT_USAGE


class ToolTooOld(DataGuardianError):
    """No installed program fits the server's version."""


class DatabaseConnectionError(DataGuardianError):
    """The server cannot be reached, or the connection was lost."""

    retry = Retry(tries=3, first_wait_seconds=5)


class AuthenticationError(DatabaseConnectionError):
    """The server refuses the user or the password; never tried again, it could lock the account."""

    retry = NO_RETRY


class ServerTimeout(DatabaseConnectionError):
    """The server is there, and does not answer in time."""


class IdleTimeout(DatabaseConnectionError):
    """Nothing moved for the configured time."""


class BackupCreationError(DataGuardianError):
    """The dump did not become a whole backup."""


class SourceChanged(BackupCreationError):
    """Somebody changed a table while it was dumped."""

    retry = Retry(tries=2, first_wait_seconds=2)


class SourceSettled(SourceChanged):
    """What a cut restore had left was put right while the dump began, which may have missed that."""


class StorageError(DataGuardianError):
    """A storage cannot be reached, read or written."""


class DiskSpaceError(StorageError):
    """A storage has no room left."""


class ValidationError(DataGuardianError):
    """A check of bytes failed: a backup is damaged or incomplete."""

    exit_code = EXIT_DAMAGED


class NewerVersion(ValidationError):
    """A newer version made the backup: whether it is whole, only that one can tell."""


class PermissionDenied(DataGuardianError):
    """A right is missing, at the database or in the file system."""


class JobBusy(DataGuardianError):
    """Another run of the same job, or on the same target, is under way."""

    exit_code = EXIT_BUSY


class RestoreError(DataGuardianError):
    """A restore did not succeed."""


class EndNotKnown(RestoreError):
    """Nobody can tell any more which content a change left in place: the former or the new one, whole."""


class SwapImpossible(RestoreError):
    """The new content cannot take the place of the old one by a rename; nothing was changed."""


class CatalogError(DataGuardianError):
    """The catalogue cannot be read or written."""


class CatalogDamaged(CatalogError):
    """The catalogue's file is damaged."""


class DeliveryError(DataGuardianError):
    """A message was not taken; the text tells at which step, and why."""

    def __init__(self, message: str, *, subject: str = "", hint: str = "", asked_to_wait: float = 0.0) -> None:
        """`asked_to_wait`: seconds for which the receiver does not want to be asked again."""
        super().__init__(message, subject=subject, hint=hint)
        self.asked_to_wait = asked_to_wait


class OutOfMemory(DataGuardianError):
    """The process got no more memory."""


class Cancelled(DataGuardianError):
    """Somebody asked it to stop."""

    exit_code = EXIT_CANCELLED


class Stopped(DataGuardianError):
    """A signal stopped it that nobody sent through this program: a machine that goes down sends such ones."""

    exit_code = EXIT_STOPPED


ERRORS_BY_KIND: dict[str, type[DataGuardianError]] = {
    cls.__name__: cls
    for cls in (
        ConfigError,
        ToolMissing,
        ToolTooOld,
        DatabaseConnectionError,
        AuthenticationError,
        ServerTimeout,
        BackupCreationError,
        SourceChanged,
        StorageError,
        DiskSpaceError,
        ValidationError,
        PermissionDenied,
        JobBusy,
        RestoreError,
        Stopped,
        Cancelled,
    )
}
"""To build an error again from a message of a worker; a class that is not here goes by its parent's name."""
