"""What pg_restore complains of, line by line, as errors with the statements that failed."""

import itertools
import re
from collections.abc import Iterable, Iterator

from dgtui.engine.datasources.loading import LoadError
from dgtui.engine.reporting import Reporter

LONGEST_STATEMENT = 500
_ERRORS_KEPT = 20
_DATA_LINE = re.compile(r'processing data for table "(.*)"')
_WITH_CREDENTIALS = re.compile(r"CREATE (USER MAPPING|SUBSCRIPTION|SERVER|FOREIGN DATA WRAPPER|FOREIGN TABLE)\b")
_LITERAL = re.compile(r"'(?:[^']|'')*(?:'|\Z)")
_UNKNOWN_SETTING = re.compile(r'unrecognized configuration parameter "(transaction_timeout|idle_session_timeout)"')


class Complaints:
    """Takes the lines of pg_restore and makes errors with their statements of them."""

    def __init__(self, reporter: Reporter, tables: int, numbers: Iterator[int] | None = None) -> None:
        """`numbers` counts the tables where others count with us."""
        self._reporter = reporter
        self._tables = tables
        self._numbers = numbers if numbers is not None else itertools.count(1)
        self._message = ""
        self._statement: list[str] | None = None
        self.errors: list[LoadError] = []
        self.count = 0
        self.notes: list[str] = []

    def take(self, line: str) -> None:
        """The next line of pg_restore's error output."""
        if line.startswith("pg_restore: "):
            self.close()
            text = line.removeprefix("pg_restore: ")
            match = _DATA_LINE.search(text)
            if match:
                number = next(self._numbers)
                self._reporter.current_object(match[1], number=number, count=max(number, self._tables))
            if text.startswith("error: "):
                self._message = text.removeprefix("error: ").removeprefix("could not execute query: ")
            self._reporter.log(text, origin="pg_restore", level="error" if text.startswith("error: ") else "info")
        elif line.startswith("Command was: ") and self._message:
            self._statement = [line.removeprefix("Command was: ")]
        elif self._statement is not None and sum(map(len, self._statement)) < LONGEST_STATEMENT:
            self._statement.append(line)
        elif self._statement is None and self._message and line.startswith(("DETAIL:", "HINT:")):
            self._message += f" ({line})"

    def close(self) -> None:
        """The complaint under way is complete."""
        if not self._message:
            return
        setting = _UNKNOWN_SETTING.search(self._message)
        if setting:
            # pg_restore switches this timeout off; a server that does not know it has nothing to switch off.
            self.notes.append(f"The server does not know the setting {setting[1]} of the newer pg_restore: no harm")
        else:
            self.count += 1
            if len(self.errors) < _ERRORS_KEPT:
                statement = _without_credentials("\n".join(self._statement or ()))[:LONGEST_STATEMENT]
                self.errors.append(LoadError(message=self._message, statement=statement))
        self._message, self._statement = "", None

    @property
    def text(self) -> str:
        """All messages."""
        return "\n".join(error.message for error in self.errors)


def _without_credentials(statement: str) -> str:
    """The statement, without the texts in it where one may be a password for another server."""
    return _LITERAL.sub("'***'", statement) if _WITH_CREDENTIALS.match(statement) else statement


def without_statements(lines: Iterable[str]) -> tuple[str, ...]:
    """Lines of pg_restore without the statements that failed, which its complaints tell."""
    kept: list[str] = []
    within = False
    for line in lines:
        within = line.startswith("Command was: ") or (within and not line.startswith("pg_restore: "))
        if not within:
            kept.append(line)
    return tuple(kept)
