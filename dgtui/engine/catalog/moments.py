"""When something was done last that has to be known after a restart."""

from datetime import UTC, datetime

from dgtui.engine.catalog.database import Database, time_text


def last_moment(database: Database, name: str) -> datetime | None:
    """When it was done last; None where it never was."""
    with database.transaction() as connection:
        text = connection.scalar("SELECT value FROM meta WHERE key = :key", {"key": _key(name)})
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def save_moment(database: Database, name: str, at: datetime) -> None:
    """Remember when it was done."""
    with database.transaction() as connection:
        connection.upsert("meta", {"key": _key(name), "value": time_text(at)}, key="key")


def _key(name: str) -> str:
    return f"last {name}"
