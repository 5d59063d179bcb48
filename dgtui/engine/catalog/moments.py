"""When something was done last that has to be known after a restart."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.tables import meta


def last_moment(database: Database, name: str) -> datetime | None:
    """When it was done last; None where it never was."""
    with database.transaction() as connection:
        text = connection.scalar(sa.select(meta.c.value).where(meta.c.key == _key(name)))
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def save_moment(database: Database, name: str, at: datetime) -> None:
    """Remember when it was done."""
    text = time_text(at)
    statement = insert(meta).values(key=_key(name), value=text)
    with database.transaction() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": text}))


def _key(name: str) -> str:
    return f"last {name}"
