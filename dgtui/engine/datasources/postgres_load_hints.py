"""What to do next where statements fail while an archive is loaded, by what the server says of the first."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from dgtui.engine.datasources.loading import LoadError, LoadOutcome

_FULL = re.compile(r"No space left on device|Disk quota exceeded|Check free disk space|could not extend file")


class _Known(NamedTuple):
    said: re.Pattern[str]
    hint: str


_HINTS: tuple[_Known, ...] = (
    _Known(
        _FULL,
        "Make room on the server: it holds the former content and the new one side by side until they are swapped",
    ),
    _Known(
        re.compile(r"out of shared memory"),
        "Raise max_locks_per_transaction in postgresql.conf (about one lock for each table) and restart the server",
    ),
    _Known(
        re.compile(r'role (".*?") does not exist'),
        "Make the role first: CREATE ROLE {0}; globals.sql of a backup with `globals = true` holds all of them",
    ),
    _Known(
        re.compile(
            r'extension (".*?") (?:is not available|has no installation script)|could not open extension control file|'
            r'could not (?:access|load|find function .*? in) (?:file|library)|language ".*?" does not exist'
        ),
        "Install the package of that extension or language on the server (SELECT * FROM pg_available_extensions lists "
        "what it has), then try again",
    ),
    _Known(
        re.compile(r"permission denied|[Mm]ust be (?:owner|superuser|member|able)|[Oo]nly (?:superusers|roles with)"),
        "{role} lacks a right: grant it what the error names, or restore as a superuser (`username`)",
    ),
    _Known(
        re.compile(
            r"violates (?:.*? )?constraint|could not create (?:unique|exclusion) (?:index|constraint)|"
            r"is violated by some row|no partition of relation|contains null values"
        ),
        "Rows of the backup break this rule: mend them at the source and back up again, or the rule where they go. "
        "A check that calls a function which reads other tables fails too: make it a trigger at the source. Where the "
        "source is gone: restore with --schema-only under another name with --into NAME, drop the rule there "
        "(ALTER TABLE ... DROP CONSTRAINT), then restore into the same with --data-only",
    ),
    _Known(
        re.compile(r'(?:tablespace|collation) (".*?") (?:for encoding ".*?" )?does not exist'),
        "The server lacks what the error names: make it there first, a collation by its locale (locale -a), then "
        "try again",
    ),
    _Known(
        re.compile(r"invalid byte sequence|has no equivalent in encoding"),
        "The database has another encoding than the backup: restore into one that is made with that of the backup",
    ),
    _Known(
        re.compile(r"syntax error|unrecognized (?:parameter|configuration parameter)|unsupported version"),
        "The server may be older than the one of the backup: restore into one of at least that version",
    ),
    _Known(
        re.compile(r"already exists"),
        "Something else made it before: an extension that makes more in the version of this server, or a trigger. "
        "Compare the versions (SELECT * FROM pg_available_extensions)",
    ),
    _Known(
        re.compile(r"does not exist"),
        "What the error names is not there yet at that moment: an extension of another version should make it, or a "
        "function names it without its schema. Mend that at the source, or compare the versions of the extensions",
    ),
    _Known(
        re.compile(r"deadlock detected|canceling statement due to"), "Something else was at the database: try again"
    ),
)


def load_hint(errors: Sequence[LoadError], role: str) -> str:
    """What helps against the first error, whose consequences the others may be; empty where its kind is not known.

    `role` is the one that loaded.
    """
    if not errors:
        return ""
    for pattern, hint in _HINTS:
        if match := pattern.search(errors[0].message):
            return hint.format(*match.groups(), role=role)
    return ""


def is_full(outcome: LoadOutcome) -> bool:
    """Whether the server's disk had no room: to load once more would only fill it again."""
    return any(_FULL.search(error.message) for error in outcome.errors)
