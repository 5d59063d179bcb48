"""The names of throw-away databases: each bears the id of its run, and nothing without it is ever removed."""

from dgtui.engine.datasources.own_names import REHEARSAL_SUFFIX


def rehearsal_suffix(run_id: str) -> str:
    """What a throw-away database's name ends with."""
    return f"{REHEARSAL_SUFFIX}{run_id.replace('-', '')[:12]}"


def is_own_name(database: str, run_id: str) -> bool:
    """Whether this is the name of the throw-away database of this very run."""
    return database.endswith(rehearsal_suffix(run_id))
