"""How the names end of what restores and rehearsals make and keep beside their targets."""

import re
from datetime import datetime

NEW_SUFFIX = "__dgtui_new"
"""Of what an archive is loaded into first, to take the target's place."""
LIKE_SUFFIX = "__dgtui_like"
"""Of the empty database that keeps the target's own properties while the target is filled anew."""
OLD_SUFFIX = "__dgtui_old_"
"""Of what keeps a target that was replaced; the time follows."""
PART_SUFFIX = "__dgtui_part_"
"""Of what keeps the part of a target that was replaced; the time follows."""
REHEARSAL_SUFFIX = "__dgtui_rehearsal_"
"""Of a throw-away database; the id of its run follows."""
_OWN = re.compile(r"__dgtui_(?:new|like|old|part|rehearsal)(?:_[\da-f_]+)?\Z")
_LOADED_INTO = re.compile(r"__dgtui_(?:new|rehearsal_[\da-f]+)\Z")


def dated(suffix: str, moment: datetime) -> str:
    """The suffix of what is kept since this moment."""
    return f"{suffix}{moment:%Y%m%d%H%M%S}"


def is_own(name: str) -> bool:
    """Whether it is the name of something that we make or keep beside a target."""
    return _OWN.search(name) is not None


def is_loaded_into(name: str) -> bool:
    """Whether it is the name of something that we load an archive into: nobody but us is to log in to it."""
    return _LOADED_INTO.search(name) is not None
