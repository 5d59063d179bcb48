"""What a program leaves beside the configuration that dies while it saves."""

from dgtui.config.model import Config
from dgtui.config.store import SECRETS_FOLDER, main_path
from dgtui.engine.cut_writes import remove_cut_writes


def remove_cut_saves(config: Config) -> None:
    """Remove it; a secret may be in such a file. What cannot be removed stays, for the next start."""
    folder = main_path(config).parent
    for place in (folder, folder / "conf.d", folder / SECRETS_FOLDER):
        remove_cut_writes(place)
