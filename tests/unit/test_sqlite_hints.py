"""Commands that are advised where an SQLite database cannot be read."""

import shlex
import sqlite3
from pathlib import Path

import pytest

from dgtui.engine.datasources.sqlite_dump import explain


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_ERROR])
def test_a_path_stands_in_a_command_as_a_shell_reads_it(code: int) -> None:
    """It may hold blanks and quotation marks, and was advised as it is."""
    source = Path("/srv/the till/it's $HOME.db")
    error = sqlite3.OperationalError("no such column")
    error.sqlite_errorcode = code
    words = shlex.split(explain(error, source, 1.0).hint or "")
    assert str(source) in {word.rstrip("*") for word in words}
