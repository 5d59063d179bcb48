"""The configuration's files as they were seen last, so that a change behind our back is noticed."""

from collections.abc import Mapping

from dgtui.engine.catalog.database import Database


def known_files(database: Database, main: str) -> dict[str, str]:
    """The SHA-256 of each file of a configuration, by its path; empty where it was never seen."""
    query = "SELECT path, sha256 FROM config_files WHERE main = :main"
    with database.transaction() as connection:
        return {str(path): str(sha256) for path, sha256 in connection.execute(query, {"main": main})}


def save_files(database: Database, main: str, files: Mapping[str, str]) -> None:
    """Remember the files of a configuration as they are now."""
    with database.exclusive() as connection:
        connection.execute("DELETE FROM config_files WHERE main = :main", {"main": main})
        for path, sha256 in files.items():
            connection.insert("config_files", {"main": main, "path": path, "sha256": sha256})
