"""Statements of the catalogue that are compiled once for a whole process, not anew for each catalogue it opens.

Programs open one; a process of the tests opens thousands, and half of the time of each would go into compiling.
"""

from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

_MOST_STATEMENTS = 1000
_COMPILED: LRUCache[object, object] = LRUCache(_MOST_STATEMENTS)


class OnceCompiling(SQLiteDialect_pysqlite):
    """That of SQLite, whose statements are the same for all engines."""

    supports_statement_cache = True

    def __eq__(self, other: object) -> bool:
        """Whether a statement that was compiled for the other is one for this too."""
        return isinstance(other, OnceCompiling)

    def __hash__(self) -> int:
        """The same for all."""
        return hash(OnceCompiling)

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """Each looks for what is compiled in one place."""
        engine.update_execution_options(compiled_cache=_COMPILED)


def compile_once() -> None:
    """Have all engines that are made from now on do so."""
    registry.register("sqlite", OnceCompiling.__module__, OnceCompiling.__name__)
