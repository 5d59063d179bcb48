"""What of an archive of PostgreSQL is restored where roles are missing, without a server."""

from dgtui.engine.datasources.postgres_plan import _usable
from dgtui.engine.datasources.postgres_toc import TocEntry

_GRANTS = """GRANT SELECT ON LARGE OBJECT 7 TO stays;
GRANT UPDATE ON LARGE OBJECT 7 TO "gone; ON LARGE OBJECT 1";
SET SESSION AUTHORIZATION stays;
GRANT SELECT ON LARGE OBJECT 7 TO PUBLIC;
RESET SESSION AUTHORIZATION;
"""


def test_grants_on_several_large_objects_are_made_for_the_roles_that_are_there() -> None:
    """pg_dump 17 and newer tell them once for all objects that have the same."""
    several = TocEntry(1, "BLOB METADATA", "", "7..9", "stays", "7\n8\n9\n", "", ())
    grants = TocEntry(2, "ACL", "", "LARGE OBJECTS 7..9", "stays", _GRANTS, "", (1,))
    usable = _usable([several, grants], {"stays": True})
    assert usable.kept == (several,)
    assert usable.grantees == ("gone; ON LARGE OBJECT 1",)
    (narrowed,) = usable.narrowed
    assert narrowed.definition == "".join(
        f"GRANT SELECT ON LARGE OBJECT {number} TO stays;\nSET SESSION AUTHORIZATION stays;\n"
        f"GRANT SELECT ON LARGE OBJECT {number} TO PUBLIC;\nRESET SESSION AUTHORIZATION;\n"
        for number in (7, 8, 9)
    )
