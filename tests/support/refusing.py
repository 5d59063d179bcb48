"""Refuses one write after the other: of the catalogue, of a storage's log, of the head of the audit log."""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dgtui.engine import audit
from dgtui.engine.catalog.connection import Connection
from dgtui.engine.file_errors import file_error
from dgtui.engine.files import write_all, write_durably
from dgtui.engine.storages import local_log
from tests.support.statements import watched

_CHANGES = ("INSERT", "UPDATE", "DELETE", "BEGIN IMMEDIATE")


class Refused:
    """Counts what is written, and refuses the writes that `refuses` chooses by their numbers."""

    def __init__(self, refuses: Callable[[int], bool]) -> None:
        self._refuses = refuses
        self.counts = True
        self.seen: list[str] = []
        self.refused = ""
        """The last one that was refused; empty where there were not so many."""

    def takes(self, what: str) -> bool:
        """Whether this write may be."""
        if not self.counts:
            return True
        self.seen.append(what)
        if self._refuses(len(self.seen)):
            self.refused = what
            return False
        return True


Refusing = Callable[[int], contextlib.AbstractContextManager[Refused]]


@contextlib.contextmanager
def refusing(number: int) -> Iterator[Refused]:
    """Refuse the Nth write from now on in this process, and no other."""
    with refusing_those(lambda seen: seen == number) as refused:
        yield refused


@contextlib.contextmanager
def refusing_from(number: int) -> Iterator[Refused]:
    """Refuse the Nth write from now on in this process, and all after it."""
    with refusing_those(lambda seen: seen >= number) as refused:
        yield refused


@contextlib.contextmanager
def refusing_those(refuses: Callable[[int], bool]) -> Iterator[Refused]:
    """Refuse the writes whose numbers are chosen."""
    refused = Refused(refuses)

    def statement(_1: Connection, text: str, _2: object, _3: bool) -> None:
        if text.lstrip().upper().startswith(_CHANGES) and not refused.takes(" ".join(text.split()[:3])):
            raise sqlite3.OperationalError("database is locked")

    def commit(_: Connection) -> None:
        if not refused.takes("commit"):
            raise sqlite3.OperationalError("database or disk is full")

    def to_log(descriptor: int, content: bytes) -> None:
        if not refused.takes("line"):
            write_all(descriptor, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_all(descriptor, content)

    def to_head(path: Any, content: bytes, **keys: Any) -> None:
        if not refused.takes("head"):
            raise file_error(OSError(errno.ENOSPC, ""), path, "write")
        write_durably(path, content, **keys)

    with pytest.MonkeyPatch.context() as patched, watched(statement, commit):
        patched.setattr(local_log, "write_all", to_log)
        patched.setattr(audit, "write_durably", to_head)
        yield refused
