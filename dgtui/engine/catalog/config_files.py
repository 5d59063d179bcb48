"""The configuration's files as they were seen last, so that a change behind our back is noticed."""

from collections.abc import Mapping

import sqlalchemy as sa

from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.tables import metadata

config_files = sa.Table(
    "config_files",
    metadata,
    # One state folder may serve several configurations.
    sa.Column("main", sa.String, primary_key=True),
    sa.Column("path", sa.String, primary_key=True),
    sa.Column("sha256", sa.String, nullable=False),
)


def known_files(database: Database, main: str) -> dict[str, str]:
    """The SHA-256 of each file of a configuration, by its path; empty where it was never seen."""
    query = sa.select(config_files.c.path, config_files.c.sha256).where(config_files.c.main == main)
    with database.transaction() as connection:
        return {str(path): str(sha256) for path, sha256 in connection.execute(query)}


def save_files(database: Database, main: str, files: Mapping[str, str]) -> None:
    """Remember the files of a configuration as they are now."""
    with database.exclusive() as connection:
        connection.execute(sa.delete(config_files).where(config_files.c.main == main))
        rows = [{"main": main, "path": path, "sha256": sha256} for path, sha256 in files.items()]
        if rows:
            connection.execute(sa.insert(config_files), rows)
