"""What a database is beside its content: the part that belongs to the server and is in no dump of the database.

A probe takes it down, the manifest keeps it below `metadata.properties`, and a restore that finds no original to copy
it from makes the new database with it.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from dgtui.engine.model import Record

METADATA_KEY = "properties"
"""Where a manifest's metadata keeps them."""


class DatabaseGrant(Record, frozen=True):
    """A right on a database as a whole."""

    privilege: str
    """`CONNECT`, `CREATE`, `TEMPORARY`."""
    grantee: str | None = None
    """The role that has it; None for everybody."""
    grantable: bool = False
    """Whether the role may pass it on."""


class DatabaseSetting(Record, frozen=True):
    """A parameter that is set for every session in a database."""

    name: str
    value: str
    """As the server stores it."""
    role: str | None = None
    """The role whose sessions have it; None for all."""


class DatabaseProperties(Record, frozen=True):
    """The properties of one database; what its kind does not have is empty."""

    encoding: str = ""
    """PostgreSQL: `UTF8`. MySQL and MariaDB: the default character set, `utf8mb4`. SQLite: `UTF-8`."""
    collation: str = ""
    """PostgreSQL: LC_COLLATE. MySQL and MariaDB: the default collation."""
    character_type: str = ""
    """PostgreSQL: LC_CTYPE."""
    locale_provider: str = ""
    """PostgreSQL: `libc`, `icu` or `builtin`."""
    locale: str = ""
    """The locale of a provider other than libc, such as `de-DE`."""
    locale_rules: str = ""
    """Additional collation rules of ICU."""
    owner: str = ""
    tablespace: str = ""
    connection_limit: int = -1
    """How many sessions may be in it at once; -1 for as many as the server takes."""
    comment: str | None = None
    grants: tuple[DatabaseGrant, ...] | None = None
    """None where nobody ever changed what the server grants by itself."""
    settings: tuple[DatabaseSetting, ...] = ()
    """PostgreSQL: ALTER DATABASE ... SET and ALTER ROLE ... IN DATABASE ... SET. SQLite: what PRAGMAs set in the file
    itself, only to be read here, since the file brings them along."""


def to_metadata(properties: DatabaseProperties) -> dict[str, Any]:
    """The form in which a manifest keeps properties: those that say something."""
    empty = msgspec.to_builtins(DatabaseProperties())
    values: dict[str, Any] = msgspec.to_builtins(properties)
    return {key: value for key, value in values.items() if value != empty[key]}


def from_metadata(metadata: Mapping[str, Any]) -> DatabaseProperties | None:
    """The properties that a manifest names; None where it names none that can be understood.

    They only say how a new database is made, so that a backup whose manifest has nonsense there is restored all the
    same, as one that was made before they were kept.
    """
    try:
        return msgspec.convert(metadata.get(METADATA_KEY), DatabaseProperties | None)
    except msgspec.ValidationError:
        return None
